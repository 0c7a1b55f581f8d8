//! Vectors, and signatures checked by the library's verifying half.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use keystead_core::KeyType;

use super::*;

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}

fn secret<const N: usize>(hex: &str) -> SecretBytes {
    SecretBytes::take(&mut bytes::<N>(hex))
}

fn stated(application: &str, presence: Presence, message: &[u8]) -> Vec<u8> {
    let hash = |it: &[u8]| digest::digest(&digest::SHA256, it).as_ref().to_vec();
    let mut stated = hash(application.as_bytes());
    stated.push(presence.flags);
    stated.extend(presence.counter.to_be_bytes());
    stated.extend(hash(message));
    stated
}

fn verifies(public: &PublicKey, message: &[u8], signature: &RawSignature) -> bool {
    let check = |algorithm: &'static dyn VerificationAlgorithm,
                 key: &[u8],
                 message: &[u8],
                 signature: &[u8]| {
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(message, signature).is_ok()
    };
    match (public, signature) {
        (PublicKey::Ed25519(key), RawSignature::Ed25519(raw)) => check(&ED25519, key, message, raw),
        (PublicKey::EcdsaP256(key), RawSignature::EcdsaP256 { r, s }) => {
            check(&ECDSA_P256_SHA256_FIXED, key, message, &[*r, *s].concat())
        }
        (PublicKey::EcdsaP384(key), RawSignature::EcdsaP384 { r, s }) => {
            check(&ECDSA_P384_SHA384_FIXED, key, message, &[*r, *s].concat())
        }
        (PublicKey::EcdsaP521(key), RawSignature::EcdsaP521 { r, s }) => {
            check(&ECDSA_P521_SHA512_FIXED, key, message, &[*r, *s].concat())
        }
        (PublicKey::Rsa { e, n }, RawSignature::Rsa { hash, signature }) => {
            let parameters = match hash {
                RsaHash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                RsaHash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
            };
            let key = RsaPublicKeyComponents { n, e };
            key.verify(parameters, message, signature).is_ok()
        }
        (
            PublicKey::SkEd25519 {
                public,
                application,
            },
            RawSignature::SkEd25519 {
                signature,
                presence,
            },
        ) => {
            let stated = stated(application, *presence, message);
            check(&ED25519, public, &stated, signature)
        }
        (
            PublicKey::SkEcdsaP256 { point, application },
            RawSignature::SkEcdsaP256 { r, s, presence },
        ) => {
            let stated = stated(application, *presence, message);
            check(&ECDSA_P256_SHA256_FIXED, point, &stated, &[*r, *s].concat())
        }
        _ => false,
    }
}

const PRESENT: Presence = Presence {
    flags: Presence::USER,
    counter: 7,
};

/// Flags and presence that suit every kind.
fn options(flags: u32) -> SignOptions {
    SignOptions::from_flags(flags).with_presence(PRESENT)
}

/// RFC 8032 section 7.1, tests 1 and 2.
#[test]
fn ed25519_vectors_of_rfc_8032() {
    for (private, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            &b""[..],
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            &[0x72],
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ] {
        let private = secret::<32>(private);
        let key = SigningKey::from_private(Algorithm::Ed25519, "", private).unwrap();
        assert_eq!(key.public(), &PublicKey::Ed25519(bytes(public)));
        assert_eq!(
            key.sign(message, SignOptions::default()),
            Ok(RawSignature::Ed25519(bytes(signature)))
        );
    }
}

#[track_caller]
fn check_pair(algorithm: Algorithm, private: SecretBytes, x_and_y: &str) {
    let key = SigningKey::from_private(algorithm, "", private).unwrap();
    let blob: String = key
        .public()
        .to_blob()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    assert!(blob.ends_with(&format!("04{x_and_y}")), "{blob}");
    let signature = key.sign(b"sample", SignOptions::default()).unwrap();
    assert!(verifies(key.public(), b"sample", &signature));
}

/// RFC 6979 appendix A.2.5 to A.2.7: the pairs; its signatures need the nonce of that RFC.
#[test]
fn pairs_of_rfc_6979() {
    check_pair(
        Algorithm::EcdsaP256,
        secret::<32>("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"),
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
         7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    );
    check_pair(
        Algorithm::EcdsaP384,
        secret::<48>(
            "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8\
             96d5724e4c70a825f872c9ea60d2edf5",
        ),
        "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64\
         def8f0ea9055866064a254515480bc138015d9b72d7d57244ea8ef9ac0c62189\
         6708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
    );
    check_pair(
        Algorithm::EcdsaP521,
        secret::<66>(
            "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75\
             caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b8\
             3538",
        ),
        "01894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd\
         371123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f50\
         23a400493101c962cd4d2fddf782285e64584139c2f91b47f87ff82354d6630f\
         746a28a0db25741b5b34a828008b22acc23f924faafbd4d33f81ea66956dfeaa\
         2bfdfcf5",
    );
}

