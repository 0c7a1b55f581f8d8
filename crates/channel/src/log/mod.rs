//! The log of a key server: leaves, one Merkle tree over all users, proofs, checkpoints
//! (`spec/audit.md`). Both ends use it: the server makes what the client checks.
//!
//! **Invariant**: bytes in, bytes and verdicts out. A leaf, a checkpoint and an export
//! have one encoding each; what a decoder here accepts, the encoder gives back.
//!
//! | module | subject |
//! |---|---|
//! | [`Leaf`], [`Detail`], [`Action`] | what one entry says |
//! | [`tree`] | hashes of RFC 6962, the right edge of a growing tree, paths |
//! | [`tile`] | hashes in blocks of 256 (C2SP tlog-tiles) |
//! | [`Checkpoint`] | the signed head (C2SP signed-note, tlog-checkpoint) |
//! | [`export`] | what an auditor is handed |

mod action;
mod checkpoint;
mod detail;
pub mod export;
mod leaf;
pub mod proof;
pub mod tile;
pub mod tree;

pub use action::Action;
pub use checkpoint::{
    Checkpoint, CheckpointFault, SIGNATURES_MAX, is_signed, key_hash, key_notice,
};
pub use detail::{DETAIL_BYTES_MAX, Detail};
pub use leaf::{Leaf, LeafFault, LogId};
pub use tree::{Hash, content_hash};
