//! The agent that was there before, played by the test.

use keystead_agent::evidence::Seen;
use keystead_agent::settings::{OnRefusal, Settings, UpstreamOrder};
use keystead_agent::upstream::Door;
use keystead_agent::{Action, Event, Here};
use keystead_core::Outcome;
use keystead_daemon::MemoryDisk;
use keystead_formats::ssh::agent::{Identity, Request, Response};
use zeroize::Zeroizing;

use crate::fixture::*;

fn bench(settings: Settings) -> Bench {
    let here = Here {
        upstream: Some("/run/before".into()),
        ..Here::default()
    };
    Bench::set(MemoryDisk::new(), settings, here)
}

/// What goes there, in order: `open`, `close`, or the number of a message.
fn doors(actions: &[Action]) -> Vec<String> {
    let doors = actions.iter().filter_map(|action| match action {
        Action::Upstream { connection, door } => {
            assert_eq!(*connection, PROGRAM);
            Some(match door {
                Door::Open => "open".to_owned(),
                Door::Close => "close".to_owned(),
                Door::Send(message) => message.0.first().unwrap().to_string(),
            })
        }
        _ => None,
    });
    doors.collect()
}

fn came(bench: &mut Bench, message: Option<&Response>) -> Vec<Action> {
    bench.step(Event::Upstream {
        connection: PROGRAM,
        message: message.map(|it| Zeroizing::new(it.encode())),
    })
}

fn theirs() -> Response {
    Response::Identities(vec![Identity {
        key: b"theirs".to_vec(),
        comment: b"old".to_vec(),
    }])
}

fn comments(actions: &[Action]) -> Vec<String> {
    let Response::Identities(keys) = one_answer(actions) else {
        panic!("no list");
    };
    let comment = |key: Identity| String::from_utf8(key.comment).unwrap();
    keys.into_iter().map(comment).collect()
}

#[test]
fn its_keys_are_listed_in_the_order_that_is_set() {
    let check = |upstream_order, keys_max, expected: &[&str]| {
        let settings = Settings {
            upstream_order,
            keys_max,
            ..Settings::default()
        };
        let mut bench = bench(settings);
        let actions = bench.frame(&Request::RequestIdentities.encode());
        assert_eq!(doors(&actions), ["open", "11"]);
        let actions = came(&mut bench, Some(&theirs()));
        assert_eq!(comments(&actions), expected);
        let expected_lines: &[&str] = match keys_max {
            Some(_) => &["keystead: 1 of 2 keys are listed (keys_max)"],
            None => &[],
        };
        assert_eq!(lines(&actions), expected_lines);
    };
    check(UpstreamOrder::After, None, &["main@test-phone", "old"]);
    check(UpstreamOrder::Before, None, &["old", "main@test-phone"]);
    check(UpstreamOrder::After, Some(1), &["main@test-phone"]);
}

#[test]
fn a_list_does_not_wait_for_one_that_hangs_or_is_gone() {
    let list = Request::RequestIdentities.encode();
    let mut slow = bench(Settings::default());
    slow.frame(&list);
    assert!(answers(&slow.wait(1_999)).is_empty());
    let actions = slow.wait(1);
    assert_eq!(comments(&actions), ["main@test-phone"]);
    assert_eq!(doors(&actions), ["close"]);
    assert!(came(&mut slow, Some(&theirs())).is_empty(), "too late");
    let mut gone = bench(Settings::default());
    gone.frame(&list);
    assert_eq!(comments(&came(&mut gone, None)), ["main@test-phone"]);
    let actions = gone.frame(&list);
    assert!(doors(&actions).is_empty(), "it is not tried again");
    assert_eq!(comments(&actions), ["main@test-phone"]);
}

#[test]
fn what_is_done_here_does_not_wait_for_one_that_hangs() {
    let check = |request: &Request<'_>| {
        let mut hangs = bench(Settings::default());
        assert!(answers(&hangs.frame(&request.encode())).is_empty());
        assert!(answers(&hangs.wait(1_999)).is_empty());
        let actions = hangs.wait(1);
        assert_eq!(one_answer(&actions), Response::Success);
        assert_eq!(doors(&actions), ["close"]);
    };
    check(&Request::Lock(b"words"));
    check(&Request::RemoveAllIdentities);
}

