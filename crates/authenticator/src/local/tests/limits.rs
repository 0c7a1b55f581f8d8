//! Constraints: lifetime, confirmation, replacement, removal.

use super::*;

#[test]
fn a_lifetime_ends_by_the_clock_that_does_not_jump() {
    let mut world = World::new();
    let entry = world.add(ed25519(), lasting(10));
    assert_eq!(world.local.next_wake_ms(), Some(world.now.mono_ms + 10_000));
    world.now.unix_s += 1_000_000;
    world.later_ms(9_999);
    assert_eq!(world.outcome(sign(&entry, b"x")), Outcome::Approve);
    world.later_ms(1);
    assert_eq!(world.outcome(sign(&entry, b"x")), Outcome::UnknownKey);
    assert!(world.listed().is_empty());
    assert_eq!(world.local.next_wake_ms(), None);
}

#[test]
fn a_lifetime_of_nothing_is_over_at_once() {
    let mut world = World::new();
    let entry = world.add(ed25519(), lasting(0));
    assert_eq!(world.outcome(sign(&entry, b"x")), Outcome::UnknownKey);
}

#[test]
fn the_same_key_again_has_the_new_constraints_at_the_old_place() {
    let mut world = World::new();
    let first = world.add(ed25519(), lasting(10));
    let second = world.add(p256(), Constraints::default());
    assert_eq!(world.add(ed25519(), Constraints::default()), first);
    world.later_ms(60_000);
    assert_eq!(world.listed(), [first.id, second.id]);
    world.add(ed25519(), confirmed());
    let (_, told) = world.ask(sign(&first, b"x"));
    assert!(matches!(told.started[0].1, Work::Ask(_)));
}

#[test]
fn removed_keys_are_gone_and_strangers_are_unknown() {
    let mut world = World::new();
    let first = world.add(ed25519(), Constraints::default());
    let second = world.add(p256(), Constraints::default());
    let remove = |keys: &[KeyId]| RequestBody::Remove {
        keys: keys.to_vec(),
    };
    let stranger = KeyId([9; 32]);
    assert_eq!(world.outcome(remove(&[stranger])), Outcome::UnknownKey);
    assert_eq!(
        world.outcome(remove(&[stranger, first.id])),
        Outcome::Approve
    );
    assert_eq!(world.listed(), [second.id]);
    assert_eq!(world.outcome(remove(&[first.id])), Outcome::UnknownKey);
    assert_eq!(world.outcome(remove(&[])), Outcome::Approve);
    assert!(world.listed().is_empty());
    // As OpenSSH's agent: all of nothing is done.
    assert_eq!(world.outcome(remove(&[])), Outcome::Approve);
}

#[test]
fn no_more_keys_than_one_answer_lists() {
    let mut world = World::new();
    let key = |number: usize| {
        let mut public = [0; 32];
        public[..8].copy_from_slice(&number.to_be_bytes());
        security_keys::handle_of(&public, "ssh:")
    };
    for number in 0..wire::KEYS_MAX {
        world.add(key(number), Constraints::default());
    }
    assert_eq!(world.listed().len(), wire::KEYS_MAX);
    let one_more = import(key(wire::KEYS_MAX), Constraints::default());
    assert_eq!(world.outcome(one_more), Outcome::Refuse);
    assert_eq!(world.listed().len(), wire::KEYS_MAX);
}

#[test]
fn a_yes_signs_and_nothing_else_does() {
    let mut world = World::new();
    let entry = world.add(ed25519(), confirmed());
    for (is_yes, expected) in [(true, Outcome::Approve), (false, Outcome::Refuse)] {
        let (_, told) = world.ask(sign(&entry, b"x"));
        let job = told.job();
        let told = world.step(Event::Done(job, Done::Answered(is_yes)));
        assert_eq!(told.only().0, expected);
        // The second answer finds nothing.
        let told = world.step(Event::Done(job, Done::Answered(true)));
        assert!(told.answers.is_empty());
    }
}

#[test]
fn the_question_names_key_and_use() {
    let mut world = World::new();
    let entry = world.add(ed25519(), confirmed());
    let sshsig = keystead_formats::ssh::sshsig::SshSig::of(
        "git",
        keystead_formats::ssh::sshsig::HashAlgorithm::Sha512,
        b"x",
    );
    for (content, words) in [
        (login(&entry.public_key, None), "A login as alex"),
        (sshsig.encode(), "A signature for git"),
        (b"whatever".to_vec(), "Something that is no SSH message"),
    ] {
        let (_, told) = world.ask(sign(&entry, &content));
        let Work::Ask(question) = &told.started[0].1 else {
            panic!()
        };
        assert!(question.contains("alex@laptop"), "{question}");
        assert!(question.contains("SHA256:"), "{question}");
        assert!(question.ends_with(words), "{question}");
    }
}

