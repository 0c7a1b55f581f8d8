//! RSA: keys as `RSAPrivateKey` in DER (RFC 8017 appendix A.1.2), signatures by aws-lc.
//!
//! **Invariant**: the encoding is read strictly, so the bytes that came are the only
//! ones that the key has, and are what an export gives back.

#![expect(
    clippy::disallowed_types,
    reason = "where keys that a server holds are made"
)]

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use keystead_core::SecretBytes;
use keystead_sodium::sign::{self, RsaNumbers};

use super::{Hash, HeldError, HeldKey, Kind, RsaSize};
use crate::PublicKey;
use crate::import::der::{Der, OBJECT_IDENTIFIER, OCTET_STRING};
use crate::import::rsa_of_pkcs1;

pub(super) fn generate(size: RsaSize) -> Result<HeldKey, HeldError> {
    let size = match size {
        RsaSize::Bits3072 => KeySize::Rsa3072,
        RsaSize::Bits4096 => KeySize::Rsa4096,
    };
    // The library wipes both when it drops them.
    let pair = KeyPair::generate(size).map_err(|_| HeldError::Broken)?;
    let der = pair.as_der().map_err(|_| HeldError::Broken)?;
    let inner = pkcs1_of(der.as_ref()).ok_or(HeldError::Broken)?;
    let copy = |place: &mut [u8]| place.copy_from_slice(inner);
    HeldKey::import(Kind::Rsa, SecretBytes::fill(inner.len(), copy))
}

/// The public half of a key that is whole, of numbers that belong together.
pub(super) fn public_of(encoding: &[u8]) -> Result<Vec<u8>, HeldError> {
    let key = rsa_of_pkcs1(encoding).ok_or(HeldError::Rsa)?;
    let PublicKey::Rsa { e, n } = key.public() else {
        return Err(HeldError::Rsa);
    };
    let is_short = n.len() == MODULUS_BYTES_MIN && n.first().is_none_or(|first| *first < 0x80);
    if is_short || n.len() < MODULUS_BYTES_MIN {
        return Err(HeldError::Rsa);
    }
    Ok(public_der(n, e))
}

/// The public half of a key that was checked when it came.
pub(super) fn public_numbers(encoding: &[u8]) -> Result<PublicKey, HeldError> {
    let numbers = numbers(encoding).ok_or(HeldError::Broken)?;
    Ok(PublicKey::Rsa {
        e: numbers.e.to_vec(),
        n: numbers.n.to_vec(),
    })
}

pub(super) fn sign(encoding: &[u8], hash: Hash, digest: &[u8]) -> Result<Vec<u8>, HeldError> {
    let hash = match hash {
        Hash::Sha256 => sign::RsaHash::Sha256,
        Hash::Sha384 => sign::RsaHash::Sha384,
        Hash::Sha512 => sign::RsaHash::Sha512,
        Hash::Keccak256 => return Err(HeldError::Unfit),
    };
    let numbers = numbers(encoding).ok_or(HeldError::Broken)?;
    let mut signature = vec![0; numbers.n.len()];
    sign::rsa(&numbers, hash, digest, &mut signature).map_err(|_| HeldError::Broken)?;
    Ok(signature)
}

/// The numbers of a key that was checked when it came.
fn numbers(encoding: &[u8]) -> Option<RsaNumbers<'_>> {
    let mut key = Der::new(encoding).sequence().ok()?;
    key.small().ok()?;
    Some(RsaNumbers {
        n: key.unsigned().ok()?,
        e: key.unsigned().ok()?,
        d: key.unsigned().ok()?,
        p: key.unsigned().ok()?,
        q: key.unsigned().ok()?,
        dp: key.unsigned().ok()?,
        dq: key.unsigned().ok()?,
        q_inverse: key.unsigned().ok()?,
    })
}

/// The `RSAPrivateKey` inside a `PrivateKeyInfo` (RFC 5208) that the library wrote.
pub(super) fn pkcs1_of(pkcs8: &[u8]) -> Option<&[u8]> {
    let mut key = Der::new(pkcs8).sequence().ok()?;
    key.small().ok()?;
    let mut method = key.sequence().ok()?;
    method.value(OBJECT_IDENTIFIER).ok()?;
    key.value(OCTET_STRING).ok()
}

/// `RSAPublicKey` (RFC 8017 appendix A.1.1).
fn public_der(n: &[u8], e: &[u8]) -> Vec<u8> {
    let mut numbers = integer(n);
    numbers.extend(integer(e));
    value(SEQUENCE, &numbers)
}

/// An INTEGER of a magnitude without zeros before it.
fn integer(magnitude: &[u8]) -> Vec<u8> {
    let mut number = Vec::new();
    if magnitude.first().is_some_and(|first| *first >= 0x80) {
        number.push(0);
    }
    number.extend_from_slice(magnitude);
    value(INTEGER, &number)
}

/// Tag, length in its shortest form (X.690 section 10.1), content of less than 64 KiB.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let [high, low] = len.to_be_bytes();
    let mut out = vec![tag];
    match (high, low) {
        (0, 0..=0x7f) => out.push(low),
        (0, _) => out.extend_from_slice(&[0x81, low]),
        _ => out.extend_from_slice(&[0x82, high, low]),
    }
    out.extend_from_slice(content);
    out
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// 384 bytes: 3,072 bits, as strong as 128 bits (NIST SP 800-57 part 1 table 2). The
/// other end, 8,192 bits, is the import's.
const MODULUS_BYTES_MIN: usize = 384;

/// 8,192 bytes: a key of 8,192 bits has some 4,700.
pub(super) const ENCODING_BYTES_MAX: usize = 8_192;
