//! `SSH_ASKPASS`, and OpenSSH's own `ssh-sk-helper` with the software token of its tests.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use keystead_core::{Constraints, KeyForm, Outcome, RequestBody};
use keystead_formats::ssh::line::KeyLine;
use keystead_formats::ssh::wire::{Reader, Writer};

use crate::child::{Child, import, made, sign, verifies};

/// An askpass program that tells what it was asked through a pipe, and answers what comes
/// through another of its own.
struct Askpass {
    folder: tempfile::TempDir,
    asked: BufReader<File>,
}

/// One question on the screen.
struct Asked {
    process: String,
    hint: String,
    question: String,
}

impl Askpass {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("asked");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        // Written to as well, so that it has no end while the test runs.
        let asked = File::options().read(true).write(true).open(&pipe).unwrap();
        let script = format!(
            "#!/bin/sh\ncd {}\n\
             mkfifo answer.$$\n\
             question=$(printf '%s' \"$1\" | tr '\\n' ' ')\n\
             echo \"$$|$SSH_ASKPASS_PROMPT|$question\" > asked\n\
             read answer < answer.$$\n\
             echo \"$answer\"\n\
             test \"$answer\" != fail\n",
            folder.path().display()
        );
        write_program(&folder.path().join("askpass"), &script);
        Self {
            folder,
            asked: BufReader::new(asked),
        }
    }

    fn start(&self) -> Child {
        self.start_with(("SSH_ASKPASS_REQUIRE", "force"))
    }

    fn start_with(&self, more: (&str, &str)) -> Child {
        let program = self.folder.path().join("askpass").display().to_string();
        let askpass = [("SSH_ASKPASS", &*program), ("SSH_ASKPASS_REQUIRE", "force")];
        Child::start(&[&askpass[..], &[more]].concat())
    }

    /// Waits for a question.
    fn asked(&mut self) -> Asked {
        let mut line = String::new();
        self.asked.read_line(&mut line).unwrap();
        let mut words = line.trim_end().splitn(3, '|').map(str::to_owned);
        let mut word = || words.next().unwrap();
        Asked {
            process: word(),
            hint: word(),
            question: word(),
        }
    }

    fn answer(&self, asked: &Asked, answer: &str) {
        self.answer_as(&asked.process, answer);
    }

    fn answer_as(&self, process: &str, answer: &str) {
        let pipe = format!("answer.{process}");
        let mut pipe = File::create(self.folder.path().join(pipe)).unwrap();
        writeln!(pipe, "{answer}").unwrap();
    }
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
}

fn confirmed() -> Constraints {
    Constraints {
        confirm: true,
        ..Constraints::default()
    }
}

#[test]
fn the_answer_decides() {
    let mut askpass = Askpass::new();
    let mut child = askpass.start();
    let entry = child.add(&made(&["-t", "ed25519"]), confirmed());
    for (answer, expected) in [
        ("yes", Outcome::Approve),
        ("", Outcome::Approve),
        ("no", Outcome::Refuse),
        ("fail", Outcome::Refuse),
    ] {
        child.send(sign(&entry, b"content", 0));
        let asked = askpass.asked();
        assert_eq!(asked.hint, "confirm");
        assert!(asked.question.contains("alex@laptop"), "{}", asked.question);
        assert!(asked.question.contains("SHA256:"), "{}", asked.question);
        askpass.answer(&asked, answer);
        assert_eq!(child.response().outcome, expected, "{answer:?}");
    }
}

#[test]
fn nobody_to_ask_is_no() {
    let nowhere = ("SSH_ASKPASS", "/nonexistent/askpass");
    let key = made(&["-t", "ed25519"]);
    for environment in [
        &[][..],
        &[nowhere, ("SSH_ASKPASS_REQUIRE", "force")],
        &[nowhere, ("DISPLAY", ":99")],
        &[
            ("SSH_ASKPASS", "/bin/true"),
            ("SSH_ASKPASS_REQUIRE", "never"),
        ],
    ] {
        let mut child = Child::start(environment);
        let entry = child.add(&key, confirmed());
        assert_eq!(child.outcome(sign(&entry, b"content", 0)), Outcome::Refuse);
    }
    let mut child = Child::start(&[("SSH_ASKPASS", "/bin/true"), ("DISPLAY", ":99")]);
    let entry = child.add(&key, confirmed());
    assert_eq!(child.outcome(sign(&entry, b"content", 0)), Outcome::Approve);
}

