//! The program itself, without any server: secrets of this machine alone, the places that secrets
//! go to, and what is left behind.
#![expect(clippy::unwrap_used, reason = "a test; what its functions do fails it")]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// A person's folder, with a passphrase and a secret in files.
struct Person {
    folder: tempfile::TempDir,
}

impl Person {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("passphrase"), "canary-passphrase\n").unwrap();
        std::fs::write(folder.path().join("token"), "canary-secret").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The words behind `keystead-custody`, by a shell, which opens descriptors.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_keystead-custody");
        command
            .args(["-c", &format!("exec {program} {words}")])
            .current_dir(self.folder.path())
            .env("KEYSTEAD_HOME", self.path("home"))
            .env("RUST_LOG", "trace")
            .env("KEYSTEAD_TRACE", "trace")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// With the passphrase on descriptor 3.
    #[track_caller]
    fn check(&self, words: &str, status: i32, said: &str) -> Vec<u8> {
        let output = self.run(&format!("{words} 3<passphrase"));
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{words}: {talk}");
        assert!(talk.contains(said), "{words}: {talk}");
        assert!(!talk.contains("canary-secret"), "{words}: {talk}");
        assert!(!talk.contains("canary-passphrase"), "{words}: {talk}");
        output.stdout
    }

    fn store(&self, name: &str) {
        let words = format!("secret store {name} --local-only --from-file token --passphrase-fd 3");
        let id = self.check(&words, 0, "is kept");
        assert_eq!(id.len(), 33);
    }

    /// Every file under the home folder.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path("home")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found
    }
}

#[test]
fn a_secret_of_this_machine_alone_is_kept_shown_renamed_exported_and_deleted() {
    let person = Person::new();
    person.store("mail");
    let words = "secret retrieve mail --passphrase-fd 3";
    assert_eq!(person.check(words, 0, ""), b"canary-secret");
    let words = "secret retrieve mail --intent export --passphrase-fd 3";
    assert_eq!(person.check(words, 0, ""), b"canary-secret");
    let portable = person.check(
        "secret export mail --form portable --passphrase-fd 3",
        0,
        "",
    );
    assert!(portable.starts_with(b"\0\0\0\x0dcanary-secret\0\0\0\x36"));
    person.check(
        "secret export mail --form openssh --passphrase-fd 3",
        1,
        "has no such form",
    );
    person.check(
        "secret export mail --type rsa --passphrase-fd 3",
        2,
        "not rsa",
    );
    // Neither list nor name asks for anything.
    let listed = person.run("secret list --json");
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let secret = &listed["secrets"][0];
    for (field, value) in [
        ("name", "mail"),
        ("type", "arbitrary"),
        ("opened_by", "machine"),
        ("context", "stored"),
    ] {
        assert_eq!(secret[field], value, "{field}");
    }
    person.check("secret rename mail post", 0, "is called post");
    person.check("secret show mail", 2, "no account");
    person.check(
        "secret delete post --local-copy",
        2,
        "on this machine alone",
    );
    person.check("secret delete post --yes", 0, "is deleted");
    let listed = person.run("secret list --json").stdout;
    assert_eq!(listed, b"{\"version\":1,\"secrets\":[]}\n");
}

#[test]
fn wrong_words_have_their_status_and_a_hint() {
    let person = Person::new();
    person.store("mail");
    std::fs::write(person.path("wrong"), "another\n").unwrap();
    let output = person.run("secret retrieve mail --passphrase-fd 3 3<wrong");
    assert_eq!(output.status.code(), Some(1));
    let talk = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = talk.lines().collect();
    assert!(
        lines[0].starts_with("keystead: error: wrong passphrase"),
        "{talk}"
    );
    assert!(lines[1].starts_with("keystead: hint: "), "{talk}");
    person.check(
        "secret store mail --local-only --from-file token",
        2,
        "already",
    );
    person.check(
        "secret store '' --local-only --from-file token",
        2,
        "1 to 256 bytes",
    );
    person.check(
        "secret store more --local-only --from-file none",
        1,
        "cannot be read",
    );
    // One descriptor serves both: the passphrase's line, and the secret behind it.
    std::fs::write(person.path("both"), "canary-passphrase\nsecond").unwrap();
    let words = "secret store second --local-only --from-fd 5 --passphrase-fd 5 5<both";
    person.check(words, 0, "is kept");
    let words = "secret retrieve second --passphrase-fd 3";
    assert_eq!(person.check(words, 0, ""), b"second");
    person.check("secret retrieve mail --passphrase-fd 9", 2, "descriptor 9");
    person.check("secret retrieve mail --to-fd 9", 2, "descriptor 9");
    person.check("secret retrieve mail --to-clipboard", 2, "no clipboard");
    person.check("secret generate key", 2, "no account");
    person.check("secret generate key --bytes 0", 2, "0 is not in");
    person.check("register 'not a link'", 2, "which account");
    person.check("nonsense", 2, "unrecognized");
    person.check("--help", 0, "");
    // Each option stands where it is read.
    for (words, has) in [
        ("password", true),
        ("login", false),
        ("secret retrieve", false),
        ("approver add", false),
    ] {
        let help = person.check(&format!("{words} --help"), 0, "");
        let help = String::from_utf8(help).unwrap();
        assert_eq!(help.contains("--new-password-fd"), has, "{words}: {help}");
    }
}

