//! A key that several keepers hold: who is asked, and who next.

use keystead_agent::Action;
use keystead_agent::control::FailureKind;
use keystead_agent::key_control::{Command, KeyChoice, Reply, Shown};
use keystead_core::{KeyEntry, Name, Outcome, PairingId, Purpose, ResponseBody, SignForm};
use keystead_keeper::{KeeperError, PairingView, Progress};

use crate::fixture::*;
use crate::identities::{
    GPG_KEY, SIGNATURE, asked, asks, command, content, ed25519, hex, refused, told,
};

const SPARE: PairingId = PairingId([8; 8]);

/// An OpenPGP key at two keepers; the second is called `spare`.
fn with_two() -> (Bench, KeyEntry) {
    let bench = Bench::new();
    let key = KeyEntry {
        purposes: vec![Purpose::OpenPgp],
        ..ed25519("mail", &hex(GPG_KEY))
    };
    {
        let mut fake = bench.keeper.lock().unwrap();
        fake.keys.push(key.clone());
        let spare = PairingView {
            pairing: SPARE,
            name: Name::new("spare").unwrap(),
            ..fake.views[0].clone()
        };
        fake.views.push(spare);
    }
    (bench, key)
}

fn signs(bench: &mut Bench, key: KeyChoice, peer_pid: Option<i32>) -> Vec<Action> {
    let sign = Command::KeySign {
        key,
        form: SignForm::OpenPgp.number(),
        content_bytes: 33,
        flags: 0,
        shown: Shown {
            peer_pid,
            ..Shown::default()
        },
    };
    command(bench, sign, &[&content()])
}

fn away(keeper: &str) -> Progress {
    fail(KeeperError::Unreachable {
        keeper: Name::new(keeper).unwrap(),
        reason: "no answer".to_owned(),
    })
}

fn notices(actions: &[Action]) -> Vec<&str> {
    let notices = actions.iter().filter_map(|action| match action {
        Action::KeyReply {
            reply: Reply::Notice { text },
            ..
        } => Some(text.as_str()),
        _ => None,
    });
    notices.collect()
}

#[test]
fn the_next_one_is_asked_where_the_first_cannot_be_reached() {
    let (mut bench, key) = with_two();
    signs(&mut bench, KeyChoice::of_id(key.id), None);
    assert_eq!(asked(&bench), (PAIRING, "sign"));
    let actions = bench.progress(away(KEEPER));
    assert_eq!(asked(&bench), (SPARE, "sign"));
    assert!(notices(&actions)[0].contains("test-phone cannot be reached"));
    assert_eq!(bench.last_entry().decision, "no-answer");
    let signature = ResponseBody::Signature(hex(SIGNATURE));
    let (reply, behind) = told(bench.progress(answer(Outcome::Approve, Some(signature))));
    assert!(matches!(reply, Reply::Signature { keeper, .. } if keeper == "spare"));
    assert_eq!(behind, Some(hex(SIGNATURE)));
    let entry = bench.last_entry();
    assert_eq!(
        (entry.keeper.as_deref(), entry.decision.as_str()),
        (Some("spare"), "approve")
    );
    assert_eq!(asks(&bench), 2);
}

#[test]
fn nobody_is_left() {
    let (mut bench, key) = with_two();
    signs(&mut bench, KeyChoice::of_id(key.id), None);
    bench.progress(away(KEEPER));
    let actions = bench.progress(away("spare"));
    refused(actions, FailureKind::NoAnswer, "spare cannot be reached");
    assert_eq!(asks(&bench), 2);
}

#[test]
fn a_no_and_no_answer_are_final() {
    for outcome in [Outcome::Refuse, Outcome::Expire, Outcome::Block] {
        let (mut bench, key) = with_two();
        signs(&mut bench, KeyChoice::of_id(key.id), None);
        let (reply, _) = told(bench.progress(answer(outcome, None)));
        assert!(matches!(reply, Reply::Failed(_)), "{outcome:?}");
        assert_eq!(asks(&bench), 1);
    }
}

#[test]
fn who_is_named_is_asked_alone() {
    let (mut bench, key) = with_two();
    let choice = KeyChoice {
        keeper: Some("spare".to_owned()),
        ..KeyChoice::of_id(key.id)
    };
    signs(&mut bench, choice, None);
    assert_eq!(asked(&bench), (SPARE, "sign"));
    let (reply, _) = told(bench.progress(away("spare")));
    assert!(matches!(reply, Reply::Failed(_)));
    assert_eq!(asks(&bench), 1);
}

#[test]
fn one_that_is_connected_comes_first() {
    let (mut bench, key) = with_two();
    bench.keeper.lock().unwrap().views[0].is_connected = false;
    signs(&mut bench, KeyChoice::of_id(key.id), None);
    assert_eq!(asked(&bench), (SPARE, "sign"));
    bench.progress(away("spare"));
    assert_eq!(asked(&bench), (PAIRING, "sign"));
}
