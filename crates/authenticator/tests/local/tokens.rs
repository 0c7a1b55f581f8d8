//! PKCS#11, with SoftHSM: its keys and certificates over them, its PIN, its end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use keystead_core::{
    Certificates, Constraints, ImportRequest, KeyEntry, KeyForm, Outcome, RequestBody,
};
use keystead_formats::ssh::line::KeyLine;
use keystead_formats::ssh::wire::Reader;

use crate::child::{Child, secret, sign, verifies};

/// A token with an RSA, an ECDSA and an Ed25519 key.
struct Token {
    folder: tempfile::TempDir,
}

impl Token {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        let settings = format!("directories.tokendir = {}\n", tokens.display());
        fs::write(folder.path().join("softhsm2.conf"), settings).unwrap();
        let token = Self { folder };
        token.softhsm(&[
            "--init-token",
            "--free",
            "--label",
            "token",
            "--so-pin",
            "12345678",
        ]);
        for (at, label, arguments) in [
            ("01", "rsa key", &["-t", "rsa", "-b", "2048"][..]),
            ("02", "ecdsa key", &["-t", "ecdsa", "-b", "256"]),
            ("03", "ecdsa key 384", &["-t", "ecdsa", "-b", "384"]),
        ] {
            let file = token.path(at);
            run(Command::new("ssh-keygen")
                .args(["-q", "-N", "", "-C", "", "-m", "PKCS8", "-f", &file])
                .args(arguments));
            token.import(at, label, &file);
        }
        // ssh-keygen writes no PKCS#8 of Ed25519, and openssl no public line.
        let file = token.path("04");
        run(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out", &file]));
        token.import("04", "", &file);
        token
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn import(&self, at: &str, label: &str, file: &str) {
        // An import without a label is a usage error of the tool; a blank is none of ours.
        let label = if label.is_empty() { " " } else { label };
        self.softhsm(&[
            "--import", file, "--token", "token", "--id", at, "--label", label,
        ]);
    }

    fn softhsm(&self, arguments: &[&str]) {
        run(Command::new("softhsm2-util")
            .args(arguments)
            .args(["--pin", PIN])
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf")));
    }

    fn start(&self) -> Child {
        Child::start(&[("SOFTHSM2_CONF", &self.path("softhsm2.conf"))])
    }

    /// A certificate over a key whose `ssh-keygen` file is there.
    fn certificate(&self, at: &str) -> Vec<u8> {
        let authority = self.path("ca");
        if !Path::new(&authority).exists() {
            run(Command::new("ssh-keygen")
                .args(["-q", "-N", "", "-t", "ed25519", "-f", &authority]));
        }
        let public = self.path(at) + ".pub";
        run(Command::new("ssh-keygen")
            .args(["-q", "-s", &authority, "-I", "alex", "-n", "alex", &public]));
        let line = fs::read_to_string(self.path(at) + "-cert.pub").unwrap();
        KeyLine::parse(line.trim()).unwrap().key.blob().to_vec()
    }
}

fn run(command: &mut Command) {
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {said}");
}

fn open(pin: &str, constraints: Constraints) -> RequestBody {
    open_library(LIBRARY, pin, constraints)
}

fn open_library(library: &str, pin: &str, constraints: Constraints) -> RequestBody {
    RequestBody::Import(ImportRequest {
        form: KeyForm::Token,
        key: secret(library.as_bytes()),
        passphrase: Some(secret(pin.as_bytes())),
        name: None,
        constraints,
        purposes: Vec::new(),
    })
}

fn by_type<'a>(keys: &'a [KeyEntry], algorithm: &str) -> &'a KeyEntry {
    let mut found = keys.iter().filter(|it| it.algorithm == algorithm);
    found
        .next()
        .unwrap_or_else(|| panic!("{algorithm} in {keys:?}"))
}

#[test]
fn every_type_of_the_token_signs() {
    let token = Token::new();
    let mut child = token.start();
    let keys = child.keys(open(PIN, Constraints::default()));
    assert_eq!(keys.len(), 4, "{keys:?}");
    for (algorithm, name, flags) in [
        ("ssh-rsa", "rsa key", 2),
        ("ssh-rsa", "rsa key", 4),
        ("ecdsa-sha2-nistp256", "ecdsa key", 0),
        ("ecdsa-sha2-nistp384", "ecdsa key 384", 0),
        ("ssh-ed25519", " ", 0),
    ] {
        let key = by_type(&keys, algorithm);
        assert_eq!(key.name.as_str(), name);
        for content in [&b""[..], b"content", &[7; 60_000]] {
            let signature = child.signature(sign(key, content, flags));
            assert!(verifies(key, content, &signature), "{algorithm} {flags}");
        }
    }
    let rsa = by_type(&keys, "ssh-rsa");
    let signature = child.signature(sign(rsa, b"content", 0));
    assert!(is_sha1_of(&token, &signature, b"content"));
    assert!(child.end().success());
}

/// RSA with SHA-1, which `ssh-add -T` of OpenSSH 9.2 asks for; OpenSSL verifies it.
fn is_sha1_of(token: &Token, signature: &[u8], content: &[u8]) -> bool {
    let mut reader = Reader::new(signature);
    assert_eq!(reader.name(), Ok("ssh-rsa"));
    fs::write(token.path("signature"), reader.string().unwrap()).unwrap();
    fs::write(token.path("content"), content).unwrap();
    let verified = Command::new("openssl")
        .args(["dgst", "-sha1", "-prverify", &token.path("01")])
        .args([
            "-signature",
            &token.path("signature"),
            &token.path("content"),
        ])
        .status();
    verified.unwrap().success()
}

