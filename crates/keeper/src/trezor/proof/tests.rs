use super::*;

/// Signatures and points of real firmware: trezor-firmware,
/// `tests/device_tests/misc/test_msg_signidentity.py` and `test_msg_getecdhsessionkey.py`.
const CHALLENGE: &str = "cd8552569d6e4509266ef137584d1e62c7579b5b8ed69bbafa4b864c6521e7c2";

fn hex(digits: &str) -> Vec<u8> {
    keystead_core::hex::decode(digits).unwrap()
}

fn half(uri: &str, curve: Curve, index: u32, derivation: Derivation, node: &str) -> PublicHalf {
    let identity = Identity::new(uri, curve, index, derivation).unwrap();
    PublicHalf::of(&identity, &hex(node)).unwrap()
}

#[test]
fn signatures_of_real_firmware_hold() {
    #[track_caller]
    fn check(
        (uri, curve, index): (&str, Curve, u32),
        node: &str,
        signature: &str,
        is_digest: bool,
    ) {
        let half = half(uri, curve, index, Derivation::Sign, node);
        let signature = hex(signature);
        let holds = |signed: &[u8], signature: &[u8]| {
            if is_digest {
                half.has_signed_digest(signed, signature)
            } else {
                half.has_signed(signed, signature)
            }
        };
        let challenge = hex(CHALLENGE);
        assert!(holds(&challenge, &signature), "{uri}");
        for at in [0, 31, 32, 63] {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(!holds(&challenge, &changed), "{uri} byte {at}");
        }
        let mut other = challenge.clone();
        other[31] ^= 1;
        assert!(!holds(&other, &signature), "{uri}");
        for length in 0..64 {
            assert!(!holds(&challenge, &signature[..length]), "{uri} {length}");
        }
    }
    check(
        ("ssh://satoshi@bitcoin.org", Curve::Nist256p1, 47),
        "0373f21a3da3d0e96fc2189f81dd826658c3d76b2d55bd1da349bc6c3573b13ae4",
        "5122cebabb852cdd32103b602662afa88e54c0c0c1b38d7099c64dcd49efe908\
         288114e66ed2d8c82f23a70b769a4db723173ec53840c08aafb840d3f09a18d3",
        false,
    );
    check(
        ("ssh://satoshi@bitcoin.org", Curve::Ed25519, 47),
        "000fac2a491e0f5b871dc48288a4cae551bac5cb0ed19df0764d6e721ec5fade18",
        "f05e5085e666429de397c70a081932654369619c0bd2a6579ea6c1ef2af112ef\
         79998d6c862a16b932d44b1ac1b83c8cbcd0fbda228274fde9e0d0ca6e9cb709",
        false,
    );
    check(
        ("gpg://satoshi@bitcoin.org", Curve::Ed25519, 0),
        "00d18cdf4dbdbb50ef1fdba1ae0539451f3354a366d6a35313712ab82f16d4cd9e",
        "f47f1a09a2875b971811ebbece19c3004c3ecbe84e65666dc8c36cc2fc002544\
         af8a3f545375ebe53d73b41c700df2f9020256c31bb774a7eb03ed9819226407",
        true,
    );
    check(
        ("signify://satoshi@bitcoin.org", Curve::Ed25519, 0),
        "0038c0f42c0e47b233e837763098f029fd01009b74fdf4b0d60db114fb0f4f8b17",
        "9bb30a7a894e6cdd86e2b75803745e93bd5294b979f9e00ce9dc870642c7f6ad\
         7322af4c54d401ea793494e8a5fdf2bf8b88c6e875094512bd67b94f9188000d",
        false,
    );
}

