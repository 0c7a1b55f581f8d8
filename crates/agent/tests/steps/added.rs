//! What `ssh-add` brings, and where it goes. The local authenticator is played by the test: it
//! reads the agent's real requests, and its answers are real ones.

use keystead_agent::local_link::LocalDoor;
use keystead_agent::settings::{AddTo, OnRefusal, Settings};
use keystead_agent::upstream::Door;
use keystead_agent::{Action, Event, Here};
use keystead_channel::wire::{decode_request, encode_response, request_hash};
use keystead_core::{
    ImportRequest, KeyForm, Outcome, Request as Asked, RequestBody, Response as Answered,
    ResponseBody,
};
use keystead_daemon::MemoryDisk;
use keystead_formats::ssh::agent::{AddIdentity, Constraint, Request, Response};
use keystead_keeper as keeper;

use crate::fixture::*;

fn local() -> Settings {
    Settings {
        add_to: AddTo::Local,
        ..Settings::default()
    }
}

/// An agent that takes keys itself, and the authenticator that the test plays.
struct Play {
    bench: Bench,
    /// What was asked last, and its bytes.
    asked: Option<(Asked, Vec<u8>)>,
}

impl Play {
    fn new() -> Self {
        Self::set(local(), Here::default())
    }

    fn set(settings: Settings, here: Here) -> Self {
        let bench = Bench::set(MemoryDisk::new(), settings, here);
        // Nothing but what is brought.
        bench.keeper.lock().unwrap().keys.clear();
        Self { bench, asked: None }
    }

    /// Takes up what the agent sends to the authenticator.
    fn take(&mut self, actions: Vec<Action>) -> Vec<Action> {
        for action in &actions {
            if let Action::Local(LocalDoor::Send(message)) = action {
                let (len, bytes) = message.0.split_first_chunk::<4>().unwrap();
                assert_eq!(u32::try_from(bytes.len()), Ok(u32::from_be_bytes(*len)));
                let asked = decode_request(bytes).unwrap();
                self.asked = Some((asked, bytes.to_vec()));
            }
        }
        actions
    }

    fn ask(&mut self, request: &Request<'_>) -> Vec<Action> {
        let actions = self.bench.frame(&request.encode());
        self.take(actions)
    }

    fn said(&mut self) -> RequestBody {
        self.asked.take().unwrap().0.body
    }

    /// The authenticator answers what it was asked last.
    fn answers(&mut self, outcome: Outcome, body: Option<ResponseBody>) -> Vec<Action> {
        let (asked, bytes) = self.asked.take().unwrap();
        let answer = encode_response(&Answered {
            id: asked.id,
            unix_s: 0,
            request_hash: request_hash(&bytes),
            outcome,
            body,
            receipt: None,
        });
        let mut framed = u32::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        let actions = self.bench.step(Event::Local {
            bytes: Some(framed),
        });
        self.take(actions)
    }

    /// A key is brought, and taken.
    fn add(&mut self, constraints: Option<Vec<Constraint<'_>>>) {
        let actions = self.ask(&adding(constraints));
        assert!(answers(&actions).is_empty(), "{actions:?}");
        let key = key_entry("main", noted("ed25519"));
        let actions = self.answers(Outcome::Approve, Some(ResponseBody::Keys(vec![key])));
        assert_eq!(one_answer(&actions), Response::Success);
    }

    fn list(&mut self) -> Vec<Vec<u8>> {
        let Response::Identities(keys) = one_answer(&self.ask(&Request::RequestIdentities)) else {
            panic!("no list");
        };
        keys.into_iter().map(|key| key.comment).collect()
    }
}

fn adding(constraints: Option<Vec<Constraint<'_>>>) -> Request<'_> {
    Request::AddIdentity(AddIdentity {
        key_type: "ssh-ed25519",
        private: PRIVATE,
        comment: COMMENT,
        constraints,
    })
}

const PRIVATE: &[u8] = b"\0\0\0\x01p\0\0\0\x02sk";
/// Latin-1, as old keys have it.
const COMMENT: &[u8] = b"caf\xe9\n";

fn removing(key: &[u8]) -> Request<'_> {
    Request::RemoveIdentity { key }
}

