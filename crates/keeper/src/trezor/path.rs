//! The way from an identity to its key: SLIP-0013 to sign, SLIP-0017 to agree on keys.
//!
//! **Invariant:** every step is hardened, so nothing public derives anything (`spec/identity.md`
//! section 3).

use aws_lc_rs::digest::{SHA256, digest};
use keystead_core::Identity;

/// `m/13'/A'/B'/C'/D'` or `m/17'/…`: A to D are the first 16 bytes of
/// SHA-256(LE32(index) ‖ text), as four numbers, the least byte first.
#[must_use]
pub fn path(identity: &Identity) -> [u32; 5] {
    let mut hashed = identity.index().to_le_bytes().to_vec();
    hashed.extend_from_slice(identity.uri().as_bytes());
    let hash = digest(&SHA256, &hashed);
    let (words, _) = hash.as_ref().as_chunks::<4>();
    let mut steps = words.iter().map(|word| u32::from_le_bytes(*word));
    let mut step = || HARDENED | steps.next().unwrap_or_default();
    let purpose = HARDENED | u32::from(identity.derivation().number());
    [purpose, step(), step(), step(), step()]
}

/// The bit of a hardened step (BIP-0032).
const HARDENED: u32 = 0x8000_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_core::{Curve, Derivation};

    /// SLIP-0013's and SLIP-0017's examples under protocols that are known here, worked out with
    /// Python's hashlib.
    #[test]
    fn paths_are_those_of_the_documents() {
        #[track_caller]
        fn check(uri: &str, curve: Curve, index: u32, derivation: Derivation, expected: [u32; 5]) {
            let identity = Identity::new(uri, curve, index, derivation).unwrap();
            assert_eq!(path(&identity), expected, "{uri}");
        }
        // trezor-firmware, tests/device_tests/misc/test_msg_getecdhsessionkey.py.
        check(
            "gpg://Satoshi Nakamoto <satoshi@bitcoin.org>",
            Curve::Secp256k1,
            0,
            Derivation::Agree,
            [2147483665, 4241807468, 2549583921, 2261950845, 3255255012],
        );
        check(
            "ssh://satoshi@bitcoin.org",
            Curve::Nist256p1,
            47,
            Derivation::Sign,
            [2147483661, 4111640159, 2980290904, 2332131323, 3701645358],
        );
        check(
            "ssh://satoshi@bitcoin.org",
            Curve::Ed25519,
            u32::MAX,
            Derivation::Sign,
            [2147483661, 3640892158, 4185524563, 3004486181, 3435109549],
        );
        check(
            "keystead://wallet",
            Curve::Nist256p1,
            0,
            Derivation::Sign,
            [2147483661, 3454445790, 4093179661, 3842196613, 3917142570],
        );
        check(
            "age://backup",
            Curve::Curve25519,
            1,
            Derivation::Agree,
            [2147483665, 2254055463, 3422466320, 2767597412, 3331409175],
        );
    }
}
