//! ChaCha20-Poly1305 as OpenSSH has it (PROTOCOL.chacha20poly1305), for key
//! files: sequence number 0, and no length that stands before.
//!
//! Not the construction of RFC 8439: the tag is over the ciphertext alone.
//!
//! **Invariant:** nothing of bytes that do not authenticate is decrypted.

use crate::{Forged, ffi, memory, start, wide};

/// Opens `bytes` in place.
///
/// # Errors
/// [`Forged`] when `tag` is not that of this key over `bytes`, which are then
/// as they were.
pub fn open_in_place(
    key: &[u8; KEY_BYTES],
    tag: &[u8; TAG_BYTES],
    bytes: &mut [u8],
) -> Result<(), Forged> {
    start();
    let nonce = [0; ffi::crypto_stream_chacha20_NONCEBYTES as usize];
    let mut authenticator = [0; ffi::crypto_onetimeauth_KEYBYTES as usize];
    // SAFETY: `authenticator` has the length that is passed; nonce and key have
    // the lengths of their types, which are ChaCha20's.
    unsafe {
        ffi::crypto_stream_chacha20(
            authenticator.as_mut_ptr(),
            wide(authenticator.len()),
            nonce.as_ptr(),
            key.as_ptr(),
        );
    }
    // SAFETY: `bytes` is readable for the length that is passed; tag and key
    // have Poly1305's lengths.
    let status = unsafe {
        ffi::crypto_onetimeauth_verify(
            tag.as_ptr(),
            bytes.as_ptr(),
            wide(bytes.len()),
            authenticator.as_ptr(),
        )
    };
    memory::wipe(&mut authenticator);
    if status != 0 {
        return Err(Forged);
    }
    let start = bytes.as_mut_ptr();
    // SAFETY: libsodium allows both to be the same memory, which is writable
    // for the length that is passed.
    unsafe {
        ffi::crypto_stream_chacha20_xor_ic(
            start,
            start,
            wide(bytes.len()),
            nonce.as_ptr(),
            FIRST_BLOCK,
            key.as_ptr(),
        );
    }
    Ok(())
}

/// Length of a key.
pub const KEY_BYTES: usize = 32;

/// Length of a tag.
pub const TAG_BYTES: usize = 16;

/// Block 0 gives the authenticator's key.
const FIRST_BLOCK: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8439's construction has the same key stream for a nonce of zeros,
    /// so its implementation makes the ciphertext; the tag is made by hand.
    fn sealed(key: &[u8; 32], message: &[u8]) -> ([u8; 16], Vec<u8>) {
        let mut bytes = message.to_vec();
        let nonce = [0; 8];
        let mut authenticator = [0; 32];
        let mut tag = [0; 16];
        // SAFETY: all lengths are those of the arrays.
        unsafe {
            let start = bytes.as_mut_ptr();
            ffi::crypto_stream_chacha20_xor_ic(
                start,
                start,
                wide(bytes.len()),
                nonce.as_ptr(),
                1,
                key.as_ptr(),
            );
            ffi::crypto_stream_chacha20(
                authenticator.as_mut_ptr(),
                32,
                nonce.as_ptr(),
                key.as_ptr(),
            );
            ffi::crypto_onetimeauth(
                tag.as_mut_ptr(),
                bytes.as_ptr(),
                wide(bytes.len()),
                authenticator.as_ptr(),
            );
        }
        (tag, bytes)
    }

    #[test]
    fn opens_what_was_sealed_and_nothing_altered() {
        let key = [7; 32];
        for len in [0, 1, 63, 64, 65, 1000] {
            let message: Vec<u8> = (0..len).map(|at: u32| (at % 251) as u8).collect();
            let (tag, ciphertext) = sealed(&key, &message);
            let mut bytes = ciphertext.clone();
            assert_eq!(open_in_place(&key, &tag, &mut bytes), Ok(()));
            assert_eq!(bytes, message);
            for bit in 0..8 * tag.len() {
                let mut altered = tag;
                altered[bit / 8] ^= 1 << (bit % 8);
                let mut bytes = ciphertext.clone();
                assert_eq!(open_in_place(&key, &altered, &mut bytes), Err(Forged));
                assert_eq!(bytes, ciphertext);
            }
        }
    }
}