#[test]
fn a_secret_goes_to_a_new_private_file_or_a_descriptor() {
    let person = Person::new();
    person.store("mail");
    let words = "secret retrieve mail --passphrase-fd 3";
    person.check(&format!("{words} --to-file out"), 0, "");
    let out = person.path("out");
    assert_eq!(std::fs::read(&out).unwrap(), b"canary-secret");
    assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    person.check(&format!("{words} --to-file out"), 2, "is there already");
    person.check(&format!("{words} --to-file none/out"), 1, "cannot be made");
    person.check(&format!("{words} --to-fd 4 4>behind"), 0, "");
    assert_eq!(
        std::fs::read(person.path("behind")).unwrap(),
        b"canary-secret"
    );
    // A wrong passphrase leaves no file, and nothing beside it.
    std::fs::write(person.path("wrong"), "another\n").unwrap();
    person.run("secret retrieve mail --to-file later --passphrase-fd 3 3<wrong");
    let names: Vec<_> = std::fs::read_dir(person.folder.path())
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert!(
        !names
            .iter()
            .any(|it| it.to_string_lossy().contains("later")),
        "{names:?}"
    );
}

/// A program in the place of `xclip` that keeps what it is given in a file.
#[test]
fn the_clipboard_is_cleared_if_it_still_holds_the_secret() {
    let person = Person::new();
    person.store("mail");
    let xclip = person.path("xclip");
    let script = "#!/bin/sh\ncase \"$*\" in *-in) cat >\"$HELD\"; cat \"$HELD\" >>\"$SEEN\";; \
                  *-out) cat \"$HELD\";; esac\n";
    std::fs::write(&xclip, script).unwrap();
    std::fs::set_permissions(&xclip, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let words = "secret retrieve mail --to-clipboard 1 --passphrase-fd 3 3<passphrase";
    let start = || -> Child {
        let mut command = person.command(words);
        command
            .env("DISPLAY", ":9")
            .env("PATH", format!("{}:{path}", person.folder.path().display()))
            .env("HELD", person.path("held"))
            .env("SEEN", person.path("seen"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let output = start().wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("the clipboard is cleared"), "{talk}");
    assert_eq!(
        std::fs::read(person.path("seen")).unwrap(),
        b"canary-secret"
    );
    assert_eq!(std::fs::read(person.path("held")).unwrap(), b"");

    // What was copied since stays.
    let child = start();
    while std::fs::read(person.path("held")).unwrap() != b"canary-secret" {
        std::thread::yield_now();
    }
    std::fs::write(person.path("held"), "something else").unwrap();
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("it stays"), "{talk}");
    assert_eq!(
        std::fs::read(person.path("held")).unwrap(),
        b"something else"
    );
}

#[test]
fn a_passphrase_is_changed_without_touching_the_copies() {
    let person = Person::new();
    person.store("mail");
    std::fs::write(person.path("both"), "canary-passphrase\nanother-canary\n").unwrap();
    std::fs::write(person.path("new"), "another-canary\n").unwrap();
    let copy = |person: &Person| {
        let copies = person.path("home/custody/state/copies");
        let file = std::fs::read_dir(copies).unwrap().next().unwrap().unwrap();
        std::fs::read(file.path()).unwrap()
    };
    let before = copy(&person);
    person.check("secret local-store", 0, "is set up");
    let words = "secret local-store --change --passphrase-fd 5 --new-passphrase-fd 5 5<both";
    person.check(words, 0, "new passphrase from now on");
    assert_eq!(copy(&person), before);
    person.check(
        "secret retrieve mail --passphrase-fd 3",
        1,
        "wrong passphrase",
    );
    let output = person.run("secret retrieve mail --passphrase-fd 3 3<new");
    assert_eq!(output.stdout, b"canary-secret");
}

/// Whatever was asked for, at the trace's most talkative: no file holds a canary, and every
/// file is private.
#[test]
fn no_file_holds_what_is_secret() {
    let person = Person::new();
    person.store("canary-name");
    person.check("secret retrieve canary-name --passphrase-fd 3", 0, "");
    person.check("secret rename canary-name other-canary", 0, "");
    let files = person.files();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let content = std::fs::read(&path).unwrap();
        let has_canary = content.windows(6).any(|it| it == b"canary");
        assert!(!has_canary, "{}", path.display());
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}

/// It waits for a passphrase by a pipe, and is looked at meanwhile.
#[test]
fn the_process_leaves_no_core_and_listens_nowhere() {
    let person = Person::new();
    person.store("mail");
    let mut child = person
        .command("secret retrieve mail --passphrase-fd 0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let of = |name: &str| format!("/proc/{}/{name}", child.id());
    // The shell has become the program, and the program has hardened itself.
    let limits = loop {
        let limits = std::fs::read_to_string(of("limits")).unwrap();
        let core = limits
            .lines()
            .find(|it| it.starts_with("Max core file size"));
        let core = core.unwrap().split_whitespace().nth(4).unwrap().to_owned();
        if core == "0" {
            break core;
        }
        std::thread::yield_now();
    };
    assert_eq!(limits, "0");
    let sockets = std::fs::read_dir(of("fd")).unwrap().filter(|it| {
        let link = std::fs::read_link(it.as_ref().unwrap().path());
        link.is_ok_and(|it| it.to_string_lossy().starts_with("socket:"))
    });
    assert_eq!(sockets.count(), 0);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"canary-passphrase\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"canary-secret");
}
