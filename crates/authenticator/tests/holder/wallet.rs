//! Wallets at the holder: public keys of identities, and what each identity signs and decrypts.

use aws_lc_rs::rand::SystemRandom;
use keystead_authenticator::control::{Command, Reply, WalletDeed};
use keystead_authenticator::holder::{Decide, Event};
use keystead_authenticator::question::{Answer, PartId, Term};
use keystead_core::{
    Curve, Decision, DecryptForm, DecryptRequest, Derivation, Evidence, Identity, KeyEntry, KeyId,
    Outcome, PublicKeyRequest, RequestBody, ResponseBody, SecretBytes, SignForm, SignRequest,
    WalletFingerprint,
};
use keystead_formats::age;
use keystead_formats::minisign::{self, Message, ToSign};
use keystead_formats::openpgp::HashAlgorithm;
use keystead_formats::openpgp::digest::Digest;
use keystead_formats::openpgp::trailer::{DocumentKind, Trailer};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::key::Material;
use keystead_formats::ssh::sshsig::{HashAlgorithm as SshHash, SshSig};
use keystead_vault::wallet::{Wallet, Words};

use crate::keys::certificate;
use crate::login::{Host, SESSION, blob_as};
use crate::world::{CALLER, Workstation, World};

pub(crate) const WORDS: &str = "all all all all all all all all all all all all";

/// Of these words without a passphrase, by `spec/vectors/wallet.json`.
pub(crate) const FINGERPRINT: &str = "44a58098";

const ALL_USES: [(&str, Curve, Derivation); 8] = [
    ("ssh://alex@db1", Curve::Nist256p1, Derivation::Sign),
    ("ssh://alex@db1", Curve::Ed25519, Derivation::Sign),
    ("gpg://Me <me@x>", Curve::Nist256p1, Derivation::Sign),
    ("gpg://Me <me@x>", Curve::Secp256k1, Derivation::Sign),
    ("gpg://Me <me@x>", Curve::Ed25519, Derivation::Sign),
    ("gpg://Me <me@x>", Curve::Curve25519, Derivation::Agree),
    ("age://backup", Curve::Curve25519, Derivation::Agree),
    ("signify://release", Curve::Ed25519, Derivation::Sign),
];

pub(crate) fn identity((uri, curve, derivation): (&str, Curve, Derivation)) -> Identity {
    Identity::new(uri, curve, 0, derivation).unwrap()
}

pub(crate) fn ssh(uri: &str) -> Identity {
    identity((uri, Curve::Ed25519, Derivation::Sign))
}

pub(crate) fn own_wallet(passphrase: &str) -> Wallet {
    let words = Words::read(WORDS.as_bytes()).unwrap();
    let passphrase = SecretBytes::take(&mut passphrase.as_bytes().to_vec());
    Wallet::new(words.seed(&passphrase).unwrap()).unwrap()
}

pub(crate) fn add_wallet(world: &mut World, passphrase: &str) -> Reply {
    let mut secret = [WORDS.as_bytes(), passphrase.as_bytes()].concat();
    world.event(Event::Command {
        caller: CALLER,
        command: Command::Wallet {
            deed: WalletDeed::Add {
                words_bytes: WORDS.len(),
                words_passphrase_bytes: passphrase.len(),
            },
        },
        passphrase: Some(SecretBytes::take(&mut secret)),
    });
    world.replies.pop().unwrap()
}

/// A paired workstation, and a wallet.
pub(crate) fn with_wallet(decide: Decide) -> (World, Workstation) {
    let (mut world, laptop) = World::paired(decide);
    assert!(matches!(add_wallet(&mut world, ""), Reply::Done { .. }));
    (world, laptop)
}

fn public_key(identity: &Identity, wallet: Option<WalletFingerprint>) -> RequestBody {
    RequestBody::PublicKey(PublicKeyRequest {
        identity: identity.clone(),
        wallet,
    })
}

