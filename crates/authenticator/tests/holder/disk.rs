//! A full or broken disk: no entry, no signature; nothing half done.

use keystead_authenticator::holder::Decide;
use keystead_authenticator::journal::LOG_FILE;
use keystead_core::Outcome;
use keystead_daemon::Disk;

use crate::login::Host;
use crate::world::World;

fn used(world: &World) -> usize {
    world.disk.files().map(|(_, content)| content.len()).sum()
}

#[test]
fn no_entry_no_signature_at_every_size_of_a_full_disk() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let before = world.log().len();
    let room = used(&world);
    for free in (0..2_000).step_by(97) {
        world.disk.faults.full_above_bytes = Some(room + free);
        let asked = laptop.log_in(&mut world, &Host::new(5));
        let outcome = laptop.outcome(&mut world, &asked).unwrap();
        if outcome == Outcome::Approve {
            assert!(free > 500, "an entry does not fit {free} bytes");
            break;
        }
        assert_eq!(outcome, Outcome::Busy);
        assert!(laptop.final_response(&asked).unwrap().body.is_none());
        assert_eq!(world.log().len(), before);
    }
    assert_eq!(
        world
            .said
            .iter()
            .filter(|it| it.contains("log cannot be written"))
            .count(),
        1
    );
    world.disk.faults.full_above_bytes = None;
    let asked = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    assert!(
        world
            .said
            .iter()
            .any(|it| it == "the log can be written again")
    );
    world.restart();
}

#[test]
fn a_disk_that_does_not_sync_signs_nothing() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    world.disk.faults.fail_sync = true;
    let asked = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Busy));
}

#[test]
fn an_answer_that_left_survives_the_loss_of_power() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let asked = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    world.disk.crash();
    world.restart();
    assert!(
        world
            .log()
            .iter()
            .any(|it| it.request_id == Some(asked.id.to_string()))
    );
}

#[test]
fn every_state_file_cut_in_half_is_named_and_left_alone() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    laptop.log_in(&mut world, &Host::new(5));
    let whole = world.disk.clone();
    let files: Vec<(String, usize)> = whole
        .files()
        .map(|(name, content)| (name.to_owned(), content.len()))
        .collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for (name, len) in files.iter().filter(|(name, _)| name != LOG_FILE) {
        let mut disk = whole.clone();
        disk.cut(name, len / 2);
        let cut = disk.read(name).unwrap();
        let error = load(&mut world, &mut disk).unwrap_err();
        assert!(
            error.starts_with(&format!("the state file {name} is damaged")),
            "{error}"
        );
        assert_eq!(disk.read(name).unwrap(), cut);
    }
}

fn load(world: &mut World, disk: &mut keystead_daemon::MemoryDisk) -> Result<(), String> {
    use keystead_authenticator::holder::{Holder, Options};
    let mut io = keystead_daemon::Io {
        rng: &mut world.rng,
        disk,
    };
    let options = Options {
        decide: Decide::Ask,
        listen: Vec::new(),
        ..Options::default()
    };
    let loaded = Holder::load(world.now, options, &mut io);
    loaded.map(|_| ()).map_err(|error| error.to_string())
}
