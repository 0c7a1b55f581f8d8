//! `spec/pairing.md` sections 3 and 5: requests, repeats, ways, withdrawal.

use keystead_core::{Kind, Outcome, ResponseBody, TransportAddress};
use keystead_keeper::{AskId, Event, KeeperError, Notice, Progress};

use crate::peer::Holder;
use crate::world::{By, World, sign};

fn outcome(world: &mut World, ask: AskId) -> Result<Outcome, String> {
    match world.wait_for(ask) {
        Ok(answer) => Ok(answer.outcome),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn an_answer_comes_with_its_verified_receipt() {
    for (seed, by) in [(1, By::Relay), (2, By::Tcp), (3, By::Both)] {
        let mut world = World::new(seed);
        let (peer, pairing) = world.pair("phone", by);
        let ask = world.ask(pairing, 60);
        let answer = world.wait_for(ask).as_ref().unwrap();
        assert_eq!(answer.outcome, Outcome::Approve);
        assert_eq!(answer.body, Some(ResponseBody::Signature(vec![5; 64])));
        assert!(answer.receipt.is_some());
        assert_eq!(world.peers[peer].asked.len(), 1, "asked once over {by:?}");
        assert!(world.notices.is_empty(), "{:?}", world.notices);
    }
}

#[test]
fn a_refusal_is_an_answer() {
    let mut world = World::new(4);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.peers[peer].holder = Holder::Refuse;
    let ask = world.ask(pairing, 60);
    let answer = world.wait_for(ask).as_ref().unwrap();
    assert_eq!((answer.outcome, &answer.body), (Outcome::Refuse, &None));
    assert!(answer.receipt.is_some());
}

#[test]
fn a_second_question_pays_no_handshake() {
    let mut world = World::new(5);
    let (peer, pairing) = world.pair("phone", By::Both);
    let ask = world.ask(pairing, 60);
    world.wait_for(ask);
    world.run(60_000);
    let opened = world.peers[peer].channels_opened;
    let posted = world.posted.len();
    for _ in 0..5 {
        let ask = world.ask(pairing, 60);
        let start_ms = world.now_ms;
        world.wait_for(ask);
        assert!(world.now_ms - start_ms <= 4, "one round trip");
        world.run(5 * 60_000);
    }
    assert_eq!(world.peers[peer].channels_opened, opened);
    assert_eq!(world.posted.len(), posted + 5, "one item a question");
    // Idle, the channels are closed with a word, and opened again when needed.
    world.run(20 * 60_000);
    assert!(!world.keepers.pairings()[0].is_connected);
    let ask = world.ask(pairing, 60);
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    assert!(world.peers[peer].channels_opened > opened);
}

#[test]
fn a_person_who_is_asked_is_told_of_once_and_the_question_repeated() {
    let mut world = World::new(6);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.peers[peer].holder = Holder::Hold;
    let ask = world.ask(pairing, 60);
    world.run(35_000);
    assert!(world.is_asking(ask));
    let arrived = world.peers[peer]
        .arrived
        .iter()
        .filter(|it| **it == 2)
        .count();
    assert!(
        (6..=10).contains(&arrived),
        "every 10 s over two ways: {arrived}"
    );
    assert_eq!(world.peers[peer].asked.len(), 1);
    world.on_peer(peer, |it| it.decide(Outcome::Approve));
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    let sent = |it: &&(AskId, Progress)| matches!(it.1, Progress::Sent { .. });
    assert_eq!(world.progress.iter().filter(sent).count(), 1);
}

#[test]
fn nobody_answers_and_the_question_is_withdrawn() {
    let mut world = World::new(7);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.peers[peer].holder = Holder::Hold;
    let ask = world.ask(pairing, 20);
    let start_ms = world.now_ms;
    let Err(KeeperError::NoAnswer { wait_s: 20, .. }) = world.wait_for(ask) else {
        panic!("an answer");
    };
    assert!((20_000..22_000).contains(&(world.now_ms - start_ms)));
    world.run(1_000);
    assert_eq!(world.peers[peer].withdrawn, world.peers[peer].asked);
    // The answer `withdrawn` came for its receipt, so the chain has no gap.
    world.run(120_000);
    assert!(world.notices.is_empty(), "{:?}", world.notices);
}

#[test]
fn a_client_that_hangs_up_withdraws_its_question() {
    let mut world = World::new(8);
    let (peer, pairing) = world.pair("phone", By::Tcp);
    world.peers[peer].holder = Holder::Hold;
    let ask = world.ask(pairing, 60);
    world.run(2_000);
    world.step(Event::Withdraw { ask });
    world.run(2_000);
    assert_eq!(world.peers[peer].withdrawn.len(), 1);
    world.run(200_000);
    assert!(world.answer(ask).is_none(), "nothing is told after it");
    assert!(world.notices.is_empty(), "{:?}", world.notices);
}

#[test]
fn what_was_never_sent_needs_no_withdrawal() {
    let mut world = World::new(9);
    let (peer, pairing) = world.pair("phone", By::Relay);
    world.set_online(peer, false);
    let ask = world.ask(pairing, 60);
    world.run(5_000);
    world.step(Event::Withdraw { ask });
    world.set_online(peer, true);
    world.run(60_000);
    assert!(world.peers[peer].asked.is_empty() && world.peers[peer].withdrawn.is_empty());
}

#[test]
fn who_cannot_be_reached_is_said_with_the_ways_tried() {
    let mut world = World::new(10);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.set_online(peer, false);
    world.set_relay(false);
    let ask = world.ask(pairing, 10);
    let Err(error @ KeeperError::Unreachable { .. }) = world.wait_for(ask) else {
        panic!("reached");
    };
    let said = error.to_string();
    assert!(
        said.contains("relay.test") && said.contains("192.0.2.1:7000"),
        "{said}"
    );
    assert!(said.contains("refused"), "{said}");
    let away = |it: &&Notice| matches!(it, Notice::RelayAway { .. });
    assert_eq!(world.notices.iter().filter(away).count(), 1);
}

#[test]
fn silence_is_answered_by_a_new_handshake() {
    let mut world = World::new(11);
    let (peer, pairing) = world.pair("phone", By::Relay);
    let ask = world.ask(pairing, 60);
    world.wait_for(ask);
    // The authenticator forgets its channels; a frame on an unknown conn is dropped.
    world.on_peer(peer, |it| it.restart());
    let ask = world.ask(pairing, 60);
    let start_ms = world.now_ms;
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    let took_ms = world.now_ms - start_ms;
    assert!((2_000..2_100).contains(&took_ms), "after 2 s: {took_ms}");
}

#[test]
fn a_connection_with_an_old_gap_is_not_used_for_the_next_question() {
    let mut world = World::new(30);
    let (_, pairing) = world.pair("phone", By::Both);
    let ask = world.ask(pairing, 60);
    world.wait_for(ask);
    world.run(100);
    // One answer is lost at the relay, the next one comes early; TCP brought both.
    for deafens in [true, false] {
        world.faults.deafens = deafens;
        let ask = world.ask(pairing, 60);
        world.wait_for(ask);
        world.run(100);
    }
    world.run(6_000);
    world.tcp_works = false;
    world.cut_tcp();
    world.run(10);
    let ask = world.ask(pairing, 60);
    let start_ms = world.now_ms;
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    assert!(world.now_ms - start_ms < 100, "no silence to sit out");
}

#[test]
fn an_authenticator_that_wakes_late_is_still_asked() {
    let mut world = World::new(12);
    let (peer, pairing) = world.pair("phone", By::Relay);
    world.set_online(peer, false);
    let ask = world.ask(pairing, 100);
    world.run(40_000);
    let hellos = world.posted.len();
    world.set_online(peer, true);
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    assert_eq!(world.peers[peer].asked.len(), 1);
    assert!(hellos < 20, "silence is borne longer each time: {hellos}");
}

#[test]
fn a_relay_that_dies_in_the_middle_loses_nothing() {
    let mut world = World::new(13);
    let (peer, pairing) = world.pair("phone", By::Relay);
    world.peers[peer].holder = Holder::Hold;
    let ask = world.ask(pairing, 100);
    world.run(3_000);
    world.set_relay(false);
    world.on_peer(peer, |it| it.decide(Outcome::Approve));
    world.run(25_000);
    assert!(world.answer(ask).is_none());
    world.set_relay(true);
    let start_ms = world.now_ms;
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    assert!(world.now_ms - start_ms < 25_000);
    assert_eq!(world.peers[peer].asked.len(), 1, "signed once");
    let back = |it: &Notice| matches!(it, Notice::RelayBack { .. });
    assert!(world.notices.iter().any(back));
}

#[test]
fn a_link_that_breaks_is_dialled_again() {
    let mut world = World::new(14);
    let (peer, pairing) = world.pair("phone", By::Tcp);
    world.peers[peer].holder = Holder::Hold;
    let ask = world.ask(pairing, 60);
    world.run(3_000);
    world.cut_tcp();
    world.run(2_000);
    world.on_peer(peer, |it| it.decide(Outcome::Approve));
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    assert_eq!(world.peers[peer].asked.len(), 1);
}

#[test]
fn an_address_that_fails_is_asked_for_anew() {
    let mut world = World::new(15);
    let (peer, pairing) = world.pair("phone", By::Both);
    let moved = "192.0.2.77:7000".to_owned();
    world.peers[peer].listens = Some(moved.clone());
    world.peers[peer].transports = vec![
        TransportAddress::Relay(World::relay().to_string()),
        TransportAddress::Local(moved.clone()),
    ];
    let ask = world.ask(pairing, 60);
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    world.run(5_000);
    assert_eq!(world.keepers.pairings()[0].addresses, [moved]);
    world.restart_agent();
    assert_eq!(
        world.keepers.pairings()[0].addresses.len(),
        1,
        "it is stored"
    );
}

#[test]
fn every_receipt_is_handed_on_so_that_a_log_has_no_gap() {
    for (seed, by) in [(27, By::Relay), (28, By::Both)] {
        let mut world = World::new(seed);
        let (peer, pairing) = world.pair("phone", by);
        let kinds: Vec<Kind> = world.answered.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::Me, Kind::Confirm]);
        for (n, holder) in [Holder::Approve, Holder::Refuse, Holder::Hold, Holder::Hold]
            .into_iter()
            .enumerate()
        {
            world.peers[peer].holder = holder;
            let ask = world.ask(pairing, 20);
            world.run(2_000);
            if n == 2 {
                world.step(Event::Withdraw { ask });
            }
            world.run(40_000);
        }
        world.step(Event::Unpair { pairing });
        world.run(2_000);
        let expected: Vec<u64> = (0..world.peers[peer].chain.seq).collect();
        assert_eq!(world.receipts(), expected, "{by:?}");
        let ended = world.answered.iter().any(|(kind, _)| *kind == Kind::Unpair);
        assert!(ended && world.notices.is_empty(), "{:?}", world.notices);
    }
}