fn blob() -> Vec<u8> {
    key_entry("main", noted("ed25519")).public_key
}

#[test]
fn the_authenticator_is_started_for_the_first_key_and_gets_it_unread() {
    let mut play = Play::new();
    let actions = play.ask(&adding(None));
    let is_started = matches!(&actions[..], [Action::Local(LocalDoor::Start), ..]);
    assert!(is_started, "{actions:?}");
    let RequestBody::Import(import) = play.said() else {
        panic!("nothing is brought");
    };
    assert_eq!(import.form, KeyForm::Agent);
    assert_eq!(
        import.key.expose(),
        [b"\0\0\0\x0bssh-ed25519", PRIVATE].concat()
    );
    assert_eq!(import.name.unwrap().as_str(), "caf\u{fffd}");
    let mut play = Play::new();
    play.add(None);
    assert_eq!(play.list(), [COMMENT]);
    let again = play.ask(&adding(None));
    assert!(
        !again
            .iter()
            .any(|it| matches!(it, Action::Local(LocalDoor::Start)))
    );
    let entry = play.bench.last_entry();
    assert_eq!((&*entry.kind, &*entry.decision), ("import", "approve"));
    assert_eq!(
        (entry.key.as_deref(), entry.pid),
        (Some("caf\u{fffd}"), Some(PID))
    );
    assert!(entry.fingerprint.unwrap().starts_with("SHA256:"));
}

#[test]
fn a_constraint_travels_or_refuses_the_key() {
    let constraints = |constraints: Vec<Constraint<'_>>| {
        let mut play = Play::new();
        let actions = play.ask(&adding(Some(constraints)));
        if play.asked.is_none() {
            assert_eq!(one_answer(&actions), Response::Failure);
            let line = "keystead: a constraint that cannot be kept, so the key is not taken";
            assert_eq!(lines(&actions), [line]);
            return None;
        }
        let RequestBody::Import(ImportRequest { constraints, .. }) = play.said() else {
            panic!("nothing is brought");
        };
        Some(constraints)
    };
    let both = constraints(vec![Constraint::LifetimeS(9), Constraint::Confirm]).unwrap();
    assert_eq!((both.lifetime_s, both.confirm), (Some(9), true));
    assert!(constraints(vec![Constraint::Confirm, Constraint::Confirm]).is_none());
    let destinations = |contents| Constraint::Extension {
        name: "restrict-destination-v00@openssh.com",
        contents,
    };
    let empty = [0; 4];
    assert!(constraints(vec![destinations(&empty)]).is_none(), "no hop");
    let certificates = Constraint::Extension {
        name: "associated-certs-v00@openssh.com",
        contents: &[0, 0, 0, 0, 0],
    };
    assert!(constraints(vec![certificates]).is_none(), "of tokens alone");
}

#[test]
fn a_lifetime_ends_and_has_a_default() {
    let check = |here: Here, constraints: Option<Vec<Constraint<'_>>>, lifetime_ms: u64| {
        let mut play = Play::set(local(), here);
        play.add(constraints);
        play.bench.now.mono_ms += lifetime_ms - 1;
        assert_eq!(play.list().len(), 1);
        play.bench.now.mono_ms += 1;
        assert_eq!(play.list().len(), 0);
        let message = captured("login-ed25519", ">").pop().unwrap();
        assert_eq!(one_answer(&play.bench.frame(&message)), Response::Failure);
    };
    let default = || Here {
        lifetime_s: Some(5),
        ..Here::default()
    };
    let own = || Some(vec![Constraint::LifetimeS(2)]);
    check(Here::default(), own(), 2_000);
    check(default(), None, 5_000);
    check(default(), own(), 2_000);
}

