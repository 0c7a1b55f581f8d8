//! What an entry says beyond its fixed fields.
//!
//! **Invariant**: nothing secret and no name of a person stands here; an absent detail
//! is the empty map, one byte.

use super::tree::{Hash, content_hash};
use crate::session::fields::{Text, message};
use crate::session::requests::{Intent, KeyType, Policy, SignPurpose};
use crate::session::{ApproverId, BindingKind, KeyId, SessionId};

message! {
    /// What an entry says beyond its fixed fields; which are there depends on the action.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    Detail {
        /// Sign: what the signature is for.
        0 purpose: Option<SignPurpose>,
        /// Login, resumed: whether the session is bound to its TLS connection.
        1 binding: Option<BindingKind>,
        /// H(approval ‖ signature), where an approver agreed.
        2 approval: Option<Hash>,
        /// The number of the policy's condition that did not hold.
        3 condition: Option<u32>,
        /// Rename: the label's revision that stands afterwards.
        4 revision: Option<u32>,
        /// Store, make, import: what it is.
        5 key_type: Option<KeyType>,
        /// Make, import: H(public key).
        6 public_key: Option<Hash>,
        /// Store, make, import: the older key that it rotates.
        7 replaces: Option<KeyId>,
        /// Waits: how many logins were not looked at. List, audit: how many were told.
        8 count: Option<u64>,
        /// Closed, ticket reused: which session.
        9 session: Option<SessionId>,
        /// Retrieve: what for.
        10 intent: Option<Intent>,
        /// Approvers: which was added or removed.
        11 approver: Option<ApproverId>,
        /// Operator act: the verb.
        12 verb: Option<Text<64>>,
        /// Restored: the epoch before.
        13 epoch: Option<u64>,
        /// Restored: the size of the tree that the backup held.
        14 size: Option<u64>,
        /// Restored: its root. Key change: the new key.
        15 hash: Option<Hash>,
        /// Clock: what it said last, unix ms.
        16 before_unix_ms: Option<u64>,
        /// Clock: what it said next, unix ms.
        17 after_unix_ms: Option<u64>,
        /// Key change: the old key's signature over the new one.
        18 signature: Option<[u8; 64]>,
        /// In the system log: the tag of the name, or the log that the act is about, cut.
        19 tag: Option<[u8; 16]>,
        /// Make, import, policy: H(the policy that stands afterwards), if there is one.
        20 policy: Option<Hash>,
    }
}

impl Detail {
    /// Says nothing.
    pub const NONE: Self = Self {
        purpose: None,
        binding: None,
        approval: None,
        condition: None,
        revision: None,
        key_type: None,
        public_key: None,
        replaces: None,
        count: None,
        session: None,
        intent: None,
        approver: None,
        verb: None,
        epoch: None,
        size: None,
        hash: None,
        before_unix_ms: None,
        after_unix_ms: None,
        signature: None,
        tag: None,
        policy: None,
    };

    /// What stands for a policy: the hash of its deterministic CBOR.
    #[must_use]
    pub fn policy_hash(policy: &Policy) -> Hash {
        content_hash(&policy.encode())
    }
}

/// 512 bytes: CBOR of what an entry says beyond its fields.
pub const DETAIL_BYTES_MAX: usize = 512;

/// All fields at their longest stay below the limit of a leaf.
const _: () = assert!(21 * 4 + 6 * 34 + 66 + 4 * 18 + 66 < DETAIL_BYTES_MAX);
