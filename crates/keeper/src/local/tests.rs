use keystead_channel::wire::{decode_request, encode_response};
use keystead_core::{
    Constraints, ImportRequest, KeyForm, KeyId, LockRequest, Purpose, SecretBytes, SignForm,
    SignRequest,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

fn at(mono_ms: u64) -> Now {
    Now {
        mono_ms,
        unix_s: 1_700_000_000,
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

fn key(byte: u8) -> KeyEntry {
    let public_key = vec![byte; 51];
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &public_key);
    KeyEntry {
        id: KeyId(hash.as_ref().try_into().unwrap()),
        algorithm: "ssh-ed25519".into(),
        public_key,
        name: name(),
        purposes: vec![Purpose::SshLogin, Purpose::Opaque],
    }
}

fn sign() -> RequestBody {
    RequestBody::Sign(SignRequest {
        key: key(1).id,
        form: SignForm::Ssh,
        content: b"blob".to_vec(),
        flags: 0,
        evidence: keystead_core::Evidence::default(),
        identity: None,
    })
}

fn import(lifetime_s: Option<u32>) -> RequestBody {
    RequestBody::Import(ImportRequest {
        form: KeyForm::Agent,
        key: SecretBytes::fill(8, |bytes| bytes.fill(3)),
        passphrase: None,
        name: None,
        constraints: Constraints {
            lifetime_s,
            ..Constraints::default()
        },
        purposes: Vec::new(),
    })
}

fn lock(lock: bool) -> RequestBody {
    let passphrase = SecretBytes::fill(3, |bytes| bytes.fill(b'p'));
    RequestBody::Lock(LockRequest { lock, passphrase })
}

fn framed(message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap();
    [&len.to_be_bytes(), message].concat()
}

/// The requests in what was sent.
fn requests(mut bytes: &[u8]) -> Vec<(Request, RequestHash)> {
    let mut requests = Vec::new();
    while let Some((head, behind)) = bytes.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_be_bytes(*head)).unwrap();
        let (message, rest) = behind.split_at(len);
        requests.push((decode_request(message).unwrap(), request_hash(message)));
        bytes = rest;
    }
    requests
}

/// What the child answers to the last request in `sent`.
fn answer(sent: &[u8], outcome: Outcome, body: Option<ResponseBody>) -> Vec<u8> {
    let (request, request_hash) = requests(sent).pop().unwrap();
    framed(&encode_response(&Response {
        id: request.id,
        unix_s: 1,
        request_hash,
        outcome,
        body,
        receipt: None,
    }))
}

fn signature() -> Option<ResponseBody> {
    Some(ResponseBody::Signature(b"signature".to_vec()))
}

/// What came of asks, in words.
fn told(turn: &Turn) -> Vec<String> {
    let told = turn.progress.iter().map(|(ask, progress)| match progress {
        Progress::Sent { .. } => format!("{} sent", ask.0),
        Progress::Asking { .. } => format!("{} asking", ask.0),
        Progress::Done(Ok(answer)) => format!("{} {}", ask.0, answer.outcome.as_str()),
        Progress::Done(Err(error)) => format!("{} {error}", ask.0),
    });
    told.collect()
}

/// Asks, lets the child approve with `body`; the keys listed then.
fn approve(local: &mut Local, now: Now, ask: RequestBody, body: ResponseBody) -> Vec<KeyEntry> {
    let sent = local.ask(now, AskId(9), ask, 60, &mut rng()).send;
    let turn = local.bytes(now, &answer(&sent, Outcome::Approve, Some(body)));
    assert_eq!(told(&turn), ["9 approve"]);
    local.keys(now).cloned().collect()
}