#[test]
fn its_signature_is_in_the_log_before_it_leaves() {
    let mut play = Play::new();
    play.add(None);
    let mut messages = captured("login-ed25519", ">");
    let message = messages.pop().unwrap();
    for bind in messages {
        play.bench.frame(&bind);
    }
    play.bench.frame(&message);
    let actions = play.bench.looked(keystead_agent::evidence::Seen {
        process_path: Some("/usr/bin/ssh".to_owned()),
        ..Default::default()
    });
    play.take(actions);
    let (asked, _) = play.asked.as_ref().unwrap();
    let RequestBody::Sign(sign) = &asked.body else {
        panic!("no signature is wanted");
    };
    // A key without destinations needs no proof of where it is used.
    assert!(sign.evidence.binds.is_empty() && sign.evidence.process_path.is_none());
    play.bench.disk.faults.full_above_bytes = Some(1);
    let signature = || Some(ResponseBody::Signature(vec![1, 2, 3]));
    let actions = play.answers(Outcome::Approve, signature());
    assert_eq!(one_answer(&actions), Response::Failure);
    play.bench.disk.faults.full_above_bytes = None;
    // Who asks was looked at once.
    let actions = play.bench.frame(&message);
    assert!(!actions.iter().any(|it| matches!(it, Action::Look { .. })));
    play.take(actions);
    let actions = play.answers(Outcome::Approve, signature());
    assert_eq!(one_answer(&actions), Response::Signature(vec![1, 2, 3]));
    let entry = play.bench.last_entry();
    assert_eq!(entry.keeper.as_deref(), Some("local"));
    assert_eq!(entry.process.as_deref(), Some("/usr/bin/ssh"));
    assert_eq!(entry.path.len(), 1);
    assert_eq!(entry.decision, "approve");
}

#[test]
fn with_its_end_its_keys_are_gone_and_who_waits_learns_it() {
    let mut play = Play::new();
    play.add(None);
    play.ask(&removing(&blob()));
    let actions = play.bench.step(Event::Local { bytes: None });
    assert_eq!(one_answer(&actions), Response::Failure);
    assert!(play.list().is_empty());
    let actions = play.ask(&adding(None));
    let is_started = matches!(&actions[..], [Action::Local(LocalDoor::Start), ..]);
    assert!(is_started, "a new one");
}

#[test]
fn one_that_cannot_be_started_is_told_of() {
    let mut play = Play::new();
    play.ask(&adding(None));
    let why = "keystead-authenticator cannot be started: not found".to_owned();
    let actions = play.bench.step(Event::LocalAway { why });
    assert_eq!(one_answer(&actions), Response::Failure);
    let line = "keystead: keystead-authenticator cannot be started: not found";
    assert_eq!(lines(&actions).first(), Some(&line));
}

#[test]
fn an_authenticator_that_errs_is_ended() {
    let mut play = Play::new();
    play.ask(&adding(None));
    let bytes = Some(vec![0xff; 8]);
    let actions = play.bench.step(Event::Local { bytes });
    assert_eq!(one_answer(&actions), Response::Failure);
    assert!(
        actions
            .iter()
            .any(|it| matches!(it, Action::Local(LocalDoor::Stop)))
    );
}

#[test]
fn what_was_brought_is_removed_and_what_lives_elsewhere_is_hidden() {
    let mut play = Play::new();
    play.add(None);
    play.ask(&removing(&blob()));
    // Asked behind it, it is answered behind it.
    assert!(play.ask(&Request::RequestIdentities).is_empty());
    let actions = play.answers(Outcome::Approve, Some(ResponseBody::Empty));
    let both = answers(&actions);
    assert_eq!(both, [Response::Success, Response::Identities(Vec::new())]);
    let mut bench = Bench::new();
    let actions = bench.frame(&removing(&blob()).encode());
    assert_eq!(one_answer(&actions), Response::Success);
    let line = "keystead: main@test-phone lives elsewhere and is only hidden, until the agent is \
        started again";
    assert_eq!(lines(&actions), [line]);
    let list = bench.ask(&Request::RequestIdentities);
    assert_eq!(list, Response::Identities(Vec::new()));
    let message = captured("login-ed25519", ">").pop().unwrap();
    assert_eq!(one_answer(&bench.frame(&message)), Response::Failure);
    assert!(
        bench.keeper.lock().unwrap().told.is_empty(),
        "nothing is destroyed"
    );
}

