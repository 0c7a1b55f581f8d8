//! Files that people bring: which kind of secret they hold, and the secret.

use keystead_core::{Algorithm, SecretBytes};

use super::EncodingError;
use super::der::{integer, value};
use crate::client::Value;
use crate::client::seal::joined;
use crate::held::Kind;
use crate::import::der::SEQUENCE;
use crate::import::secp256k1_of_file;
use crate::signing::rsa::Numbers;
use crate::{ImportError, PublicKey, SigningKey};

/// A secret that was brought, and what its file says of it.
pub struct Brought {
    /// The secret.
    pub value: Value,
    /// The comment of an OpenSSH file; empty where there is none.
    pub comment: Vec<u8>,
}

impl Brought {
    /// Reads a file.
    ///
    /// Text with a PEM part is a key file, unless `wanted` says arbitrary. Other bytes are of
    /// the kind that `wanted` says, raw; without a word they are arbitrary.
    ///
    /// # Errors
    /// [`EncodingError`]; [`ImportError::NoPassphrase`] when it is encrypted and none was given.
    pub fn read(
        file: &[u8],
        wanted: Option<Kind>,
        passphrase: Option<&SecretBytes>,
    ) -> Result<Self, EncodingError> {
        let is_text = wanted != Some(Kind::Arbitrary) && is_pem(file);
        let brought = match is_text {
            true => Self::of_pem(file, passphrase)?,
            false => Self {
                value: Value::of(wanted.unwrap_or(Kind::Arbitrary), joined(&[file]))?,
                comment: Vec::new(),
            },
        };
        let found = brought.value.kind();
        match wanted {
            Some(wanted) if wanted != found => Err(EncodingError::OtherKind { found, wanted }),
            _ => Ok(brought),
        }
    }

    fn of_pem(file: &[u8], passphrase: Option<&SecretBytes>) -> Result<Self, EncodingError> {
        let imported = match SigningKey::import_file(file, passphrase) {
            Err(ImportError::OtherType { type_name }) => {
                let scalar = secp256k1_of_file(file, passphrase)?;
                let scalar = scalar.ok_or(ImportError::OtherType { type_name })?;
                return Ok(Self {
                    value: Value::of(Kind::Secp256k1, scalar)?,
                    comment: Vec::new(),
                });
            }
            other => other?,
        };
        let (kind, bytes) = encoding_of(&imported.key)?;
        Ok(Self {
            value: Value::of(kind, bytes)?,
            comment: imported.comment,
        })
    }
}

/// Whether somewhere in it a private key, or something like it, begins.
fn is_pem(file: &[u8]) -> bool {
    file.split(|byte| *byte == b'\n')
        .any(|line| line.trim_ascii_start().starts_with(b"-----BEGIN "))
}

/// A key as secrets of its kind are encoded.
fn encoding_of(key: &SigningKey) -> Result<(Kind, SecretBytes), EncodingError> {
    let private = key.private().expose();
    match key.public() {
        PublicKey::Ed25519(_) => Ok((Kind::Ed25519, joined(&[private]))),
        PublicKey::EcdsaP256(_) => Ok((Kind::P256, joined(&[private]))),
        PublicKey::Rsa { e, n } => {
            let numbers = Numbers::unpack(private).ok_or(ImportError::Malformed)?;
            Ok((Kind::Rsa, pkcs1(e, n, &numbers)))
        }
        PublicKey::EcdsaP384(_)
        | PublicKey::EcdsaP521(_)
        | PublicKey::SkEd25519 { .. }
        | PublicKey::SkEcdsaP256 { .. }
        | PublicKey::EcdsaSecp256k1(_)
        | PublicKey::X25519(_)
        | PublicKey::EcdhP256(_)
        | PublicKey::EcdhSecp256k1(_) => {
            let type_name = Algorithm::as_str(key.algorithm()).to_owned();
            Err(ImportError::OtherType { type_name }.into())
        }
    }
}

/// `RSAPrivateKey` of two primes (RFC 8017 appendix A.1.2).
fn pkcs1(e: &[u8], n: &[u8], numbers: &Numbers<'_>) -> SecretBytes {
    let numbers = [
        &[],
        n,
        e,
        numbers.d,
        numbers.p,
        numbers.q,
        numbers.dp,
        numbers.dq,
        numbers.q_inverse,
    ];
    let integers = numbers.map(integer);
    let parts: Vec<&[u8]> = integers.iter().map(SecretBytes::expose).collect();
    value(SEQUENCE, &parts)
}
