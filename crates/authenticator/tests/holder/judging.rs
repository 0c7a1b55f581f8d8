//! What is asked, blocked or refused before any person is, and the words for it.

use keystead_authenticator::control::{Command, Reply};
use keystead_authenticator::holder::Decide;
use keystead_core::{Evidence, KeyId, Outcome, RequestBody};
use keystead_formats::ssh::sshsig::{HashAlgorithm, SshSig};

use crate::login::{Host, SESSION, blob, login, sign};
use crate::world::World;

/// Asks and gives the outcome, or the line of the question.
fn ask(
    world: &mut World,
    laptop: &mut crate::world::Workstation,
    body: RequestBody,
) -> Result<String, Outcome> {
    let asked = laptop.ask(world, body);
    match laptop.outcome(world, &asked) {
        Some(outcome) => Err(outcome),
        None => Ok(world.questions.last().unwrap().asked().line()),
    }
}

fn check(evidence: impl Fn(&Host) -> Evidence, hostbound: bool, expected: Result<&str, &str>) {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let content = blob(&key, hostbound.then_some(&host));
    match (
        ask(
            &mut world,
            &mut laptop,
            sign(&key, content, evidence(&host)),
        ),
        expected,
    ) {
        (Ok(line), Ok(expected)) => assert_eq!(line, expected),
        (Err(Outcome::Refuse), Err(expected)) => {
            assert_eq!(world.log().pop().unwrap().reason.as_deref(), Some(expected));
        }
        (other, expected) => panic!("{other:?} for {expected:?}"),
    }
}

#[test]
fn binds_prove_or_refuse() {
    let with = |binds| Evidence {
        binds,
        ..Evidence::default()
    };
    let proved =
        "ssh login as alex at SHA256:QjmLWCiuANV/4DtYYbMCBGcVudXaKDrPMD4YYQr6ik0 with main";
    let proved = proved.replace(
        "SHA256:QjmLWCiuANV/4DtYYbMCBGcVudXaKDrPMD4YYQr6ik0",
        &Host::new(5).public().fingerprint(),
    );
    let unbound = proved.replace(
        " with main",
        " (destination not proved by the login itself) with main",
    );
    let not_proved = "ssh login as alex at a destination not proved with main";
    for hostbound in [false, true] {
        check(
            |host| with(vec![host.bind(&SESSION, false)]),
            hostbound,
            Ok(if hostbound { &proved } else { &unbound }),
        );
        check(|_| with(vec![]), hostbound, Ok(not_proved));
        check(
            |host| with(vec![host.bind(&[4; 32], true)]),
            hostbound,
            Ok(not_proved),
        );
        check(
            |host| with(vec![host.bind(&[4; 32], false)]),
            hostbound,
            Err("the login is for another session than the host signed"),
        );
        check(
            |host| with(vec![host.bind(&[4; 32], false), host.bind(&SESSION, false)]),
            hostbound,
            Err("a session-bind behind one that does not forward"),
        );
    }
    let other = || Host::new(6);
    let mismatch = format!(
        "the login is bound to host key {}, and {} signed the session",
        Host::new(5).public().fingerprint(),
        other().public().fingerprint()
    );
    check(
        |_| with(vec![other().bind(&SESSION, false)]),
        true,
        Err(&mismatch),
    );
    let forged = |host: &Host| {
        let mut bind = host.bind(&SESSION, false);
        bind.session_id = [4; 32].to_vec();
        with(vec![bind])
    };
    let false_signature = format!(
        "a session-bind whose signature is false (host key {})",
        Host::new(5).public().fingerprint()
    );
    check(forged, true, Err(&false_signature));
    let unreadable = |host: &Host| {
        let mut bind = host.bind(&SESSION, false);
        bind.host_key.pop();
        with(vec![bind])
    };
    check(unreadable, true, Err("a session-bind that cannot be read"));
}

