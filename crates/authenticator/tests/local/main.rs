//! `keystead-authenticator local` as a process, at a socket pair.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the tests' own functions: what fails there is a failed test"
)]

mod child;
mod programs;
#[cfg(feature = "pkcs11")]
mod tokens;

use std::io::Write;
use std::process::{Command, Stdio};

use keystead_core::{Constraints, KeyForm, Outcome, RequestBody, ResponseBody};

use child::{Child, import, sign, verifies};

#[test]
fn every_type_that_ssh_keygen_makes_signs_and_the_end_is_quiet() {
    for (arguments, flags) in [
        (&["-t", "ed25519"][..], 0),
        (&["-t", "ecdsa", "-b", "256"], 0),
        (&["-t", "ecdsa", "-b", "384"], 0),
        (&["-t", "ecdsa", "-b", "521"], 0),
        (&["-t", "rsa", "-b", "2048"], 2),
        (&["-t", "rsa", "-b", "3072"], 4),
    ] {
        let mut child = Child::start(&[]);
        let entry = child.add(&child::made(arguments), Constraints::default());
        let signature = child.signature(sign(&entry, b"content", flags));
        assert!(verifies(&entry, b"content", &signature), "{arguments:?}");
        assert!(child.end().success());
    }
}

/// What came by one read is answered, whatever it was cut into.
#[test]
fn requests_come_in_any_pieces() {
    let mut child = Child::start(&[]);
    let entry = child.add(&child::made(&["-t", "ed25519"]), Constraints::default());
    let mut bytes = Vec::new();
    let mut ids = Vec::new();
    for number in 0..200_u32 {
        // Some are longer than one read.
        let content = vec![7; if number % 50 == 0 { 60_000 } else { 40 }];
        let (id, frame) = child.frame(sign(&entry, &content, 0));
        ids.push((id, content));
        bytes.extend(frame);
    }
    let mut socket = child.socket.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for piece in bytes.chunks(7_001) {
            socket.write_all(piece).unwrap();
        }
    });
    for (id, content) in ids {
        let response = child.response();
        assert_eq!(response.id, id, "in their order, as nothing takes its time");
        let Some(ResponseBody::Signature(signature)) = response.body else {
            panic!("{:?}", response.outcome)
        };
        assert!(verifies(&entry, &content, &signature));
    }
    writer.join().unwrap();
}

#[test]
fn a_long_signature_holds_no_other_up() {
    let mut child = Child::start(&[]);
    let slow = child.add(
        &child::made(&["-t", "rsa", "-b", "4096"]),
        Constraints::default(),
    );
    let fast = child.add(&child::made(&["-t", "ed25519"]), Constraints::default());
    let mut bytes = Vec::new();
    for _ in 0..40 {
        bytes.extend(child.frame(sign(&slow, b"slow", 2)).1);
    }
    let (id, frame) = child.frame(sign(&fast, b"fast", 0));
    bytes.extend(frame);
    child.socket.write_all(&bytes).unwrap();
    let mut before = 0;
    while child.response().id != id {
        before += 1;
    }
    assert!(before < 40, "the last asked was answered last");
    for _ in before..40 {
        assert_eq!(child.response().outcome, Outcome::Approve);
    }
}

#[test]
fn what_is_no_message_ends_it() {
    for bytes in [
        &[0, 0, 0, 0][..],
        &[0, 0, 0, 1, 0],
        &[0, 4, 0, 1],
        &[0xff, 0xff, 0xff, 0xff],
        b"\0\0\0\x05hello",
    ] {
        let mut child = Child::start(&[]);
        child.socket.write_all(bytes).unwrap();
        assert!(!child.wait().success(), "{bytes:?}");
    }
}

#[test]
fn a_cut_message_is_the_end_too() {
    let mut child = Child::start(&[]);
    let (_, frame) = child.frame(RequestBody::Me { nonce_c: None });
    child.socket.write_all(&frame[..frame.len() - 1]).unwrap();
    assert!(child.end().success());
}

#[test]
fn standard_input_must_be_a_socket() {
    let ended = Command::new(env!("CARGO_BIN_EXE_keystead-authenticator"))
        .arg("local")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
}

/// Nothing is left of it on disk, and no core file would be.
#[test]
fn it_writes_no_file_and_dumps_no_core() {
    let home = tempfile::tempdir().unwrap();
    let home_text = home.path().display().to_string();
    let mut child = Child::start(&[("KEYSTEAD_HOME", &home_text), ("HOME", &home_text)]);
    let entry = child.add(&child::made(&["-t", "ed25519"]), Constraints::default());
    child.signature(sign(&entry, b"content", 0));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits
        .lines()
        .find(|it| it.starts_with("Max core file size"));
    let words: Vec<&str> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"]);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    assert!(child.end().success());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_lifetime_ends_without_being_asked_for() {
    let mut child = Child::start(&[]);
    let lasting = Constraints {
        lifetime_s: Some(1),
        ..Constraints::default()
    };
    let entry = child.add(&child::made(&["-t", "ed25519"]), lasting);
    // The wait is the thing tried; it is answered late rather than early.
    while child.outcome(sign(&entry, b"x", 0)) == Outcome::Approve {
        std::thread::yield_now();
    }
    assert_eq!(child.outcome(sign(&entry, b"x", 0)), Outcome::UnknownKey);
}

#[test]
fn a_file_of_another_form_is_refused() {
    let mut child = Child::start(&[]);
    for key in [
        &b""[..],
        b"no key",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
    ] {
        let request = import(KeyForm::File, key, Constraints::default());
        assert_eq!(child.outcome(request), Outcome::Refuse);
    }
}
