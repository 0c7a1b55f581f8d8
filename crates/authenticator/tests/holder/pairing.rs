//! Pairing, and its end from either side.

use keystead_authenticator::control::{Command, Reply};
use keystead_authenticator::holder::{Decide, Event};
use keystead_channel::curve::CloseCode;
use keystead_channel::link::LinkEnd;
use keystead_core::{Outcome, RequestBody, Secret};
use keystead_transport::{NetAction, NetEvent};

use crate::login::Host;
use crate::world::{CALLER, Workstation, World, offer};

fn me() -> RequestBody {
    RequestBody::Me {
        nonce_c: Some([9; 16]),
    }
}

fn confirm() -> RequestBody {
    RequestBody::Confirm {
        pair_key: Secret::fill(|bytes| bytes.fill(5)),
    }
}

fn pairing_files(world: &World) -> usize {
    world
        .disk
        .files()
        .filter(|(name, _)| name.starts_with("pairings/"))
        .count()
}

#[test]
fn both_say_yes_and_it_is_stored() {
    let mut world = World::new(Decide::Ask);
    let mut laptop = Workstation::greet(&mut world, false);
    let asked = laptop.ask(&mut world, me());
    assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Ack]);
    let Some(Reply::Code { workstation, .. }) = world.replies.pop() else {
        panic!("no code")
    };
    assert_eq!(workstation, "laptop");
    // Too early: the holder has not said yes.
    let early = laptop.ask(&mut world, confirm());
    assert_eq!(laptop.outcomes(&mut world, &early), [Outcome::Refuse]);
    assert_eq!(pairing_files(&world), 0);
    world.command(Command::PairDecide { same: true });
    assert_eq!(
        laptop.outcomes(&mut world, &asked),
        [Outcome::Ack, Outcome::Approve]
    );
    // Only what makes the pairing may be asked.
    let sign = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcomes(&mut world, &sign), [Outcome::Refuse]);
    let stored = laptop.ask(&mut world, confirm());
    assert_eq!(laptop.outcomes(&mut world, &stored), [Outcome::Approve]);
    assert_eq!(pairing_files(&world), 1);
    assert!(!matches!(world.replies.last(), Some(Reply::Done { .. })));
    laptop.close(&mut world, CloseCode::Done);
    assert_eq!(
        world.replies.pop(),
        Some(Reply::Done {
            line: "paired with laptop".into()
        })
    );
    let status = world.holder.status();
    assert!(!status.pairings[0].used);
    // A channel alone may be there to end it; a request uses it.
    let mut later = laptop.connect(&mut world);
    assert!(!world.holder.status().pairings[0].used);
    let sign = later.log_in(&mut world, &Host::new(5));
    assert_eq!(later.outcomes(&mut world, &sign), [Outcome::Ack]);
    assert!(world.holder.status().pairings[0].used);
    world.restart();
    assert!(world.holder.status().pairings[0].used);
}

#[test]
fn an_end_that_could_not_be_written_is_no_use() {
    let (mut world, laptop) = World::paired(Decide::Ask);
    let mut later = laptop.connect(&mut world);
    world.disk.faults.fail_sync = true;
    let asked = later.ask(&mut world, RequestBody::Unpair);
    assert_eq!(later.outcome(&mut world, &asked), Some(Outcome::Busy));
    world.disk.faults.fail_sync = false;
    assert!(!world.holder.status().pairings[0].used);
}

/// Two authenticators answered one offer, and the second one was heard after this one had stored.
#[test]
fn a_workstation_that_aborts_after_the_confirm_leaves_no_half_pairing() {
    let mut world = World::new(Decide::Ask);
    let mut laptop = Workstation::greet(&mut world, true);
    laptop.ask(&mut world, me());
    let stored = laptop.ask(&mut world, confirm());
    assert_eq!(laptop.outcomes(&mut world, &stored), [Outcome::Approve]);
    assert_eq!(pairing_files(&world), 1);
    laptop.close(&mut world, CloseCode::PairingAborted);
    assert_eq!(pairing_files(&world), 0);
    assert!(world.holder.status().pairings.is_empty());
    assert!(!world.holder.is_pairing());
    assert!(matches!(world.replies.pop(), Some(Reply::Failed { .. })));
    assert_eq!(world.log().last().unwrap().kind, "unpair");
}

#[test]
fn a_workstation_that_lost_the_ack_gets_it_before_the_answer() {
    let mut world = World::new(Decide::Ask);
    let mut laptop = Workstation::greet(&mut world, false);
    let asked = laptop.ask(&mut world, me());
    world.command(Command::PairDecide { same: true });
    // Neither came through; on a new channel it asks again. Without the nonce it has no code.
    let mut again = laptop.connect(&mut world);
    again.send(&mut world, &asked.bytes);
    assert_eq!(
        again.outcomes(&mut world, &asked),
        [Outcome::Ack, Outcome::Approve]
    );
    laptop.step(&mut world);
    assert_eq!(again.final_bytes(&asked), laptop.final_bytes(&asked));
    assert_eq!(again.first_bytes(&asked), laptop.first_bytes(&asked));
}

#[test]
fn a_no_stores_nothing_and_says_so_to_both() {
    let mut world = World::new(Decide::Ask);
    let mut laptop = Workstation::greet(&mut world, false);
    let asked = laptop.ask(&mut world, me());
    world.command(Command::PairDecide { same: false });
    assert_eq!(
        laptop.outcomes(&mut world, &asked),
        [Outcome::Ack, Outcome::Refuse]
    );
    assert_eq!(
        laptop.ended,
        Some(LinkEnd::Closed(CloseCode::PairingAborted))
    );
    assert_eq!(pairing_files(&world), 0);
    assert!(world.holder.status().pairings.is_empty());
    assert!(!world.holder.is_pairing());
}

