//! Vectors, borders, and signatures checked by another library than the one that made them.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256K1_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::import::der::Der;

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::fill(bytes.len(), |place| place.copy_from_slice(bytes))
}

fn sha256(message: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, message).as_ref().to_vec()
}

fn verifies(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &HeldKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let public = UnparsedPublicKey::new(algorithm, key.public_key().unwrap());
    public.verify(message, signature).is_ok()
}

/// RFC 8032 section 7.1, test 2.
#[test]
fn ed25519_is_that_of_rfc_8032() {
    let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let key = HeldKey::import(Kind::Ed25519, secret(&seed)).unwrap();
    let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert_eq!(key.public_key(), Some(public.as_slice()));
    let signature = bytes(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    assert_eq!(key.sign(&ToSign::Message(&[0x72])), Ok(signature));
}

/// The pairs that other implementations of RFC 6979 on secp256k1 publish, all with low s.
#[test]
fn secp256k1_has_the_nonces_of_rfc_6979() {
    let check = |scalar: &str, message: &[u8], expected: &str| {
        let key = HeldKey::import(Kind::Secp256k1, secret(&bytes(scalar))).unwrap();
        let digest = sha256(message);
        let signature = key.sign(&ToSign::Digest(Hash::Sha256, &digest)).unwrap();
        assert_eq!(signature, bytes(expected));
        assert!(verifies(
            &ECDSA_P256K1_SHA256_FIXED,
            &key,
            message,
            &signature
        ));
    };
    let one = "0000000000000000000000000000000000000000000000000000000000000001";
    check(
        one,
        b"Satoshi Nakamoto",
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
         2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
    );
    check(
        one,
        b"All those moments will be lost in time, like tears in rain. Time to die...",
        "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b\
         547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
    );
    check(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
        b"Satoshi Nakamoto",
        "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0\
         6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
    );
}

#[test]
fn s_is_the_lower_one() {
    let half = bytes("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = HeldKey::generate(New::Secp256k1, &mut rng).unwrap();
    for number in 0..64_u8 {
        let signature = key.sign(&ToSign::Digest(Hash::Sha256, &sha256(&[number])));
        assert!(signature.unwrap()[32..] <= half[..]);
    }
}

#[test]
fn scalars_lie_between_one_and_the_order() {
    let p256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let secp256k1 = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for (kind, order) in [(Kind::P256, p256), (Kind::Secp256k1, secp256k1)] {
        let check = |scalar: &[u8], expected: Result<(), HeldError>| {
            assert_eq!(HeldKey::import(kind, secret(scalar)).map(drop), expected);
        };
        let order = bytes(order);
        let (mut one, mut last, mut behind) = (vec![0; 32], order.clone(), order.clone());
        one[31] = 1;
        last[31] -= 1;
        behind[31] += 1;
        check(&one, Ok(()));
        check(&last, Ok(()));
        check(&[0; 32], Err(HeldError::Range));
        check(&order, Err(HeldError::Range));
        check(&behind, Err(HeldError::Range));
        check(&[0xff; 32], Err(HeldError::Range));
        for len in [0, 1, 31, 33, 64] {
            check(&vec![1; len], Err(HeldError::Length));
        }
    }
}

#[test]
fn arbitrary_secrets_have_1_to_65_536_bytes_and_sign_nothing() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut check = |len, expected: bool| {
        let made = HeldKey::generate(New::Arbitrary { bytes: len }, &mut rng);
        assert_eq!(made.is_ok(), expected, "{len}");
        let came = HeldKey::import(Kind::Arbitrary, secret(&vec![1; len]));
        assert_eq!(came.is_ok(), expected, "{len}");
        if let Ok(key) = made {
            assert_eq!((key.encoding().len(), key.public_key()), (len, None));
            assert_eq!(key.sign(&ToSign::Message(b"")), Err(HeldError::Unfit));
        }
    };
    check(0, false);
    check(1, true);
    check(32, true);
    check(65_536, true);
    check(65_537, false);
}

#[test]
fn what_is_made_is_what_is_opened_again() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for new in [New::Ed25519, New::P256, New::Secp256k1] {
        let key = HeldKey::generate(new, &mut rng).unwrap();
        let public = key.public_key().unwrap().to_vec();
        let copy = secret(key.encoding().expose());
        let imported = HeldKey::import(key.kind(), copy).unwrap();
        assert_eq!(imported.public_key(), Some(public.as_slice()));
        let copy = secret(key.encoding().expose());
        let opened = HeldKey::open(key.kind(), copy, public.clone()).unwrap();
        let digest = sha256(b"message");
        match new {
            New::Ed25519 => {
                let signature = opened.sign(&ToSign::Message(b"message")).unwrap();
                assert!(verifies(&ED25519, &key, b"message", &signature));
            }
            New::P256 => {
                let signature = opened.sign(&ToSign::Digest(Hash::Sha256, &digest));
                let algorithm = &ECDSA_P256_SHA256_FIXED;
                assert!(verifies(algorithm, &key, b"message", &signature.unwrap()));
            }
            New::Secp256k1 | New::Rsa(_) | New::Arbitrary { .. } => {
                let signature = opened.sign(&ToSign::Digest(Hash::Sha256, &digest));
                let algorithm = &ECDSA_P256K1_SHA256_FIXED;
                assert!(verifies(algorithm, &key, b"message", &signature.unwrap()));
            }
        }
        let cut = public[1..].to_vec();
        let opened = HeldKey::open(key.kind(), secret(&[1; 32]), cut);
        assert_eq!(opened.err(), Some(HeldError::Length));
    }
}

