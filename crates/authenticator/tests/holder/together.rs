//! Requests that wait at the same time and are one question.

use keystead_authenticator::holder::Decide;
use keystead_authenticator::question::{Answer, PartId, Term};
use keystead_core::{Evidence, Intent, Outcome, RequestBody};

use crate::git::{commit, commits};
use crate::login::{Host, SESSION, login, sign};
use crate::world::{Asked, Workstation, World};

fn ask_many(world: &mut World, laptop: &mut Workstation, bodies: Vec<RequestBody>) -> Vec<Asked> {
    bodies.into_iter().map(|it| laptop.ask(world, it)).collect()
}

fn outcomes(world: &mut World, laptop: &mut Workstation, asked: &[Asked]) -> Vec<Option<Outcome>> {
    asked.iter().map(|it| laptop.outcome(world, it)).collect()
}

/// A login of one run over many hosts.
fn of_run(world: &World, host: u64, user: &str) -> RequestBody {
    let (key, host) = (world.key(), Host::new(host));
    let evidence = Evidence {
        binds: vec![host.bind(&SESSION, false)],
        host_names: vec![format!("host{}", &host.public().fingerprint()[7..15])],
        intent: Some(Intent {
            id: [3; 16],
            what: "ansible-playbook".into(),
            count: None,
        }),
        ..Evidence::default()
    };
    sign(
        &key,
        crate::login::blob_as(&key, Some(&host), user),
        evidence,
    )
}

#[test]
fn twenty_logins_at_once_take_one_answer() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let bodies = (0..20).map(|_| login(&key, &host, "db1")).collect();
    let asked = ask_many(&mut world, &mut laptop, bodies);
    assert_eq!(world.questions.len(), 1);
    assert_eq!(world.questions[0].count(), 20);
    for one in &asked {
        assert_eq!(laptop.outcomes(&mut world, one), [Outcome::Ack]);
    }
    world.decide(Answer::Approve);
    let all = outcomes(&mut world, &mut laptop, &asked);
    assert!(
        all.iter().all(|it| *it == Some(Outcome::Approve)),
        "{all:?}"
    );
    assert_eq!(world.settled.pop().unwrap().1, "approved (all 20)");
    let log = world.log();
    assert!(log.iter().rev().take(20).all(|it| it.together == Some(20)));
    // Said once, though each of them would have pinned it.
    assert_eq!(
        world
            .said
            .iter()
            .filter(|it| it.contains("is now pinned"))
            .count(),
        1
    );
}

#[test]
fn an_answer_covers_what_was_counted_and_a_later_one_asks_again() {
    for answer in [Answer::Approve, Answer::Refuse] {
        let (mut world, mut laptop) = World::paired(Decide::Ask);
        let (key, host) = (world.key(), Host::new(5));
        let bodies = (0..3).map(|_| login(&key, &host, "db1")).collect();
        let asked = ask_many(&mut world, &mut laptop, bodies);
        let counted: Vec<PartId> = world.questions[0].parts().map(|it| it.id).collect();
        world.answer(answer, counted[1]);
        let expected = match answer {
            Answer::Approve => Outcome::Approve,
            _ => Outcome::Refuse,
        };
        assert_eq!(
            outcomes(&mut world, &mut laptop, &asked),
            [Some(expected), Some(expected), None]
        );
        assert_eq!(world.questions.len(), 1, "the third is asked for anew");
        assert_eq!(world.questions[0].count(), 1);
        // Asked anew it is told once that a person is asked.
        assert_eq!(laptop.outcomes(&mut world, &asked[2]), [Outcome::Ack]);
        world.decide(Answer::Refuse);
        assert_eq!(laptop.outcome(&mut world, &asked[2]), Some(Outcome::Refuse));
    }
}

#[test]
fn a_grant_made_of_several_covers_the_one_that_came_too_late_for_the_answer() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let bodies = (0..3).map(|_| login(&key, &host, "db1")).collect();
    let asked = ask_many(&mut world, &mut laptop, bodies);
    let last = world.questions[0].first.id;
    let term = Term {
        lasts_s: 3_600,
        count_max: 2,
    };
    world.answer(Answer::Grant(term), last);
    let all = outcomes(&mut world, &mut laptop, &asked);
    assert_eq!(all, [Some(Outcome::Approve); 3]);
    assert!(world.questions.is_empty());
    assert_eq!(world.log().pop().unwrap().grant_used, Some(2));
}

#[test]
fn a_run_over_hosts_is_one_question_by_account() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let bodies = (10..40).map(|host| of_run(&world, host, "alex")).collect();
    let asked = ask_many(&mut world, &mut laptop, bodies);
    assert_eq!(world.questions.len(), 1);
    assert_eq!(world.questions[0].count(), 30);
    // One grant would not cover them.
    assert_eq!(world.questions[0].choices.grant, None);
    assert_eq!(world.questions[0].choices.block, None);
    let root = of_run(&world, 10, "root");
    laptop.ask(&mut world, root);
    assert_eq!(
        world.questions.len(),
        2,
        "another account is another question"
    );
    world.decide(Answer::Approve);
    let all = outcomes(&mut world, &mut laptop, &asked);
    assert!(all.iter().all(|it| *it == Some(Outcome::Approve)));
    // Of a run nothing is approved that did not wait: the next host is another one.
    let next = of_run(&world, 41, "alex");
    let next = laptop.ask(&mut world, next);
    assert_eq!(laptop.outcome(&mut world, &next), None);
}

