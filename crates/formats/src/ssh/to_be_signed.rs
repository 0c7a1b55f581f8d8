//! What the bytes mean that somebody asks to have signed.

use keystead_core::Purpose;

use super::certificate::ToBeCertified;
use super::sshsig::SshSig;
use super::userauth::UserAuth;

/// A blob, understood to its last byte or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToBeSigned {
    /// A login.
    UserAuth(Box<UserAuth>),
    /// A signature over the hash of a file or of a `git` object.
    SshSig(SshSig),
    /// A certificate of an SSH authority.
    Certificate(Box<ToBeCertified>),
    /// None of these. Never signed unseen: `ssh-add -T` sends such.
    Opaque,
}

impl ToBeSigned {
    /// Reads `blob` whole.
    ///
    /// The forms exclude each other. [`SshSig`] starts with letters, the others with a length. A
    /// login's session id may be chosen to read as the name of a certificate type, but behind it
    /// stands the byte 50, which as the first one of a nonce's length is more than any message.
    #[must_use]
    pub fn parse(blob: &[u8]) -> Self {
        if let Ok(userauth) = UserAuth::parse(blob) {
            return Self::UserAuth(Box::new(userauth));
        }
        if let Ok(sshsig) = SshSig::parse(blob) {
            return Self::SshSig(sshsig);
        }
        match ToBeCertified::parse(blob) {
            Ok(certificate) => Self::Certificate(Box::new(certificate)),
            Err(_) => Self::Opaque,
        }
    }

    /// What the signature is for. `git` signs tags and commits in the namespace `git`.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::UserAuth(_) => Purpose::SshLogin,
            Self::SshSig(sshsig) if sshsig.namespace == GIT_NAMESPACE => Purpose::GitCommit,
            Self::SshSig(_) => Purpose::SshSig,
            Self::Certificate(_) => Purpose::SshCertificate,
            Self::Opaque => Purpose::Opaque,
        }
    }
}

/// git-config(1), `gpg.format=ssh`: the namespace that `git` passes to `ssh-keygen -Y sign`.
pub const GIT_NAMESPACE: &str = "git";
