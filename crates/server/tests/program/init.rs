//! `init`, and what it refuses.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::server::{Folder, program, stderr};

const FILES: [&str; 6] = [
    "config.toml",
    "master.key",
    "ca.pem",
    "ca.key",
    "server.pem",
    "server.key",
];

#[test]
fn it_makes_private_files_and_says_what_comes_next() {
    let folder = Folder::empty();
    let made = folder.call(&["init", "--host", "keys.example.org", "--host", "192.0.2.7"]);
    assert!(made.status.success());
    assert!(made.stdout.is_empty());
    let said = stderr(&made);
    assert!(said.contains("next: keystead-server run --dir "), "{said}");
    assert!(
        said.contains("keys.example.org, 192.0.2.7, localhost"),
        "{said}"
    );
    for name in FILES {
        let mode = std::fs::metadata(folder.file(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let key = std::fs::read(folder.file("master.key")).unwrap();
    assert_eq!(key.len(), 32);
    assert!(folder.read("config.toml").contains("\"192.0.2.7\""));
}

#[test]
fn a_second_init_changes_nothing() {
    let folder = Folder::new();
    let content = |folder: &Folder| FILES.map(|name| std::fs::read(folder.file(name)).unwrap());
    let before = content(&folder);
    let said = folder.fails(&["init"], 1);
    assert!(said.contains("config.toml is there already"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    for name in FILES {
        let others = Folder::empty();
        std::fs::write(others.file(name), "mine").unwrap();
        if name != "server.pem" {
            others.fails(&["init"], 1);
            assert_eq!(others.read(name), "mine");
        }
    }
    assert_eq!(content(&folder), before);
}

#[test]
fn a_folder_that_others_may_enter_is_made_private_and_a_bad_name_is_named() {
    let folder = Folder::empty();
    let said = folder.fails(&["init", "--host", "https://keys.example.org"], 1);
    assert!(
        said.contains("\"https://keys.example.org\" is no host name"),
        "{said}"
    );
    assert!(!folder.file("config.toml").exists());
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder.must(&["init"]);
    let mode = std::fs::metadata(folder.path()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn without_init_nothing_runs() {
    let folder = Folder::empty();
    let said = folder.fails(&["run", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("master"), "{said}");
    assert!(said.contains("keystead-server init"), "{said}");
    for verb in [
        &["user", "list"][..],
        &["invite", "alex"],
        &["backup", "/nowhere/at/all"],
        &["rotate-master-key"],
        &["audit", "export"],
    ] {
        let said = folder.fails(verb, 4);
        assert!(said.contains("the server does not run"), "{verb:?}: {said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
}

#[test]
fn usage_is_one_line_and_status_2() {
    let output = program().arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("keystead-server: error: "));
    let version = program().arg("--version").output().unwrap();
    assert!(version.status.success());
}

#[test]
fn a_renewed_certificate_has_new_names_and_the_old_authority() {
    let folder = Folder::new();
    let before = (folder.read("ca.pem"), folder.read("server.pem"));
    folder.must(&["renew-certificate", "--host", "other.example.org"]);
    assert_eq!(folder.read("ca.pem"), before.0);
    assert_ne!(folder.read("server.pem"), before.1);
}
