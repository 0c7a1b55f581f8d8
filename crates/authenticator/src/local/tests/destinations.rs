//! Keys that are bound to destinations: the verdicts of `process_sign_request2`, with binds that
//! are verified here. Which hops permit what is tried in `formats::ssh::constraint`.

use keystead_core::SessionBind;
use keystead_vault::{SignOptions, SigningKey};

use super::*;
use crate::keyring::signature_blob;

struct Host(SigningKey);

impl Host {
    fn number(number: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        Self(SigningKey::generate(keystead_core::KeyType::Ed25519, &mut rng).unwrap())
    }

    fn blob(&self) -> Vec<u8> {
        self.0.public().to_blob()
    }

    fn bind(&self, session_id: &[u8], forwarding: bool) -> SessionBind {
        let raw = self.0.sign(session_id, SignOptions::default()).unwrap();
        SessionBind {
            host_key: self.blob(),
            session_id: session_id.to_vec(),
            signature: signature_blob(&raw).unwrap(),
            forwarding,
        }
    }
}

/// From here to the host 1 as `alex`, and from there to host 2.
pub(super) fn to_host() -> Constraints {
    let side = |user: &str, hosts: &[(&str, &Host)]| {
        let name = hosts.first().map_or("", |(name, _)| name);
        let writer = Writer::new()
            .string(user.as_bytes())
            .string(name.as_bytes())
            .string(b"");
        hosts
            .iter()
            .fold(writer, |writer, (_, host)| {
                writer.string(&host.blob()).bool(false)
            })
            .into_bytes()
    };
    let (first, second) = (Host::number(1), Host::number(2));
    let hop = |from: Vec<u8>, to: Vec<u8>| {
        Writer::new()
            .string(&from)
            .string(&to)
            .string(b"")
            .into_bytes()
    };
    let hops = Writer::new()
        .string(&hop(side("", &[]), side("al*", &[("db1", &first)])))
        .string(&hop(
            side("", &[("db1", &first)]),
            side("", &[("db2", &second)]),
        ));
    Constraints {
        destinations: Some(hops.into_bytes()),
        ..Constraints::default()
    }
}

fn check(
    content: impl Fn(&KeyEntry) -> Vec<u8>,
    binds: Vec<SessionBind>,
    expected: Outcome,
    case: &str,
) {
    let mut world = World::new();
    let entry = world.add(ed25519(), to_host());
    let request = SignRequest {
        identity: None,
        key: entry.id,
        form: SignForm::Ssh,
        content: content(&entry),
        flags: 0,
        evidence: Evidence {
            binds,
            ..Evidence::default()
        },
    };
    assert_eq!(
        world.outcome(RequestBody::Sign(request)),
        expected,
        "{case}"
    );
}

#[test]
fn verdicts() {
    let (first, second, third) = (Host::number(1), Host::number(2), Host::number(3));
    let plain = |entry: &KeyEntry| login(&entry.public_key, None);
    let bound_to = |host: &Host| {
        let host_key = host.blob();
        move |entry: &KeyEntry| login(&entry.public_key, Some(&host_key))
    };
    let here = || vec![first.bind(SESSION_ID, false)];
    let through = || vec![first.bind(&[1; 32], true), second.bind(SESSION_ID, false)];
    let approve = Outcome::Approve;
    let refuse = Outcome::Refuse;

    check(bound_to(&first), here(), approve, "the host that is named");
    check(plain, here(), approve, "a client of before 8.9, first hop");
    check(
        bound_to(&second),
        through(),
        approve,
        "behind the first host",
    );
    check(plain, through(), refuse, "behind a host, no host key named");
    check(bound_to(&first), vec![], refuse, "not proved");
    check(|_| b"x".to_vec(), here(), refuse, "no login");
    check(bound_to(&second), here(), refuse, "another host key named");
    check(
        bound_to(&first),
        vec![first.bind(&[1; 32], false)],
        refuse,
        "another session",
    );
    check(
        bound_to(&third),
        vec![third.bind(SESSION_ID, false)],
        refuse,
        "a host that no hop names",
    );
    check(
        bound_to(&second),
        vec![second.bind(SESSION_ID, false)],
        refuse,
        "the second host from here",
    );
    check(
        bound_to(&first),
        vec![first.bind(SESSION_ID, true)],
        refuse,
        "a login where the agent is only forwarded",
    );
    check(
        bound_to(&second),
        vec![first.bind(&[1; 32], false), second.bind(SESSION_ID, false)],
        refuse,
        "forwarded by a connection that logs in",
    );
}

#[test]
fn a_bind_with_a_false_signature_proves_nothing() {
    let first = Host::number(1);
    let host_key = first.blob();
    let mut bind = first.bind(SESSION_ID, false);
    *bind.signature.last_mut().unwrap() ^= 1;
    let content = |entry: &KeyEntry| login(&entry.public_key, Some(&host_key));
    check(content, vec![bind], Outcome::Refuse, "false signature");
    let mut bind = first.bind(SESSION_ID, false);
    bind.host_key = Host::number(2).blob();
    check(content, vec![bind], Outcome::Refuse, "another's key");
}

#[test]
fn a_question_names_the_host_of_the_constraint() {
    let mut world = World::new();
    let first = Host::number(1);
    let constraints = Constraints {
        confirm: true,
        ..to_host()
    };
    let entry = world.add(ed25519(), constraints);
    let request = SignRequest {
        identity: None,
        key: entry.id,
        form: SignForm::Ssh,
        content: login(&entry.public_key, Some(&first.blob())),
        flags: 0,
        evidence: Evidence {
            binds: vec![first.bind(SESSION_ID, false)],
            ..Evidence::default()
        },
    };
    let (_, told) = world.ask(RequestBody::Sign(request));
    let Work::Ask(question) = &told.started[0].1 else {
        panic!()
    };
    assert!(question.ends_with("A login as alex at db1"), "{question}");
}