#[test]
fn several_are_asked_side_by_side_and_others_go_on() {
    let mut askpass = Askpass::new();
    let mut child = askpass.start();
    let slow = child.add(&made(&["-t", "ed25519"]), confirmed());
    let free = child.add(&made(&["-t", "ecdsa"]), Constraints::default());
    let mut open: Vec<_> = (0..8_u8)
        .map(|it| child.send(sign(&slow, &[it], 0)))
        .collect();
    let mut questions = Vec::new();
    for _ in 0..8 {
        questions.push(askpass.asked());
        assert_eq!(child.outcome(sign(&free, b"free", 0)), Outcome::Approve);
    }
    for asked in questions.iter().rev() {
        askpass.answer(asked, "yes");
        let response = child.response();
        assert_eq!(response.outcome, Outcome::Approve);
        let at = open.iter().position(|it| *it == response.id).unwrap();
        open.remove(at);
    }
}

#[test]
fn a_withdrawn_question_leaves_the_screen() {
    let mut askpass = Askpass::new();
    let mut child = askpass.start();
    let entry = child.add(&made(&["-t", "ed25519"]), confirmed());
    let target = child.send(sign(&entry, b"content", 0));
    let process = watch(&askpass.asked());
    child.send(RequestBody::Cancel { target });
    assert_eq!(child.response().outcome, Outcome::Withdraw);
    assert_eq!(child.response().outcome, Outcome::Approve);
    assert!(has_ended(&process));
}

#[test]
fn questions_end_with_the_agent() {
    let mut askpass = Askpass::new();
    let mut child = askpass.start();
    let entry = child.add(&made(&["-t", "ed25519"]), confirmed());
    child.send(sign(&entry, b"content", 0));
    let process = watch(&askpass.asked());
    assert!(child.end().success());
    assert!(has_ended(&process));
}

fn watch(asked: &Asked) -> std::os::fd::OwnedFd {
    let id = rustix::process::Pid::from_raw(asked.process.parse().unwrap()).unwrap();
    rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).unwrap()
}

fn has_ended(process: &std::os::fd::OwnedFd) -> bool {
    let mut wanted = [rustix::event::PollFd::new(
        process,
        rustix::event::PollFlags::IN,
    )];
    let longest = rustix::event::Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut wanted, Some(&longest)).unwrap() == 1
}

/// A key of the software token, as `ssh-add` brings it: type, public half, application, flags,
/// handle. It is read from the file that `ssh-keygen` writes, which holds the same fields.
fn security_key(folder: &Path, key_type: &str) -> Vec<u8> {
    let file = folder.join("key");
    let made = Command::new("ssh-keygen")
        .args([
            "-q",
            "-N",
            "",
            "-C",
            "",
            "-t",
            key_type,
            "-w",
            &token(),
            "-f",
        ])
        .arg(&file)
        .status()
        .unwrap();
    assert!(
        made.success(),
        "{TOKEN} is of Debian's package openssh-tests"
    );
    let text = fs::read_to_string(&file).unwrap();
    let body: String = text.lines().filter(|it| !it.starts_with('-')).collect();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    // OpenSSH PROTOCOL.key: magic, three empty strings' worth of options, one key.
    let mut reader = Reader::new(&bytes[b"openssh-key-v1\0".len()..]);
    for _ in 0..3 {
        reader.string().unwrap();
    }
    reader.u32().unwrap();
    reader.string().unwrap();
    let private = reader.string().unwrap();
    let mut reader = Reader::new(&private[8..]);
    let mut writer = Writer::new();
    let strings = if key_type == "ecdsa-sk" { 4 } else { 3 };
    for _ in 0..strings {
        writer = writer.string(reader.string().unwrap());
    }
    writer = writer.u8(reader.u8().unwrap());
    for _ in 0..2 {
        writer = writer.string(reader.string().unwrap());
    }
    writer.into_bytes()
}

/// As `ssh-add` brings it with the certificate beside it: that stands behind the type; of
/// Ed25519 the public half follows, of ECDSA curve and point are left out.
fn certified(folder: &Path, key_type: &str, key: &[u8]) -> Vec<u8> {
    let path = |name: &str| folder.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", "ed25519", "-f"])
        .arg(path("ca"))
        .status();
    assert!(made.unwrap().success());
    let made = Command::new("ssh-keygen")
        .args(["-q", "-I", "alex", "-n", "alex", "-s"])
        .args([path("ca"), path("key.pub")])
        .status();
    assert!(made.unwrap().success());
    let line = fs::read_to_string(path("key-cert.pub")).unwrap();
    let certificate = KeyLine::parse(line.trim()).unwrap().key;
    let mut reader = Reader::new(key);
    reader.string().unwrap();
    if key_type == "ecdsa-sk" {
        reader.string().unwrap();
        reader.string().unwrap();
    }
    Writer::new()
        .string(certificate.type_name().as_bytes())
        .string(certificate.blob())
        .raw(reader.rest())
        .into_bytes()
}

