//! `spec/vectors/nacl.json`: the primitives that the frames are made of.

use keystead_sodium::{crypto_box, secretbox};
use serde_json::Value;
use sha2::{Digest, Sha512};

use super::common::hex32;
use super::vectors::{bytes, sha256};

const NACL: &str = include_str!("../../../../spec/vectors/nacl.json");

#[test]
fn nacl_values() {
    let table: Value = serde_json::from_str(NACL).unwrap();
    let vectors = table["vectors"].as_array().unwrap();
    assert_eq!(serde_json::json!(vectors.len()), table["count"]);
    for vector in vectors {
        let name = vector["id"].as_str().unwrap();
        let key = |field: &str| hex32(vector[field].as_str().unwrap());
        match vector["op"].as_str().unwrap() {
            "crypto_box_easy" => check_box(vector, name),
            "crypto_secretbox_easy" => check_secretbox(vector, &key("key"), name),
            "crypto_secretbox_open_easy" => {
                let boxed = bytes(&vector["out"]);
                let mut out = vec![0; boxed.len().saturating_sub(16)];
                let nonce = bytes(&vector["nonce"]).try_into().unwrap();
                let opened = secretbox::open(&key("key"), &nonce, &boxed, &mut out);
                assert_eq!(opened.is_ok(), vector["ok"], "{name}");
            }
            "crypto_box_seal_open" => check_sealed(vector, name),
            "crypto_box_beforenm" => {
                let agreed = crypto_box::x25519(&key("sk"), &key("peer_pk"), &mut [0; 32]);
                assert_eq!(agreed.is_ok(), vector["ok"], "{name}");
            }
            "crypto_scalarmult+beforenm" => {
                let (mut x, mut shared) = ([0; 32], [0; 32]);
                crypto_box::x25519(&key("sk"), &key("peer_pk"), &mut x).unwrap();
                crypto_box::box_key(&x, &mut shared);
                assert_eq!((x, shared), (key("q"), key("shared")), "{name}");
                assert_eq!(crypto_box::public_key(&key("sk")), key("pk"), "{name}");
            }
            "crypto_box_seed_keypair" => {
                let hashed = Sha512::digest(key("seed"));
                assert_eq!(hashed[..32], key("sk"), "{name}");
                assert_eq!(crypto_box::public_key(&key("sk")), key("pk"), "{name}");
            }
            op => panic!("unknown operation {op}"),
        }
    }
}

fn check_box(vector: &Value, name: &str) {
    let key = |field: &str| hex32(vector[field].as_str().unwrap());
    let shared = box_key(&key("sender_sk"), &key("recipient_pk"));
    if vector.get("msg_rule").is_some() {
        check_big(vector, &shared, name);
        return;
    }
    let reversed = box_key(&key("recipient_sk"), &key("sender_pk"));
    assert_eq!((shared, reversed), (key("shared"), key("shared")), "{name}");
    check_secretbox(vector, &shared, name);
}

fn box_key(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    let (mut x, mut key) = ([0; 32], [0; 32]);
    crypto_box::x25519(secret, public, &mut x).unwrap();
    crypto_box::box_key(&x, &mut key);
    key
}

/// A message given by a rule, its box by a hash.
fn check_big(vector: &Value, shared: &[u8; 32], name: &str) {
    let stream = name.replace("box-big-", "big");
    let rule = vector["msg_rule"].as_str().unwrap();
    assert!(
        rule.contains(&format!("keystead-nacl-vector:{stream}:")),
        "{name}"
    );
    let len = usize::try_from(vector["msg_len"].as_u64().unwrap()).unwrap();
    let mut message: Vec<u8> = (0..len.div_ceil(64))
        .flat_map(|i| Sha512::digest(format!("keystead-nacl-vector:{stream}:{i}")))
        .collect();
    message.truncate(len);
    assert_eq!(sha256(&message), bytes(&vector["msg_sha256"]), "{name}");
    let nonce = bytes(&vector["nonce"]).try_into().unwrap();
    let mut boxed = vec![0; len + 16];
    secretbox::seal(shared, &nonce, &message, &mut boxed);
    assert_eq!(boxed[..16], bytes(&vector["tag"]), "{name}");
    assert_eq!(sha256(&boxed), bytes(&vector["out_sha256"]), "{name}");
}

fn check_secretbox(vector: &Value, key: &[u8; 32], name: &str) {
    let nonce = bytes(&vector["nonce"]).try_into().unwrap();
    let message = bytes(&vector["msg"]);
    let mut boxed = vec![0; message.len() + 16];
    secretbox::seal(key, &nonce, &message, &mut boxed);
    assert_eq!(boxed, bytes(&vector["out"]), "{name}");
    let mut opened = vec![0; message.len()];
    assert_eq!(secretbox::open(key, &nonce, &boxed, &mut opened), Ok(()));
    assert_eq!(opened, message, "{name}");
}

fn check_sealed(vector: &Value, name: &str) {
    let key = |field: &str| hex32(vector[field].as_str().unwrap());
    let sealed = bytes(&vector["out"]);
    let opened = crypto_box::open(&key("recipient_pk"), &key("recipient_sk"), &sealed);
    if vector["ok"] == false {
        assert!(opened.is_err(), "{name}");
        return;
    }
    assert_eq!(opened.unwrap(), bytes(&vector["msg"]), "{name}");
    if vector.get("ephemeral_sk").is_some() {
        let message = bytes(&vector["msg"]);
        let ours = crypto_box::seal_with(&key("ephemeral_sk"), &key("recipient_pk"), &message);
        assert_eq!(ours.unwrap(), sealed, "{name}");
    }
}
