//! Signature blobs: `string algorithm ‖ string signature`, encoded from raw values and verified.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

use super::key::{Curve, Material};
use super::wire::{ParseError, Reader, Writer};

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The signature blob cannot be read.
    #[error("the signature cannot be read")]
    Malformed(#[source] ParseError),
    /// The blob names an algorithm that this key does not sign with; SHA-1 is among them.
    #[error("the signature's algorithm does not fit the key")]
    WrongAlgorithm,
    /// Anything else: the signature is not this key's over this message.
    #[error("the signature is false")]
    False,
}

/// Encodes an Ed25519 signature (RFC 8709 §6).
#[must_use]
pub fn ed25519(signature: &[u8; 64]) -> Vec<u8> {
    blob("ssh-ed25519", signature)
}

/// Encodes an ECDSA signature from big-endian r and s (RFC 5656 §3.1.2).
#[must_use]
pub fn ecdsa(curve: Curve, r: &[u8], s: &[u8]) -> Vec<u8> {
    let pair = Writer::new().positive_mpint(r).positive_mpint(s);
    let name = match curve {
        Curve::P256 => "ecdsa-sha2-nistp256",
        Curve::P384 => "ecdsa-sha2-nistp384",
        Curve::P521 => "ecdsa-sha2-nistp521",
    };
    blob(name, &pair.into_bytes())
}

/// Encodes an RSA signature, PKCS #1 v1.5 (RFC 8332 §3), as long as the modulus.
#[must_use]
pub fn rsa(hash: RsaHash, signature: &[u8]) -> Vec<u8> {
    blob(hash.algorithm(), signature)
}

/// The hashes that RSA keys sign with; SHA-1 is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaHash {
    /// `rsa-sha2-256`.
    Sha256,
    /// `rsa-sha2-512`.
    Sha512,
}

impl RsaHash {
    /// The algorithm's name.
    #[must_use]
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Sha256 => "rsa-sha2-256",
            Self::Sha512 => "rsa-sha2-512",
        }
    }
}

/// Can a key of this kind make signatures of this algorithm?
#[must_use]
pub fn fits(key: &Material, algorithm: &str) -> bool {
    match key {
        Material::Rsa { .. } => matches!(algorithm, "rsa-sha2-256" | "rsa-sha2-512"),
        Material::Ed25519(_)
        | Material::Ecdsa(..)
        | Material::SkEd25519(..)
        | Material::SkEcdsaP256(..) => algorithm == key.type_name(),
    }
}

/// The hash of the message that `raw` ECDSA signatures of this curve are over is part of the
/// algorithm, so nothing but the message goes in.
pub(crate) fn verify(key: &Material, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
    let mut reader = Reader::new(signature);
    let algorithm = reader.name().map_err(VerifyError::Malformed)?;
    let inner = reader.string().map_err(VerifyError::Malformed)?;
    if !fits(key, algorithm) {
        return Err(VerifyError::WrongAlgorithm);
    }
    match key {
        Material::Ed25519(public) => {
            reader.finish().map_err(VerifyError::Malformed)?;
            check(&ED25519, public, message, inner)
        }
        Material::Ecdsa(curve, point) => {
            reader.finish().map_err(VerifyError::Malformed)?;
            check_ecdsa(*curve, point, message, inner)
        }
        Material::Rsa { e, n } => {
            reader.finish().map_err(VerifyError::Malformed)?;
            check_rsa(e, n, algorithm, message, inner)
        }
        Material::SkEd25519(public, application) => {
            let message = security_key_message(application, message, reader)?;
            check(&ED25519, public, &message, inner)
        }
        Material::SkEcdsaP256(point, application) => {
            let message = security_key_message(application, message, reader)?;
            check_ecdsa(Curve::P256, point, &message, inner)
        }
    }
}

fn check(
    algorithm: &'static dyn VerificationAlgorithm,
    public: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    UnparsedPublicKey::new(algorithm, public)
        .verify(message, signature)
        .map_err(|_| VerifyError::False)
}

fn check_ecdsa(curve: Curve, point: &[u8], message: &[u8], pair: &[u8]) -> Result<(), VerifyError> {
    let mut reader = Reader::new(pair);
    let r = reader.positive_mpint().map_err(VerifyError::Malformed)?;
    let s = reader.positive_mpint().map_err(VerifyError::Malformed)?;
    reader.finish().map_err(VerifyError::Malformed)?;
    let len = curve.scalar_bytes();
    let mut fixed = Vec::with_capacity(2 * len);
    for number in [r, s] {
        let zeros = len.checked_sub(number.len()).ok_or(VerifyError::False)?;
        fixed.resize(fixed.len() + zeros, 0);
        fixed.extend_from_slice(number);
    }
    let algorithm: &'static dyn VerificationAlgorithm = match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED,
    };
    check(algorithm, point, message, &fixed)
}

fn check_rsa(
    e: &[u8],
    n: &[u8],
    algorithm: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    let parameters = match algorithm {
        "rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
        _ => &RSA_PKCS1_2048_8192_SHA512,
    };
    RsaPublicKeyComponents { n, e }
        .verify(parameters, message, signature)
        .map_err(|_| VerifyError::False)
}

/// OpenSSH `PROTOCOL.u2f`: the token signs `SHA256(application) ‖ flags ‖ counter ‖ SHA256(message)`;
/// flags and counter stand behind the signature.
fn security_key_message(
    application: &str,
    message: &[u8],
    mut reader: Reader<'_>,
) -> Result<Vec<u8>, VerifyError> {
    let flags = reader.u8().map_err(VerifyError::Malformed)?;
    let counter = reader.u32().map_err(VerifyError::Malformed)?;
    reader.finish().map_err(VerifyError::Malformed)?;
    let application = digest::digest(&digest::SHA256, application.as_bytes());
    let message = digest::digest(&digest::SHA256, message);
    Ok(Writer::new()
        .raw(application.as_ref())
        .u8(flags)
        .u32(counter)
        .raw(message.as_ref())
        .into_bytes())
}

fn blob(algorithm: &str, signature: &[u8]) -> Vec<u8> {
    Writer::new()
        .string(algorithm.as_bytes())
        .string(signature)
        .into_bytes()
}
