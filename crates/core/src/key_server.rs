//! What a workstation asks of an authenticator for the sake of a key server
//! (`spec/pairing.md` section 5.1, kinds 13 to 15).

use std::fmt;
use std::sync::Arc;

use crate::{Name, Secret};

/// Kind 13: a key server wants a person's approval of one act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApproveServerRequest {
    /// The server's text, as it came (`spec/session.md`, approval), at most
    /// [`ApproveServerRequest::TEXT_BYTES_MAX`]. What is signed is the whole of it.
    pub text: Vec<u8>,
}

impl ApproveServerRequest {
    /// 98,304 bytes: the longest message that a server signs (65,536 bytes) and all that its
    /// approval says beside it.
    pub const TEXT_BYTES_MAX: usize = 98_304;
}

/// Kind 14: make the key that approves for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeApprovalKeyRequest {
    /// The server, as the workstation has pinned it.
    pub server_id: [u8; 16],
    /// What the person calls it.
    pub server: Name,
}

/// Kind 15: the key under which local copies of secrets lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLocalRequest {
    /// Drawn once for one store: another salt gives another key.
    pub salt: [u8; 32],
    /// What is opened, in words.
    pub what: Name,
}

/// To kind 13: the holder's approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerApproval {
    /// H(public key), cut: which of the account's approvers says so.
    pub approver: [u8; 16],
    /// Ed25519 over the text.
    pub signature: [u8; 64],
}

/// To kind 15: a key that opens what lies on the workstation.
///
/// A handle on one [`Secret`]: handles are passed on with the answer, its bytes are not copied.
#[derive(Clone)]
pub struct LocalKey(Arc<Secret<32>>);

impl LocalKey {
    /// A handle on this key.
    #[must_use]
    pub fn new(key: Secret<32>) -> Self {
        Self(Arc::new(key))
    }

    /// The key.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKey(..)")
    }
}

impl PartialEq for LocalKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0)
    }
}

impl Eq for LocalKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_key_is_never_printed() {
        let key = LocalKey::new(Secret::fill(|bytes| bytes.fill(0x5a)));
        assert_eq!(format!("{key:?}"), "LocalKey(..)");
        assert_eq!(key, key.clone());
        assert_ne!(key, LocalKey::new(Secret::fill(|bytes| bytes.fill(0x5b))));
    }
}
