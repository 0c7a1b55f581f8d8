//! A signature that a program wants, before anybody is asked.

use keystead_core::KeyId;
use keystead_formats::ssh::ToBeSigned;

use crate::kept::KeptKey;

/// A signature that a program wants.
pub struct Wanted {
    /// By which key.
    pub by: By,
    /// Of what.
    pub message: Vec<u8>,
    /// The same, understood.
    pub content: ToBeSigned,
    /// As in the agent protocol.
    pub flags: u32,
}

/// Where a key lives.
pub enum By {
    /// At keepers, to be asked in turn where one cannot be reached; at least one.
    Keepers(Vec<KeptKey>),
    /// At the local authenticator.
    Local(LocalKey),
}

/// What has to be known of a key at the local authenticator.
pub struct LocalKey {
    /// By which it is asked for.
    pub id: KeyId,
    /// Its comment, for the log.
    pub name: String,
    /// For the log.
    pub fingerprint: String,
    /// Its use is limited: what the connection has proved goes along.
    pub is_limited: bool,
}