/// The key of an identity, asked for as a workstation does.
pub(crate) fn key_of(world: &mut World, laptop: &mut Workstation, identity: &Identity) -> KeyEntry {
    let asked = laptop.ask(world, public_key(identity, None));
    assert_eq!(laptop.outcome(world, &asked), Some(Outcome::Approve));
    match laptop.final_response(&asked).unwrap().body {
        Some(ResponseBody::Key(key)) => key,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn sign(
    key: KeyId,
    identity: Option<&Identity>,
    form: SignForm,
    content: Vec<u8>,
    evidence: Evidence,
) -> RequestBody {
    RequestBody::Sign(SignRequest {
        key,
        form,
        content,
        flags: 0,
        evidence,
        identity: identity.cloned(),
    })
}

pub(crate) fn decrypt(
    key: KeyId,
    identity: Option<&Identity>,
    form: DecryptForm,
    content: Vec<u8>,
) -> RequestBody {
    RequestBody::Decrypt(DecryptRequest {
        key,
        form,
        content,
        evidence: Evidence::default(),
        identity: identity.cloned(),
    })
}

pub(crate) fn sshsig() -> Vec<u8> {
    SshSig::of("file", SshHash::Sha512, b"content").encode()
}

pub(crate) fn digest() -> Digest {
    Digest::of(HashAlgorithm::Sha256, &[b"content"])
}

pub(crate) fn to_sign() -> ToSign {
    ToSign::new(
        Message::Whole(b"release 1\n".to_vec()),
        "timestamp:1\tfile:a",
    )
    .unwrap()
}

pub(crate) fn stanza(recipient: &KeyEntry) -> Vec<u8> {
    let recipient: [u8; 32] = recipient.public_key.as_slice().try_into().unwrap();
    let wrapped = age::x25519::wrap(&FILE_KEY, &recipient, &SystemRandom::new()).unwrap();
    wrapped.content().to_vec()
}

pub(crate) const FILE_KEY: [u8; 16] = [7; 16];

/// The body of an approved answer.
pub(crate) fn answered(
    world: &mut World,
    laptop: &mut Workstation,
    body: RequestBody,
) -> ResponseBody {
    let asked = laptop.ask(world, body);
    let outcome = laptop.outcome(world, &asked);
    assert_eq!(outcome, Some(Outcome::Approve), "{:?}", world.said);
    laptop.final_response(&asked).unwrap().body.unwrap()
}

pub(crate) fn signature(body: ResponseBody) -> Vec<u8> {
    match body {
        ResponseBody::Signature(signature) => signature,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn plaintext(body: ResponseBody) -> Vec<u8> {
    match body {
        ResponseBody::Plaintext(plaintext) => plaintext.secret().expose().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Why the last answer was none, by the log.
pub(crate) fn refused(
    world: &mut World,
    laptop: &mut Workstation,
    body: RequestBody,
) -> (Outcome, Option<String>) {
    let asked = laptop.ask(world, body);
    let outcome = laptop.outcome(world, &asked).unwrap();
    assert_eq!(world.questions.len(), 0);
    (outcome, world.log().pop().unwrap().reason)
}

#[test]
fn public_keys_are_told_to_everybody_and_logged() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let own = own_wallet("");
    for of_use in ALL_USES {
        let identity = identity(of_use);
        let key = key_of(&mut world, &mut laptop, &identity);
        let public = own.public_key(&identity).unwrap();
        assert_eq!(key.public_key, public.to_blob());
        assert_eq!(key.algorithm, identity.algorithm().as_str());
        assert_eq!(world.questions.len(), 0);
        let entry = world.log().pop().unwrap();
        assert_eq!(entry.kind, "public-key");
        assert_eq!(entry.decision, "approve");
        assert_eq!(entry.identity, Some(identity.to_string()));
        assert_eq!(entry.wallet.as_deref(), Some(FINGERPRINT));
    }
    let me = answered(&mut world, &mut laptop, RequestBody::Me { nonce_c: None });
    let ResponseBody::Me(me) = me else {
        panic!("no me response")
    };
    let own: WalletFingerprint = FINGERPRINT.parse().unwrap();
    assert_eq!(me.wallets, [own]);
}

#[test]
fn another_wallet_is_an_unknown_key() {
    let identity = ssh("ssh://db1");
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let check = |world: &mut World, laptop: &mut Workstation, body, reason: &str| {
        let expected = (Outcome::UnknownKey, Some(reason.to_owned()));
        assert_eq!(refused(world, laptop, body), expected);
    };
    let none = "there is no wallet here";
    check(&mut world, &mut laptop, public_key(&identity, None), none);
    let own = own_wallet("").public_key(&identity).unwrap().to_blob();
    let id = keystead_formats::ssh::key::key_id(&own);
    let request = |id| {
        sign(
            id,
            Some(&identity),
            SignForm::Ssh,
            sshsig(),
            Evidence::default(),
        )
    };
    check(&mut world, &mut laptop, request(id), none);

    add_wallet(&mut world, "");
    let other = WalletFingerprint([1; 4]);
    let away = "wallet 01010101 is not here";
    check(
        &mut world,
        &mut laptop,
        public_key(&identity, Some(other)),
        away,
    );
    let foreign = "no wallet here derives that key: another wallet's";
    check(&mut world, &mut laptop, request(KeyId([9; 32])), foreign);
    // By its words' passphrase it is another wallet, and both are here then.
    add_wallet(&mut world, "other");
    let other = own_wallet("other").public_key(&identity).unwrap().to_blob();
    let other = request(keystead_formats::ssh::key::key_id(&other));
    let asked = laptop.ask(&mut world, other);
    assert_eq!(laptop.outcome(&mut world, &asked), None);
    assert_eq!(world.questions.len(), 1);
}

#[test]
fn a_locked_wallet_answers_busy() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let identity = identity(ALL_USES[6]);
    let key = key_of(&mut world, &mut laptop, &identity);
    world.command(Command::Lock);
    let stanza = stanza(&key);
    for body in [
        public_key(&identity, None),
        decrypt(key.id, Some(&identity), DecryptForm::Age, stanza),
    ] {
        let asked = laptop.ask(&mut world, body);
        assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Busy));
    }
}

/// Every protocol, path and form: what is not for the identity is refused with one reason.
#[test]
fn each_identity_does_what_it_is_for_and_nothing_else() {
    for of_use in ALL_USES {
        let identity = identity(of_use);
        let signs = [
            (SignForm::Ssh, sshsig(), "ssh"),
            (SignForm::OpenPgp, digest().encode(), "gpg"),
            (SignForm::Minisign, to_sign().encode(), "signify"),
        ];
        for (form, content, protocol) in signs {
            let (mut world, mut laptop) = with_wallet(Decide::Ask);
            let key = key_of(&mut world, &mut laptop, &identity);
            let body = sign(key.id, Some(&identity), form, content, Evidence::default());
            let is_for =
                identity.uri().starts_with(protocol) && identity.derivation() == Derivation::Sign;
            check_use(&mut world, &mut laptop, body, is_for, &identity);
        }
        let opens = [(DecryptForm::Point, "gpg"), (DecryptForm::Age, "age")];
        for (form, protocol) in opens {
            let (mut world, mut laptop) = with_wallet(Decide::Ask);
            let key = key_of(&mut world, &mut laptop, &identity);
            let content = match form {
                DecryptForm::Age if identity.derivation() == Derivation::Agree => stanza(&key),
                DecryptForm::Age => vec![1; 64],
                _ => key.public_key.clone(),
            };
            let body = decrypt(key.id, Some(&identity), form, content);
            let is_for =
                identity.uri().starts_with(protocol) && identity.derivation() == Derivation::Agree;
            check_use(&mut world, &mut laptop, body, is_for, &identity);
        }
    }
}

fn check_use(
    world: &mut World,
    laptop: &mut Workstation,
    body: RequestBody,
    is_for: bool,
    identity: &Identity,
) {
    let kind = body.kind();
    let asked = laptop.ask(world, body);
    match laptop.outcome(world, &asked) {
        None => assert!(is_for, "{identity} is asked for {kind:?}"),
        Some(outcome) => {
            assert!(!is_for, "{identity}: {:?}", world.log().pop());
            assert_eq!(outcome, Outcome::Refuse);
            let reason = world.log().pop().unwrap().reason.unwrap();
            assert!(reason.starts_with(&identity.to_string()), "{reason}");
            assert!(world.said.last().unwrap().contains(&reason));
        }
    }
}

#[test]
fn the_wallet_itself_signs_nothing() {
    let (mut world, mut laptop) = with_wallet(Decide::Approve);
    let own = Identity::of_wallet();
    let key = key_of(&mut world, &mut laptop, &own);
    for (form, content) in [
        (SignForm::Ssh, sshsig()),
        (SignForm::OpenPgp, digest().encode()),
        (SignForm::Minisign, to_sign().encode()),
    ] {
        let body = sign(key.id, Some(&own), form, content, Evidence::default());
        let (outcome, reason) = refused(&mut world, &mut laptop, body);
        assert_eq!(outcome, Outcome::Refuse);
        assert!(
            reason
                .unwrap()
                .ends_with("is the wallet's own, and signs nothing")
        );
    }
}

/// An `ssh` identity logs in and signs in namespaces, and is nobody's authority.
#[test]
fn an_ssh_identity_certifies_nobody() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let identity = ssh("ssh://alex@db1");
    let key = key_of(&mut world, &mut laptop, &identity);
    let content = certificate(1, &[9; 32], &["alex"], &key.public_key);
    let none = Evidence::default();
    let body = sign(key.id, Some(&identity), SignForm::Ssh, content, none);
    let reason = "the key ssh://alex@db1 is not for ssh-certificate".to_owned();
    let expected = (Outcome::Refuse, Some(reason));
    assert_eq!(refused(&mut world, &mut laptop, body), expected);
}

/// Flags mean something to form 1 alone (`spec/pairing.md` section 5.1).
#[test]
fn flags_beside_other_forms_are_unsupported() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    for (of_use, form, content) in [
        (ALL_USES[2], SignForm::OpenPgp, digest().encode()),
        (ALL_USES[7], SignForm::Minisign, to_sign().encode()),
    ] {
        let identity = identity(of_use);
        let key = key_of(&mut world, &mut laptop, &identity);
        let none = Evidence::default();
        let mut body = sign(key.id, Some(&identity), form, content, none);
        if let RequestBody::Sign(sign) = &mut body {
            sign.flags = 4;
        }
        let (outcome, _) = refused(&mut world, &mut laptop, body);
        assert_eq!(outcome, Outcome::Unsupported);
    }
}

