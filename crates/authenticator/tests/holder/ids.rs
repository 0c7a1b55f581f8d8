//! Same id, same answer; and what is too late or unreadable.

use keystead_authenticator::entry::Entry;
use keystead_authenticator::holder::Decide;
use keystead_authenticator::journal::LOG_FILE;
use keystead_channel::curve::CloseCode;
use keystead_channel::link::LinkEnd;
use keystead_core::{Decision, Outcome, RequestBody, ResponseBody};
use keystead_daemon::{Disk, Sync};

use crate::login::{Host, login};
use crate::world::World;

#[test]
fn the_same_bytes_join_the_question_and_get_the_same_answer() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let asked = laptop.log_in(&mut world, &Host::new(5));
    let mut other = laptop.connect(&mut world);
    other.send(&mut world, &asked.bytes);
    laptop.send(&mut world, &asked.bytes);
    assert_eq!(world.questions.len(), 1);
    assert_eq!(
        laptop.outcomes(&mut world, &asked),
        [Outcome::Ack, Outcome::Ack]
    );
    assert_eq!(other.outcomes(&mut world, &asked), [Outcome::Ack]);
    world.decide(Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    assert_eq!(other.outcome(&mut world, &asked), Some(Outcome::Approve));
    let entries = world.log().len();
    // Again, minutes later: the same bytes come back, and nothing is signed or logged anew.
    world.advance_s(300);
    let mut late = laptop.connect(&mut world);
    late.send(&mut world, &asked.bytes);
    late.step(&mut world);
    assert_eq!(late.final_bytes(&asked), laptop.final_bytes(&asked));
    assert_eq!(world.log().len(), entries);
}

#[test]
fn after_a_restart_an_answered_id_is_expired_and_signs_nothing() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let asked = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    for _ in 0..2 {
        world.restart();
        let mut again = laptop.connect(&mut world);
        again.send(&mut world, &asked.bytes);
        assert_eq!(again.outcome(&mut world, &asked), Some(Outcome::Expire));
        assert!(again.final_response(&asked).unwrap().body.is_none());
        // And the same answer from then on: it fills no log.
        let entries = world.log().len();
        for _ in 0..3 {
            again.send(&mut world, &asked.bytes);
        }
        again.step(&mut world);
        let finals = again.final_bytes(&asked);
        assert_eq!(finals.len(), 4);
        assert!(finals.iter().all(|it| *it == finals[0]));
        assert_eq!(world.log().len(), entries);
    }
}

#[test]
fn receipts_are_one_chain_across_restarts() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    for _ in 0..2 {
        let asked = laptop.log_in(&mut world, &Host::new(5));
        assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
        world.restart();
        laptop = laptop.connect(&mut world);
    }
    let mut chain = keystead_core::ReceiptChain::default();
    for (seq, bytes) in world.log().iter().filter_map(|it| it.receipt()) {
        let receipt = keystead_channel::wire::decode_receipt(&bytes).unwrap();
        assert_eq!((receipt.seq, receipt.prev), (chain.seq, chain.prev));
        chain = keystead_core::ReceiptChain::after(seq, &bytes);
    }
    // me, confirm, two logins.
    assert_eq!(chain.seq, 4);
}

#[test]
fn an_id_with_other_bytes_is_malformed() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let asked = laptop.log_in(&mut world, &Host::new(5));
    // The second byte of unix_seconds: same id, other bytes.
    let mut other = asked.bytes.clone();
    let at = other.windows(5).position(|it| it[0] == 0x1a).unwrap();
    other[at + 4] ^= 1;
    laptop.send(&mut world, &other);
    assert_eq!(
        laptop.outcomes(&mut world, &asked),
        [Outcome::Ack, Outcome::Malformed]
    );
    assert_eq!(world.questions.len(), 1);
}

#[test]
fn what_cannot_be_read_is_answered_or_closed() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let asked = laptop.ask(&mut world, RequestBody::Me { nonce_c: None });
    let fresh = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        // The id stands behind `a6 00 01 01 50`.
        bytes[5] ^= 0xff;
        bytes
    };
    let mut cut = fresh(&asked.bytes);
    cut.pop();
    let mut id = asked.id;
    id.0[0] ^= 0xff;
    let broken = crate::world::Asked {
        id,
        kind: asked.kind,
        bytes: cut.clone(),
    };
    laptop.send(&mut world, &cut);
    assert_eq!(laptop.outcomes(&mut world, &broken), [Outcome::Malformed]);
    // A later version.
    let mut newer = fresh(&asked.bytes);
    newer[2] = 2;
    newer[6] ^= 0xff;
    id.0[1] ^= 0xff;
    let newer_asked = crate::world::Asked {
        id,
        kind: asked.kind,
        bytes: newer.clone(),
    };
    laptop.send(&mut world, &newer);
    assert_eq!(
        laptop.outcomes(&mut world, &newer_asked),
        [Outcome::Unsupported]
    );
    laptop.send(&mut world, b"no request at all");
    laptop.step(&mut world);
    assert_eq!(laptop.ended, Some(LinkEnd::Closed(CloseCode::BrokenRules)));
}