#[test]
fn what_is_made_signs_and_signs_only_that() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for key_type in KeyType::SSH {
        let key = SigningKey::generate(key_type, &mut rng).unwrap();
        assert_eq!(key.algorithm(), key_type.algorithm());
        let other = SigningKey::generate(key_type, &mut rng).unwrap();
        for len in [0, 1, 63, 64, 65, 1000, 100_000] {
            let message = vec![0x5a; len];
            for flags in [2, 4] {
                let signature = key.sign(&message, options(flags)).unwrap();
                assert!(verifies(key.public(), &message, &signature));
                assert!(!verifies(other.public(), &message, &signature));
                assert!(!verifies(key.public(), b"other", &signature));
            }
        }
    }
}

#[test]
fn rsa_keys_have_the_size_that_was_asked_for() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (key_type, len) in [(KeyType::Rsa3072, 384), (KeyType::Rsa4096, 512)] {
        let key = SigningKey::generate(key_type, &mut rng).unwrap();
        let PublicKey::Rsa { e, n } = key.public() else {
            panic!("another key")
        };
        assert_eq!((e.as_slice(), n.len()), (&[1, 0, 1][..], len));
    }
}

/// SHA-1 is never made, and presence is never stated by itself.
#[test]
fn what_was_not_said_is_not_assumed() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut refused = |key_type, options| {
        let key = SigningKey::generate(key_type, &mut rng).unwrap();
        key.sign(b"message", options).unwrap_err()
    };
    let nothing = SignOptions::default();
    assert_eq!(refused(KeyType::Rsa3072, nothing), SigningError::NoHash);
    for key_type in [KeyType::SkEd25519, KeyType::SkEcdsaP256] {
        assert_eq!(refused(key_type, nothing), SigningError::NoPresence);
    }
}

#[test]
fn sha_1_is_made_by_its_own_door_alone() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = SigningKey::generate(KeyType::Rsa3072, &mut rng).unwrap();
    let signature = with_sha1(&key).unwrap();
    let PublicKey::Rsa { e, n } = key.public() else {
        panic!("another key")
    };
    let public = RsaPublicKeyComponents { n, e };
    for (parameters, expected) in [
        (&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, true),
        (&RSA_PKCS1_2048_8192_SHA256, false),
    ] {
        let verified = public.verify(parameters, b"message", &signature);
        assert_eq!(verified.is_ok(), expected);
    }
    let other = SigningKey::generate(KeyType::Ed25519, &mut rng).unwrap();
    assert_eq!(with_sha1(&other), Err(SigningError::NoHash));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test of what the local authenticator alone may call"
)]
fn with_sha1(key: &SigningKey) -> Result<Vec<u8>, SigningError> {
    key.sign_with_sha1(b"message")
}

#[test]
fn what_presence_states_is_signed() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = SigningKey::generate(KeyType::SkEd25519, &mut rng).unwrap();
    let signature = key.sign(b"message", options(0)).unwrap();
    let RawSignature::SkEd25519 { signature, .. } = signature else {
        panic!("another signature")
    };
    for (presence, expected) in [
        (PRESENT, true),
        (
            Presence {
                flags: 0,
                ..PRESENT
            },
            false,
        ),
        (
            Presence {
                flags: 5,
                ..PRESENT
            },
            false,
        ),
        (
            Presence {
                counter: 8,
                ..PRESENT
            },
            false,
        ),
    ] {
        let signature = RawSignature::SkEd25519 {
            signature,
            presence,
        };
        assert_eq!(verifies(key.public(), b"message", &signature), expected);
    }
}

#[test]
fn the_same_randomness_makes_the_same_key() {
    for key_type in KeyType::SSH {
        if key_type.algorithm() == Algorithm::Rsa {
            continue;
        }
        let public = |seed| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            SigningKey::generate(key_type, &mut rng)
                .unwrap()
                .public()
                .clone()
        };
        assert_eq!(public(1), public(1));
        assert_ne!(public(1), public(2));
    }
}

#[test]
fn scalars_out_of_range_are_refused() {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    for scalar in [[0; 32], bytes(order), [0xff; 32]] {
        let private = SecretBytes::take(&mut scalar.clone());
        assert!(SigningKey::from_private(Algorithm::EcdsaP256, "", private).is_err());
    }
    for (algorithm, len) in [(Algorithm::EcdsaP384, 48), (Algorithm::EcdsaP521, 66)] {
        for byte in [0, 0xff] {
            let private = SecretBytes::fill(len, |bytes| bytes.fill(byte));
            assert!(SigningKey::from_private(algorithm, "", private).is_err());
        }
    }
}
