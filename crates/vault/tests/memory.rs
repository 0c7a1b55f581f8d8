//! After a key or a passphrase is dropped, no 16 bytes of it are left in the
//! memory of the process: heap, stack and locked pages are searched.
//!
//! A control proves that the search finds what is there.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test; what its functions do fails it"
)]

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::{Curve, Derivation, Identity, KeyType, Name, Secret, SecretBytes};
use keystead_vault::client::{Form, LocalCopy, LocalKey, MasterKey, Place, StorageKey, Value};
use keystead_vault::held::{Kind, New};
use keystead_vault::wallet::{Wallet, WordCount, Words};
use keystead_vault::{
    Cost, DigestHash, Facts, RsaHash, SealedKey, SignOptions, SigningKey, StoreKey, StoredKey,
};
use rand_core::{CryptoRng, RngCore};

/// The secret bytes of this test, computed one at a time so that they never
/// stand together but where the code under test puts them.
fn secret_byte(at: usize) -> u8 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 24) as u8
}

/// Randomness that keeps nothing of what it gave.
struct Forgetful {
    at: usize,
}

impl RngCore for Forgetful {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = secret_byte(self.at);
            self.at += 1;
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Forgetful {}

/// Where in the process's writable memory 16 bytes in a row are those of
/// `secret_byte` from a place in `from..to` on, in either direction: the
/// library's numbers begin with the lowest byte.
fn places(from: usize, to: usize) -> Vec<String> {
    let window = |at: usize| std::array::from_fn(|i| secret_byte(at + i) ^ MASK);
    places_of(&(from..=to - WINDOW_BYTES).map(window).collect::<Vec<_>>())
}

/// As [`places`], of windows that are masked, so that the search does not find
/// what it searches for.
fn places_of(masked: &[[u8; WINDOW_BYTES]]) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut found = Vec::new();
    let forwards = masked.iter().copied();
    let backwards = forwards.clone().map(|mut window| {
        window.reverse();
        window
    });
    let wanted: HashSet<[u8; WINDOW_BYTES]> = forwards.chain(backwards).collect();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let mut at = u64::from_str_radix(start, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        while at < end {
            let len = usize::try_from(end - at).unwrap().min(CHUNK_BYTES);
            memory.seek(SeekFrom::Start(at)).unwrap();
            if memory.read_exact(&mut buffer[..len]).is_ok() {
                buffer[..len].iter_mut().for_each(|byte| *byte ^= MASK);
                let seen = buffer[..len].windows(WINDOW_BYTES);
                if seen.into_iter().any(|it| wanted.contains(it)) {
                    found.push(line.to_owned());
                }
            }
            // Overlapping, so that nothing hides between two pieces.
            at += if len == CHUNK_BYTES {
                len as u64 - 15
            } else {
                len as u64
            };
        }
    }
    buffer.fill(0);
    found
}

#[test]
fn nothing_is_left_of_dropped_keys_and_passphrases() {
    // In a thread, as in a serving program: its stack is searched too.
    let passphrase_at = 10_000;
    let passphrase = SecretBytes::fill(40, |bytes| {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = secret_byte(passphrase_at + at);
        }
    });
    let cost = Cost::new(1024, 1, 1).unwrap();
    let (store, header) =
        StoreKey::create(&passphrase, cost, &mut Forgetful { at: 20_000 }).unwrap();
    drop(store);
    let store = StoreKey::open(&passphrase, &header).unwrap();
    assert_ne!(
        places(passphrase_at, passphrase_at + 40),
        [""; 0],
        "control: passphrase"
    );
    drop(passphrase);

    let keys = [
        (KeyType::Ed25519, 1000),
        (KeyType::EcdsaP256, 2000),
        (KeyType::EcdsaSecp256k1, 3000),
        (KeyType::X25519, 4000),
        (KeyType::EcdhP256, 5000),
        (KeyType::EcdhSecp256k1, 6000),
    ];
    for (key_type, key_at) in keys {
        let mut rng = Forgetful { at: key_at };
        let key = StoredKey::generate(key_type, &mut rng).unwrap();
        let facts = Facts {
            name: Name::new("main").unwrap(),
            certificate: None,
            custody: None,
            purposes: Vec::new(),
        };
        let sealed = SealedKey::seal(&store, facts, &key, &mut rng);
        use_key(&key, b"message");
        drop(key);
        let key = sealed.open(&store).unwrap();
        use_key(&key, &[7; 5000]);
        assert_ne!(
            places(key_at, key_at + 32),
            [""; 0],
            "control: {key_type:?}"
        );
        drop(key);
    }
    drop(store);

    for (what, at, len) in [("passphrase", passphrase_at, 40), ("store key", 20_000, 32)] {
        assert_eq!(places(at, at + len), [""; 0], "{what}");
    }
    for (key_type, key_at) in keys {
        assert_eq!(places(key_at, key_at + 32), [""; 0], "{key_type:?}");
    }
}

