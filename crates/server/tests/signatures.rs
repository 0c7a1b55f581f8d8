//! Signatures of held keys, verified by programs that are not ours: `ssh-keygen` and
//! `openssl`.

#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::digest;
use keystead_channel::session::requests::{
    Bytes, DigestName, KeyPurpose, OpenPgp, SignFields, SshLogin, SshSig,
};
use keystead_channel::session::{Octets, Text};
use keystead_formats::ssh::sshsig::{Detached, HashAlgorithm};
use keystead_formats::ssh::userauth::UserAuth;
use keystead_formats::ssh::{PublicKey, signature};
use keystead_server::signing::sign;
use keystead_vault::held::{HeldKey, Kind, New, RsaSize};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

const SSH: &[KeyPurpose] = &[KeyPurpose::SshLogin, KeyPurpose::SshSig];

fn key(new: New) -> HeldKey {
    HeldKey::generate(new, &mut ChaCha20Rng::seed_from_u64(7)).unwrap()
}

fn public(key: &HeldKey) -> PublicKey {
    PublicKey::from_blob(&key.ssh_blob().unwrap().unwrap()).unwrap()
}

/// The blob that a client makes of a raw signature.
fn blob(key: &HeldKey, raw: &[u8], rsa: signature::RsaHash) -> Vec<u8> {
    match key.kind() {
        Kind::Ed25519 => signature::ed25519(raw.try_into().unwrap()),
        Kind::P256 => {
            let (r, s) = raw.split_at(32);
            signature::ecdsa(keystead_formats::ssh::Curve::P256, r, s)
        }
        Kind::Rsa => signature::rsa(rsa, raw),
        Kind::Arbitrary | Kind::Secp256k1 => panic!("SSH has no such key"),
    }
}

fn ssh_keys() -> [HeldKey; 3] {
    [New::Ed25519, New::P256, New::Rsa(RsaSize::Bits3072)].map(key)
}

#[test]
fn ssh_keygen_verifies_an_sshsig() {
    let folder = tempfile::tempdir().unwrap();
    for key in ssh_keys() {
        for hash_algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha512] {
            let hashed = keystead_formats::ssh::sshsig::SshSig::of("git", hash_algorithm, b"text");
            let fields = SignFields::SshSig(SshSig {
                namespace: Text("git".into()),
                hash_name: Text(hash_algorithm.name().into()),
                hash: Octets(hashed.hash),
            });
            let raw = sign(&key, SSH, &fields).unwrap();
            let detached = Detached {
                key: public(&key),
                namespace: "git".into(),
                hash_algorithm,
                signature: blob(&key, &raw, signature::RsaHash::Sha512),
            };
            assert!(ssh_keygen(folder.path(), &detached, "git"));
            assert!(!ssh_keygen(folder.path(), &detached, "file"));
        }
    }
}

fn ssh_keygen(folder: &Path, detached: &Detached, namespace: &str) -> bool {
    let line = format!("alex {}", line_of(&detached.key));
    fs::write(folder.join("signers"), line).unwrap();
    fs::write(folder.join("text"), "text").unwrap();
    fs::write(folder.join("text.sig"), detached.armour()).unwrap();
    let verify = Command::new("ssh-keygen")
        .args([
            "-Y", "verify", "-f", "signers", "-I", "alex", "-n", namespace,
        ])
        .args(["-s", "text.sig"])
        .current_dir(folder)
        .stdin(fs::File::open(folder.join("text")).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    verify.unwrap().success()
}

fn line_of(key: &PublicKey) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(key.blob());
    format!("{} {text}\n", key.type_name())
}

/// As the agent does it: the signature is checked against the client's own blob.
#[test]
fn a_login_is_signed_as_its_client_builds_it() {
    let host = PublicKey::ed25519(&[9; 32]);
    for key in ssh_keys() {
        let public = public(&key);
        let algorithms: &[_] = match key.kind() {
            Kind::Rsa => &["rsa-sha2-256", "rsa-sha2-512"],
            Kind::Ed25519 | Kind::P256 | Kind::Secp256k1 | Kind::Arbitrary => &[public.type_name()],
        };
        for algorithm in algorithms {
            for host_key in [None, Some(host.clone())] {
                let login = UserAuth {
                    session_id: vec![1; 32],
                    user: "alex".into(),
                    algorithm: (*algorithm).to_owned(),
                    key: public.clone(),
                    host_key,
                };
                let fields = SignFields::SshLogin(SshLogin {
                    session: Octets(login.session_id.clone()),
                    user: Text(login.user.clone()),
                    algorithm: Text(login.algorithm.clone()),
                    public_key: Octets(public.blob().to_vec()),
                    host_key: login.host_key.as_ref().map(|it| Octets(it.blob().to_vec())),
                });
                let raw = sign(&key, SSH, &fields).unwrap();
                let hash = match *algorithm {
                    "rsa-sha2-256" => signature::RsaHash::Sha256,
                    _ => signature::RsaHash::Sha512,
                };
                let verified = public.verify(&login.encode(), &blob(&key, &raw, hash));
                assert_eq!(verified, Ok(()), "{algorithm}");
            }
        }
    }
}

