//! Commands at the control socket, and the files that they leave.

use keystead_agent::control::{Command, FailureKind, KeeperState, Reply};
use keystead_agent::{Action, Event};
use keystead_core::{Kind, Name, Outcome, RequestHash, ResponseBody, SignedReceipt};
use keystead_daemon::{Disk, MemoryDisk};
use keystead_keeper::{
    self as keeper, Notice, PairError, PairProtocolError, PairingProgress, Refresh,
};

use crate::fixture::*;

fn offer(expires_in_ms: u64) -> keeper::Action {
    keeper::Action::Pairing(PairingProgress::Offer {
        link: "keystead:pair#x".to_owned(),
        qr_text: None,
        relay: None,
        addresses: vec!["192.0.2.7:4711".to_owned()],
        expires_in_ms,
    })
}

const PAIR: Command = Command::Pair {
    name: None,
    relay: None,
};

fn failure(replies: Vec<Reply>) -> (FailureKind, String) {
    match replies.into_iter().next() {
        Some(Reply::Failed(failure)) => (failure.kind, failure.message),
        other => panic!("{other:?}"),
    }
}

fn pair_start(bench: &Bench) -> (String, Option<String>, usize) {
    let fake = bench.keeper.lock().unwrap();
    match fake.told.last() {
        Some(keeper::Event::PairStart {
            own_name,
            relay,
            addresses,
        }) => (
            own_name.to_string(),
            relay.as_ref().map(ToString::to_string),
            addresses.len(),
        ),
        _ => panic!("no pairing was started"),
    }
}

#[test]
fn status_lists_keepers_and_keys() {
    let mut bench = Bench::new();
    let replies = replies(bench.command(&Command::Status {}));
    let [Reply::Status(status)] = replies.as_slice() else {
        panic!("{replies:?}");
    };
    assert_eq!(status.keepers[0].name, KEEPER);
    assert_eq!(status.keepers[0].state, KeeperState::Paired);
    let key = &status.keys[0];
    assert_eq!((key.name.as_str(), key.keeper.as_str()), ("main", KEEPER));
    assert_eq!(key.key_type, "ed25519");
    assert!(key.public_key.ends_with(" main@test-phone"));
    assert_eq!(key.file.to_str(), Some("/state/keys/main.pub"));
    assert!(!status.locked);
}

#[test]
fn a_line_that_is_no_command_is_answered() {
    for line in ["", "{}", "null", "{\"command\":\"later\"}", "\u{0}", "[1"] {
        let mut bench = Bench::new();
        let replies = replies(bench.line(line.as_bytes()));
        assert_eq!(failure(replies).0, FailureKind::Usage, "{line}");
    }
}

#[test]
fn stop_is_answered_first() {
    let mut bench = Bench::new();
    let actions = bench.command(&Command::Stop {});
    assert!(matches!(
        actions.as_slice(),
        [
            Action::Reply {
                reply: Reply::Done {},
                ..
            },
            Action::Stop
        ]
    ));
}

#[test]
fn a_relay_is_remembered_and_without_one_addresses_are_offered() {
    let mut bench = Bench::new();
    bench.command(&PAIR);
    assert_eq!(pair_start(&bench), ("laptop".to_owned(), None, 1));
    let given = Command::Pair {
        name: Some("desk".to_owned()),
        relay: Some("http://relay.test".to_owned()),
    };
    let relay = Some("http://relay.test".to_owned());
    bench.command(&given);
    assert_eq!(pair_start(&bench), ("desk".to_owned(), relay.clone(), 1));
    let mut bench = Bench::on(bench.disk);
    bench.command(&PAIR);
    assert_eq!(pair_start(&bench), ("laptop".to_owned(), relay, 1));
}

#[test]
fn bad_names_and_relays_are_refused() {
    let check = |name: Option<&str>, relay: Option<&str>| {
        let mut bench = Bench::new();
        let command = Command::Pair {
            name: name.map(str::to_owned),
            relay: relay.map(str::to_owned),
        };
        let replies = replies(bench.command(&command));
        assert_eq!(failure(replies).0, FailureKind::Usage);
        assert!(bench.keeper.lock().unwrap().told.is_empty());
    };
    check(Some(""), None);
    check(Some("a\nb"), None);
    check(None, Some("relay.test"));
    check(None, Some("ftp://relay.test"));
}