/// Of two wallets the one whose key is named is shown, and signs.
#[test]
fn the_wallet_of_the_key_signs() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    add_wallet(&mut world, "other");
    let identity = identity(ALL_USES[4]);
    for passphrase in ["other", ""] {
        let own = own_wallet(passphrase);
        let blob = own.public_key(&identity).unwrap().to_blob();
        let id = keystead_formats::ssh::key::key_id(&blob);
        let content = digest().encode();
        let none = Evidence::default();
        let body = sign(id, Some(&identity), SignForm::OpenPgp, content, none);
        let asked = laptop.ask(&mut world, body);
        let rows = world.questions[0].asked().rows();
        let wallet = format!("of wallet {}", own.fingerprint());
        assert!(rows.iter().any(|it| it.value.contains(&wallet)), "{rows:?}");
        world.decide(Decision::Approve(()));
        assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
        let body = laptop.final_response(&asked).unwrap().body.unwrap();
        let expected = own.signer(&identity).unwrap().sign_digest(digest().bytes());
        assert_eq!(signature(body), expected.unwrap());
    }
}

/// What is signed and opened is right, byte for byte what the wallet gives.
#[test]
fn answers_are_those_of_the_wallet() {
    let (mut world, mut laptop) = with_wallet(Decide::Approve);
    for of_use in ALL_USES {
        let identity = identity(of_use);
        let key = key_of(&mut world, &mut laptop, &identity);
        check_answer(&mut world, &mut laptop, &identity, &key);
    }
    let log = format!("{:?}", world.log());
    assert!(!log.contains("07070707"), "no plaintext in the log");
}