#[test]
fn a_request_that_was_on_its_way_too_long_is_expired() {
    let (mut world, laptop) = World::paired(Decide::Approve);
    let now = world.now.unix_s;
    // A channel takes its first request for the peer's clock.
    let mut laptop = laptop.connect(&mut world);
    // Ten minutes off, and told once.
    let first = laptop.ask_at(&mut world, RequestBody::Me { nonce_c: None }, now - 600);
    assert_eq!(laptop.outcome(&mut world, &first), Some(Outcome::Approve));
    let late = laptop.ask_at(
        &mut world,
        RequestBody::Me { nonce_c: None },
        now - 600 - 62,
    );
    assert_eq!(laptop.outcome(&mut world, &late), Some(Outcome::Expire));
    let told: Vec<&String> = world
        .said
        .iter()
        .filter(|it| it.contains("clock"))
        .collect();
    assert_eq!(told, ["the clock of laptop is 600 s behind this one"]);
}

#[test]
fn sixty_four_wait_and_the_next_is_busy() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let body = |world: &World| login(&world.key(), &Host::new(5), "db1");
    for _ in 0..64 {
        let body = body(&world);
        laptop.ask(&mut world, body);
    }
    let body = body(&world);
    let asked = laptop.ask(&mut world, body);
    assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Busy]);
    // One account at one host: one question.
    assert_eq!(world.questions.len(), 1);
    assert_eq!(world.questions[0].count(), 64);
}

#[test]
fn where_sixty_four_wait_one_can_be_taken_back() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let mut asked = Vec::new();
    for host in 0..64 {
        asked.push(laptop.log_in(&mut world, &Host::new(host)));
    }
    for one in &asked {
        let cancel = laptop.ask(&mut world, RequestBody::Cancel { target: one.id });
        assert_eq!(laptop.outcome(&mut world, &cancel), Some(Outcome::Approve));
        assert_eq!(laptop.outcome(&mut world, one), Some(Outcome::Withdraw));
    }
    assert!(world.questions.is_empty());
}

#[test]
fn a_workstation_that_asks_as_often_as_it_may_is_told_to_the_person() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    laptop.log_in(&mut world, &Host::new(5));
    let last = world.log().pop().unwrap();
    let entry = |number: u32| Entry {
        request_id: Some(format!("{number:032x}")),
        receipt: None,
        ..last.clone()
    };
    append(&mut world, &(0..10_000).map(entry).collect::<Vec<_>>());
    world.restart();
    let mut told = |after_s: u64, count: usize| {
        world.advance_s(after_s);
        let mut laptop = laptop.connect(&mut world);
        let asked = laptop.ask(&mut world, RequestBody::Me { nonce_c: None });
        assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Busy]);
        let said = "laptop has asked 10000 times in 24 hours, as often as it may";
        let said = world.said.iter().filter(|it| it.starts_with(said));
        assert_eq!(said.count(), count);
    };
    told(0, 1);
    told(60, 1);
    told(3_600, 2);
}

/// Lengthens the log as years of answers would, behind what stands there.
pub(crate) fn fill_log(world: &mut World, bytes: usize) {
    let long = Entry {
        unix_s: 5,
        kind: "sign".to_owned(),
        decision: "refuse".to_owned(),
        words: Some("x".repeat(1 << 20)),
        ..Entry::default()
    };
    append(world, &vec![long; bytes >> 20]);
}

/// Adds entries behind what stands in the log.
fn append(world: &mut World, entries: &[Entry]) {
    let log = world.disk.read(LOG_FILE).unwrap().unwrap();
    let mut chain = keystead_core::LogChain::check(&log).chain;
    for entry in entries {
        let (line, next) = chain.next_line(&serde_json::to_string(entry).unwrap());
        world
            .disk
            .append(LOG_FILE, line.as_bytes(), Sync::Now)
            .unwrap();
        chain = next;
    }
}

#[test]
fn a_long_log_goes_on_in_a_new_file_with_ids_receipts_and_hosts() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let old = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcome(&mut world, &old), Some(Outcome::Approve));
    // Longer than a log may ever be without a new file.
    fill_log(&mut world, 193 << 20);
    for round in 0..2 {
        world.restart();
        laptop = laptop.connect(&mut world);
        let asked = laptop.log_in(&mut world, &Host::new(5));
        assert_eq!(
            laptop.outcome(&mut world, &asked),
            Some(Outcome::Approve),
            "{round}: {:?}",
            world.said
        );
        laptop.send(&mut world, &old.bytes);
        assert_eq!(laptop.outcome(&mut world, &old), Some(Outcome::Expire));
    }
    let said = |it: &&String| it.contains("log.1 in the state folder");
    assert_eq!(world.said.iter().filter(said).count(), 1);
    let all = keystead_authenticator::journal::Journal::read_all(&world.disk).unwrap();
    let receipts: Vec<u64> = all.iter().filter_map(|it| Some(it.receipt()?.0)).collect();
    // me, confirm, the old login; then twice a new one and the `expired`.
    assert_eq!(receipts, [0, 1, 2, 3, 4, 5, 6]);
    let asked = laptop.ask(&mut world, RequestBody::Hosts);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let body = laptop.final_response(&asked).unwrap().body;
    assert!(matches!(body, Some(ResponseBody::Hosts(hosts)) if hosts.len() == 1));
    let newest = world.log();
    assert!(newest.len() < 20, "{}", newest.len());
}
