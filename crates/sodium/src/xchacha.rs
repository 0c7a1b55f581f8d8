//! XChaCha20-Poly1305 (IETF form, draft-irtf-cfrg-xchacha-03): for what is
//! sealed at rest, where nonces are random.

use crate::memory::Locked;
use crate::{Forged, ffi, start, wide};

/// Seals `message`, as `ciphertext ‖ tag`, and binds `associated` to it.
#[must_use]
pub fn seal(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    associated: &[u8],
    message: &[u8],
) -> Vec<u8> {
    start();
    let mut sealed = vec![0; message.len() + TAG_BYTES];
    // SAFETY: `sealed` has room for message and tag; a null length pointer and
    // a null secret nonce are what libsodium documents as "not wanted";
    // everything else has the length that is passed or that its type has.
    unsafe {
        ffi::crypto_aead_xchacha20poly1305_ietf_encrypt(
            sealed.as_mut_ptr(),
            std::ptr::null_mut(),
            message.as_ptr(),
            wide(message.len()),
            associated.as_ptr(),
            wide(associated.len()),
            std::ptr::null(),
            nonce.as_ptr(),
            key.as_ptr(),
        );
    }
    sealed
}

/// Opens what [`seal`] made, into locked memory.
///
/// # Errors
/// [`Forged`] when it was not sealed with this key, nonce and `associated`.
pub fn open(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    associated: &[u8],
    sealed: &[u8],
) -> Result<Locked, Forged> {
    let message_bytes = sealed.len().checked_sub(TAG_BYTES).ok_or(Forged)?;
    start();
    let mut message = Locked::zeroed(message_bytes);
    // SAFETY: `message` has room for what `sealed` holds without its tag, and
    // `sealed` is at least a tag long; nulls as in `seal`.
    let status = unsafe {
        ffi::crypto_aead_xchacha20poly1305_ietf_decrypt(
            message.as_mut_slice().as_mut_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            sealed.as_ptr(),
            wide(sealed.len()),
            associated.as_ptr(),
            wide(associated.len()),
            nonce.as_ptr(),
            key.as_ptr(),
        )
    };
    if status == 0 {
        Ok(message)
    } else {
        Err(Forged)
    }
}

/// Length of a key.
pub const KEY_BYTES: usize = ffi::crypto_aead_xchacha20poly1305_ietf_KEYBYTES as usize;

/// Length of a nonce: long enough to be drawn at random.
pub const NONCE_BYTES: usize = ffi::crypto_aead_xchacha20poly1305_ietf_NPUBBYTES as usize;

/// Length of the Poly1305 tag, which stands behind the ciphertext.
pub const TAG_BYTES: usize = ffi::crypto_aead_xchacha20poly1305_ietf_ABYTES as usize;

#[cfg(test)]
mod tests {
    use super::*;

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    const MESSAGE: &[u8] = b"Ladies and Gentlemen of the class of '99: If I could offer you \
        only one tip for the future, sunscreen would be it.";
    const ASSOCIATED: &[u8] = &[
        0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
    ];

    fn key() -> [u8; KEY_BYTES] {
        std::array::from_fn(|index| 0x80 + u8::try_from(index).unwrap())
    }

    fn nonce() -> [u8; NONCE_BYTES] {
        std::array::from_fn(|index| 0x40 + u8::try_from(index).unwrap())
    }

    #[track_caller]
    fn check(associated: &[u8], sealed: &[u8], expected: Result<&[u8], Forged>) {
        let opened = open(&key(), &nonce(), associated, sealed);
        assert_eq!(
            opened
                .as_ref()
                .map(Locked::as_slice)
                .map_err(|error| *error),
            expected
        );
    }

    #[test]
    fn vector_of_the_draft() {
        let sealed = seal(&key(), &nonce(), ASSOCIATED, MESSAGE);
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(hex.starts_with("bd6d179d3e83d43b9576579493c0e939"), "{hex}");
        assert!(hex.ends_with("c0875924c1c7987947deafd8780acf49"), "{hex}");
        check(ASSOCIATED, &sealed, Ok(MESSAGE));
    }

    #[test]
    fn prefixes_flipped_bits_and_other_associations_are_forged() {
        let sealed = seal(&key(), &nonce(), ASSOCIATED, MESSAGE);
        for len in 0..sealed.len() {
            check(ASSOCIATED, &sealed[..len], Err(Forged));
        }
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            check(ASSOCIATED, &altered, Err(Forged));
        }
        check(b"", &sealed, Err(Forged));
    }

    #[test]
    fn an_empty_message_is_a_tag() {
        let sealed = seal(&key(), &nonce(), ASSOCIATED, b"");
        assert_eq!(sealed.len(), TAG_BYTES);
        check(ASSOCIATED, &sealed, Ok(b""));
    }
}
