//! Ed25519 and P-256 by aws-lc; secp256k1 by k256, which has the nonces of RFC 6979.
//!
//! **Invariant**: a scalar is in its range before anything is computed from it; what the
//! libraries copy of it they wipe when they free it, and the caller wipes the stack.

use aws_lc_rs::agreement;
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};
use keystead_sodium::sign::{self, Curve};

use super::HeldError;
use crate::signing::curves;

pub(super) fn ed25519_public(seed: &[u8]) -> Result<Vec<u8>, HeldError> {
    match curves::ed25519_public(seed) {
        Ok(public) => Ok(public.to_vec()),
        Err(_) => Err(HeldError::Length),
    }
}

/// By the library's key agreement, since ECDSA's own import wants to be told the
/// public half.
pub(super) fn p256_public(scalar: &[u8]) -> Result<Vec<u8>, HeldError> {
    let scalar = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, scalar)
        .map_err(|_| HeldError::Range)?;
    let public = scalar.compute_public_key().map_err(|_| HeldError::Range)?;
    Ok(public.as_ref().to_vec())
}

pub(super) fn secp256k1_public(scalar: &[u8]) -> Result<Vec<u8>, HeldError> {
    let key = SigningKey::from_slice(scalar).map_err(|_| HeldError::Range)?;
    let point = key.verifying_key().to_encoded_point(false);
    Ok(point.as_bytes().to_vec())
}

/// `public` is the one of `seed`, as in every [`super::HeldKey`].
pub(super) fn sign_ed25519(
    seed: &[u8],
    public: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, HeldError> {
    let public = public.first_chunk().ok_or(HeldError::Broken)?;
    match curves::sign_ed25519(seed, public, message) {
        Ok(signature) => Ok(signature.to_vec()),
        Err(_) => Err(HeldError::Broken),
    }
}

pub(super) fn sign_p256(scalar: &[u8], digest: &[u8]) -> Result<Vec<u8>, HeldError> {
    let mut pair = vec![0; 2 * SCALAR_BYTES];
    let (r, s) = pair.split_at_mut(SCALAR_BYTES);
    sign::ecdsa(Curve::P256, scalar, digest, r, s).map_err(|_| HeldError::Broken)?;
    Ok(pair)
}

/// The nonce is that of RFC 6979 with HMAC-SHA-256, s is the lower of the two
/// (BIP 62), so a message has one signature.
pub(super) fn sign_secp256k1(scalar: &[u8], digest: &[u8]) -> Result<Vec<u8>, HeldError> {
    let key = SigningKey::from_slice(scalar).map_err(|_| HeldError::Broken)?;
    let signature: Signature = key.sign_prehash(digest).map_err(|_| HeldError::Broken)?;
    let signature = signature.normalize_s().unwrap_or(signature);
    Ok(signature.to_bytes().to_vec())
}

/// 32 bytes: r, s and the scalar, of both curves.
const SCALAR_BYTES: usize = 32;

/// RFC 8032 section 5.1.5.
pub(super) const ED25519_PUBLIC_BYTES: usize = 32;

/// 4 ‖ x ‖ y.
pub(super) const POINT_BYTES: usize = 65;