#[test]
fn all_of_it_goes_by_one_word_and_by_a_signal() {
    let mut play = Play::new();
    play.add(None);
    play.ask(&Request::RemoveAllIdentities);
    let RequestBody::Remove { keys } = &play.asked.as_ref().unwrap().0.body else {
        panic!("nothing is removed");
    };
    assert!(keys.is_empty(), "none named is all");
    let actions = play.answers(Outcome::Approve, Some(ResponseBody::Empty));
    assert_eq!(one_answer(&actions), Response::Success);
    assert!(play.list().is_empty());
    play.add(None);
    let actions = play.bench.step(Event::Forget);
    play.take(actions);
    assert!(matches!(play.said(), RequestBody::Remove { keys } if keys.is_empty()));
    assert!(play.list().is_empty());
}

#[test]
fn what_is_hidden_with_all_the_rest_is_counted_once() {
    let mut bench = Bench::new();
    let actions = bench.frame(&Request::RemoveAllIdentities.encode());
    let line = "keystead: 1 key lives elsewhere and is only hidden, until the agent is started \
        again";
    assert_eq!(lines(&actions), [line]);
    let actions = bench.frame(&Request::RemoveAllIdentities.encode());
    assert!(lines(&actions).is_empty());
}

#[test]
fn a_token_comes_and_goes_whole_and_not_from_afar() {
    let token = || Request::AddSmartcard {
        id: b"/usr/lib/x.so",
        pin: b"1234",
        constraints: None,
    };
    let mut play = Play::new();
    play.ask(&token());
    let (asked, _) = play.asked.as_ref().unwrap();
    let RequestBody::Import(import) = &asked.body else {
        panic!("nothing is brought");
    };
    assert_eq!(import.form, KeyForm::Token);
    assert_eq!(import.key.expose(), b"/usr/lib/x.so");
    assert_eq!(import.passphrase.as_ref().unwrap().expose(), b"1234");
    let key = key_entry("card key", noted("ed25519"));
    play.answers(
        Outcome::Approve,
        Some(ResponseBody::Keys(vec![key.clone()])),
    );
    assert_eq!(play.list(), [b"card key"]);
    play.ask(&Request::RemoveSmartcard {
        id: b"/usr/lib/x.so",
        pin: b"",
    });
    assert!(matches!(play.said(), RequestBody::Remove { keys } if keys == [key.id]));
    let bind = captured("login-ed25519", ">").remove(0);
    let mut play = Play::new();
    play.bench.frame(&bind);
    let actions = play.ask(&token());
    assert_eq!(one_answer(&actions), Response::Failure);
    let line = "keystead: a token's library is not loaded for a program on another machine";
    assert_eq!(lines(&actions), [line]);
}

#[test]
fn custody_is_asked_of_the_keeper_that_the_person_has_set() {
    let settings = Settings {
        add_to: AddTo::Keeper(keeper_name()),
        ..Settings::default()
    };
    let mut bench = Bench::set(MemoryDisk::new(), settings, Here::default());
    let actions = bench.frame(&adding(Some(vec![Constraint::Confirm])).encode());
    assert!(actions.is_empty());
    let fake = bench.keeper.lock().unwrap();
    let Some(keeper::Event::Ask {
        pairing,
        body: RequestBody::Import(import),
        ..
    }) = fake.told.last()
    else {
        panic!("nobody is asked");
    };
    assert_eq!(*pairing, PAIRING);
    assert!(import.constraints.confirm);
    drop(fake);
    let key = key_entry("main", noted("ed25519"));
    let keys = Some(ResponseBody::Keys(vec![key]));
    let actions = bench.progress(answer(Outcome::Approve, keys));
    assert_eq!(one_answer(&actions), Response::Success);
    // It can be taken out of custody by who brought it, and its holder is asked.
    assert!(bench.frame(&removing(&blob()).encode()).is_empty());
    let actions = bench.progress(answer(Outcome::Refuse, None));
    assert_eq!(one_answer(&actions), Response::Failure);
    assert_eq!(lines(&actions), ["keystead: refused by test-phone"]);
}

