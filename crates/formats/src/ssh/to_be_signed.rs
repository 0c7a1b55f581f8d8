//! What the bytes mean that somebody asks to have signed.

use super::sshsig::SshSig;
use super::userauth::UserAuth;

/// A blob, understood to its last byte or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToBeSigned {
    /// A login.
    UserAuth(Box<UserAuth>),
    /// A signature over the hash of a file or of a `git` object.
    SshSig(SshSig),
    /// None of these. Never signed unseen: `ssh-add -T` sends such.
    Opaque,
}

impl ToBeSigned {
    /// Reads `blob` whole. The forms exclude each other by their first bytes.
    #[must_use]
    pub fn parse(blob: &[u8]) -> Self {
        if let Ok(userauth) = UserAuth::parse(blob) {
            return Self::UserAuth(Box::new(userauth));
        }
        match SshSig::parse(blob) {
            Ok(sshsig) => Self::SshSig(sshsig),
            Err(_) => Self::Opaque,
        }
    }
}
