//! What a request is answered when a person, a setting or the time decides.

use keystead_authenticator::control::{Command, Reply};
use keystead_authenticator::holder::{Decide, Event};
use keystead_authenticator::question::{Answer, PartId};
use keystead_core::{
    Decision, MakeKeyRequest, Name, Outcome, RequestBody, RequestId, ResponseBody,
};
use keystead_formats::ssh::PublicKey;

use crate::login::{Host, blob, login};
use crate::world::World;

#[test]
fn approved_by_a_person() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let asked = laptop.ask(&mut world, login(&key, &host, "db1"));
    assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Ack]);
    assert_eq!(world.questions.len(), 1);
    world.decide(Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let response = laptop.final_response(&asked).unwrap();
    let Some(ResponseBody::Signature(signature)) = response.body else {
        panic!("no signature")
    };
    let public = PublicKey::from_blob(&key.public_key).unwrap();
    public.verify(&blob(&key, Some(&host)), &signature).unwrap();
    assert_eq!(world.settled.pop().unwrap().1, "approved");
    let entry = world.log().pop().unwrap();
    assert_eq!(entry.decision, "approve");
    assert_eq!(entry.purpose.as_deref(), Some("ssh-login"));
    assert!(
        entry
            .words
            .unwrap()
            .starts_with("ssh login as alex at db1 (unproved name, SHA256:")
    );
    assert_eq!(
        (entry.user.as_deref(), entry.host.as_deref()),
        (Some("alex"), Some("db1"))
    );
    assert_eq!(entry.host_key, Some(host.public().fingerprint()));
}

#[test]
fn refused_expired_and_withdrawn_sign_nothing() {
    for expected in [Outcome::Refuse, Outcome::Expire, Outcome::Withdraw] {
        let (mut world, mut laptop) = World::paired(Decide::Ask);
        let asked = laptop.log_in(&mut world, &Host::new(5));
        match expected {
            Outcome::Refuse => world.decide(Decision::Refuse),
            Outcome::Expire => world.advance_s(60),
            _ => {
                let cancel = laptop.ask(&mut world, RequestBody::Cancel { target: asked.id });
                assert_eq!(laptop.outcome(&mut world, &cancel), Some(Outcome::Approve));
            }
        }
        assert_eq!(laptop.outcome(&mut world, &asked), Some(expected));
        assert!(laptop.final_response(&asked).unwrap().body.is_none());
        assert!(world.questions.is_empty());
        assert_eq!(world.settled.len(), 1);
        let has_entry = world
            .log()
            .iter()
            .any(|it| it.decision == expected.as_str());
        assert!(has_entry, "{expected:?}");
    }
}

#[test]
fn a_key_pressed_after_the_end_signs_nothing() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let asked = laptop.log_in(&mut world, &Host::new(5));
    let question = world.questions[0].id;
    world.now.mono_ms += 60_000;
    world.event(Event::Decide {
        question,
        answer: Answer::Approve,
        last: PartId::LAST,
    });
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Expire));
    world.event(Event::Decide {
        question,
        answer: Answer::Approve,
        last: PartId::LAST,
    });
    assert_eq!(
        laptop.outcomes(&mut world, &asked),
        [Outcome::Ack, Outcome::Expire]
    );
}

#[test]
fn settings_decide_and_say_so() {
    for (decide, expected) in [
        (Decide::Approve, Outcome::Approve),
        (Decide::Refuse, Outcome::Refuse),
        (Decide::Nobody, Outcome::Busy),
    ] {
        let (mut world, mut laptop) = World::paired(decide);
        let asked = laptop.log_in(&mut world, &Host::new(5));
        assert_eq!(laptop.outcomes(&mut world, &asked), [expected]);
        assert!(world.questions.is_empty());
        assert!(
            world
                .said
                .iter()
                .any(|it| it.contains("ssh login as alex at db1 (unproved name")),
            "{:?}",
            world.said
        );
    }
}

