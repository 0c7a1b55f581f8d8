//! X25519, NaCl's box key, and libsodium's sealed boxes.
//!
//! X25519 itself is aws-lc's, which TLS links anyway and which takes 0.6 of
//! the time that libsodium's takes; a test compares the two.
//!
//! **Invariant:** a shared point that is all zero is refused, so no peer can
//! choose what the result will be (RFC 7748 section 6.1).

use crate::{Forged, ffi, hash, memory, secretbox, start};

/// Multiplies `public` by `secret` on Curve25519 into `out` (RFC 7748
/// section 5: clamped, top bit of `public` ignored).
///
/// # Errors
/// [`LowOrder`] when the result is all zero; `out` is then all zero.
pub fn x25519(secret: &[u8; 32], public: &[u8; 32], out: &mut [u8; 32]) -> Result<(), LowOrder> {
    // SAFETY: all three have the 32 bytes that aws-lc reads and writes.
    let status = unsafe { aws_lc_sys::X25519(out.as_mut_ptr(), secret.as_ptr(), public.as_ptr()) };
    // aws-lc says 0 for an all-zero result; it is looked at all the same.
    if status != 1 || memory::equal(out, &[0; 32]) {
        *out = [0; 32];
        return Err(LowOrder);
    }
    Ok(())
}

/// The public key of an X25519 `secret`.
#[must_use]
pub fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    // SAFETY: both have the 32 bytes that aws-lc reads and writes.
    unsafe {
        aws_lc_sys::X25519_public_from_private(public.as_mut_ptr(), secret.as_ptr());
    }
    public
}

/// Derives the box key of a raw X25519 output: HSalsa20(x, 0), which is the
/// second half of NaCl's `crypto_box_beforenm`.
pub fn box_key(x: &[u8; 32], out: &mut [u8; 32]) {
    start();
    let zero = [0; ffi::crypto_core_hsalsa20_INPUTBYTES as usize];
    // SAFETY: `out` and `x` have the 32 bytes that HSalsa20 writes and reads,
    // `zero` its 16; a null constant selects "expand 32-byte k".
    unsafe {
        ffi::crypto_core_hsalsa20(
            out.as_mut_ptr(),
            zero.as_ptr(),
            x.as_ptr(),
            std::ptr::null(),
        );
    }
}

/// Seals `message` to `recipient`, from nobody: the bytes of libsodium's
/// `crypto_box_seal`, with the ephemeral secret given instead of drawn.
///
/// The secret must be fresh, random, and wiped by the caller after.
///
/// # Errors
/// [`LowOrder`] when `recipient` is no key that anybody can open for.
pub fn seal_with(
    ephemeral_secret: &[u8; 32],
    recipient: &[u8; 32],
    message: &[u8],
) -> Result<Vec<u8>, LowOrder> {
    let ephemeral = public_key(ephemeral_secret);
    let key = shared_key(ephemeral_secret, recipient)?;
    let mut sealed = vec![0; SEAL_BYTES + message.len()];
    let (head, boxed) = sealed.split_at_mut(ephemeral.len());
    head.copy_from_slice(&ephemeral);
    secretbox::seal(&key.0, &seal_nonce(&ephemeral, recipient), message, boxed);
    Ok(sealed)
}

/// Opens a sealed box for the key pair `recipient`, `recipient_secret`.
///
/// # Errors
/// [`Forged`] when the bytes were not sealed to that key, or were altered.
pub fn open(
    recipient: &[u8; 32],
    recipient_secret: &[u8; 32],
    sealed: &[u8],
) -> Result<Vec<u8>, Forged> {
    let (ephemeral, boxed) = sealed.split_first_chunk::<32>().ok_or(Forged)?;
    let message_bytes = boxed
        .len()
        .checked_sub(secretbox::TAG_BYTES)
        .ok_or(Forged)?;
    let key = shared_key(recipient_secret, ephemeral).map_err(|LowOrder| Forged)?;
    let mut message = vec![0; message_bytes];
    secretbox::open(
        &key.0,
        &seal_nonce(ephemeral, recipient),
        boxed,
        &mut message,
    )?;
    Ok(message)
}

/// A point of low order was given as a public key: the shared result would be
/// all zero, known to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowOrder;

impl std::fmt::Display for LowOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("public key is a point of low order")
    }
}

impl std::error::Error for LowOrder {}

/// 32 secret bytes on the stack, wiped on drop.
struct Wiped([u8; 32]);

impl Drop for Wiped {
    fn drop(&mut self) {
        memory::wipe(&mut self.0);
    }
}

fn shared_key(secret: &[u8; 32], public: &[u8; 32]) -> Result<Wiped, LowOrder> {
    let mut x = Wiped([0; 32]);
    x25519(secret, public, &mut x.0)?;
    let mut key = Wiped([0; 32]);
    box_key(&x.0, &mut key.0);
    Ok(key)
}