/// The acceptance case of remote signing: ten random messages of 100 bytes.
#[test]
fn openssl_verifies_messages() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let sha2 = [
        (DigestName::Sha256, "sha256"),
        (DigestName::Sha384, "sha384"),
        (DigestName::Sha512, "sha512"),
    ];
    for new in [New::P256, New::Secp256k1, New::Rsa(RsaSize::Bits3072)] {
        let key = key(new);
        for number in 0..10_usize {
            let mut message = vec![0; 100];
            rng.fill_bytes(&mut message);
            let (name, openssl) = sha2[number % sha2.len()];
            let bytes = Bytes {
                bytes: Octets(message.clone()),
            };
            let fields = SignFields::Message(bytes, name);
            let raw = sign(&key, &[KeyPurpose::Message], &fields).unwrap();
            assert!(dgst(&key, openssl, &message, &raw), "{new:?} {openssl}");
            message[0] ^= 1;
            assert!(!dgst(&key, openssl, &message, &raw), "{new:?} {openssl}");
        }
    }
}

#[test]
fn openssl_verifies_an_openpgp_digest_and_ed25519() {
    let key_of = |new| (key(new), digest::digest(&digest::SHA512, b"packet"));
    let (rsa, hash) = key_of(New::Rsa(RsaSize::Bits3072));
    let fields = SignFields::OpenPgp(OpenPgp {
        hash: 10,
        digest: Octets(hash.as_ref().to_vec()),
    });
    let raw = sign(&rsa, &[KeyPurpose::OpenPgp], &fields).unwrap();
    assert!(dgst(&rsa, "sha512", b"packet", &raw));
    let (ed25519, hash) = key_of(New::Ed25519);
    let raw = sign(&ed25519, &[KeyPurpose::OpenPgp], &fields).unwrap();
    assert!(pkeyutl(&ed25519, hash.as_ref(), &raw));
    assert!(!pkeyutl(&ed25519, b"packet", &raw));
}

fn dgst(key: &HeldKey, hash: &str, message: &[u8], raw: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("message"), message).unwrap();
    fs::write(at("signature"), der_signature(key.kind(), raw)).unwrap();
    fs::write(at("key"), spki(key)).unwrap();
    let verify = Command::new("openssl")
        .args([
            "dgst",
            &format!("-{hash}"),
            "-keyform",
            "DER",
            "-verify",
            "key",
        ])
        .args(["-signature", "signature", "message"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    verify.unwrap().success()
}

fn pkeyutl(key: &HeldKey, message: &[u8], raw: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("message"), message).unwrap();
    fs::write(at("signature"), raw).unwrap();
    fs::write(at("key"), spki(key)).unwrap();
    let verify = Command::new("openssl")
        .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER"])
        .args(["-inkey", "key", "-sigfile", "signature", "-in", "message"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    verify.unwrap().success()
}

/// `Ecdsa-Sig-Value` (RFC 3279 section 2.2.3) of r ‖ s; others as they are.
fn der_signature(kind: Kind, raw: &[u8]) -> Vec<u8> {
    match kind {
        Kind::P256 | Kind::Secp256k1 => {
            let (r, s) = raw.split_at(32);
            der(0x30, &[integer(r), integer(s)].concat())
        }
        Kind::Arbitrary | Kind::Ed25519 | Kind::Rsa => raw.to_vec(),
    }
}

/// `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
fn spki(key: &HeldKey) -> Vec<u8> {
    let oid: &[u8] = match key.kind() {
        Kind::Ed25519 => &[6, 3, 0x2b, 0x65, 0x70],
        Kind::P256 => &[
            6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
        ],
        Kind::Secp256k1 => &[
            6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x0a,
        ],
        Kind::Rsa => &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0],
        Kind::Arbitrary => panic!("no public half"),
    };
    let bits = [&[0], key.public_key().unwrap()].concat();
    der(0x30, &[der(0x30, oid), der(3, &bits)].concat())
}

fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let magnitude = &number[zeros..];
    let sign: &[u8] = if magnitude[0] >= 0x80 { &[0] } else { &[] };
    der(2, &[sign, magnitude].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let head = match len {
        0..=0x7f => vec![tag, u8::try_from(len).unwrap()],
        0x80..=0xff => vec![tag, 0x81, u8::try_from(len).unwrap()],
        _ => [&[tag, 0x82][..], &u16::try_from(len).unwrap().to_be_bytes()].concat(),
    };
    [head.as_slice(), content].concat()
}
