//! `git setup`, as far as it needs no keeper: other people's keys, and the way back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::home::{Home, KEYSTEAD};

const KEY: &str = "ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIIzdX1GLCIbV0bTyp/nhnNI1n/C+6H7bYr1AiKSwBLHV other";

const LINE: &str = "other@example.org namespaces=\"git\" ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIIzdX1GLCIbV0bTyp/nhnNI1n/C+6H7bYr1AiKSwBLHV other\n";

/// A home folder with somebody's public key in it.
fn home(name: &str) -> (Home, String) {
    let home = Home::short(name);
    let file = home.0.join("other.pub");
    fs::write(&file, format!("# a comment\n{KEY}\n")).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (home, file)
}

/// Sets up and undoes; the file of git's configuration is then as it was.
#[track_caller]
fn check_undo(config: Option<&[u8]>) {
    let (home, key) = home("gu");
    let path = home.0.join(".gitconfig");
    if let Some(config) = config {
        fs::write(&path, config).unwrap();
    }
    let signer = ["git", "setup", "--signer", "other@example.org", &key];
    let printed = home.check(&[&signer[..], &["--print"]].concat(), 0, "");
    assert_eq!(fs::read(&path).ok().as_deref(), config, "--print writes");
    assert_eq!(home.check(&signer, 0, ""), printed);
    assert!(printed.ends_with(LINE), "{printed}");
    let file = git_says(&home, "gpg.ssh.allowedSignersFile");
    assert!(fs::read_to_string(file.trim()).unwrap().contains(LINE));
    let once = fs::read(&path).unwrap();
    home.check(&signer, 0, "");
    assert_eq!(fs::read(&path).unwrap(), once, "twice is once");
    home.check(&["git", "setup", "--undo"], 0, "");
    assert_eq!(fs::read(&path).ok().as_deref(), config);
    assert!(!Path::new(file.trim()).exists());
    home.check(&["git", "setup", "--undo"], 0, "nothing to undo");
}

fn git_says(home: &Home, name: &str) -> String {
    let mut git = home.program("git");
    let output = git.args(["config", "--global", "--get", name]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn undo_gives_back_every_byte() {
    check_undo(None);
    check_undo(Some(b""));
    check_undo(Some(b"[user]\n\tname = Alex ; me\n"));
    check_undo(Some(b"# no end of line\n[gpg] format = openpgp"));
    check_undo(Some(b"[user]\r\n  name = Alex\r\n"));
    check_undo(Some(b"[GPG \"ssh\"]\n  defaultKeyCommand = x # why\n\n\n"));
    // Not UTF-8: value by value, which here is the same.
    check_undo(Some(b"[user]\n\tname = Al\xe9x\n"));
}

#[test]
fn a_file_of_allowed_signers_that_is_there_is_kept_and_restored() {
    let (home, key) = home("ga");
    let own = home.0.join("signers");
    let before = "me@example.org ssh-ed25519 AAAA";
    fs::write(&own, before).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o644)).unwrap();
    let config = home.0.join("dotfiles");
    let text = "[gpg \"ssh\"]\n\tallowedSignersFile = ~/signers\n";
    fs::write(&config, text).unwrap();
    symlink(&config, home.0.join(".gitconfig")).unwrap();
    let signer = ["git", "setup", "--signer", "other@example.org", &key];
    home.check(&signer, 0, "");
    let with = fs::read_to_string(&own).unwrap();
    assert!(with.starts_with(before) && with.contains(LINE), "{with}");
    assert_eq!(
        fs::metadata(&own).unwrap().permissions().mode() & 0o777,
        0o644
    );
    home.check(&["git", "setup", "--undo"], 0, "is as it was");
    assert_eq!(fs::read_to_string(&own).unwrap(), before);
    assert_eq!(fs::read_to_string(&config).unwrap(), text);
    let link = fs::symlink_metadata(home.0.join(".gitconfig")).unwrap();
    assert!(link.is_symlink());
}

#[test]
fn what_is_no_public_key_is_refused_before_anything_is_written() {
    let (home, key) = home("gk");
    let empty = home.0.join("empty");
    fs::write(&empty, "# nothing\n").unwrap();
    let empty = empty.to_str().unwrap();
    for (mail, file, said) in [
        ("a@b", KEYSTEAD, "not UTF-8"),
        ("a@b", "/etc/passwd", "/etc/passwd: not a public key"),
        ("a@b", empty, "no public key in it"),
        ("a@b", "/nonexistent", "no public key in it"),
        ("a b", &key, "cannot stand in an allowed signers file"),
        ("*", &key, "cannot stand in an allowed signers file"),
    ] {
        let output = home.run(&["git", "setup", "--signer", mail, file]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.contains(said),
            "{stderr}"
        );
    }
    assert!(!home.0.join(".gitconfig").exists());
}

#[test]
fn the_program_that_git_runs_is_ssh_keygen_for_all_but_our_keys() {
    let (home, key) = home("gp");
    let link = home.0.join("keystead-ssh-keygen");
    symlink(KEYSTEAD, &link).unwrap();
    let listed = home.program(&link).args(["-l", "-f", &key]).output();
    let plain = home.program("ssh-keygen").args(["-l", "-f", &key]).output();
    let (listed, plain) = (listed.unwrap(), plain.unwrap());
    assert_eq!(
        (&listed.stdout, listed.status),
        (&plain.stdout, plain.status)
    );
    // A key of one's own signs without an agent, and none is started.
    let own = home.0.join("own");
    let mut keygen = home.program("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&own);
    assert!(keygen.status().unwrap().success());
    let text = home.0.join("text");
    fs::write(&text, "a text").unwrap();
    let mut sign = home.program(&link);
    sign.args(["-Y", "sign", "-n", "git", "-f"])
        .arg(&own)
        .arg(&text);
    assert!(sign.output().unwrap().status.success());
    assert!(home.0.join("text.sig").exists());
    assert!(!home.0.join("keystead/agent/run/ssh.sock").exists());
}
