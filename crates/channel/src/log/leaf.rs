//! One entry as the tree holds it (`spec/audit.md` section 2).
//!
//! **Invariant**: a leaf has one encoding, and the decoder takes no other; its hash is
//! the hash of its whole content.

use super::detail::{DETAIL_BYTES_MAX, Detail};
use super::tree::{Hash, leaf_hash};
use crate::session::UserId;
use crate::wire::Fault;

/// Whose log an entry stands in: H("keystead/1 log" ‖ user_id), cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    /// The system's own.
    pub const SYSTEM: Self = Self([0; 16]);

    /// The user's.
    #[must_use]
    pub fn of(user: &UserId) -> Self {
        let hash = super::tree::sha256(&[b"keystead/1 log", &user.0]);
        Self(hash.first_chunk().copied().unwrap_or_default())
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Whose log.
    pub log: LogId,
    /// Its number in that log, from 0, without a gap.
    pub user_seq: u64,
    /// The leaf hash of that log's entry before; zeros for the first.
    pub before: Hash,
    /// When, by the server's clock, unix ms.
    pub time_unix_ms: u64,
    /// [`super::Action::number`]; a later version may have others.
    pub action: u16,
    /// The status code.
    pub outcome: u16,
    /// The session, cut; 0 = before login, 1 = the operator.
    pub actor: [u8; 8],
    /// The key, or zeros.
    pub key: [u8; 16],
    /// H("keystead/1 request" ‖ user_id ‖ method ‖ body), or zeros.
    pub request_hash: Hash,
    /// CBOR of a [`Detail`].
    pub detail: Vec<u8>,
}

impl Leaf {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + self.detail.len());
        out.push(VERSION);
        out.extend_from_slice(&self.log.0);
        out.extend_from_slice(&self.user_seq.to_be_bytes());
        out.extend_from_slice(&self.before);
        out.extend_from_slice(&self.time_unix_ms.to_be_bytes());
        out.extend_from_slice(&self.action.to_be_bytes());
        out.extend_from_slice(&self.outcome.to_be_bytes());
        out.extend_from_slice(&self.actor);
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.request_hash);
        let length = u16::try_from(self.detail.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.detail);
        out
    }

    /// Reads it, whole.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafFault> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        if version != VERSION {
            return Err(LeafFault::Version(version));
        }
        let leaf = Self {
            log: LogId(take(&mut rest)?),
            user_seq: u64::from_be_bytes(take(&mut rest)?),
            before: take(&mut rest)?,
            time_unix_ms: u64::from_be_bytes(take(&mut rest)?),
            action: u16::from_be_bytes(take(&mut rest)?),
            outcome: u16::from_be_bytes(take(&mut rest)?),
            actor: take(&mut rest)?,
            key: take(&mut rest)?,
            request_hash: take(&mut rest)?,
            detail: Vec::new(),
        };
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        if length > DETAIL_BYTES_MAX {
            return Err(LeafFault::Detail(length));
        }
        match rest.len() {
            left if left < length => Err(LeafFault::Truncated),
            left if left > length => Err(LeafFault::LeftOver),
            _ => Ok(Self {
                detail: rest.to_vec(),
                ..leaf
            }),
        }
    }

    /// Its hash in the tree, and what the next entry of the log follows.
    #[must_use]
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.encode())
    }

    /// The detail, read.
    ///
    /// # Errors
    /// It is none that this version knows.
    pub fn detail(&self) -> Result<Detail, Fault> {
        Detail::decode(&self.detail)
    }
}

/// Why bytes are no leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafFault {
    /// It ends too early.
    #[error("the entry is cut off")]
    Truncated,
    /// Bytes stand behind its end.
    #[error("bytes are left over behind the entry")]
    LeftOver,
    /// A version above 1.
    #[error("the entry has version {0}")]
    Version(u8),
    /// Longer than a detail may be.
    #[error("the entry's detail has {0} bytes")]
    Detail(usize),
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], LeafFault> {
    let (head, tail) = rest.split_first_chunk().ok_or(LeafFault::Truncated)?;
    *rest = tail;
    Ok(*head)
}

/// Version 1.
const VERSION: u8 = 1;

/// 127 bytes before the detail.
const FIXED_BYTES: usize = 127;
