//! What is decided without a question: grants, blocks, pauses; and what never is.

use keystead_authenticator::control::{Command, GrantLines, Reply, WhichGrants};
use keystead_authenticator::grants::GRANTS_FILE;
use keystead_authenticator::holder::Decide;
use keystead_authenticator::question::{Answer, OfferForm, Term};
use keystead_core::{Evidence, KeyEntry, KeyType, Name, Outcome, RequestBody};
use keystead_daemon::Disk;

use crate::git::{commit, commits};
use crate::login::{Host, SESSION, blob, login, sign};
use crate::world::{Asked, Workstation, World};

const HOUR: Answer = Answer::Grant(Term {
    lasts_s: 3_600,
    count_max: 3,
});

/// How a request ends that is asked now; none when a person is asked.
fn ends(world: &mut World, laptop: &mut Workstation, body: RequestBody) -> Option<Outcome> {
    let asked = laptop.ask(world, body);
    let outcome = laptop.outcome(world, &asked);
    if outcome.is_none() {
        // Nothing of it stays for the next one.
        let cancel = laptop.ask(world, RequestBody::Cancel { target: asked.id });
        assert_eq!(laptop.outcome(world, &cancel), Some(Outcome::Approve));
    }
    outcome
}

fn answered(
    world: &mut World,
    laptop: &mut Workstation,
    body: RequestBody,
    answer: Answer,
) -> Asked {
    let asked = laptop.ask(world, body);
    assert_eq!(world.questions.len(), 1, "a person is asked");
    world.decide(answer);
    asked
}

fn grants(world: &mut World) -> GrantLines {
    match world.command(Command::GrantList) {
        Some(Reply::Grants(lines)) => lines,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_is_granted_at_a_question_and_fires_to_its_count() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let asked = laptop.ask(&mut world, login(&key, &host, "db1"));
    let offer = world.questions[0].choices.grant.clone().unwrap();
    assert_eq!(
        (offer.form, offer.what.as_str()),
        (OfferForm::Host, "alex@db1 (unproved name)")
    );
    world.decide(HOUR);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let how = world.settled.pop().unwrap().1;
    assert_eq!(
        how,
        "approved; grant 1: alex@db1 for 1 hour, at most 3 times"
    );
    for used in 1..=3 {
        let asked = laptop.log_in(&mut world, &host);
        // No ack: nobody was asked.
        assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Approve]);
        let entry = world.log().pop().unwrap();
        assert_eq!((entry.grant, entry.grant_used), (Some(1), Some(used)));
        assert_eq!(entry.reason.as_deref(), Some("by grant 1"));
        let said = world.said.last().unwrap();
        assert!(said.contains(&format!("(grant 1: {used} of 3)")), "{said}");
    }
    assert_eq!(
        ends(&mut world, &mut laptop, login(&key, &host, "db1")),
        None
    );
    world.event(keystead_authenticator::holder::Event::Tick);
    assert!(
        world
            .said
            .iter()
            .any(|it| it == "grant 1 is over: alex@db1, used 3 of 3 times")
    );
    assert!(grants(&mut world).grants.is_empty());
}

#[test]
fn a_grant_fires_for_the_same_login_alone() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    answered(&mut world, &mut laptop, login(&key, &host, "db1"), HOUR);
    let with = |evidence: Evidence| sign(&key, blob(&key, Some(&host)), evidence);
    let bastion = Host::new(7);
    let never = [
        ("another host", login(&key, &Host::new(6), "db2")),
        ("no bind", with(Evidence::default())),
        (
            "behind a forwarding hop",
            with(Evidence {
                binds: vec![bastion.bind(&[4; 32], true), host.bind(&SESSION, false)],
                ..Evidence::default()
            }),
        ),
        (
            "the last bind forwards",
            with(Evidence {
                binds: vec![host.bind(&SESSION, true)],
                ..Evidence::default()
            }),
        ),
        (
            "in the background",
            with(Evidence {
                binds: vec![host.bind(&SESSION, false)],
                is_background: true,
                ..Evidence::default()
            }),
        ),
        ("a commit", commit(&key, "Mend it", Evidence::default())),
    ];
    for (what, body) in never {
        assert_eq!(ends(&mut world, &mut laptop, body), None, "{what}");
    }
    // Another workstation with the same key and host.
    let mut other = Workstation::pair(&mut world);
    assert_eq!(
        ends(&mut world, &mut other, login(&key, &host, "db1")),
        None
    );
    // And the login itself, still.
    assert_eq!(
        ends(&mut world, &mut laptop, login(&key, &host, "db1")),
        Some(Outcome::Approve)
    );
}

