//! Public facts about a key that lives elsewhere.

use std::fmt;

use crate::{KeyId, Name};

/// The kinds of key that a keeper can hold: by their SSH names (RFC 8709, RFC 5656, RFC 8332,
/// OpenSSH PROTOCOL.u2f), and those that SSH does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519, `ssh-ed25519`.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, `ecdsa-sha2-nistp256`.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384, `ecdsa-sha2-nistp384`.
    EcdsaP384,
    /// ECDSA on P-521 with SHA-512, `ecdsa-sha2-nistp521`; imported, never made.
    EcdsaP521,
    /// RSA of 2,048 to 8,192 bits, `ssh-rsa`; signs as `rsa-sha2-256` or `rsa-sha2-512`.
    Rsa,
    /// Ed25519 with user presence, `sk-ssh-ed25519@openssh.com`.
    SkEd25519,
    /// ECDSA on P-256 with user presence, `sk-ecdsa-sha2-nistp256@openssh.com`.
    SkEcdsaP256,
    /// ECDSA on secp256k1, `ecdsa-secp256k1`; for OpenPGP alone.
    EcdsaSecp256k1,
    /// Key agreement on Curve25519, `x25519`.
    X25519,
    /// Key agreement on P-256, `ecdh-p256`.
    EcdhP256,
    /// Key agreement on secp256k1, `ecdh-secp256k1`.
    EcdhSecp256k1,
}

/// A text that names no algorithm known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key type {0:?}")]
pub struct UnknownAlgorithm(pub String);

impl Algorithm {
    /// All of them, for choices and tests.
    pub const ALL: [Self; 11] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa,
        Self::SkEd25519,
        Self::SkEcdsaP256,
        Self::EcdsaSecp256k1,
        Self::X25519,
        Self::EcdhP256,
        Self::EcdhSecp256k1,
    ];

    /// Those that SSH has: their public keys are SSH wire blobs. The others' are an uncompressed
    /// point (SEC 1 section 2.3.3; 65 bytes), or the 32 bytes of X25519 (RFC 7748 section 5).
    pub const SSH: [Self; 7] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa,
        Self::SkEd25519,
        Self::SkEcdsaP256,
    ];

    /// The name on the wire and in public key lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
            Self::EcdsaSecp256k1 => "ecdsa-secp256k1",
            Self::X25519 => "x25519",
            Self::EcdhP256 => "ecdh-p256",
            Self::EcdhSecp256k1 => "ecdh-secp256k1",
        }
    }

    /// The name that people type (`--type`).
    #[must_use]
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "p256",
            Self::EcdsaP384 => "p384",
            Self::EcdsaP521 => "p521",
            Self::Rsa => "rsa",
            Self::SkEd25519 => "ed25519-sk",
            Self::SkEcdsaP256 => "p256-sk",
            Self::EcdsaSecp256k1 => "secp256k1",
            Self::X25519 | Self::EcdhP256 | Self::EcdhSecp256k1 => self.as_str(),
        }
    }

    /// Whether SSH has it.
    #[must_use]
    pub const fn is_ssh(self) -> bool {
        !matches!(self, Self::EcdsaSecp256k1) && !self.agrees()
    }

    /// Whether it agrees on keys; else it signs.
    #[must_use]
    pub const fn agrees(self) -> bool {
        matches!(self, Self::X25519 | Self::EcdhP256 | Self::EcdhSecp256k1)
    }

    /// Whether its signatures state that a person was present (OpenSSH PROTOCOL.u2f): then no
    /// grant may make one.
    #[must_use]
    pub const fn has_presence(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkEcdsaP256)
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

/// What can be made: an algorithm and, for RSA, a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyType {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSA of 3,072 bits.
    Rsa3072,
    /// RSA of 4,096 bits.
    Rsa4096,
    /// Ed25519 with user presence.
    SkEd25519,
    /// ECDSA on P-256 with user presence.
    SkEcdsaP256,
    /// ECDSA on secp256k1.
    EcdsaSecp256k1,
    /// Key agreement on Curve25519.
    X25519,
    /// Key agreement on P-256.
    EcdhP256,
    /// Key agreement on secp256k1.
    EcdhSecp256k1,
}

/// A text that names no type of key that can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown key type {0:?}; known are ed25519, p256, p384, rsa3072, rsa4096, ed25519-sk, p256-sk, \
     secp256k1, x25519, ecdh-p256 and ecdh-secp256k1"
)]
pub struct UnknownKeyType(pub String);