#[test]
fn an_answer_comes_back_however_the_socket_cuts_it() {
    for cut in 1..200 {
        let mut local = Local::default();
        let asked = local.ask(at(0), AskId(1), sign(), 60, &mut rng());
        assert_eq!(told(&asked), ["1 sent"]);
        let ack = Some(ResponseBody::Ack(keystead_core::AckResponse::default()));
        let ack = answer(&asked.send, Outcome::Ack, ack);
        let answer = answer(&asked.send, Outcome::Approve, signature());
        let came = [ack, answer.clone(), answer].concat();
        let mut news = Vec::new();
        for part in came.chunks(cut) {
            news.extend(told(&local.bytes(at(1), part)));
        }
        assert_eq!(news, ["1 asking", "1 approve"], "cut by {cut}");
        assert!(!local.is_broken());
        assert_eq!(local.next_wake_ms(), None);
    }
}

#[test]
fn answers_may_come_in_any_order() {
    let mut local = Local::default();
    let rng = &mut rng();
    let sent = [1, 2].map(|it| local.ask(at(0), AskId(it), sign(), 60, rng).send);
    let second = answer(&sent[1], Outcome::Refuse, None);
    let first = answer(&sent[0], Outcome::Approve, signature());
    let turn = local.bytes(at(1), &[second, first].concat());
    assert_eq!(told(&turn), ["2 refuse", "1 approve"]);
}

#[test]
fn keys_are_what_was_brought_and_not_taken_away() {
    let mut local = Local::default();
    let none: [KeyEntry; 0] = [];
    let brought = |key: KeyEntry| ResponseBody::Keys(vec![key]);
    let now = at(0);
    assert_eq!(
        approve(&mut local, now, import(None), brought(key(1))),
        [key(1)]
    );
    let both = approve(&mut local, now, import(Some(60)), brought(key(2)));
    assert_eq!(both, [key(1), key(2)]);
    let again = approve(&mut local, now, import(Some(30)), brought(key(1)));
    assert_eq!(again, [key(1), key(2)], "in its place");

    assert_eq!(
        approve(&mut local, now, lock(true), ResponseBody::Empty),
        none
    );
    assert!(local.is_locked());
    let unlocked = approve(&mut local, now, lock(false), ResponseBody::Empty);
    assert_eq!(unlocked, [key(1), key(2)]);

    assert_eq!(local.next_wake_ms(), Some(30_000));
    local.tick(at(30_000), &mut rng());
    assert_eq!(local.keys(at(30_000)).collect::<Vec<_>>(), [&key(2)]);
    let remove = RequestBody::Remove {
        keys: vec![key(2).id],
    };
    let left = approve(&mut local, at(30_000), remove, ResponseBody::Empty);
    assert_eq!(left, none);
    approve(&mut local, now, import(None), brought(key(3)));
    let all = RequestBody::Remove { keys: Vec::new() };
    assert_eq!(approve(&mut local, now, all, ResponseBody::Empty), none);
}

#[test]
fn a_refused_import_brings_nothing() {
    let mut local = Local::default();
    let sent = local
        .ask(at(0), AskId(1), import(None), 60, &mut rng())
        .send;
    let turn = local.bytes(at(0), &answer(&sent, Outcome::Refuse, None));
    assert_eq!(told(&turn), ["1 refuse"]);
    assert_eq!(local.keys(at(0)).count(), 0);
}

#[test]
fn waits_end_and_are_withdrawn_at_the_other_end() {
    let mut local = Local::default();
    let rng = &mut rng();
    let sent = local.ask(at(0), AskId(1), sign(), 2, rng).send;
    assert_eq!(local.next_wake_ms(), Some(3_000));
    assert_eq!(told(&local.tick(at(2_999), rng)), [""; 0]);
    let turn = local.tick(at(3_000), rng);
    assert_eq!(told(&turn), ["1 no answer from local within 2 s"]);
    let target = requests(&sent)[0].0.id;
    let cancel = &requests(&turn.send)[0].0;
    assert!(matches!(cancel.body, RequestBody::Cancel { target: it } if it == target));
    // Its answer is too late, the cancel's is told to nobody.
    let late = answer(&sent, Outcome::Approve, signature());
    let done = answer(&turn.send, Outcome::Approve, Some(ResponseBody::Empty));
    let turn = local.bytes(at(3_001), &[late, done].concat());
    assert_eq!(told(&turn), [""; 0]);
    assert_eq!(local.next_wake_ms(), None);
    assert!(!local.is_broken());
}

