//! Whole lives over a relay that drops, delays, repeats, reorders and flips.

use keystead_core::Outcome;
use keystead_keeper::{AskId, Event, KeeperError, Notice};

use crate::peer::Holder;
use crate::world::{By, Faults, World};

const ROUGH: Faults = Faults {
    drop: 25,
    repeat: 40,
    flip: 8,
    delay_ms: 400,
    deafens: false,
};

/// What must hold whatever the network does.
fn check_honest(world: &World) {
    for notice in &world.notices {
        // Flipped bits end channels; they never make a peer look like a liar.
        assert!(!matches!(notice, Notice::Misbehaved { .. }), "{notice:?}");
    }
}

#[test]
fn pairing_succeeds_over_a_rough_relay() {
    let mut stored = 0;
    for seed in 0..24 {
        let mut world = World::new(1_000 + seed);
        world.faults = ROUGH;
        let peer = world.add_peer("phone");
        let way = keystead_core::TransportAddress::Relay(World::relay().to_string());
        world.peers[peer].transports.push(way);
        let link = world.offer(By::Relay);
        world.scan(peer, &link);
        world.run_until(60_000, |it| it.shown_code().is_some());
        if world.shown_code().is_some() {
            assert_eq!(world.shown_code(), world.peers[peer].code, "{seed}");
        }
        world.step(Event::PairConfirm);
        world.run_until(100_000, |it| {
            it.stored().is_some() || it.pair_error().is_some()
        });
        // Stored here means stored there, first.
        if world.stored().is_some() {
            assert!(world.peers[peer].paired.is_some(), "{seed}");
            stored += 1;
        }
        check_honest(&world);
    }
    assert!(stored >= 20, "{stored} of 24");
}

#[test]
fn every_question_is_answered_once_over_a_rough_network() {
    for seed in 0..24 {
        let mut world = World::new(2_000 + seed);
        let by = if seed % 2 == 0 { By::Relay } else { By::Both };
        let (peer, pairing) = world.pair("phone", by);
        world.faults = ROUGH;
        for n in 0..6 {
            let ask = world.ask(pairing, 100);
            if n == 3 {
                world.run(50);
                world.cut_tcp();
            }
            if n == 4 {
                world.set_relay(false);
                world.run(3_000);
                world.set_relay(true);
            }
            let answer = world.wait_for(ask).as_ref();
            assert!(
                answer.is_ok_and(|it| it.outcome == Outcome::Approve),
                "{seed} {n}: {answer:?}"
            );
            world.run(7_000);
        }
        assert_eq!(world.peers[peer].asked.len(), 6, "{seed}: each asked once");
        check_honest(&world);
    }
}

#[test]
fn every_question_ends_whatever_happens() {
    for seed in 0..16 {
        let mut world = World::new(3_000 + seed);
        let (peer, pairing) = world.pair("phone", By::Both);
        world.faults = Faults {
            drop: 90,
            flip: 40,
            ..ROUGH
        };
        let holders = [Holder::Approve, Holder::Refuse, Holder::Hold];
        let mut asks: Vec<AskId> = Vec::new();
        for n in 0..9_usize {
            world.peers[peer].holder = holders[n % 3];
            asks.push(world.ask(pairing, 30));
            match n {
                2 => world.cut_tcp(),
                4 => world.on_peer(peer, |it| it.restart()),
                5 => world.set_online(peer, false),
                7 => world.set_online(peer, true),
                _ => {}
            }
            world.run(4_000);
        }
        for ask in asks {
            let ended = world.wait_for(ask);
            let is_fair = match ended {
                Ok(answer) => matches!(answer.outcome, Outcome::Approve | Outcome::Refuse),
                Err(error) => matches!(
                    error,
                    KeeperError::NoAnswer { .. } | KeeperError::Unreachable { .. }
                ),
            };
            assert!(is_fair, "{seed}: {ended:?}");
        }
        check_honest(&world);
    }
}

#[test]
fn one_seed_is_one_run() {
    let run = |seed| {
        let mut world = World::new(seed);
        let (_, pairing) = world.pair("phone", By::Both);
        world.faults = ROUGH;
        let ask = world.ask(pairing, 60);
        world.wait_for(ask);
        (world.now_ms, world.sent)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).1, run(8).1);
}
