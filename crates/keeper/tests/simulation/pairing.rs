//! `spec/pairing.md` section 2.

use keystead_channel::curve::CloseCode;
use keystead_channel::pairing::PairError as Protocol;
use keystead_core::TransportAddress;
use keystead_daemon::Disk;
use keystead_keeper::{Event, Notice, PairError, PairingProgress};

use crate::peer::Holder;
use crate::world::{By, World};

fn files(world: &World) -> Vec<String> {
    world.disk.list("pairings").unwrap()
}

/// An authenticator that is about to scan by relay.
fn peer(world: &mut World, name: &str) -> usize {
    let peer = world.add_peer(name);
    let way = TransportAddress::Relay(World::relay().to_string());
    world.peers[peer].transports.push(way);
    peer
}

fn protocol(world: &World) -> Option<Protocol> {
    match world.pair_error() {
        Some(PairError::Protocol(error)) => Some(*error),
        _ => None,
    }
}

#[test]
fn both_sides_show_one_code_and_store_after_both_confirm() {
    for (seed, by) in [(1, By::Relay), (2, By::Tcp), (3, By::Both)] {
        let mut world = World::new(seed);
        let (peer, pairing) = world.pair("phone", by);
        assert_eq!(files(&world), [pairing.to_string()], "{by:?}");
        assert!(world.peers[peer].paired.is_some());
        assert_eq!(world.peers[peer].closes, [CloseCode::Done], "{by:?}");
        let views = world.keepers.pairings();
        assert_eq!(views.len(), 1);
        assert!(!views[0].is_used, "no channel has used it yet");
        assert_eq!(views[0].keys.len(), 1);
        assert!(world.listening.is_empty(), "the door is closed");
        // A channel of the pairing, in its own mailboxes or over its own address.
        let ask = world.ask(pairing, 60);
        assert!(world.wait_for(ask).is_ok(), "{by:?}");
        assert!(world.keepers.pairings()[0].is_used);
    }
}

#[test]
fn nothing_is_stored_before_both_said_yes() {
    let mut world = World::new(4);
    let peer = peer(&mut world, "phone");
    world.peers[peer].confirms = false;
    let link = world.offer(By::Relay);
    world.scan(peer, &link);
    assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
    world.step(Event::PairConfirm);
    let waits = |it: &PairingProgress| matches!(it, PairingProgress::WaitingForHolder);
    assert!(world.pairing.iter().any(waits));
    world.run(30_000);
    assert!(files(&world).is_empty() && world.stored().is_none());
    world.on_peer(peer, |it| it.confirm());
    assert!(world.run_until(5_000, |it| it.stored().is_some()));
    assert_eq!(files(&world).len(), 1);
}

#[test]
fn the_holder_first_and_the_workstation_after_works_too() {
    let mut world = World::new(5);
    let peer = peer(&mut world, "phone");
    let link = world.offer(By::Relay);
    world.scan(peer, &link);
    world.run(40_000);
    assert!(world.stored().is_none() && world.peers[peer].paired.is_none());
    world.step(Event::PairConfirm);
    assert!(world.run_until(5_000, |it| it.stored().is_some()));
}

#[test]
fn an_offer_lives_two_minutes() {
    let mut world = World::new(6);
    let peer = peer(&mut world, "phone");
    let link = world.offer(By::Relay);
    world.run(119_000);
    assert!(world.pair_error().is_none());
    world.run(1_100);
    assert_eq!(protocol(&world), Some(Protocol::OfferExpired));
    // Who comes late finds nobody.
    world.scan(peer, &link);
    world.run(40_000);
    assert!(world.shown_code().is_none() && world.peers[peer].code.is_none());
}

#[test]
fn a_code_lives_two_minutes() {
    let mut world = World::new(7);
    let peer = peer(&mut world, "phone");
    world.peers[peer].confirms = false;
    let link = world.offer(By::Relay);
    world.scan(peer, &link);
    assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
    world.run(121_000);
    assert_eq!(protocol(&world), Some(Protocol::CodeExpired));
    assert_eq!(world.peers[peer].closes, [CloseCode::PairingAborted]);
    assert!(files(&world).is_empty());
}