fn use_key(key: &StoredKey, message: &[u8]) {
    match key {
        StoredKey::Sign(key) if key.algorithm().is_ssh() => {
            key.sign(message, SignOptions::default()).unwrap();
        }
        StoredKey::Sign(key) => {
            key.sign_digest(DigestHash::Sha256, &[7; 32]).unwrap();
        }
        StoredKey::Agree(key) => {
            key.agree(&key.public().to_blob()).unwrap();
        }
    }
}

/// Words that are made, typed and asked for; the seed, the nodes and the leaves that come of
/// them, by the values that `spec/vectors/wallet.json` has for these words.
#[test]
fn nothing_is_left_of_words_and_wallets() {
    let made = Words::make(WordCount::new(24).unwrap(), &mut Forgetful { at: 40_000 });
    let mut masked = Vec::new();
    let mut sentence: Vec<u8> = Vec::new();
    for word in made.iter() {
        sentence.extend(word.bytes().chain([b' ']).map(|byte| byte ^ MASK));
    }
    for window in sentence[..sentence.len() - 1].windows(WINDOW_BYTES) {
        masked.push(window.try_into().unwrap());
    }
    assert!(made.is_at(3, made.iter().nth(2).unwrap().as_bytes()));
    assert_ne!(places_of(&masked), [""; 0], "control: words");
    drop(made);
    assert_eq!(places(40_000, 40_032), [""; 0], "entropy");
    assert_eq!(places_of(&masked), [""; 0], "words");

    let mut rng = Forgetful { at: 41_000 };
    let cost = Cost::new(1024, 1, 1).unwrap();
    let none = SecretBytes::fill(0, |_| ());
    let (store, _) = StoreKey::create(&none, cost, &mut rng).unwrap();
    let wallet = Words::read(&b"all ".repeat(12))
        .unwrap()
        .seed(&none)
        .unwrap();
    let wallet = Wallet::new(wallet).unwrap();
    let sealed = wallet.seal(&store, &mut rng);
    drop(wallet);
    let wallet = sealed.open(&store).unwrap();
    let identity = |uri, curve, derivation| Identity::new(uri, curve, 0, derivation).unwrap();
    let signify = identity("signify://release key", Curve::Ed25519, Derivation::Sign);
    let age = identity("age://John Doe", Curve::Curve25519, Derivation::Agree);
    let signer = wallet.signer(&signify).unwrap();
    signer.sign(b"message").unwrap();
    let agreement = wallet.agreement(&age).unwrap();
    agreement.agree(&agreement.public().to_blob()).unwrap();
    let record = wallet.record_key().unwrap();
    let record_box = record.seal(b"record", &mut rng);
    assert_eq!(record.open(&record_box).unwrap(), b"record");
    let all = [
        ("seed", SEED),
        ("signing leaf", SIGNIFY),
        ("agreeing leaf", AGE),
        ("record key", RECORD),
    ];
    for (what, hex) in all {
        assert_ne!(places_of(&windows_of(hex)), [""; 0], "control: {what}");
    }
    drop((wallet, signer, agreement, record, store));
    for (what, hex) in all {
        assert_eq!(places_of(&windows_of(hex)), [""; 0], "{what}");
    }
}

