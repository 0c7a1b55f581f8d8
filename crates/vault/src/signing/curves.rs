//! Ed25519 and ECDSA, by aws-lc.

#![expect(
    clippy::disallowed_types,
    reason = "one of the two places where private keys of a library may stand"
)]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use aws_lc_rs::{agreement, digest};
use keystead_core::{Algorithm, SecretBytes};
use keystead_sodium::sign::{self, Curve};

use super::{PublicKey, SigningError};
use crate::agreement::point;

/// Length of a private half; none for RSA.
pub(crate) const fn private_bytes(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Ed25519
        | Algorithm::EcdsaP256
        | Algorithm::SkEd25519
        | Algorithm::SkEcdsaP256
        | Algorithm::EcdsaSecp256k1 => Some(32),
        Algorithm::EcdsaP384 => Some(48),
        Algorithm::EcdsaP521 => Some(66),
        Algorithm::Rsa | _ => None,
    }
}

pub(super) fn public_of(
    algorithm: Algorithm,
    application: &str,
    private: &SecretBytes,
) -> Result<PublicKey, SigningError> {
    let private = private.expose();
    let application = application.to_owned();
    Ok(match algorithm {
        Algorithm::Ed25519 => PublicKey::Ed25519(ed25519_public(private)?),
        Algorithm::SkEd25519 => PublicKey::SkEd25519 {
            public: ed25519_public(private)?,
            application,
        },
        Algorithm::EcdsaP256 => PublicKey::EcdsaP256(nist_point(&agreement::ECDH_P256, private)?),
        Algorithm::SkEcdsaP256 => PublicKey::SkEcdsaP256 {
            point: nist_point(&agreement::ECDH_P256, private)?,
            application,
        },
        Algorithm::EcdsaP384 => PublicKey::EcdsaP384(nist_point(&agreement::ECDH_P384, private)?),
        Algorithm::EcdsaP521 => PublicKey::EcdsaP521(nist_point(&agreement::ECDH_P521, private)?),
        Algorithm::EcdsaSecp256k1 => PublicKey::EcdsaSecp256k1(secp256k1_point(private)?),
        Algorithm::Rsa | _ => return Err(SigningError::Broken),
    })
}

pub(crate) fn ed25519_public(private: &[u8]) -> Result<[u8; 32], SigningError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(private).map_err(|_| SigningError::Broken)?;
    let public = pair.public_key().as_ref().try_into();
    public.map_err(|_| SigningError::Broken)
}

/// The public point of a scalar. By the library's key agreement, since ECDSA's
/// own import wants to be told the public half.
fn nist_point<const N: usize>(
    curve: &'static agreement::Algorithm,
    private: &[u8],
) -> Result<[u8; N], SigningError> {
    agreement::PrivateKey::from_private_key(curve, private)
        .ok()
        .and_then(|scalar| scalar.compute_public_key().ok())
        .and_then(|point| point.as_ref().try_into().ok())
        .ok_or(SigningError::Broken)
}

fn secp256k1_point(private: &[u8]) -> Result<[u8; 65], SigningError> {
    let scalar = private.try_into().map_err(|_| SigningError::Broken)?;
    point::uncompressed(keystead_core::Curve::Secp256k1, scalar).ok_or(SigningError::Broken)
}

/// `public` is the one of `private`, as in every [`SigningKey`](super::SigningKey).
pub(crate) fn sign_ed25519(
    private: &[u8],
    public: &[u8; 32],
    message: &[u8],
) -> Result<[u8; 64], SigningError> {
    let seed = private.first_chunk().ok_or(SigningError::Broken)?;
    let mut signature = [0; 64];
    sign::ed25519(seed, public, message, &mut signature).map_err(|_| SigningError::Broken)?;
    Ok(signature)
}

pub(super) fn sign_p256(private: &[u8], message: &[u8]) -> Result<[[u8; 32]; 2], SigningError> {
    sign_ecdsa(Curve::P256, &digest::SHA256, private, message)
}

pub(super) fn sign_p384(private: &[u8], message: &[u8]) -> Result<[[u8; 48]; 2], SigningError> {
    sign_ecdsa(Curve::P384, &digest::SHA384, private, message)
}

pub(super) fn sign_p521(private: &[u8], message: &[u8]) -> Result<[[u8; 66]; 2], SigningError> {
    sign_ecdsa(Curve::P521, &digest::SHA512, private, message)
}

/// r and s, each `N` bytes; the hash is the curve's (RFC 5656 section 6.2.1).
fn sign_ecdsa<const N: usize>(
    curve: Curve,
    hash: &'static digest::Algorithm,
    private: &[u8],
    message: &[u8],
) -> Result<[[u8; N]; 2], SigningError> {
    let digest = digest::digest(hash, message);
    let (mut r, mut s) = ([0; N], [0; N]);
    sign::ecdsa(curve, private, digest.as_ref(), &mut r, &mut s)
        .map_err(|_| SigningError::Broken)?;
    Ok([r, s])
}

/// ECDSA on P-256 of a digest of 32 bytes, as [`sign_p256`] but for the hash.
pub(super) fn sign_p256_digest(
    private: &[u8],
    digest: &[u8; 32],
) -> Result<[u8; 64], SigningError> {
    let mut signature = [0; 64];
    let (r, s) = signature.split_at_mut(32);
    sign::ecdsa(Curve::P256, private, digest, r, s).map_err(|_| SigningError::Broken)?;
    Ok(signature)
}
