//! Keys that a workstation brings: asked for, limited, forgotten.

use keystead_authenticator::control::{Command, Reply};
use keystead_authenticator::holder::{Caller, Decide, Event};
use keystead_authenticator::question::{Answer, Term};
use keystead_authenticator::words;
use keystead_core::{
    Constraints, DecryptForm, Evidence, ImportRequest, KeyEntry, KeyForm, KeyId, LockRequest, Name,
    Outcome, Purpose, RequestBody, ResponseBody, SecretBytes, SignRequest,
};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::userauth::UserAuth;

use crate::git::commit;
use crate::login::{Host, SESSION, blob, login, sign};
use crate::wallet::{decrypt, stanza};
use crate::world::{Workstation, World};

const HOUR: Answer = Answer::Grant(Term {
    lasts_s: 3_600,
    count_max: 9,
});

/// An Ed25519 key as `ssh-add` sends it: type, public half, both halves
/// (draft-miller-ssh-agent section 3.2.3).
fn agent_form(seed: u8) -> SecretBytes {
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
    let mut bytes = [
        string(b"ssh-ed25519"),
        string(pair.public.as_ref()),
        string(&pair.to_bytes()),
    ]
    .concat();
    SecretBytes::take(&mut bytes)
}

/// A string of the SSH wire (RFC 4251 section 5).
fn string(bytes: &[u8]) -> Vec<u8> {
    [
        &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        bytes,
    ]
    .concat()
}

/// One hop from here (OpenSSH PROTOCOL.agent section 2).
fn destination(user: &str, host: &str, host_key: &[u8]) -> Vec<u8> {
    let from = [string(b""), string(b""), string(b"")].concat();
    let to = [
        string(user.as_bytes()),
        string(host.as_bytes()),
        string(b""),
        string(host_key),
        vec![0],
    ]
    .concat();
    string(&[string(&from), string(&to), string(b"")].concat())
}

fn import(seed: u8, constraints: Constraints) -> RequestBody {
    RequestBody::Import(ImportRequest {
        form: KeyForm::Agent,
        key: agent_form(seed),
        passphrase: None,
        name: Some(Name::new("alex@laptop").unwrap()),
        constraints,
        purposes: Vec::new(),
    })
}

/// Brings a key; a person says yes.
fn bring(world: &mut World, laptop: &mut Workstation, constraints: Constraints) -> KeyEntry {
    let asked = laptop.ask(world, import(1, constraints));
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(world, &asked), Some(Outcome::Approve));
    let Some(ResponseBody::Keys(keys)) = laptop.final_response(&asked).unwrap().body else {
        panic!("no keys")
    };
    keys[0].clone()
}

/// The same key, by a file of the holder's.
fn bring_here(world: &mut World) {
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]);
    let key = ssh_key::PrivateKey::from(pair);
    let mut file = key
        .to_openssh(ssh_key::LineEnding::LF)
        .unwrap()
        .as_bytes()
        .to_vec();
    let command = Command::KeyImport {
        name: None,
        file_bytes: file.len(),
        file_passphrase_bytes: None,
    };
    world.event(Event::Command {
        caller: Caller(1),
        command,
        passphrase: Some(SecretBytes::take(&mut file)),
    });
    let reply = world.replies.pop();
    assert!(matches!(reply, Some(Reply::Key(_))), "{reply:?}");
}

fn outcome(world: &mut World, laptop: &mut Workstation, body: RequestBody) -> Option<Outcome> {
    let asked = laptop.ask(world, body);
    laptop.outcome(world, &asked)
}

#[test]
fn a_key_comes_in_by_a_persons_yes_and_signs() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let refused = laptop.ask(&mut world, import(1, Constraints::default()));
    let words::Asked::Import(shown) = world.questions[0].asked().clone() else {
        panic!("another question")
    };
    assert_eq!(shown.name.as_str(), "alex@laptop");
    assert_eq!(shown.algorithm, "ssh-ed25519");
    assert!(shown.fingerprint.starts_with("SHA256:"));
    world.decide(Answer::Refuse);
    assert_eq!(laptop.outcome(&mut world, &refused), Some(Outcome::Refuse));
    assert_eq!(world.holder.keys().entries().len(), 1);
    let key = bring(&mut world, &mut laptop, Constraints::default());
    let asked = laptop.ask(&mut world, login(&key, &Host::new(5), "db1"));
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
}

