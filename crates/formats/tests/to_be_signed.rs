//! `spec/vectors/ssh_to_be_signed_blobs.json`: blobs that other agents were asked to sign.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a fixture that cannot be read fails the test"
)]

use keystead_formats::ssh::line::KeyLine;
use keystead_formats::ssh::signature;
use keystead_formats::ssh::sshsig::HashAlgorithm;
use keystead_formats::ssh::{Curve, PublicKey, ToBeSigned};

const VECTORS: &str = include_str!("../../../spec/vectors/ssh_to_be_signed_blobs.json");

fn field(group: &str, name: &str) -> String {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    vectors[group][name].as_str().unwrap().to_owned()
}

fn bytes(group: &str, name: &str) -> Vec<u8> {
    let hex = field(group, name);
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

#[track_caller]
fn login(group: &str, user: &str, algorithm: &str) -> PublicKey {
    let blob = bytes(group, "blob");
    let ToBeSigned::UserAuth(login) = ToBeSigned::parse(&blob) else {
        panic!("{group} is no login");
    };
    assert_eq!(
        (login.user.as_str(), login.algorithm.as_str()),
        (user, algorithm)
    );
    assert_eq!(login.host_key, None);
    assert_eq!(login.encode(), blob);
    for len in 0..blob.len() {
        assert_eq!(
            ToBeSigned::parse(&blob[..len]),
            ToBeSigned::Opaque,
            "prefix of {len}"
        );
    }
    login.key
}

#[test]
fn a_login_by_p256() {
    let group = "userauth_p256";
    let key = login(group, "roman", "ecdsa-sha2-nistp256");
    let line = KeyLine::parse(&field(group, "openssh_line")).unwrap();
    assert_eq!(
        (&line.key, line.comment.as_str()),
        (&key, "<localhost:22|nist256p1>")
    );
    let pair = bytes(group, "signature_r_s");
    let signature = signature::ecdsa(Curve::P256, &pair[..32], &pair[32..]);
    assert_eq!(key.verify(&bytes(group, "blob"), &signature), Ok(()));
}

#[test]
fn a_login_by_ed25519() {
    login("challenge_blob", "git", "ssh-ed25519");
}

#[test]
fn a_file() {
    let blob = bytes("file_sig_blob", "blob");
    let ToBeSigned::SshSig(signed) = ToBeSigned::parse(&blob) else {
        panic!("no SSHSIG");
    };
    assert_eq!(
        (signed.namespace.as_str(), signed.hash_algorithm),
        ("file", HashAlgorithm::Sha512)
    );
    assert_eq!(signed.encode(), blob);
    for len in 0..blob.len() {
        assert_eq!(
            ToBeSigned::parse(&blob[..len]),
            ToBeSigned::Opaque,
            "prefix of {len}"
        );
    }
}
