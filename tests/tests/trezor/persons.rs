//! PIN and passphrase, and which wallet they open.

use keystead_core::{Curve, Derivation, Outcome, SignForm};
use keystead_keeper::trezor::{PASSPHRASE_LIFE_MS, Question};

use crate::bench::{Bench, Reply, error, identity, signature, ssh};
use crate::setup::{Decide, Setup};

fn first_model() -> Setup {
    Setup {
        model: "1".to_owned(),
        version: [1, 12, 1],
        pin: Some("1357".to_owned()),
        ..Setup::default()
    }
}

fn with_passphrase() -> Setup {
    Setup {
        has_passphrase: true,
        ..Setup::default()
    }
}

const PIN: Question = Question::Pin { is_again: false };
const PIN_AGAIN: Question = Question::Pin { is_again: true };
const PASSPHRASE: Question = Question::Passphrase {
    can_be_on_device: true,
};

#[tokio::test]
async fn a_pin_is_asked_for_by_its_places_once() {
    let mut bench = Bench::new(first_model()).typing([Reply::Text("1357")]);
    bench.key(&ssh()).await;
    signature(bench.sign(&ssh(), SignForm::Ssh, b"blob").await);
    assert_eq!(bench.asked, [PIN]);
}

#[tokio::test]
async fn a_wrong_pin_is_asked_for_again_twice() {
    let replies = [
        Reply::Text("1111"),
        Reply::Text("0"),
        Reply::Text("12"),
        Reply::Text("1357"),
    ];
    let mut bench = Bench::new(first_model()).typing(replies);
    bench.key(&ssh()).await;
    // What is no PIN at all never reaches the device.
    assert_eq!(bench.asked, [PIN, PIN_AGAIN, PIN_AGAIN, PIN_AGAIN]);
    assert!(bench.said[0].starts_with("a PIN is typed as the places"));

    let wrong = [Reply::Text("1"), Reply::Text("2"), Reply::Text("3")];
    let mut bench = Bench::new(first_model()).typing(wrong);
    assert_eq!(
        bench.open().await.unwrap_err().to_string(),
        "trezor: the PIN was wrong"
    );
}

#[tokio::test]
async fn a_pin_that_is_not_given_ends_the_request() {
    let mut bench = Bench::new(first_model()).typing([Reply::Cancel, Reply::Text("1357")]);
    assert_eq!(
        bench.open().await.unwrap_err().to_string(),
        "trezor: no PIN was given"
    );
    // The device is asked anew, and does not answer to what was cancelled.
    bench.open().await.unwrap();
}