#[test]
fn points_of_real_firmware_are_read() {
    #[track_caller]
    fn check(curve: Curve, node: &str, given: &str, expected: Option<&str>) {
        let uri = "gpg://Satoshi Nakamoto <satoshi@bitcoin.org>";
        let half = half(uri, curve, 0, Derivation::Agree, node);
        let given = SecretBytes::take(&mut hex(given));
        let shared = half.shared(&given);
        let shared = shared.map(|it| it.expose().to_vec());
        assert_eq!(shared, expected.map(hex), "{curve}");
    }
    let p256 = "046d1f5c48af2cf2c57076ac2c9d7808db2086f614cb7b8107119ff2c6270cd20974\
                9809efe0196f01a0cc633788cef1f4a2bd650c99570d06962f923fca6d8fdf";
    let node_p256 = "03fda61bc6e6be9b1dd99f7f9d04836d1bf2a6ea2426095210c8ce65091b09000a";
    check(Curve::Nist256p1, node_p256, p256, Some(p256));
    check(Curve::Nist256p1, node_p256, &p256[..128], None);
    check(
        Curve::Nist256p1,
        node_p256,
        &format!("04{}", "00".repeat(64)),
        None,
    );
    let k256 = "0495e5d8c9e5cc09e7cf4908774f52decb381ce97f2fc9ba56e959c13f03f9f47a03\
                dd151cbc908bc1db84d46e2c33e7bbb9daddc800f985244c924fd64adf6647";
    let node_k256 = "02a3b34db999f994aa91accb7b73ecafe0ce8ce228e17a45525ccbf73feeb7c809";
    check(Curve::Secp256k1, node_k256, k256, Some(k256));
    let x25519 = "e24516669e0b7d3d72e5129fddd07b6644c30915f5c8b7f1f62324afb3624311";
    let node_x25519 = "009753a0738c55c7ba7c17dd4a9a975ce9b0d2b62e8a1ecef4a76767fad99d3c71";
    check(
        Curve::Curve25519,
        node_x25519,
        &format!("04{x25519}"),
        Some(x25519),
    );
    check(Curve::Curve25519, node_x25519, x25519, None);
    check(
        Curve::Curve25519,
        node_x25519,
        &format!("04{}", "00".repeat(32)),
        None,
    );
}

#[test]
fn what_is_no_key_is_none() {
    let check = |curve, derivation, node: &str| {
        let identity = Identity::new("gpg://a", curve, 0, derivation).unwrap();
        assert_eq!(PublicHalf::of(&identity, &hex(node)), None, "{node}");
    };
    let x = "fda61bc6e6be9b1dd99f7f9d04836d1bf2a6ea2426095210c8ce65091b09000a";
    check(Curve::Nist256p1, Derivation::Agree, &format!("00{x}"));
    check(Curve::Nist256p1, Derivation::Agree, &format!("05{x}"));
    check(Curve::Nist256p1, Derivation::Agree, x);
    check(
        Curve::Nist256p1,
        Derivation::Sign,
        &format!("02{}", "ff".repeat(32)),
    );
    check(
        Curve::Secp256k1,
        Derivation::Sign,
        &format!("02{}", "ff".repeat(32)),
    );
    check(Curve::Ed25519, Derivation::Sign, &format!("02{x}"));
    check(Curve::Ed25519, Derivation::Sign, &format!("00{}", &x[2..]));
    check(Curve::Curve25519, Derivation::Agree, &format!("04{x}"));
}

#[test]
fn a_peers_point_is_put_as_the_device_takes_it() {
    let node = "009753a0738c55c7ba7c17dd4a9a975ce9b0d2b62e8a1ecef4a76767fad99d3c71";
    let half = half("age://a", Curve::Curve25519, 0, Derivation::Agree, node);
    assert_eq!(
        half.peer(&[7; 32]),
        Some([[0x40].as_slice(), &[7; 32]].concat())
    );
    assert_eq!(half.peer(&[7; 33]), None);
    assert_eq!(half.peer(&[4; 65]), None);
    let other = PublicHalf {
        algorithm: Algorithm::EcdhP256,
        ..half
    };
    assert_eq!(other.peer(&[4; 65]), Some(vec![4; 65]));
    assert_eq!(other.peer(&[3; 65]), None);
    assert_eq!(other.peer(&[4; 64]), None);
}

/// A stanza of age 1.1.1 to the recipient of the RFC 7748 section 6.1 key of Bob, worked out by
/// Python's `cryptography` from the specification.
#[test]
fn a_file_key_is_opened() {
    let node = "00de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    let half = half("age://a", Curve::Curve25519, 0, Derivation::Agree, node);
    let shared = SecretBytes::take(&mut hex(
        "d0bda120f120bed6b1c132f737ab678e1a4358c0984a617d2fe14f665460932f",
    ));
    let ephemeral = hex("8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
    let wrapped = hex("d7196fda4d96eb01b463b6fc0d4552569bb72fd61153478f09d72577ad786f68");
    let opened = half.file_key(&shared, &ephemeral, &wrapped);
    let file_key: Vec<u8> = (0..16).collect();
    assert_eq!(opened.unwrap().expose(), file_key);
    for at in [0, 15, 16, 31] {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        assert!(half.file_key(&shared, &ephemeral, &changed).is_none());
        let mut changed = ephemeral.clone();
        changed[at] ^= 1;
        assert!(half.file_key(&shared, &changed, &wrapped).is_none());
    }
    assert!(half.file_key(&shared, &ephemeral, &[]).is_none());
}

#[test]
fn numbers_of_ssh() {
    assert_eq!(mpint(&[0, 0, 1]), [1]);
    assert_eq!(mpint(&[0, 0x80]), [0, 0x80]);
    assert_eq!(mpint(&[0x7f]), [0x7f]);
    assert_eq!(mpint(&[0]), [0; 0]);
}
