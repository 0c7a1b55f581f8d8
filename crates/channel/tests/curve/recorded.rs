//! Promise 4: whoever recorded every byte of a connection and gets both long-term secret keys
//! later reads none of its messages.
//!
//! The thief here knows the protocol: it tries every key that can be made of what it has, in
//! every place of the key schedule. Given one ephemeral secret besides, the same thief reads
//! everything, so what it cannot do without is not for want of skill.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use keystead_channel::curve::{Offer, Opened};
use keystead_sodium::{crypto_box, hash, secretbox};
use rand_core::RngCore;

use super::common::{NOW, Pair, offers, rng};
use super::model;

/// One side's words; they would be recognised anywhere.
const ASKED: &[u8] = b"sign for alex@db1.example.org";
const ANSWERED: &[u8] = b"the signature of alex's login";

/// Everything that went over the wire.
struct Recording {
    hello: Vec<u8>,
    cookie: Vec<u8>,
    vouch: Vec<u8>,
    asked: Vec<u8>,
    answered: Vec<u8>,
    /// The first of what client and server drew: ECs and ESs.
    ephemeral: [[u8; 32]; 2],
}

fn record(pair: &Pair) -> Recording {
    let (client, hello) = pair.start(1).unwrap();
    let server = pair.await_hello();
    let (server, cookie) = server.receive(&hello, NOW, &mut rng(2)).unwrap();
    let (mut client, vouch) = client.receive(&cookie, NOW, &mut rng(3)).unwrap();
    let mut server = server.receive(&vouch, NOW).unwrap();
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    client.seal(ASKED, NOW, &mut asked).unwrap();
    let opened = server
        .open(&mut asked.clone(), NOW)
        .map(|it| it == Opened::Message(ASKED));
    assert_eq!(opened, Ok(true));
    server.seal(ANSWERED, NOW, &mut answered).unwrap();
    let first = |seed| {
        let mut secret = [0; 32];
        rng(seed).fill_bytes(&mut secret);
        secret
    };
    Recording {
        hello,
        cookie,
        vouch,
        asked,
        answered,
        ephemeral: [first(1), first(2)],
    }
}

/// Who has the recording and these secret keys.
struct Thief<'r> {
    recording: &'r Recording,
    secrets: Vec<[u8; 32]>,
    publics: Vec<[u8; 32]>,
    /// T of `bind`, for nothing: it is no secret, though V in it is sealed.
    t: [u8; 32],
}

impl<'r> Thief<'r> {
    fn new(recording: &'r Recording, pair: &Pair, ephemeral: Option<[u8; 32]>) -> Self {
        let [c, s] = [&pair.client, &pair.server].map(|it| *it.secret().expose());
        let [c_public, s_public] = [&pair.client, &pair.server].map(|it| *it.public().as_bytes());
        // EC stands in Hello, and Ss opens ES: both as public keys.
        let ec: [u8; 32] = recording.hello[3..35].try_into().unwrap();
        let nonce = model::nonce("ksckack1", &recording.cookie[3..19]);
        let plain = model::open(&s, &ec, &nonce, &recording.cookie[19..]);
        let es: [u8; 32] = plain[..32].try_into().unwrap();
        assert_eq!(es, crypto_box::public_key(&recording.ephemeral[1]));

        let nonce = model::nonce("keystead-vouch-1", &[0; 8]);
        let vouch = model::open(&recording.ephemeral[0], &es, &nonce, &recording.vouch[3..]);
        let said: [&[u8]; 6] = [
            b"keystead-bind-1",
            &s_public,
            &recording.hello,
            &recording.cookie,
            &c_public,
            &vouch[32..128],
        ];
        Self {
            recording,
            secrets: [c, s].into_iter().chain(ephemeral).collect(),
            publics: vec![c_public, s_public, ec, es],
            t: hash::blake2b(&[], &said),
        }
    }

    /// Every key agreement that its secrets can make, for x of the key schedule.
    fn agreements(&self) -> Vec<[u8; 32]> {
        let pairs = self.secrets.iter().flat_map(|secret| {
            let publics = self.publics.iter();
            publics.map(move |public| (secret, public))
        });
        pairs
            .map(|(secret, public)| {
                let mut x = [0; 32];
                crypto_box::x25519(secret, public, &mut x).unwrap();
                x
            })
            .collect()
    }