/// Masked as they are read.
fn windows_of(hex: &str) -> Vec<[u8; WINDOW_BYTES]> {
    let masked: Vec<u8> = (0..hex.len() / 2)
        .map(|at| MASK ^ u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let windows = masked.windows(WINDOW_BYTES);
    windows.map(|it| it.try_into().unwrap()).collect()
}

const SEED: &str = "c76c4ac4f4e4a00d6b274d5c39c700bb4a7ddc04fbc6f78e85ca75007b5b495f74a9043eeb77bdd53aa6fc3a0e31462270316fa04b8c19114c8798706cd02ac8";
const SIGNIFY: &str = "f6a0d5fc1e1b9889f1cb8a28c7fa506021f8aa7b2582694cefeeeadb44103820";
const AGE: &str = "274404f5913e678eabe1fd59ffcec315b1db031687b84192fc7b647c4b1b6083";
const RECORD: &str = "a905998d652945ebe660aaf25a93074d6118700e7e599b2532c6e4a06d3e5495";

/// What a client of a key server holds for one command: the keys that come of its password,
/// and the secret that they open, in every form that it leaves in.
#[test]
fn nothing_is_left_of_what_a_client_held() {
    let filled = |at: usize| Forgetful { at };
    let export_key = Secret::fill(|out| filled(30_000).fill_bytes(out));
    let master = MasterKey::derive(export_key);
    let mut masked = Vec::new();
    for window in master.to_keep().expose().windows(WINDOW_BYTES) {
        masked.push(std::array::from_fn(|at| window[at] ^ MASK));
    }
    assert_ne!(places_of(&masked), [""; 0], "control: master key");

    let (user, key) = ([1; 32], [2; 16]);
    let place = Place {
        user: &user,
        key: &key,
    };
    let storage = StorageKey::draw(&mut filled(31_000));
    let sealed_key = master.seal_storage_key(&user, &storage, &mut filled(1));
    let value = Value::generate(New::Ed25519, &mut filled(32_000)).unwrap();
    let sealed = storage.seal_value(place, "stored", &value, &mut filled(2));
    let local = LocalKey::draw(&mut filled(33_000));
    let passphrase = SecretBytes::fill(40, |out| filled(34_000).fill_bytes(out));
    let cost = Cost::new(1024, 1, 1).unwrap();
    let file = local.seal_by_passphrase(&passphrase, cost, &mut filled(3));
    let copied = keystead_vault::client::Copied {
        server: [3; 16],
        user,
        key,
        context: "stored".into(),
        kind: Kind::Ed25519,
    };
    let copy = LocalCopy::seal(&local, copied.clone(), &value, &mut filled(4));
    drop((storage, value, local));

    let storage = master.open_storage_key(&user, &sealed_key).ok().unwrap();
    let value = storage.open_value(place, "stored", Kind::Ed25519, &sealed);
    let value = value.ok().unwrap();
    for form in [Form::Raw, Form::Pkcs8, Form::OpenSsh] {
        drop(value.write(form, "comment", &mut filled(5)).ok().unwrap());
    }
    let local = LocalKey::open_by_passphrase(&passphrase, &file.unwrap())
        .ok()
        .unwrap();
    let again = copy.open(&local, &copied).ok().unwrap();
    let all = [
        ("export key", 30_000, 64),
        ("storage key", 31_000, 32),
        ("secret", 32_000, 32),
        ("local key", 33_000, 32),
        ("passphrase", 34_000, 40),
    ];
    for (what, at, len) in all.into_iter().skip(1) {
        assert_ne!(places(at, at + len), [""; 0], "control: {what}");
    }
    drop((master, storage, value, local, again, passphrase));
    for (what, at, len) in all {
        assert_eq!(places(at, at + len), [""; 0], "{what}");
    }
    assert_eq!(places_of(&masked), [""; 0], "master key");
}

/// A key that `ssh-keygen` made and encrypted: what was opened of it, the
/// numbers that are computed of it and the library's own copies are searched for.
#[test]
fn nothing_is_left_of_imported_keys() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = SecretBytes::take(&mut b"correct horse".to_vec());
    for kind in ["rsa", "ed25519", "ecdsa"] {
        let file = folder.path().join(kind);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", "correct horse", "-a", "2", "-f"])
            .arg(&file)
            .status();
        assert!(made.unwrap().success());
        let text = std::fs::read(&file).unwrap();
        let plain = folder.path().join(format!("{kind}-plain"));
        std::fs::copy(&file, &plain).unwrap();
        let opened = Command::new("ssh-keygen")
            .args(["-q", "-p", "-P", "correct horse", "-N", "", "-f"])
            .arg(&plain)
            .status();
        assert!(opened.unwrap().success());
        let masked = masked_private(&plain);

        let imported = SigningKey::import_file(&text, Some(&passphrase)).unwrap();
        let options = SignOptions {
            rsa_hash: Some(RsaHash::Sha512),
            presence: None,
        };
        imported.key.sign(b"message", options).unwrap();
        assert_ne!(places_of(&masked), [""; 0], "control: {kind}");
        drop(imported);
        assert_eq!(places_of(&masked), [""; 0], "{kind}");
    }
}

/// Windows over the private fields of a plain `openssh-key-v1` file, masked: its
/// bytes are masked where they were decoded, before anything else is done.
fn masked_private(file: &Path) -> Vec<[u8; WINDOW_BYTES]> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().filter(|it| !it.starts_with("--")).collect();
    let mut masked = STANDARD.decode(lines.concat()).unwrap();
    masked.iter_mut().for_each(|byte| *byte ^= MASK);

    // The magic; cipher, KDF and its options; the number of keys; the public half.
    let mut rest = &masked[15..];
    for _ in 0..3 {
        string(&mut rest);
    }
    rest = &rest[4..];
    string(&mut rest);
    // The private part: two check numbers, then the type and its fields.
    rest = &rest[4 + 8..];
    let kind: Vec<u8> = string(&mut rest).iter().map(|byte| byte ^ MASK).collect();
    let (public, private) = match kind.as_slice() {
        b"ssh-rsa" => (2, 4),
        b"ssh-ed25519" => (1, 1),
        _ => (2, 1),
    };
    for _ in 0..public {
        string(&mut rest);
    }
    let mut windows = Vec::new();
    for _ in 0..private {
        let mut field = string(&mut rest);
        if kind == b"ssh-ed25519" {
            // The public half stands behind the seed.
            field = &field[..32];
        }
        let windows_of_field = field.windows(WINDOW_BYTES);
        windows.extend(windows_of_field.map(|it| <[u8; WINDOW_BYTES]>::try_from(it).unwrap()));
    }
    windows
}

/// The next string (RFC 4251 section 5) of masked bytes.
fn string<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (len, behind) = rest.split_first_chunk::<4>().unwrap();
    let len = u32::from_be_bytes(len.map(|byte| byte ^ MASK));
    let (string, behind) = behind.split_at(usize::try_from(len).unwrap());
    *rest = behind;
    string
}

/// What masks the windows that are searched for.
const MASK: u8 = 90;

const WINDOW_BYTES: usize = 16;

const CHUNK_BYTES: usize = 1 << 16;
