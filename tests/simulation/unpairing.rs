//! Unpairing: either side says so, the other learns it, and the keys are gone.

use keystead_agent::ClientId;
use keystead_agent::control::Command;
use keystead_authenticator::control::Command as Order;
use keystead_authenticator::holder::Caller;
use keystead_daemon::MemoryDisk;

use crate::authenticator::Mood;
use crate::logins::End;
use crate::machine::Death;
use crate::seeds;
use crate::storm::Weather;
use crate::world::World;

/// Nobody reads the replies to these.
const CLIENT: ClientId = ClientId(u64::MAX - 1);
const CALLER: Caller = Caller(u64::MAX);

/// A workstation tells an authenticator that was away each hour.
const TOLD_MS: u64 = 61 * 60_000;

/// So long an authenticator tells a workstation that its pairing has ended.
const REVOKED_S: i64 = 31 * 86_400;

fn paired(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add_workstation(20);
    let listens = world.below(2) == 0;
    world.add_authenticator(listens);
    world.pair(0, 0);
    world
}

/// A few logins while the weather is bad.
fn storm(world: &mut World, steps: usize) {
    for _ in 0..steps {
        let calm_ms = world.between_ms(100, 8_000);
        world.run(calm_ms);
        if world.below(3) == 0 {
            world.trouble(Weather::Network);
        }
        world.log_in(0, 0, 1);
    }
}

/// The power fails on both machines: an end that was said is not taken back.
fn restart(world: &mut World) {
    world.kill_agent(0, Death::Power, 400);
    world.kill_holder(0, Death::Power, 300);
    world.run(1_000);
}

fn files_of_pairings(disk: &MemoryDisk) -> Vec<&str> {
    let names = disk.files().map(|(name, _)| name);
    names
        .filter(|it| it.starts_with("pairings/") || it.ends_with(".pub"))
        .collect()
}

/// After healing: nothing on the workstation, nothing in use at the other side.
fn check_gone(world: &mut World) {
    assert_eq!(world.logins.open(), 0, "somebody still waits");
    let pairings = world.pairings(0, 0);
    assert!(pairings.here.is_empty(), "{pairings:?}");
    assert!(pairings.there.is_empty(), "{pairings:?}");
    let left = files_of_pairings(&world.workstations[0].machine.disk);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(world.log_in_to_the_end(0, 0), End::Failure);
    world.authenticators[0].machine.ahead_s = REVOKED_S;
    world.run(60_000);
    let left = files_of_pairings(&world.authenticators[0].machine.disk);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn from_the_workstation() {
    seeds::each(200, |seed| {
        let mut world = paired(seed);
        world.worsen();
        storm(&mut world, 5);
        let keeper = world.status(0).keepers[0].id.clone();
        let before = world.logins.count(End::Signature);
        world.command_agent(0, CLIENT, &Command::UnpairKeeper { keeper });
        restart(&mut world);
        storm(&mut world, 5);
        assert_eq!(world.logins.count(End::Signature), before);
        world.heal();
        world.run(TOLD_MS);
        restart(&mut world);
        check_gone(&mut world);
    });
}

#[test]
fn from_the_authenticator() {
    seeds::each(200, |seed| {
        let mut world = paired(seed);
        world.worsen();
        storm(&mut world, 5);
        let workstation = "laptop-0".to_owned();
        world.authenticators[0].person.mood = Mood::Approves;
        world.command_holder(0, CALLER, Order::Unpair { workstation });
        let before = world.authenticators[0].approved_ms.len();
        restart(&mut world);
        storm(&mut world, 5);
        world.heal();
        // The next request finds out, if nothing else did.
        world.log_in_to_the_end(0, 0);
        assert_eq!(world.authenticators[0].approved_ms.len(), before);
        restart(&mut world);
        check_gone(&mut world);
    });
}
