//! `ssh-add -x` and `-X`.

use keystead_core::LockRequest;

use super::*;

pub(super) fn lock(lock: bool, passphrase: &str) -> RequestBody {
    let passphrase = SecretBytes::take(&mut passphrase.as_bytes().to_vec());
    RequestBody::Lock(LockRequest { lock, passphrase })
}

#[test]
fn locked_lists_nothing_and_does_nothing() {
    let mut world = World::new();
    let entry = world.add(ed25519(), Constraints::default());
    assert_eq!(
        world.outcome(lock(false, "open")),
        Outcome::Refuse,
        "is not locked"
    );
    assert_eq!(world.outcome(lock(true, "")), Outcome::Refuse, "empty");
    assert_eq!(world.outcome(lock(true, "open")), Outcome::Approve);
    assert_eq!(
        world.outcome(lock(true, "open")),
        Outcome::Refuse,
        "is locked"
    );
    assert!(world.listed().is_empty());
    for body in [
        sign(&entry, b"x"),
        import(p256(), Constraints::default()),
        RequestBody::Remove { keys: Vec::new() },
        RequestBody::Hosts,
    ] {
        assert_eq!(world.outcome(body), Outcome::Busy);
    }
    assert_eq!(world.outcome(lock(false, "")), Outcome::Refuse);
    assert_eq!(world.outcome(lock(false, "open")), Outcome::Approve);
    assert_eq!(world.listed(), [entry.id]);
    assert_eq!(world.outcome(sign(&entry, b"x")), Outcome::Approve);
}

#[test]
fn lifetimes_go_on_behind_a_lock() {
    let mut world = World::new();
    world.add(ed25519(), lasting(5));
    world.outcome(lock(true, "open"));
    world.later_ms(5_000);
    world.outcome(lock(false, "open"));
    assert!(world.listed().is_empty());
}

/// As OpenSSH's agent: 0.1 s more for each failure in a row.
#[test]
fn a_wrong_passphrase_is_answered_late_and_later() {
    let mut world = World::new();
    world.outcome(lock(true, "open"));
    for failure in 1..=120_u64 {
        let (_, told) = world.ask(lock(false, "close"));
        assert!(told.answers.is_empty());
        let before = world.now.mono_ms;
        let told = world.wake();
        assert_eq!(world.now.mono_ms - before, 100 * failure.min(100));
        assert_eq!(told.only().0, Outcome::Refuse);
    }
    assert_eq!(world.outcome(lock(false, "open")), Outcome::Approve);
    world.outcome(lock(true, "open"));
    world.ask(lock(false, "close"));
    let before = world.now.mono_ms;
    world.wake();
    assert_eq!(world.now.mono_ms - before, 100, "counted anew");
}

#[test]
fn tries_wait_for_the_one_before() {
    let mut world = World::new();
    let entry = world.add(ed25519(), Constraints::default());
    world.outcome(lock(true, "open"));
    let (first, told) = world.ask(lock(false, "close"));
    assert!(told.answers.is_empty());
    let (second, told) = world.ask(lock(false, "open"));
    assert!(
        told.answers.is_empty(),
        "guesses cannot be made side by side"
    );
    let (third, _) = world.ask(lock(false, "open"));
    assert!(world.listed().is_empty());
    let told = world.wake();
    assert_eq!(
        told.outcomes(),
        [Outcome::Refuse, Outcome::Approve, Outcome::Refuse]
    );
    let ids: Vec<RequestId> = told.answers.iter().map(|it| it.id).collect();
    assert_eq!(ids, [first, second, third]);
    assert_eq!(world.listed(), [entry.id]);
}

#[test]
fn a_crowd_of_tries_is_turned_away() {
    let mut world = World::new();
    world.outcome(lock(true, "open"));
    let mut turned_away = 0;
    for _ in 0..40 {
        let (_, told) = world.ask(lock(false, "close"));
        turned_away += told
            .outcomes()
            .iter()
            .filter(|it| **it == Outcome::Busy)
            .count();
    }
    assert_eq!(turned_away, 24);
}
