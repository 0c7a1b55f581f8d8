//! Keys as agents' messages bring them, made of files of the installed `ssh-keygen`.

use std::path::{Path, PathBuf};
use std::process::Command;

use keystead_core::Algorithm;

use super::*;
use crate::wire::{put_positive, put_string};

fn ssh_keygen(arguments: &[&str]) {
    let output = Command::new("ssh-keygen").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn key(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let file = self.0.path().join(name);
        let first = ["-q", "-N", "", "-C", "alex", "-f", text(&file)];
        ssh_keygen(&[&first, arguments].concat());
        file
    }

    /// The blob of a certificate over a key.
    fn certificate(&self, file: &Path) -> Vec<u8> {
        let authority = self.0.path().join("authority");
        if !authority.exists() {
            self.key("authority", &["-t", "ed25519"]);
        }
        ssh_keygen(&[
            "-q",
            "-s",
            text(&authority),
            "-I",
            "alex",
            "-n",
            "alex",
            text(file),
        ]);
        let line = std::fs::read_to_string(format!("{}-cert.pub", text(file))).unwrap();
        blob(&line)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn blob(line: &str) -> Vec<u8> {
    use base64::Engine;
    let base64 = line.split(' ').nth(1).unwrap();
    base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap()
}

/// Type and fields: what stands in the file between its check numbers and its
/// comment is what `ssh-add` sends (OpenSSH PROTOCOL.key).
fn added(file: &Path) -> Vec<u8> {
    let part = pem::private_part(&std::fs::read(file).unwrap()).unwrap();
    let private = openssh::plain_private(part.content.expose()).unwrap();
    let mut reader = Reader::new(&private[8..]);
    fields::read(&mut reader).unwrap();
    private[8..private.len() - reader.rest().len()].to_vec()
}

#[track_caller]
fn refused(bytes: &[u8]) -> ImportError {
    SigningKey::import_agent(bytes).err().unwrap()
}

const TYPES: [(&str, &str, Algorithm); 5] = [
    ("ed25519", "256", Algorithm::Ed25519),
    ("ecdsa", "256", Algorithm::EcdsaP256),
    ("ecdsa", "384", Algorithm::EcdsaP384),
    ("ecdsa", "521", Algorithm::EcdsaP521),
    ("rsa", "2048", Algorithm::Rsa),
];

#[test]
fn what_ssh_add_sends_comes_in_whole_or_not_at_all() {
    let folder = Folder::new();
    for (kind, bits, algorithm) in TYPES {
        let file = folder.key(&format!("{kind}{bits}"), &["-t", kind, "-b", bits]);
        let bytes = added(&file);
        let imported = SigningKey::import_agent(&bytes).unwrap();
        assert_eq!(imported.key.algorithm(), algorithm);
        assert_eq!(imported.certificate, None);
        let line = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        assert_eq!(imported.key.public().to_blob(), blob(&line));
        for len in 0..bytes.len() {
            assert_eq!(
                refused(&bytes[..len]),
                ImportError::Malformed,
                "{kind}: {len}"
            );
        }
        assert_eq!(
            refused(&[&bytes[..], &[0]].concat()),
            ImportError::Malformed
        );
    }
}

/// Each number depends on the others: none can be altered and stay a key.
#[test]
fn no_altered_bit_is_a_key() {
    let folder = Folder::new();
    for (kind, bits, _) in [TYPES[0], TYPES[1], TYPES[3]] {
        let bytes = added(&folder.key(&format!("{kind}{bits}"), &["-t", kind, "-b", bits]));
        for bit in 0..8 * bytes.len() {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(SigningKey::import_agent(&altered).is_err(), "{kind}: {bit}");
        }
    }
    let bytes = added(&folder.key("rsa", &["-t", "rsa", "-b", "2048"]));
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 2;
        assert!(SigningKey::import_agent(&altered).is_err(), "rsa: {at}");
    }
}

/// `string certificate` and the private fields (OpenSSH PROTOCOL.agent).
fn with_certificate(added: &[u8], certificate: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(added);
    let plain = reader.string().unwrap();
    let mut bytes = Vec::new();
    put_string(&mut bytes, Reader::new(certificate).string().unwrap());
    put_string(&mut bytes, certificate);
    // What the certificate says already is left out: not for Ed25519.
    let left_out = match plain {
        b"ssh-ed25519" => 0,
        _ => 2,
    };
    for _ in 0..left_out {
        reader.string().unwrap();
    }
    bytes.extend(reader.rest());
    bytes
}

#[test]
fn certificates_come_with_their_key_and_no_other() {
    let folder = Folder::new();
    for (kind, bits, algorithm) in TYPES {
        let kind_and_bits = ["-t", kind, "-b", bits];
        let own = folder.key(&format!("{kind}{bits}"), &kind_and_bits);
        let other = folder.key(&format!("{kind}{bits}other"), &kind_and_bits);
        let certificate = folder.certificate(&own);
        let bytes = with_certificate(&added(&own), &certificate);
        let imported = SigningKey::import_agent(&bytes).unwrap();
        assert_eq!(imported.key.algorithm(), algorithm);
        assert_eq!(imported.certificate.as_deref(), Some(&certificate[..]));
        let line = std::fs::read_to_string(own.with_extension("pub")).unwrap();
        assert_eq!(imported.key.public().to_blob(), blob(&line));
        for len in 0..bytes.len() {
            assert!(
                SigningKey::import_agent(&bytes[..len]).is_err(),
                "{kind}: {len}"
            );
        }
        let foreign = with_certificate(&added(&other), &certificate);
        assert_eq!(refused(&foreign), ImportError::Inconsistent, "{kind}");
    }
}

#[test]
fn a_certificate_of_another_type_is_named() {
    let folder = Folder::new();
    let own = folder.key("own", &["-t", "ed25519"]);
    let other = folder.key("other", &["-t", "ecdsa"]);
    let certificate = folder.certificate(&other);
    let mut bytes = Vec::new();
    put_string(&mut bytes, b"ssh-ed25519-cert-v01@openssh.com");
    put_string(&mut bytes, &certificate);
    bytes.extend(&added(&own)[15..]);
    assert_eq!(refused(&bytes), ImportError::OtherCertificate);
}

#[test]
fn kinds_that_are_not_held_are_named() {
    let mut other = Vec::new();
    put_string(&mut other, b"ssh-dss\n\xff");
    let type_name = "ssh-dss??".to_owned();
    assert_eq!(refused(&other), ImportError::OtherType { type_name });

    // Public half, application; flags, handle and reserved field (PROTOCOL.u2f).
    let mut token = Vec::new();
    put_string(&mut token, b"sk-ssh-ed25519@openssh.com");
    put_string(&mut token, &[7; 32]);
    put_string(&mut token, b"ssh:");
    token.push(1);
    put_string(&mut token, b"handle");
    put_string(&mut token, b"");
    assert_eq!(refused(&token), ImportError::InToken);
}

#[test]
fn rsa_keys_out_of_bounds_are_named() {
    let check = |n: &[u8], e: &[u8], expected: ImportError| {
        let mut bytes = Vec::new();
        put_string(&mut bytes, b"ssh-rsa");
        for number in [n, e, &[1], &[1], &[3], &[3]] {
            put_positive(&mut bytes, number);
        }
        assert_eq!(refused(&bytes), expected);
    };
    let size = |bits| ImportError::RsaSize { bits };
    check(&[0xff; 128], &[1, 0, 1], size(1024));
    check(
        &[&[0x7f][..], &[0xff; 255]].concat(),
        &[1, 0, 1],
        size(2047),
    );
    check(&[&[1][..], &[0xff; 1024]].concat(), &[1, 0, 1], size(8193));
    check(&[0xff; 256], &[3], ImportError::WeakExponent);
    check(&[0xff; 256], &[0xff, 0xff], ImportError::WeakExponent);
    check(&[0xff; 256], &[1, 0, 2], ImportError::WeakExponent);
    check(&[0xff; 256], &[1, 0, 1], ImportError::Inconsistent);
}

#[test]
fn object_identifiers_are_shown_in_dots() {
    let check = |bytes: &[u8], expected: &str| {
        assert_eq!(oid::identifier_text(bytes), expected);
    };
    check(&[0x2b, 0x65, 0x70], "1.3.101.112");
    check(
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13],
        "1.2.840.113549.1.5.13",
    );
    check(&[0x88, 0x37], "2.999");
    check(&[], "");
    check(&[0xff; 100], "");
}