fn check_answer(world: &mut World, laptop: &mut Workstation, identity: &Identity, key: &KeyEntry) {
    let own = own_wallet("");
    let mut signed = |form, content| {
        let body = sign(key.id, Some(identity), form, content, Evidence::default());
        signature(answered(world, laptop, body))
    };
    match (identity.protocol().as_str(), identity.derivation()) {
        ("ssh", _) => {
            let public = PublicKey::from_blob(&key.public_key).unwrap();
            let signature = signed(SignForm::Ssh, sshsig());
            public.verify(&sshsig(), &signature).unwrap();
        }
        ("gpg", Derivation::Sign) => {
            let leaf = own.signer(identity).unwrap();
            let expected = leaf.sign_digest(digest().bytes()).unwrap();
            assert_eq!(signed(SignForm::OpenPgp, digest().encode()), expected);
        }
        ("signify", _) => {
            let public = PublicKey::from_blob(&key.public_key).unwrap();
            let Material::Ed25519(public) = public.material() else {
                panic!("another key")
            };
            let public = minisign::PublicKey::of(*public);
            let signatures = signed(SignForm::Minisign, to_sign().encode());
            to_sign().finish(&public, &signatures).unwrap();
        }
        ("age", _) => {
            let body = decrypt(key.id, Some(identity), DecryptForm::Age, stanza(key));
            assert_eq!(plaintext(answered(world, laptop, body)), FILE_KEY);
        }
        _ => {
            let peer = [9; 32].to_vec();
            let expected = own.agreement(identity).unwrap().agree(&peer).unwrap();
            let body = decrypt(key.id, Some(identity), DecryptForm::Point, peer);
            assert_eq!(plaintext(answered(world, laptop, body)), expected.expose());
        }
    }
}

