//! What the operator's commands and the running server say to each other: one JSON object
//! a line.
//!
//! **Invariant**: a question is one line, its answers end with `done` or `failed`; no
//! secret is in either but an invitation's link.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// All accounts.
    Users,
    /// An account's sessions end, its logins are refused.
    Lock {
        /// The account's name.
        name: String,
    },
    /// Lifts that, and the lock of too many wrong passwords.
    Unlock {
        /// The account's name.
        name: String,
    },
    /// Deletes an account.
    Delete {
        /// The account's name.
        name: String,
    },
    /// Makes an invitation.
    Invite {
        /// The account name that it is made for.
        name: String,
    },
    /// Writes a backup into a file of the server's folder.
    Backup,
    /// Seals everything anew.
    RotateMasterKey,
    /// The log.
    AuditExport {
        /// Of this account alone.
        user: Option<String>,
    },
    /// Reads the certificates again.
    Reload,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tell {
    /// An account.
    User(User),
    /// An invitation's link.
    Invitation {
        /// Asked for, and printed.
        link: String,
        /// Until when it holds.
        until_unix_s: u64,
    },
    /// Where a backup was put, for the command to take away.
    File {
        /// In the server's folder.
        file: PathBuf,
        /// How many log entries are in it.
        entries: u64,
    },
    /// How far it is.
    Progress {
        /// What was done so far.
        done: u64,
    },
    /// A line of what was asked for.
    Line {
        /// As it is to be printed.
        text: String,
    },
    /// It was done.
    Done,
    /// It was not.
    Failed {
        /// Why.
        message: String,
        /// What to do about it.
        hint: String,
    },
}

/// An account, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub name: String,
    /// `active`, `locked` or `pending`.
    pub state: String,
    /// Its id, in hex.
    pub user_id: String,
    /// When it was registered.
    pub made_unix_s: u64,
    /// How many secrets it has.
    pub secrets: u32,
}

impl Tell {
    /// A failure.
    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_they_are() {
        let check = |ask: Ask, line: &str| {
            assert_eq!(serde_json::to_string(&ask).unwrap(), line);
            assert_eq!(serde_json::from_str::<Ask>(line).unwrap(), ask);
        };
        check(Ask::Users, r#"{"ask":"users"}"#);
        let name = "alex".to_owned();
        check(Ask::Invite { name }, r#"{"ask":"invite","name":"alex"}"#);
        check(Ask::RotateMasterKey, r#"{"ask":"rotate-master-key"}"#);
        for wrong in [r#"{"ask":"stop"}"#, r#"{"ask":"lock"}"#, "{}", "[]", ""] {
            assert!(serde_json::from_str::<Ask>(wrong).is_err(), "{wrong}");
        }
    }
}
