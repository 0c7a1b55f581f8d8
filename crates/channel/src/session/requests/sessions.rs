//! Methods 0 and 18 to 22: sessions, passwords, the recovery code.
//!
//! **Invariant**: what a session opens with says what the client already knew of the
//! log, so a log that went back is found at once.

use keystead_core::Secret;

use super::audit::{CHECKPOINT_BYTES_MAX, PATH_MAX, Receipt};
use super::secrets::SEALED_STORAGE_KEY_BYTES;
use crate::session::fields::{List, Nullable, Octets, Text, Value, message};
use crate::session::hello::Limits;
use crate::session::ids::{SessionId, UserId};
use crate::session::opaque::{Profile, RECORD_BYTES};
use crate::wire::{Fault, Reader, Writer};

message! {
    /// Method 0.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Open {
        /// The log as the client last saw it.
        1 known: Known,
        /// The person's word for this machine.
        2 device: Text<64>,
        /// Whether a device pass is wanted.
        3 pass_wanted: bool,
    }
}

/// The log as the client last saw it; null where it saw none.
pub type Known = Nullable<SeenLog>;

/// `[epoch, tree size]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenLog {
    /// Raised when a backup was restored.
    pub epoch: u64,
    /// Leaves.
    pub size: u64,
}

impl Value for SeenLog {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.tuple(2)?;
        Ok(Self {
            epoch: reader.unsigned()?,
            size: reader.unsigned()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.list(2).unsigned(self.epoch).unsigned(self.size);
    }
}

message! {
    /// The result of method 0. A registration session has keys 0 and 4 alone.
    OpenedResult {
        /// Who logged in.
        0 user: UserId,
        /// The newest checkpoint.
        1 checkpoint: Option<Octets<CHECKPOINT_BYTES_MAX>>,
        /// From the size that the client knew.
        2 consistency: Option<List<[u8; 32], PATH_MAX>>,
        /// The newest entry of the user.
        3 chain_head: Option<Receipt>,
        /// What the server keeps to.
        4 limits: Limits,
        /// If one was wanted.
        5 pass: Option<Secret<32>>,
        /// Since the last login.
        6 failed_logins: Option<u32>,
    }
}

message! {
    /// Method 18: closes one, or lists.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Sessions {
        /// Closes this one.
        1 close: Option<SessionId>,
    }
}

message! {
    /// The result of method 18 without a session to close.
    #[derive(Clone, Debug, PartialEq, Eq)]
    SessionList {
        /// All of the user's.
        0 sessions: List<SessionEntry, SESSIONS_MAX>,
    }
}

message! {
    /// A session as its user sees it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    SessionEntry {
        /// Its id.
        0 session: SessionId,
        /// The machine's name, as it was told.
        1 device: Text<64>,
        /// When it was opened.
        2 login_unix_ms: u64,
        /// When it was last used.
        3 last_unix_ms: u64,
    }
}

message! {
    /// Method 19.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    LogOut {
        /// All sessions of the user, not this one alone.
        1 everywhere: bool,
    }
}

message! {
    /// Method 20.
    #[derive(Clone, Debug, PartialEq, Eq)]
    PasswordStart {
        /// RegistrationRequest.
        1 request: [u8; 32],
    }
}

message! {
    /// The result of method 20.
    #[derive(Clone, Debug, PartialEq, Eq)]
    PasswordResponse {
        /// RegistrationResponse.
        0 response: [u8; 64],
    }
}

message! {
    /// Method 21.
    #[derive(Clone, Debug, PartialEq, Eq)]
    PasswordFinish {
        /// RegistrationUpload.
        1 record: [u8; RECORD_BYTES],
        /// How the new password was stretched.
        2 profile: Profile,
        /// The storage key under the new master key.
        3 storage_key: [u8; SEALED_STORAGE_KEY_BYTES],
    }
}

message! {
    /// Method 22.
    #[derive(Clone, Debug, PartialEq, Eq)]
    RecoveryCode {
        /// H(new code).
        1 recovery_hash: [u8; 32],
    }
}

/// 256 sessions in one answer: a server's limit may be set above 16.
const SESSIONS_MAX: usize = 256;
