use super::*;
use crate::trezor::path::path;
use keystead_core::{Derivation, hex};

/// The bodies, put together by Python from the public definitions alone (proto2's encoding).
const CHALLENGE: &str = "cd8552569d6e4509266ef137584d1e62c7579b5b8ed69bbafa4b864c6521e7c2";
const SESSION: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap()
}

fn ssh() -> Identity {
    Identity::new(
        "ssh://satoshi@bitcoin.org",
        Curve::Nist256p1,
        47,
        Derivation::Sign,
    )
    .unwrap()
}

fn gpg() -> Identity {
    let uri = "gpg://Satoshi Nakamoto <satoshi@bitcoin.org>";
    Identity::new(uri, Curve::Curve25519, 0, Derivation::Agree).unwrap()
}

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::take(&mut bytes.to_vec())
}

#[test]
fn what_is_said_to_a_device() {
    #[track_caller]
    fn check(message: &Message, number: u16, body: &str) {
        assert_eq!(message.number, number);
        assert_eq!(hex::encode(message.body.expose()), body);
    }
    check(&initialize(None), 0, "");
    let session = bytes(SESSION);
    check(
        &initialize(Some(&session)),
        0,
        "0a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    );
    check(
        &ask_public_key(&path(&ssh()), Curve::Nist256p1),
        11,
        "088d8080800808dfcccaa80f08d8c28e8d0b08fbff85d80808aec08ae50d12096e69737432353670\
     311800",
    );
    let parts = DeviceIdentity::of(&ssh());
    let sign = sign_identity(&parts, &bytes(CHALLENGE), Curve::Nist256p1);
    check(
        &sign,
        53,
        "0a1d0a0373736812077361746f7368691a0b626974636f696e2e6f7267302f1220cd8552569d6e45\
     09266ef137584d1e62c7579b5b8ed69bbafa4b864c6521e7c21a0022096e6973743235367031",
    );
    let peer = [&[0x40], session.as_slice()].concat();
    let agree = ask_session_key(&DeviceIdentity::of(&gpg()), &peer, Curve::Curve25519);
    check(
        &agree,
        61,
        "0a2f0a036770671a265361746f736869204e616b616d6f746f203c7361746f73686940626974636f\
     696e2e6f72673e3000122140000102030405060708090a0b0c0d0e0f101112131415161718191a1b\
     1c1d1e1f1a0a63757276653235353139",
    );
    check(&button_ack(), 27, "");
    check(&pin_matrix_ack(&secret(b"1357")), 19, "0a0431333537");
    check(
        &passphrase_ack(Some(&secret(b"secret"))),
        42,
        "0a06736563726574",
    );
    check(&passphrase_ack(Some(&secret(b""))), 42, "0a00");
    check(&passphrase_ack(None), 42, "1801");
    check(&passphrase_ack_of_old(), 42, "");
    check(&passphrase_state_ack(), 78, "");
    check(&cancel(), 20, "");
    check(&end_session(), 83, "");
    check(&lock_device(), 24, "");
}

#[track_caller]
fn read(number: u16, body: &str) -> Result<Said, ProtobufError> {
    Said::read(&Message {
        number,
        body: secret(&bytes(body)),
    })
}

const FEATURES_BODY: &str = "0a097472657a6f722e696f1001180c20012800320441314232380140014a05656e2d555352094d79\
     205472657a6f7260016a02dead800100aa010131f00101f00105f001119a02200001020304050607\
     08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fa00200";
const PUBLIC_KEY_BODY: &str = "0a53080510f8acd1910118aec08ae50d222000000000000000000000000000000000000000000000\
     0000000000000000000032210373f21a3da3d0e96fc2189f81dd826658c3d76b2d55bd1da349bc6c\
     3573b13ae412077870756236363118f0bdf3d509";
const SIGNED_BODY: &str = "12210373f21a3da3d0e96fc2189f81dd826658c3d76b2d55bd1da349bc6c3573b13ae41a41005122\
     cebabb852cdd32103b602662afa88e54c0c0c1b38d7099c64dcd49efe908288114e66ed2d8c82f23\
     a70b769a4db723173ec53840c08aafb840d3f09a18d3";
const SESSION_KEY_BODY: &str = "0a2104000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f1221000000\
     000000000000000000000000000000000000000000000000000000000000";
const FAILURE_BODY: &str = "08041210416374696f6e2063616e63656c6c6564";

#[test]
fn features() {
    let Ok(Said::Features(features)) = read(17, FEATURES_BODY) else {
        panic!("no features");
    };
    let expected = Features {
        vendor: "trezor.io".to_owned(),
        version: (1, 12, 1),
        is_in_bootloader: false,
        device: "A1B2".to_owned(),
        has_pin: true,
        has_passphrase: true,
        label: "My Trezor".to_owned(),
        is_initialized: Some(true),
        model: "1".to_owned(),
        can_enter_passphrase: true,
        can_sign_identities: Some(true),
        session: Some(bytes(SESSION)),
    };
    assert_eq!(*features, expected);
    assert!(features.is_first_model());
}

#[test]
fn keys_signatures_and_points() {
    let node = "0373f21a3da3d0e96fc2189f81dd826658c3d76b2d55bd1da349bc6c3573b13ae4";
    let Ok(Said::PublicKey { key }) = read(12, PUBLIC_KEY_BODY) else {
        panic!("no key");
    };
    assert_eq!(hex::encode(&key), node);
    let Ok(Said::SignedIdentity { key, signature }) = read(54, SIGNED_BODY) else {
        panic!("no signature");
    };
    assert_eq!(hex::encode(&key), node);
    assert_eq!(signature.len(), 65);
    let Ok(Said::SessionKey(point)) = read(62, SESSION_KEY_BODY) else {
        panic!("no point");
    };
    assert_eq!(hex::encode(point.expose()), format!("04{SESSION}"));
}

#[test]
fn what_a_device_asks() {
    let code = |said| match said {
        Ok(Said::ButtonRequest { code } | Said::PinMatrixRequest { kind: code }) => code,
        _ => panic!("something else"),
    };
    assert_eq!(
        code(read(26, "08071001220d7369676e5f6964656e74697479")),
        Some(7)
    );
    assert_eq!(code(read(26, "")), None);
    assert_eq!(code(read(18, "0801")), Some(1));
    let on_device = |said| match said {
        Ok(Said::PassphraseRequest { is_on_device }) => is_on_device,
        _ => panic!("something else"),
    };
    assert!(!on_device(read(41, "")));
    assert!(on_device(read(41, "0801")));
    let state = read(
        77,
        "0a200000000000000000000000000000000000000000000000000000000000000000",
    );
    assert!(matches!(state, Ok(Said::PassphraseStateRequest)));
    assert!(matches!(
        read(2, "0a0d53657373696f6e20656e646564"),
        Ok(Said::Success)
    ));
    assert!(matches!(read(999, ""), Ok(Said::Other(999))));
    match read(3, FAILURE_BODY) {
        Ok(Said::Failure { code, message }) => {
            assert_eq!((code, message.as_str()), (Some(4), "Action cancelled"));
        }
        _ => panic!("no failure"),
    }
}

/// As devices that speak the newer protocol alone answer, with firmware 2.9.3 and since.
#[test]
fn a_failure_may_have_zeros_behind_it() {
    for zeros in [0, 18] {
        let body = ["0811".to_owned(), "00".repeat(zeros)].concat();
        match read(3, &body) {
            Ok(Said::Failure { code, message }) => {
                assert_eq!((code, message.as_str()), (Some(17), ""));
            }
            _ => panic!("no failure"),
        }
    }
}

#[test]
fn a_devices_words_cannot_steer_a_terminal() {
    let text = "\u{1b}[2Jwiped\r\n".repeat(40);
    let body = Writer::new().number(1, 99).text(2, &text);
    match Said::read(&message(3, body)) {
        Ok(Said::Failure { message, .. }) => {
            assert_eq!(message.chars().count(), 120);
            assert!(message.starts_with("[2Jwiped[2J"), "{message:?}");
        }
        _ => panic!("no failure"),
    }
}

#[test]
fn a_label_that_is_no_text_is_marked() {
    let label = b"My\xff \xe2\x80\xaeTrezor";
    match Said::read(&message(17, Writer::new().bytes(10, label))) {
        Ok(Said::Features(features)) => assert_eq!(features.label, "My\u{fffd} Trezor"),
        _ => panic!("no features"),
    }
}

#[test]
fn no_proper_prefix_is_the_message() {
    // A prefix that ends between fields is a message: one that lacks what stands behind it.
    for (number, body) in [
        (12, PUBLIC_KEY_BODY),
        (54, SIGNED_BODY),
        (62, SESSION_KEY_BODY),
    ] {
        let whole = read(number, body).map(|it| short(&it)).unwrap();
        for length in 0..body.len() / 2 {
            match read(number, &body[..2 * length]) {
                // Behind the last field that is needed stand those that are not.
                Ok(said) => assert_eq!(short(&said), whole, "{number} {length}"),
                Err(error) => assert!(
                    matches!(error, ProtobufError::Truncated | ProtobufError::Missing(_)),
                    "{number} {length} {error}"
                ),
            }
        }
    }
    // Between its 19 fields, and before the first, every other end is within one.
    let prefixes = (0..FEATURES_BODY.len() / 2).map(|it| &FEATURES_BODY[..2 * it]);
    assert_eq!(prefixes.filter(|it| read(17, it).is_ok()).count(), 19);
}

/// What of a message came out, to compare.
fn short(said: &Said) -> Vec<u8> {
    if let Said::PublicKey { key } = said {
        key.clone()
    } else if let Said::SignedIdentity { signature, .. } = said {
        signature.clone()
    } else if let Said::SessionKey(point) = said {
        point.expose().to_vec()
    } else {
        Vec::new()
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let check = |number, body: Writer, field| {
        let refused = Said::read(&message(number, body)).err();
        assert_eq!(refused, Some(ProtobufError::Kind(field)));
    };
    let node = |key: &[u8]| Writer::new().message(1, &Writer::new().bytes(6, key));
    check(12, node(&[2; 32]), 6);
    check(12, node(&[2; 65]), 6);
    check(12, Writer::new().number(1, 1), 1);
    check(54, Writer::new().bytes(2, &[2; 33]).bytes(3, &[0; 66]), 3);
    check(62, Writer::new().bytes(1, &[4; 66]), 1);
    check(17, Writer::new().bytes(35, &[0; 65]), 35);
    check(17, Writer::new().text(2, "1"), 2);
    check(17, Writer::new().number(10, 1), 10);
    check(17, Writer::new().number(2, u64::MAX), 2);
}

#[test]
fn identities_are_taken_apart_and_together_again() {
    #[track_caller]
    fn check(uri: &str, curve: Curve, derivation: Derivation, expected: [&str; 4]) {
        let identity = Identity::new(uri, curve, 3, derivation).unwrap();
        let parts = DeviceIdentity::of(&identity);
        assert_eq!(parts.named().map(|(_, part)| part), expected, "{uri}");
        // As the device puts them together (SLIP-0013).
        let [user, host, port, path] = expected;
        let at = if user.is_empty() { "" } else { "@" };
        let colon = if port.is_empty() { "" } else { ":" };
        let proto = &parts.proto;
        assert_eq!(
            format!("{proto}://{user}{at}{host}{colon}{port}{path}"),
            uri
        );
    }
    let ssh = |uri, parts| check(uri, Curve::Ed25519, Derivation::Sign, parts);
    ssh("ssh://git@github.com", ["git", "github.com", "", ""]);
    ssh("ssh://a@b:22/c", ["a", "b", "22", "/c"]);
    ssh("ssh://host", ["", "host", "", ""]);
    ssh("ssh://A <a@b.c>", ["A <a", "b.c>", "", ""]);
    // Parts of it would give another text.
    ssh("ssh://host:", ["", "host:", "", ""]);
    ssh("ssh://x://y", ["", "x://y", "", ""]);
    let gpg = "gpg://A B <a@b.c>";
    check(
        gpg,
        Curve::Nist256p1,
        Derivation::Sign,
        ["", "A B <a@b.c>", "", ""],
    );
    check(
        "age://a@b",
        Curve::Curve25519,
        Derivation::Agree,
        ["", "a@b", "", ""],
    );
}