#[test]
fn a_withdrawn_ask_is_told_no_more() {
    let mut local = Local::default();
    let rng = &mut rng();
    let sent = local.ask(at(0), AskId(1), sign(), 60, rng).send;
    let turn = local.withdraw(at(1), AskId(1), rng);
    assert_eq!(told(&turn), [""; 0]);
    assert_eq!(requests(&turn.send).len(), 1);
    let turn = local.bytes(at(2), &answer(&sent, Outcome::Approve, signature()));
    assert_eq!(told(&turn), [""; 0]);
    assert!(local.withdraw(at(3), AskId(1), rng).send.is_empty());
}

/// What the child must not say; every open ask ends with it.
fn check_broken(came: impl FnOnce(&[u8]) -> Vec<u8>, expected: &str) {
    let mut local = Local::default();
    let rng = &mut rng();
    let sent = local.ask(at(0), AskId(1), sign(), 60, rng).send;
    let turn = local.bytes(at(1), &came(&sent));
    assert_eq!(told(&turn), [format!("1 local misbehaved: {expected}")]);
    assert!(local.is_broken());
    let turn = local.ask(at(2), AskId(2), sign(), 60, rng);
    let away = "2 keeper local cannot be reached: the local authenticator has ended";
    assert_eq!(told(&turn), [away]);
    assert!(turn.send.is_empty());
}

#[test]
fn whatever_else_it_says_breaks_the_link() {
    check_broken(
        |_| 262_145_u32.to_be_bytes().to_vec(),
        "it announced a message of 262145 bytes",
    );
    check_broken(
        |_| framed(b""),
        "its answer is no answer: the message is cut off",
    );
    check_broken(
        |sent| answer(sent, Outcome::Approve, Some(ResponseBody::Empty)),
        "its answer is no answer: key 1 is missing",
    );
    check_broken(
        |sent| {
            let mut other = answer(sent, Outcome::Refuse, None);
            // The request's hash ends three bytes before the message does.
            let at = other.len() - 3;
            other[at] ^= 1;
            other
        },
        "its answer is to another request",
    );
}

#[test]
fn the_end_of_the_socket_ends_every_ask_and_forgets_every_key() {
    let mut local = Local::default();
    let rng = &mut rng();
    approve(
        &mut local,
        at(0),
        import(None),
        ResponseBody::Keys(vec![key(1)]),
    );
    local.ask(at(0), AskId(1), sign(), 60, rng);
    let turn = local.ended();
    let away = "1 keeper local cannot be reached: the local authenticator has ended";
    assert_eq!(told(&turn), [away]);
    assert_eq!(local.keys(at(0)).count(), 0);
    assert_eq!(
        told(&local.ask(at(1), AskId(2), sign(), 60, rng)),
        ["2 sent"]
    );
}

#[test]
fn what_no_message_holds_is_said() {
    let mut local = Local::default();
    let RequestBody::Sign(mut long) = sign() else {
        panic!("a sign request");
    };
    long.content = vec![0; MESSAGE_BYTES_MAX];
    let turn = local.ask(at(0), AskId(1), RequestBody::Sign(long), 60, &mut rng());
    let expected = "1 the request has 262227 bytes, more than a keeper takes";
    assert_eq!(told(&turn), [expected]);
    assert!(turn.send.is_empty());
    assert_eq!(local.next_wake_ms(), None);
}

#[test]
fn more_asks_than_are_kept_open_are_refused() {
    let mut local = Local::default();
    let rng = &mut rng();
    for ask in 0..u64::try_from(OPEN_MAX).unwrap() {
        local.ask(at(0), AskId(ask), sign(), 60, rng);
    }
    let turn = local.ask(at(0), AskId(9_999), sign(), 60, rng);
    assert_eq!(told(&turn), ["9999 too many requests wait for local"]);
}
