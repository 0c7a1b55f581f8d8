//! `spec/pairing.md` section 5.6: keys are asked for anew when somebody looks at them.

use keystead_core::Kind;
use keystead_keeper::{Event, Refresh};

use crate::world::{By, World};

fn names(world: &World) -> Vec<String> {
    let keys = world.keepers.keys();
    keys.map(|(_, _, key)| key.name.to_string()).collect()
}

/// How often the authenticator was asked for its keys.
fn me_requests(world: &World, peer: usize) -> usize {
    let arrived = world.peers[peer].arrived.iter();
    arrived.filter(|it| **it == Kind::Me.number()).count()
}

fn look(world: &mut World, looks: Refresh) {
    world.step(Event::Refresh(looks));
}

fn unanswered_ms(world: &World) -> Option<u64> {
    world.keepers.pairings()[0].unanswered_ms
}

/// Lets all channels close.
fn sleep(world: &mut World) {
    world.run(20 * 60_000);
    assert!(!world.keepers.pairings()[0].is_connected);
}

#[test]
fn a_person_sees_the_keys_as_they_are_though_no_channel_is_open() {
    for (seed, by) in [(71, By::Relay), (72, By::Tcp), (73, By::Both)] {
        let mut world = World::new(seed);
        let (peer, _) = world.pair("phone", by);
        sleep(&mut world);
        world.peers[peer].key_name = "other".to_owned();
        assert_eq!(names(&world), ["main"]);
        look(&mut world, Refresh::ForPerson);
        assert_eq!(unanswered_ms(&world), Some(world.now_ms));
        let told = world.run_until(2_000, |it| unanswered_ms(it).is_none());
        assert!(told, "{by:?}");
        assert_eq!(names(&world), ["other"]);
    }
}

#[test]
fn a_person_who_looks_again_asks_again_after_a_pause() {
    let mut world = World::new(74);
    let (peer, _) = world.pair("phone", By::Tcp);
    let before = me_requests(&world, peer);
    let mut look_after = |pause_ms: u64, expected: usize| {
        world.run(pause_ms);
        look(&mut world, Refresh::ForPerson);
        // One round trip and more.
        world.run(100);
        assert_eq!(me_requests(&world, peer) - before, expected, "{pause_ms}");
    };
    look_after(0, 1);
    look_after(0, 1);
    look_after(9_700, 1);
    look_after(200, 2);
    look_after(9_000, 2);
    look_after(1_000, 3);
}

#[test]
fn a_program_that_lists_wakes_nobody() {
    let mut world = World::new(75);
    let (peer, _) = world.pair("phone", By::Both);
    sleep(&mut world);
    let (before, posted) = (me_requests(&world, peer), world.posted.len());
    look(&mut world, Refresh::ForProgram);
    world.run(5_000);
    assert_eq!(me_requests(&world, peer), before);
    assert_eq!(world.posted.len(), posted);
    assert_eq!(unanswered_ms(&world), None, "who is not asked owes nothing");
}

#[test]
fn a_program_that_lists_has_a_connected_keeper_asked_once_a_minute() {
    let mut world = World::new(76);
    let (peer, pairing) = world.pair("phone", By::Tcp);
    let ask = world.ask(pairing, 60);
    world.wait_for(ask).as_ref().unwrap();
    world.run(60_000);
    world.peers[peer].key_name = "other".to_owned();
    let before = me_requests(&world, peer);
    look(&mut world, Refresh::ForProgram);
    for _ in 0..590 {
        world.run(100);
        look(&mut world, Refresh::ForProgram);
    }
    assert_eq!(me_requests(&world, peer), before + 1);
    assert_eq!(names(&world), ["other"]);
    world.run(1_000);
    look(&mut world, Refresh::ForProgram);
    world.run(100);
    assert_eq!(me_requests(&world, peer), before + 2);
}

#[test]
fn who_comes_back_is_asked_at_the_next_look() {
    for (seed, by) in [(77, By::Relay), (78, By::Tcp), (79, By::Both)] {
        let mut world = World::new(seed);
        let (peer, _) = world.pair("phone", by);
        sleep(&mut world);
        world.set_online(peer, false);
        world.peers[peer].key_name = "other".to_owned();
        look(&mut world, Refresh::ForPerson);
        let told = world.run_until(25_000, |it| unanswered_ms(it).is_none());
        assert!(!told, "{by:?}");
        world.set_online(peer, true);
        look(&mut world, Refresh::ForPerson);
        let told = world.run_until(2_000, |it| unanswered_ms(it).is_none());
        assert!(told, "{by:?}");
        assert_eq!(names(&world), ["other"]);
        // An answer that came late closes its chain of receipts like any other.
        world.run(120_000);
        assert!(
            world
                .notices
                .iter()
                .all(|it| !format!("{it:?}").contains("Gap"))
        );
    }
}
