//! `spec/pairing.md` section 2.6, unpairing; and what is on the disk.

use keystead_core::{Name, Outcome};
use keystead_daemon::Disk;
use keystead_keeper::{Event, KeeperError, Notice};

use crate::peer::{Holder, Peer};
use crate::world::{By, World};

fn files(world: &World) -> Vec<String> {
    world.disk.list("pairings").unwrap()
}

#[test]
fn unpairing_here_is_told_and_then_everything_goes() {
    for (seed, by) in [(1, By::Relay), (2, By::Tcp), (3, By::Both)] {
        let mut world = World::new(seed);
        let (peer, pairing) = world.pair("phone", by);
        world.step(Event::Unpair { pairing });
        assert_eq!(world.keepers.keys().count(), 0, "no key from now on");
        let refused = world.ask(pairing, 60);
        assert!(matches!(
            world.answer(refused),
            Some(Err(KeeperError::NoSuchKeeper))
        ));
        assert!(
            world.run_until(10_000, |it| it.keepers.pairings().is_empty()),
            "{by:?}"
        );
        assert_eq!(world.peers[peer].arrived.last(), Some(&5));
        assert!(files(&world).is_empty());
        // Three days both ways, and the offer's one.
        let deleted = if by == By::Tcp { 0 } else { 7 };
        assert_eq!(world.deleted.len(), deleted, "{by:?}");
    }
}

#[test]
fn an_authenticator_that_is_away_is_told_later_after_a_restart_too() {
    let mut world = World::new(4);
    let (peer, pairing) = world.pair("phone", By::Relay);
    world.set_online(peer, false);
    world.step(Event::Unpair { pairing });
    world.run(10 * 60_000);
    assert_eq!(world.keepers.pairings().len(), 1);
    assert!(world.keepers.pairings()[0].is_unpairing);
    let before = world.posted.len();
    world.run(3 * 3_600_000);
    let tries = world.posted.len() - before;
    assert!((3..40).contains(&tries), "a few an hour: {tries}");
    world.restart_agent();
    assert_eq!(world.keepers.keys().count(), 0);
    world.set_online(peer, true);
    assert!(world.run_until(2 * 3_600_000, |it| it.keepers.pairings().is_empty()));
    assert!(files(&world).is_empty());
}

#[test]
fn after_thirty_days_the_keys_go_anyway() {
    let mut world = World::new(5);
    let (peer, pairing) = world.pair("phone", By::Relay);
    world.set_online(peer, false);
    world.step(Event::Unpair { pairing });
    world.run(29 * 86_400_000);
    assert_eq!(files(&world).len(), 1);
    world.run(86_400_000 + 3_600_000);
    assert!(files(&world).is_empty() && world.keepers.pairings().is_empty());
}

#[test]
fn open_questions_end_with_the_pairing() {
    let mut world = World::new(6);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.peers[peer].holder = Holder::Hold;
    let ask = world.ask(pairing, 60);
    world.run(2_000);
    world.step(Event::Unpair { pairing });
    assert!(matches!(
        world.answer(ask),
        Some(Err(KeeperError::NoSuchKeeper))
    ));
}

#[test]
fn the_holder_unpairs_while_a_question_is_open() {
    for (seed, by) in [(7, By::Relay), (8, By::Tcp), (9, By::Both)] {
        let mut world = World::new(seed);
        let (peer, pairing) = world.pair("phone", by);
        world.peers[peer].holder = Holder::Hold;
        let ask = world.ask(pairing, 60);
        world.run(2_000);
        world.on_peer(peer, |it| it.unpair());
        let answer = world.wait_for(ask).as_ref().unwrap();
        assert_eq!(answer.outcome, Outcome::Unpair);
        world.run(1_000);
        assert!(world.keepers.pairings().is_empty() && files(&world).is_empty());
        let name = Name::new("phone").unwrap();
        assert_eq!(world.notices, [Notice::Unpaired { pairing, name }]);
    }
}

#[test]
fn a_workstation_that_was_away_learns_it_from_close_3() {
    let mut world = World::new(10);
    let (peer, pairing) = world.pair("phone", By::Both);
    world.on_peer(peer, |it| it.unpair());
    world.run(60_000);
    assert_eq!(world.keepers.pairings().len(), 1, "nobody has told it yet");
    let ask = world.ask(pairing, 60);
    let ended = world.wait_for(ask);
    assert!(
        matches!(ended, Err(KeeperError::Unpaired { .. })),
        "{ended:?}"
    );
    assert!(files(&world).is_empty());
}