fn provided() -> Constraints {
    Constraints {
        sk_provider: Some(token()),
        ..Constraints::default()
    }
}

#[test]
fn security_keys_sign_by_the_program_of_openssh() {
    for key_type in ["ed25519-sk", "ecdsa-sk"] {
        let folder = tempfile::tempdir().unwrap();
        let key = security_key(folder.path(), key_type);
        let certificate = certified(folder.path(), key_type, &key);
        let mut child = Child::start(&[]);
        for key in [key, certificate] {
            let keys = child.keys(import(KeyForm::Agent, &key, provided()));
            let signature = child.signature(sign(&keys[0], b"content", 0));
            assert!(verifies(&keys[0], b"content", &signature), "{keys:?}");
            for len in 0..key.len() {
                let cut = import(KeyForm::Agent, &key[..len], provided());
                assert_eq!(child.outcome(cut), Outcome::Refuse);
            }
        }
    }
}

/// The token of the tests has no PIN: the program says once that one is wanted, then is
/// OpenSSH's.
#[test]
fn the_person_is_told_to_touch_and_asked_for_the_pin() {
    let mut askpass = Askpass::new();
    let key = security_key(askpass.folder.path(), "ed25519-sk");
    let program = askpass.folder.path().join("helper");
    let script = format!(
        "#!/bin/sh\ncd {}\n\
         if test -e touched; then exec {SK_PROGRAM}; fi\n\
         touch touched\n\
         read line < answer.touch\n\
         printf '\\0\\0\\0\\11\\5\\0\\0\\0\\0\\0\\0\\0\\53'\n",
        askpass.folder.path().display()
    );
    write_program(&program, &script);
    let made = Command::new("mkfifo")
        .arg(askpass.folder.path().join("answer.touch"))
        .status();
    assert!(made.unwrap().success());
    let mut child = askpass.start_with(("SSH_SK_HELPER", &program.display().to_string()));
    let keys = child.keys(import(KeyForm::Agent, &key, provided()));
    child.send(sign(&keys[0], b"content", 0));

    let notice = askpass.asked();
    assert_eq!(notice.hint, "none");
    assert!(
        notice.question.contains("Touch the security key"),
        "{}",
        notice.question
    );
    let shown = watch(&notice);
    askpass.answer_as("touch", "");
    let pin = askpass.asked();
    assert!(
        has_ended(&shown),
        "the notice is gone before the PIN is asked for"
    );
    assert_eq!(pin.hint, "");
    assert!(pin.question.contains("PIN"), "{}", pin.question);
    askpass.answer(&pin, "1234");
    let response = child.response();
    assert_eq!(response.outcome, Outcome::Approve);
}

#[test]
fn a_program_that_gives_no_signature_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let key = security_key(folder.path(), "ed25519-sk");
    let program = folder.path().join("helper");
    for text in [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\nhead -c 4\nprintf '\\0\\0\\0\\1\\5'\n",
        "#!/bin/sh\nprintf '\\377\\377\\377\\377'\n",
        "#!/bin/sh\nprintf '\\0\\0\\0\\11\\5\\0\\0\\0\\0\\0\\0\\0\\7'\n",
        "#!/bin/sh\nprintf '\\0\\0\\0\\12\\5\\0\\0\\0\\1\\0\\0\\0\\1x'\n",
    ] {
        write_program(&program, text);
        let mut child = Child::start(&[("SSH_SK_HELPER", &program.display().to_string())]);
        let keys = child.keys(import(KeyForm::Agent, &key, provided()));
        let outcome = child.outcome(sign(&keys[0], b"content", 0));
        assert_eq!(outcome, Outcome::Refuse, "{text}");
    }
    let nowhere = PathBuf::from("/nonexistent/helper").display().to_string();
    let mut child = Child::start(&[("SSH_SK_HELPER", &nowhere)]);
    let keys = child.keys(import(KeyForm::Agent, &key, provided()));
    assert_eq!(
        child.outcome(sign(&keys[0], b"content", 0)),
        Outcome::Refuse
    );
}

/// Debian's.
const SK_PROGRAM: &str = "/usr/lib/openssh/ssh-sk-helper";

/// Where [`TOKEN`] is installed, or else where it was unpacked.
fn token() -> String {
    let unpacked = std::env::var_os("KEYSTEAD_UNPACKED").map(std::path::PathBuf::from);
    let unpacked = unpacked.map(|libraries| libraries.join("..").join(&TOKEN["/usr/lib/".len()..]));
    match unpacked.filter(|_| !Path::new(TOKEN).exists()) {
        Some(file) => file.to_string_lossy().into_owned(),
        None => TOKEN.to_owned(),
    }
}

/// The token of OpenSSH's own regression tests, which is software.
const TOKEN: &str = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";