#[test]
fn a_pairing_streams_its_progress_and_takes_the_persons_word() {
    let mut bench = Bench::new();
    bench.command(&PAIR);
    let said = replies(bench.says(offer(120_000)));
    assert!(matches!(
        said.as_slice(),
        [Reply::Offer {
            expires_in_ms: 120_000,
            ..
        }]
    ));
    let said = replies(bench.says(keeper::Action::Notice(Notice::RelayAway {
        relay: "https://relay.test".parse().unwrap(),
        reason: "no route".to_owned(),
    })));
    assert!(
        matches!(said.as_slice(), [Reply::Notice { text }] if text.contains("is away: no route")),
        "{said:?}"
    );
    let said = replies(bench.says(keeper::Action::Pairing(PairingProgress::HelloSeen)));
    assert_eq!(said, [Reply::HelloSeen {}]);
    bench.command(&Command::Confirm { same: true });
    let told = bench.keeper.lock().unwrap().told.pop();
    assert!(matches!(told, Some(keeper::Event::PairConfirm)));
    let stored = PairingProgress::Stored {
        pairing: PAIRING,
        name: keeper_name(),
        keys: Vec::new(),
    };
    let said = replies(bench.says(keeper::Action::Pairing(stored)));
    assert!(matches!(said.as_slice(), [Reply::Paired { keeper }] if keeper.name == KEEPER));
    assert_eq!(
        (bench.last_entry().kind, bench.last_entry().decision),
        ("pair".into(), "approve".into())
    );
    let late = replies(bench.command(&Command::Confirm { same: true }));
    assert_eq!(failure(late).0, FailureKind::Usage);
}

#[test]
fn a_pairing_that_fails_says_why() {
    let mut bench = Bench::new();
    bench.command(&PAIR);
    let ended = keeper::Action::Pairing(PairingProgress::Ended(PairError::Refused));
    let said = replies(bench.says(ended));
    assert_eq!(
        failure(said),
        (FailureKind::Refused, "the holder refused".to_owned())
    );
    assert_eq!(bench.last_entry().decision, "refuse");
}

#[test]
fn who_leaves_takes_the_pairing_back() {
    let mut bench = Bench::new();
    bench.command(&PAIR);
    bench.step(Event::Leave { client: CLIENT });
    let told = bench.keeper.lock().unwrap().told.pop();
    assert!(matches!(told, Some(keeper::Event::PairCancel)));
    let ended = keeper::Action::Pairing(PairingProgress::Ended(PairError::Cancelled));
    assert!(replies(bench.says(ended)).is_empty());
}

#[test]
fn a_keeper_is_renamed_and_unpaired_by_name_or_id() {
    let mut bench = Bench::new();
    let rename = |keeper: &str, name: &str| Command::RenameKeeper {
        keeper: keeper.to_owned(),
        name: name.to_owned(),
    };
    let said = replies(bench.command(&rename("nobody", "x")));
    assert_eq!(failure(said).0, FailureKind::Error);
    let said = replies(bench.command(&rename(KEEPER, "a\tb")));
    assert_eq!(failure(said).0, FailureKind::Usage);
    let said = replies(bench.command(&rename(&PAIRING.to_string(), "pocket")));
    assert_eq!(said, [Reply::Done {}]);
    let file = bench.disk.read("keys/main.pub").unwrap().unwrap();
    assert!(file.ends_with(b" main@pocket\n"));
    let unpair = Command::UnpairKeeper {
        keeper: "pocket".to_owned(),
    };
    assert_eq!(replies(bench.command(&unpair)), [Reply::Done {}]);
    assert_eq!(bench.disk.read("keys/main.pub").unwrap(), None);
    assert_eq!(
        failure(replies(bench.command(&unpair))).0,
        FailureKind::Error
    );
}

#[test]
fn a_key_is_made_at_the_only_keeper() {
    let mut bench = Bench::new();
    let new = |keeper: Option<&str>, algorithm: &str| Command::NewKey {
        keeper: keeper.map(str::to_owned),
        name: "work".to_owned(),
        algorithm: algorithm.to_owned(),
    };
    assert_eq!(
        failure(replies(bench.command(&new(None, "dsa")))).0,
        FailureKind::Usage
    );
    assert_eq!(
        failure(replies(bench.command(&new(Some("x"), "p256")))).0,
        FailureKind::Error
    );
    assert!(replies(bench.command(&new(None, "p256"))).is_empty());
    // The person is told whom nobody has reached yet, and is not sent to approve there.
    let said = replies(bench.wait(2_000));
    assert!(
        matches!(said.as_slice(), [Reply::Reaching { .. }]),
        "{said:?}"
    );
    let said = replies(bench.progress(asking()));
    assert!(matches!(said.as_slice(), [Reply::Waiting { .. }]));
    let made = key_entry("work", noted("p256"));
    bench.keeper.lock().unwrap().keys.push(made.clone());
    let done = answer(Outcome::Approve, Some(ResponseBody::Key(made)));
    let said = replies(bench.progress(done));
    assert!(matches!(said.as_slice(), [Reply::Key(key)] if key.name == "work"));
    assert!(bench.disk.read("keys/work.pub").unwrap().is_some());
    assert_eq!(bench.last_entry().kind, "make-key");
}