#[test]
fn a_key_that_was_made_is_listed_before_the_answer_is_told() {
    let mut world = World::new(29);
    let (_, pairing) = world.pair("phone", By::Both);
    let ask = world.ask_for_key(pairing, "work");
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    let names = |world: &World| -> Vec<String> {
        let keys = world.keepers.keys();
        keys.map(|(_, _, key)| key.name.to_string()).collect()
    };
    assert_eq!(names(&world), ["main", "work"]);
    let changed = |it: &Notice| matches!(it, Notice::KeysChanged { .. });
    assert!(world.notices.iter().any(changed));
    world.restart_agent();
    assert_eq!(names(&world), ["main", "work"]);
}

#[test]
fn away_from_home_addresses_are_not_asked_for_at_every_login() {
    let mut world = World::new(25);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.tcp_works = false;
    for _ in 0..5 {
        let ask = world.ask(pairing, 60);
        assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
        world.run(30_000);
    }
    let refreshes = world.peers[peer]
        .arrived
        .iter()
        .skip(2)
        .filter(|it| **it == 1);
    assert_eq!(refreshes.count(), 1);
    // At home again, the address is used again.
    world.tcp_works = true;
    let ask = world.ask(pairing, 60);
    world.wait_for(ask);
    world.run(100);
    world.set_relay(false);
    let ask = world.ask(pairing, 60);
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
}