#[test]
fn what_cannot_be_signed_or_opened_is_refused_with_its_reason() {
    let (mut world, mut laptop) = with_wallet(Decide::Approve);
    let gpg = identity(ALL_USES[2]);
    let key = key_of(&mut world, &mut laptop, &gpg);
    for (content, expected) in [
        (
            Digest::of(HashAlgorithm::Sha1, &[b"a"]).encode(),
            "a digest of 20 bytes (sha1) is too short to be signed",
        ),
        (
            Digest::of(HashAlgorithm::Sha224, &[b"a"]).encode(),
            "a digest of 28 bytes (sha224) is too short to be signed",
        ),
        (vec![8; 32], "no digest of a hash that OpenPGP has"),
        (vec![8; 34], "no digest of a hash that OpenPGP has"),
        (vec![], "no digest of a hash that OpenPGP has"),
    ] {
        let body = sign(
            key.id,
            Some(&gpg),
            SignForm::OpenPgp,
            content,
            Evidence::default(),
        );
        let expected = (Outcome::Refuse, Some(expected.to_owned()));
        assert_eq!(refused(&mut world, &mut laptop, body), expected);
    }
    let opens = identity(ALL_USES[5]);
    let key = key_of(&mut world, &mut laptop, &opens);
    for (point, expected) in [
        (vec![9; 31], "31 bytes to decrypt, where there should be 32"),
        (
            vec![0; 32],
            "the other side's key shares nothing but zeroes",
        ),
    ] {
        let body = decrypt(key.id, Some(&opens), DecryptForm::Point, point);
        let expected = (Outcome::Refuse, Some(expected.to_owned()));
        assert_eq!(refused(&mut world, &mut laptop, body), expected);
    }
    let age = identity(ALL_USES[6]);
    let key = key_of(&mut world, &mut laptop, &age);
    for foreign in [[5; 64].to_vec(), [0; 64].to_vec()] {
        let body = decrypt(key.id, Some(&age), DecryptForm::Age, foreign);
        let expected = (
            Outcome::UnknownKey,
            Some("not encrypted to this key".to_owned()),
        );
        assert_eq!(refused(&mut world, &mut laptop, body), expected);
    }
}

