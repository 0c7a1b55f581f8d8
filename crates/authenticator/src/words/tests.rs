use keystead_core::{Curve, Derivation, Identity, Name, WalletFingerprint};
use keystead_formats::openpgp::HashAlgorithm;
use keystead_formats::openpgp::trailer::{DocumentKind, Trailer};

use super::*;

const FINGERPRINT: &str = "SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I";

fn login(destination: Destination, way: Vec<Hop>) -> Asked {
    Asked::Login(Login {
        user: "alex".into(),
        destination,
        way,
        key: Name::new("main").unwrap().into(),
        certificate: None,
        bound: Bound::ToHost,
        origin: Origin {
            program: Some("/usr/bin/ssh".into()),
            ..Origin::default()
        },
    })
}

fn hop(called: Called) -> Hop {
    Hop {
        called,
        host_key: FINGERPRINT.into(),
    }
}

fn sign(namespace: &str, content: Content) -> Asked {
    Asked::Sign(Sign {
        namespace: namespace.into(),
        hash_name: "sha256".into(),
        hash: "00ff".into(),
        content,
        way: vec![],
        key: Name::new("main").unwrap().into(),
        origin: Origin::default(),
    })
}

/// `!` marks a row that warns.
fn row_text(row: &Row) -> String {
    let mark = if row.tone == Tone::Warn { "!" } else { "" };
    format!("{mark}{}|{}\n", row.label, row.value)
}

fn check(asked: &Asked, line: &str, rows: &str) {
    let shown: String = asked.rows().iter().map(row_text).collect();
    assert_eq!(shown, rows);
    assert_eq!(asked.line(), line);
}

#[test]
fn a_login_at_a_pinned_host() {
    check(
        &login(
            Destination::Proved(hop(Called::Pinned("db1".into()))),
            vec![],
        ),
        "ssh login as alex at db1 (SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I) with main",
        "Log in as|alex\n\
         Host|db1 (this key is pinned to it)\n\
         Host key|SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I\n\
         With key|main\n\
         Program|/usr/bin/ssh (the\u{a0}workstation's\u{a0}word)\n",
    );
}

#[test]
fn a_login_at_a_new_host_behind_another() {
    check(
        &login(
            Destination::Proved(hop(Called::Told(vec!["db1".into(), "10.0.0.1".into()]))),
            vec![hop(Called::Pinned("bastion".into()))],
        ),
        "ssh login as alex at db1 (unproved name, SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I) with main",
        "Log in as|alex\n\
         !Host|new here; the workstation's known_hosts says db1, 10.0.0.1\n\
         Host key|SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I\n\
         By way of|bastion (SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I)\n\
         With key|main\n\
         Program|/usr/bin/ssh (the\u{a0}workstation's\u{a0}word)\n",
    );
}

#[test]
fn a_login_without_proof() {
    check(
        &login(Destination::NotProved(NotProved::NoBind), vec![]),
        "ssh login as alex at a destination not proved with main",
        "Log in as|alex\n\
         !Host|destination not proved\n\
         !|the client sent no host's signature: any host may get this login\n\
         With key|main\n\
         Program|/usr/bin/ssh (the\u{a0}workstation's\u{a0}word)\n",
    );
    check(
        &login(
            Destination::NotProved(NotProved::Forwarded),
            vec![hop(Called::Nameless)],
        ),
        "ssh login as alex at a destination not proved with main",
        "Log in as|alex\n\
         !Host|destination not proved\n\
         !|a forwarded agent asks: the hop below may use it anywhere\n\
         By way of|SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I\n\
         With key|main\n\
         Program|/usr/bin/ssh (the\u{a0}workstation's\u{a0}word)\n",
    );
}

#[test]
fn signatures_in_a_namespace() {
    check(
        &sign("file", Content::NotProved),
        "signature in the namespace file with main",
        "Sign|a hash in the namespace file\nHash|sha256 00ff\n\
         !Content|not proved: only its hash came\nWith key|main\n",
    );
    check(
        &sign("git", Content::Differs),
        "signature in the namespace git with main",
        "Sign|a hash in the namespace git\nHash|sha256 00ff\n\
         !Content|not proved: what came has another hash\nWith key|main\n",
    );
    check(
        &sign(
            "git",
            Content::Git {
                form: GitForm::Commit,
                rows: vec![("Tree", "4b82".into())],
                message: "Mend it\n\nBecause \x1b[2J\n".into(),
                below: vec![],
            },
        ),
        "signature of a git commit \"Mend it\" with main",
        "Sign|a git commit\nSubject|Mend it\nTree|4b82\nWith key|main\nMessage|Because \\u{1b}[2J\n",
    );
}

#[test]
fn foreign_text_plays_no_tricks() {
    let mut asked = login(
        Destination::Proved(hop(Called::Told(vec!["a\x1b]0;x\x07".into()]))),
        vec![],
    );
    if let Asked::Login(login) = &mut asked {
        login.user = format!("root\x1b[8m{}", "x".repeat(300));
    }
    let all: String = asked.rows().iter().map(|row| row.value.as_str()).collect();
    assert!(!(all + &asked.line()).contains(|c: char| c.is_control()));
}