#[test]
fn certificates_come_with_their_keys_or_alone() {
    let token = Token::new();
    let certificates = ["01", "02"].map(|at| token.certificate(at));
    for only in [false, true] {
        let mut child = token.start();
        let constraints = Constraints {
            certificates: Some(Certificates {
                only,
                blobs: certificates.to_vec(),
            }),
            ..Constraints::default()
        };
        let keys = child.keys(open(PIN, constraints));
        assert_eq!(keys.len(), if only { 2 } else { 6 });
        for algorithm in [
            "ssh-rsa-cert-v01@openssh.com",
            "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        ] {
            let key = by_type(&keys, algorithm);
            let signature = child.signature(sign(key, b"content", 4));
            assert!(verifies(key, b"content", &signature), "{algorithm}");
        }
        assert_eq!(keys.iter().any(|it| it.algorithm == "ssh-rsa"), !only);
    }
}

#[test]
fn a_wrong_pin_opens_nothing_and_the_right_one_does_then() {
    let token = Token::new();
    let mut child = token.start();
    for pin in ["0000", ""] {
        let outcome = child.outcome(open(pin, Constraints::default()));
        assert_eq!(outcome, Outcome::Refuse, "{pin:?}");
    }
    assert_eq!(child.keys(open(PIN, Constraints::default())).len(), 4);
}

/// A key that wants the PIN at each use (`CKA_ALWAYS_AUTHENTICATE`).
#[test]
fn the_pin_is_asked_for_where_each_use_wants_it() {
    let token = Token::new();
    run(Command::new("pkcs11-tool")
        .args([
            "--module",
            LIBRARY,
            "--token-label",
            "token",
            "--login",
            "--pin",
            PIN,
        ])
        .args(["--keypairgen", "--key-type", "rsa:2048", "--id", "05"])
        .args(["--label", "always", "--always-auth"])
        .env("SOFTHSM2_CONF", token.path("softhsm2.conf")));
    let (askpass, answer) = (token.path("askpass"), token.path("answer"));
    fs::write(&askpass, format!("#!/bin/sh\ncat {answer}\n")).unwrap();
    fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).unwrap();
    let settings = token.path("softhsm2.conf");
    let mut child = Child::start(&[
        ("SOFTHSM2_CONF", &settings),
        ("SSH_ASKPASS", &askpass),
        ("SSH_ASKPASS_REQUIRE", "force"),
    ]);
    let keys = child.keys(open(PIN, Constraints::default()));
    let key = keys.iter().find(|it| it.name.as_str() == "always").unwrap();
    for (pin, flags, expected) in [
        (PIN, 2, Outcome::Approve),
        ("0000", 2, Outcome::Refuse),
        (PIN, 4, Outcome::Approve),
        (PIN, 2, Outcome::Approve),
    ] {
        fs::write(&answer, pin).unwrap();
        assert_eq!(
            child.outcome(sign(key, b"content", flags)),
            expected,
            "{pin}"
        );
    }
}

/// `ssh-add -e`, then `-s` again.
#[test]
fn removed_and_opened_again() {
    let token = Token::new();
    let mut child = token.start();
    for _ in 0..2 {
        let keys = child.keys(open(PIN, Constraints::default()));
        assert_eq!(
            children(child.id()),
            1,
            "the library has a process of its own"
        );
        let again = child.outcome(open(PIN, Constraints::default()));
        assert_eq!(again, Outcome::Refuse, "nothing new");
        let ids = keys.iter().map(|it| it.id).collect();
        let removed = child.outcome(RequestBody::Remove { keys: ids });
        assert_eq!(removed, Outcome::Approve);
        let gone = child.outcome(sign(&keys[0], b"content", 2));
        assert_eq!(gone, Outcome::UnknownKey);
    }
}

#[test]
fn a_library_that_is_none_or_dies_refuses() {
    let token = Token::new();
    let mut child = token.start();
    for library in ["/usr/lib/nonexistent.so", "/usr/lib/os-release"] {
        let outcome = child.outcome(open_library(library, PIN, Constraints::default()));
        assert_eq!(outcome, Outcome::Refuse, "{library}");
    }
    let keys = child.keys(open(PIN, Constraints::default()));
    let parent = child.id();
    for process in processes_of(parent) {
        let process = rustix::process::Pid::from_raw(process).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    }
    let outcome = child.outcome(sign(&keys[0], b"content", 2));
    assert_eq!(outcome, Outcome::Refuse);
    assert!(child.end().success());
}

#[test]
fn a_library_outside_of_the_patterns_is_not_loaded() {
    let token = Token::new();
    let settings = token.path("softhsm2.conf");
    let mut child = Child::start_with(
        &["--providers", "/usr/lib/other/*"],
        &[("SOFTHSM2_CONF", &settings)],
    );
    let outcome = child.outcome(open(PIN, Constraints::default()));
    assert_eq!(outcome, Outcome::Refuse);
    assert_eq!(children(child.id()), 0);
}

fn children(of: u32) -> usize {
    processes_of(of).len()
}

fn processes_of(parent: u32) -> Vec<i32> {
    let tasks = PathBuf::from(format!("/proc/{parent}/task"));
    let tasks = fs::read_dir(tasks).unwrap();
    let children = tasks.map(|task| task.unwrap().path().join("children"));
    let text: String = children
        .filter_map(|it| fs::read_to_string(it).ok())
        .collect();
    text.split_whitespace()
        .map(|it| it.parse().unwrap())
        .collect()
}

const PIN: &str = "1234";

/// Debian's package softhsm2.
const LIBRARY: &str = "/usr/lib/softhsm/libsofthsm2.so";
