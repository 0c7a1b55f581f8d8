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
            Self::Asking { keeper, left_s } => {
                write!(
                    f,
                    "keystead: waiting for approval on {keeper} ({left_s} s)…"
                )
            }
            Self::Approved { keeper } => write!(f, "keystead: approved on {keeper}"),
            Self::Refused { keeper, why: None } => write!(f, "keystead: refused by {keeper}"),
            Self::Refused {
                keeper,
                why: Some(why),
            } => write!(f, "keystead: refused by {keeper}: {why}"),
            Self::NoAnswer { keeper, wait_s } => {
                write!(f, "keystead: no answer from {keeper} within {wait_s} s")
            }
            Self::Unreached { keeper, why } => {
                write!(f, "keystead: {keeper} cannot be reached: {why}")
            }
            Self::Failed { keeper, why } => write!(f, "keystead: {keeper}: {why}"),
            Self::RefusedHere { why } => write!(f, "keystead: {why}"),
        }
    }
}