#[test]
fn two_authenticators_for_one_offer_end_it_with_close_4() {
    for (seed, by) in [(8, By::Relay), (9, By::Tcp), (10, By::Both)] {
        let mut world = World::new(seed);
        let first = peer(&mut world, "phone");
        let second = peer(&mut world, "thief");
        let link = world.offer(by);
        world.scan(first, &link);
        assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
        world.scan(second, &link);
        assert!(
            world.run_until(1_000, |it| it.pair_error().is_some()),
            "{by:?}"
        );
        assert_eq!(protocol(&world), Some(Protocol::Race), "{by:?}");
        world.run(1_000);
        assert_eq!(world.peers[first].closes, [CloseCode::PairingAborted]);
        world.step(Event::PairConfirm);
        world.run(10_000);
        assert!(files(&world).is_empty() && world.stored().is_none());
    }
}

#[test]
fn repeats_of_a_hello_are_no_race() {
    let mut world = World::new(11);
    let peer = peer(&mut world, "phone");
    world.faults.repeat = 255;
    let link = world.offer(By::Both);
    world.scan(peer, &link);
    assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
    world.step(Event::PairConfirm);
    assert!(
        world.run_until(5_000, |it| it.stored().is_some()),
        "{:?}",
        world.pairing
    );
}

#[test]
fn a_refusal_and_a_cancel_store_nothing() {
    let mut world = World::new(12);
    let first = peer(&mut world, "phone");
    world.peers[first].confirms = false;
    let link = world.offer(By::Relay);
    world.scan(first, &link);
    assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
    world.on_peer(first, |it| it.decide(keystead_core::Outcome::Refuse));
    assert!(world.run_until(5_000, |it| it.pair_error().is_some()));
    assert!(matches!(world.pair_error(), Some(PairError::Refused)));

    let second = peer(&mut world, "tablet");
    world.peers[second].confirms = false;
    let link = world.offer(By::Relay);
    world.scan(second, &link);
    assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
    world.step(Event::PairCancel);
    assert!(matches!(world.pair_error(), Some(PairError::Cancelled)));
    world.run(1_000);
    assert_eq!(world.peers[second].closes, [CloseCode::PairingAborted]);
    assert!(files(&world).is_empty());
}

#[test]
fn a_new_offer_ends_the_old_one() {
    let mut world = World::new(13);
    let old = world.offer(By::Relay);
    let new = world.offer(By::Relay);
    assert_ne!(old, new);
    let peer = peer(&mut world, "phone");
    world.scan(peer, &old);
    world.run(20_000);
    assert!(world.shown_code().is_none());
}

#[test]
fn an_unanswered_confirm_is_repeated_and_then_given_up() {
    let mut world = World::new(14);
    let first = peer(&mut world, "phone");
    let link = world.offer(By::Relay);
    world.scan(first, &link);
    assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
    world.run(500);
    world.set_online(first, false);
    world.step(Event::PairConfirm);
    world.run(59_000);
    assert!(world.pair_error().is_none(), "{:?}", world.pairing);
    world.run(1_500);
    assert_eq!(protocol(&world), Some(Protocol::ConfirmExpired));
    assert!(files(&world).is_empty());

    // The same with an authenticator that is back in time: a new channel, the same bytes.
    let tablet = peer(&mut world, "tablet");
    let link = world.offer(By::Relay);
    world.scan(tablet, &link);
    assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
    world.run(500);
    world.set_online(tablet, false);
    world.step(Event::PairConfirm);
    world.run(30_000);
    world.set_online(tablet, true);
    assert!(
        world.run_until(25_000, |it| it.stored().is_some()),
        "{:?}",
        world.pairing
    );
    assert!(world.peers[tablet].channels_opened > 1);
    assert_eq!(files(&world).len(), 1);
}