#[test]
fn a_refused_key_and_one_whose_asker_left() {
    let mut bench = Bench::new();
    let new = Command::NewKey {
        keeper: None,
        name: "work".to_owned(),
        algorithm: "ed25519".to_owned(),
    };
    bench.command(&new);
    let said = replies(bench.progress(answer(Outcome::Refuse, None)));
    assert_eq!(
        failure(said),
        (FailureKind::Refused, "refused by test-phone".to_owned())
    );
    bench.command(&new);
    bench.step(Event::Leave { client: CLIENT });
    assert_eq!(bench.last_entry().decision, "withdrawn");
}

#[test]
fn files_of_keys_never_leave_their_folder_nor_cover_each_other() {
    let mut disk = MemoryDisk::new();
    disk.plant("keys/stale.pub", b"old");
    let mut bench = Bench::on(disk);
    assert_eq!(bench.disk.list("keys").unwrap(), ["main.pub"]);
    let names = ["../../etc/x", "main", "main", ".ssh", "a b"];
    for (name, line) in names
        .iter()
        .zip(["p256", "rsa", "ca", "host_rsa", "host_ecdsa"])
    {
        let entry = key_entry(name, noted(line));
        bench.keeper.lock().unwrap().keys.push(entry);
    }
    let changed = keeper::Notice::KeysChanged {
        pairing: PAIRING,
        keys: Vec::new(),
    };
    bench.says(keeper::Action::Notice(changed));
    let files = bench.disk.list("keys").unwrap();
    let expected = [
        "_._.._etc_x.pub",
        "_ssh.pub",
        "a_b.pub",
        "main-test-phone-2.pub",
        "main-test-phone.pub",
        "main.pub",
    ];
    assert_eq!(files, expected);
}

/// What is told of the keepers' silence, once it is.
fn silences(actions: Vec<Action>) -> Option<Vec<bool>> {
    match replies(actions).as_slice() {
        [] => None,
        [Reply::Status(status)] => Some(status.keepers.iter().map(|it| it.silent).collect()),
        other => panic!("{other:?}"),
    }
}

fn owes_since(bench: &Bench, unanswered_ms: Option<u64>) {
    let mut fake = bench.keeper.lock().unwrap();
    fake.views.first_mut().unwrap().unanswered_ms = unanswered_ms;
}

#[test]
fn a_person_who_looks_waits_for_who_owes_an_answer_and_no_longer() {
    let check = |owed_ms: Option<u64>, waited_ms: u64| {
        let mut bench = Bench::new();
        let start_ms = bench.now.mono_ms;
        owes_since(&bench, owed_ms.map(|ago_ms| start_ms - ago_ms));
        let mut said = silences(bench.command(&Command::Refresh {}));
        while said.is_none() {
            let wake_ms = bench.agent.next_wake_ms().unwrap() - bench.now.mono_ms;
            said = silences(bench.wait(wake_ms));
        }
        assert_eq!(bench.now.mono_ms - start_ms, waited_ms, "{owed_ms:?}");
        assert_eq!(said, Some(vec![owed_ms.is_some()]));
        assert_eq!(bench.keeper.lock().unwrap().looks, [Refresh::ForPerson]);
        assert_eq!(bench.wait(10_000).len(), 0, "answered once");
    };
    check(None, 0);
    check(Some(0), 2_000);
    check(Some(1_999), 1);
    check(Some(2_000), 0);
    check(Some(60_000), 0);
}

