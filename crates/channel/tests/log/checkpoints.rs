//! Checkpoints: published key hashes and notes, golden bytes, what is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_channel::log::{Checkpoint, CheckpointFault, SIGNATURES_MAX, is_signed, key_hash};
use keystead_channel::session::ServerId;

/// The public half of the Ed25519 seed 07…07, and its signature over [`NOTE`]'s text, by
/// Python's `cryptography` 48.
const KEY: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
const SIGNATURE: &str = "9874b2f1311d88aa4ddf42b04778dc3c0356fc54afdd5bb8d0ee77786efb7104\
                         e5713c7e9ba9f4c980b2cc56f3c83e24136abca1bd87870c0bef8fce40777a0b";
const NOTE: &str = "keystead/0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
66000
XFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFw=
epoch 2

\u{2014} keystead/0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a \
plaEGJh0svExHYiqTd9CsEd43DwDVvxUr91buNDud3hu+3EE5XE8fpup9MmAssxW88g+JBNqvKG9h4cMC++PzkB3egs=
";

const SERVER: ServerId = ServerId([0x0a; 16]);

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let byte = |at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}

fn head() -> Checkpoint {
    Checkpoint {
        server: SERVER,
        epoch: 2,
        size: 66_000,
        root: [0x5c; 32],
    }
}

fn open(note: &str) -> Result<Checkpoint, CheckpointFault> {
    Checkpoint::open(note.as_bytes(), &SERVER, &bytes(KEY))
}

#[test]
fn a_checkpoint_has_the_bytes_of_the_specification() {
    let note = head().note(&bytes(KEY), &bytes(SIGNATURE));
    assert_eq!(String::from_utf8(note).unwrap(), NOTE);
    assert_eq!(open(NOTE), Ok(head()));
    assert_eq!(Checkpoint::read(NOTE.as_bytes()), Ok(head()));
}

/// Names, keys and key hashes of the notes that golang.org/x/mod/sumdb/note and
/// c2sp.org/signed-note print as examples.
#[test]
fn key_hashes_are_those_of_published_notes() {
    let published = [
        (
            "PeterNeumann",
            "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "c74f20a3",
        ),
        (
            "example.com/foo",
            "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "530d903a",
        ),
    ];
    for (name, key, expected) in published {
        let key: [u8; 32] = STANDARD.decode(key).unwrap()[1..].try_into().unwrap();
        let hash: String = key_hash(name, &key)
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        assert_eq!(hash, expected, "{name}");
    }
}

/// The note of golang.org/x/mod/sumdb/note's documentation and the one of c2sp.org's text.
#[test]
fn signatures_of_published_notes_are_good() {
    let published = [
        (
            "If you think cryptography is the answer to your problem,\n\
             then you don't know what your problem is.\n",
            "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
        ),
        (
            "This is an example message.\n",
            "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=",
        ),
    ];
    for (text, key, signed) in published {
        let key: [u8; 32] = STANDARD.decode(key).unwrap()[1..].try_into().unwrap();
        let signature: [u8; 64] = STANDARD.decode(signed).unwrap()[4..].try_into().unwrap();
        assert!(is_signed(text.as_bytes(), &key, &signature));
        assert!(!is_signed(b"Another text.\n", &key, &signature));
    }
}

#[test]
fn every_proper_prefix_and_every_changed_byte_is_refused() {
    for len in 0..NOTE.len() {
        let cut = Checkpoint::open(&NOTE.as_bytes()[..len], &SERVER, &bytes(KEY));
        assert!(cut.is_err(), "{len} bytes");
    }
    for at in 0..NOTE.len() * 8 {
        let mut other = NOTE.as_bytes().to_vec();
        other[at / 8] ^= 1 << (at % 8);
        let opened = Checkpoint::open(&other, &SERVER, &bytes(KEY));
        assert!(opened.is_err(), "bit {at}");
    }
}

#[test]
fn another_server_or_key_is_refused() {
    let other = Checkpoint::open(NOTE.as_bytes(), &ServerId([0x0b; 16]), &bytes(KEY));
    assert_eq!(other, Err(CheckpointFault::Origin));
    let other = Checkpoint::open(NOTE.as_bytes(), &SERVER, &[9; 32]);
    assert_eq!(other, Err(CheckpointFault::NotSigned));
}

#[test]
fn witnesses_may_sign_too_and_say_nothing() {
    let witness = "\u{2014} witness.example/w AAAAAQAAAABqA4aUAAAA\n";
    let before = NOTE.replace("\n\n", &format!("\n\n{witness}"));
    assert_eq!(open(&before), Ok(head()));
    let after = format!("{NOTE}{witness}");
    assert_eq!(open(&after), Ok(head()));
    let many = format!("{NOTE}{}", witness.repeat(SIGNATURES_MAX - 1));
    assert_eq!(open(&many), Ok(head()));
    let too_many = format!("{NOTE}{}", witness.repeat(SIGNATURES_MAX));
    assert_eq!(open(&too_many), Err(CheckpointFault::Note));
    let alone = format!("{}\n{witness}", head().text());
    assert_eq!(open(&alone), Err(CheckpointFault::NotSigned));
}

#[test]
fn other_forms_of_the_same_head_are_refused() {
    let line = NOTE.rsplit_once("\n\n").unwrap().1;
    let cases = [
        ("twice by one key", format!("{NOTE}{line}")),
        ("no signature", format!("{}\n", head().text())),
        ("no empty line", NOTE.replace("\n\n", "\n")),
        ("no end", NOTE.trim_end().to_owned()),
        ("a line more", NOTE.replace("epoch 2\n", "epoch 2\nmore\n")),
        ("a line less", NOTE.replace("epoch 2\n", "")),
        ("a leading zero", NOTE.replace("66000", "066000")),
        ("a sign", NOTE.replace("66000", "+66000")),
        ("too great", NOTE.replace("66000", "18446744073709551616")),
        ("no number", NOTE.replace("66000", "")),
        ("capital hex", NOTE.replace("0a0a", "0A0A")),
        ("another origin", NOTE.replace("keystead/", "keyhouse/")),
        ("base64 without padding", NOTE.replace("Fw=\n", "Fw\n")),
        ("base64 with spare bits", NOTE.replace("Fw=\n", "Fx=\n")),
        (
            "a short root",
            NOTE.replace("XFxcXFxcXFxcXFxc", "XFxcXFxcXFxc"),
        ),
        ("a hyphen for a dash", NOTE.replace('\u{2014}', "-")),
        ("carriage returns", NOTE.replace('\n', "\r\n")),
        ("a tab", NOTE.replace("epoch 2", "epoch\t2")),
        (
            "a witness without a name",
            format!("{NOTE}\u{2014}  AAAAAQAAAA==\n"),
        ),
        (
            "a witness without a signature",
            format!("{NOTE}\u{2014} w AAAAAQ==\n"),
        ),
        (
            "a witness with a plus",
            format!("{NOTE}\u{2014} w+x AAAAAQAAAA==\n"),
        ),
    ];
    for (case, note) in cases {
        assert_ne!(note, NOTE, "{case}");
        assert!(open(&note).is_err(), "{case}");
    }
}