#[test]
fn a_grant_pins_no_name() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    answered(&mut world, &mut laptop, login(&key, &host, "mine"), HOUR);
    // The workstation says another name for the same key: nobody has read it.
    let told = login(&key, &host, "bank");
    assert_eq!(ends(&mut world, &mut laptop, told), Some(Outcome::Approve));
    let pinned = world.said.iter().filter(|it| it.contains("is now pinned"));
    assert_eq!(pinned.count(), 1);
    // The bank's own key is not taken for a changed one.
    laptop.ask(&mut world, login(&key, &Host::new(6), "bank"));
    assert_eq!(world.questions.len(), 1);
}

#[test]
fn a_forwarded_path_is_granted_only_as_the_whole_path() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let by_way_of = |hops: &[u64]| {
        let mut binds: Vec<_> = hops
            .iter()
            .map(|seed| Host::new(*seed).bind(&[4; 32], true))
            .collect();
        binds.push(host.bind(&SESSION, false));
        let evidence = Evidence {
            binds,
            ..Evidence::default()
        };
        sign(&key, blob(&key, Some(&host)), evidence)
    };
    let asked = laptop.ask(&mut world, by_way_of(&[7, 8]));
    let what = world.questions[0].choices.grant.clone().unwrap().what;
    let (a, b) = (
        Host::new(7).public().fingerprint(),
        Host::new(8).public().fingerprint(),
    );
    assert!(what.ends_with(&format!(" by way of {a} → {b}")), "{what}");
    world.decide(HOUR);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    for hops in [&[][..], &[7], &[8], &[8, 7], &[7, 8, 9]] {
        assert_eq!(
            ends(&mut world, &mut laptop, by_way_of(hops)),
            None,
            "{hops:?}"
        );
    }
    assert_eq!(
        ends(&mut world, &mut laptop, by_way_of(&[7, 8])),
        Some(Outcome::Approve)
    );
}

#[test]
fn nothing_is_offered_where_nothing_may_be_granted() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let offered = |world: &mut World, laptop: &mut Workstation, body| {
        laptop.ask(world, body);
        let offered = world.questions[0].choices.grant.is_some();
        // Answered so all the same: nothing is granted.
        world.decide(HOUR);
        (offered, grants(world).grants.len())
    };
    let unbound = sign(&key, blob(&key, Some(&host)), Evidence::default());
    assert_eq!(offered(&mut world, &mut laptop, unbound), (false, 0));
    let unproved = sign(&key, crate::git::blob("git", "x"), Evidence::default());
    assert_eq!(offered(&mut world, &mut laptop, unproved), (false, 0));
    assert_eq!(
        offered(&mut world, &mut laptop, RequestBody::Hosts),
        (false, 0)
    );
    // A key whose signatures state that a person was present.
    for key_type in [KeyType::SkEd25519, KeyType::SkEcdsaP256] {
        let key = made(&mut world, key_type);
        assert_eq!(
            offered(&mut world, &mut laptop, login(&key, &host, "db1")),
            (false, 0)
        );
        let commit = commit(&key, "Mend it", Evidence::default());
        assert_eq!(offered(&mut world, &mut laptop, commit), (false, 0));
    }
}

fn made(world: &mut World, key_type: KeyType) -> KeyEntry {
    let reply = world.command(Command::KeyNew {
        name: key_type.short_name().into(),
        algorithm: key_type.short_name().into(),
        purpose: None,
    });
    assert!(matches!(reply, Some(Reply::Key(_))), "{reply:?}");
    world.holder.keys().entries().last().unwrap().clone()
}

