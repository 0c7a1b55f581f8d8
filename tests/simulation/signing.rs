//! Logins through storms: answered once and in time, approved before they are
//! signed, asked once, signed once; and all comes back by itself.

use crate::authenticator::Mood;
use crate::logins::End;
use crate::machine::Death;
use crate::seeds;
use crate::storm::Weather;
use crate::world::World;

/// Two workstations, two authenticators, three pairings: what lies and replays
/// must not cross from one to another.
fn paired(seed: u64) -> (World, Vec<(usize, usize)>) {
    let mut world = World::new(seed);
    let waits_s = [5, 20, 60];
    for _ in 0..2 {
        let wait_s = waits_s[world.below(waits_s.len())];
        world.add_workstation(wait_s);
        let listens = world.below(2) == 0;
        world.add_authenticator(listens);
    }
    let pairs = vec![(0, 0), (1, 1), (0, 1)];
    for (workstation, authenticator) in &pairs {
        world.pair(*workstation, *authenticator);
    }
    for it in &mut world.authenticators {
        it.person.mood = Mood::Anyhow;
    }
    (world, pairs)
}

fn storm(world: &mut World, pairs: &[(usize, usize)], weather: Weather, steps: usize) {
    world.worsen();
    for _ in 0..steps {
        let calm_ms = world.between_ms(100, 6_000);
        world.run(calm_ms);
        if world.below(3) == 0 {
            world.trouble(weather);
        }
        let (workstation, authenticator) = pairs[world.below(pairs.len())];
        let count = 1 + world.below(3) / 2;
        let site = crate::machine::Site::Workstation(workstation);
        if world.machine(site).is_awake(world.now_ms) {
            world.log_in(workstation, authenticator, count);
        }
        if world.below(8) == 0 {
            let programs = world.logins.programs();
            let program = world.below(programs.len());
            if let Some(program) = programs.get(program) {
                world.hang_up_program(*program);
            }
        }
    }
}

pub(crate) fn check(seed: u64, weather: Weather, steps: usize) -> World {
    let (mut world, pairs) = paired(seed);
    storm(&mut world, &pairs, weather, steps);
    world.heal();
    assert_eq!(world.logins.open(), 0, "somebody still waits");
    world.check_ends();
    for (workstation, authenticator) in pairs {
        let end = world.log_in_to_the_end(workstation, authenticator);
        assert_eq!(end, End::Signature, "{workstation} at {authenticator}");
    }
    world
}

#[test]
fn a_bad_network_and_a_lying_relay() {
    seeds::each(200, |seed| {
        check(seed, Weather::Network, 30);
    });
}

#[test]
fn everything_goes_wrong() {
    seeds::each(300, |seed| {
        check(seed, Weather::Everything, 30);
    });
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    seeds::each(10, |seed| {
        let traces = [(); 2].map(|()| check(seed, Weather::Everything, 20).trace());
        assert_eq!(traces[0], traces[1]);
        assert_ne!(
            traces[0],
            check(seed + 1_000, Weather::Everything, 5).trace()
        );
    });
}

#[test]
fn after_a_refusal_or_silence_nothing_is_signed() {
    seeds::each(60, |seed| {
        for mood in [Mood::Refuses, Mood::Ignores] {
            let (mut world, pairs) = paired(seed);
            for it in &mut world.authenticators {
                it.person.mood = mood;
            }
            world.worsen();
            for (workstation, authenticator) in &pairs {
                let end = world.log_in_to_the_end(*workstation, *authenticator);
                assert_eq!(end, End::Failure);
            }
            assert_eq!(world.logins.count(End::Signature), 0);
            assert!(
                world
                    .authenticators
                    .iter()
                    .all(|it| it.approved_ms.is_empty())
            );
        }
    });
}

/// The authenticator dies at every moment of one login, one moment a run.
#[test]
fn an_authenticator_that_dies_at_any_moment_of_a_login() {
    let mut signatures = 0;
    seeds::each(60, |seed| {
        let (mut world, _) = paired(seed % 3);
        world.authenticators[0].person.mood = Mood::Approves;
        world.log_in(0, 0, 1);
        let until_ms = 1 + seed * 170;
        world.run(until_ms);
        let death = [Death::Process, Death::Power][usize::try_from(seed % 2).unwrap()];
        world.kill_holder(0, death, 500);
        world.run_until(100_000, |it| it.logins.open() == 0);
        assert_eq!(world.logins.open(), 0);
        world.check_ends();
        signatures += world.logins.count(End::Signature);
    });
    let is_whole = seeds::asked_for().is_none();
    assert!(
        signatures > 0 || !is_whole,
        "no run got as far as a signature"
    );
}