/// Else a workstation would lift the limits of a key under another name.
#[test]
fn a_key_that_comes_again_is_shown_as_the_one_that_it_replaces() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let confirmed = Constraints {
        confirm: true,
        ..Constraints::default()
    };
    let replaces = |world: &World| {
        let question = world.questions.last().unwrap();
        let rows = question.asked().rows();
        let name = rows[0].value.clone();
        (name, rows.iter().any(|it| it.label == "Replaces"))
    };
    let asked = laptop.ask(&mut world, import(1, confirmed));
    let shown = "alex@laptop, type ssh-ed25519".to_owned();
    assert_eq!(replaces(&world), (shown.clone(), false));
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let RequestBody::Import(mut again) = import(1, Constraints::default()) else {
        panic!("another request");
    };
    again.name = Some(Name::new("another").unwrap());
    laptop.ask(&mut world, RequestBody::Import(again));
    assert_eq!(replaces(&world), (shown, true));
}

/// Of `openssl genpkey -algorithm X25519`.
const X25519: &[u8] = b"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIHjmbY9Ryu87hR0xVTyB+pZAUCNZ58RnffOV60jLuhtR
-----END PRIVATE KEY-----
";

fn import_for(form: KeyForm, key: &[u8], purposes: Vec<Purpose>) -> RequestBody {
    import_within(Constraints::default(), form, key, purposes)
}

fn import_within(
    constraints: Constraints,
    form: KeyForm,
    key: &[u8],
    purposes: Vec<Purpose>,
) -> RequestBody {
    RequestBody::Import(ImportRequest {
        form,
        key: SecretBytes::take(&mut key.to_vec()),
        passphrase: None,
        name: Some(Name::new("mail").unwrap()),
        constraints,
        purposes,
    })
}

#[test]
fn a_key_comes_in_for_a_purpose_and_does_nothing_else() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let decrypts = import_for(KeyForm::File, X25519, vec![Purpose::OpenPgpDecrypt]);
    let asked = laptop.ask(&mut world, decrypts);
    let words::Asked::Import(shown) = world.questions[0].asked().clone() else {
        panic!("another question")
    };
    assert_eq!(shown.algorithm, "x25519");
    assert_eq!(shown.purposes, [Purpose::OpenPgpDecrypt]);
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let Some(ResponseBody::Keys(keys)) = laptop.final_response(&asked).unwrap().body else {
        panic!("no keys")
    };
    assert_eq!(keys[0].algorithm, "x25519");
    assert_eq!(keys[0].purposes, [Purpose::OpenPgpDecrypt]);
    assert_eq!(keys[0].public_key.len(), 32);
    let signs = import_for(
        KeyForm::Agent,
        agent_form(1).expose(),
        vec![Purpose::OpenPgp],
    );
    let asked = laptop.ask(&mut world, signs);
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let Some(ResponseBody::Keys(keys)) = laptop.final_response(&asked).unwrap().body else {
        panic!("no keys")
    };
    // It is no key of SSH's.
    let refused = outcome(
        &mut world,
        &mut laptop,
        login(&keys[0], &Host::new(5), "db1"),
    );
    assert_eq!(refused, Some(Outcome::Refuse));
}

#[test]
fn what_its_kind_of_key_does_not_is_no_purpose_of_it() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let ed25519 = agent_form(1);
    for (form, key, purpose, expected) in [
        (KeyForm::File, X25519, Purpose::OpenPgp, Outcome::Refuse),
        (KeyForm::File, X25519, Purpose::SshLogin, Outcome::Refuse),
        (
            KeyForm::Agent,
            ed25519.expose(),
            Purpose::OpenPgpDecrypt,
            Outcome::Unsupported,
        ),
        (
            KeyForm::Agent,
            ed25519.expose(),
            Purpose::Opaque,
            Outcome::Unsupported,
        ),
    ] {
        let body = import_for(form, key, vec![purpose]);
        let found = outcome(&mut world, &mut laptop, body);
        assert_eq!(found, Some(expected), "{purpose:?}");
    }
    assert_eq!(world.holder.keys().entries().len(), 1);
}

