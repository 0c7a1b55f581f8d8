use keystead_core::Name;

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
         Program|/usr/bin/ssh (the workstation's word)\n",
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
         Program|/usr/bin/ssh (the workstation's word)\n",
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
         Program|/usr/bin/ssh (the workstation's word)\n",
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
         Program|/usr/bin/ssh (the workstation's word)\n",
    );
}

#[test]
fn signatures_in_a_namespace() {
    check(
        &sign("file", Content::NotProved),
        "signature in the namespace file with main",
        "Sign|a hash in the namespace file\nHash|sha256 00ff\n\
         !Content|content not proved: only its hash came\nWith key|main\n",
    );
    check(
        &sign("git", Content::Differs),
        "signature in the namespace git with main",
        "Sign|a hash in the namespace git\nHash|sha256 00ff\n\
         !Content|content not proved: what came has another hash\nWith key|main\n",
    );
    check(
        &sign(
            "git",
            Content::Git {
                form: GitForm::Commit,
                rows: vec![("Tree", "4b82".into())],
                message: "Mend it\n\nBecause \x1b[2J\n".into(),
            },
        ),
        "signature of a git commit \"Mend it\" with main",
        "Sign|a git commit\nTree|4b82\nWith key|main\nMessage|Mend it\n|\n|Because \\u{1b}[2J\n",
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