#[test]
fn locked_is_busy_and_what_waits_ends() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let waiting = laptop.log_in(&mut world, &Host::new(5));
    assert!(matches!(
        world.command(Command::Lock),
        Some(Reply::Done { .. })
    ));
    assert_eq!(laptop.outcome(&mut world, &waiting), Some(Outcome::Busy));
    let asked = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Busy]);
    // Who it is may be asked of a locked one.
    let me = laptop.ask(&mut world, RequestBody::Me { nonce_c: None });
    assert_eq!(laptop.outcome(&mut world, &me), Some(Outcome::Approve));
    let passphrase = Some(crate::world::passphrase());
    world.event(Event::Command {
        caller: crate::world::CALLER,
        command: Command::Unlock,
        passphrase,
    });
    let asked = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Ack]);
}

#[test]
fn a_key_is_made_when_the_holder_says_so() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let make = |algorithm: &str| {
        let name = Name::new("second").unwrap();
        RequestBody::MakeKey(MakeKeyRequest {
            name,
            algorithm: algorithm.into(),
            purposes: Vec::new(),
        })
    };
    let refused = laptop.ask(&mut world, make("ssh-ed25519"));
    world.decide(Decision::Refuse);
    assert_eq!(laptop.outcome(&mut world, &refused), Some(Outcome::Refuse));
    assert_eq!(world.holder.keys().entries().len(), 1);
    let made = laptop.ask(&mut world, make("ecdsa-sha2-nistp256"));
    world.decide(Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &made), Some(Outcome::Approve));
    let key = world.holder.keys().entries()[1].clone();
    assert_eq!(
        laptop.final_response(&made).unwrap().body,
        Some(ResponseBody::Key(key))
    );
    let unknown = laptop.ask(&mut world, make("ssh-dss"));
    assert_eq!(
        laptop.outcomes(&mut world, &unknown),
        [Outcome::Unsupported]
    );
}

#[test]
fn hosts_are_told_when_the_holder_says_so() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let host = Host::new(5);
    laptop.log_in(&mut world, &host);
    let hosts = laptop.ask(&mut world, RequestBody::Hosts);
    assert_eq!(laptop.outcome(&mut world, &hosts), Some(Outcome::Approve));
    let Some(ResponseBody::Hosts(told)) = laptop.final_response(&hosts).unwrap().body else {
        panic!("no hosts")
    };
    assert_eq!(
        (told[0].user.as_str(), told[0].host.as_str()),
        ("alex", "db1")
    );
    assert_eq!(told[0].host_key, host.public().id().0);
}

#[test]
fn a_cancel_that_overtakes_its_request_ends_it() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let target = RequestId([8; 16]);
    let cancel = laptop.ask(&mut world, RequestBody::Cancel { target });
    assert_eq!(laptop.outcome(&mut world, &cancel), Some(Outcome::Approve));
    let body = login(&world.key(), &Host::new(5), "db1");
    let request = keystead_core::Request {
        id: target,
        unix_s: world.now.unix_s,
        wait_s: 60,
        want_ack: true,
        body,
    };
    let bytes = keystead_channel::wire::encode_request(&request);
    laptop.send(&mut world, &bytes);
    let asked = crate::world::Asked {
        id: target,
        kind: keystead_core::Kind::Sign,
        bytes,
    };
    assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Withdraw]);
    assert!(world.questions.is_empty());
}

#[test]
fn neither_passphrase_nor_signature_reaches_the_disk() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let asked = laptop.log_in(&mut world, &Host::new(5));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let Some(ResponseBody::Signature(signature)) = laptop.final_response(&asked).unwrap().body
    else {
        panic!("no signature")
    };
    let raw = &signature[signature.len() - 64..];
    let hex = keystead_core::hex::encode(raw);
    for needle in [raw, hex.as_bytes(), crate::world::PASSPHRASE.as_bytes()] {
        for (name, content) in world.disk.files() {
            let is_there = content.windows(needle.len()).any(|it| it == needle);
            assert!(!is_there, "in {name}");
        }
    }
}
