//! What kinds of key may be asked for: RSA's flags, certificates used and certificates made.

use keystead_authenticator::control::{Command, Reply};
use keystead_authenticator::holder::Decide;
use keystead_authenticator::words;
use keystead_core::{Evidence, KeyEntry, KeyType, Outcome, RequestBody};
use keystead_formats::ssh::PublicKey;

use crate::git::blob;
use crate::login::{Host, SESSION, sign};
use crate::world::{Workstation, World};

fn made(world: &mut World, key_type: KeyType) -> KeyEntry {
    let reply = world.command(Command::KeyNew {
        name: key_type.short_name().into(),
        algorithm: key_type.short_name().into(),
        purpose: None,
    });
    assert!(matches!(reply, Some(Reply::Key(_))), "{reply:?}");
    world.holder.keys().entries().last().unwrap().clone()
}

fn outcome(world: &mut World, laptop: &mut Workstation, body: RequestBody) -> Option<Outcome> {
    let asked = laptop.ask(world, body);
    laptop.outcome(world, &asked)
}

fn with_flags(body: RequestBody, flags: u32) -> RequestBody {
    let RequestBody::Sign(mut request) = body else {
        panic!()
    };
    request.flags = flags;
    RequestBody::Sign(request)
}

/// A string of the SSH wire (RFC 4251 section 5).
fn string(bytes: &[u8]) -> Vec<u8> {
    [
        &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        bytes,
    ]
    .concat()
}

/// A login by `algorithm`, its key named as `key`, bound to `host` (OpenSSH PROTOCOL section 3.1).
fn login_by(algorithm: &str, key: &[u8], host: &Host) -> Vec<u8> {
    [
        string(&SESSION),
        vec![50],
        string(b"alex"),
        string(b"ssh-connection"),
        string(b"publickey-hostbound-v00@openssh.com"),
        vec![1],
        string(algorithm.as_bytes()),
        string(key),
        string(host.public().blob()),
    ]
    .concat()
}

fn at(host: &Host) -> Evidence {
    Evidence {
        binds: vec![host.bind(&SESSION, false)],
        ..Evidence::default()
    }
}

#[test]
fn rsa_signs_by_the_hash_that_is_asked_for_and_never_by_sha_1() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let (key, host) = (made(&mut world, KeyType::Rsa3072), Host::new(5));
    for (algorithm, flags, expected) in [
        ("rsa-sha2-256", 2, Outcome::Approve),
        ("rsa-sha2-512", 4, Outcome::Approve),
        ("rsa-sha2-512", 2, Outcome::Refuse),
        ("rsa-sha2-256", 4, Outcome::Refuse),
        ("rsa-sha2-512", 0, Outcome::Unsupported),
        ("ssh-rsa", 0, Outcome::Unsupported),
        ("rsa-sha2-512", 6, Outcome::Unsupported),
        ("rsa-sha2-512", 8, Outcome::Unsupported),
    ] {
        let content = login_by(algorithm, &key.public_key, &host);
        let body = with_flags(sign(&key, content.clone(), at(&host)), flags);
        let asked = laptop.ask(&mut world, body);
        let outcome = laptop.outcome(&mut world, &asked);
        assert_eq!(outcome, Some(expected), "{algorithm} {flags}");
        if expected == Outcome::Approve {
            let response = laptop.final_response(&asked).unwrap();
            let Some(keystead_core::ResponseBody::Signature(signature)) = response.body else {
                panic!("no signature")
            };
            let public = PublicKey::from_blob(&key.public_key).unwrap();
            public.verify(&content, &signature).unwrap();
            assert!(signature[4..].starts_with(algorithm.as_bytes()));
        }
    }
    let signed = with_flags(sign(&key, blob("file", "x"), Evidence::default()), 4);
    assert_eq!(
        outcome(&mut world, &mut laptop, signed),
        Some(Outcome::Approve)
    );
}

/// The part of a certificate that its authority signs (OpenSSH PROTOCOL.certkeys).
pub(crate) fn certificate(
    role: u32,
    key: &[u8; 32],
    principals: &[&str],
    authority: &[u8],
) -> Vec<u8> {
    let principals: Vec<u8> = principals
        .iter()
        .flat_map(|it| string(it.as_bytes()))
        .collect();
    let force = [string(b"force-command"), string(&string(b"/bin/true"))].concat();
    [
        string(b"ssh-ed25519-cert-v01@openssh.com"),
        string(&[8; 32]),
        string(key),
        7_u64.to_be_bytes().to_vec(),
        role.to_be_bytes().to_vec(),
        string(b"alex at work"),
        string(&principals),
        1_700_000_000_u64.to_be_bytes().to_vec(),
        1_700_003_600_u64.to_be_bytes().to_vec(),
        string(if role == 1 { &force } else { b"" }),
        string(&if role == 1 {
            [string(b"permit-pty"), string(b"")].concat()
        } else {
            vec![]
        }),
        string(b""),
        string(authority),
    ]
    .concat()
}