#[test]
fn a_question_whose_channel_is_gone_is_withdrawn_on_the_next() {
    let mut world = World::new(26);
    let (peer, pairing) = world.pair("phone", By::Relay);
    world.peers[peer].holder = Holder::Hold;
    let ask = world.ask(pairing, 60);
    world.run(3_000);
    world.set_relay(false);
    world.run(15_000);
    world.step(Event::Withdraw { ask });
    world.set_relay(true);
    world.run(30_000);
    assert_eq!(world.peers[peer].withdrawn, world.peers[peer].asked);
}

#[test]
fn keys_are_asked_for_anew_when_a_day_has_passed() {
    let mut world = World::new(16);
    let (peer, pairing) = world.pair("phone", By::Relay);
    world.peers[peer].key_name = "other".to_owned();
    let ask = world.ask(pairing, 60);
    world.wait_for(ask);
    world.run(10_000);
    assert!(
        !world.peers[peer].arrived.contains(&0),
        "a day has not passed"
    );
    world.run(86_400_000);
    let ask = world.ask(pairing, 60);
    assert_eq!(
        outcome(&mut world, ask),
        Ok(Outcome::Approve),
        "over midnight"
    );
    world.run(5_000);
    let changed = |it: &Notice| matches!(it, Notice::KeysChanged { keys, .. } if keys[0].name.as_str() == "other");
    assert!(world.notices.iter().any(changed), "{:?}", world.notices);
    let (_, _, key) = world.keepers.keys().next().unwrap();
    assert_eq!(key.name.as_str(), "other");
}