#[test]
fn what_a_program_proved_is_proved_there_before_it_asks() {
    let mut bench = bench(Settings::default());
    let mut messages = captured("login-p256", ">");
    let sign = messages.pop().unwrap();
    for message in messages.iter().filter(|it| it.first() == Some(&27)) {
        assert!(doors(&bench.frame(message)).is_empty());
    }
    let mut false_bind = messages.first().unwrap().clone();
    *false_bind.last_mut().unwrap() ^= 1;
    bench.frame(&false_bind);
    let actions = bench.frame(&sign);
    assert_eq!(doors(&actions), ["open", "27", "27", "13"]);
    came(&mut bench, Some(&Response::Success));
    came(&mut bench, Some(&Response::Failure));
    let signature = Response::Signature(vec![7]);
    assert_eq!(one_answer(&came(&mut bench, Some(&signature))), signature);
    let entry = bench.last_entry();
    assert_eq!(entry.keeper.as_deref(), Some("upstream"));
    assert_eq!(entry.decision, "approve");
    // What is proved later is proved there at once.
    let actions = bench.frame(messages.first().unwrap());
    assert_eq!(doors(&actions), ["27"]);
}

#[test]
fn its_signature_needs_its_entry() {
    let mut bench = bench(Settings::default());
    let sign = captured("login-p256", ">").pop().unwrap();
    bench.frame(&sign);
    bench.disk.faults.full_above_bytes = Some(1);
    let actions = came(&mut bench, Some(&Response::Signature(vec![7])));
    assert_eq!(one_answer(&actions), Response::Failure);
}

#[test]
fn all_else_is_passed_on_as_it_is() {
    let mut bench = bench(Settings::default());
    let mut check = |step: &str, expected: &[&str], answer: Response| {
        let message = captured(step, ">").into_iter().next().unwrap();
        let actions = bench.frame(&message);
        assert_eq!(doors(&actions), expected, "{step}");
        assert_eq!(
            one_answer(&came(&mut bench, Some(&answer))),
            answer,
            "{step}"
        );
    };
    check("add-ed25519", &["open", "17"], Response::Success);
    check("add-destination", &["25"], Response::Failure);
    check("smartcard", &["20"], Response::Failure);
    check("smartcard-remove", &["21"], Response::Success);
    check("remove-all", &["19"], Response::Success);
    check("lock", &["22"], Response::Success);
    check("unlock", &["23"], Response::Success);
    let other = Request::Extension {
        name: "other@example.org",
        contents: b"x",
    };
    assert_eq!(doors(&bench.frame(&other.encode())), ["27"]);
    let answer = Response::ExtensionResponse {
        name: "other@example.org".to_owned(),
        contents: vec![1],
    };
    assert_eq!(one_answer(&came(&mut bench, Some(&answer))), answer);
}

#[test]
fn what_nobody_here_understands_stays_here_after_a_no_and_while_locked() {
    let other = Request::Extension {
        name: "sign@example.org",
        contents: b"x",
    };
    let mut locked = bench(Settings::default());
    locked.frame(&Request::Lock(b"x").encode());
    came(&mut locked, Some(&Response::Success));
    let actions = locked.frame(&other.encode());
    assert!(doors(&actions).is_empty());
    assert_eq!(one_answer(&actions), Response::ExtensionFailure);
    let mut refused = bench(Settings {
        on_refusal: OnRefusal::Abort,
        ..Settings::default()
    });
    let sign = captured("login-ed25519", ">").pop().unwrap();
    refused.frame(&sign);
    refused.looked(Seen::default());
    refused.progress(answer(Outcome::Refuse, None));
    let actions = refused.frame(&other.encode());
    assert!(doors(&actions).is_empty());
    assert_eq!(one_answer(&actions), Response::ExtensionFailure);
}

#[test]
fn its_extensions_are_told_beside_ours() {
    let mut bench = bench(Settings::default());
    let query = Request::Extension {
        name: "query",
        contents: &[],
    };
    bench.frame(&query.encode());
    let theirs = Response::query(&["query", "other@example.org"]);
    let answer = one_answer(&came(&mut bench, Some(&theirs)));
    let all = ["query", "session-bind@openssh.com", "other@example.org"];
    assert_eq!(answer.extensions().unwrap(), all);
}

#[test]
fn an_answer_that_nobody_asked_for_ends_it() {
    let mut bench = bench(Settings::default());
    bench.frame(&Request::RequestIdentities.encode());
    came(&mut bench, Some(&theirs()));
    assert_eq!(doors(&came(&mut bench, Some(&theirs()))), ["close"]);
    let actions = bench.step(Event::HangUp {
        connection: PROGRAM,
    });
    assert!(doors(&actions).is_empty(), "it is closed already");
}

#[test]
fn a_program_that_hangs_up_takes_it_along() {
    let mut bench = bench(Settings::default());
    bench.frame(&Request::RequestIdentities.encode());
    let actions = bench.step(Event::HangUp {
        connection: PROGRAM,
    });
    assert_eq!(doors(&actions), ["close"]);
    assert!(came(&mut bench, Some(&theirs())).is_empty());
}
