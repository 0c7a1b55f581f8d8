//! The same words, identity and index give the keys, signatures and points of real firmware
//! (trezor-firmware, `tests/device_tests/misc/test_msg_signidentity.py` and
//! `test_msg_getecdhsessionkey.py`), through machine, cable and device.

use keystead_core::{Curve, DecryptForm, Derivation, Identity, SignForm};

use crate::bench::{Bench, hex, identity, plaintext, signature, ssh};
use crate::setup::Setup;

const CHALLENGE: &str = "cd8552569d6e4509266ef137584d1e62c7579b5b8ed69bbafa4b864c6521e7c2";

/// Of test_msg_signidentity.py.
fn satoshi(curve: Curve) -> Identity {
    identity("ssh://satoshi@bitcoin.org", curve, 47, Derivation::Sign)
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [length.as_slice(), bytes].concat()
}

#[tokio::test]
async fn signatures_are_those_of_real_firmware() {
    let mut bench = Bench::new(Setup::default());
    let nist = satoshi(Curve::Nist256p1);
    let signed = bench.sign(&nist, SignForm::Ssh, &hex(CHALLENGE)).await;
    let r = hex("5122cebabb852cdd32103b602662afa88e54c0c0c1b38d7099c64dcd49efe908");
    let s = hex("288114e66ed2d8c82f23a70b769a4db723173ec53840c08aafb840d3f09a18d3");
    let both = [string(&r), string(&s)].concat();
    let expected = [string(b"ecdsa-sha2-nistp256"), string(&both)].concat();
    assert_eq!(signature(signed), expected);

    let edwards = satoshi(Curve::Ed25519);
    let signed = bench.sign(&edwards, SignForm::Ssh, &hex(CHALLENGE)).await;
    let raw = hex(
        "f05e5085e666429de397c70a081932654369619c0bd2a6579ea6c1ef2af112ef79998d6c862a16b932d44b1a\
         c1b83c8cbcd0fbda228274fde9e0d0ca6e9cb709",
    );
    let expected = [string(b"ssh-ed25519"), string(&raw)].concat();
    assert_eq!(signature(signed), expected);

    let gpg = identity(
        "gpg://satoshi@bitcoin.org",
        Curve::Ed25519,
        0,
        Derivation::Sign,
    );
    // 8 is SHA-256 (RFC 9580 section 9.5).
    let content = [&[8], hex(CHALLENGE).as_slice()].concat();
    let signed = bench.sign(&gpg, SignForm::OpenPgp, &content).await;
    let expected = hex(
        "f47f1a09a2875b971811ebbece19c3004c3ecbe84e65666dc8c36cc2fc002544af8a3f545375ebe53d73b41c\
         700df2f9020256c31bb774a7eb03ed9819226407",
    );
    assert_eq!(signature(signed), expected);
    assert_eq!(
        bench.screens(),
        [
            "sign ssh://satoshi@bitcoin.org",
            "sign ssh://satoshi@bitcoin.org",
            "sign gpg://satoshi@bitcoin.org"
        ]
    );
}

#[tokio::test]
async fn minisign_asks_twice_and_gives_both() {
    let mut bench = Bench::new(Setup::default());
    let name = identity(
        "signify://satoshi@bitcoin.org",
        Curve::Ed25519,
        0,
        Derivation::Sign,
    );
    // {1: false, 2: the challenge, 3: "hello"}
    let content = [
        b"\xa3\x01\xf4\x02\x58\x20".as_slice(),
        &hex(CHALLENGE),
        b"\x03\x65hello",
    ];
    let signed = bench
        .sign(&name, SignForm::Minisign, &content.concat())
        .await;
    let signed = signature(signed);
    let first = hex(
        "9bb30a7a894e6cdd86e2b75803745e93bd5294b979f9e00ce9dc870642c7f6ad7322af4c54d401ea793494e8\
         a5fdf2bf8b88c6e875094512bd67b94f9188000d",
    );
    assert_eq!(signed.len(), 128);
    assert_eq!(signed[..64], first);
    assert_eq!(bench.screens().len(), 2);
    assert!(bench.said[0].ends_with("(1 of 2)"), "{:?}", bench.said);
    assert!(bench.said[1].ends_with("(2 of 2)"), "{:?}", bench.said);
}

#[tokio::test]
async fn points_are_those_of_real_firmware() {
    let mut bench = Bench::new(Setup::default());
    let uri = "gpg://Satoshi Nakamoto <satoshi@bitcoin.org>";
    for (curve, peer, expected) in [
        (
            Curve::Secp256k1,
            "0407f2c6e5becf3213c1d07df0cfbe8e39f70a8c643df7575e5c56859ec52c45ca950499c019719dae0fda\
             04248d851e52cf9d66eeb211d89a77be40de22b6c89d",
            "0495e5d8c9e5cc09e7cf4908774f52decb381ce97f2fc9ba56e959c13f03f9f47a03dd151cbc908bc1db84\
             d46e2c33e7bbb9daddc800f985244c924fd64adf6647",
        ),
        (
            Curve::Nist256p1,
            "04811a6c2bd2a547d0dd84747297fec47719e7c3f9b0024f027c2b237be99aac39a9230acbd163d0cb1524\
             a0f5ea4bfed6058cec6f18368f72a12aa0c4d083ff64",
            "046d1f5c48af2cf2c57076ac2c9d7808db2086f614cb7b8107119ff2c6270cd209749809efe0196f01a0cc\
             633788cef1f4a2bd650c99570d06962f923fca6d8fdf",
        ),
        (
            Curve::Curve25519,
            "a8cf4b6a64c4314e80f15a8ea55812bd735fbb365936a48b2d78807b575fa17a",
            "e24516669e0b7d3d72e5129fddd07b6644c30915f5c8b7f1f62324afb3624311",
        ),
    ] {
        let name = identity(uri, curve, 0, Derivation::Agree);
        let shared = bench.decrypt(&name, DecryptForm::Point, &hex(peer)).await;
        assert_eq!(plaintext(shared), hex(expected), "{curve}");
    }
    assert_eq!(bench.screens().len(), 3);
}

#[tokio::test]
async fn public_keys_are_told_without_a_button() {
    let mut bench = Bench::new(Setup::default());
    let nist = satoshi(Curve::Nist256p1);
    let key = bench.key(&nist).await;
    assert_eq!(key.algorithm, "ecdsa-sha2-nistp256");
    // The point of 0373f21a…, uncompressed.
    let x = hex("73f21a3da3d0e96fc2189f81dd826658c3d76b2d55bd1da349bc6c3573b13ae4");
    assert_eq!(key.public_key[key.public_key.len() - 64..][..32], x);
    assert_eq!(bench.key(&ssh()).await.algorithm, "ssh-ed25519");
    let backup = identity("age://backup", Curve::Curve25519, 0, Derivation::Agree);
    assert_eq!(bench.key(&backup).await.public_key.len(), 32);
    assert_eq!(bench.screens(), [""; 0]);
    assert_eq!(bench.said, [""; 0]);
}