    /// Every traffic key of section 2 (base) and section 6 (`bind`) made of those, for `direction`.
    fn keys(&self, direction: &[u8]) -> Vec<[u8; 32]> {
        let agreements = self.agreements();
        let mut keys: Vec<[u8; 32]> = agreements.iter().map(base).collect();
        for ec_es in &agreements {
            for c_es in &agreements {
                for ec_s in &agreements {
                    let parts: [&[u8]; 5] = [b"keystead-keys-1", c_es, ec_s, &[0; 32], &self.t];
                    let ck: [u8; 32] = hash::blake2b(ec_es, &parts);
                    keys.push(hash::blake2b(&ck, &[direction]));
                }
            }
        }
        keys
    }

    /// Whether it reads the two messages.
    fn reads(&self) -> [bool; 2] {
        let read = |frame: &[u8], direction: &[u8], words: &[u8]| {
            let keys = self.keys(direction);
            keys.iter().any(|key| {
                let opened = open(key, frame, direction);
                opened
                    .iter()
                    .any(|plain| plain.windows(words.len()).any(|it| it == words))
            })
        };
        [
            read(&self.recording.asked, b"c2s", ASKED),
            read(&self.recording.answered, b"s2c", ANSWERED),
        ]
    }
}

fn base(x: &[u8; 32]) -> [u8; 32] {
    let mut key = [0; 32];
    crypto_box::box_key(x, &mut key);
    key
}

/// The message under this key, by whichever of the ciphers takes it.
fn open(key: &[u8; 32], frame: &[u8], direction: &[u8]) -> Option<Vec<u8>> {
    let direction = std::str::from_utf8(direction).unwrap();
    let (n, boxed) = frame[3..].split_at(8);
    let nonce = model::nonce(&format!("keystead-msg-{direction}"), n);
    let mut plain = vec![0; boxed.len() - 16];
    if secretbox::open(key, &nonce.try_into().unwrap(), boxed, &mut plain).is_ok() {
        return Some(plain);
    }
    [&AES_256_GCM, &CHACHA20_POLY1305]
        .into_iter()
        .find_map(|cipher| {
            let key = LessSafeKey::new(UnboundKey::new(cipher, key).unwrap());
            let nonce = model::nonce(&format!("k{direction}"), n);
            let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
            let mut boxed = boxed.to_vec();
            let aad = Aad::from([&[4][..], n].concat());
            let plain = key.open_in_place(nonce, aad, &mut boxed).ok()?;
            Some(plain.to_vec())
        })
}

fn check(offer: &Offer, has_ephemeral: [bool; 2], expected: bool) {
    let pair = Pair::new(offer);
    let recording = record(&pair);
    let ephemeral = recording.ephemeral.into_iter().zip(has_ephemeral);
    let ephemeral = ephemeral
        .filter_map(|(secret, has)| has.then_some(secret))
        .next();
    let thief = Thief::new(&recording, &pair, ephemeral);
    assert_eq!(thief.reads(), [expected; 2], "{offer:?} {has_ephemeral:?}");
}

#[test]
fn a_recording_and_both_long_term_keys_open_nothing() {
    for offer in offers() {
        check(&offer, [false, false], false);
    }
}

#[test]
fn the_same_thief_with_an_ephemeral_key_reads_everything() {
    for offer in offers() {
        check(&offer, [true, false], true);
        check(&offer, [false, true], true);
    }
}

/// Nor do both keys let it be either side of the recorded connection: what it answers is not
/// what the recording goes on with.
#[test]
fn a_recording_cannot_be_played_to_who_has_the_keys() {
    for offer in offers() {
        let pair = Pair::new(&offer);
        let recording = record(&pair);
        let server = pair.await_hello();
        let (server, _) = server.receive(&recording.hello, NOW, &mut rng(77)).unwrap();
        assert!(server.receive(&recording.vouch, NOW).is_err());
        let (client, _) = pair.start(78).unwrap();
        assert!(
            client
                .receive(&recording.cookie, NOW, &mut rng(79))
                .is_err()
        );
    }
}