/// A Cyrillic letter in the place of a Latin one.
#[test]
fn a_name_in_letters_that_look_like_others_is_spelled() {
    let asked = examples::login(|it| it.user = "\u{430}lex".into());
    let spelled = "\u{430}lex (not ASCII: \\u{430}lex)";
    let Row { value, .. } = &asked.rows()[0];
    assert_eq!(value, spelled);
    let expected = format!("ssh login as {spelled} at db1 (SHA256:one) with main");
    assert_eq!(asked.line(), expected);
}

fn certify(change: impl FnOnce(&mut Certify)) -> Asked {
    let mut certify = Certify {
        role: "user",
        key_id: "alex at work".into(),
        serial: 7,
        certified: ("SHA256:one".into(), "ssh-ed25519".into()),
        principals: vec!["alex".into(), "root".into()],
        valid_after_unix_s: 0,
        valid_before_unix_s: 1_700_000_000,
        options: vec![],
        extensions: vec!["permit-pty".into()],
        way: vec![],
        key: Name::new("main").unwrap(),
        origin: Origin::default(),
    };
    change(&mut certify);
    Asked::Certify(certify)
}

#[test]
fn a_certificate() {
    check(
        &certify(|_| {}),
        "user certificate \"alex at work\" for alex, root with main",
        "Certify|a user key, as an authority\nKey|SHA256:one ssh-ed25519\n\
         Valid|always until 2023-11-14 22:13:20Z\nFor|alex, root\n\
         Key id|\"alex at work\", serial 7\nPermits|permit-pty\nWith key|main\n",
    );
}

/// All of it is signed, so all of it is shown, and no one name as two.
#[test]
fn names_in_a_certificate_are_whole_and_apart() {
    let row = |label: &str, asked: &Asked| {
        let rows = asked.rows();
        let row = rows.iter().find(|it| it.label == label).unwrap();
        row.value.clone()
    };
    let one = certify(|it| it.principals = vec!["alex, root".into()]);
    assert_eq!(row("For", &one), "\"alex, root\"");
    let long = format!("{}end", "x".repeat(300));
    let asked = certify(|it| {
        it.principals = vec![long.clone()];
        it.key_id = long.clone();
    });
    assert_eq!(row("For", &asked), long);
    assert_eq!(row("Key id", &asked), format!("\"{long}\", serial 7"));
}

#[test]
fn only_a_told_name_is_pinned() {
    let to_pin = |called| {
        let asked = login(Destination::Proved(hop(called)), vec![]);
        asked.to_pin().map(|(name, _)| name.to_owned())
    };
    assert_eq!(
        to_pin(Called::Told(vec!["db1".into(), "b".into()])),
        Some("db1".into())
    );
    assert_eq!(to_pin(Called::Pinned("db1".into())), None);
    assert_eq!(to_pin(Called::Nameless), None);
}

fn derived(uri: &str, curve: Curve, derivation: Derivation, index: u32) -> KeyWords {
    KeyWords::Derived {
        identity: Identity::new(uri, curve, index, derivation).unwrap(),
        wallet: WalletFingerprint([0x1a, 0x2b, 0x3c, 0x4d]),
        differs: Vec::new(),
    }
}

#[test]
fn an_openpgp_signature() {
    let openpgp = |user_id: &str, key| {
        Asked::OpenPgp(OpenPgp {
            user_id: Some(user_id.into()),
            hash_name: "sha256".into(),
            digest: "00ff".into(),
            content: Content::NotProved,
            trailer: None,
            key,
            origin: Origin::default(),
        })
    };
    let gpg = derived("gpg://Me <me@x>", Curve::Nist256p1, Derivation::Sign, 0);
    check(
        &openpgp("Me <me@x>", gpg.clone()),
        "OpenPGP signature of digest 00ff with gpg://Me <me@x> nist256p1",
        "Sign|a sha256 digest, by OpenPGP\nDigest|00ff\n\
         !Content|not proved: only its hash came\n\
         Identity|gpg://Me <me@x>\n|nist256p1, of wallet 1a2b3c4d\n",
    );
    check(
        &openpgp("You \x1b[2J", gpg),
        "OpenPGP signature of digest 00ff with gpg://Me <me@x> nist256p1",
        "Sign|a sha256 digest, by OpenPGP\nDigest|00ff\n\
         !Content|not proved: only its hash came\n\
         !User id|You \\u{1b}[2J (the\u{a0}workstation's\u{a0}word); the identity is another\n\
         Identity|gpg://Me <me@x>\n|nist256p1, of wallet 1a2b3c4d\n",
    );
    check(
        &openpgp("Me <me@x>", Name::new("work").unwrap().into()),
        "OpenPGP signature of digest 00ff with work",
        "Sign|a sha256 digest, by OpenPGP\nDigest|00ff\n\
         !Content|not proved: only its hash came\n\
         User id|Me <me@x> (the\u{a0}workstation's\u{a0}word)\nWith key|work\n",
    );
}

