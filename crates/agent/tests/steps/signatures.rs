//! Signatures: from the frame to the answer, the log and the person's line.

use keystead_agent::control::Command;
use keystead_agent::evidence::{Look, Seen};
use keystead_agent::{Action, Event};
use keystead_core::{Outcome, RequestBody, ResponseBody};
use keystead_formats::ssh::agent::{Request, Response};
use keystead_keeper::{self as keeper, KeeperError, Progress};

use crate::fixture::*;

const LOGIN: &str = "login-ed25519";

#[test]
fn an_approved_login_is_answered_after_its_entry_and_without_a_word() {
    let mut bench = Bench::new();
    bench.ask_for_login(LOGIN);
    assert!(bench.progress(sent()).is_empty());
    assert!(bench.log().is_empty());
    let actions = bench.progress(approve(LOGIN));
    assert!(matches!(one_answer(&actions), Response::Signature(_)));
    assert_eq!(lines(&actions), [""; 0]);
    let entry = bench.last_entry();
    assert_eq!(
        (entry.kind.as_str(), entry.decision.as_str()),
        ("sign", "approve")
    );
    assert_eq!(
        (entry.user.as_deref(), entry.keeper.as_deref()),
        (Some("root"), Some(KEEPER))
    );
    assert_eq!(
        (entry.key.as_deref(), entry.purpose.as_deref()),
        (Some("main"), Some("ssh-login"))
    );
    assert_eq!(entry.path.len(), 1);
    assert_eq!(entry.pid, Some(PID));
    assert_eq!(
        entry.request_hash.as_deref(),
        Some("03".repeat(32).as_str())
    );
    // Durable within a second.
    assert!(
        bench
            .agent
            .next_wake_ms()
            .is_some_and(|at| at <= bench.now.mono_ms + 1_000)
    );
    bench.wait(1_000);
    bench.disk.crash();
    assert_eq!(bench.last_entry().decision, "approve");
}

#[test]
fn the_keeper_gets_the_whole_blob_and_the_evidence() {
    let mut bench = Bench::new();
    let messages = captured(LOGIN, ">");
    let mut looks = Vec::new();
    for message in &messages {
        for action in bench.frame(message) {
            if let Action::Look { pid, look, .. } = action {
                looks.push((pid, look));
            }
        }
    }
    assert_eq!(looks, [(PID, Look::Hosts)]);
    let host = noted("host_ed25519");
    let known = format!(
        "other,[127.0.0.1]:22022 {host}\nelse {}\n",
        noted("host_rsa")
    );
    bench.looked(Seen {
        process_path: Some("/usr/bin/ssh".to_owned()),
        arguments: ["ssh", "-p", "22022", "root@127.0.0.1"]
            .map(str::to_owned)
            .to_vec(),
        known_hosts: vec![known],
        ..Seen::default()
    });
    let fake = bench.keeper.lock().unwrap();
    let Some(keeper::Event::Ask {
        pairing,
        body: RequestBody::Sign(sign),
        wait_s,
        ..
    }) = fake.told.last()
    else {
        panic!("nobody is asked");
    };
    assert_eq!((*pairing, *wait_s), (PAIRING, 60));
    let Ok(Request::Sign { message, .. }) = Request::parse(messages.last().unwrap()) else {
        panic!("no signature is wanted");
    };
    assert_eq!(sign.content, message);
    assert_eq!(sign.evidence.host_names, ["[127.0.0.1]:22022", "other"]);
    assert_eq!(sign.evidence.binds.len(), 1);
    assert_eq!(sign.evidence.process_path.as_deref(), Some("/usr/bin/ssh"));
    assert_eq!(sign.evidence.preimage, None);
}

#[test]
fn a_preimage_goes_along_only_if_its_hash_is_signed() {
    let check = |buffer: &[u8], expected: Option<&[u8]>| {
        let mut bench = Bench::new();
        for message in captured("sshsig-git", ">") {
            bench.frame(&message);
        }
        bench.looked(Seen {
            buffers: vec![buffer.to_vec()],
            ..Seen::default()
        });
        let fake = bench.keeper.lock().unwrap();
        let Some(keeper::Event::Ask {
            body: RequestBody::Sign(sign),
            ..
        }) = fake.told.last()
        else {
            panic!("nobody is asked");
        };
        assert_eq!(sign.evidence.preimage.as_deref(), expected);
    };
    check(b"what is signed\n", Some(b"what is signed\n"));
    check(b"something else\n", None);
    check(b"", None);
}

