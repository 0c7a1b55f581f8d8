//! The one place that makes nonces: the table of `spec/curve.md` section 2.
//!
//! **Invariant**: every (key, nonce) pair is used for one plaintext. A label
//! names message and direction; behind it stands a counter where the key has
//! one owner with state, and 16 random bytes where it has not.

use keystead_sodium::secretbox::NONCE_BYTES;
use rand_core::CryptoRngCore;

/// A nonce of XSalsa20.
pub(super) type Nonce = [u8; NONCE_BYTES];

/// Sixteen bytes from the system's generator, sent beside the box they made unique.
pub(super) type R16 = [u8; R16_BYTES];

/// `label ‖ u64 n`, big-endian.
pub(super) fn counted(label: &[u8; 16], n: u64) -> Nonce {
    concat(label, &n.to_be_bytes())
}

/// `label ‖ R16`.
pub(super) fn random(label: &[u8; 8], r16: &R16) -> Nonce {
    concat(label, r16)
}

/// Draws an R16.
pub(super) fn draw(rng: &mut dyn CryptoRngCore) -> R16 {
    let mut r16 = [0; R16_BYTES];
    rng.fill_bytes(&mut r16);
    r16
}

/// `label ‖ u64 n`: the 12 bytes of RFC 5116's algorithms.
pub(super) fn aead(label: &[u8; 4], n: u64) -> [u8; 12] {
    concat(label, &n.to_be_bytes())
}

fn concat<const A: usize, const B: usize, const N: usize>(a: &[u8; A], b: &[u8; B]) -> [u8; N] {
    const { assert!(A + B == N, "a nonce is its label and what makes it unique") };
    let mut nonce = [0; N];
    let (head, tail) = nonce.split_at_mut(A);
    head.copy_from_slice(a);
    tail.copy_from_slice(b);
    nonce
}

/// Bytes of an R16.
pub(super) const R16_BYTES: usize = 16;

/// DH(EC,S), Hello; n is 0.
pub(super) const HELLO: &[u8; 16] = b"keystead-hello-1";
/// DH(EC,S), Cookie ack; R16, for a replayed Hello makes a second, different plaintext.
pub(super) const COOKIE_ACK: &[u8; 8] = b"ksckack1";
/// DH(C,S), V; R16, for a long-term pair shares no state.
pub(super) const V: &[u8; 8] = b"ksvouch1";
/// DH(EC,ES), Vouch; n is 0.
pub(super) const VOUCH: &[u8; 16] = b"keystead-vouch-1";
/// DH(C,ES), the proof of `bind`; R16.
pub(super) const BIND: &[u8; 8] = b"ksbind01";
/// Msg, client to server.
pub(super) const MSG_C2S: &[u8; 16] = b"keystead-msg-c2s";
/// Msg, server to client.
pub(super) const MSG_S2C: &[u8; 16] = b"keystead-msg-s2c";
/// Close, client to server: spends the counter of Msg.
pub(super) const CLOSE_C2S: &[u8; 16] = b"keystead-end-c2s";
/// Close, server to client.
pub(super) const CLOSE_S2C: &[u8; 16] = b"keystead-end-s2c";
/// Msg and Close with `aead`, client to server; the type is associated data.
pub(super) const AEAD_C2S: &[u8; 4] = b"kc2s";
/// Msg and Close with `aead`, server to client.
pub(super) const AEAD_S2C: &[u8; 4] = b"ks2c";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_differ_and_none_begins_another() {
        let long = [HELLO, VOUCH, MSG_C2S, MSG_S2C, CLOSE_C2S, CLOSE_S2C];
        let short = [COOKIE_ACK, V, BIND];
        for (i, a) in long.iter().enumerate() {
            assert!(long.iter().skip(i + 1).all(|b| a != b));
            assert!(short.iter().all(|b| !a.starts_with(*b)));
        }
        for (i, a) in short.iter().enumerate() {
            assert!(short.iter().skip(i + 1).all(|b| a != b));
        }
        assert_ne!(AEAD_C2S, AEAD_S2C);
    }

    #[test]
    fn layout() {
        assert_eq!(
            &counted(HELLO, 258),
            b"keystead-hello-1\0\0\0\0\0\0\x01\x02"
        );
        assert_eq!(
            &random(V, &[9; 16]),
            b"ksvouch1\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09"
        );
        assert_eq!(&aead(AEAD_S2C, 7), b"ks2c\0\0\0\0\0\0\0\x07");
    }
}
