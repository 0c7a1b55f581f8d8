//! Both sides of a pairing, step by step, and every way it ends.

use keystead_channel::pairing::{
    Compared, Confirming, Greeted, Offer, Offered, OtherHello, PairError, Receive, Scanned,
};
use keystead_core::{MeResponse, RequestBody, Secret};

use crate::common::{NOW, counting, name, relay, rng, scanned, secret};

fn greeted(seed: u64) -> (Greeted, Scanned) {
    let (offered, scanned) = scanned(seed);
    match offered.receive(NOW, scanned.hello(), &mut rng(seed)) {
        Receive::Greeted(greeted) => (greeted, scanned),
        Receive::Ignored(..) | Receive::Ended(_) => panic!("the hello was not taken"),
    }
}

fn nonce_c(greeted: &Greeted) -> [u8; 16] {
    let RequestBody::Me {
        nonce_c: Some(nonce_c),
    } = greeted.request()
    else {
        panic!("not the pairing's me request");
    };
    nonce_c
}

fn compared(seed: u64) -> (Compared, keystead_channel::pairing::Answered) {
    let (greeted, scanned) = greeted(seed);
    let nonce_c = nonce_c(&greeted);
    let answered = scanned.receive_me(NOW, nonce_c);
    let (nonce_s, called) = answered
        .ack(&nonce_c, name("phone"))
        .unwrap()
        .pairing
        .unwrap();
    (
        greeted.receive_ack(NOW, &nonce_s, called).unwrap(),
        answered,
    )
}

fn me() -> MeResponse {
    MeResponse {
        name: name("phone"),
        keys: Vec::new(),
        transports: Vec::new(),
        push_url: None,
        receipt_key: [5; 32],
        wallets: Vec::new(),
    }
}