#[test]
fn a_person_who_is_asked_is_told_of_at_the_terminal() {
    let mut bench = Bench::new();
    bench.ask_for_login(LOGIN);
    let actions = bench.progress(asking());
    assert_eq!(
        lines(&actions),
        ["keystead: waiting for approval on test-phone (60 s)…"]
    );
    assert!(bench.progress(asking()).is_empty());
    let actions = bench.progress(approve(LOGIN));
    assert_eq!(lines(&actions), ["keystead: approved on test-phone"]);
}

#[test]
fn silence_is_told_of_once() {
    let mut bench = Bench::new();
    bench.ask_for_login(LOGIN);
    assert_eq!(lines(&bench.wait(1_999)), [""; 0]);
    let actions = bench.wait(1_001);
    assert_eq!(
        lines(&actions),
        ["keystead: no answer from test-phone yet (57 s left)…"]
    );
    assert_eq!(lines(&bench.wait(5_000)), [""; 0]);
    let actions = bench.progress(asking());
    assert_eq!(
        lines(&actions),
        ["keystead: waiting for approval on test-phone (52 s)…"]
    );
}

#[track_caller]
fn check_end(end: Progress, decision: &str, line: &str) {
    let mut bench = Bench::new();
    bench.ask_for_login(LOGIN);
    let actions = bench.progress(end);
    assert_eq!(one_answer(&actions), Response::Failure, "{line}");
    assert_eq!(lines(&actions), [format!("keystead: {line}")]);
    assert_eq!(bench.last_entry().decision, decision, "{line}");
}

#[test]
fn every_outcome_but_one_is_failure_with_its_reason() {
    let check = |outcome, line| {
        check_end(answer(outcome, None), outcome.as_str(), line);
    };
    check(Outcome::Refuse, "refused by test-phone");
    check(Outcome::Expire, "no answer from test-phone within 60 s");
    check(Outcome::Unpair, "test-phone: the pairing has ended");
    check(Outcome::UnknownKey, "test-phone: it has this key no more");
    check(Outcome::Unsupported, "test-phone: it cannot do that");
    let malformed = "test-phone: it did not understand the request";
    check(Outcome::Malformed, malformed);
    let block = "refused by test-phone: the host's key is not the one it was";
    check(Outcome::Block, block);
    let busy = "test-phone: it is locked, busy, or cannot write its log";
    check(Outcome::Busy, busy);
}

#[test]
fn no_answer_is_failure_with_its_reason() {
    let check = |error, line| check_end(fail(error), "no-answer", line);
    let keeper = keeper_name;
    let silent = KeeperError::NoAnswer {
        keeper: keeper(),
        wait_s: 60,
    };
    check(silent, "no answer from test-phone within 60 s");
    let away = KeeperError::Unreachable {
        keeper: keeper(),
        reason: "relay is away".to_owned(),
    };
    check(away, "test-phone cannot be reached: relay is away");
    check(
        KeeperError::Unpaired { keeper: keeper() },
        "test-phone: the pairing has ended",
    );
}

#[test]
fn of_keepers_with_one_key_the_connected_is_asked_and_the_next_if_it_is_away() {
    let mut bench = Bench::new();
    {
        let mut fake = bench.keeper.lock().unwrap();
        let first = fake.views[0].clone();
        let view = |number: u8, paired_unix_s, is_connected| keeper::PairingView {
            pairing: keystead_core::PairingId([number; 8]),
            name: keystead_core::Name::new(format!("phone {number}")).unwrap(),
            paired_unix_s,
            is_connected,
            ..first.clone()
        };
        fake.views = vec![view(1, 10, false), view(2, 30, true), view(3, 20, true)];
    }
    let asked = |bench: &Bench| {
        let fake = bench.keeper.lock().unwrap();
        let asks = fake.told.iter().filter_map(|event| match event {
            keeper::Event::Ask { pairing, .. } => Some(pairing.0[0]),
            _ => None,
        });
        asks.collect::<Vec<u8>>()
    };
    let away = || {
        fail(KeeperError::Unreachable {
            keeper: keeper_name(),
            reason: "relay is away".to_owned(),
        })
    };
    bench.ask_for_login(LOGIN);
    assert_eq!(asked(&bench), [3], "connected, and paired first");
    let actions = bench.progress(away());
    let line = "keystead: phone 3 cannot be reached: relay is away";
    assert_eq!(lines(&actions), [line]);
    let entry = bench.last_entry();
    assert_eq!(
        (entry.keeper.as_deref(), entry.decision.as_str()),
        (Some("phone 3"), "no-answer")
    );
    bench.progress(away());
    assert_eq!(asked(&bench), [3, 2, 1]);
    let actions = bench.progress(approve(LOGIN));
    assert!(matches!(one_answer(&actions), Response::Signature(_)));
    let entry = bench.last_entry();
    assert_eq!(
        (entry.keeper.as_deref(), entry.decision.as_str()),
        (Some("phone 1"), "approve")
    );
    assert_eq!((entry.reason, bench.log().len()), (None, 3));
    // When all are away, that is the end; and a no is a no.
    for (ends, outcome) in [(3, away()), (1, answer(Outcome::Refuse, None))] {
        let before = asked(&bench).len();
        bench.ask_for_login(LOGIN);
        let mut end = Some(outcome);
        let mut actions = Vec::new();
        for _ in 0..ends {
            actions = bench.progress(end.take().unwrap_or_else(away));
        }
        assert_eq!(one_answer(&actions), Response::Failure);
        assert_eq!(asked(&bench).len(), before + ends);
    }
}