#[test]
fn keys_are_asked_for_anew_at_the_first_channel_after_a_start() {
    let mut world = World::new(30);
    let (peer, pairing) = world.pair("phone", By::Relay);
    let mut refreshes = |wait_ms: u64, restarts: bool| {
        world.run(wait_ms);
        if restarts {
            world.restart_agent();
        }
        let before = world.peers[peer].arrived.len();
        for _ in 0..2 {
            let ask = world.ask(pairing, 60);
            assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
            world.run(10_000);
        }
        let arrived = world.peers[peer].arrived.iter().skip(before);
        arrived.filter(|it| **it == 1).count()
    };
    assert_eq!(refreshes(0, false), 0, "the pairing asked");
    assert_eq!(refreshes(60_000, true), 0, "asked a minute ago");
    assert_eq!(refreshes(10 * 60_000, false), 0, "no start");
    assert_eq!(refreshes(0, true), 1, "the first channel");
    assert_eq!(refreshes(0, true), 0, "asked just now");
}

#[test]
fn a_receipt_that_proves_nothing_is_no_answer() {
    let mut world = World::new(17);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.peers[peer].lies = true;
    let ask = world.ask(pairing, 30);
    let Err(KeeperError::PeerMisbehaved { what, .. }) = world.wait_for(ask) else {
        panic!("believed");
    };
    assert_eq!(what, "the receipt's signature is false");
    let told = |it: &Notice| matches!(it, Notice::Misbehaved { .. });
    assert!(world.notices.iter().any(told));
}