#[test]
fn what_cannot_be_enforced_is_not_taken_in() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    for constraints in [
        Constraints {
            sk_provider: Some("/usr/lib/x.so".into()),
            ..Constraints::default()
        },
        Constraints {
            destinations: Some(vec![0, 0, 0, 9]),
            ..Constraints::default()
        },
        Constraints {
            destinations: Some(vec![]),
            ..Constraints::default()
        },
    ] {
        let refused = outcome(&mut world, &mut laptop, import(1, constraints));
        assert_eq!(refused, Some(Outcome::Refuse));
    }
    let token = RequestBody::Import(ImportRequest {
        form: KeyForm::Token,
        key: SecretBytes::take(&mut b"/usr/lib/x.so".to_vec()),
        passphrase: None,
        name: None,
        constraints: Constraints::default(),
        purposes: Vec::new(),
    });
    assert_eq!(
        outcome(&mut world, &mut laptop, token),
        Some(Outcome::Unsupported)
    );
    let lock = RequestBody::Lock(LockRequest {
        lock: true,
        passphrase: SecretBytes::take(&mut b"x".to_vec()),
    });
    assert_eq!(
        outcome(&mut world, &mut laptop, lock),
        Some(Outcome::Unsupported)
    );
    assert_eq!(world.holder.keys().entries().len(), 1);
}

#[test]
fn a_lifetime_ends_by_either_clock_and_over_a_restart() {
    let ways: [fn(&mut World); 4] = [
        |world| world.idle_s(100),
        // The calendar was set back; the steady clock went on.
        |world| {
            world.now.unix_s -= 50_000;
            world.idle_s(100);
        },
        // The machine's calendar went on alone.
        |world| world.now.unix_s += 100,
        |world| {
            world.now.unix_s += 100;
            world.restart();
        },
    ];
    for (at, way) in ways.into_iter().enumerate() {
        let (mut world, mut laptop) = World::paired(Decide::Ask);
        let constraints = Constraints {
            lifetime_s: Some(100),
            ..Constraints::default()
        };
        let key = bring(&mut world, &mut laptop, constraints);
        world.idle_s(99);
        assert!(world.holder.keys().entry(&key.id).is_some());
        world.now.unix_s -= 99;
        way(&mut world);
        let mut laptop = laptop.connect(&mut world);
        let gone = outcome(&mut world, &mut laptop, login(&key, &Host::new(5), "db1"));
        assert_eq!(gone, Some(Outcome::UnknownKey), "{at}");
        world.event(keystead_authenticator::holder::Event::Tick);
        assert!(world.holder.keys().entry(&key.id).is_none(), "{at}");
    }
}

#[test]
fn confirm_is_asked_for_each_time_and_never_granted() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let constraints = Constraints {
        confirm: true,
        ..Constraints::default()
    };
    let key = bring(&mut world, &mut laptop, constraints);
    for _ in 0..2 {
        for body in [
            login(&key, &Host::new(5), "db1"),
            commit(&key, "Mend it", Evidence::default()),
        ] {
            let asked = laptop.ask(&mut world, body);
            assert_eq!(world.questions[0].choices.grant, None);
            world.decide(HOUR);
            assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
        }
    }
}

/// Whoever is paired may ask; opening a file is seconds of work before anybody is asked.
#[test]
fn encrypted_files_do_not_keep_the_holder_busy() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let mut other = Workstation::pair(&mut world);
    let ask = |world: &mut World, from: &mut Workstation| {
        let mut body = import_for(KeyForm::File, b"no key", vec![]);
        if let RequestBody::Import(import) = &mut body {
            import.passphrase = Some(SecretBytes::take(&mut b"x".to_vec()));
        }
        outcome(world, from, body)
    };
    for _ in 0..4 {
        assert_eq!(ask(&mut world, &mut laptop), Some(Outcome::Refuse));
    }
    assert_eq!(ask(&mut world, &mut laptop), Some(Outcome::Busy));
    assert_eq!(ask(&mut world, &mut other), Some(Outcome::Refuse));
    // What is not encrypted costs nothing.
    let plain = import_for(KeyForm::File, b"no key", vec![]);
    let plain = outcome(&mut world, &mut laptop, plain);
    assert_eq!(plain, Some(Outcome::Refuse));
    world.now.mono_ms += 30_000;
    assert_eq!(ask(&mut world, &mut laptop), Some(Outcome::Refuse));
    assert_eq!(ask(&mut world, &mut laptop), Some(Outcome::Busy));
}