#[test]
fn every_proper_prefix_of_a_login_is_opaque_and_refused() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let (key, host) = (world.key(), Host::new(5));
    let whole = blob(&key, Some(&host));
    for len in (1..whole.len()).step_by(7) {
        let body = sign(&key, whole[..len].to_vec(), Evidence::default());
        assert_eq!(
            ask(&mut world, &mut laptop, body),
            Err(Outcome::Refuse),
            "{len}"
        );
        let reason = world.log().pop().unwrap().reason.unwrap();
        assert!(
            reason.starts_with(&format!("opaque: {len} bytes")),
            "{reason}"
        );
    }
    let longer = [whole, vec![0]].concat();
    assert_eq!(
        ask(
            &mut world,
            &mut laptop,
            sign(&key, longer, Evidence::default())
        ),
        Err(Outcome::Refuse)
    );
}

#[test]
fn keys_and_flags() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let (key, host) = (world.key(), Host::new(5));
    let RequestBody::Sign(mut request) = login(&key, &host, "db1") else {
        panic!()
    };
    request.key = KeyId([0; 32]);
    let unknown = ask(&mut world, &mut laptop, RequestBody::Sign(request.clone()));
    assert_eq!(unknown, Err(Outcome::UnknownKey));
    request.key = key.id;
    request.flags = 2;
    let flags = ask(&mut world, &mut laptop, RequestBody::Sign(request.clone()));
    assert_eq!(flags, Err(Outcome::Unsupported));
    // A login for another key than the one that is to sign.
    let mut other = key.clone();
    other.public_key = host.public().blob().to_vec();
    request.flags = 0;
    request.content = blob(&other, Some(&host));
    let mismatch = ask(&mut world, &mut laptop, RequestBody::Sign(request));
    assert_eq!(mismatch, Err(Outcome::Refuse));
}

#[test]
fn a_changed_host_key_is_blocked_until_it_is_accepted() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let (key, first, second) = (world.key(), Host::new(5), Host::new(6));
    assert_eq!(
        ask(&mut world, &mut laptop, login(&key, &first, "db1")),
        Err(Outcome::Approve)
    );
    assert_eq!(
        ask(&mut world, &mut laptop, login(&key, &second, "db1")),
        Err(Outcome::Block)
    );
    let (old, new) = (first.public().fingerprint(), second.public().fingerprint());
    let reason = format!("the host key of db1 changed: pinned {old}, now {new}");
    assert_eq!(world.log().pop().unwrap().reason, Some(reason.clone()));
    let said = world.said[world.said.len() - 2..].concat();
    assert!(said.contains(&reason), "{said}");
    assert!(
        said.contains(&format!("keystead-authenticator host accept db1 {new}")),
        "{said}"
    );
    // A restart forgets neither the pin nor the block.
    world.restart();
    let mut laptop = laptop.connect(&mut world);
    assert_eq!(
        ask(&mut world, &mut laptop, login(&key, &second, "db1")),
        Err(Outcome::Block)
    );
    let accept = Command::HostAccept {
        name: "db1".into(),
        host_key: new,
    };
    assert!(matches!(world.command(accept), Some(Reply::Done { .. })));
    assert_eq!(
        ask(&mut world, &mut laptop, login(&key, &second, "db1")),
        Err(Outcome::Approve)
    );
    assert_eq!(
        ask(&mut world, &mut laptop, login(&key, &first, "db1")),
        Err(Outcome::Block)
    );
}

#[test]
fn a_commit_is_shown_only_when_its_hash_is_signed() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let key = world.key();
    let commit = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
        author Alex <alex@test> 1700000000 +0000\ncommitter Alex <alex@test> 1700000000 +0000\n\nMend it\n";
    let content = SshSig::of("git", HashAlgorithm::Sha512, commit.as_bytes()).encode();
    let with = |preimage: Option<&str>| Evidence {
        preimage: preimage.map(|it| it.as_bytes().to_vec()),
        ..Evidence::default()
    };
    for (preimage, expected) in [
        (
            Some(commit),
            "signature of a git commit \"Mend it\" with main",
        ),
        (None, "signature in the namespace git with main"),
        (Some("tree"), "signature in the namespace git with main"),
    ] {
        let line = ask(
            &mut world,
            &mut laptop,
            sign(&key, content.clone(), with(preimage)),
        );
        assert_eq!(line.as_deref(), Ok(expected));
    }
}
