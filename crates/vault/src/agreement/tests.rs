use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

const AGREEING: [Algorithm; 3] = [
    Algorithm::X25519,
    Algorithm::EcdhP256,
    Algorithm::EcdhSecp256k1,
];

fn keys(algorithm: Algorithm) -> [AgreementKey; 2] {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    [0, 1].map(|_| AgreementKey::generate(algorithm, &mut rng).unwrap())
}

#[test]
fn both_sides_share_the_same() {
    for algorithm in AGREEING {
        let [one, other] = keys(algorithm);
        let shared = one.agree(&other.public().to_blob()).unwrap();
        let again = other.agree(&one.public().to_blob()).unwrap();
        assert!(shared.ct_eq(&again));
        assert_eq!(shared.len(), one.public().to_blob().len());
        assert_eq!(one.algorithm(), algorithm);
    }
}

#[test]
fn what_signs_is_no_agreement_key() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for algorithm in Algorithm::ALL {
        let made = AgreementKey::generate(algorithm, &mut rng).is_ok();
        assert_eq!(made, algorithm.agrees(), "{algorithm}");
    }
}

#[track_caller]
fn check(key: &AgreementKey, peer: &[u8], expected: AgreementError) {
    assert_eq!(key.agree(peer).err(), Some(expected), "{peer:?}");
}

#[test]
fn what_is_no_point_of_the_curve_is_refused() {
    for algorithm in [Algorithm::EcdhP256, Algorithm::EcdhSecp256k1] {
        let [key, other] = keys(algorithm);
        let peer = other.public().to_blob();
        for len in 0..peer.len() {
            check(&key, &peer[..len], AgreementError::Peer);
        }
        check(&key, &[&peer[..], &[0]].concat(), AgreementError::Peer);
        for at in [0, 1, 33, 64] {
            let mut altered = peer.clone();
            altered[at] ^= 1;
            check(&key, &altered, AgreementError::Peer);
        }
        let compressed = [&[2], &peer[1..33]].concat();
        check(&key, &compressed, AgreementError::Peer);
        check(&key, &[0], AgreementError::Peer);
        check(&key, &[0; 65], AgreementError::Peer);
    }
    let [x25519, _] = keys(Algorithm::X25519);
    for len in [0, 31, 33, 65] {
        check(&x25519, &vec![9; len], AgreementError::Peer);
    }
}

/// Points of small order (RFC 7748 section 6.1).
#[test]
fn zeroes_are_never_shared() {
    let [key, _] = keys(Algorithm::X25519);
    let one: [u8; 32] = std::array::from_fn(|at| u8::from(at == 0));
    let prime: [u8; 32] = std::array::from_fn(|at| match at {
        0 => 0xed,
        31 => 0x7f,
        _ => 0xff,
    });
    for peer in [[0; 32], one, prime] {
        check(&key, &peer, AgreementError::Zero);
    }
}

/// Made by Python's cryptography from the format's text: scalar 01 … 20, ephemeral scalar 65 … 84,
/// file key c9 … d8.
#[test]
fn a_stanza_of_age_opens() {
    let private = Secret::fill(|bytes| {
        for (byte, value) in bytes.iter_mut().zip(1_u8..) {
            *byte = value;
        }
    });
    let key = AgreementKey::from_private(Algorithm::X25519, private).unwrap();
    let ephemeral: [u8; 32] = unhex(EPHEMERAL).try_into().unwrap();
    let wrapped: [u8; 32] = unhex(WRAPPED).try_into().unwrap();
    let opened = key.unwrap_age(&ephemeral, &wrapped).unwrap();
    assert_eq!(opened.expose(), unhex(FILE_KEY));

    for at in 0..32 {
        let (mut share, mut body) = (ephemeral, wrapped);
        share[at] ^= 1;
        body[at] ^= 1;
        let foreign = Some(AgreementError::Foreign);
        assert_eq!(key.unwrap_age(&ephemeral, &body).err(), foreign);
        assert_eq!(key.unwrap_age(&share, &wrapped).err(), foreign);
    }
    let [other, _] = keys(Algorithm::X25519);
    let opened = other.unwrap_age(&ephemeral, &wrapped);
    assert_eq!(opened.err(), Some(AgreementError::Foreign));
    let opened = key.unwrap_age(&[0; 32], &wrapped);
    assert_eq!(opened.err(), Some(AgreementError::Zero));
    let [point, _] = keys(Algorithm::EcdhP256);
    let opened = point.unwrap_age(&ephemeral, &wrapped);
    assert_eq!(opened.err(), Some(AgreementError::Foreign));
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

const EPHEMERAL: &str = "5714769d116bf76436ae74bc793d2c30ad1903c59ac5273805c7e2698b410c36";

const WRAPPED: &str = "34d5caf3193186be5ac6dd7b66219e6f04c10b76a2b684cf85be04668f934a72";

const FILE_KEY: &str = "c9cacbcccdcecfd0d1d2d3d4d5d6d7d8";
