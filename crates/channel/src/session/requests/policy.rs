//! Methods 14 and 15: when a server-held key may be used, and who else must agree.
//!
//! **Invariant**: all conditions that are present must hold; an absent one is none.

use keystead_core::Secret;

use crate::session::fields::{List, Text, message, numbers};
use crate::session::ids::{ApproverId, KeyId};

message! {
    /// Conditions of a key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Policy {
        /// SSH users.
        1 users: Option<List<Text<USER_BYTES_MAX>, CONDITIONS_MAX>>,
        /// H of host keys, in the hostbound form.
        2 host_keys: Option<List<[u8; 32], CONDITIONS_MAX>>,
        /// Namespaces of SSHSIG.
        3 namespaces: Option<List<Text<NAMESPACE_BYTES_MAX>, CONDITIONS_MAX>>,
        /// Logins without a host key.
        4 unproved_destination: Option<UnprovedDestination>,
        /// Hours of the week.
        5 hours: Option<Hours>,
        /// Signatures an hour.
        6 hourly_max: Option<u32>,
        /// Who approves.
        7 quorum: Option<Quorum>,
    }
}

numbers! {
    /// Whether a login without a host key is signed; not, when absent.
    UnprovedDestination {
        /// It is not.
        Refuse = 0,
        /// It is.
        Allow = 1,
    }
}

message! {
    /// Hours of the week, UTC.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Hours {
        /// Bit 0 is Monday.
        0 weekdays: u32,
        /// From this minute of the day.
        1 from_minute: u32,
        /// Until before this one.
        2 to_minute: u32,
    }
}

message! {
    /// Who approves, and how many of them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Quorum {
        /// Any of these.
        0 approvers: List<ApproverId, APPROVERS_MAX>,
        /// So many.
        1 count: u32,
    }
}

message! {
    /// Method 14.
    #[derive(Clone, Debug, PartialEq, Eq)]
    PolicyChange {
        /// Whose.
        1 key: KeyId,
        /// The whole of it.
        2 policy: Policy,
    }
}

message! {
    /// Method 15: one of these; with none, it lists.
    ApproverChange {
        /// Adds this one.
        1 add: Option<Approver>,
        /// Removes this one.
        2 remove: Option<ApproverId>,
        /// Begins the recovery of section 8: with this code, approvals that can be had no
        /// more are not wanted any more, after 72 h.
        3 recovery_code: Option<Secret<16>>,
        /// Ends a recovery that was begun, with the approval of any approver.
        4 recovery: Option<RecoveryStep>,
    }
}

numbers! {
    /// What becomes of a recovery.
    RecoveryStep {
        /// It is called off.
        Cancel = 0,
    }
}

message! {
    /// An approver.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Approver {
        /// Its Ed25519 key.
        0 public_key: [u8; 32],
        /// The person's word for it.
        1 label: Text<64>,
    }
}

message! {
    /// The result of method 15.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Approvers {
        /// All.
        0 approvers: List<Approver, APPROVERS_MAX>,
        /// From when on a recovery that was begun stands for approvals.
        1 recovery_unix_ms: Option<u64>,
    }
}

/// 64 users, host keys or namespaces: a policy that a person can read.
pub const CONDITIONS_MAX: usize = 64;

/// 16 approvers of one user.
pub const APPROVERS_MAX: usize = 16;

/// 255 bytes: an account's name.
pub(super) const USER_BYTES_MAX: usize = 255;

/// 255 bytes: a namespace of SSHSIG.
pub(super) const NAMESPACE_BYTES_MAX: usize = 255;
