use keystead_core::{Curve, Derivation, Identity, Name, WalletFingerprint};

use super::*;
use crate::question::{Act, Choices, Makes, Offer, OfferForm, Part, Term};
use crate::words::{
    Asked, Bound, Called, Content, Decrypt, DecryptWords, Destination, GitForm, Hop, KeyWords,
    Login, MakeKey, OpenPgp, Origin, Sign, Signify, SignifyContent,
};

const LOOK: Look = Look {
    columns: 80,
    rows: 24,
    colour: Colour::Avoid,
};

fn question(id: u64, asked: Asked) -> Question {
    let workstation = Name::new("laptop").unwrap();
    Question {
        id: QuestionId(id),
        workstation,
        first: part(id * 100, asked),
        others: vec![],
        act: None,
        choices: Choices::default(),
    }
}

fn part(id: u64, asked: Asked) -> Part {
    Part {
        id: PartId(id),
        asked,
        deadline_ms: 60_000,
    }
}

fn make(id: u64) -> Question {
    let name = Name::new(format!("key{id}")).unwrap();
    question(
        id,
        Asked::MakeKey(MakeKey {
            name,
            algorithm: "ed25519",
            purposes: Vec::new(),
        }),
    )
}

fn text(draws: &[Draw]) -> String {
    draws
        .iter()
        .filter_map(|it| match it {
            Draw::Text(text) => Some(text.replace(CLEAR_LINE, "<")),
            Draw::FlushInput => None,
        })
        .collect()
}

fn pressed(screen: &mut Screen, key: u8, at_ms: u64) -> Option<Answer> {
    screen.key(key, at_ms).0.map(|it| it.answer)
}

