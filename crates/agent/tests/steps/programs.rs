//! What programs may ask beside signatures, and in which order they are answered.

use keystead_agent::connection::WAITING_FRAMES_MAX;
use keystead_agent::evidence::Seen;
use keystead_agent::{Action, ConnectionId, Event};
use keystead_core::Outcome;
use keystead_formats::ssh::SessionBind;
use keystead_formats::ssh::agent::{Identity, Request, Response};
use keystead_keeper::Refresh;
use zeroize::Zeroizing;

use crate::fixture::*;

fn list(bench: &mut Bench) -> Vec<String> {
    let Response::Identities(keys) = bench.ask(&Request::RequestIdentities) else {
        panic!("no list");
    };
    let comment = |key: Identity| String::from_utf8(key.comment).unwrap();
    keys.into_iter().map(comment).collect()
}

#[test]
fn a_list_asks_nobody() {
    let mut bench = Bench::new();
    assert_eq!(list(&mut bench), ["main@test-phone"]);
    let fake = bench.keeper.lock().unwrap();
    assert!(fake.told.is_empty());
    // What has changed is seen in the next one.
    assert_eq!(fake.looks, [Refresh::ForProgram]);
}

#[test]
fn every_frame_is_answered_whatever_is_in_it() {
    let mut bench = Bench::new();
    let check = |bench: &mut Bench, message: &[u8]| {
        assert_eq!(
            one_answer(&bench.frame(message)),
            Response::Failure,
            "{message:?}"
        );
    };
    check(&mut bench, &[]);
    for number in 0..=255 {
        // A list, and the end of what was added: whole messages of one byte.
        if number != 11 && number != 19 {
            check(&mut bench, &[number]);
        }
    }
    let whole = captured("login-ed25519", ">").pop().unwrap();
    for len in 0..whole.len() {
        check(&mut bench, whole.get(..len).unwrap());
    }
    check(&mut bench, &[&whole[..], &[0]].concat());
    assert_eq!(list(&mut bench).len(), 1);
}

#[test]
fn a_key_that_nobody_keeps_and_a_strange_flag_are_refused() {
    let mut bench = Bench::new();
    let message = captured("login-p256", ">").pop().unwrap();
    let actions = bench.frame(&message);
    assert_eq!(one_answer(&actions), Response::Failure);
    assert!(lines(&actions).is_empty());
    let message = captured("login-ed25519", ">").pop().unwrap();
    let Ok(Request::Sign { key, message, .. }) = Request::parse(&message) else {
        panic!("no signature is wanted");
    };
    let strange = Request::Sign {
        key,
        message,
        flags: 8,
    };
    let actions = bench.frame(&strange.encode());
    assert_eq!(one_answer(&actions), Response::Failure);
    assert_eq!(
        lines(&actions),
        ["keystead: a signature with an option that is not known"]
    );
    assert!(bench.keeper.lock().unwrap().told.is_empty());
}

#[test]
fn extensions() {
    let mut bench = Bench::new();
    let ask = |bench: &mut Bench, name: &str, contents: &[u8]| {
        bench.ask(&Request::Extension { name, contents })
    };
    let query = Response::query(&["query", SessionBind::EXTENSION]);
    assert_eq!(ask(&mut bench, "query", &[]), query);
    assert_eq!(ask(&mut bench, "query", &[0]), Response::ExtensionFailure);
    assert_eq!(ask(&mut bench, "later@example.org", &[]), Response::Failure);
    assert_eq!(
        ask(&mut bench, SessionBind::EXTENSION, &[]),
        Response::ExtensionFailure
    );
}

#[test]
fn a_bind_counts_only_with_its_signature_and_none_follows_the_last() {
    let binds: Vec<Vec<u8>> = captured("login-two-hops", ">")
        .into_iter()
        .filter(|message| message.first() == Some(&27))
        .collect();
    let [first, hop, second] = binds.as_slice() else {
        panic!("three binds were captured");
    };
    let check = |messages: &[(&[u8], Response)]| {
        let mut bench = Bench::new();
        for (message, expected) in messages {
            assert_eq!(one_answer(&bench.frame(message)), *expected);
        }
    };
    let (yes, no) = (Response::Success, Response::ExtensionFailure);
    check(&[
        (hop, yes.clone()),
        (second, yes.clone()),
        (first, no.clone()),
    ]);
    // The same hop again is known already.
    check(&[
        (hop, yes.clone()),
        (hop, yes.clone()),
        (second, yes.clone()),
    ]);
    check(&[
        (first, yes.clone()),
        (second, no.clone()),
        (hop, no.clone()),
    ]);
    for at in 40..second.len() - 1 {
        let mut changed = second.clone();
        *changed.get_mut(at).unwrap() ^= 1;
        check(&[(&changed, no.clone())]);
    }
}

#[test]
fn requests_are_answered_in_the_order_they_came() {
    let mut bench = Bench::new();
    bench.ask_for_login("login-ed25519");
    let list = Request::RequestIdentities.encode();
    assert!(bench.frame(&list).is_empty());
    assert!(bench.frame(&[0]).is_empty());
    let actions = bench.progress(answer(Outcome::Refuse, None));
    let answers = answers(&actions);
    assert!(matches!(
        answers.as_slice(),
        [
            Response::Failure,
            Response::Identities(_),
            Response::Failure
        ]
    ));
}

#[test]
fn one_program_does_not_wait_for_another() {
    let mut bench = Bench::new();
    bench.ask_for_login("login-ed25519");
    let other = ConnectionId(2);
    bench.connect(other);
    let frame = Zeroizing::new(Request::RequestIdentities.encode());
    let actions = bench.step(Event::Frame {
        connection: other,
        frame,
    });
    assert!(matches!(one_answer(&actions), Response::Identities(_)));
}

#[test]
fn who_floods_is_closed_and_its_question_withdrawn() {
    let check = |frame: &[u8], most: usize| {
        let mut bench = Bench::new();
        bench.ask_for_login("login-ed25519");
        for _ in 0..most {
            assert!(bench.frame(frame).is_empty());
        }
        let actions = bench.frame(frame);
        assert!(matches!(
            actions.as_slice(),
            [Action::Close {
                connection: PROGRAM
            }]
        ));
        assert_eq!(bench.last_entry().decision, "withdrawn");
        assert!(bench.frame(frame).is_empty());
    };
    check(&[11], WAITING_FRAMES_MAX);
    check(&[0; 100 * 1024], 2);
}

#[test]
fn a_locked_agent_lists_and_signs_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(&Request::Unlock(b"open")), Response::Failure);
    assert_eq!(bench.ask(&Request::Lock(b"open")), Response::Success);
    assert_eq!(bench.ask(&Request::Lock(b"open")), Response::Failure);
    assert_eq!(list(&mut bench), [""; 0]);
    let message = captured("login-ed25519", ">").pop().unwrap();
    assert_eq!(one_answer(&bench.frame(&message)), Response::Failure);
    assert!(bench.looked(Seen::default()).is_empty());
    // A wrong one is answered later, and the right one waits behind it: guessing is slow.
    let unlock = |passphrase: &[u8]| Request::Unlock(passphrase).encode();
    assert!(bench.frame(&unlock(b"shut")).is_empty());
    assert!(bench.wait(99).is_empty());
    assert_eq!(one_answer(&bench.wait(1)), Response::Failure);
    assert_eq!(bench.ask(&Request::Unlock(b"open")), Response::Success);
    assert_eq!(list(&mut bench).len(), 1);
}
