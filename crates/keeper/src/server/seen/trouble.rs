//! What can be wrong with a server's log, in words.

use std::fmt;

use keystead_channel::log::{CheckpointFault, LeafFault};

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeenError {
    /// The answer lacks a part that a check needs.
    #[error("the server left out a part of its proof")]
    Incomplete,
    /// The checkpoint is none of this log.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointFault),
    /// The entry cannot be read.
    #[error("{0}")]
    Leaf(#[from] LeafFault),
    /// An entry is not in the tree that the server signed.
    #[error("entry {index} of the log is not proved")]
    Unproved {
        /// Which leaf of the tree.
        index: u64,
    },
    /// The entry is another account's.
    #[error("entry {index} of the log is not of this account")]
    OtherLog {
        /// Which leaf of the tree.
        index: u64,
    },
    /// The entry is about another request, or says that it went otherwise.
    #[error("the receipt is for another request")]
    OtherRequest,
    /// The account's entry contradicts one that was seen.
    #[error("entry {user_seq} of this account contradicts one that was seen before")]
    OtherChain {
        /// Which of the account's entries.
        user_seq: u64,
    },
    /// The log ends before what was seen.
    #[error("the log went back from {} entries to {}: {missing}", .seen.1, .told.1)]
    WentBack {
        /// Epoch and size as we have them.
        seen: (u64, u64),
        /// As they are told.
        told: (u64, u64),
        /// What is not there any more.
        missing: Missing,
    },
    /// Two histories of one length or another, in one epoch.
    #[error("the log of {} entries does not continue the one of {}: {missing}", .told.1, .seen.1)]
    Forked {
        /// Epoch and size as we have them.
        seen: (u64, u64),
        /// As they are told.
        told: (u64, u64),
        /// What is not there any more.
        missing: Missing,
    },
    /// A backup was restored that is older than what was seen.
    #[error("the server was restored from a backup that is older than what was seen: {missing}")]
    Restored {
        /// Epoch and size as we have them.
        seen: (u64, u64),
        /// As they are told.
        told: (u64, u64),
        /// What is not there any more.
        missing: Missing,
    },
    /// The notice of a new log key is not signed by the old one.
    #[error("the log's new key is not signed by the old one")]
    Key,
}

impl SeenError {
    /// Whether the server signed a history that is not the one we saw: nothing goes on
    /// until the person says so.
    #[must_use]
    pub fn is_another_history(&self) -> bool {
        match self {
            Self::OtherChain { .. }
            | Self::WentBack { .. }
            | Self::Forked { .. }
            | Self::Restored { .. }
            | Self::Unproved { .. } => true,
            Self::Incomplete
            | Self::Checkpoint(_)
            | Self::Leaf(_)
            | Self::OtherLog { .. }
            | Self::OtherRequest
            | Self::Key => false,
        }
    }

    /// What a head is that was told after another was seen, by their epochs and sizes; none where
    /// these tell nothing.
    pub(super) fn of_places(seen: (u64, u64), told: (u64, u64), missing: Missing) -> Option<Self> {
        if told.0 > seen.0 {
            Some(Self::Restored {
                seen,
                told,
                missing,
            })
        } else {
            (told < seen).then_some(Self::WentBack {
                seen,
                told,
                missing,
            })
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Incomplete | Self::Checkpoint(_) | Self::Leaf(_) | Self::Unproved { .. } => {
                "ask the operator; the answer was not used"
            }
            Self::OtherLog { .. } | Self::OtherRequest => {
                "the server answered for something else; the answer was not used"
            }
            Self::OtherChain { .. } | Self::WentBack { .. } | Self::Forked { .. } => {
                "compare `keystead audit head` with others; both heads are kept as evidence"
            }
            Self::Restored { .. } => {
                "ask the operator whether a backup was restored; then `keystead server accept NAME`"
            }
            Self::Key => "ask the operator whether the log has a new key",
        }
    }
}

/// Which of the account's entries that were seen are not there any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The first one that surely is not.
    pub first: Option<u64>,
    /// The last one.
    pub last: Option<u64>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (Some(first), Some(last)) if first == last => {
                write!(f, "entry {first} of this account is missing")
            }
            (Some(first), Some(last)) => {
                write!(f, "entries {first} to {last} of this account are missing")
            }
            _ => write!(f, "no entry of this account is known to be missing"),
        }
    }
}