#[test]
fn confirm_is_asked_for_each_decryption_too() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let confirm = Constraints {
        confirm: true,
        ..Constraints::default()
    };
    let body = import_within(confirm, KeyForm::File, X25519, vec![Purpose::AgeUnwrap]);
    let asked = laptop.ask(&mut world, body);
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let Some(ResponseBody::Keys(keys)) = laptop.final_response(&asked).unwrap().body else {
        panic!("no keys")
    };
    for _ in 0..2 {
        let body = decrypt(keys[0].id, None, DecryptForm::Age, stanza(&keys[0]));
        let asked = laptop.ask(&mut world, body);
        assert_eq!(world.questions[0].choices.grant, None);
        world.decide(HOUR);
        assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    }
}

/// Nothing but a login has a destination that could be looked at.
#[test]
fn a_key_that_is_limited_to_hosts_is_for_ssh_alone() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let ed25519 = agent_form(1);
    let host = Host::new(5);
    for (form, key, purpose) in [
        (KeyForm::File, X25519, Purpose::AgeUnwrap),
        (KeyForm::File, X25519, Purpose::OpenPgpDecrypt),
        (KeyForm::Agent, ed25519.expose(), Purpose::OpenPgp),
        (KeyForm::Agent, ed25519.expose(), Purpose::Signify),
    ] {
        let constraints = Constraints {
            destinations: Some(destination("alex", "db1", host.public().blob())),
            ..Constraints::default()
        };
        let body = import_within(constraints, form, key, vec![purpose]);
        let found = outcome(&mut world, &mut laptop, body);
        assert_eq!(found, Some(Outcome::Refuse), "{purpose:?}");
    }
    assert_eq!(world.holder.keys().entries().len(), 1);
}

#[test]
fn destinations_are_enforced_before_anybody_is_asked() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let host = Host::new(5);
    let destinations = destination("alex", "db1", host.public().blob());
    let constraints = Constraints {
        destinations: Some(destinations),
        ..Constraints::default()
    };
    let key = bring(&mut world, &mut laptop, constraints);
    let with = |evidence| sign(&key, blob(&key, Some(&host)), evidence);
    let forwarded = Evidence {
        binds: vec![
            Host::new(7).bind(&[4; 32], true),
            host.bind(&SESSION, false),
        ],
        ..Evidence::default()
    };
    for (what, body) in [
        ("another host", login(&key, &Host::new(6), "db2")),
        ("no bind", with(Evidence::default())),
        ("a hop that is not named", with(forwarded)),
        ("a commit", commit(&key, "Mend it", Evidence::default())),
        (
            "another user",
            sign(
                &key,
                crate::login::blob_as(&key, Some(&host), "root"),
                Evidence {
                    binds: vec![host.bind(&SESSION, false)],
                    ..Evidence::default()
                },
            ),
        ),
    ] {
        let refused = outcome(&mut world, &mut laptop, body);
        assert_eq!(refused, Some(Outcome::Refuse), "{what}");
    }
    assert!(world.questions.is_empty());
    assert_eq!(
        outcome(&mut world, &mut laptop, login(&key, &host, "db1")),
        None
    );
    assert_eq!(world.questions.len(), 1);
}

#[test]
fn a_workstation_removes_what_it_brought_and_nothing_else() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let own = world.key();
    let key = bring(&mut world, &mut laptop, Constraints::default());
    let mut other = Workstation::pair(&mut world);
    let remove = |keys: Vec<KeyId>| RequestBody::Remove { keys };
    let refused = outcome(&mut world, &mut other, remove(vec![key.id]));
    assert_eq!(refused, Some(Outcome::UnknownKey), "brought by another");
    let nothing = outcome(&mut world, &mut other, remove(vec![]));
    assert_eq!(nothing, Some(Outcome::Approve), "it brought none");
    let refused = outcome(&mut world, &mut laptop, remove(vec![own.id]));
    assert_eq!(refused, Some(Outcome::UnknownKey), "made here");
    assert_eq!(world.holder.keys().entries().len(), 2);
    let asked = laptop.ask(&mut world, remove(vec![]));
    assert!(matches!(world.questions[0].asked(), words::Asked::Remove(it) if it.names.len() == 1));
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    assert_eq!(world.holder.keys().entries(), [own]);
}

