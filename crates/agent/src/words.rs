//! The one line that a person reads at the terminal where `ssh` waits.

/// What is said, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words<'a> {
    /// Nobody has answered yet.
    Reaching {
        /// Where.
        keeper: &'a str,
        /// Time left.
        left_s: u64,
    },
    /// A person is being asked.
    Asking {
        /// Where.
        keeper: &'a str,
        /// For which account where, if that is known: `ssh -J` logs in more than once.
        login: Option<&'a str>,
        /// Time left.
        left_s: u64,
    },
    /// Yes; said only after [`Words::Asking`].
    Approved {
        /// Where.
        keeper: &'a str,
    },
    /// No.
    Refused {
        /// Where.
        keeper: &'a str,
        /// Why, where it is known.
        why: Option<&'a str>,
    },
    /// Nobody decided in time.
    NoAnswer {
        /// Where.
        keeper: &'a str,
        /// How long was waited.
        wait_s: u64,
    },
    /// No way led there.
    Unreached {
        /// Where.
        keeper: &'a str,
        /// What was tried.
        why: &'a str,
    },
    /// It could not be done there.
    Failed {
        /// Where.
        keeper: &'a str,
        /// Why.
        why: &'a str,
    },
    /// A key server wants a login.
    SessionEnded {
        /// Where.
        keeper: &'a str,
    },
    /// A key's policy at a server says no.
    Forbidden {
        /// Where.
        keeper: &'a str,
        /// Which condition, in brackets; may be nothing.
        why: &'a str,
    },
    /// Something is to be done on a device in the person's hand.
    OnDevice {
        /// What.
        text: &'a str,
    },
    /// Nobody was asked.
    RefusedHere {
        /// Why.
        why: &'a str,
    },
}

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reaching { keeper, left_s } => {
                write!(
                    f,
                    "keystead: no answer from {keeper} yet ({left_s} s left)…"
                )
            }
            Self::Asking {
                keeper,
                login,
                left_s,
            } => {
                write!(f, "keystead: waiting for approval on {keeper}")?;
                if let Some(login) = login {
                    write!(f, " for {}", Plain(login))?;
                }
                write!(f, " ({left_s} s)…")
            }
            Self::Approved { keeper } => write!(f, "keystead: approved on {keeper}"),
            Self::Refused { keeper, why: None } => write!(f, "keystead: refused by {keeper}"),
            Self::Refused {
                keeper,
                why: Some(why),
            } => write!(f, "keystead: refused by {keeper}: {}", Plain(why)),
            Self::NoAnswer { keeper, wait_s } => {
                write!(f, "keystead: no answer from {keeper} within {wait_s} s")
            }
            Self::Unreached { keeper, why } => {
                write!(f, "keystead: {keeper} cannot be reached: {}", Plain(why))
            }
            Self::Failed { keeper, why } => write!(f, "keystead: {keeper}: {}", Plain(why)),
            Self::SessionEnded { keeper } => write!(
                f,
                "keystead: the session at {keeper} has ended; \
                 log in again: keystead server login --server {keeper}"
            ),
            Self::Forbidden { keeper, why } => {
                write!(
                    f,
                    "keystead: forbidden by the key's policy at {keeper}{why}"
                )
            }
            Self::OnDevice { text } => write!(f, "keystead: {}", Plain(text)),
            Self::RefusedHere { why } => write!(f, "keystead: {}", Plain(why)),
        }
    }
}

/// Text that others had a hand in (a relay's error, a keeper's): it moves no cursor.
struct Plain<'a>(&'a str);

impl std::fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            if keystead_core::is_unsafe_to_show(character) {
                write!(f, "\\u{{{:x}}}", u32::from(character))?;
            } else {
                std::fmt::Write::write_char(f, character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_is_said_and_for_which_login() {
        let check = |login, expected: &str| {
            let words = Words::Asking {
                keeper: "phone",
                login,
                left_s: 60,
            };
            assert_eq!(words.to_string(), expected);
        };
        check(None, "keystead: waiting for approval on phone (60 s)…");
        check(
            Some("alex@db1\u{1b}"),
            "keystead: waiting for approval on phone for alex@db1\\u{1b} (60 s)…",
        );
    }

    #[test]
    fn what_others_wrote_moves_no_cursor() {
        let why = "502 \u{1b}[2J\r\u{202e}ok";
        let words = Words::Unreached {
            keeper: "phone",
            why,
        };
        assert_eq!(
            words.to_string(),
            "keystead: phone cannot be reached: 502 \\u{1b}[2J\\u{d}\\u{202e}ok"
        );
    }
}