#[test]
fn a_presence_key_signs_after_a_yes() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let key = made(&mut world, KeyType::SkEd25519);
    let host = Host::new(5);
    let asked = laptop.ask(&mut world, login(&key, &host, "db1"));
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
}

#[test]
fn grants_end_by_time_by_revocation_and_with_their_pairing() {
    let ended: [fn(&mut World); 4] = [
        |world| world.advance_s(3_600),
        |world| {
            let revoked = world.command(Command::GrantRevoke {
                which: WhichGrants::One(1),
            });
            assert!(matches!(revoked, Some(Reply::Grants(lines)) if lines.grants.len() == 1));
        },
        |world| {
            let which = WhichGrants::All;
            assert!(matches!(
                world.command(Command::GrantRevoke { which }),
                Some(Reply::Grants(_))
            ));
        },
        // The clock was set back: longer than it was meant.
        |world| world.now.unix_s -= 1_000,
    ];
    for (at, end) in ended.into_iter().enumerate() {
        let (mut world, mut laptop) = World::paired(Decide::Ask);
        let (key, host) = (world.key(), Host::new(5));
        answered(&mut world, &mut laptop, login(&key, &host, "db1"), HOUR);
        assert_eq!(
            ends(&mut world, &mut laptop, login(&key, &host, "db1")),
            Some(Outcome::Approve)
        );
        end(&mut world);
        let mut laptop = laptop.connect(&mut world);
        assert_eq!(
            ends(&mut world, &mut laptop, login(&key, &host, "db1")),
            None,
            "{at}"
        );
    }
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    answered(&mut world, &mut laptop, login(&key, &host, "db1"), HOUR);
    let workstation = "laptop".into();
    world.command(Command::Unpair { workstation });
    assert!(grants(&mut world).grants.is_empty());
}

#[test]
fn a_restart_keeps_a_grant_and_what_was_used_of_it() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    answered(&mut world, &mut laptop, login(&key, &host, "db1"), HOUR);
    for used in 1..=3 {
        assert_eq!(
            ends(&mut world, &mut laptop, login(&key, &host, "db1")),
            Some(Outcome::Approve)
        );
        // Power goes: the file was written when the grant was made, the log with each use.
        world.disk.crash();
        world.restart();
        laptop = laptop.connect(&mut world);
        if used < 3 {
            assert_eq!(grants(&mut world).grants[0].used, used);
        }
    }
    assert_eq!(
        ends(&mut world, &mut laptop, login(&key, &host, "db1")),
        None
    );
}

#[test]
fn a_use_that_cannot_be_logged_signs_nothing_and_counts_nothing() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    answered(&mut world, &mut laptop, login(&key, &host, "db1"), HOUR);
    world.disk.faults.fail_sync = true;
    for _ in 0..5 {
        assert_eq!(
            ends(&mut world, &mut laptop, login(&key, &host, "db1")),
            Some(Outcome::Busy)
        );
    }
    world.disk.faults.fail_sync = false;
    assert_eq!(grants(&mut world).grants[0].used, 0);
    // A grant that cannot be written is none; the answer itself stands.
    world.command(Command::GrantRevoke {
        which: WhichGrants::All,
    });
    let asked = laptop.ask(&mut world, login(&key, &host, "db1"));
    let log = world.disk.read("log").unwrap().unwrap();
    let others: usize = world.disk.files().map(|(_, content)| content.len()).sum();
    // Room for the entry of the answer, and for that of the grant, but not for its file.
    world.disk.faults.full_above_bytes = Some(others + 3_000);
    let before = world.disk.read(GRANTS_FILE).unwrap();
    world.decide(HOUR);
    let outcome = laptop.outcome(&mut world, &asked);
    world.disk.faults.full_above_bytes = None;
    let is_written = world.disk.read(GRANTS_FILE).unwrap() != before;
    assert_eq!(grants(&mut world).grants.len(), usize::from(is_written));
    assert!(world.disk.read("log").unwrap().unwrap().len() > log.len());
    assert_eq!(outcome, Some(Outcome::Approve));
}