#[test]
fn a_login_shows_in_what_it_differs_from_its_identity() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let identity = ssh("ssh://alex@db1");
    let key = key_of(&mut world, &mut laptop, &identity);
    let host = Host::new(5);
    let mut rows = |user: &str, name: &str| {
        let evidence = Evidence {
            binds: vec![host.bind(&SESSION, false)],
            host_names: vec![name.to_owned()],
            ..Evidence::default()
        };
        let content = blob_as(&key, Some(&host), user);
        let body = sign(key.id, Some(&identity), SignForm::Ssh, content, evidence);
        let asked = laptop.ask(&mut world, body);
        assert_eq!(laptop.outcome(&mut world, &asked), None);
        let question = world.questions.pop().unwrap();
        let rows = question.asked().rows();
        rows.iter().map(|row| row.value.clone()).collect::<Vec<_>>()
    };
    let same = rows("alex", "db1");
    assert!(same.contains(&"ssh://alex@db1".to_owned()));
    assert!(same.contains(&format!("ed25519, of wallet {FINGERPRINT}")));
    assert!(!same.iter().any(|it| it.contains("the identity names")));
    let other = rows("root", "db2");
    for differs in [
        "the identity names the account alex, not root",
        "the identity names the host db1, not db2",
    ] {
        assert!(other.contains(&differs.to_owned()), "{other:?}");
    }
}

#[test]
fn the_port_of_an_identity_is_compared_as_known_hosts_has_it() {
    let check = |uri: &str, name: &str, is_same: bool| {
        let (mut world, mut laptop) = with_wallet(Decide::Ask);
        let identity = ssh(uri);
        let key = key_of(&mut world, &mut laptop, &identity);
        let host = Host::new(5);
        let evidence = Evidence {
            binds: vec![host.bind(&SESSION, false)],
            host_names: vec![name.to_owned()],
            ..Evidence::default()
        };
        let content = blob_as(&key, Some(&host), "alex");
        let body = sign(key.id, Some(&identity), SignForm::Ssh, content, evidence);
        laptop.ask(&mut world, body);
        let question = world.questions.pop().unwrap();
        let rows = question.asked().rows();
        let differs = rows
            .iter()
            .any(|it| it.value.starts_with("the identity names"));
        assert_eq!(!differs, is_same, "{uri} {name}");
    };
    check("ssh://alex@db1:2222", "[db1]:2222", true);
    check("ssh://alex@db1", "[db1]:2222", true);
    check("ssh://alex@db1:22", "db1", true);
    check("ssh://alex@DB1", "db1", true);
    check("ssh://alex@[::1]:2222", "[::1]:2222", true);
    check("ssh://alex@[::1]", "::1", true);
    check("ssh://alex@[::1]", "::2", false);
    check("ssh://alex@db1:2222", "[db1]:2223", false);
    check("ssh://alex@db1:2222", "db1", false);
    check("ssh://alex@db1:2222", "[db2]:2222", false);
}

#[test]
fn a_grant_names_the_identity_that_it_is_for() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let identity = ssh("ssh://alex@db1");
    let key = key_of(&mut world, &mut laptop, &identity);
    let host = Host::new(5);
    let evidence = Evidence {
        binds: vec![host.bind(&SESSION, false)],
        ..Evidence::default()
    };
    let content = blob_as(&key, Some(&host), "alex");
    let body = sign(key.id, Some(&identity), SignForm::Ssh, content, evidence);
    laptop.ask(&mut world, body);
    world.decide(Answer::Grant(Term {
        lasts_s: 3_600,
        count_max: 3,
    }));
    let Some(Reply::Grants(lines)) = world.command(Command::GrantList) else {
        panic!("no list");
    };
    let keys: Vec<_> = lines.grants.iter().map(|it| it.key.as_deref()).collect();
    assert_eq!(keys, [Some(&*identity.to_string())]);
}

