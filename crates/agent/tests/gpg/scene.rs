//! A conversation written down, one line a turn: who says it, and what it is.
//!
//! `>` the client says, `=` the ordinary agent hears, `<` the ordinary agent says, `!` the client
//! hears, `?` what is asked of a keeper, `@` what the keeper answers, `~` what
//! the person reads at gpg's terminal, `-` what else is done.

use std::path::PathBuf;

use keystead_agent::gpg::{Action, Answer, Bring, Conversation, Event, Failure, Job, KeyMap, Own};
use keystead_core::SecretBytes;
use keystead_formats::assuan::{ErrorCode, LineTooLong};

/// A key of P-256 that signs, with the private key 1, and one that agrees.
pub(crate) const MAP: &str = r#"{"version":1,"keys":[
{"keygrip":"GRIP_SIGN","algorithm":"ecdsa-sha2-nistp256","public_key":"PUBLIC_SIGN",
"key_id":"0101010101010101010101010101010101010101010101010101010101010101",
"identity":{"uri":"gpg://Alex <alex@example.org>","curve":"nist256p1"},"keeper":"phone",
"user_id":"Alex <alex@example.org>","created_unix_s":1700000000,
"fingerprint":"1111111111111111111111111111111111111111"},
{"keygrip":"GRIP_AGREE","algorithm":"x25519","public_key":"PUBLIC_AGREE",
"key_id":"0202020202020202020202020202020202020202020202020202020202020202",
"identity":{"uri":"gpg://Alex <alex@example.org>","curve":"curve25519"},
"user_id":"Alex <alex@example.org>","created_unix_s":1700000000,
"fingerprint":"2222222222222222222222222222222222222222"}]}"#;

pub(crate) const SIGN: &str = "A0000000000000000000000000000000000000A1";
pub(crate) const AGREE: &str = "B0000000000000000000000000000000000000B2";
/// Of a key that the ordinary agent has.
pub(crate) const OTHER: &str = "2606D55794DE4658B6B46FDC29B3470B925DCFDB";

/// SEC 2: the base point of P-256, coded as SSH does.
const PUBLIC_SIGN: &str = "0000001365636473612d736861322d6e69737470323536000000086e697374703235\
360000004104\
6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

/// RFC 7748 section 4.1: the base point.
const PUBLIC_AGREE: &str = "0900000000000000000000000000000000000000000000000000000000000000";

pub(crate) fn map() -> KeyMap {
    let json = MAP
        .replace("GRIP_SIGN", SIGN)
        .replace("GRIP_AGREE", AGREE)
        .replace("PUBLIC_SIGN", PUBLIC_SIGN)
        .replace("PUBLIC_AGREE", PUBLIC_AGREE);
    KeyMap::parse(json.as_bytes()).unwrap()
}

pub(crate) fn own() -> Own {
    Own {
        pid: 7,
        client_pid: Some(4_711),
        socket: Some(PathBuf::from("/home/a/.gnupg/S.gpg-agent")),
        ssh_socket: Some(PathBuf::from("/home/a/.gnupg/S.gpg-agent.ssh")),
        restricted: false,
    }
}

/// Plays `text` from the greeting on.
#[track_caller]
pub(crate) fn play(text: &str) {
    play_with(own(), &map(), text);
}

#[track_caller]
pub(crate) fn play_with(own: Own, keys: &KeyMap, text: &str) {
    let text = text
        .replace("$SIGN", SIGN)
        .replace("$AGREE", AGREE)
        .replace("$OTHER", OTHER);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    let mut conversation = Conversation::new(own);
    let mut seen: Vec<String> = Vec::new();
    for line in &lines {
        let (who, what) = line.split_at(1);
        let what = what.trim_start();
        let event = match who {
            ">" if what == "(leaves)" => Event::ClientLeft,
            ">" if what == "(too long)" => Event::Client(Err(LineTooLong)),
            ">" => Event::Client(Ok(what.as_bytes())),
            "<" if what == "(dies)" => Event::BehindLeft,
            "<" => Event::Behind(what.as_bytes()),
            "@" => Event::Answered(answer(what)),
            _ => continue,
        };
        seen.push((*line).to_owned());
        for action in conversation.step(event, keys) {
            seen.extend(shown(action));
        }
    }
    assert_eq!(seen, lines);
}

fn answer(text: &str) -> Answer {
    match text.split_once(' ') {
        Some(("signature", hex)) => Answer::Signed(unhex(hex)),
        Some(("point", hex)) => Answer::Agreed(SecretBytes::take(&mut unhex(hex))),
        Some(("brought", keygrip)) => {
            let keygrip = keygrip.parse().unwrap();
            Answer::Brought(Box::new(map().find(keygrip).unwrap().clone()))
        }
        Some(("refused", text)) => Answer::Failed(Failure {
            code: ErrorCode::CANCELED,
            text: text.to_owned(),
        }),
        _ => panic!("{text}"),
    }
}

fn shown(action: Action) -> Vec<String> {
    let lines = |who: &str, bytes: &[u8]| {
        assert_eq!(bytes.last(), Some(&b'\n'));
        let text = bytes.escape_ascii().to_string().replace("\\\"", "\"");
        text.split_terminator("\\n")
            .map(|it| format!("{who} {it}"))
            .collect()
    };
    match action {
        Action::ToClient(bytes) => lines("!", &bytes),
        Action::ToBehind(bytes) => lines("=", &bytes),
        Action::Ask(ask) => {
            let job = match &ask.job {
                Job::Sign { hash, digest } => format!("sign {hash} {}", hex(digest)),
                Job::Agree { point } => format!("agree {}", hex(point)),
            };
            let description = ask.description.unwrap_or_default().replace('\n', " / ");
            vec![
                format!("? {} {job} {description}", ask.key.keygrip)
                    .trim()
                    .to_owned(),
            ]
        }
        Action::Bring(bring) => vec![match *bring {
            Bring::Take { key, private } => {
                let fingerprint = key.fingerprint.map(|it| it.to_string());
                assert!(
                    private
                        .expose()
                        .starts_with(b"-----BEGIN PRIVATE KEY-----\n")
                );
                format!(
                    "? take {} {} {} {}",
                    key.algorithm,
                    key.keygrip,
                    fingerprint.unwrap_or_default(),
                    key.user_id
                )
            }
            Bring::Make {
                keeper,
                key_type,
                created_unix_s,
            } => format!(
                "? make {} at {keeper} {created_unix_s:?}",
                key_type.as_str()
            ),
        }],
        Action::Say(text) => vec![format!("~ {text}")],
        Action::Withdraw => vec!["- withdraw".to_owned()],
        Action::KillAgent => vec!["- kill".to_owned()],
        Action::HangUp => vec!["- hang up".to_owned()],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|it| !it.is_ascii_whitespace())
        .collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|it| u8::from_str_radix(str::from_utf8(it).unwrap(), 16).unwrap())
        .collect()
}
