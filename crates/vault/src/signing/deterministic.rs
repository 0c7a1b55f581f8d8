//! ECDSA whose nonce is made of key and digest: a message has one signature.
//!
//! **Invariant**: the nonce is that of RFC 6979 with HMAC-SHA-256, and s is the lower of the two
//! (BIP 62), so the bytes are those that a hardware wallet of the same seed gives.

use keystead_core::Curve;
use p256::ecdsa::signature::hazmat::PrehashSigner;

use super::SigningError;

/// r ‖ s of a digest.
///
/// # Errors
/// [`SigningError::Unfit`] on a curve that has no ECDSA; [`SigningError::Broken`] where the
/// scalar is none.
pub(crate) fn sign(
    curve: Curve,
    scalar: &[u8],
    digest: &[u8; 32],
) -> Result<[u8; 64], SigningError> {
    match curve {
        Curve::Nist256p1 => sign_p256(scalar, digest),
        Curve::Secp256k1 => sign_secp256k1(scalar, digest),
        Curve::Ed25519 | Curve::Curve25519 => Err(SigningError::Unfit),
    }
}

fn sign_p256(scalar: &[u8], digest: &[u8; 32]) -> Result<[u8; 64], SigningError> {
    let key = p256::ecdsa::SigningKey::from_slice(scalar).map_err(|_| SigningError::Broken)?;
    let signed = key.sign_prehash(digest);
    let signature: p256::ecdsa::Signature = signed.map_err(|_| SigningError::Broken)?;
    let signature = signature.normalize_s().unwrap_or(signature);
    Ok(signature.to_bytes().into())
}

pub(crate) fn sign_secp256k1(scalar: &[u8], digest: &[u8; 32]) -> Result<[u8; 64], SigningError> {
    let key = k256::ecdsa::SigningKey::from_slice(scalar).map_err(|_| SigningError::Broken)?;
    let signed = key.sign_prehash(digest);
    let signature: k256::ecdsa::Signature = signed.map_err(|_| SigningError::Broken)?;
    let signature = signature.normalize_s().unwrap_or(signature);
    Ok(signature.to_bytes().into())
}
