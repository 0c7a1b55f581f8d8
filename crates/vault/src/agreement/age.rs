//! The X25519 stanza of age files (age-encryption.org/v1, "The X25519 recipient type").
//!
//! **Invariant**: a file key comes out of a box that proves that it was put there for this key.

use aws_lc_rs::{aead, hkdf};
use keystead_core::{Secret, SecretBytes};

use super::AgreementError;

/// Opens the wrapped file key.
///
/// The wrap key is HKDF-SHA-256 of the shared secret, salted with the ephemeral share and the
/// recipient; its box is ChaCha20-Poly1305 with a nonce of zeroes.
pub(super) fn unwrap(
    shared: &SecretBytes,
    ephemeral: &[u8; 32],
    recipient: &[u8; 32],
    wrapped: &[u8; WRAPPED_BYTES],
) -> Result<SecretBytes, AgreementError> {
    let broken = |_| AgreementError::Broken;
    let salt = [ephemeral.as_slice(), recipient].concat();
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(shared.expose());
    let wrap_key = Secret::<WRAP_KEY_BYTES>::try_fill(|place| {
        let expanded = extracted.expand(&[INFO], hkdf::HKDF_SHA256);
        expanded.and_then(|it| it.fill(place)).map_err(broken)
    })?;
    let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, wrap_key.expose()).map_err(broken)?;
    let key = aead::LessSafeKey::new(key);
    let mut file_key = SecretBytes::fill(WRAPPED_BYTES, |place| place.copy_from_slice(wrapped));
    // Each wrap key opens one box.
    let nonce = aead::Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
    key.open_in_place(nonce, aead::Aad::empty(), file_key.expose_mut())
        .map_err(|_| AgreementError::Foreign)?;
    file_key.truncate(FILE_KEY_BYTES);
    Ok(file_key)
}

/// A file key and a tag.
pub(super) const WRAPPED_BYTES: usize = FILE_KEY_BYTES + 16;

/// 128 bits.
const FILE_KEY_BYTES: usize = 16;

const WRAP_KEY_BYTES: usize = 32;

const INFO: &[u8] = b"age-encryption.org/v1/X25519";