#[test]
fn a_full_disk_leaves_no_half_pairing() {
    let mut world = World::new(15);
    let peer = peer(&mut world, "phone");
    let link = world.offer(By::Relay);
    world.scan(peer, &link);
    assert!(world.run_until(5_000, |it| it.shown_code().is_some()));
    world.disk.faults.full_above_bytes = Some(10);
    world.step(Event::PairConfirm);
    assert!(world.run_until(5_000, |it| it.pair_error().is_some()));
    assert!(matches!(
        world.pair_error(),
        Some(PairError::NotStored { .. })
    ));
    let told = |it: &Notice| matches!(it, Notice::NotSaved { .. });
    assert!(world.notices.iter().any(told));
    world.peers[peer].leave_offer();
    // The authenticator had stored it, and is told that it is nothing.
    assert!(world.run_until(60_000, |it| it.keepers.pairings().is_empty()));
    assert_eq!(world.peers[peer].arrived.last(), Some(&5), "unpair_request");
    assert!(files(&world).is_empty());
}

#[test]
fn several_authenticators_have_names_of_their_own() {
    let mut world = World::new(16);
    let (_, first) = world.pair("phone", By::Relay);
    let (_, second) = world.pair("phone", By::Tcp);
    let (_, third) = world.pair("tablet", By::Both);
    let views = world.keepers.pairings();
    let names: Vec<&str> = views.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["phone", "phone 2", "tablet"]);
    for pairing in [first, second, third] {
        let ask = world.ask(pairing, 60);
        assert!(world.wait_for(ask).is_ok());
    }
}

#[test]
fn strangers_at_the_door_are_hung_up_on() {
    let mut world = World::new(17);
    let stranger = world.add_peer("stranger");
    world.offer(By::Tcp);
    let silent = world.dial_in(stranger);
    let garbage = world.dial_in(stranger);
    world.inject(garbage, b"GET / HTTP/1.1\r\n");
    world.run(100);
    assert!(!world.holds(garbage) && world.holds(silent));
    world.run(5_000);
    assert!(!world.holds(silent), "5 s for a hello");
    let many: Vec<_> = (0..17).map(|_| world.dial_in(stranger)).collect();
    world.run(100);
    assert!(!world.holds(many[0]), "the oldest makes room");
    assert!(many[1..].iter().all(|link| world.holds(*link)));
    // A hello of the right size by who does not know the secret.
    let mut forged = vec![0, 154, 0x10];
    forged.resize(156, 7);
    world.inject(many[5], &forged);
    world.run(100);
    assert!(!world.holds(many[5]) && world.keepers.is_pairing());
}

#[test]
fn without_a_relay_and_an_address_there_is_no_offer() {
    let mut world = World::new(18);
    world.step(Event::PairStart {
        own_name: keystead_core::Name::new("laptop").unwrap(),
        relay: None,
        addresses: Vec::new(),
    });
    assert!(matches!(
        world.pair_error(),
        Some(PairError::NoAddress { .. })
    ));
}

#[test]
fn an_authenticator_that_says_hello_and_nothing_more_is_not_waited_for() {
    let mut world = World::new(19);
    let peer = peer(&mut world, "phone");
    let link = world.offer(By::Relay);
    world.scan(peer, &link);
    world.set_online(peer, false);
    world.run(61_000);
    assert!(matches!(world.pair_error(), Some(PairError::Silent)));
}

#[test]
fn the_secret_key_and_the_offer_s_secrets_are_nowhere_to_be_seen() {
    let mut world = World::new(20);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.peers[peer].holder = Holder::Approve;
    let ask = world.ask(pairing, 60);
    assert!(world.wait_for(ask).is_ok());
    let pair_key = world.peers[peer].paired.as_ref().unwrap().pair_key.expose();
    let on_disk: Vec<&[u8]> = world.disk.files().map(|(_, content)| content).collect();
    let digits: String = pair_key.iter().map(|it| format!("{it:02x}")).collect();
    let holds = |content: &[u8], what: &[u8]| content.windows(what.len()).any(|it| it == what);
    assert!(
        on_disk.iter().any(|it| holds(it, digits.as_bytes())),
        "the control"
    );
    assert!(!holds(&world.sent, pair_key), "pair_key on the wire");
    let said = format!(
        "{:?} {:?} {:?}",
        world.pairing, world.progress, world.notices
    );
    assert!(!said.contains(&digits));
}
