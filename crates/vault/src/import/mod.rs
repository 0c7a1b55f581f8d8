//! Private keys that were made elsewhere.
//!
//! **Invariant:** a key comes in whole, with two halves of one key and nothing
//! behind it, or not at all. What is read stays where the caller put it; what
//! is taken out of an encryption lies in locked memory.
//!
//! | form | read by |
//! |---|---|
//! | `SSH_AGENTC_ADD_IDENTITY` (RFC 9987 section 3.2) | [`fields`] |
//! | `openssh-key-v1` (OpenSSH PROTOCOL.key) | [`openssh`], [`cipher`], [`fields`] |
//! | PKCS#8, plain and PBES2 (RFC 5958, RFC 8018) | [`pkcs8`], [`der`], [`cipher`] |
//! | PKCS#8 of a key that agrees (RFC 8410, RFC 5915) | [`pkcs8`], [`der`] |
//! | PKCS#1 and SEC 1 as PEM (RFC 8017, RFC 5915) | [`pkcs8`], [`der`] |
//! | keys on secp256k1, which are kept and sign nothing here | [`secp256k1`], [`der`] |

mod cipher;
pub(crate) mod der;
mod fields;
pub(crate) mod oid;
mod openssh;
mod pem;
mod pkcs8;
mod remainder;
mod secp256k1;

use keystead_core::SecretBytes;

use crate::wire::{Malformed, Reader};
use crate::{AgreementKey, SigningError, SigningKey};
pub(crate) use pkcs8::{rsa_of_pkcs1, rsa_of_pkcs8};
pub(crate) use secp256k1::secp256k1_of_file;

/// A key that came in, and what came with it.
pub struct Imported {
    /// The key.
    pub key: SigningKey,
    /// The blob of a certificate over its public half, where the agent form
    /// brought one; only its key has been read.
    pub certificate: Option<Vec<u8>>,
    /// What the file says of the key, in whatever bytes; empty where it says nothing.
    pub comment: Vec<u8>,
}

impl SigningKey {
    /// Reads the key type and the fields behind it of a message that adds a
    /// key to an agent (RFC 9987 section 3.2): neither comment nor constraints.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import_agent(bytes: &[u8]) -> Result<Imported, ImportError> {
        let mut reader = Reader::new(bytes);
        let (key, certificate) = fields::read(&mut reader)?;
        reader.finish()?;
        Ok(Imported {
            key,
            certificate,
            comment: Vec::new(),
        })
    }

    /// Reads a key file: PEM around `openssh-key-v1`, PKCS#8, PKCS#1 or SEC 1.
    ///
    /// A passphrase for a file that needs none is passed over, as `ssh-keygen`
    /// does it.
    ///
    /// # Errors
    /// [`ImportError::NoPassphrase`] when the file is encrypted and none was
    /// given; else what is wrong with it.
    pub fn import_file(
        file: &[u8],
        passphrase: Option<&SecretBytes>,
    ) -> Result<Imported, ImportError> {
        let part = pem::private_part(file)?;
        let bytes = part.content.expose();
        let without_comment = |key| Imported {
            key,
            certificate: None,
            comment: Vec::new(),
        };
        match part.label {
            pem::Label::OpenSsh => openssh::read(bytes, passphrase),
            pem::Label::Pkcs8 => pkcs8::read(bytes).map(without_comment),
            pem::Label::EncryptedPkcs8 => {
                pkcs8::read_encrypted(bytes, passphrase).map(without_comment)
            }
            pem::Label::Pkcs1 => pkcs8::read_pkcs1(bytes).map(without_comment),
            pem::Label::Sec1 => pkcs8::read_sec1(bytes).map(without_comment),
        }
    }
}

impl AgreementKey {
    /// Reads a key file of a key that agrees: PEM around PKCS#8, which is not encrypted. A key
    /// on P-256 agrees from then on, and signs nothing.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import_file(file: &[u8]) -> Result<Self, ImportError> {
        let part = pem::private_part(file)?;
        match part.label {
            pem::Label::Pkcs8 => pkcs8::read_agreement(part.content.expose()),
            pem::Label::EncryptedPkcs8 => Err(ImportError::NoPassphrase),
            pem::Label::OpenSsh | pem::Label::Pkcs1 | pem::Label::Sec1 => {
                Err(ImportError::OtherType {
                    type_name: "that sign".to_owned(),
                })
            }
        }
    }
}

/// Why a key does not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not a private key, cut off, or bytes too many.
    #[error("private key cannot be read")]
    Malformed,
    /// A public key or a certificate, where a private key was expected.
    #[error("this is a public key")]
    Public,
    /// A kind of key that is not held here.
    #[error("keys of type {type_name} cannot be held")]
    OtherType {
        /// As it stands in the key, made printable.
        type_name: String,
    },
    /// The file holds several keys.
    #[error("the file holds several keys")]
    Several,
    /// The private half is in a FIDO token; what came is its handle.
    #[error("the private half of this key is in a security token")]
    InToken,
    /// Public and private half are not of one key, or one is out of range.
    #[error("public and private half do not belong together")]
    Inconsistent,
    /// An RSA key that is too short to be safe, or too long to be used.
    #[error("RSA key has {bits} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} can be held")]
    RsaSize {
        /// Length of its modulus.
        bits: usize,
    },
    /// An RSA public exponent below 65,537, or an even one.
    #[error("RSA key has a weak public exponent")]
    WeakExponent,
    /// The certificate is over another key.
    #[error("the certificate is not of this key")]
    OtherCertificate,
    /// Encrypted, and no passphrase was given.
    #[error("the key is encrypted")]
    NoPassphrase,
    /// The passphrase does not open it.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// Encrypted by a method that is not known here.
    #[error("the key is encrypted by {method}, which is not known here")]
    OtherEncryption {
        /// Its name, made printable.
        method: String,
    },
    /// The file asks for more work than a key of a person does.
    #[error("the key's encryption asks for too much work")]
    TooCostly,
}

impl ImportError {
    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed => "check that the file is a private key, whole",
            Self::Public => "name the file without .pub",
            Self::OtherType { .. } => "Ed25519, ECDSA and RSA keys can be held",
            Self::Several => "put each key into a file of its own",
            Self::InToken => "use the token where it is; its key cannot leave it",
            Self::Inconsistent | Self::OtherCertificate => "bring the file back from a copy",
            Self::RsaSize { .. } | Self::WeakExponent => "make another key",
            Self::NoPassphrase => "give its passphrase",
            Self::WrongPassphrase => "try again",
            Self::OtherEncryption { .. } | Self::TooCostly => {
                "encrypt it anew: ssh-keygen -p -f FILE"
            }
        }
    }
}

impl From<Malformed> for ImportError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<SigningError> for ImportError {
    /// The library's refusal of a key: its halves, or their range.
    fn from(_: SigningError) -> Self {
        Self::Inconsistent
    }
}

/// The text of a name that a foreign file brings: 64 printable characters of it.
fn printable(name: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b'!'..=b'~' => char::from(*byte),
        _ => '?',
    };
    name.iter().take(NAME_BYTES_MAX).map(shown).collect()
}

/// Shortest RSA modulus, as NIST SP 800-131A has it.
pub(crate) const RSA_BITS_MIN: usize = 2048;

/// Longest RSA modulus: the longest that aws-lc-rs signs with.
pub(crate) const RSA_BITS_MAX: usize = 8192;

/// 64 bytes of a foreign name are shown. Why: no name of a standard is longer.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests;