fn confirming(compared: Compared) -> Confirming {
    match compared.step(NOW, &mut rng(9)) {
        Ok(Ok(confirming)) => confirming,
        Ok(Err(_)) => panic!("somebody has not confirmed"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn both_store_the_same_pairing() {
    let (mut compared, answered) = compared(1);
    assert_eq!(compared.code(), answered.code());
    assert_eq!(compared.authenticator().as_str(), "phone");
    assert_eq!(answered.workstation().as_str(), "laptop");
    compared.confirm_here();
    assert!(compared.waits_for_holder());
    let approved = answered.approve(NOW).unwrap();
    compared.confirm_there(me());
    let confirming = confirming(compared);
    let RequestBody::Confirm { pair_key } = confirming.request() else {
        panic!("not a confirm request");
    };
    let there = approved.confirm(NOW, pair_key).unwrap();
    let (here, stored) = confirming.store();
    assert_eq!(stored, me());
    assert_eq!(here.id, there.id);
    assert_eq!(here.own.public(), there.peer);
    assert_eq!(there.own.public(), here.peer);
    assert!(here.pair_key.ct_eq(&there.pair_key));
}

#[test]
fn nothing_goes_on_before_both_have_said_yes() {
    let (compared, _) = compared(2);
    let Ok(Err(mut compared)) = compared.step(NOW, &mut rng(9)) else {
        panic!("nobody had confirmed");
    };
    compared.confirm_there(me());
    assert!(!compared.waits_for_holder());
    let Ok(Err(compared)) = compared.step(NOW, &mut rng(9)) else {
        panic!("only the holder had confirmed");
    };
    let ended = compared.step(NOW + 120_000, &mut rng(9)).err();
    assert_eq!(ended, Some(PairError::CodeExpired));
}

#[test]
fn two_yeses_that_come_too_late_are_none() {
    // The machine slept with the code on the screen; the person's yes is the first thing after.
    let (mut compared, _) = compared(2);
    compared.confirm_there(me());
    compared.confirm_here();
    let ended = compared.step(NOW + 120_000, &mut rng(9)).err();
    assert_eq!(ended, Some(PairError::CodeExpired));
}

#[test]
fn times_end_each_state() {
    let (offered, scanned) = scanned(3);
    let late = offered.receive(NOW + 120_000, scanned.hello(), &mut rng(3));
    assert!(matches!(late, Receive::Ended(PairError::OfferExpired)));

    let (_, answered) = compared(4);
    assert_eq!(
        answered.approve(NOW + 120_000).err(),
        Some(PairError::CodeExpired)
    );
    let (_, answered) = compared(4);
    let approved = answered.approve(NOW + 119_999).unwrap();
    assert_eq!(approved.gives_up_ms(), NOW + 180_000);
    let late = approved.confirm(NOW + 180_000, secret([1; 32])).err();
    assert_eq!(late, Some(PairError::ConfirmExpired));
}

#[test]
fn the_hello_is_repeated_and_given_up() {
    let (_, mut scanned) = scanned(5);
    let hello = scanned.hello().to_vec();
    let mut sent = Vec::new();
    for now_ms in (NOW..).step_by(1_000) {
        match scanned.repeat(now_ms) {
            Ok(Some(frame)) => {
                assert_eq!(frame, hello, "the same bytes");
                sent.push(now_ms - NOW);
            }
            Ok(None) => {}
            Err(error) => {
                assert_eq!((error, now_ms - NOW), (PairError::NoMeRequest, 30_000));
                break;
            }
        }
    }
    assert_eq!(sent, [5_000, 10_000, 15_000, 20_000, 25_000]);
}

#[test]
fn a_false_hello_leaves_the_offer_and_a_second_one_ends_the_pairing() {
    let (offered, first) = scanned(6);
    let stranger = {
        let (_, of_another_offer) = scanned(7);
        of_another_offer.hello().to_vec()
    };
    let Receive::Ignored(offered, _) = offered.receive(NOW, &stranger, &mut rng(6)) else {
        panic!("a stranger's hello consumed the offer");
    };
    let offer = Offer::parse(&offered.offer().link()).unwrap();
    let second = Scanned::answer(offer, NOW, &mut rng(8)).unwrap();
    let Receive::Greeted(greeted) = offered.receive(NOW, first.hello(), &mut rng(6)) else {
        panic!("the first hello was not taken");
    };
    assert_eq!(greeted.other_hello(first.hello()), OtherHello::Repeat);
    assert_eq!(greeted.other_hello(&stranger), OtherHello::Invalid);
    assert_eq!(greeted.other_hello(&[]), OtherHello::Invalid);
    assert_eq!(greeted.other_hello(second.hello()), OtherHello::Race);

    // The race is seen until the pairing is stored.
    let nonce_c = nonce_c(&greeted);
    let answered = first.receive_me(NOW, nonce_c);
    let (nonce_s, called) = answered
        .ack(&nonce_c, name("phone"))
        .unwrap()
        .pairing
        .unwrap();
    let mut compared = greeted.receive_ack(NOW, &nonce_s, called).unwrap();
    assert_eq!(compared.other_hello(second.hello()), OtherHello::Race);
    compared.confirm_here();
    compared.confirm_there(me());
    let confirming = confirming(compared);
    assert_eq!(confirming.other_hello(second.hello()), OtherHello::Race);
}

#[test]
fn a_nonce_that_was_not_committed_to_ends_the_pairing() {
    let (greeted, _) = greeted(10);
    let ended = greeted.receive_ack(NOW, &[0; 32], name("phone")).err();
    assert_eq!(ended, Some(PairError::Commitment));
}

#[test]
fn a_workstation_gets_one_try_at_the_code() {
    let (greeted, scanned) = greeted(11);
    let nonce_c = nonce_c(&greeted);
    let answered = scanned.receive_me(NOW, nonce_c);
    assert!(
        answered.ack(&nonce_c, name("phone")).is_ok(),
        "repeats are answered"
    );
    let again = answered.ack(&[0; 16], name("phone"));
    assert_eq!(again.err(), Some(PairError::NonceChanged));
}

/// Who replaces S in the middle has to fix it before knowing the nonces: the codes differ.
#[test]
fn a_man_in_the_middle_shows_two_codes() {
    let (mut same, rounds) = (0, 200);
    for seed in 0..rounds {
        let mut rng = rng(1_000 + seed);
        let offered =
            Offered::make(NOW, name("laptop"), Some(relay()), Vec::new(), &mut rng).unwrap();
        let parse = || Offer::parse(&offered.offer().link()).unwrap();
        let (real, false_one) = (
            Scanned::answer(parse(), NOW, &mut rng).unwrap(),
            Scanned::answer(parse(), NOW, &mut rng).unwrap(),
        );
        let Receive::Greeted(greeted) = offered.receive(NOW, false_one.hello(), &mut rng) else {
            panic!("the hello was not taken");
        };
        let nonce_c = nonce_c(&greeted);
        // The real one is asked by the false workstation, with any nonce it likes.
        let there = real.receive_me(NOW, counting(0)).code();
        let (nonce_s, called) = false_one
            .receive_me(NOW, nonce_c)
            .ack(&nonce_c, name("phone"))
            .unwrap()
            .pairing
            .unwrap();
        let here = greeted.receive_ack(NOW, &nonce_s, called).unwrap().code();
        same += u32::from(here == there);
    }
    assert!(same <= 1, "{same} of {rounds} codes were the same");
}

#[test]
fn the_confirm_request_stays_the_same() {
    let (mut compared, _) = compared(12);
    compared.confirm_here();
    compared.confirm_there(me());
    let confirming = confirming(compared);
    let key = |confirming: &Confirming| -> Secret<32> {
        let RequestBody::Confirm { pair_key } = confirming.request() else {
            panic!("not a confirm request");
        };
        pair_key
    };
    assert!(key(&confirming).ct_eq(&key(&confirming)));
    assert_eq!(confirming.gives_up_ms(), NOW + 60_000);
}
