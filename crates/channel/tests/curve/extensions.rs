//! The check values of `spec/curve.md` section 10.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use keystead_channel::curve::{Aead, Extension, ExtensionSet, Offer, Opened, Refusal};
use serde_json::Value;

use super::common::{NOW, full, hex32};
use super::model;
use super::vectors::{Ends, bytes, sha256};

const TABLE: &str = include_str!("../../../../spec/vectors/curve_extensions.json");

fn table() -> Value {
    serde_json::from_str(TABLE).unwrap()
}

fn ends() -> Ends {
    Ends::new(full(), &bytes(&table()["R_bind"]))
}

fn key(name: &str) -> [u8; 32] {
    hex32(table()[name].as_str().unwrap())
}

fn chacha(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap())
}

fn nonce(label: &str, n: u64) -> Nonce {
    let bytes = model::nonce(label, &n.to_be_bytes());
    Nonce::try_assume_unique_for_key(&bytes).unwrap()
}

fn aad(n: u64) -> Aad<Vec<u8>> {
    Aad::from([&[4][..], &n.to_be_bytes()].concat())
}

#[test]
fn frames_of_the_handshake() {
    let table = table();
    let ends = ends();
    let (client, server, frames) = ends.meet();
    let lengths = frames.each_ref().map(Vec::len);
    assert_eq!(serde_json::json!(lengths), table["frame_bytes"]);
    assert_eq!(sha256(&frames[2]), bytes(&table["vouch_frame_sha256"]));
    for profile in [client.profile(), server.profile()] {
        assert!(Extension::ALL.into_iter().all(|id| profile.has(id)));
        assert_eq!(profile.aead(), Some(Aead::ChaCha20Poly1305));
        assert_eq!(
            profile.joins_floor(),
            ExtensionSet::NONE.with(Extension::Bind)
        );
    }

    // The list of Hello and of Cookie ack.
    let server = model::ModelServer {
        s_secret: ends.secret("S"),
        es: *ends.keys("ES").public().as_bytes(),
        stag: [0; 32],
    };
    assert_eq!(server.read_hello(&frames[0]).2, bytes(&table["list"]));
    let ec = *ends.keys("EC").public().as_bytes();
    let plain = model::open(
        &ends.secret("S"),
        &ec,
        &model::nonce("ksckack1", &frames[1][3..19]),
        &frames[1][19..],
    );
    assert_eq!(plain[96..], bytes(&table["list"]));

    // The proof is T, under DH(C,ES).
    let plain = model::open(
        &ends.secret("ES"),
        &ec,
        &model::nonce("keystead-vouch-1", &[0; 8]),
        &frames[2][3..],
    );
    assert_eq!(plain[128..131], [1, 0, 64]);
    let t = model::open(
        &ends.secret("C"),
        ends.keys("ES").public().as_bytes(),
        &model::nonce("ksbind01", &plain[131..147]),
        &plain[147..],
    );
    assert_eq!(t, key("T"));
}

#[test]
fn export_of_both_ends() {
    let (client, server, _) = ends().meet();
    for exported in [client.export(b"test"), server.export(b"test")] {
        assert_eq!(exported.unwrap().expose(), &key("export_test"));
    }
    assert_ne!(
        client.export(b"other").unwrap().expose(),
        &key("export_test")
    );
}

#[test]
fn first_message_of_the_client() {
    let table = table();
    let (mut client, mut server, _) = ends().meet();
    let mut frame = vec![];
    client.seal(b"ping", NOW, &mut frame).unwrap();
    assert_eq!(frame.len(), 256);
    assert_eq!(sha256(&frame), bytes(&table["message"]["frame_sha256"]));

    let mut boxed = frame[11..].to_vec();
    let padded = chacha(&key("k_c2s"))
        .open_in_place(nonce("kc2s", 0), aad(0), &mut boxed)
        .unwrap();
    assert_eq!(padded.len(), 229);
    assert_eq!(padded[..6], *b"\0\x04ping");
    assert_eq!(server.open(&mut frame, NOW), Ok(Opened::Message(b"ping")));
}

#[test]
fn first_message_of_the_server() {
    let (mut client, mut server, _) = ends().meet();
    let mut ours = vec![];
    server.seal(b"pong", NOW, &mut ours).unwrap();

    let mut padded = b"\0\x04pong".to_vec();
    padded.resize(229, 0);
    chacha(&key("k_s2c"))
        .seal_in_place_append_tag(nonce("ks2c", 0), aad(0), &mut padded)
        .unwrap();
    let mut theirs = model::frame(4, &[&0_u64.to_be_bytes(), &padded]);
    assert_eq!(ours, theirs);
    assert_eq!(client.open(&mut theirs, NOW), Ok(Opened::Message(b"pong")));
}

#[test]
fn key_of_epoch_1() {
    let (mut client, mut server, _) = ends().meet();
    let mut frame = vec![];
    client.seal(b"ping", NOW + 120_000, &mut frame).unwrap();
    let n = 1_u64 << 20;
    assert_eq!(frame[3..11], n.to_be_bytes());
    let mut boxed = frame[11..].to_vec();
    let padded = chacha(&key("k_c2s_epoch_1"))
        .open_in_place(nonce("kc2s", n), aad(n), &mut boxed)
        .unwrap();
    assert_eq!(padded[..6], *b"\0\x04ping");
    assert_eq!(server.open(&mut frame, NOW), Ok(Opened::Message(b"ping")));
}

#[test]
fn a_base_frame_is_refused_by_the_keys_of_bind() {
    let (_, mut server, _) = ends().meet();
    let (mut base, _, _) = Ends::new(Offer::Strict, &[]).meet();
    let mut frame = vec![];
    base.seal(b"ping", NOW, &mut frame).unwrap();
    assert_eq!(server.open(&mut frame, NOW), Err(Refusal::Box));
}
