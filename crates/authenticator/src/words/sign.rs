//! A signature in a namespace: a git commit or tag, a file, anything else.

use keystead_core::Name;

use super::login::way_row;
use super::{Hop, Origin, Row, plain, shown, warn};
use crate::entry::Entry;
use crate::show::{Safe, clip};

/// A signature in a namespace (SSHSIG).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The namespace, from the blob.
    pub namespace: String,
    /// `sha512` or `sha256`.
    pub hash_name: String,
    /// Hex of the hash.
    pub hash: String,
    /// What is known of what was hashed.
    pub content: Content,
    /// The hosts that forward the agent, the first one first.
    pub way: Vec<Hop>,
    /// The key that signs.
    pub key: Name,
    /// The program that asks.
    pub origin: Origin,
}

/// What is known of a signed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A git commit or tag: rows of label and value, and the message.
    Git {
        /// Which of the two.
        form: GitForm,
        /// Label and value.
        rows: Vec<(&'static str, String)>,
        /// The message.
        message: String,
    },
    /// Bytes came that have this hash, but they are not what this program can show.
    Unreadable {
        /// How many.
        bytes: usize,
    },
    /// Only the hash came.
    NotProved,
    /// Bytes came that have another hash.
    Differs,
}

/// What git signs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum GitForm {
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

impl GitForm {
    /// Several of them.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Commit => "git commits",
            Self::Tag => "git tags",
        }
    }

    const fn one(self) -> &'static str {
        match self {
            Self::Commit => "a git commit",
            Self::Tag => "a git tag",
        }
    }
}

impl Sign {
    /// Commit or tag, where the content is proved to be one.
    #[must_use]
    pub fn git_form(&self) -> Option<GitForm> {
        match &self.content {
            Content::Git { form, .. } => Some(*form),
            Content::Unreadable { .. } | Content::NotProved | Content::Differs => None,
        }
    }

    pub(super) fn line(&self) -> String {
        let what = match &self.content {
            Content::Git {
                form,
                rows,
                message,
            } => {
                format!(
                    "signature of {}{}",
                    form.one(),
                    subject(*form, rows, message)
                )
            }
            Content::Unreadable { .. } | Content::NotProved | Content::Differs => {
                format!("signature in the namespace {}", shown(&self.namespace))
            }
        };
        format!("{what} with {}", self.key)
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let namespace = format!("a hash in the namespace {}", shown(&self.namespace));
        let mut rows = match &self.content {
            Content::Git { form, rows, .. } => {
                let own = rows.iter().map(|(label, value)| plain(label, &**value));
                std::iter::once(plain("Sign", form.one()))
                    .chain(own)
                    .collect()
            }
            Content::Unreadable { .. } | Content::NotProved | Content::Differs => vec![
                plain("Sign", namespace),
                plain("Hash", format!("{} {}", self.hash_name, self.hash)),
            ],
        };
        if !USUAL_NAMESPACES.contains(&self.namespace.as_str()) {
            rows.push(warn("", "nobody here knows what this namespace is for"));
        }
        rows.extend(self.content.warning());
        rows.extend(way_row(&self.way));
        rows.push(plain("With key", self.key.as_str()));
        rows.extend(self.origin.rows());
        if let Content::Git { message, .. } = &self.content {
            let mut label = "Message";
            for line in message.trim_end_matches('\n').split('\n') {
                rows.push(plain(label, Safe(line).to_string()));
                label = "";
            }
        }
        rows
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.namespace = Some(self.namespace.clone());
        entry.key = Some(self.key.to_string());
        entry.path = self.way.iter().map(|hop| hop.host_key.clone()).collect();
    }
}

/// What tells one commit or tag from the next: the first line of its message, or its name.
fn subject(form: GitForm, rows: &[(&'static str, String)], message: &str) -> String {
    let subject = match form {
        GitForm::Commit => Safe(message.lines().next().unwrap_or_default()).to_string(),
        // Safe to show already, as every row.
        GitForm::Tag => rows
            .first()
            .map(|(_, name)| name.clone())
            .unwrap_or_default(),
    };
    if subject.is_empty() {
        return String::new();
    }
    format!(" \"{}\"", clip(&subject, SUBJECT_CHARS_MAX))
}

impl Content {
    fn warning(&self) -> Option<Row> {
        let words = match self {
            Self::Git { .. } => return None,
            Self::Unreadable { bytes } => {
                format!("{bytes} bytes, proved by the hash, not shown: no commit and no tag")
            }
            Self::NotProved => "content not proved: only its hash came".to_owned(),
            Self::Differs => "content not proved: what came has another hash".to_owned(),
        };
        Some(warn("Content", words))
    }
}

/// 72: the length to which people write subjects.
const SUBJECT_CHARS_MAX: usize = 72;

/// What OpenSSH's and git's own programs sign in (ssh-keygen(1), `-Y sign`; git-config(1)).
const USUAL_NAMESPACES: [&str; 3] = ["git", "file", "email"];