#[test]
fn a_kind_is_granted_for_readable_commits() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let asked = laptop.ask(&mut world, commit(&key, "One", Evidence::default()));
    let offer = world.questions[0].choices.grant.clone().unwrap();
    assert_eq!(
        (offer.form, offer.what.as_str()),
        (OfferForm::Kind, "git commits")
    );
    world.decide(HOUR);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let two = commit(&key, "Two", Evidence::default());
    assert_eq!(ends(&mut world, &mut laptop, two), Some(Outcome::Approve));
    for (what, body) in [
        ("a tag", crate::git::tag(&key, "v1")),
        (
            "only its hash",
            sign(&key, crate::git::blob("git", "x"), Evidence::default()),
        ),
        (
            "a file",
            sign(&key, crate::git::blob("file", "x"), Evidence::default()),
        ),
        ("a login", login(&key, &host, "db1")),
    ] {
        assert_eq!(ends(&mut world, &mut laptop, body), None, "{what}");
    }
}

#[test]
fn fourteen_commits_of_a_rebase_are_one_question_and_the_fifteenth_asks() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let key = world.key();
    let mut of_rebase = commits(&key, "git rebase", Some(14));
    let first = laptop.ask(&mut world, of_rebase.next().unwrap());
    assert_eq!(world.questions[0].announced(), Some(14));
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &first), Some(Outcome::Approve));
    for at in 2..=14 {
        let outcome = ends(&mut world, &mut laptop, of_rebase.next().unwrap());
        assert_eq!(outcome, Some(Outcome::Approve), "{at}");
        let entry = world.log().pop().unwrap();
        assert_eq!(entry.intent.as_deref(), Some("git rebase"));
        assert_eq!(entry.grant_used, Some(at - 1));
        assert_eq!(entry.purpose.as_deref(), Some("git-commit"));
    }
    let fifteenth = laptop.ask(&mut world, of_rebase.next().unwrap());
    assert_eq!(laptop.outcome(&mut world, &fifteenth), None);
    let question = &world.questions[0];
    assert_eq!(question.announced(), None);
    let act = question.act.clone().unwrap();
    assert_eq!(act.makes, keystead_authenticator::question::Makes::Beyond);
    world.decide(Answer::Approve);
    assert_eq!(
        ends(&mut world, &mut laptop, of_rebase.next().unwrap()),
        None
    );
}

#[test]
fn an_announced_act_covers_what_can_be_read_and_no_other_act() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let key = world.key();
    let mut of_rebase = commits(&key, "git rebase", Some(14));
    answered(
        &mut world,
        &mut laptop,
        of_rebase.next().unwrap(),
        Answer::Approve,
    );
    let RequestBody::Sign(mut unreadable) = of_rebase.next().unwrap() else {
        panic!()
    };
    unreadable.evidence.preimage = None;
    assert_eq!(
        ends(&mut world, &mut laptop, RequestBody::Sign(unreadable)),
        None
    );
    let RequestBody::Sign(mut other) = of_rebase.next().unwrap() else {
        panic!()
    };
    other.evidence.intent.as_mut().unwrap().id = [9; 16];
    assert_eq!(
        ends(&mut world, &mut laptop, RequestBody::Sign(other)),
        None
    );
    let RequestBody::Sign(mut background) = of_rebase.next().unwrap() else {
        panic!()
    };
    background.evidence.is_background = true;
    assert_eq!(
        ends(&mut world, &mut laptop, RequestBody::Sign(background)),
        None
    );
    // Ten minutes later it asks again, and so it does after a restart.
    assert_eq!(
        ends(&mut world, &mut laptop, of_rebase.next().unwrap()),
        Some(Outcome::Approve)
    );
    world.restart();
    let mut laptop = laptop.connect(&mut world);
    assert_eq!(
        ends(&mut world, &mut laptop, of_rebase.next().unwrap()),
        None
    );
    answered(
        &mut world,
        &mut laptop,
        of_rebase.next().unwrap(),
        Answer::Approve,
    );
    world.advance_s(600);
    let mut laptop = laptop.connect(&mut world);
    assert_eq!(
        ends(&mut world, &mut laptop, of_rebase.next().unwrap()),
        None
    );
}