#[test]
fn several_questions_wait_side_by_side() {
    let mut world = World::new();
    let slow = world.add(ed25519(), confirmed());
    let free = world.add(p256(), Constraints::default());
    let (first, told) = world.ask_for(sign(&slow, b"1"), 60, true);
    assert_eq!(told.outcomes(), [Outcome::Ack]);
    let first_job = told.job();
    let (second, told) = world.ask_for(sign(&slow, b"2"), 60, false);
    assert!(told.answers.is_empty());
    let second_job = told.job();
    assert_eq!(world.outcome(sign(&free, b"3")), Outcome::Approve);
    let told = world.step(Event::Done(second_job, Done::Answered(true)));
    assert_eq!(told.answers[0].id, second);
    assert!(verifies(&slow, b"2", &told.signature()));
    let told = world.step(Event::Done(first_job, Done::Answered(true)));
    assert_eq!(told.answers[0].id, first);
    assert!(verifies(&slow, b"1", &told.signature()));
}

#[test]
fn who_waits_too_long_is_told_and_the_question_is_taken_away() {
    let mut world = World::new();
    let entry = world.add(ed25519(), confirmed());
    let (_, told) = world.ask_for(sign(&entry, b"x"), 2, false);
    let job = told.job();
    let told = world.wake();
    assert_eq!(told.stopped, [job]);
    assert_eq!(told.only().0, Outcome::Expire);
    let told = world.step(Event::Done(job, Done::Answered(true)));
    assert!(told.answers.is_empty());
}

#[test]
fn a_withdrawn_question_is_taken_away() {
    let mut world = World::new();
    let entry = world.add(ed25519(), confirmed());
    let (id, told) = world.ask(sign(&entry, b"x"));
    let job = told.job();
    let (_, told) = world.ask(RequestBody::Cancel { target: id });
    assert_eq!(told.stopped, [job]);
    assert_eq!(told.outcomes(), [Outcome::Withdraw, Outcome::Approve]);
    assert_eq!(told.answers[0].id, id);
    let stranger = RequestId([9; 16]);
    let cancel = RequestBody::Cancel { target: stranger };
    assert_eq!(world.outcome(cancel), Outcome::Approve);
}

#[test]
fn after_a_yes_everything_else_is_looked_at_again() {
    type Meanwhile = fn(&mut World);
    let cases: [(Meanwhile, Outcome); 5] = [
        (|_| {}, Outcome::Approve),
        (
            |world| {
                world.outcome(RequestBody::Remove { keys: Vec::new() });
            },
            Outcome::UnknownKey,
        ),
        (
            |world| {
                world.outcome(locking::lock(true, "open"));
            },
            Outcome::Busy,
        ),
        (
            |world| {
                let constraints = destinations::to_host();
                world.add(ed25519(), constraints);
            },
            Outcome::Refuse,
        ),
        (
            |world| {
                world.add(ed25519(), lasting(1));
                world.later_ms(1_000);
            },
            Outcome::UnknownKey,
        ),
    ];
    for (meanwhile, expected) in cases {
        let mut world = World::new();
        let entry = world.add(ed25519(), confirmed());
        let (_, told) = world.ask(sign(&entry, b"x"));
        let job = told.job();
        meanwhile(&mut world);
        let told = world.step(Event::Done(job, Done::Answered(true)));
        assert_eq!(told.only().0, expected);
    }
}

#[test]
fn what_cannot_be_a_key_here_is_refused() {
    let cases = [
        (Vec::new(), Constraints::default()),
        (b"no key".to_vec(), Constraints::default()),
        ([ed25519(), vec![0]].concat(), Constraints::default()),
        (
            ed25519(),
            Constraints {
                sk_provider: Some("internal".into()),
                ..Constraints::default()
            },
        ),
        (
            ed25519(),
            Constraints {
                destinations: Some(b"no list".to_vec()),
                ..Constraints::default()
            },
        ),
        (
            ed25519(),
            Constraints {
                certificates: Some(keystead_core::Certificates {
                    only: false,
                    blobs: vec![b"x".to_vec()],
                }),
                ..Constraints::default()
            },
        ),
    ];
    for (key, constraints) in cases {
        let mut world = World::new();
        assert_eq!(world.outcome(import(key, constraints)), Outcome::Refuse);
        assert!(world.listed().is_empty());
    }
    let whole = ed25519();
    for len in 0..whole.len() {
        let mut world = World::new();
        let cut = import(whole[..len].to_vec(), Constraints::default());
        assert_eq!(world.outcome(cut), Outcome::Refuse, "{len}");
    }
}
