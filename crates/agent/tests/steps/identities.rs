//! Identities: public keys of wallets, and uses of keys for front ends that are other processes.

use keystead_agent::control::FailureKind;
use keystead_agent::evidence::Seen;
use keystead_agent::key_control::{Act, Command, HeldKey, IdentitySpec, KeyChoice, Reply, Shown};
use keystead_agent::{Action, Event};
use keystead_core::{
    Curve, DecryptForm, Derivation, Identity, KeyEntry, KeyId, Name, Outcome, PairingId, Plaintext,
    Purpose, RequestBody, ResponseBody, SecretBytes, SignForm, WalletFingerprint,
};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::agent::{Request, Response};
use keystead_formats::ssh::key::key_id;
use keystead_keeper as keeper;

use crate::fixture::*;

const WALLET: WalletFingerprint = WalletFingerprint([0xa1, 0xb2, 0xc3, 0xd4]);

/// The keys and signatures of trezor-firmware's `test_msg_signidentity.py`:
/// `gpg://satoshi@bitcoin.org` on Ed25519 over this digest.
pub(crate) const GPG_KEY: &str = "d18cdf4dbdbb50ef1fdba1ae0539451f3354a366d6a35313712ab82f16d4cd9e";
const DIGEST: &str = "cd8552569d6e4509266ef137584d1e62c7579b5b8ed69bbafa4b864c6521e7c2";
pub(crate) const SIGNATURE: &str = "f47f1a09a2875b971811ebbece19c3004c3ecbe84e65666dc8c36cc2fc002544\
    af8a3f545375ebe53d73b41c700df2f9020256c31bb774a7eb03ed9819226407";

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let digits = digits.map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16));
    digits.map(Result::unwrap).collect()
}

fn with_wallet() -> Bench {
    let bench = Bench::new();
    bench.keeper.lock().unwrap().views[0].wallets = vec![WALLET];
    bench
}

fn of_ssh(host: &str) -> Identity {
    let uri = format!("ssh://{host}");
    Identity::new(uri, Curve::Ed25519, 0, Derivation::Sign).unwrap()
}

fn of_gpg() -> Identity {
    Identity::new(
        "gpg://satoshi@bitcoin.org",
        Curve::Ed25519,
        0,
        Derivation::Sign,
    )
    .unwrap()
}

pub(crate) fn ed25519(name: &str, public: &[u8]) -> KeyEntry {
    let key = PublicKey::ed25519(public.try_into().unwrap());
    KeyEntry {
        id: KeyId(*key.id().as_bytes()),
        algorithm: "ssh-ed25519".to_owned(),
        public_key: key.blob().to_vec(),
        name: Name::new(name).unwrap(),
        purposes: vec![Purpose::SshLogin, Purpose::SshSig],
    }
}

pub(crate) fn command(bench: &mut Bench, command: Command, behind: &[&[u8]]) -> Vec<Action> {
    let behind = behind.iter().map(|it| SecretBytes::take(&mut it.to_vec()));
    bench.step(Event::KeyCommand {
        client: CLIENT,
        command,
        behind: behind.collect(),
    })
}

fn key_of(bench: &mut Bench, identity: &Identity, keeper: Option<&str>) -> Vec<Action> {
    let identity_key = Command::IdentityKey {
        identity: IdentitySpec::of(identity),
        keeper: keeper.map(str::to_owned),
    };
    command(bench, identity_key, &[])
}

pub(crate) fn told(actions: Vec<Action>) -> (Reply, Option<Vec<u8>>) {
    let mut replies = actions.into_iter().filter_map(|action| match action {
        Action::KeyReply { reply, behind, .. } => {
            Some((reply, behind.map(|it| it.0.expose().to_vec())))
        }
        _ => None,
    });
    let last = replies.next_back().unwrap();
    assert!(replies.all(|(reply, _)| !reply.is_last()), "one that ends");
    last
}