/// As `ssh-add` brings a key with its certificate.
#[test]
fn a_key_that_came_with_its_certificate_signs_and_may_be_granted() {
    let rsa = include_bytes!("../../../../fuzz/corpus/key_agent_form/rsa2048-certificate");
    let ed25519 = include_bytes!("../../../../fuzz/corpus/key_agent_form/ed25519-certificate");
    let certified = [
        (&rsa[..], 4, Some("rsa-sha2-512-cert-v01@openssh.com")),
        (&ed25519[..], 0, None),
    ];
    for (bytes, flags, algorithm) in certified {
        let (mut world, mut laptop) = World::paired(Decide::Ask);
        let brought = RequestBody::Import(ImportRequest {
            form: KeyForm::Agent,
            key: SecretBytes::take(&mut bytes.to_vec()),
            passphrase: None,
            name: None,
            constraints: Constraints::default(),
            purposes: Vec::new(),
        });
        laptop.ask(&mut world, brought);
        world.decide(Answer::Approve);
        let key = world.holder.keys().entries()[1].clone();
        let host = Host::new(5);
        let public = PublicKey::from_blob(&key.public_key).unwrap();
        let content = UserAuth {
            session_id: SESSION.to_vec(),
            user: "alex".into(),
            algorithm: algorithm.unwrap_or(public.type_name()).to_owned(),
            key: public,
            host_key: Some(host.public()),
        };
        let evidence = Evidence {
            binds: vec![host.bind(&SESSION, false)],
            ..Evidence::default()
        };
        let request = || match sign(&key, content.encode(), evidence.clone()) {
            RequestBody::Sign(request) => RequestBody::Sign(SignRequest { flags, ..request }),
            other => other,
        };
        let asked = laptop.ask(&mut world, request());
        assert_eq!(
            laptop.outcome(&mut world, &asked),
            None,
            "a person is asked"
        );
        world.decide(HOUR);
        assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
        let again = outcome(&mut world, &mut laptop, request());
        assert_eq!(again, Some(Outcome::Approve), "by the grant");
    }
}

#[test]
fn a_key_that_went_takes_its_time_and_its_grants_along() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let short = Constraints {
        lifetime_s: Some(600),
        ..Constraints::default()
    };
    let key = bring(&mut world, &mut laptop, short);
    let asked = laptop.ask(&mut world, login(&key, &Host::new(5), "db1"));
    world.decide(HOUR);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let remove = RequestBody::Remove { keys: vec![key.id] };
    let asked = laptop.ask(&mut world, remove);
    world.decide(Answer::Approve);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let again = bring(&mut world, &mut laptop, Constraints::default());
    assert_eq!(again.id, key.id);
    // What was granted was granted for the key that went.
    let asked = laptop.ask(&mut world, login(&key, &Host::new(5), "db1"));
    assert_eq!(laptop.outcome(&mut world, &asked), None);
    world.decide(Answer::Refuse);
    // Brought by the holder now, it has no time.
    let name = again.name.to_string();
    world.command(Command::KeyRemove { name });
    let short = Constraints {
        lifetime_s: Some(600),
        ..Constraints::default()
    };
    let key = bring(&mut world, &mut laptop, short);
    let name = key.name.to_string();
    world.command(Command::KeyRemove { name });
    bring_here(&mut world);
    world.advance_s(601);
    assert!(world.holder.keys().entry(&key.id).is_some());
}

#[test]
fn a_key_that_cannot_be_removed_signs_no_more() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let constraints = Constraints {
        lifetime_s: Some(100),
        ..Constraints::default()
    };
    let asked = laptop.ask(&mut world, import(1, constraints));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let key = world.holder.keys().entries()[1].clone();
    world.disk.faults.full_above_bytes = Some(10);
    world.idle_s(150);
    let mut laptop = laptop.connect(&mut world);
    let gone = outcome(&mut world, &mut laptop, login(&key, &Host::new(5), "db1"));
    // It cannot even be logged.
    assert_ne!(gone, Some(Outcome::Approve));
    world.disk.faults.full_above_bytes = None;
    let gone = outcome(&mut world, &mut laptop, login(&key, &Host::new(5), "db1"));
    assert_eq!(gone, Some(Outcome::UnknownKey));
    world.idle_s(60);
    assert_eq!(world.holder.keys().entries().len(), 1);
}
