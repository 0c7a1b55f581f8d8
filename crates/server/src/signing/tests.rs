//! What each kind of key signs, and what it does not.

use keystead_channel::session::requests::Bytes;
use keystead_channel::session::{Octets, Text};
use keystead_core::SecretBytes;

use super::*;

fn key(kind: Kind) -> HeldKey {
    HeldKey::import(kind, SecretBytes::take(&mut [7; 32])).unwrap()
}

fn message(digest: DigestName) -> SignFields {
    let bytes = Bytes {
        bytes: Octets(b"message".to_vec()),
    };
    SignFields::Message(bytes, digest)
}

fn digest(len: usize) -> SignFields {
    SignFields::Digest(Bytes {
        bytes: Octets(vec![1; len]),
    })
}

fn openpgp(hash: u32, len: usize) -> SignFields {
    SignFields::OpenPgp(OpenPgp {
        hash,
        digest: Octets(vec![1; len]),
    })
}

fn sshsig(name: &str, len: usize) -> SignFields {
    SignFields::SshSig(SshSig {
        namespace: Text("git".into()),
        hash_name: Text(name.into()),
        hash: Octets(vec![1; len]),
    })
}

#[track_caller]
fn check(kind: Kind, fields: &SignFields, expected: Result<usize, Status>) {
    let signed = sign(&key(kind), KeyPurpose::ALL, fields);
    assert_eq!(signed.map(|it| it.len()), expected, "{kind:?} {fields:?}");
}

#[test]
fn digests_fit_the_key() {
    use DigestName::{Keccak256, None, Sha256, Sha384, Sha512};
    let wrong = Err(Status::WrongType);
    for hashed in [Sha256, Sha384, Sha512, Keccak256] {
        check(Kind::Ed25519, &message(hashed), wrong);
        check(Kind::P256, &message(hashed), Ok(64));
        check(Kind::Secp256k1, &message(hashed), Ok(64));
        check(Kind::Arbitrary, &message(hashed), wrong);
    }
    check(Kind::Ed25519, &message(None), Ok(64));
    for kind in [Kind::P256, Kind::Secp256k1, Kind::Arbitrary] {
        check(kind, &message(None), wrong);
    }
}

#[test]
fn digests_have_the_length_of_a_hash() {
    for kind in [Kind::Ed25519, Kind::P256, Kind::Secp256k1] {
        for len in 0..=65 {
            let expected = match len {
                32 | 48 | 64 => Ok(64),
                _ => Err(Status::Malformed),
            };
            check(kind, &digest(len), expected);
        }
        for (hash, len, expected) in [
            (8, 32, Ok(64)),
            (9, 48, Ok(64)),
            (10, 64, Ok(64)),
            (8, 64, Err(Status::Malformed)),
            (2, 20, Err(Status::Malformed)),
            (11, 28, Err(Status::Malformed)),
        ] {
            check(kind, &openpgp(hash, len), expected);
        }
    }
}

#[test]
fn ssh_has_no_secp256k1() {
    check(Kind::Ed25519, &sshsig("sha512", 64), Ok(64));
    check(Kind::P256, &sshsig("sha256", 32), Ok(64));
    check(Kind::P256, &sshsig("sha256", 64), Err(Status::Malformed));
    check(Kind::P256, &sshsig("md5", 16), Err(Status::Malformed));
    check(
        Kind::Secp256k1,
        &sshsig("sha256", 32),
        Err(Status::WrongType),
    );
    check(
        Kind::Arbitrary,
        &sshsig("sha256", 32),
        Err(Status::WrongType),
    );
}

#[test]
fn a_purpose_that_the_key_has_not_is_refused() {
    let asked = [
        (sshsig("sha256", 32), KeyPurpose::SshSig),
        (openpgp(8, 32), KeyPurpose::OpenPgp),
        (message(DigestName::None), KeyPurpose::Message),
        (digest(32), KeyPurpose::Digest),
    ];
    let key = key(Kind::Ed25519);
    for (fields, own) in asked {
        for purpose in KeyPurpose::ALL {
            let signed = sign(&key, &[*purpose], &fields);
            assert_eq!(signed.is_ok(), *purpose == own, "{purpose:?}");
        }
        assert_eq!(sign(&key, &[], &fields), Err(Status::WrongType));
    }
}

/// Known answers of Keccak-256 as Ethereum has it, and not of SHA3-256.
#[test]
fn keccak_256_is_the_submission_of_2011() {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        hex(&Keccak256::digest(b"")),
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    );
    assert_eq!(
        hex(&Keccak256::digest(b"abc")),
        "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    );
}

/// Whatever purposes a key is made for, at most SSH login and SSHSIG share it.
#[test]
fn few_purposes_share_a_key() {
    let all = KeyPurpose::ALL;
    for kind in KeyType::ALL {
        for mask in 0..1_u32 << all.len() {
            let chosen = |it: &&KeyPurpose| mask & (1 << (it.number() - 1)) != 0;
            let purposes: Vec<_> = all.iter().filter(chosen).copied().collect();
            let is_ssh = purposes == [KeyPurpose::SshLogin, KeyPurpose::SshSig];
            let fits_type = match kind {
                KeyType::Arbitrary => purposes.is_empty(),
                KeyType::Secp256k1 => mask & 0b00111 == 0,
                KeyType::Ed25519 | KeyType::P256 | KeyType::Rsa => true,
            };
            let expected = fits_type && (purposes.len() < 2 || is_ssh);
            assert_eq!(
                check_purposes(*kind, &purposes).is_ok(),
                expected,
                "{purposes:?}"
            );
        }
    }
}