fn key_told(actions: Vec<Action>) -> HeldKey {
    match told(actions).0 {
        Reply::Key(key) => key,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn refused(actions: Vec<Action>, kind: FailureKind, part: &str) {
    match told(actions).0 {
        Reply::Failed(failure) => {
            assert_eq!(failure.kind, kind, "{failure:?}");
            assert!(failure.message.contains(part), "{failure:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// What the keeper was asked last.
pub(crate) fn asked(bench: &Bench) -> (PairingId, &'static str) {
    let fake = bench.keeper.lock().unwrap();
    match fake.told.last() {
        Some(keeper::Event::Ask { pairing, body, .. }) => (*pairing, body.kind().as_str()),
        _ => panic!("nobody was asked"),
    }
}

pub(crate) fn asks(bench: &Bench) -> usize {
    let fake = bench.keeper.lock().unwrap();
    let told = fake.told.iter();
    told.filter(|it| matches!(it, keeper::Event::Ask { .. }))
        .count()
}

fn gives(bench: &mut Bench, key: &KeyEntry) -> Vec<Action> {
    bench.progress(answer(
        Outcome::Approve,
        Some(ResponseBody::Key(key.clone())),
    ))
}

#[test]
fn a_wallet_is_asked_once_and_remembered_after_a_restart() {
    let mut bench = with_wallet();
    let identity = of_ssh("alex@db1");
    assert!(key_of(&mut bench, &identity, None).is_empty());
    assert_eq!(asked(&bench), (PAIRING, "public-key"));
    let key = ed25519("alex@db1", &[7; 32]);
    let told = key_told(gives(&mut bench, &key));
    assert_eq!(told.id, key.id.to_string());
    assert_eq!(told.public_key_bytes(), Some(key.public_key.clone()));
    assert_eq!(told.wallet.as_deref(), Some("a1b2c3d4"));
    assert_eq!(told.purposes, ["ssh-login", "ssh-sig"]);
    let entry = bench.last_entry();
    assert_eq!(
        (
            entry.kind.as_str(),
            entry.decision.as_str(),
            entry.identity.as_deref()
        ),
        ("public-key", "approve", Some("ssh://alex@db1 ed25519"))
    );
    assert_eq!(key_told(key_of(&mut bench, &identity, None)).id, told.id);
    assert_eq!(asks(&bench), 1);

    let mut again = Bench::on(bench.disk);
    again.keeper.lock().unwrap().views[0].wallets = vec![WALLET];
    assert_eq!(key_told(key_of(&mut again, &identity, None)).id, told.id);
    assert_eq!(asks(&again), 0);
    // Other words were typed there: what was remembered is of another wallet.
    again.keeper.lock().unwrap().views[0].wallets = vec![WalletFingerprint([9; 4])];
    assert!(key_of(&mut again, &identity, None).is_empty());
    assert_eq!(asks(&again), 1);
}

#[test]
fn a_key_of_another_kind_is_not_believed() {
    let check = |algorithm: &str, public_key: Vec<u8>| {
        let mut bench = with_wallet();
        key_of(&mut bench, &of_ssh("alex@db1"), None);
        let key = KeyEntry {
            id: key_id(&public_key),
            algorithm: algorithm.to_owned(),
            public_key,
            ..ed25519("alex@db1", &[7; 32])
        };
        let actions = gives(&mut bench, &key);
        refused(actions, FailureKind::Error, "none of this identity's kind");
        assert_eq!(bench.last_entry().decision, "no-answer");
    };
    check("x25519", vec![7; 32]);
    check("ssh-ed25519", vec![7; 32]);
    check("ecdsa-sha2-nistp256", ed25519("a", &[7; 32]).public_key);
}

#[test]
fn of_several_wallets_the_named_one_is_asked_and_remembered() {
    let mut bench = with_wallet();
    refused(
        key_of(&mut Bench::new(), &of_ssh("a"), None),
        FailureKind::Error,
        "no keeper has a wallet",
    );
    {
        let mut fake = bench.keeper.lock().unwrap();
        let other = keeper::PairingView {
            pairing: PairingId([8; 8]),
            name: Name::new("spare").unwrap(),
            wallets: vec![WalletFingerprint([1, 2, 3, 4])],
            ..fake.views[0].clone()
        };
        fake.views.push(other);
    }
    let identity = of_ssh("alex@db1");
    let which = key_of(&mut bench, &identity, None);
    let all = "test-phone (wallet a1b2c3d4), spare (wallet 01020304)";
    refused(which, FailureKind::Usage, all);
    let nobody = key_of(&mut bench, &identity, Some("desk"));
    refused(nobody, FailureKind::Error, "no keeper is called \"desk\"");
    assert_eq!(asks(&bench), 0);
    assert!(key_of(&mut bench, &identity, Some("spare")).is_empty());
    assert_eq!(asked(&bench), (PairingId([8; 8]), "public-key"));
    gives(&mut bench, &ed25519("alex@db1", &[7; 32]));
    let again = key_told(key_of(&mut bench, &identity, None));
    assert_eq!((again.keeper.as_str(), asks(&bench)), ("spare", 1));
}

/// Which one is nothing that its keeper may choose: they have different keys of one identity.
#[test]
fn of_two_wallets_at_one_keeper_the_named_one_is_asked_and_remembered() {
    let mut bench = with_wallet();
    let other = WalletFingerprint([1, 2, 3, 4]);
    bench.keeper.lock().unwrap().views[0].wallets = vec![WALLET, other];
    let identity = of_gpg();
    let all = "test-phone (wallet a1b2c3d4), test-phone (wallet 01020304)";
    for named in [None, Some("test-phone")] {
        let which = key_of(&mut bench, &identity, named);
        refused(which, FailureKind::Usage, all);
    }
    let nobody = key_of(&mut bench, &identity, Some("01020305"));
    refused(nobody, FailureKind::Error, "no keeper is called");
    assert_eq!(asks(&bench), 0);

    let asked_for = |bench: &Bench| {
        let fake = bench.keeper.lock().unwrap();
        match fake.told.last() {
            Some(keeper::Event::Ask {
                body: RequestBody::PublicKey(asked),
                ..
            }) => asked.wallet,
            _ => panic!("nobody was asked"),
        }
    };
    assert!(key_of(&mut bench, &identity, Some("01020304")).is_empty());
    assert_eq!(asked_for(&bench), Some(other));
    let of_other = key_told(gives(&mut bench, &ed25519("satoshi", &[7; 32])));
    assert_eq!(of_other.wallet.as_deref(), Some("01020304"));
    for named in [None, Some("test-phone")] {
        assert_eq!(key_told(key_of(&mut bench, &identity, named)), of_other);
    }
    assert_eq!(asks(&bench), 1);

    // The same identity in the other one, too: which is meant is to be said each time.
    assert!(key_of(&mut bench, &identity, Some("a1b2c3d4")).is_empty());
    assert_eq!(asked_for(&bench), Some(WALLET));
    let of_first = key_told(gives(&mut bench, &ed25519("satoshi", &[8; 32])));
    assert_eq!(of_first.wallet.as_deref(), Some("a1b2c3d4"));
    refused(key_of(&mut bench, &identity, None), FailureKind::Usage, all);
    let again = key_of(&mut bench, &identity, Some("01020304"));
    assert_eq!(key_told(again), of_other);
    assert_eq!(asks(&bench), 2);

    // A key says itself which wallet has it.
    for (key, wallet) in [(&of_other, "01020304"), (&of_first, "a1b2c3d4")] {
        let listed = told(command(&mut bench, Command::Keys {}, &[])).0;
        let Reply::Keys { keys } = listed else {
            panic!("{listed:?}");
        };
        let found = keys.iter().find(|it| it.id == key.id).unwrap();
        assert_eq!(found.wallet.as_deref(), Some(wallet));
        let choice = KeyChoice {
            id: Some(key.id.clone()),
            ..KeyChoice::of_identity(&identity)
        };
        let sign = sign_digest_with(choice, None);
        let before = bench.keeper.lock().unwrap().told.len();
        command(&mut bench, sign, &[&content(), b"text"]);
        let fake = bench.keeper.lock().unwrap();
        let signs = fake.told[before..].iter().any(|it| {
            matches!(it, keeper::Event::Ask { body: RequestBody::Sign(it), .. }
                if it.key.to_string() == key.id)
        });
        assert!(signs, "{wallet}");
    }
}

/// The words of a keeper that is gone were restored at another one.
#[test]
fn a_key_that_a_keeper_had_is_asked_for_where_its_wallet_is_now() {
    let mut bench = with_wallet();
    let identity = of_gpg();
    let key = ed25519("satoshi", &[7; 32]);
    let choice = KeyChoice {
        id: Some(key.id.to_string()),
        keeper: Some("desk".to_owned()),
        ..KeyChoice::of_identity(&identity)
    };
    let sign = sign_digest_with(choice, None);
    command(&mut bench, sign.clone(), &[&content(), b"text"]);
    assert_eq!(asked(&bench).1, "public-key");
    gives(&mut bench, &key);
    assert_eq!(asked(&bench).1, "sign");

    // Another wallet is there alone: its key is none of these.
    let mut other = with_wallet();
    command(&mut other, sign, &[&content(), b"text"]);
    let actions = gives(&mut other, &ed25519("satoshi", &[8; 32]));
    refused(actions, FailureKind::Error, "has another key for");
}

fn sign_digest(peer_pid: Option<i32>) -> Command {
    sign_digest_with(KeyChoice::of_identity(&of_gpg()), peer_pid)
}

fn sign_digest_with(key: KeyChoice, peer_pid: Option<i32>) -> Command {
    Command::KeySign {
        key,
        form: SignForm::OpenPgp.number(),
        content_bytes: 33,
        flags: 0,
        shown: Shown {
            preimage_bytes: Some(4),
            files: vec!["letter".to_owned()],
            user_id: Some("Satoshi".to_owned()),
            peer_pid,
            act: Some(Act::new([5; 16], "gpg init", 3)),
        },
    }
}

pub(crate) fn content() -> Vec<u8> {
    [&[8], &hex(DIGEST)[..]].concat()
}

#[test]
fn an_openpgp_signature_is_verified_logged_and_then_given_on() {
    let mut bench = with_wallet();
    // Its key is fetched first, then who asks is looked at, then the holder is asked.
    assert!(command(&mut bench, sign_digest(Some(PID)), &[&content(), b"text"]).is_empty());
    assert_eq!(asked(&bench).1, "public-key");
    let key = ed25519("satoshi@bitcoin.org", &hex(GPG_KEY));
    let looks = gives(&mut bench, &key);
    assert!(matches!(
        looks.as_slice(),
        [Action::LookFor { pid: PID, .. }]
    ));
    let seen = Seen {
        process_path: Some("/usr/bin/gpg".to_owned()),
        ..Seen::default()
    };
    let client = CLIENT;
    assert!(bench.step(Event::LookFor { client, seen }).is_empty());
    {
        let fake = bench.keeper.lock().unwrap();
        let Some(keeper::Event::Ask {
            body: RequestBody::Sign(sign),
            ..
        }) = fake.told.last()
        else {
            panic!("no signature is asked for");
        };
        assert_eq!((sign.key, sign.form), (key.id, SignForm::OpenPgp));
        assert_eq!(sign.identity, Some(of_gpg()));
        assert_eq!(sign.content, content());
        let evidence = &sign.evidence;
        assert_eq!(evidence.preimage.as_deref(), Some(&b"text"[..]));
        assert_eq!(evidence.user_id.as_deref(), Some("Satoshi"));
        assert_eq!(evidence.files, ["letter"]);
        let intent = evidence.intent.as_ref().unwrap();
        assert_eq!((intent.id, intent.what.as_str()), ([5; 16], "gpg init"));
        assert_eq!(evidence.process_path.as_deref(), Some("/usr/bin/gpg"));
    }
    let authenticator = Name::new(KEEPER).unwrap();
    let words = bench.progress(keeper::Progress::Asking { authenticator });
    assert!(lines(&words)[0].contains("waiting for approval on test-phone"));
    let signature = ResponseBody::Signature(hex(SIGNATURE));
    let actions = bench.progress(answer(Outcome::Approve, Some(signature)));
    let (reply, behind) = told(actions);
    assert!(matches!(
        reply,
        Reply::Signature {
            signature_bytes: 64,
            ..
        }
    ));
    assert_eq!(behind, Some(hex(SIGNATURE)));
    let entry = bench.last_entry();
    assert_eq!(
        (
            entry.kind.as_str(),
            entry.purpose.as_deref(),
            entry.decision.as_str()
        ),
        ("sign", Some("openpgp"), "approve")
    );
    assert_eq!(entry.user_id.as_deref(), Some("Satoshi"));
    assert_eq!(entry.files, ["letter"]);
}

/// A key that is known, and its use asked for.
fn asked_to_sign() -> Bench {
    let mut bench = with_wallet();
    key_of(&mut bench, &of_gpg(), None);
    gives(&mut bench, &ed25519("satoshi", &hex(GPG_KEY)));
    assert!(command(&mut bench, sign_digest(None), &[&content()]).is_empty());
    assert_eq!(asked(&bench).1, "sign");
    bench
}

#[test]
fn ends_that_are_no_signature() {
    let mut bench = asked_to_sign();
    let mut wrong = hex(SIGNATURE);
    wrong[63] ^= 1;
    let lied = bench.progress(answer(
        Outcome::Approve,
        Some(ResponseBody::Signature(wrong)),
    ));
    refused(lied, FailureKind::Error, "its signature is false");
    let mut bench = asked_to_sign();
    let no = bench.progress(answer(Outcome::Refuse, None));
    refused(no, FailureKind::Refused, "refused by test-phone");
    assert_eq!(bench.last_entry().decision, "refuse");
    let mut bench = asked_to_sign();
    let late = bench.progress(answer(Outcome::Expire, None));
    refused(late, FailureKind::NoAnswer, "no answer from test-phone");
    let mut bench = asked_to_sign();
    let other = bench.progress(answer(Outcome::UnknownKey, None));
    refused(other, FailureKind::UnknownKey, "another wallet");
    let mut bench = asked_to_sign();
    bench.step(Event::Leave { client: CLIENT });
    assert_eq!(bench.last_entry().decision, "withdrawn");
}

#[test]
fn the_policy_and_the_lock_are_before_the_keeper() {
    let mut bench = with_wallet();
    key_of(&mut bench, &of_gpg(), None);
    gives(&mut bench, &ed25519("satoshi", &hex(GPG_KEY)));
    let before = asks(&bench);
    bench.command(&keystead_agent::control::Command::SetPolicy {
        key: None,
        rule: "purposes".to_owned(),
        value: "ssh-login,openpgp-decrypt".to_owned(),
    });
    let actions = command(&mut bench, sign_digest(None), &[&content()]);
    refused(actions, FailureKind::Policy, "a use for openpgp");
    assert_eq!(bench.last_entry().decision, "refused-here");
    bench.ask(&Request::Lock(b"secret"));
    let actions = command(&mut bench, sign_digest(None), &[&content()]);
    refused(actions, FailureKind::Refused, "locked");
    assert_eq!(asks(&bench), before);
}

#[test]
fn a_stored_key_decrypts_by_its_id_and_what_comes_has_its_length() {
    let decrypting = |bench: &mut Bench| {
        let public_key = vec![7; 32];
        let key = KeyEntry {
            id: key_id(&public_key),
            algorithm: "x25519".to_owned(),
            public_key,
            name: Name::new("backup").unwrap(),
            purposes: vec![Purpose::AgeUnwrap],
        };
        bench.keeper.lock().unwrap().keys.push(key.clone());
        let decrypt = Command::KeyDecrypt {
            key: KeyChoice::of_id(key.id),
            form: DecryptForm::Age.number(),
            content_bytes: 64,
            shown: Shown::default(),
        };
        command(bench, decrypt, &[&[1; 64]])
    };
    let plaintext = |bytes: &[u8]| {
        let secret = SecretBytes::take(&mut bytes.to_vec());
        let body = ResponseBody::Plaintext(Plaintext::new(secret));
        answer(Outcome::Approve, Some(body))
    };
    let mut bench = Bench::new();
    assert!(decrypting(&mut bench).is_empty());
    assert_eq!(asked(&bench), (PAIRING, "decrypt"));
    let (reply, behind) = told(bench.progress(plaintext(&[5; 16])));
    assert!(matches!(
        reply,
        Reply::Plaintext {
            plaintext_bytes: 16,
            ..
        }
    ));
    assert_eq!(behind, Some(vec![5; 16]));
    let entry = bench.last_entry();
    assert_eq!(
        (entry.kind.as_str(), entry.purpose.as_deref()),
        ("decrypt", Some("age-unwrap"))
    );
    for wrong in [&[5; 15][..], &[0; 16], &[]] {
        let mut bench = Bench::new();
        decrypting(&mut bench);
        let actions = bench.progress(plaintext(wrong));
        refused(actions, FailureKind::Error, "wrong length, or is nothing");
    }
    // SSH has no such key: it is neither listed there nor written as a file.
    let Response::Identities(listed) = bench.ask(&Request::RequestIdentities) else {
        panic!("no list");
    };
    assert_eq!(listed.len(), 1);
    let (reply, _) = told(command(&mut bench, Command::Keys {}, &[]));
    let Reply::Keys { keys } = reply else {
        panic!("{reply:?}");
    };
    let names: Vec<&str> = keys.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["main", "backup"]);
    assert_eq!(keys[1].purposes, ["age-unwrap"]);
}

#[test]
fn keys_that_nobody_has_and_choices_that_name_none() {
    let mut bench = with_wallet();
    let choose = |key: KeyChoice| Command::KeySign {
        key,
        form: 2,
        content_bytes: 33,
        flags: 0,
        shown: Shown::default(),
    };
    let mut check = |key: KeyChoice, kind, part: &str| {
        refused(command(&mut bench, choose(key), &[&content()]), kind, part);
    };
    check(KeyChoice::default(), FailureKind::Usage, "which key?");
    let id = KeyChoice::of_id(KeyId([9; 32]));
    check(id, FailureKind::Error, "no keeper has this key");
    let no_hex = KeyChoice {
        id: Some("xy".to_owned()),
        ..KeyChoice::default()
    };
    check(no_hex, FailureKind::Usage, "the key's id");
    let form = Command::KeySign {
        key: KeyChoice::default(),
        form: 9,
        content_bytes: 0,
        flags: 0,
        shown: Shown::default(),
    };
    let actions = command(&mut bench, form, &[&[]]);
    refused(actions, FailureKind::Usage, "an unknown form");
}

/// A program that is logging in: its host has proved itself.
fn logging_in(bench: &mut Bench) {
    let bind = captured("login-ed25519", ">").remove(0);
    assert_eq!(bind[0], 27, "an extension");
    bench.frame(&bind);
}

fn lists(bench: &mut Bench, arguments: &[&str], identities: Option<&str>) -> Vec<Action> {
    let actions = bench.frame(&Request::RequestIdentities.encode());
    assert!(matches!(actions.as_slice(), [Action::LookAround { .. }]));
    bench.step(Event::LookAround {
        connection: PROGRAM,
        seen: Seen {
            arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
            ..Seen::default()
        },
        identities: identities.map(str::to_owned),
    })
}

fn comments(actions: &[Action]) -> Vec<String> {
    let Response::Identities(keys) = one_answer(actions) else {
        panic!("no list");
    };
    let comments = keys.into_iter().map(|it| String::from_utf8(it.comment));
    comments.map(Result::unwrap).collect()
}

#[test]
fn a_login_is_offered_the_identity_that_its_pattern_derives() {
    let patterns = "[[identity]]\nhost = \"db*\"\ncurve = \"ed25519\"\n";
    let mut bench = with_wallet();
    logging_in(&mut bench);
    let ssh = ["ssh", "alex@db1", "true"];
    assert!(lists(&mut bench, &ssh, Some(patterns)).is_empty());
    assert_eq!((asked(&bench).1, bench.last_ask().1), ("public-key", 2));
    let db1 = ed25519("alex@db1", &[7; 32]);
    let actions = gives(&mut bench, &db1);
    let expected = ["<ssh://alex@db1|ed25519>", "main@test-phone"];
    assert_eq!(comments(&actions), expected);
    // Remembered now; at another host it is not offered, nor is a wallet asked in vain twice.
    assert_eq!(comments(&lists(&mut bench, &ssh, Some(patterns))), expected);
    let elsewhere = ["ssh", "alex@web1"];
    let actions = lists(&mut bench, &elsewhere, Some(patterns));
    assert_eq!(comments(&actions), ["main@test-phone"]);
    assert_eq!(asks(&bench), 1);
    // Whoever does not log in sees all.
    bench.connect(keystead_agent::ConnectionId(2));
    let frame = zeroize::Zeroizing::new(Request::RequestIdentities.encode());
    let connection = keystead_agent::ConnectionId(2);
    let actions = bench.step(Event::Frame { connection, frame });
    assert_eq!(comments(&actions), expected);
}

#[test]
fn a_wallet_that_is_away_holds_a_login_up_no_longer_than_its_wait() {
    let patterns = "[[identity]]\nhost = \"*\"\ncurve = \"ed25519\"\n";
    let mut bench = with_wallet();
    logging_in(&mut bench);
    lists(&mut bench, &["ssh", "db1"], Some(patterns));
    let actions = bench.progress(answer(Outcome::Expire, None));
    assert_eq!(comments(&actions), ["main@test-phone"]);
    // And a file that cannot be read is told, and offers nothing.
    let actions = lists(&mut bench, &["ssh", "db1"], Some("[[identity]]\n"));
    assert!(lines(&actions)[0].contains("identities.toml: line 1: missing field `host`"));
    assert_eq!(comments(&actions), ["main@test-phone"]);
}

#[test]
fn a_login_by_an_identity_names_it_to_the_wallet() {
    let mut bench = with_wallet();
    // The captured key stands for one that the wallet derives.
    let main = bench.keeper.lock().unwrap().keys.remove(0);
    let identity = of_ssh("root@127.0.0.1");
    key_of(&mut bench, &identity, None);
    gives(&mut bench, &main);
    logs_in(&mut bench);
    {
        let fake = bench.keeper.lock().unwrap();
        let Some(keeper::Event::Ask {
            body: RequestBody::Sign(sign),
            ..
        }) = fake.told.last()
        else {
            panic!("no signature is asked for");
        };
        assert_eq!((sign.key, &sign.identity), (main.id, &Some(identity)));
    }
    let actions = bench.progress(approve("login-ed25519"));
    assert!(matches!(one_answer(&actions), Response::Signature(_)));
    let entry = bench.last_entry();
    assert_eq!(
        entry.identity.as_deref(),
        Some("ssh://root@127.0.0.1 ed25519")
    );
}

/// The captured login, up to its request for a signature.
fn logs_in(bench: &mut Bench) {
    for message in captured("login-ed25519", ">") {
        bench.frame(&message);
    }
    // Its list is answered first, once it is known where it logs in.
    bench.step(Event::LookAround {
        connection: PROGRAM,
        seen: Seen::default(),
        identities: None,
    });
    bench.looked(Seen::default());
}

#[test]
fn of_two_keepers_with_the_same_words_the_one_named_last_is_asked_unless_it_is_away() {
    for (last, away, expected) in [
        ("test-phone", None, "test-phone"),
        ("spare", None, "spare"),
        ("test-phone", Some("test-phone"), "spare"),
        ("spare", Some("spare"), "test-phone"),
    ] {
        let mut bench = with_wallet();
        let main = bench.keeper.lock().unwrap().keys.remove(0);
        {
            let mut fake = bench.keeper.lock().unwrap();
            let spare = keeper::PairingView {
                pairing: PairingId([8; 8]),
                name: Name::new("spare").unwrap(),
                ..fake.views[0].clone()
            };
            fake.views.push(spare);
            for view in &mut fake.views {
                view.is_connected = away != Some(view.name.as_str());
            }
        }
        let identity = of_ssh("root@127.0.0.1");
        for named in ["test-phone", "spare"] {
            key_of(&mut bench, &identity, Some(named));
            gives(&mut bench, &main);
        }
        key_of(&mut bench, &identity, Some(last));
        assert_eq!(asks(&bench), 2, "both are remembered");
        let told = key_told(key_of(&mut bench, &identity, None));
        assert_eq!(told.keeper, expected);
        logs_in(&mut bench);
        let (pairing, kind) = asked(&bench);
        let views = bench.keeper.lock().unwrap().views.clone();
        let whose = views.iter().find(|it| it.pairing == pairing).unwrap();
        assert_eq!((whose.name.as_str(), kind), (expected, "sign"));
    }
}

#[test]
fn a_habit_does_not_pass_what_the_file_offers() {
    let mut bench = with_wallet();
    // The captured key stands for the one of index 0, which the person used last at this host.
    let main = bench.keeper.lock().unwrap().keys.remove(0);
    let first = of_ssh("root@127.0.0.1");
    key_of(&mut bench, &first, None);
    gives(&mut bench, &main);
    logs_in(&mut bench);
    bench.progress(approve("login-ed25519"));
    let names = |actions: &[Action]| {
        let comments = comments(actions).into_iter();
        comments
            .map(|it| it.replace("@127.0.0.1", ""))
            .collect::<Vec<_>>()
    };
    let ssh = ["ssh", "root@127.0.0.1"];
    let third = "[[identity]]\nhost = \"127.*\"\ncurve = \"ed25519\"\nindex = 3\n";
    lists(&mut bench, &ssh, Some(third));
    let actions = gives(&mut bench, &ed25519("root@127.0.0.1", &[7; 32]));
    let expected = ["<ssh://root|ed25519> index 3", "<ssh://root|ed25519>"];
    assert_eq!(names(&actions), expected);
    // Without the file's word the habit counts.
    let actions = lists(&mut bench, &ssh, None);
    assert_eq!(
        names(&actions),
        ["<ssh://root|ed25519>", "<ssh://root|ed25519> index 3"]
    );
}