#[test]
fn keys_that_come_in_time_are_told_and_others_waited_for_in_vain() {
    let mut bench = Bench::new();
    owes_since(&bench, Some(bench.now.mono_ms));
    assert_eq!(silences(bench.command(&Command::Refresh {})), None);
    assert_eq!(silences(bench.wait(1_500)), None);
    owes_since(&bench, None);
    assert_eq!(silences(bench.wait(1)), Some(vec![false]));

    // Another one that owes more, from later on, does not make the first wait longer.
    let start_ms = bench.now.mono_ms;
    owes_since(&bench, Some(start_ms));
    assert_eq!(silences(bench.command(&Command::Refresh {})), None);
    owes_since(&bench, Some(start_ms + 1_500));
    assert_eq!(silences(bench.wait(1_999)), None);
    assert_eq!(silences(bench.wait(1)), Some(vec![true]));

    // Who hangs up is not answered.
    owes_since(&bench, Some(bench.now.mono_ms));
    assert_eq!(silences(bench.command(&Command::Refresh {})), None);
    bench.step(Event::Leave { client: CLIENT });
    assert_eq!(silences(bench.wait(5_000)), None);
}

#[test]
fn a_keeper_that_ends_the_pairing_is_logged() {
    let mut bench = Bench::new();
    let name = Name::new(KEEPER).unwrap();
    let notice = keeper::Notice::Unpaired {
        pairing: PAIRING,
        name,
    };
    bench.says(keeper::Action::Notice(notice));
    assert_eq!(bench.last_entry().decision, "by-holder");
    let said = replies(bench.command(&Command::Status {}));
    let [Reply::Status(status)] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_eq!(status.notices, ["test-phone has ended the pairing"]);
}

#[test]
fn what_the_keepers_ask_by_themselves_is_logged_with_its_receipt() {
    let mut bench = Bench::new();
    let receipt = SignedReceipt {
        bytes: vec![1, 2],
        signature: [3; 64],
    };
    let answered = keeper::Notice::Answered {
        pairing: PAIRING,
        keeper: keeper_name(),
        kind: Kind::Me,
        outcome: Outcome::Approve,
        request_hash: RequestHash([9; 32]),
        receipt,
    };
    bench.says(keeper::Action::Notice(answered));
    let entry = bench.last_entry();
    assert_eq!(
        (entry.kind.as_str(), entry.decision.as_str()),
        ("me", "approve")
    );
    assert_eq!(entry.receipt.as_deref(), Some("0102"));
    assert_eq!(entry.pairing.as_deref(), Some("0707070707070707"));
}

#[test]
fn how_a_pairing_fails_decides_the_exit_status() {
    let check = |error: PairError, expected: FailureKind| {
        let mut bench = Bench::new();
        bench.command(&PAIR);
        let ended = keeper::Action::Pairing(PairingProgress::Ended(error));
        assert_eq!(failure(replies(bench.says(ended))).0, expected);
    };
    check(PairError::Refused, FailureKind::Refused);
    let protocol = PairError::Protocol;
    check(
        protocol(PairProtocolError::OfferExpired),
        FailureKind::NoAnswer,
    );
    check(
        protocol(PairProtocolError::CodeExpired),
        FailureKind::NoAnswer,
    );
    check(protocol(PairProtocolError::Race), FailureKind::Error);
    check(protocol(PairProtocolError::Commitment), FailureKind::Error);
    check(PairError::Cancelled, FailureKind::Error);
}

#[test]
fn the_keepers_have_the_last_word() {
    let mut bench = Bench::new();
    bench.command(&PAIR);
    let relay: keeper::RelayUrl = "http://relay.test".parse().unwrap();
    bench.keeper.lock().unwrap().next.extend([
        keeper::Action::Net(keeper::NetAction::RelayClose { relay }),
        keeper::Action::Pairing(PairingProgress::Ended(PairError::Cancelled)),
    ]);
    let actions = bench.close();
    // The offer's mailbox is deleted, the person told, and the entry durable.
    assert!(
        actions
            .iter()
            .any(|it| matches!(it, Action::Net(keeper::NetAction::RelayClose { .. })))
    );
    assert_eq!(failure(replies(actions)).0, FailureKind::Error);
    bench.disk.crash();
    assert_eq!(bench.last_entry().kind, "pair");
}

#[test]
fn a_relay_that_was_cut_off_on_the_disk_is_not_taken_for_another() {
    let read = |file: &[u8]| {
        let mut disk = MemoryDisk::new();
        disk.replace("relay", file).unwrap();
        let mut bench = Bench::on(disk);
        let said = replies(bench.command(&Command::Status {}));
        match said.as_slice() {
            [Reply::Status(status)] => (status.relay.clone(), status.notices.len()),
            _ => panic!("{said:?}"),
        }
    };
    let whole = b"https://relay.test\n";
    assert_eq!(read(whole), (Some("https://relay.test".to_owned()), 0));
    for len in 0..whole.len() {
        assert_eq!(read(&whole[..len]), (None, 1), "{len}");
    }
}