#[test]
fn an_approval_is_one_only_with_a_signature_that_holds() {
    let check = |end, line| check_end(end, "no-answer", line);
    let none = answer(Outcome::Approve, None);
    check(none, "test-phone: it approved without a signature");
    let broken = ResponseBody::Signature(vec![0; 83]);
    let broken = answer(Outcome::Approve, Some(broken));
    check(broken, "test-phone: its signature is false");
    let others = approve("login-unbound");
    check(others, "test-phone: its signature is false");
}

#[test]
fn what_nobody_can_read_is_refused_with_that_reason() {
    let mut bench = Bench::new();
    bench.command(&Command::SetPolicy {
        key: None,
        rule: "opaque".to_owned(),
        value: "ask".to_owned(),
    });
    bench.ask_for_login("test");
    let actions = bench.progress(answer(Outcome::Refuse, None));
    let line = "keystead: refused by test-phone: nobody can read what was to be signed";
    assert_eq!(lines(&actions), [line]);
    assert_eq!(bench.last_entry().purpose.as_deref(), Some("opaque"));
}

#[test]
fn a_full_disk_signs_nothing_and_says_so() {
    let mut bench = Bench::new();
    bench.ask_for_login(LOGIN);
    bench.disk.faults.full_above_bytes = Some(10);
    let actions = bench.progress(approve(LOGIN));
    assert_eq!(one_answer(&actions), Response::Failure);
    let said = lines(&actions).join("");
    assert!(said.contains("the log cannot be written"), "{said}");
    assert!(bench.log().is_empty());
}

#[test]
fn who_hangs_up_takes_the_question_back() {
    let mut bench = Bench::new();
    bench.ask_for_login(LOGIN);
    let (asked, _) = bench.last_ask();
    bench.step(Event::HangUp {
        connection: PROGRAM,
    });
    assert_eq!(bench.last_entry().decision, "withdrawn");
    let withdrawn = bench.keeper.lock().unwrap().told.pop();
    let Some(keeper::Event::Withdraw { ask }) = withdrawn else {
        panic!("the keeper is still asked");
    };
    assert_eq!(ask, asked);
    // A late answer is nobody's.
    assert!(answers(&bench.progress(approve(LOGIN))).is_empty());
    assert_eq!(bench.log().len(), 1);
}

#[test]
fn an_entry_is_written_even_when_the_program_hangs_up_while_it_is_looked_at() {
    let mut bench = Bench::new();
    for message in captured(LOGIN, ">") {
        bench.frame(&message);
    }
    bench.step(Event::HangUp {
        connection: PROGRAM,
    });
    assert!(bench.looked(Seen::default()).is_empty());
    assert!(bench.keeper.lock().unwrap().told.is_empty());
}

#[test]
fn a_program_that_logs_in_again_is_looked_at_again_only_after_a_while() {
    let mut bench = Bench::new();
    bench.ask_for_login("login-ed25519");
    bench.progress(approve("login-ed25519"));
    let sign = captured("login-ed25519", ">").pop().unwrap();
    let is_look = |actions: &[Action]| actions.iter().any(|it| matches!(it, Action::Look { .. }));
    bench.now.mono_ms += 9_999;
    assert!(!is_look(&bench.frame(&sign)));
    bench.progress(approve("login-ed25519"));
    bench.now.mono_ms += 1;
    assert!(is_look(&bench.frame(&sign)));
    bench.looked(Seen::default());
    bench.progress(approve("login-ed25519"));
    // Behind another hop it is another place.
    let mut messages = captured("login-two-hops", ">");
    messages.retain(|it| it.first() == Some(&27));
    let mut bench = Bench::new();
    for hop in messages.iter().skip(1) {
        bench.frame(hop);
        assert!(is_look(&bench.frame(&sign)));
        bench.looked(Seen::default());
        bench.progress(approve("login-ed25519"));
        assert!(!is_look(&bench.frame(&sign)));
        bench.progress(approve("login-ed25519"));
    }
}
