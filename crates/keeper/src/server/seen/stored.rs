//! What is kept of a log, as JSON.
//!
//! **Invariant**: what is written reads back the same, a dispute included: a client that
//! stopped stays stopped when it starts again.

use keystead_channel::log::Checkpoint;
use keystead_channel::session::ServerId;
use keystead_core::hex;
use serde::{Deserialize, Serialize};

use super::{Dispute, Missing, Own, Seen, SeenError, SignedHead, Unproven};

/// The file is none of ours, or of a later version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is kept of the server's log cannot be read")]
pub struct UnreadableSeen;

impl Seen {
    /// As JSON, for a file that only its owner reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        let stored = Stored {
            version: VERSION,
            server: hex::encode(&self.server.0),
            log_key: hex::encode(&self.log_key),
            head: self.head.as_ref().map(text),
            own: self.own.iter().map(StoredOwn::of).collect(),
            unproven: self.unproven.iter().map(StoredEntry::of).collect(),
            shown: self.shown.as_ref().map(text),
            receipts: self.receipts,
            since_ms: self.since_ms,
            others: self.others.iter().map(text).collect(),
            dispute: self.dispute.as_ref().map(StoredDispute::of),
        };
        // Numbers, texts and lists of them: there is nothing that JSON has no form for.
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`UnreadableSeen`].
    pub fn from_json(json: &str) -> Result<Self, UnreadableSeen> {
        let stored: Stored = serde_json::from_str(json).map_err(|_| UnreadableSeen)?;
        stored.read().ok_or(UnreadableSeen)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    server: String,
    log_key: String,
    head: Option<String>,
    own: Vec<StoredOwn>,
    unproven: Vec<StoredEntry>,
    #[serde(default)]
    shown: Option<String>,
    receipts: u32,
    since_ms: Option<u64>,
    others: Vec<String>,
    dispute: Option<StoredDispute>,
}

impl Stored {
    fn read(self) -> Option<Seen> {
        if self.version != VERSION {
            return None;
        }
        let head = match self.head {
            Some(note) => Some(read_head(note)?),
            None => None,
        };
        let shown = match self.shown {
            Some(note) => Some(read_head(note)?),
            None => None,
        };
        let dispute = match self.dispute {
            Some(dispute) => Some(dispute.read()?),
            None => None,
        };
        Some(Seen {
            server: ServerId(hex::decode_array(&self.server)?),
            log_key: hex::decode_array(&self.log_key)?,
            head,
            own: self
                .own
                .iter()
                .map(StoredOwn::read)
                .collect::<Option<_>>()?,
            unproven: self
                .unproven
                .iter()
                .map(StoredEntry::read)
                .collect::<Option<_>>()?,
            shown,
            receipts: self.receipts,
            since_ms: self.since_ms,
            others: self
                .others
                .into_iter()
                .map(read_head)
                .collect::<Option<_>>()?,
            dispute,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredOwn {
    user_seq: u64,
    index: u64,
    hash: String,
    before: String,
}

impl StoredOwn {
    fn of(own: &Own) -> Self {
        Self {
            user_seq: own.user_seq,
            index: own.index,
            hash: hex::encode(&own.hash),
            before: hex::encode(&own.before),
        }
    }

    fn read(&self) -> Option<Own> {
        Some(Own {
            user_seq: self.user_seq,
            index: self.index,
            hash: hex::decode_array(&self.hash)?,
            before: hex::decode_array(&self.before)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry {
    index: u64,
    hash: String,
}

impl StoredEntry {
    fn of(entry: &Unproven) -> Self {
        Self {
            index: entry.index,
            hash: hex::encode(&entry.hash),
        }
    }

    fn read(&self) -> Option<Unproven> {
        Some(Unproven {
            index: self.index,
            hash: hex::decode_array(&self.hash)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredDispute {
    error: StoredError,
    told: String,
    own: Option<StoredOwn>,
}

impl StoredDispute {
    fn of(dispute: &Dispute) -> Self {
        Self {
            error: StoredError::of(&dispute.error),
            told: text(&dispute.told),
            own: dispute.own.as_ref().map(StoredOwn::of),
        }
    }

    fn read(self) -> Option<Dispute> {
        let own = match &self.own {
            Some(own) => Some(own.read()?),
            None => None,
        };
        Some(Dispute {
            error: self.error.read(),
            told: read_head(self.told)?,
            own,
        })
    }
}

/// The errors that stop a client.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StoredError {
    OtherChain { user_seq: u64 },
    Unproved { index: u64 },
    WentBack(StoredHeads),
    Forked(StoredHeads),
    Restored(StoredHeads),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHeads {
    seen: (u64, u64),
    told: (u64, u64),
    missing: (Option<u64>, Option<u64>),
}

impl StoredError {
    fn of(error: &SeenError) -> Self {
        let heads = |seen: &(u64, u64), told: &(u64, u64), missing: &Missing| StoredHeads {
            seen: *seen,
            told: *told,
            missing: (missing.first, missing.last),
        };
        match error {
            SeenError::OtherChain { user_seq } => Self::OtherChain {
                user_seq: *user_seq,
            },
            SeenError::Unproved { index } => Self::Unproved { index: *index },
            SeenError::WentBack {
                seen,
                told,
                missing,
            } => Self::WentBack(heads(seen, told, missing)),
            SeenError::Restored {
                seen,
                told,
                missing,
            } => Self::Restored(heads(seen, told, missing)),
            SeenError::Forked {
                seen,
                told,
                missing,
            } => Self::Forked(heads(seen, told, missing)),
            // These stop nothing, so they are never kept.
            SeenError::Incomplete
            | SeenError::Checkpoint(_)
            | SeenError::Leaf(_)
            | SeenError::OtherLog { .. }
            | SeenError::OtherRequest
            | SeenError::Key => Self::Unproved { index: 0 },
        }
    }

    fn read(self) -> SeenError {
        let missing = |heads: &StoredHeads| Missing {
            first: heads.missing.0,
            last: heads.missing.1,
        };
        match self {
            Self::OtherChain { user_seq } => SeenError::OtherChain { user_seq },
            Self::Unproved { index } => SeenError::Unproved { index },
            Self::WentBack(heads) => SeenError::WentBack {
                seen: heads.seen,
                told: heads.told,
                missing: missing(&heads),
            },
            Self::Forked(heads) => SeenError::Forked {
                seen: heads.seen,
                told: heads.told,
                missing: missing(&heads),
            },
            Self::Restored(heads) => SeenError::Restored {
                seen: heads.seen,
                told: heads.told,
                missing: missing(&heads),
            },
        }
    }
}

fn text(head: &SignedHead) -> String {
    // A note that was read is UTF-8.
    String::from_utf8_lossy(&head.note).into_owned()
}

fn read_head(note: String) -> Option<SignedHead> {
    let note = note.into_bytes();
    let checkpoint = Checkpoint::read(&note).ok()?;
    Some(SignedHead { checkpoint, note })
}

/// The form of the file.
const VERSION: u32 = 1;
