//! NaCl's `crypto_secretbox`: XSalsa20-Poly1305.
//!
//! **Invariant:** nothing of a message that does not authenticate reaches the
//! caller: libsodium verifies before it decrypts.

use crate::{Forged, ffi, start, wide};

/// Seals `message` into `out`, as `tag ‖ ciphertext`.
///
/// # Panics
/// When `out` is not [`TAG_BYTES`] longer than `message`.
pub fn seal(key: &[u8; KEY_BYTES], nonce: &[u8; NONCE_BYTES], message: &[u8], out: &mut [u8]) {
    let (tag, ciphertext) = split_tag_mut(out);
    assert!(ciphertext.len() == message.len(), "length of out");
    start();
    // SAFETY: `ciphertext` has `message.len()` writable bytes, `tag` 16; key
    // and nonce have the lengths of their types. The slices cannot overlap,
    // for one is borrowed mutably.
    unsafe {
        ffi::crypto_secretbox_detached(
            ciphertext.as_mut_ptr(),
            tag.as_mut_ptr(),
            message.as_ptr(),
            wide(message.len()),
            nonce.as_ptr(),
            key.as_ptr(),
        );
    }
}

/// Opens `boxed`, which is `tag ‖ ciphertext`, into `out`.
///
/// # Errors
/// [`Forged`] when `boxed` was not sealed with this key and nonce, or is
/// shorter than a tag; `out` is then as it was.
///
/// # Panics
/// When `out` is not [`TAG_BYTES`] shorter than a `boxed` that has a tag.
pub fn open(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    boxed: &[u8],
    out: &mut [u8],
) -> Result<(), Forged> {
    let (tag, ciphertext) = boxed.split_first_chunk::<TAG_BYTES>().ok_or(Forged)?;
    assert!(ciphertext.len() == out.len(), "length of out");
    start();
    // SAFETY: `out` has `ciphertext.len()` writable bytes; tag, nonce and key
    // have the lengths of their types.
    let status = unsafe {
        ffi::crypto_secretbox_open_detached(
            out.as_mut_ptr(),
            ciphertext.as_ptr(),
            tag.as_ptr(),
            wide(ciphertext.len()),
            nonce.as_ptr(),
            key.as_ptr(),
        )
    };
    if status == 0 { Ok(()) } else { Err(Forged) }
}

/// Replaces `message` by its ciphertext and returns the tag.
#[must_use]
pub fn seal_in_place(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    message: &mut [u8],
) -> [u8; TAG_BYTES] {
    start();
    let mut tag = [0; TAG_BYTES];
    let bytes = message.as_mut_ptr();
    // SAFETY: libsodium allows ciphertext and message to be the same memory;
    // both are `message`, the rest has the lengths of its types.
    unsafe {
        ffi::crypto_secretbox_detached(
            bytes,
            tag.as_mut_ptr(),
            bytes,
            wide(message.len()),
            nonce.as_ptr(),
            key.as_ptr(),
        );
    }
    tag
}

/// Replaces `ciphertext` by its message.
///
/// # Errors
/// [`Forged`] when it was not sealed with this key, nonce and tag; it is then
/// as it was.
pub fn open_in_place(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    tag: &[u8; TAG_BYTES],
    ciphertext: &mut [u8],
) -> Result<(), Forged> {
    start();
    let bytes = ciphertext.as_mut_ptr();
    // SAFETY: as in `seal_in_place`.
    let status = unsafe {
        ffi::crypto_secretbox_open_detached(
            bytes,
            bytes,
            tag.as_ptr(),
            wide(ciphertext.len()),
            nonce.as_ptr(),
            key.as_ptr(),
        )
    };
    if status == 0 { Ok(()) } else { Err(Forged) }
}

fn split_tag_mut(out: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    assert!(out.len() >= TAG_BYTES, "length of out");
    out.split_at_mut(TAG_BYTES)
}

/// Length of a key.
pub const KEY_BYTES: usize = ffi::crypto_secretbox_KEYBYTES as usize;

/// Length of a nonce: XSalsa20's.
pub const NONCE_BYTES: usize = ffi::crypto_secretbox_NONCEBYTES as usize;

/// Length of the Poly1305 tag, which stands before the ciphertext.
pub const TAG_BYTES: usize = ffi::crypto_secretbox_MACBYTES as usize;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const NONCE: [u8; 24] = [9; 24];

    fn sealed(message: &[u8]) -> Vec<u8> {
        let mut out = vec![0; TAG_BYTES + message.len()];
        seal(&KEY, &NONCE, message, &mut out);
        out
    }

    #[test]
    fn opens_what_it_sealed_in_both_forms() {
        for len in [0, 1, 31, 32, 33, 63, 64, 65, 1000, 65_536] {
            let message = vec![0xa5; len];
            let boxed = sealed(&message);

            let mut opened = vec![0; len];
            assert_eq!(open(&KEY, &NONCE, &boxed, &mut opened), Ok(()));
            assert_eq!(opened, message);

            let mut in_place = message.clone();
            let tag = seal_in_place(&KEY, &NONCE, &mut in_place);
            assert_eq!([&tag[..], &in_place[..]].concat(), boxed);
            assert_eq!(open_in_place(&KEY, &NONCE, &tag, &mut in_place), Ok(()));
            assert_eq!(in_place, message);
        }
    }

    #[test]
    fn every_flipped_bit_is_forged_and_gives_nothing() {
        let boxed = sealed(b"attack at dawn");
        for bit in 0..boxed.len() * 8 {
            let mut altered = boxed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let mut out = [0; 14];
            assert_eq!(open(&KEY, &NONCE, &altered, &mut out), Err(Forged));
            assert_eq!(out, [0; 14]);
        }
    }

    #[test]
    fn every_prefix_is_forged() {
        let boxed = sealed(b"attack at dawn");
        for len in 0..boxed.len() {
            let mut out = vec![0; len.saturating_sub(TAG_BYTES)];
            assert_eq!(open(&KEY, &NONCE, &boxed[..len], &mut out), Err(Forged));
        }
    }

    #[test]
    #[should_panic(expected = "length of out")]
    fn a_short_output_is_a_mistake() {
        seal(&KEY, &NONCE, b"1234", &mut [0; 19]);
    }
}