#[test]
fn nobody_answers_the_hello() {
    let mut world = World::new(Decide::Ask);
    let (_, offer) = offer(&mut world.rng);
    world.command(Command::Pair {
        link: offer.link(),
        yes: true,
    });
    for _ in 0..5 {
        let link = world.net.iter().rev().find_map(|it| match it {
            NetAction::Dial { link, .. } => Some(*link),
            _ => None,
        });
        let reason = "refused".to_owned();
        world.event(Event::Net(NetEvent::DialFailed {
            link: link.unwrap(),
            reason,
        }));
        world.advance_s(5);
    }
    let dials = world
        .net
        .iter()
        .filter(|it| matches!(it, NetAction::Dial { .. }))
        .count();
    assert_eq!(dials, 6, "dialled again every 5 s");
    world.advance_s(5);
    let Some(Reply::Failed { message, .. }) = world.replies.pop() else {
        panic!("no end")
    };
    assert_eq!(message, "pairing failed: the workstation did not answer");
}

#[test]
fn the_time_for_the_code_ends() {
    let mut world = World::new(Decide::Ask);
    let mut laptop = Workstation::greet(&mut world, false);
    let asked = laptop.ask(&mut world, me());
    world.advance_s(120);
    assert_eq!(
        laptop.outcomes(&mut world, &asked),
        [Outcome::Ack, Outcome::Expire]
    );
    assert_eq!(pairing_files(&world), 0);
}

#[test]
fn another_nonce_ends_it() {
    let mut world = World::new(Decide::Ask);
    let mut laptop = Workstation::greet(&mut world, false);
    laptop.ask(&mut world, me());
    laptop.ask(
        &mut world,
        RequestBody::Me {
            nonce_c: Some([10; 16]),
        },
    );
    laptop.step(&mut world);
    assert_eq!(
        laptop.ended,
        Some(LinkEnd::Closed(CloseCode::PairingAborted))
    );
    let Some(Reply::Failed { message, .. }) = world.replies.pop() else {
        panic!("no end")
    };
    assert_eq!(message, "pairing failed: the workstation changed its nonce");
}

#[test]
fn the_command_that_began_it_goes_away() {
    let mut world = World::new(Decide::Ask);
    let mut laptop = Workstation::greet(&mut world, false);
    laptop.ask(&mut world, me());
    world.event(Event::Gone(CALLER));
    laptop.step(&mut world);
    assert_eq!(
        laptop.ended,
        Some(LinkEnd::Closed(CloseCode::PairingAborted))
    );
    assert!(!world.holder.is_pairing());
}

#[test]
fn a_full_disk_leaves_no_half_pairing() {
    for free in (0..3_000).step_by(111) {
        let mut world = World::new(Decide::Ask);
        let mut laptop = Workstation::greet(&mut world, true);
        let used: usize = world.disk.files().map(|(_, content)| content.len()).sum();
        world.disk.faults.full_above_bytes = Some(used + free);
        laptop.ask(&mut world, me());
        laptop.step(&mut world);
        if laptop.ended.is_none() {
            let stored = laptop.ask(&mut world, confirm());
            let outcomes = laptop.outcomes(&mut world, &stored);
            if outcomes == [Outcome::Approve] {
                assert_eq!(pairing_files(&world), 1);
                continue;
            }
        }
        assert_eq!(pairing_files(&world), 0, "{free} bytes free");
        assert!(world.holder.status().pairings.is_empty());
        assert!(
            matches!(world.replies.last(), Some(Reply::Failed { .. })),
            "{free} bytes free"
        );
    }
}

#[test]
fn ended_by_the_workstation() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let waiting = laptop.log_in(&mut world, &Host::new(5));
    let asked = laptop.ask(&mut world, RequestBody::Unpair);
    assert_eq!(
        laptop.outcomes(&mut world, &waiting),
        [Outcome::Ack, Outcome::Unpair]
    );
    assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Approve]);
    assert_eq!(laptop.ended, Some(LinkEnd::Closed(CloseCode::Unpaired)));
    revoked_for_30_days(world, &laptop);
}

#[test]
fn ended_by_the_holder() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let waiting = laptop.log_in(&mut world, &Host::new(5));
    let reply = world.command(Command::Unpair {
        workstation: "laptop".into(),
    });
    assert!(matches!(reply, Some(Reply::Done { .. })), "{reply:?}");
    assert_eq!(
        laptop.outcomes(&mut world, &waiting),
        [Outcome::Ack, Outcome::Unpair]
    );
    assert_eq!(laptop.ended, Some(LinkEnd::Closed(CloseCode::Unpaired)));
    revoked_for_30_days(world, &laptop);
}

fn revoked_for_30_days(mut world: World, laptop: &Workstation) {
    for days in [0, 29] {
        world.now.unix_s += days * 86_400;
        world.restart();
        let again = laptop.connect(&mut world);
        assert_eq!(
            again.ended,
            Some(LinkEnd::Closed(CloseCode::Unpaired)),
            "after {days} days"
        );
        assert_eq!(pairing_files(&world), 1);
    }
    world.advance_s(86_400);
    assert_eq!(pairing_files(&world), 0, "wiped after 30 days");
    let again = laptop.connect(&mut world);
    assert_eq!(again.ended, None, "nobody answers");
}