#[test]
fn withdrawn_and_expired_ones_leave_the_count() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let bodies = (0..3).map(|_| login(&key, &host, "db1")).collect();
    let mut asked = ask_many(&mut world, &mut laptop, bodies);
    world.idle_s(30);
    let mut laptop = laptop.connect(&mut world);
    asked.push(laptop.ask(&mut world, login(&key, &host, "db1")));
    assert_eq!(world.questions[0].count(), 4);
    let target = asked[1].id;
    laptop.ask(&mut world, RequestBody::Cancel { target });
    assert_eq!(world.questions[0].count(), 3);
    // The first two end at 60 s, the last one at 90 s: by ticks that are asked for.
    world.idle_s(31);
    assert_eq!(world.questions.len(), 1);
    assert_eq!(world.questions[0].count(), 1);
    assert!(world.settled.is_empty());
    world.decide(Answer::Approve);
    assert_eq!(
        laptop.outcome(&mut world, &asked[3]),
        Some(Outcome::Approve)
    );
    let decisions: Vec<String> = world.log().iter().map(|it| it.decision.clone()).collect();
    assert_eq!(decisions.iter().filter(|it| *it == "expired").count(), 2);
    assert_eq!(decisions.iter().filter(|it| *it == "withdrawn").count(), 1);
}

#[test]
fn parallel_commits_of_an_announced_act_are_counted_in() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let key = world.key();
    let mut of_rebase = commits(&key, "git rebase", Some(5));
    let bodies = of_rebase.by_ref().take(3).collect();
    let asked = ask_many(&mut world, &mut laptop, bodies);
    assert_eq!(world.questions.len(), 1);
    assert_eq!(world.questions[0].announced(), Some(5));
    world.decide(Answer::Approve);
    assert_eq!(
        outcomes(&mut world, &mut laptop, &asked),
        [Some(Outcome::Approve); 3]
    );
    let more = ask_many(&mut world, &mut laptop, of_rebase.take(3).collect());
    let approved = Some(Outcome::Approve);
    assert_eq!(
        outcomes(&mut world, &mut laptop, &more),
        [approved, approved, None]
    );
}

/// A commit of the act that [`commits`] are of, with a count of its own.
fn counted_again(world: &World, message: &str, count: u32) -> RequestBody {
    let evidence = Evidence {
        intent: Some(Intent {
            id: [1; 16],
            what: "git rebase".into(),
            count: Some(count),
        }),
        ..Evidence::default()
    };
    commit(&world.key(), message, evidence)
}

#[test]
fn the_count_of_an_act_stays_as_it_was_first_shown() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let bodies = vec![
        counted_again(&world, "Shown", 2),
        counted_again(&world, "Behind it", 900),
    ];
    let asked = ask_many(&mut world, &mut laptop, bodies);
    assert_eq!(world.questions[0].announced(), Some(2));
    // The request that the person has read goes, and the one behind it says another count.
    let target = asked[0].id;
    laptop.ask(&mut world, RequestBody::Cancel { target });
    assert_eq!(world.questions[0].announced(), Some(2));
    world.decide(Answer::Approve);
    let bodies = (0..3).map(|_| counted_again(&world, "More", 900)).collect();
    let more = ask_many(&mut world, &mut laptop, bodies);
    let approved = Some(Outcome::Approve);
    assert_eq!(outcomes(&mut world, &mut laptop, &asked[1..]), [approved]);
    assert_eq!(
        outcomes(&mut world, &mut laptop, &more),
        [approved, None, None]
    );
}

#[test]
fn requests_that_were_not_counted_raise_no_count() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let bodies = (0..6).map(|_| counted_again(&world, "One", 2)).collect();
    let asked = ask_many(&mut world, &mut laptop, bodies);
    // Five came in the moment in which the key was pressed.
    let seen = world.questions[0].first.id;
    world.answer(Answer::Approve, seen);
    let approved = Some(Outcome::Approve);
    assert_eq!(
        outcomes(&mut world, &mut laptop, &asked),
        [approved, approved, None, None, None, None]
    );
}

#[test]
fn two_keys_for_one_name_that_wait_together_are_not_both_signed_for() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let key = world.key();
    let first = laptop.ask(&mut world, login(&key, &Host::new(5), "db1"));
    let second = laptop.ask(&mut world, login(&key, &Host::new(6), "db1"));
    assert_eq!(world.questions.len(), 2);
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &first), Some(Outcome::Approve));
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &second), Some(Outcome::Block));
    assert!(laptop.final_response(&second).unwrap().body.is_none());
}
