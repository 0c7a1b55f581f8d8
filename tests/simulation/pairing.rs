//! Pairing through storms: stored on both sides or on neither, but for one end
//! that the specification allows.

use keystead_agent::control::KeeperState;

use crate::offers::{OfferEnd, ScanEnd, Words};
use crate::seeds;
use crate::storm::Weather;
use crate::world::{Faults, World};

fn world(seed: u64, authenticators: usize) -> World {
    let mut world = World::new(seed);
    world.add_workstation(20);
    for _ in 0..authenticators {
        let listens = world.below(2) == 0;
        world.add_authenticator(listens);
    }
    world
}

/// Everything that pairing waits for is over: an offer lives 2 minutes, the
/// code 2, the confirmation 1.
const OVER_MS: u64 = 6 * 60_000;

/// How a pairing ended, by what both sides list afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    OnBoth,
    OnNeither,
    /// The confirmation's answer did not arrive in its 60 s, or the workstation
    /// could not store: the authenticator lists the pairing as never used.
    ThereUnused,
}

fn how_it_ended(world: &mut World, authenticator: usize) -> Ended {
    let mut pairings = world.pairings(0, authenticator);
    // A workstation that could not store takes the pairing back until the other side knows.
    pairings
        .here
        .retain(|_, it| it.state != KeeperState::Unpairing);
    let (here, there) = (&pairings.here, &pairings.there);
    match (here.len(), there.len()) {
        (0, 0) => Ended::OnNeither,
        (1, 1) => {
            assert!(here.keys().eq(there.keys()), "{pairings:?}");
            Ended::OnBoth
        }
        (0, 1) => {
            assert!(there.values().all(|used| !used), "{pairings:?}");
            Ended::ThereUnused
        }
        _ => panic!("{pairings:?}"),
    }
}

fn storm(world: &mut World, weather: Weather, steps: usize) {
    world.worsen();
    for _ in 0..steps {
        let calm_ms = world.between_ms(100, 10_000);
        world.run(calm_ms);
        if world.below(4) == 0 {
            world.trouble(weather);
        }
    }
}

fn check(seed: u64, weather: Weather) -> Ended {
    let mut world = world(seed, 1);
    world.offer(0, &[0], Words::BothYes);
    storm(&mut world, weather, 25);
    world.heal();
    world.run(OVER_MS);
    let offer = &world.offers.all[0];
    let (here, there) = (offer.end.clone(), offer.scans[0].end.clone());
    let here = here.expect("keystead pair has no end");
    let ended = how_it_ended(&mut world, 0);
    match (&here, &there, ended) {
        (OfferEnd::Stored(_), Some(ScanEnd::Stored | ScanEnd::Gone), Ended::OnBoth) => {}
        (OfferEnd::Gone, Some(_), Ended::OnBoth) => {}
        (OfferEnd::Stored(_), ..) => panic!("{here:?} {there:?} {ended:?}"),
        (_, Some(ScanEnd::Failed(_)), Ended::OnNeither) => {}
        (OfferEnd::Failed(_) | OfferEnd::Gone, _, Ended::OnNeither | Ended::ThereUnused) => {}
        other => panic!("{other:?}"),
    }
    if ended == Ended::OnBoth {
        let end = world.log_in_to_the_end(0, 0);
        assert_eq!(end, crate::logins::End::Signature);
    }
    ended
}

#[test]
fn a_bad_network_and_a_lying_relay() {
    let mut ends = Vec::new();
    seeds::each(300, |seed| ends.push(check(seed, Weather::Network)));
    assert!(seeds::asked_for().is_some() || ends.contains(&Ended::OnBoth));
}

#[test]
fn everything_goes_wrong() {
    let mut ends = Vec::new();
    seeds::each(400, |seed| ends.push(check(seed, Weather::Everything)));
    assert!(seeds::asked_for().is_some() || ends.contains(&Ended::OnBoth));
}

/// Two authenticators answer one offer: whoever they are, nobody is paired.
#[test]
fn after_two_hellos_nothing_is_stored() {
    seeds::each(200, |seed| {
        let mut world = world(seed, 2);
        world.faults = Faults {
            drop: 4_000,
            repeat: 20_000,
            reorder: 4_000,
            replay: 8_000,
            delay_ms: 300,
            ..Faults::default()
        };
        world.offer(0, &[0, 1], Words::BothYesSlowly);
        world.run(OVER_MS);
        let offer = &world.offers.all[0];
        assert!(
            matches!(offer.end, Some(OfferEnd::Failed(_))),
            "{:?}",
            offer.end
        );
        for scan in &offer.scans {
            assert!(
                matches!(scan.end, Some(ScanEnd::Failed(_))),
                "{:?}",
                scan.end
            );
        }
        for authenticator in 0..2 {
            let ended = how_it_ended(&mut world, authenticator);
            assert_eq!(ended, Ended::OnNeither);
        }
    });
}

#[test]
fn a_no_on_either_side_stores_nothing() {
    seeds::each(100, |seed| {
        for words in [Words::NoHere, Words::NoThere] {
            let mut world = world(seed, 1);
            world.offer(0, &[0], words);
            world.worsen();
            world.run(OVER_MS);
            assert_eq!(how_it_ended(&mut world, 0), Ended::OnNeither);
            assert!(matches!(world.offers.all[0].end, Some(OfferEnd::Failed(_))));
        }
    });
}
