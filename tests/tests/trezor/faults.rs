//! Devices that are not there, break, lie, or are not set up.

use keystead_core::{Curve, DecryptForm, Derivation, Outcome, SignForm};

use crate::bench::{Bench, End, error, identity, ssh};
use crate::setup::{Decide, Setup, State};

async fn sign(decide: Decide) -> End {
    let setup = Setup {
        decide,
        ..Setup::default()
    };
    Bench::new(setup).sign(&ssh(), SignForm::Ssh, b"blob").await
}

#[tokio::test]
async fn nobody_there() {
    let refused = Bench::without().open().await.unwrap_err().to_string();
    assert!(
        refused.starts_with("trezor: no Trezor is there (no emulator at"),
        "{refused}"
    );
}

#[tokio::test]
async fn unplugged_while_asked_is_told_at_once() {
    let error = error(sign(Decide::Unplug).await);
    assert!(
        error.contains("was unplugged while it was asked"),
        "{error}"
    );
}

#[tokio::test]
async fn what_breaks_the_rules_is_told() {
    let told = error(sign(Decide::Garbage).await);
    assert_eq!(
        told,
        "trezor misbehaved: it sends a report that begins no message"
    );
    let told = error(sign(Decide::False).await);
    assert_eq!(told, "trezor misbehaved: its signature is false");
    let told = error(sign(Decide::Other).await);
    assert_eq!(
        told,
        "trezor misbehaved: it signed with another key than it showed"
    );
}

#[tokio::test]
async fn a_device_that_is_not_set_up() {
    let setup = Setup {
        state: State::Empty,
        ..Setup::default()
    };
    let refused = Bench::new(setup).open().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "trezor: the Trezor is not set up: it has no seed"
    );
    assert!(refused.hint().contains("Trezor Suite"));
    let old = Setup {
        model: "1".to_owned(),
        version: [1, 3, 0],
        ..Setup::default()
    };
    let refused = Bench::new(old).open().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "trezor: the Trezor's firmware 1.3.0 is too old"
    );
}

#[tokio::test]
async fn a_key_does_what_its_identity_is_for() {
    let mut bench = Bench::new(Setup::default());
    let gpg = identity("gpg://a", Curve::Nist256p1, 0, Derivation::Sign);
    let told = error(bench.sign(&gpg, SignForm::Ssh, b"blob").await);
    assert_eq!(
        told,
        "trezor: a gpg identity signs or decrypts for OpenPGP alone"
    );
    let told = error(bench.sign(&ssh(), SignForm::OpenPgp, &[8; 33]).await);
    assert_eq!(
        told,
        "trezor: an ssh identity signs logins and SSHSIG alone"
    );
    let told = error(bench.sign(&gpg, SignForm::OpenPgp, &[8; 32]).await);
    assert_eq!(told, "trezor: a digest of less than 32 bytes is not signed");
    let told = error(bench.decrypt(&gpg, DecryptForm::Point, &[4; 65]).await);
    assert_eq!(
        told,
        "trezor: a gpg identity signs or decrypts for OpenPGP alone"
    );
    assert_eq!(bench.screens(), [""; 0]);
}

#[tokio::test]
async fn a_file_key_for_another_is_unknown() {
    let mut bench = Bench::new(Setup::default());
    let backup = identity("age://backup", Curve::Curve25519, 0, Derivation::Agree);
    let mut content = [9; 64];
    content[0] = 7;
    let asked = bench.decrypt(&backup, DecryptForm::Age, &content).await;
    assert_eq!(asked.unwrap().unwrap().outcome, Outcome::UnknownKey);
    let told = error(
        bench
            .decrypt(&backup, DecryptForm::Age, &content[..63])
            .await,
    );
    assert_eq!(told, "trezor: an age identity opens file keys alone");
}