#[test]
fn a_relay_cannot_end_a_pairing() {
    let mut world = World::new(11);
    let (_, pairing) = world.pair("phone", By::Relay);
    let mailboxes: Vec<[u8; 16]> = world.posted.iter().map(|(id, _)| *id).collect();
    for mailbox in mailboxes {
        world.step(Event::Net(keystead_keeper::NetEvent::Gone {
            relay: World::relay(),
            mailbox,
        }));
    }
    let ask = world.ask(pairing, 60);
    assert!(world.wait_for(ask).is_ok());
}

#[test]
fn a_restarted_agent_has_its_pairings_and_names() {
    let mut world = World::new(12);
    let (_, pairing) = world.pair("phone", By::Both);
    let (_, other) = world.pair("tablet", By::Relay);
    let name = Name::new("my phone").unwrap();
    world.step(Event::Rename { pairing, name });
    // A name that another keeper has is refused.
    let name = Name::new("my phone").unwrap();
    world.step(Event::Rename {
        pairing: other,
        name,
    });
    let ask = world.ask(pairing, 60);
    world.wait_for(ask);
    world.run(10_000);
    let before = world.keepers.pairings();
    world.restart_agent();
    let after = world.keepers.pairings();
    let names: Vec<&str> = after.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["my phone", "tablet"]);
    assert!(after[0].is_used && !after[1].is_used);
    assert_eq!(before[0].keys, after[0].keys);
    for pairing in [pairing, other] {
        let ask = world.ask(pairing, 60);
        assert!(world.wait_for(ask).is_ok());
    }
    world.run(60_000);
    assert!(world.notices.is_empty(), "{:?}", world.notices);
}

#[test]
fn a_file_cut_in_half_is_named_and_kept_and_the_others_work() {
    let mut world = World::new(13);
    let (_, broken) = world.pair("phone", By::Both);
    let (_, whole) = world.pair("tablet", By::Relay);
    let file = format!("pairings/{broken}");
    let len = world.disk.read(&file).unwrap().unwrap().len();
    world.disk.cut(&file, len / 2);
    let cut = world.disk.read(&file).unwrap();
    world.restart_agent();
    let Some(Notice::Damaged { file: named, .. }) = world.notices.first() else {
        panic!("{:?}", world.notices);
    };
    assert_eq!((named, world.notices.len()), (&file, 1));
    assert_eq!(world.disk.read(&file).unwrap(), cut, "nothing is lost");
    let ask = world.ask(whole, 60);
    assert!(world.wait_for(ask).is_ok());
    let ask = world.ask(broken, 60);
    assert!(matches!(
        world.answer(ask),
        Some(Err(KeeperError::NoSuchKeeper))
    ));
}

#[test]
fn a_file_under_another_name_is_not_taken() {
    let mut world = World::new(14);
    let (_, pairing) = world.pair("phone", By::Relay);
    let content = world
        .disk
        .read(&format!("pairings/{pairing}"))
        .unwrap()
        .unwrap();
    world.disk.plant("pairings/0000000000000000", &content);
    world.disk.plant("pairings/README", b"not a pairing");
    world.restart_agent();
    assert_eq!(world.notices.len(), 2, "{:?}", world.notices);
    assert_eq!(world.keepers.pairings().len(), 1);
}

#[test]
fn a_full_disk_stops_no_answer() {
    let mut world = World::new(15);
    let (_, pairing) = world.pair("phone", By::Both);
    world.disk.faults.full_above_bytes = Some(0);
    let ask = world.ask(pairing, 60);
    assert!(world.wait_for(ask).is_ok());
    world.run(10_000);
    let told = |it: &&Notice| matches!(it, Notice::NotSaved { .. });
    assert_eq!(world.notices.iter().filter(told).count(), 1);
    world.disk.faults.full_above_bytes = None;
    world.run(70_000);
    world.restart_agent();
    assert!(world.keepers.pairings()[0].is_used, "written later");
}

#[test]
fn a_file_that_cannot_be_removed_is_no_pairing_any_more() {
    for restarts in [false, true] {
        let mut world = World::new(21);
        let (peer, pairing) = world.pair("phone", By::Relay);
        world.disk.faults.fail_remove = true;
        world.on_peer(peer, Peer::unpair);
        let ask = world.ask(pairing, 60);
        assert!(matches!(
            world.wait_for(ask),
            Err(KeeperError::Unpaired { .. })
        ));
        assert_eq!(files(&world).len(), 1);
        if restarts {
            world.restart_agent();
        }
        assert_eq!(
            world.keepers.keys().count(),
            0,
            "no key of an ended pairing"
        );
        let refused = world.ask(pairing, 60);
        assert!(matches!(
            world.wait_for(refused),
            Err(KeeperError::NoSuchKeeper)
        ));
        world.disk.faults.fail_remove = false;
        let is_gone = |it: &World| it.keepers.pairings().is_empty();
        assert!(world.run_until(2 * 60_000, is_gone), "{restarts}");
        assert!(files(&world).is_empty());
    }
}