#[test]
fn what_an_authority_certifies_is_shown_whole_and_asked_each_time() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let key = world.key();
    let content = certificate(1, &[9; 32], &["alex", "root"], &key.public_key);
    let asked = laptop.ask(&mut world, sign(&key, content, Evidence::default()));
    let question = &world.questions[0];
    assert_eq!(question.choices.grant, None);
    let rows: Vec<String> = question
        .asked()
        .rows()
        .iter()
        .map(|row| format!("{}|{}", row.label, row.value))
        .collect();
    let mut blob = [string(b"ssh-ed25519"), string(&[9; 32])].concat();
    let fingerprint = PublicKey::from_blob(&blob).unwrap().fingerprint();
    assert_eq!(
        rows,
        [
            "Certify|a user key, as an authority".to_owned(),
            format!("Key|{fingerprint} ssh-ed25519"),
            "Valid|from 2023-11-14 22:13:20Z until 2023-11-14 23:13:20Z".to_owned(),
            "For|alex, root".to_owned(),
            "Key id|\"alex at work\", serial 7".to_owned(),
            "Only|force-command=\"/bin/true\"".to_owned(),
            "Permits|permit-pty".to_owned(),
            "With key|main".to_owned(),
        ]
    );
    world.decide(keystead_core::Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    assert_eq!(
        world.log().pop().unwrap().purpose.as_deref(),
        Some("ssh-certificate")
    );
    // One for everybody says so.
    let content = certificate(2, &[9; 32], &[], &key.public_key);
    laptop.ask(&mut world, sign(&key, content, Evidence::default()));
    let rows = world.questions[0].asked().rows();
    let all = rows.iter().find(|it| it.label == "For").unwrap();
    assert_eq!(all.tone, words::Tone::Warn);
    assert_eq!(all.value, "every host there is: no name is in it");
    // In another authority's name, and cut, or longer: refused.
    blob.truncate(4);
    let foreign = certificate(1, &[9; 32], &["alex"], Host::new(3).public().blob());
    let refused = sign(&key, foreign, Evidence::default());
    assert_eq!(
        outcome(&mut world, &mut laptop, refused),
        Some(Outcome::Refuse)
    );
    let whole = certificate(1, &[9; 32], &["alex"], &key.public_key);
    for len in 1..whole.len() {
        let cut = sign(&key, whole[..len].to_vec(), Evidence::default());
        let outcome = outcome(&mut world, &mut laptop, cut);
        assert_eq!(outcome, Some(Outcome::Refuse), "{len}");
    }
}

#[test]
fn a_certificate_of_a_key_logs_in_with_that_key_alone() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let (key, host) = (world.key(), Host::new(5));
    let public: [u8; 32] = key.public_key[19..].try_into().unwrap();
    let authority = Host::new(9);
    let with = |public: &[u8; 32]| {
        let signed = certificate(1, public, &["alex"], authority.public().blob());
        let signature = authority.sign(&signed);
        [signed, string(&signature)].concat()
    };
    let algorithm = "ssh-ed25519-cert-v01@openssh.com";
    let own = login_by(algorithm, &with(&public), &host);
    laptop.ask(&mut world, sign(&key, own, at(&host)));
    let words::Asked::Login(login) = world.questions[0].asked() else {
        panic!("no login")
    };
    assert_eq!(login.certificate.as_deref(), Some("alex at work"));
    let foreign = login_by(algorithm, &with(&[9; 32]), &host);
    let refused = sign(&key, foreign, at(&host));
    assert_eq!(
        outcome(&mut world, &mut laptop, refused),
        Some(Outcome::Refuse)
    );
}

#[test]
fn namespaces_that_are_not_asked_for_are_refused_with_the_reason() {
    use keystead_authenticator::namespaces::Namespaces;
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let key = world.key();
    let of = |namespace: &str| sign(&key, blob(namespace, "x"), Evidence::default());
    let strange = of("strange@example.org");
    assert_eq!(
        outcome(&mut world, &mut laptop, strange),
        Some(Outcome::Approve)
    );
    world.restart_in(Namespaces::Only(vec!["git".into()]));
    let mut laptop = laptop.connect(&mut world);
    assert_eq!(
        outcome(&mut world, &mut laptop, of("git")),
        Some(Outcome::Approve)
    );
    assert_eq!(
        outcome(&mut world, &mut laptop, of("file")),
        Some(Outcome::Refuse)
    );
    let reason = world.log().pop().unwrap().reason.unwrap();
    assert_eq!(
        reason,
        "signatures in the namespace file are not asked for here, only in git"
    );
}