#[test]
fn only_what_waits_is_a_smaller_yes() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let key = world.key();
    let mut of_rebase = commits(&key, "git rebase", Some(14));
    answered(
        &mut world,
        &mut laptop,
        of_rebase.next().unwrap(),
        Answer::ApproveWaiting,
    );
    assert_eq!(
        ends(&mut world, &mut laptop, of_rebase.next().unwrap()),
        None
    );
}

#[test]
fn a_count_beyond_reason_announces_nothing() {
    for count in [0, 1, 1_001, u32::MAX] {
        let (mut world, mut laptop) = World::paired(Decide::Ask);
        let key = world.key();
        let body = commits(&key, "git rebase", Some(count)).next().unwrap();
        laptop.ask(&mut world, body);
        assert_eq!(world.questions[0].announced(), None, "{count}");
    }
}

#[test]
fn a_block_refuses_without_a_question_until_it_is_revoked() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let asked = answered(
        &mut world,
        &mut laptop,
        login(&key, &host, "db1"),
        Answer::Block,
    );
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Refuse));
    let how = world.settled.pop().unwrap().1;
    assert!(
        how.starts_with("refused; block 1: logins as alex at db1 (unproved name)"),
        "{how}"
    );
    for _ in 0..2 {
        let refused = ends(&mut world, &mut laptop, login(&key, &host, "db1"));
        assert_eq!(refused, Some(Outcome::Refuse));
        let reason = world.log().pop().unwrap().reason.unwrap();
        assert!(
            reason.starts_with("blocked by the holder: block 1, logins as alex"),
            "{reason}"
        );
        world.restart();
        laptop = laptop.connect(&mut world);
    }
    assert_eq!(
        ends(&mut world, &mut laptop, login(&key, &Host::new(6), "db2")),
        None
    );
    let which = WhichGrants::One(1);
    world.command(Command::GrantRevoke { which });
    assert_eq!(
        ends(&mut world, &mut laptop, login(&key, &host, "db1")),
        None
    );
    let none = world.command(Command::GrantRevoke { which });
    assert!(matches!(none, Some(Reply::Failed { .. })));
}

#[test]
fn a_block_is_stronger_than_a_grant_and_than_decide_approve() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let body = || login(&key, &host, "db1");
    answered(&mut world, &mut laptop, body(), HOUR);
    // Pinned now, and asked for in the background: another question, and a block of all of it.
    let RequestBody::Sign(mut background) = body() else {
        panic!()
    };
    background.evidence.is_background = true;
    answered(
        &mut world,
        &mut laptop,
        RequestBody::Sign(background),
        Answer::Block,
    );
    assert_eq!(ends(&mut world, &mut laptop, body()), Some(Outcome::Refuse));
    world.restart_with(Decide::Approve);
    let mut laptop = laptop.connect(&mut world);
    assert_eq!(ends(&mut world, &mut laptop, body()), Some(Outcome::Refuse));
}