#[tokio::test]
async fn newer_devices_take_the_pin_themselves() {
    let setup = Setup {
        pin: Some("1".to_owned()),
        ..Setup::default()
    };
    let mut bench = Bench::new(setup);
    bench.key(&ssh()).await;
    assert_eq!(bench.asked, []);
    assert_eq!(bench.said, ["look at trezor: type the PIN on it"]);
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_kept_for_a_time() {
    let mut bench = Bench::new(with_passphrase()).typing([
        Reply::Text("one"),
        Reply::Text("one"),
        Reply::Text("one"),
    ]);
    let first = bench.key(&ssh()).await;
    signature(bench.sign(&ssh(), SignForm::Ssh, b"blob").await);
    bench.pass(PASSPHRASE_LIFE_MS / 2).await;
    assert_eq!(bench.key(&ssh()).await, first);
    assert_eq!(bench.asked, [PASSPHRASE]);
    // Its time begins anew with each use; then it is forgotten, on the device too.
    bench.pass(PASSPHRASE_LIFE_MS).await;
    assert_eq!(bench.key(&ssh()).await, first);
    assert_eq!(bench.asked, [PASSPHRASE; 2]);
    bench.lock().await.unwrap();
    assert_eq!(bench.key(&ssh()).await, first);
    assert_eq!(bench.asked, [PASSPHRASE; 3]);
}

/// The first model shows it too, and what was taken back at its question ends without a word.
#[tokio::test]
async fn the_first_model_asks_for_a_passphrase() {
    let setup = Setup {
        pin: None,
        ..first_model()
    };
    let replies = [Reply::Cancel, Reply::Text("one")];
    let mut bench = Bench::new(Setup {
        has_passphrase: true,
        ..setup
    })
    .typing(replies);
    assert_eq!(
        bench.open().await.unwrap_err().to_string(),
        "trezor: no passphrase was given"
    );
    let told = bench.open().await.unwrap();
    assert!(told.has_passphrase);
    let here = Question::Passphrase {
        can_be_on_device: false,
    };
    assert_eq!(bench.asked, [here; 2]);
    assert_eq!(bench.said, ["look at trezor: confirm the passphrase on it"]);
    assert_eq!(bench.screens(), ["home", "passphrase", "passphrase"]);
}

/// What another program left asked, and went.
#[tokio::test]
async fn a_question_that_was_left_open_is_in_nobodys_way() {
    for (model, version) in [("1", [1, 12, 1]), ("T", [2, 6, 0])] {
        let mut bench = Bench::new(Setup {
            model: model.to_owned(),
            version,
            ..with_passphrase()
        })
        .typing([Reply::Text("")]);
        bench.leave_open();
        bench.open().await.unwrap();
    }
}

/// It asks for its button for each page.
#[tokio::test]
async fn a_long_identity_is_told_once() {
    let uri = format!("ssh://alex@{}", "host".repeat(100));
    let long = identity(&uri, Curve::Ed25519, 0, Derivation::Sign);
    let mut bench = Bench::new(Setup::default());
    signature(bench.sign(&long, SignForm::Ssh, b"blob").await);
    assert_eq!(bench.said.len(), 1, "{:?}", bench.said);
    assert_eq!(bench.screens().len(), 5);
}

#[tokio::test]
async fn a_passphrase_can_be_typed_on_the_device() {
    let mut bench = Bench::new(with_passphrase()).typing([Reply::OnDevice]);
    let told = bench.open().await.unwrap();
    assert!(told.has_passphrase);
    let mut always = Bench::new(with_passphrase()).on_device();
    assert_eq!(always.open().await.unwrap().wallet, told.wallet);
    assert_eq!(always.asked, []);
    assert_eq!(always.said, ["look at trezor: type the passphrase on it"]);
    let mut other = Bench::new(with_passphrase()).typing([Reply::Text("other")]);
    assert_ne!(other.open().await.unwrap().wallet, told.wallet);
}

#[tokio::test]
async fn another_passphrase_is_another_wallet_and_said_so() {
    let mut bench = Bench::new(with_passphrase()).typing([Reply::Text("mine")]);
    let wallet = bench.open().await.unwrap().wallet;
    let key = bench.key(&ssh()).await;

    let mut bench = Bench::new(with_passphrase())
        .expecting(wallet)
        .typing([Reply::Text("wrong"), Reply::Text("mine")]);
    let asked = bench.sign_by(&ssh(), key.id, SignForm::Ssh, b"blob").await;
    assert_eq!(asked.unwrap().unwrap().outcome, Outcome::UnknownKey);
    let said = bench.said.last().unwrap();
    assert!(
        said.contains(&format!("not {wallet}, which was added")),
        "{said}"
    );
    assert!(
        said.contains("another passphrase is another wallet"),
        "{said}"
    );
    assert!(!bench.screens().iter().any(|it| it.starts_with("sign")));
    // What was wrong is not kept.
    let again = bench.sign_by(&ssh(), key.id, SignForm::Ssh, b"blob").await;
    signature(again);

    // Other words: the wallet that nobody has added yet.
    let other = Setup {
        words: "all all all all all all all all all all all all".to_owned(),
        ..Setup::default()
    };
    let mut bench = Bench::new(other);
    let asked = bench.sign_by(&ssh(), key.id, SignForm::Ssh, b"blob").await;
    assert_eq!(asked.unwrap().unwrap().outcome, Outcome::UnknownKey);
    assert!(bench.said.last().unwrap().contains("another key for this"));
    assert_eq!(bench.screens(), [""; 0]);
}

#[tokio::test]
async fn a_no_is_an_answer_and_a_silent_person_is_waited_for() {
    let decide = |decide| Setup {
        decide,
        ..Setup::default()
    };
    let mut bench = Bench::new(decide(Decide::No));
    let asked = bench.sign(&ssh(), SignForm::Ssh, b"blob").await;
    assert_eq!(asked.unwrap().unwrap().outcome, Outcome::Refuse);

    let mut bench = Bench::new(decide(Decide::Never)).typing([Reply::Leave]);
    let key = bench.key(&ssh()).await;
    let asked = bench.sign_by(&ssh(), key.id, SignForm::Ssh, b"blob").await;
    assert!(asked.is_none());
    // The device was told, and can be asked again.
    assert_eq!(bench.key(&ssh()).await, key);
}

#[tokio::test]
async fn limits_of_the_first_model_are_explained() {
    let setup = Setup {
        pin: None,
        ..first_model()
    };
    let mut bench = Bench::new(setup);
    signature(bench.sign(&ssh(), SignForm::Ssh, &[7; 512]).await);
    let long = bench.sign(&ssh(), SignForm::Ssh, &[7; 513]).await;
    assert_eq!(
        error(long),
        "trezor: this Trezor signs 512 bytes at most, these are 513"
    );
    let mut newer = Bench::new(Setup::default());
    signature(newer.sign(&ssh(), SignForm::Ssh, &[7; 2_000]).await);
}