#[test]
fn a_commit_that_gpg_signs() {
    let commit = Asked::OpenPgp(OpenPgp {
        user_id: None,
        hash_name: "sha512".into(),
        digest: "00ff".into(),
        content: Content::Git {
            form: GitForm::Commit,
            rows: vec![("Tree", "4b82".into())],
            message: "Mend it\n".into(),
            below: vec![],
        },
        trailer: Some(Trailer {
            kind: DocumentKind::Binary,
            key_algorithm: 22,
            hash: HashAlgorithm::Sha512,
            created_unix_s: 1_700_000_000,
            expires_after_s: None,
            issuer: None,
            signers_user_id: None,
        }),
        key: Name::new("work").unwrap().into(),
        origin: Origin::default(),
    });
    check(
        &commit,
        "OpenPGP signature of a git commit \"Mend it\" with work",
        "Sign|a git commit, by OpenPGP\nSubject|Mend it\nTree|4b82\nWith key|work\n\
         Dated|2023-11-14 22:13:20Z\n",
    );
}

#[test]
fn a_minisign_signature() {
    let signify = |content| {
        Asked::Signify(Signify {
            content,
            trusted_comment: "timestamp:1\tfile:a".into(),
            key: derived("signify://release", Curve::Ed25519, Derivation::Sign, 3),
            origin: Origin::default(),
        })
    };
    let whole = SignifyContent::Whole {
        bytes: 10,
        sha256: "00ff".into(),
        text: Some("release 1\n".into()),
    };
    check(
        &signify(whole),
        "minisign signature of 10 bytes \"timestamp:1 file:a\" with signify://release index 3 ed25519",
        "Sign|a file of 10 bytes, by minisign\nHash|sha256 00ff\n\
         Identity|signify://release\n|ed25519, index 3, of wallet 1a2b3c4d\n\
         Comment|timestamp:1 file:a (signed too)\n\
         Text|release 1\n",
    );
    check(
        &signify(SignifyContent::Prehashed("00ff".into())),
        "minisign signature of a file's hash \"timestamp:1 file:a\" with signify://release index 3 ed25519",
        "Sign|a file by its hash (prehashed), by minisign\nHash|blake2b-512 00ff\n\
         Identity|signify://release\n|ed25519, index 3, of wallet 1a2b3c4d\n\
         Comment|timestamp:1 file:a (signed too)\n",
    );
}

/// All of it is signed, so all of it is shown.
#[test]
fn a_long_comment_is_shown_to_its_end() {
    let asked = examples::signify(|it| it.trusted_comment = format!("{}end", "x".repeat(1_021)));
    let rows = asked.rows();
    let comment = rows.iter().find(|it| it.label == "Comment").unwrap();
    assert!(comment.value.contains("xend"), "{}", comment.value);
}

/// minisign's prehashed signatures are over 64 bytes that say nothing of it.
#[test]
fn sixty_four_bytes_may_be_another_files_hash() {
    let warned = |bytes| {
        let asked = examples::signify(|it| {
            it.content = SignifyContent::Whole {
                bytes,
                sha256: "00ff".into(),
                text: None,
            };
        });
        asked.rows().iter().any(|it| it.tone == Tone::Warn)
    };
    assert_eq!([63, 64, 65].map(warned), [false, true, false]);
}

#[test]
fn what_is_opened() {
    let open = |form, files: &[&str]| {
        Asked::Decrypt(Decrypt {
            form,
            user_id: None,
            key: derived("age://backup", Curve::Curve25519, Derivation::Agree, 0),
            origin: Origin {
                files: files.iter().map(|it| (*it).to_owned()).collect(),
                ..Origin::default()
            },
        })
    };
    check(
        &open(DecryptWords::Age, &["a.age", "b.age"]),
        "opening of an age file a.age and 1 more with age://backup curve25519",
        "Open|an age file\n|tried: it is for this key; the workstation gets its file key\n\
         Identity|age://backup\n|curve25519, of wallet 1a2b3c4d\n\
         File|a.age, b.age (the\u{a0}workstation's\u{a0}word)\n",
    );
    check(
        &open(DecryptWords::OpenPgp, &[]),
        "opening of an OpenPGP message with age://backup curve25519",
        "Open|an OpenPGP message\n|the workstation gets the key of this message alone\n\
         Identity|age://backup\n|curve25519, of wallet 1a2b3c4d\n",
    );
}

/// Three runs of `age -d` are one question: what each of them opens is read in its list.
#[test]
fn files_that_several_commands_open_are_told_apart() {
    let open = |file: &str| {
        Asked::Decrypt(Decrypt {
            form: DecryptWords::Age,
            user_id: None,
            key: derived("age://backup", Curve::Curve25519, Derivation::Agree, 0),
            origin: Origin {
                arguments: ["age", "-d", file].map(str::to_owned).to_vec(),
                ..Origin::default()
            },
        })
    };
    assert!(open("a.age").reads_as(&open("a.age")));
    assert!(!open("a.age").reads_as(&open("b.age")));
    assert_eq!(
        open("a.age").line_apart(),
        "opening of an age file with age://backup curve25519 \
         (by the workstation's word age -d a.age)"
    );
}
