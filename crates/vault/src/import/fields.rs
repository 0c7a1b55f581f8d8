//! A key type and the fields behind it, as agents' messages and
//! `openssh-key-v1` files have them alike (RFC 9987 section 3.2, OpenSSH
//! PROTOCOL.key, PROTOCOL.certkeys).

use keystead_core::{Algorithm, SecretBytes};
use keystead_sodium::memory;

use super::remainder::modulo_predecessor;
use super::{ImportError, RSA_BITS_MAX, RSA_BITS_MIN, printable};
use crate::signing::rsa::{self, Numbers};
use crate::signing::{algorithm_of, curves};
use crate::wire::Reader;
use crate::{PublicKey, SigningKey};

/// Reads one key, and the blob of a certificate where it has one; leaves the
/// reader behind it.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<(SigningKey, Option<Vec<u8>>), ImportError> {
    let type_name = reader.string()?;
    if let Some(algorithm) = algorithm_of(type_name) {
        return Ok((read_plain(algorithm, reader)?, None));
    }
    let Some(algorithm) = certified(type_name) else {
        return Err(ImportError::OtherType {
            type_name: printable(type_name),
        });
    };
    let certificate = reader.string()?;
    let public = key_of(type_name, algorithm, certificate)?;
    let key = read_private(public, reader)?;
    Ok((key, Some(certificate.to_vec())))
}

fn read_plain(algorithm: Algorithm, reader: &mut Reader<'_>) -> Result<SigningKey, ImportError> {
    let public = match algorithm {
        // Both halves follow each other; the private fields repeat the public one.
        Algorithm::Ed25519 => {
            let mut ahead = *reader;
            PublicKey::read_fields(algorithm, &mut ahead)?
        }
        // The modulus stands first here, and last in a public key.
        Algorithm::Rsa => {
            let n = reader.positive()?.to_vec();
            let e = reader.positive()?.to_vec();
            PublicKey::Rsa { e, n }
        }
        Algorithm::EcdsaP256
        | Algorithm::EcdsaP384
        | Algorithm::EcdsaP521
        | Algorithm::SkEd25519
        | Algorithm::SkEcdsaP256
        | _ => PublicKey::read_fields(algorithm, reader)?,
    };
    read_private(public, reader)
}

/// Reads the private half of `public`.
fn read_private(public: PublicKey, reader: &mut Reader<'_>) -> Result<SigningKey, ImportError> {
    match &public {
        PublicKey::Ed25519(expected) => {
            let repeated = reader.string()?;
            let (seed, behind) = reader
                .string()?
                .split_at_checked(SEED_BYTES)
                .ok_or(ImportError::Malformed)?;
            if repeated != expected || behind != expected {
                return Err(ImportError::Inconsistent);
            }
            let seed = SecretBytes::fill(SEED_BYTES, |out| out.copy_from_slice(seed));
            Ok(SigningKey::from_halves(public, seed)?)
        }
        PublicKey::Rsa { e, n } => read_rsa(e, n, reader),
        PublicKey::SkEd25519 { .. } | PublicKey::SkEcdsaP256 { .. } => {
            // Flags, handle and reserved field of the token (PROTOCOL.u2f).
            reader.u8()?;
            reader.string()?;
            reader.string()?;
            Err(ImportError::InToken)
        }
        PublicKey::EcdsaP256(_) | PublicKey::EcdsaP384(_) | PublicKey::EcdsaP521(_) => {
            let scalar = scalar(public.algorithm(), reader.positive()?)?;
            Ok(SigningKey::from_halves(public, scalar)?)
        }
        // No type of SSH's.
        PublicKey::EcdsaSecp256k1(_)
        | PublicKey::X25519(_)
        | PublicKey::EcdhP256(_)
        | PublicKey::EcdhSecp256k1(_) => Err(ImportError::Malformed),
    }
}

/// A scalar of any length, made as long as the field.
pub(super) fn scalar(algorithm: Algorithm, magnitude: &[u8]) -> Result<SecretBytes, ImportError> {
    let len = curves::private_bytes(algorithm).ok_or(ImportError::Malformed)?;
    let zeros = len
        .checked_sub(magnitude.len())
        .ok_or(ImportError::Inconsistent)?;
    Ok(SecretBytes::fill(len, |out| {
        for (place, byte) in out.iter_mut().skip(zeros).zip(magnitude) {
            *place = *byte;
        }
    }))
}

/// d, q⁻¹ mod p, p, q; what the message leaves out is computed.
fn read_rsa(e: &[u8], n: &[u8], reader: &mut Reader<'_>) -> Result<SigningKey, ImportError> {
    let d = reader.positive()?;
    let q_inverse = reader.positive()?;
    let p = reader.positive()?;
    let q = reader.positive()?;
    check_rsa(e, n)?;
    let remainder = |prime: &[u8]| {
        let mut done = None;
        let number = SecretBytes::fill(prime.len(), |out| {
            done = memory::with_wiped_stack(|| modulo_predecessor(d, prime, out));
        });
        done.map(|()| number).ok_or(ImportError::Inconsistent)
    };
    let dp = remainder(p)?;
    let dq = remainder(q)?;
    let numbers = Numbers {
        d,
        p,
        q,
        dp: dp.expose(),
        dq: dq.expose(),
        q_inverse,
    };
    Ok(rsa::key(e, n, &numbers)?)
}

/// Whether an RSA key is one that may be used.
pub(super) fn check_rsa(e: &[u8], n: &[u8]) -> Result<(), ImportError> {
    let bits = bits(n);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(ImportError::RsaSize { bits });
    }
    let is_odd = e.last().is_some_and(|byte| byte & 1 == 1);
    if is_odd && (e.len() > WEAK_EXPONENT_BYTES) {
        Ok(())
    } else {
        Err(ImportError::WeakExponent)
    }
}

/// Length of a magnitude without zero bytes before it.
fn bits(magnitude: &[u8]) -> usize {
    let first = magnitude.first().copied().unwrap_or_default();
    let zeros = usize::try_from(first.leading_zeros()).unwrap_or_default();
    (8 * magnitude.len()).saturating_sub(zeros)
}

/// The plain algorithm of a certificate's type (OpenSSH PROTOCOL.certkeys).
fn certified(type_name: &[u8]) -> Option<Algorithm> {
    let plain = type_name.strip_suffix(CERTIFICATE_SUFFIX)?;
    Algorithm::SSH.into_iter().find(|it| {
        let name = it.as_str().as_bytes();
        name.strip_suffix(b"@openssh.com").unwrap_or(name) == plain
    })
}

/// The key that a certificate is over: `string type ‖ string nonce ‖ fields ‖ …`.
fn key_of(
    type_name: &[u8],
    algorithm: Algorithm,
    certificate: &[u8],
) -> Result<PublicKey, ImportError> {
    let mut reader = Reader::new(certificate);
    if reader.string()? != type_name {
        return Err(ImportError::OtherCertificate);
    }
    reader.string()?;
    Ok(PublicKey::read_fields(algorithm, &mut reader)?)
}

const SEED_BYTES: usize = 32;

const CERTIFICATE_SUFFIX: &[u8] = b"-cert-v01@openssh.com";

/// An exponent of two bytes is below 65,537, the least that FIPS 186-5
/// (section A.1.1) allows.
const WEAK_EXPONENT_BYTES: usize = 2;