impl KeyType {
    /// All of them, for choices and tests.
    pub const ALL: [Self; 11] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::SkEd25519,
        Self::SkEcdsaP256,
        Self::EcdsaSecp256k1,
        Self::X25519,
        Self::EcdhP256,
        Self::EcdhSecp256k1,
    ];

    /// Those that SSH has.
    pub const SSH: [Self; 7] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::SkEd25519,
        Self::SkEcdsaP256,
    ];

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::Ed25519,
            Self::EcdsaP256 => Algorithm::EcdsaP256,
            Self::EcdsaP384 => Algorithm::EcdsaP384,
            Self::Rsa3072 | Self::Rsa4096 => Algorithm::Rsa,
            Self::SkEd25519 => Algorithm::SkEd25519,
            Self::SkEcdsaP256 => Algorithm::SkEcdsaP256,
            Self::EcdsaSecp256k1 => Algorithm::EcdsaSecp256k1,
            Self::X25519 => Algorithm::X25519,
            Self::EcdhP256 => Algorithm::EcdhP256,
            Self::EcdhSecp256k1 => Algorithm::EcdhSecp256k1,
        }
    }

    /// The name in kind 9: the algorithm's, and for RSA the size behind a hyphen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa3072 => "ssh-rsa-3072",
            Self::Rsa4096 => "ssh-rsa-4096",
            Self::Ed25519
            | Self::EcdsaP256
            | Self::EcdsaP384
            | Self::SkEd25519
            | Self::SkEcdsaP256
            | Self::EcdsaSecp256k1
            | Self::X25519
            | Self::EcdhP256
            | Self::EcdhSecp256k1 => self.algorithm().as_str(),
        }
    }

    /// The name that people type (`--type`).
    #[must_use]
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::Ed25519
            | Self::EcdsaP256
            | Self::EcdsaP384
            | Self::SkEd25519
            | Self::SkEcdsaP256
            | Self::EcdsaSecp256k1
            | Self::X25519
            | Self::EcdhP256
            | Self::EcdhSecp256k1 => self.algorithm().short_name(),
        }
    }
}

impl std::str::FromStr for KeyType {
    type Err = UnknownKeyType;

    /// `rsa` alone is RSA of 3,072 bits, as `ssh-keygen` makes it.
    fn from_str(text: &str) -> Result<Self, UnknownKeyType> {
        if text == Algorithm::Rsa.short_name() || text == Algorithm::Rsa.as_str() {
            return Ok(Self::Rsa3072);
        }
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text || it.short_name() == text)
            .ok_or_else(|| UnknownKeyType(text.into()))
    }
}

/// What a signature or decryption is for (`spec/pairing.md` section 5).
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
    /// A minisign signature of a file.
    Signify,
    /// What was encrypted to an OpenPGP key.
    OpenPgpDecrypt,
    /// An SSH certificate, signed as its authority.
    SshCertificate,
}

impl Purpose {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::SshLogin,
        Self::SshSig,
        Self::GitCommit,
        Self::OpenPgp,
        Self::AgeUnwrap,
        Self::Opaque,
        Self::Signify,
        Self::OpenPgpDecrypt,
        Self::SshCertificate,
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
            Self::Signify => 7,
            Self::OpenPgpDecrypt => 8,
            Self::SshCertificate => 9,
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
            Self::Signify => "signify",
            Self::OpenPgpDecrypt => "openpgp-decrypt",
            Self::SshCertificate => "ssh-certificate",
        }
    }
}

/// What a key may be used for: at least one purpose, ascending, none twice.
pub type Purposes = Vec<Purpose>;

/// A key as its keeper describes it: `key` of `spec/pairing.md` section 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// SHA-256 of `public_key`.
    pub id: KeyId,
    /// As the keeper names it; [`Algorithm`] where this version knows it.
    pub algorithm: String,
    /// SSH wire blob; for what SSH does not have see [`Algorithm::SSH`].
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
        let ssh = Algorithm::ALL.into_iter().filter(|it| it.is_ssh());
        assert!(ssh.eq(Algorithm::SSH));
    }

    #[test]
    fn key_types_have_two_names_each() {
        for key_type in KeyType::ALL {
            assert_eq!(key_type.as_str().parse(), Ok(key_type));
            assert_eq!(key_type.short_name().parse(), Ok(key_type));
        }
        assert_eq!("rsa".parse(), Ok(KeyType::Rsa3072));
        assert!("p521".parse::<KeyType>().is_err(), "imported alone");
        assert!("rsa1024".parse::<KeyType>().is_err());
    }

    #[test]
    fn purposes_and_numbers_agree() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::from_number(purpose.number()), Some(purpose));
        }
        for unknown in [0, 10, 255] {
            assert_eq!(Purpose::from_number(unknown), None);
        }
    }
}