#[test]
fn an_answer_that_never_arrived_is_named() {
    let mut world = World::new(18);
    let (peer, pairing) = world.pair("phone", By::Both);
    let ask = world.ask(pairing, 30);
    world.wait_for(ask);
    let seq = world.peers[peer].chain.seq;
    world.peers[peer].lose_an_answer();
    let ask = world.ask(pairing, 30);
    world.wait_for(ask);
    world.run(60_000);
    let gap = Notice::ReceiptGap {
        pairing,
        first: seq,
        last: seq,
    };
    assert_eq!(world.notices, [gap]);
}

#[test]
fn clocks_that_differ_work_and_are_reported_once() {
    for ahead_s in [600, -600] {
        let mut world = World::new(19);
        let (peer, pairing) = world.pair("phone", By::Both);
        world.peers[peer].clock_ahead_s = ahead_s;
        for _ in 0..3 {
            let ask = world.ask(pairing, 30);
            assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
        }
        assert_eq!(world.notices, [Notice::ClockDiffers { pairing, ahead_s }]);
    }
}

#[test]
fn questions_are_bounded_in_number_and_length() {
    let mut world = World::new(20);
    let (peer, pairing) = world.pair("phone", By::Relay);
    world.set_online(peer, false);
    let asks: Vec<AskId> = (0..100).map(|_| world.ask(pairing, 60)).collect();
    let refused = asks
        .iter()
        .filter(|ask| world.answer(**ask).is_some())
        .count();
    assert_eq!(refused, 20);
    let refusal = world.answer(asks[99]).unwrap();
    assert!(matches!(refusal, Err(KeeperError::TooMany { .. })));

    let mut world = World::new(21);
    let (_, pairing) = world.pair("phone", By::Relay);
    world.step(Event::Ask {
        ask: AskId(1_000),
        pairing,
        body: sign(&vec![0; 262_144]),
        wait_s: 60,
    });
    let refusal = world.answer(AskId(1_000)).unwrap();
    assert!(matches!(refusal, Err(KeeperError::TooLong { .. })));
    // The longest that fits is cut into frames and put together again.
    world.step(Event::Ask {
        ask: AskId(1_001),
        pairing,
        body: sign(&vec![0; 260_000]),
        wait_s: 60,
    });
    assert_eq!(outcome(&mut world, AskId(1_001)), Ok(Outcome::Approve));
}

#[test]
fn many_questions_at_once_are_all_answered() {
    let mut world = World::new(22);
    let (_, first) = world.pair("phone", By::Both);
    let (_, second) = world.pair("tablet", By::Relay);
    let asks: Vec<AskId> = (0..40)
        .map(|n| world.ask(if n % 2 == 0 { first } else { second }, 60))
        .collect();
    for ask in asks {
        assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
    }
    world.run(60_000);
    assert!(world.notices.is_empty(), "{:?}", world.notices);
}

#[test]
fn a_machine_that_slept_asks_no_more_for_what_is_over() {
    let mut world = World::new(23);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.peers[peer].holder = Holder::Hold;
    let ask = world.ask(pairing, 60);
    world.run(5_000);
    world.now_ms += 3 * 3_600_000;
    world.cut_tcp();
    world.run(10);
    assert!(matches!(
        world.answer(ask),
        Some(Err(KeeperError::NoAnswer { .. }))
    ));
    world.peers[peer].holder = Holder::Approve;
    let ask = world.ask(pairing, 60);
    assert_eq!(outcome(&mut world, ask), Ok(Outcome::Approve));
}

#[test]
fn an_unknown_keeper_is_said_at_once() {
    let mut world = World::new(24);
    let ask = world.ask(keystead_core::PairingId([0; 8]), 60);
    assert!(matches!(
        world.answer(ask),
        Some(Err(KeeperError::NoSuchKeeper))
    ));
}