#[test]
fn a_background_program_pauses_after_a_no_and_others_do_not() {
    for no in [Some(Answer::Refuse), None] {
        let (mut world, mut laptop) = World::paired(Decide::Ask);
        let (key, host) = (world.key(), Host::new(5));
        let by = |program: &str, is_background: bool| {
            let RequestBody::Sign(mut request) = login(&key, &host, "db1") else {
                panic!()
            };
            request.evidence.process_path = Some(program.into());
            request.evidence.is_background = is_background;
            RequestBody::Sign(request)
        };
        laptop.ask(&mut world, by("/usr/bin/timer", true));
        match no {
            Some(answer) => world.decide(answer),
            None => world.advance_s(60),
        }
        let before = world.said.len();
        for _ in 0..3 {
            let outcome = ends(&mut world, &mut laptop, by("/usr/bin/timer", true));
            assert_eq!(outcome, Some(Outcome::Refuse));
            let reason = world.log().pop().unwrap().reason.unwrap();
            assert!(
                reason.starts_with("it asks in the background again after a no"),
                "{reason}"
            );
        }
        // Said once: a timer would fill the screen.
        let said = &world.said[before..];
        assert_eq!(
            said.iter()
                .filter(|it| it.contains("in the background"))
                .count(),
            1
        );
        assert_eq!(
            ends(&mut world, &mut laptop, by("/usr/bin/other", true)),
            None
        );
        assert_eq!(
            ends(&mut world, &mut laptop, by("/usr/bin/timer", false)),
            None
        );
        world.advance_s(300);
        let mut laptop = laptop.connect(&mut world);
        laptop.ask(&mut world, by("/usr/bin/timer", true));
        world.decide(Answer::Approve);
        assert_eq!(
            ends(&mut world, &mut laptop, by("/usr/bin/timer", true)),
            None
        );
    }
}

#[test]
fn no_request_makes_a_grant() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let (key, host) = (world.key(), Host::new(5));
    let make = RequestBody::MakeKey(keystead_core::MakeKeyRequest {
        name: Name::new("second").unwrap(),
        algorithm: "ssh-ed25519".into(),
        purposes: Vec::new(),
    });
    for body in [
        login(&key, &host, "db1"),
        commits(&key, "git rebase", Some(14)).next().unwrap(),
        make,
        RequestBody::Hosts,
        RequestBody::Me { nonce_c: None },
    ] {
        assert_eq!(ends(&mut world, &mut laptop, body), Some(Outcome::Approve));
    }
    assert_eq!(grants(&mut world).grants, []);
    assert_eq!(world.disk.read(GRANTS_FILE).unwrap(), None);
}

#[test]
fn a_grant_is_for_the_form_of_login_that_it_was_made_from() {
    for from_hostbound in [true, false] {
        let (mut world, mut laptop) = World::paired(Decide::Ask);
        let (key, host) = (world.key(), Host::new(5));
        let body = |hostbound: bool| {
            let evidence = Evidence {
                binds: vec![host.bind(&SESSION, false)],
                ..Evidence::default()
            };
            sign(&key, blob(&key, hostbound.then_some(&host)), evidence)
        };
        laptop.ask(&mut world, body(from_hostbound));
        let line = world.questions[0].asked().line();
        let is_said = line.contains("destination not proved by the login itself");
        assert_eq!(is_said, !from_hostbound, "{line}");
        world.decide(HOUR);
        assert_eq!(ends(&mut world, &mut laptop, body(!from_hostbound)), None);
        let fired = ends(&mut world, &mut laptop, body(from_hostbound));
        assert_eq!(fired, Some(Outcome::Approve));
    }
}

#[test]
fn a_log_that_goes_on_in_a_new_file_forgets_no_use() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    answered(
        &mut world,
        &mut laptop,
        login(&key, &host, "db1"),
        Answer::Grant(Term {
            lasts_s: 3_600,
            count_max: 2,
        }),
    );
    let fired = ends(&mut world, &mut laptop, login(&key, &host, "db1"));
    assert_eq!(fired, Some(Outcome::Approve));
    crate::ids::fill_log(&mut world, 65 << 20);
    world.restart();
    let mut laptop = laptop.connect(&mut world);
    let fired = ends(&mut world, &mut laptop, login(&key, &host, "db1"));
    assert_eq!(fired, Some(Outcome::Approve));
    assert!(
        world
            .said
            .iter()
            .any(|it| it.contains("goes on in a new file"))
    );
    world.restart();
    let mut laptop = laptop.connect(&mut world);
    assert_eq!(
        ends(&mut world, &mut laptop, login(&key, &host, "db1")),
        None
    );
}