/// The nonce of a sealed box: BLAKE2b-192(ephemeral ‖ recipient), as libsodium
/// documents `crypto_box_seal`.
fn seal_nonce(ephemeral: &[u8; 32], recipient: &[u8; 32]) -> [u8; secretbox::NONCE_BYTES] {
    hash::blake2b(&[], &[ephemeral, recipient])
}

/// How much longer than its message a sealed box is: ephemeral key and tag.
pub const SEAL_BYTES: usize = 32 + secretbox::TAG_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(hex: &str) -> [u8; 32] {
        let mut key = [0; 32];
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap();
        }
        key
    }

    /// RFC 7748 section 6.1, whose pairs are NaCl's too; the box key is
    /// `firstkey` of "Cryptography in NaCl", section 3.
    #[test]
    fn diffie_hellman_of_rfc_7748_and_box_key_of_nacl() {
        let alice = key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let shared = key("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        for (own, peer, peer_public) in [
            (
                alice,
                bob,
                "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            ),
            (
                bob,
                alice,
                "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            ),
        ] {
            assert_eq!(public_key(&peer), key(peer_public));
            let mut out = [0; 32];
            assert_eq!(x25519(&own, &key(peer_public), &mut out), Ok(()));
            assert_eq!(out, shared);
        }
        let mut first = [0; 32];
        box_key(&shared, &mut first);
        assert_eq!(
            first,
            key("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
        );
    }

    #[test]
    fn aws_lc_and_libsodium_agree() {
        // Keys with and without the bits that clamping and masking change.
        let mut secret = [0xff; 32];
        let mut point = [0xff; 32];
        for round in 0..64 {
            let mut ours = [0; 32];
            x25519(&secret, &point, &mut ours).unwrap();
            let (mut theirs, mut their_public) = ([0; 32], [0; 32]);
            // SAFETY: lengths as libsodium documents them.
            unsafe {
                ffi::crypto_scalarmult_curve25519(
                    theirs.as_mut_ptr(),
                    secret.as_ptr(),
                    point.as_ptr(),
                );
                ffi::crypto_scalarmult_curve25519_base(their_public.as_mut_ptr(), secret.as_ptr());
            }
            assert_eq!(ours, theirs, "round {round}");
            assert_eq!(public_key(&secret), their_public, "round {round}");
            secret = hash::blake2b(&[], &[&secret, &ours]);
            point = hash::blake2b(&[], &[&point, &ours]);
        }
    }

    #[test]
    fn sealed_box_is_opened_by_libsodium_and_by_us() {
        let secret = [5; 32];
        let public = public_key(&secret);
        let sealed = seal_with(&[7; 32], &public, b"hello").unwrap();
        assert_eq!(sealed.len(), 5 + SEAL_BYTES);
        let mut theirs = [0; 5];
        // SAFETY: lengths as libsodium documents them.
        let status = unsafe {
            ffi::crypto_box_seal_open(
                theirs.as_mut_ptr(),
                sealed.as_ptr(),
                sealed.len() as u64,
                public.as_ptr(),
                secret.as_ptr(),
            )
        };
        assert_eq!((status, &theirs), (0, b"hello"));
        assert_eq!(open(&public, &secret, &sealed), Ok(b"hello".to_vec()));
    }

    #[test]
    fn we_open_what_libsodium_sealed() {
        let secret = [5; 32];
        let public = public_key(&secret);
        let mut sealed = [0; 5 + SEAL_BYTES];
        start();
        // SAFETY: lengths as libsodium documents them.
        unsafe {
            ffi::crypto_box_seal(sealed.as_mut_ptr(), b"hello".as_ptr(), 5, public.as_ptr());
        }
        assert_eq!(open(&public, &secret, &sealed), Ok(b"hello".to_vec()));
    }

    #[test]
    fn every_prefix_and_every_flipped_bit_is_forged() {
        let secret = [5; 32];
        let public = public_key(&secret);
        let sealed = seal_with(&[7; 32], &public, b"hello").unwrap();
        for len in 0..sealed.len() {
            assert_eq!(open(&public, &secret, &sealed[..len]), Err(Forged));
        }
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&public, &secret, &altered), Err(Forged));
        }
    }

    /// The points of order 1, 2, 4 and 8, and their other encodings, for
    /// which the result is zero whatever the secret.
    #[test]
    fn points_of_low_order_are_refused() {
        for point in [
            [0; 32],
            {
                let mut one = [0; 32];
                one[0] = 1;
                one
            },
            key("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            key("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
            key("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
            key("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
            key("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ] {
            let mut out = [1; 32];
            assert_eq!(x25519(&[5; 32], &point, &mut out), Err(LowOrder));
            assert_eq!(out, [0; 32]);
            assert_eq!(seal_with(&[5; 32], &point, b""), Err(LowOrder));
        }
    }
}