#[test]
fn a_login_as_it_is_read() {
    let asked = Asked::Login(Login {
        user: "alex".into(),
        destination: Destination::Proved(Hop {
            called: Called::Told(vec![
                "db1.internal.example".into(),
                "10.20.30.40".into(),
                "db".into(),
            ]),
            host_key: "SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I".into(),
        }),
        way: vec![],
        key: Name::new("main").unwrap().into(),
        certificate: None,
        bound: Bound::ToHost,
        origin: Origin {
            program: Some("/usr/bin/ssh".into()),
            arguments: vec!["ssh".into(), "alex@db1.internal.example".into()],
            parents: vec!["/usr/bin/bash".into(), "/usr/bin/tmux".into()],
            ..Origin::default()
        },
    });
    let mut screen = Screen::new(LOOK);
    let draws = screen.ask(question(1, asked), 500);
    assert_eq!(draws.last(), Some(&Draw::FlushInput));
    assert_eq!(
        text(&draws),
        "
laptop asks
  Log in as    alex
  Host         new here; the workstation's known_hosts says
               db1.internal.example, 10.20.30.40, db
  Host key     SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I
  With key     main
  Program      /usr/bin/ssh, started by bash < tmux (the workstation's word)
  Command      ssh alex@db1.internal.example (the workstation's word)
<Approve? y/n  60 s left "
    );
    assert!(text(&draws).lines().all(|line| line.chars().count() <= 80));
    assert_eq!(text(&screen.tick(30_100)), "<Approve? y/n  30 s left ");
}

/// A narrower terminal breaks lines anew, and what is at its left is no label of ours.
#[test]
fn another_size_shows_the_question_anew() {
    let mut screen = Screen::new(LOOK);
    assert_eq!(screen.resize(60, 15, 0), []);
    screen.ask(logins(&["db1"]), 0);
    assert_eq!(screen.resize(60, 15, 100), []);
    let shown = text(&screen.resize(50, 12, 100));
    assert!(shown.starts_with("<\nlaptop asks\n"), "{shown}");
    assert!(
        shown.ends_with("<Approve? y/n, h hours, b block  60 s left "),
        "{shown}"
    );
    assert!(
        shown.lines().all(|line| line.chars().count() <= 50),
        "{shown}"
    );
    assert_eq!(screen.resize(50, 12, 200), []);
    // In a menu, too, with what is chosen below.
    screen.key(b'b', 1_000);
    let shown = text(&screen.resize(60, 15, 1_100));
    assert!(shown.contains("laptop asks\n"), "{shown}");
    assert!(shown.contains("Refuse and block? y/n"), "{shown}");
    screen.key(b'y', 2_000);
    assert_eq!(screen.resize(80, 24, 2_100), []);
}

#[test]
fn one_at_a_time_with_the_number_that_wait() {
    let mut screen = Screen::new(LOOK);
    assert!(text(&screen.ask(make(1), 0)).contains("key1"));
    assert_eq!(
        text(&screen.ask(make(2), 0)),
        "<Approve? y/n  60 s left, 1 more waits "
    );
    assert_eq!(
        text(&screen.ask(make(3), 0)),
        "<Approve? y/n  60 s left, 2 more wait "
    );
    // One behind the first is withdrawn: the first stays on the screen.
    assert_eq!(
        text(&screen.settle(QuestionId(2), "withdrawn", 0)),
        "<Approve? y/n  60 s left, 1 more waits "
    );
    let draws = screen.settle(QuestionId(1), "approved", 0);
    assert!(
        text(&draws).starts_with("<  approved\n\nlaptop asks\n"),
        "{draws:?}"
    );
    assert!(text(&draws).contains("key3"));
    assert_eq!(
        text(&screen.settle(QuestionId(3), "expired", 0)),
        "<  expired\n"
    );
    assert_eq!(pressed(&mut screen, b'y', 9_000), None);
}

#[test]
fn a_key_pressed_too_soon_decides_nothing() {
    let mut screen = Screen::new(LOOK);
    assert_eq!(pressed(&mut screen, b'y', 0), None);
    screen.ask(make(1), 1_000);
    for at_ms in [0, 999, 1_000, 1_000 + GRACE_MS - 1] {
        assert_eq!(pressed(&mut screen, b'y', at_ms), None, "{at_ms}");
    }
    for key in [b'\r', b' ', 0x1b, b'x', 3] {
        assert_eq!(pressed(&mut screen, key, 5_000), None, "{key}");
    }
    assert_eq!(
        pressed(&mut screen, b'y', 1_000 + GRACE_MS),
        Some(Answer::Approve)
    );
    // Decided once.
    assert_eq!(pressed(&mut screen, b'n', 9_000), None);
    // The next question has a grace of its own.
    screen.ask(make(2), 5_000);
    screen.settle(QuestionId(1), "approved", 10_000);
    assert_eq!(pressed(&mut screen, b'n', 10_000), None);
    assert_eq!(
        pressed(&mut screen, b'n', 10_000 + GRACE_MS),
        Some(Answer::Refuse)
    );
}

#[test]
fn what_does_not_fit_is_announced_and_shown_on_demand() {
    let message: String = (0..60).map(|n| format!("line {n}\n")).collect();
    let asked = Asked::Sign(Sign {
        namespace: "git".into(),
        hash_name: "sha512".into(),
        hash: String::new(),
        content: Content::Git {
            form: GitForm::Commit,
            rows: vec![],
            message,
            below: vec![],
        },
        way: vec![],
        key: Name::new("main").unwrap().into(),
        origin: Origin::default(),
    });
    let mut screen = Screen::new(LOOK);
    let draws = text(&screen.ask(question(1, asked), 0));
    assert!(draws.lines().count() <= 24, "{draws}");
    assert!(draws.contains("\n  With key     main\n"));
    assert!(
        draws.contains("line 17\n  … 42 more lines: press m to see them\n"),
        "{draws}"
    );
    let (_, more) = screen.key(b'm', 1_000);
    assert!(text(&more).contains("line 18\n"));
    let end = "line 59\nlaptop: signature of a git commit \"line 0\" with main\n<Approve? y/n  59 s left ";
    assert!(text(&more).ends_with(end), "{more:?}");
    assert!(screen.key(b'm', 1_000).1.is_empty());
    assert_eq!(pressed(&mut screen, b'n', 2_000), Some(Answer::Refuse));
}

/// What a wallet signs and opens: long identities and digests wrap, and all of it is on one
/// screen.
#[test]
fn what_wallets_do_fits_one_screen() {
    let key = |uri: &str, curve, derivation| KeyWords::Derived {
        identity: Identity::new(uri, curve, 7, derivation).unwrap(),
        wallet: WalletFingerprint([1, 2, 3, 4]),
        differs: vec![],
    };
    let origin = || Origin {
        program: Some("/usr/bin/gpg".into()),
        arguments: vec!["gpg".into(), "--detach-sign".into(), "notes.txt".into()],
        files: vec!["notes.txt".into()],
        ..Origin::default()
    };
    let user_id = format!("Somebody <{}@example.org>", "x".repeat(120));
    let gpg = format!("gpg://{user_id}");
    let all = [
        Asked::OpenPgp(OpenPgp {
            user_id: Some("Another <a@b>".into()),
            hash_name: "sha512".into(),
            digest: "0f".repeat(64),
            content: Content::NotProved,
            trailer: None,
            key: key(&gpg, Curve::Nist256p1, Derivation::Sign),
            origin: origin(),
        }),
        Asked::Signify(Signify {
            content: SignifyContent::Prehashed("0f".repeat(64)),
            trusted_comment: "timestamp:1700000000\tfile:release.tar.gz\thashed".into(),
            key: key("signify://release", Curve::Ed25519, Derivation::Sign),
            origin: origin(),
        }),
        Asked::Decrypt(Decrypt {
            form: DecryptWords::Age,
            user_id: None,
            key: key("age://backup", Curve::Curve25519, Derivation::Agree),
            origin: origin(),
        }),
    ];
    for asked in all {
        let mut screen = Screen::new(LOOK);
        let draws = text(&screen.ask(question(1, asked), 0));
        assert!(draws.lines().count() <= 24, "{draws}");
        assert!(
            draws.lines().all(|line| line.chars().count() <= 80),
            "{draws}"
        );
        assert!(!draws.contains("press m"), "{draws}");
        assert!(draws.contains("index 7, of wallet 01020304"), "{draws}");
    }
}

#[test]
fn notices_stand_above_the_prompt() {
    let mut screen = Screen::new(LOOK);
    assert_eq!(text(&screen.say("relay is away", 0)), "<relay is away\n");
    screen.ask(make(1), 0);
    assert_eq!(
        text(&screen.say("relay is back", 0)),
        "<relay is back\n<Approve? y/n  60 s left "
    );
}

/// What stands on the screen after all that was written.
fn seen(written: &str) -> Vec<&str> {
    let lines: Vec<&str> = written.split('\n').collect();
    lines[lines.len().saturating_sub(LOOK.rows)..].to_vec()
}

#[test]
fn no_flood_of_lines_hides_a_question() {
    let mut screen = Screen::new(LOOK);
    let mut written = text(&screen.ask(logins(&["db1"]), 0));
    for at_ms in 0..100 {
        written.push_str(&text(&screen.say("refused: laptop: opaque", at_ms)));
        let seen = seen(&written);
        assert!(seen.contains(&"laptop asks"), "{seen:?}");
    }
    // Written again it is the same look at the same question.
    assert_eq!(pressed(&mut screen, b'h', 500), None);
    written.push_str(&text(&screen.say("refused: laptop: opaque", 500)));
    assert!(written.ends_with("alex@db1  60 s left "), "{written}");
    assert_eq!(decided(&mut screen, b'4', 600).unwrap().1, PartId(0));
}

#[test]
fn foreign_text_in_a_line_looks_like_no_row() {
    let mut screen = Screen::new(LOOK);
    screen.ask(logins(&["evil"]), 0);
    let user = format!(
        "x{}Host         db1 (this key is pinned to it)",
        " ".repeat(80)
    );
    let lines = [
        screen.say(&format!("refused: laptop: ssh login as {user}"), 0),
        screen.settle(QuestionId(1), &format!("approved; grant 1: {user}"), 0),
    ];
    for written in lines {
        let written = text(&written);
        let rows = written.lines().filter(|it| it.contains("Host  "));
        assert!(rows.clone().count() == 1, "{written}");
        assert!(rows.clone().all(|it| it.starts_with("      ")), "{written}");
    }
}

#[test]
fn another_first_request_is_shown_whole_and_looked_at_anew() {
    let mut screen = Screen::new(LOOK);
    screen.ask(logins(&["db1", "evil"]), 0);
    let mut rest = logins(&["db1", "evil"]);
    rest.first = rest.others.remove(0);
    let draws = screen.update(rest, 5_000);
    assert_eq!(draws.last(), Some(&Draw::FlushInput));
    let shown = text(&draws);
    assert!(shown.contains("laptop asks\n"), "{shown}");
    assert!(shown.contains("  Host         evil"), "{shown}");
    assert_eq!(decided(&mut screen, b'y', 5_399), None);
    let yes = Some((Answer::Approve, PartId(1)));
    assert_eq!(decided(&mut screen, b'y', 5_400), yes);
}

#[test]
fn commits_with_one_subject_are_not_the_same_in_words() {
    let commit = |body: &str| {
        Asked::Sign(Sign {
            namespace: "git".into(),
            hash_name: "sha512".into(),
            hash: body.into(),
            content: Content::Git {
                form: GitForm::Commit,
                rows: vec![("Tree", "4b82".into())],
                message: format!("Mend it\n\n{body}\n"),
                below: vec![],
            },
            way: vec![],
            key: Name::new("main").unwrap().into(),
            origin: Origin::default(),
        })
    };
    let with = |other: Asked| Question {
        others: vec![part(101, other)],
        ..question(1, commit("one"))
    };
    let shown = |other: Asked| text(&Screen::new(LOOK).ask(with(other), 0));
    let same = "1 more, the same in words";
    assert!(shown(commit("one")).contains(same));
    assert!(!shown(commit("two")).contains(same));
    let list = |other: Asked| {
        let mut screen = Screen::new(LOOK);
        screen.ask(with(other), 0);
        text(&screen.key(b'm', 1_000).1)
    };
    let line = |count: u8, hash: &str| {
        format!("   {count} × signature of a git commit \"Mend it\" with main (sha512 {hash})")
    };
    assert!(list(commit("one")).contains(&line(2, "one")));
    let two = list(commit("two"));
    assert!(two.contains(&line(1, "one")), "{two}");
    assert!(two.contains(&line(1, "two")), "{two}");
}

#[test]
fn colours_only_where_wanted() {
    let shown = |colour| text(&Screen::new(Look { colour, ..LOOK }).ask(make(1), 0));
    assert!(!shown(Colour::Avoid).contains('\x1b'));
    assert!(shown(Colour::Use).contains("\x1b[1mlaptop asks\x1b[0m"));
}

fn login_at(host: &str) -> Asked {
    Asked::Login(Login {
        user: "alex".into(),
        destination: Destination::Proved(Hop {
            called: Called::Pinned(host.into()),
            host_key: "SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I".into(),
        }),
        way: vec![],
        key: Name::new("main").unwrap().into(),
        certificate: None,
        bound: Bound::ToHost,
        origin: Origin::default(),
    })
}

fn logins(hosts: &[&str]) -> Question {
    let mut parts = (0..).zip(hosts).map(|(at, host)| part(at, login_at(host)));
    let first = parts.next().unwrap();
    Question {
        first: first.clone(),
        others: parts.collect(),
        choices: Choices {
            grant: Some(Offer {
                form: OfferForm::Host,
                what: "alex@db1".into(),
            }),
            block: Some("logins as alex at db1".into()),
        },
        ..question(1, first.asked)
    }
}

fn decided(screen: &mut Screen, key: u8, at_ms: u64) -> Option<(Answer, PartId)> {
    screen.key(key, at_ms).0.map(|it| (it.answer, it.last))
}

#[test]
fn several_are_one_question_with_their_number() {
    let mut screen = Screen::new(LOOK);
    let draws = text(&screen.ask(logins(&["db1", "db1"]), 0));
    assert!(draws.contains("laptop asks 2 times\n"), "{draws}");
    assert!(
        draws.contains("  And          1 more, the same in words\n"),
        "{draws}"
    );
    let prompt = "<Approve all 2? y/n, h hours, b block  60 s left ";
    assert!(draws.ends_with(prompt), "{draws}");
    // One like the others: its number is enough. Another host is named.
    assert_eq!(
        text(&screen.update(logins(&["db1", "db1", "db1"]), 100)),
        "<Approve all 3? y/n, h hours, b block  60 s left "
    );
    let more = text(&screen.update(logins(&["db1", "db1", "db1", "db2"]), 200));
    let also = "<  also: ssh login as alex at db2\n";
    assert!(more.starts_with(also), "{more}");
    assert!(
        more.ends_with("<Approve all 4? y/n, h hours, b block  60 s left "),
        "{more}"
    );
    let (_, list) = screen.key(b'm', 1_000);
    let list = text(&list);
    for line in [
        "   3 × ssh login as alex at db1",
        "   1 × ssh login as alex at db2",
    ] {
        assert!(list.contains(line), "{list}");
    }
}

#[test]
fn an_answer_covers_what_was_counted_when_the_key_was_pressed() {
    let check = |joined_ms: u64, pressed_ms: u64, expected: Option<u64>| {
        let mut screen = Screen::new(LOOK);
        screen.ask(logins(&["db1", "db1"]), 0);
        screen.update(logins(&["db1", "db1", "db1"]), joined_ms);
        let last = decided(&mut screen, b'y', pressed_ms).map(|(_, last)| last.0);
        assert_eq!(
            last, expected,
            "joined at {joined_ms}, pressed at {pressed_ms}"
        );
    };
    check(1_000, 399, None);
    check(1_000, 400, Some(1));
    check(1_000, 1_399, Some(1));
    check(1_000, 1_400, Some(2));
    // A key that was read late covers what stood there when it was pressed.
    check(1_000, 900, Some(1));
}

#[test]
fn one_that_ends_leaves_the_count_and_the_rest_decides() {
    let mut screen = Screen::new(LOOK);
    screen.ask(logins(&["db1", "db1", "db1"]), 0);
    let mut fewer = logins(&["db1", "db1", "db1"]);
    fewer.others.pop();
    assert_eq!(
        text(&screen.update(fewer, 500)),
        "<Approve all 2? y/n, h hours, b block  60 s left "
    );
    assert_eq!(
        decided(&mut screen, b'n', 600),
        Some((Answer::Refuse, PartId(1)))
    );
}

#[test]
fn a_grant_takes_two_keys_and_may_be_left() {
    let term = |hours: u64, count_max| {
        Answer::Grant(Term {
            lasts_s: hours * 3_600,
            count_max,
        })
    };
    let check = |keys: &[u8], expected: Option<Answer>| {
        let mut screen = Screen::new(LOOK);
        screen.ask(logins(&["db1"]), 0);
        let answers = keys.iter().map(|key| pressed(&mut screen, *key, 1_000));
        assert_eq!(answers.last().unwrap(), expected, "{keys:?}");
    };
    check(b"h", None);
    check(b"h1", Some(term(1, 100)));
    check(b"h4", Some(term(4, 100)));
    check(b"H8", Some(term(8, 100)));
    check(b"h\x1by", Some(Answer::Approve));
    check(b"hn", None);
    check(b"hnn", Some(Answer::Refuse));
    // At the choice only its own keys mean something.
    for keys in [
        b"hy", b"h2", b"h0", b"hb", b"hm", b"hk", b"14", b"k1", b"o1",
    ] {
        check(keys, None);
    }
    check(b"b", None);
    check(b"by", Some(Answer::Block));
    check(b"bnn", Some(Answer::Refuse));
    let mut screen = Screen::new(LOOK);
    screen.ask(logins(&["db1"]), 0);
    assert_eq!(
        text(&screen.key(b'h', 1_000).1),
        "<1, 4 or 8 hours? n back, 100 logins at most: alex@db1  59 s left "
    );
    assert_eq!(
        text(&screen.key(b'n', 1_000).1),
        "<Approve? y/n, h hours, b block  59 s left "
    );
    assert_eq!(
        text(&screen.key(b'b', 1_000).1),
        "<Refuse and block? y/n: logins as alex at db1  59 s left "
    );
}

/// Nobody grants what is cut off.
#[test]
fn what_a_menu_is_for_stands_above_it_where_it_has_no_room() {
    let narrow = Look {
        columns: 44,
        ..LOOK
    };
    let mut screen = Screen::new(narrow);
    screen.ask(logins(&["db1"]), 0);
    assert_eq!(
        text(&screen.key(b'h', 1_000).1),
        "<  100 logins at most: alex@db1\n\
         <1, 4 or 8 hours? n back, 100 lo…  59 s left "
    );
}

#[test]
fn what_is_not_offered_has_no_key() {
    let mut screen = Screen::new(LOOK);
    screen.ask(make(1), 0);
    for key in b"hkbo148" {
        assert_eq!(pressed(&mut screen, *key, 1_000), None);
    }
    // A choice that is no longer offered is left.
    let mut screen = Screen::new(LOOK);
    screen.ask(logins(&["db1"]), 0);
    screen.key(b'h', 1_000);
    let mut other = logins(&["db1", "db2"]);
    other.choices = Choices::default();
    screen.update(other, 1_100);
    assert_eq!(pressed(&mut screen, b'4', 2_000), None);
    assert_eq!(pressed(&mut screen, b'y', 2_000), Some(Answer::Approve));
}

#[test]
fn an_announced_act_is_asked_for_whole_or_in_part() {
    let commit = Asked::Sign(Sign {
        namespace: "git".into(),
        hash_name: "sha512".into(),
        hash: String::new(),
        content: Content::Git {
            form: GitForm::Commit,
            rows: vec![("Tree", "4b82".into())],
            message: "Mend it\n".into(),
            below: vec![],
        },
        way: vec![],
        key: Name::new("main").unwrap().into(),
        origin: Origin::default(),
    });
    let of_14 = |makes| Question {
        act: Some(Act {
            what: "git rebase".into(),
            makes,
        }),
        choices: Choices {
            grant: Some(Offer {
                form: OfferForm::Kind,
                what: "git commits".into(),
            }),
            block: None,
        },
        ..question(1, commit.clone())
    };
    let mut screen = Screen::new(LOOK);
    assert_eq!(
        text(&screen.ask(of_14(Makes::Announced(14)), 0)),
        "
laptop asks for 14 signatures
  Part of      git rebase, 14 in all (the workstation's word)
               this is the first; each is read, proved and logged
  Sign         a git commit
  Subject      Mend it
  Tree         4b82
  With key     main
<Approve all 14? y/n, o only this, k kind  60 s left "
    );
    assert_eq!(
        text(&screen.key(b'k', 1_000).1),
        "<1, 4 or 8 hours, t next 10, c next 100? n back: git commits  59 s left "
    );
    let ten = Answer::Grant(Term {
        lasts_s: 24 * 3_600,
        count_max: 10,
    });
    assert_eq!(pressed(&mut screen, b't', 1_000), Some(ten));
    let mut screen = Screen::new(LOOK);
    screen.ask(of_14(Makes::Announced(14)), 0);
    assert_eq!(
        pressed(&mut screen, b'o', 1_000),
        Some(Answer::ApproveWaiting)
    );
    let beyond = text(&Screen::new(LOOK).ask(of_14(Makes::Beyond), 0));
    assert!(beyond.contains("laptop asks\n"), "{beyond}");
    assert!(
        beyond.contains("all that it announced is signed: this is one more"),
        "{beyond}"
    );
    assert!(
        beyond.ends_with("<Approve? y/n, k kind  60 s left "),
        "{beyond}"
    );
}

/// What a program of ours has signed comes without a program: then the act says what it is for.
#[test]
fn an_act_is_named_where_nothing_else_says_what_asks() {
    let shown = |makes, program: Option<&str>| {
        let mut asked = login_at("db1");
        if let Asked::Login(login) = &mut asked {
            login.origin.program = program.map(str::to_owned);
        }
        let act = Some(Act {
            what: "gpg init".into(),
            makes,
        });
        text(&Screen::new(LOOK).ask(
            Question {
                act,
                ..question(1, asked)
            },
            0,
        ))
    };
    let all = "\n  Part of      gpg init, 3 in all (the workstation's word)\n";
    assert!(shown(Makes::Told(3), None).contains(all));
    assert!(shown(Makes::Told(3), Some("gpg")).contains(all));
    let alone = "\n  Part of      gpg init (the workstation's word)\n";
    assert!(shown(Makes::Unknown, None).contains(alone));
    assert!(!shown(Makes::Unknown, Some("gpg")).contains("Part of"));
    // A yes covers what waits, and nothing that follows.
    assert!(shown(Makes::Told(3), None).contains("Approve? y/n"));
}

#[test]
fn the_last_line_fits_whatever_it_says() {
    let mut long = logins(&["db1"]);
    long.choices.grant = Some(Offer {
        form: OfferForm::Host,
        what: "漢".repeat(200),
    });
    for columns in [20, 40, 60, 80, 120] {
        let mut screen = Screen::new(Look { columns, ..LOOK });
        screen.ask(long.clone(), 0);
        let (_, draws) = screen.key(b'h', 1_000);
        let text = text(&draws);
        let line = text.lines().last().unwrap().trim_start_matches('<');
        assert!(
            unicode_width::UnicodeWidthStr::width(line) <= columns.max(24),
            "{line}"
        );
        // Above it, whole, what it cut off.
        assert_eq!(text.matches('漢').count() - line.matches('漢').count(), 200);
    }
}
