//! Methods 16 and 17: the log.
//!
//! **Invariant**: leaves, hashes and checkpoints are opaque here; what they mean and
//! whether they fit together is checked where the log is kept and read.

use crate::session::fields::{List, Octets, message, numbers};
use crate::session::ids::KeyId;

message! {
    /// That an entry is in the log (`spec/audit.md` section 5).
    #[derive(Clone, Debug, PartialEq, Eq)]
    Receipt {
        /// Which leaf of the tree.
        0 index: u64,
        /// The leaf.
        1 leaf: Octets<LEAF_BYTES_MAX>,
        /// Its inclusion path (RFC 6962 section 2.1.1).
        2 path: List<[u8; 32], PATH_MAX>,
        /// The checkpoint that the path leads to.
        3 checkpoint: Octets<CHECKPOINT_BYTES_MAX>,
    }
}

message! {
    /// Method 16.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Audit {
        /// Which entries.
        1 scope: Scope,
        /// Of these keys alone.
        2 keys: Option<List<KeyId, INDICES_MAX>>,
        /// Later than this.
        3 after_unix_ms: Option<u64>,
        /// Earlier than this.
        4 before_unix_ms: Option<u64>,
        /// From this user_seq on.
        5 cursor: Option<u64>,
        /// Inclusion paths too.
        6 proofs: bool,
    }
}

numbers! {
    /// Which entries.
    Scope {
        /// Those without a key id.
        System = 0,
        /// Those with one.
        Keys = 1,
        /// All.
        All = 2,
    }
}

message! {
    /// The result of method 16.
    #[derive(Clone, Debug, PartialEq, Eq)]
    AuditPage {
        /// In order.
        0 leaves: List<Octets<LEAF_BYTES_MAX>, INDICES_MAX>,
        /// The cursor of what follows, if anything does.
        1 next: Option<u64>,
        /// One a leaf, if asked for: its index and path under the checkpoint.
        2 proofs: Option<List<Proof, INDICES_MAX>>,
        /// What the paths lead to.
        3 checkpoint: Octets<CHECKPOINT_BYTES_MAX>,
    }
}

message! {
    /// Where a leaf stands.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Proof {
        /// Which leaf of the tree.
        0 index: u64,
        /// Its inclusion path.
        1 path: List<[u8; 32], PATH_MAX>,
    }
}

message! {
    /// Method 17.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Head {
        /// Consistency from this size, if wanted.
        1 from_size: Option<u64>,
        /// Inclusion paths of these leaves.
        2 indices: List<u64, INDICES_MAX>,
    }
}

message! {
    /// The result of method 17.
    #[derive(Clone, Debug, PartialEq, Eq)]
    HeadPage {
        /// The newest.
        0 checkpoint: Octets<CHECKPOINT_BYTES_MAX>,
        /// RFC 6962 section 2.1.2.
        1 consistency: Option<List<[u8; 32], PATH_MAX>>,
        /// One an index, in their order.
        2 proofs: List<Proof, INDICES_MAX>,
    }
}

/// 1,024 bytes: a leaf has 151 and a detail of at most 512.
pub const LEAF_BYTES_MAX: usize = 1_024;

/// 4,096 bytes: a signed note with some witnesses' lines.
pub const CHECKPOINT_BYTES_MAX: usize = 4_096;

/// 128 hashes: a consistency proof in a tree of 2⁶⁴ leaves.
pub const PATH_MAX: usize = 128;

/// 256 leaves or indices at once.
pub const INDICES_MAX: usize = 256;