#[test]
fn each_kind_signs_what_fits_it() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (message, digest) = (
        ToSign::Message(b"m"),
        ToSign::Digest(Hash::Sha256, &[1; 32]),
    );
    let keccak = ToSign::Digest(Hash::Keccak256, &[1; 32]);
    let rsa = New::Rsa(RsaSize::Bits3072);
    for (new, expected) in [
        (New::Arbitrary { bytes: 32 }, [false, false, false]),
        (New::Ed25519, [true, false, false]),
        (New::P256, [false, true, true]),
        (New::Secp256k1, [false, true, true]),
        (rsa, [false, true, false]),
    ] {
        let key = HeldKey::generate(new, &mut rng).unwrap();
        let signs = [message, digest, keccak].map(|what| key.sign(&what));
        assert_eq!(signs.clone().map(|it| it.is_ok()), expected, "{new:?}");
        let unfit = signs.iter().filter_map(|it| it.as_ref().err());
        unfit.for_each(|error| assert_eq!(*error, HeldError::Unfit));
    }
}

#[test]
fn rsa_keys_sign_with_each_hash_of_sha_2_and_come_back_byte_for_byte() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = HeldKey::generate(New::Rsa(RsaSize::Bits3072), &mut rng).unwrap();
    let encoding = key.encoding().expose().to_vec();
    let again = HeldKey::import(Kind::Rsa, secret(&encoding)).unwrap();
    assert_eq!(again.encoding().expose(), encoding);
    assert_eq!(again.public_key(), key.public_key());
    let mut public = Der::new(key.public_key().unwrap()).sequence().unwrap();
    let (n, e) = (public.unsigned().unwrap(), public.unsigned().unwrap());
    assert_eq!((n.len(), e), (384, [1, 0, 1].as_slice()));
    for (hash, algorithm, parameters) in [
        (Hash::Sha256, &digest::SHA256, &RSA_PKCS1_2048_8192_SHA256),
        (Hash::Sha384, &digest::SHA384, &RSA_PKCS1_2048_8192_SHA384),
        (Hash::Sha512, &digest::SHA512, &RSA_PKCS1_2048_8192_SHA512),
    ] {
        let digest = digest::digest(algorithm, b"message");
        let what = ToSign::Digest(hash, digest.as_ref());
        let signature = again.sign(&what).unwrap();
        let public = RsaPublicKeyComponents { n, e };
        assert!(public.verify(parameters, b"message", &signature).is_ok());
        let short = ToSign::Digest(hash, &[1; 20]);
        assert_eq!(again.sign(&short), Err(HeldError::Broken));
    }
}

#[test]
fn an_rsa_key_that_is_none_does_not_come_in() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = HeldKey::generate(New::Rsa(RsaSize::Bits3072), &mut rng).unwrap();
    let whole = key.encoding().expose();
    let check = |encoding: &[u8], expected| {
        let came = HeldKey::import(Kind::Rsa, secret(encoding));
        assert_eq!(came.map(drop), expected);
    };
    check(whole, Ok(()));
    for len in (1..whole.len()).step_by(13) {
        check(&whole[..len], Err(HeldError::Rsa));
    }
    check(&[whole, &[0]].concat(), Err(HeldError::Rsa));
    // A bit of the modulus, of the private exponent, of a prime.
    for at in [40, whole.len() / 3, whole.len() / 2] {
        let mut altered = whole.to_vec();
        altered[at] ^= 1;
        check(&altered, Err(HeldError::Rsa));
    }
    check(&[], Err(HeldError::Length));
    check(&[0x30; 8_193], Err(HeldError::Length));
}

/// A key of 2,048 bits, which local keepers still take, is too short to begin with here.
#[test]
fn rsa_keys_begin_at_3_072_bits() {
    let pair = aws_lc_rs::rsa::KeySize::Rsa2048;
    let der = short_key(pair);
    let came = HeldKey::import(Kind::Rsa, secret(&der));
    assert_eq!(came.err(), Some(HeldError::Rsa));
}

#[expect(
    clippy::disallowed_types,
    reason = "no other way makes a key that is too short"
)]
fn short_key(size: aws_lc_rs::rsa::KeySize) -> Vec<u8> {
    use aws_lc_rs::encoding::AsDer;
    let pair = aws_lc_rs::rsa::KeyPair::generate(size).unwrap();
    let pkcs8 = pair.as_der().unwrap();
    super::rsa::pkcs1_of(pkcs8.as_ref()).unwrap().to_vec()
}

#[test]
fn blobs_are_those_of_ssh() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (new, name) in [
        (New::Ed25519, Some("ssh-ed25519")),
        (New::P256, Some("ecdsa-sha2-nistp256")),
        (New::Rsa(RsaSize::Bits3072), Some("ssh-rsa")),
        (New::Secp256k1, None),
        (New::Arbitrary { bytes: 32 }, None),
    ] {
        let key = HeldKey::generate(new, &mut rng).unwrap();
        let blob = key.ssh_blob().unwrap();
        let found = blob.map(|blob| String::from_utf8(blob[4..4 + usize::from(blob[3])].to_vec()));
        assert_eq!(found.transpose().unwrap().as_deref(), name);
    }
}
