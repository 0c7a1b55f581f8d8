//! Public facts about a key that lives elsewhere.

use std::fmt;

use crate::{KeyId, Name};

/// The kinds of key that a keeper can make or hold, by their SSH names
/// (RFC 8709, RFC 5656, RFC 8332).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519, `ssh-ed25519`.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, `ecdsa-sha2-nistp256`.
    EcdsaP256,
}

/// A text that names no algorithm known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key type {0:?}; known are ed25519 and p256")]
pub struct UnknownAlgorithm(pub String);

impl Algorithm {
    /// All of them, for choices and tests.
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::EcdsaP256];

    /// The name on the wire and in public key lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
        }
    }

    /// The name that people type (`--type`).
    #[must_use]
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "p256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text || it.short_name() == text)
            .ok_or_else(|| UnknownAlgorithm(text.into()))
    }
}

/// What a signature or decryption is for (`spec/pairing.md` section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Purpose {
    /// An SSH login (`userauth`).
    SshLogin,
    /// A signature in a namespace (`ssh-keygen -Y sign`).
    SshSig,
    /// A git commit or tag in the namespace `git`.
    GitCommit,
    /// OpenPGP signatures.
    OpenPgp,
    /// An age file key.
    AgeUnwrap,
    /// Bytes that nobody can read: off by default, never granted in advance.
    Opaque,
}

impl Purpose {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::SshLogin,
        Self::SshSig,
        Self::GitCommit,
        Self::OpenPgp,
        Self::AgeUnwrap,
        Self::Opaque,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::SshLogin => 1,
            Self::SshSig => 2,
            Self::GitCommit => 3,
            Self::OpenPgp => 4,
            Self::AgeUnwrap => 5,
            Self::Opaque => 6,
        }
    }

    /// The purpose of a number on the wire; none for those that later versions add.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }

    /// The word in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SshLogin => "ssh-login",
            Self::SshSig => "ssh-sig",
            Self::GitCommit => "git-commit",
            Self::OpenPgp => "openpgp",
            Self::AgeUnwrap => "age-unwrap",
            Self::Opaque => "opaque",
        }
    }
}

/// What a key may be used for: at least one purpose, ascending, none twice.
pub type Purposes = Vec<Purpose>;

/// A key as its keeper describes it: `key` of `spec/pairing.md` section 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// SHA-256 of `public_key`.
    pub id: KeyId,
    /// As the keeper names it; [`Algorithm`] where this version knows it.
    pub algorithm: String,
    /// SSH wire blob.
    pub public_key: Vec<u8>,
    /// The holder's name for it.
    pub name: Name,
    /// At least one.
    pub purposes: Purposes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_two_names_each() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            assert_eq!(algorithm.short_name().parse(), Ok(algorithm));
        }
        assert!("ssh-dss".parse::<Algorithm>().is_err());
    }

    #[test]
    fn purposes_are_numbered_from_one_without_a_gap() {
        for (i, purpose) in Purpose::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(purpose.number()), i + 1);
            assert_eq!(Purpose::from_number(purpose.number()), Some(purpose));
        }
        assert_eq!(Purpose::from_number(0), None);
        assert_eq!(Purpose::from_number(7), None);
    }
}