/// A commit that gpg signs: its text is shown where the digest proves it.
#[test]
fn a_commit_is_proved_by_its_digest() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let identity = identity(ALL_USES[4]);
    let key = key_of(&mut world, &mut laptop, &identity);
    let commit = COMMIT;
    let hashed = [commit.as_bytes(), &TRAILER.encode()].concat();
    let content = Digest::of(HashAlgorithm::Sha512, &[&hashed]).encode();
    let mut line = |preimage: Option<Vec<u8>>| {
        let evidence = Evidence {
            preimage,
            ..Evidence::default()
        };
        let form = SignForm::OpenPgp;
        let body = sign(key.id, Some(&identity), form, content.clone(), evidence);
        let asked = laptop.ask(&mut world, body);
        assert_eq!(laptop.outcome(&mut world, &asked), None);
        world.questions.pop().unwrap().asked().line()
    };
    let with = "with gpg://Me <me@x> ed25519";
    assert_eq!(
        line(Some(hashed.clone())),
        format!("OpenPGP signature of a git commit \"Fix the door\" {with}")
    );
    let first_digits = keystead_core::hex::encode(&content[1..9]);
    let digest = format!("OpenPGP signature of digest {first_digits}… {with}");
    assert_eq!(line(None), digest);
    assert_eq!(line(Some(commit.as_bytes().to_vec())), digest);
    assert_eq!(line(Some(b"other".to_vec())), digest);
}

const COMMIT: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
    author Alex <alex@test> 1700000000 +0000\n\
    committer Alex <alex@test> 1700000000 +0000\n\nFix the door\n";

const TRAILER: Trailer = Trailer {
    kind: DocumentKind::Binary,
    key_algorithm: 22,
    hash: HashAlgorithm::Sha512,
    created_unix_s: 1_700_000_000,
    expires_after_s: None,
    issuer: None,
    signers_user_id: None,
};

/// They are signed with the commit: when it was made, until when, and as whom.
#[test]
fn what_a_proved_signature_says_of_itself_is_shown() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let identity = identity(ALL_USES[4]);
    let key = key_of(&mut world, &mut laptop, &identity);
    let trailer = Trailer {
        expires_after_s: Some(86_400),
        signers_user_id: Some("Boss <boss@x>".into()),
        ..TRAILER
    };
    let hashed = [COMMIT.as_bytes(), &trailer.encode()].concat();
    let content = Digest::of(HashAlgorithm::Sha512, &[&hashed]).encode();
    let evidence = Evidence {
        preimage: Some(hashed),
        user_id: Some("Me <me@x>".into()),
        ..Evidence::default()
    };
    let form = SignForm::OpenPgp;
    let body = sign(key.id, Some(&identity), form, content, evidence);
    laptop.ask(&mut world, body);
    let rows = world.questions[0].asked().rows();
    let shown = |label: &str| {
        let row = rows.iter().find(|it| it.label == label);
        row.map(|it| it.value.clone())
    };
    let dated = "2023-11-14 22:13:20Z, ends 2023-11-15 22:13:20Z";
    assert_eq!(shown("Dated").as_deref(), Some(dated));
    assert_eq!(shown("Signed as").as_deref(), Some("Boss <boss@x>"));
}

/// A grant fires for its key and purpose, and for no other.
#[test]
fn grants_are_for_one_key_and_one_purpose() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let (age, other) = (
        identity(ALL_USES[6]),
        identity(("age://other", Curve::Curve25519, Derivation::Agree)),
    );
    let key = key_of(&mut world, &mut laptop, &age);
    let other_key = key_of(&mut world, &mut laptop, &other);
    let open = |key: &KeyEntry, identity: &Identity| {
        decrypt(key.id, Some(identity), DecryptForm::Age, stanza(key))
    };
    let asked = laptop.ask(&mut world, open(&key, &age));
    let offer = world.questions[0].choices.grant.clone().unwrap();
    assert_eq!(offer.what, "opening age files with age://backup curve25519");
    let term = Term {
        lasts_s: 3_600,
        count_max: 2,
    };
    world.answer(Answer::Grant(term), PartId::LAST);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    for expected in [Some(Outcome::Approve), Some(Outcome::Approve), None] {
        let asked = laptop.ask(&mut world, open(&key, &age));
        assert_eq!(laptop.outcome(&mut world, &asked), expected);
    }
    world.decide(Decision::Refuse);
    let asked = laptop.ask(&mut world, open(&other_key, &other));
    assert_eq!(laptop.outcome(&mut world, &asked), None, "another identity");
}