#[test]
fn without_a_place_for_it_a_key_is_refused_in_words() {
    let mut bench = Bench::new();
    let actions = bench.frame(&adding(None).encode());
    assert_eq!(one_answer(&actions), Response::Failure);
    let line = "keystead: there is no other agent to take the key: set add_to in config.toml to \
        \"local\", or to a keeper's name";
    assert_eq!(lines(&actions), [line]);
    let settings = Settings {
        add_to: AddTo::Keeper(keystead_core::Name::new("nobody").unwrap()),
        ..Settings::default()
    };
    let mut bench = Bench::set(MemoryDisk::new(), settings, Here::default());
    let actions = bench.frame(&adding(None).encode());
    let line = "keystead: no keeper is called nobody (add_to in config.toml)";
    assert_eq!(lines(&actions), [line]);
}

#[test]
fn a_key_from_another_machine_is_not_taken_into_custody() {
    let settings = Settings {
        add_to: AddTo::Keeper(keeper_name()),
        ..Settings::default()
    };
    let mut bench = Bench::set(MemoryDisk::new(), settings, Here::default());
    let messages = captured("login-ed25519", ">");
    let mut bind = messages
        .into_iter()
        .find(|it| it.first() == Some(&27))
        .unwrap();
    // The host signs the session alone: whether it forwards, the client says behind it.
    *bind.last_mut().unwrap() = 1;
    assert_eq!(one_answer(&bench.frame(&bind)), Response::Success);
    let actions = bench.frame(&adding(None).encode());
    assert_eq!(one_answer(&actions), Response::Failure);
    assert!(bench.keeper.lock().unwrap().told.is_empty());
}

#[test]
fn a_lock_closes_what_was_brought_too() {
    let mut play = Play::new();
    play.add(None);
    play.ask(&Request::Lock(b"open"));
    let (asked, _) = play.asked.as_ref().unwrap();
    let RequestBody::Lock(lock) = &asked.body else {
        panic!("nothing is locked");
    };
    assert!(lock.lock && lock.passphrase.expose() == b"open");
    let actions = play.answers(Outcome::Approve, Some(ResponseBody::Empty));
    assert_eq!(one_answer(&actions), Response::Success);
    assert!(play.list().is_empty());
    let actions = play.ask(&adding(None));
    assert_eq!(one_answer(&actions), Response::Failure);
    assert_eq!(
        lines(&actions),
        ["keystead: the agent is locked (ssh-add -X unlocks it)"]
    );
}

#[test]
fn after_a_no_nothing_more_where_the_person_has_set_it() {
    let check = |on_refusal, left: usize| {
        let settings = Settings {
            on_refusal,
            ..local()
        };
        let mut bench = Bench::set(MemoryDisk::new(), settings, Here::default());
        bench.ask_for_login("login-ed25519");
        bench.progress(answer(Outcome::Refuse, None));
        let Response::Identities(keys) = bench.ask(&Request::RequestIdentities) else {
            panic!("no list");
        };
        assert_eq!(keys.len(), left);
    };
    check(OnRefusal::Fallback, 1);
    check(OnRefusal::Abort, 0);
}

#[test]
fn no_door_is_opened_where_there_is_nobody() {
    let mut bench = Bench::new();
    for step in ["add-ed25519", "remove-all", "smartcard", "lock"] {
        let message = captured(step, ">").into_iter().next().unwrap();
        let actions = bench.frame(&message);
        let is_open = actions.iter().any(|it| {
            matches!(
                it,
                Action::Upstream {
                    door: Door::Open,
                    ..
                }
            )
        });
        assert!(!is_open, "{step}");
    }
}
