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

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use keystead_core::{KeyType, Name, SecretBytes};
use keystead_vault::{Cost, Facts, SealedKey, SignOptions, SigningKey, StoreKey};
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
/// `secret_byte` from a place in `from..to` on.
fn places(from: usize, to: usize) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut found = Vec::new();
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
                for window in from..=to - 16 {
                    let hit = |bytes: &[u8]| (0..16).all(|i| bytes[i] == secret_byte(window + i));
                    if buffer[..len].windows(16).any(hit) {
                        found.push(format!("bytes {window}: {line}"));
                    }
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

    for (key_type, key_at) in [(KeyType::Ed25519, 1000), (KeyType::EcdsaP256, 2000)] {
        let mut rng = Forgetful { at: key_at };
        let key = SigningKey::generate(key_type, &mut rng).unwrap();
        let facts = Facts {
            name: Name::new("main").unwrap(),
            certificate: None,
            custody: None,
        };
        let sealed = SealedKey::seal(&store, facts, &key, &mut rng);
        key.sign(b"message", SignOptions::default()).unwrap();
        drop(key);
        let key = sealed.open(&store).unwrap();
        key.sign(&[7; 5000], SignOptions::default()).unwrap();
        assert_ne!(
            places(key_at, key_at + 32),
            [""; 0],
            "control: {key_type:?}"
        );
        drop(key);
    }
    drop(store);

    for (what, at, len) in [
        ("passphrase", passphrase_at, 40),
        ("store key", 20_000, 32),
        ("Ed25519 key", 1000, 32),
        ("P-256 key", 2000, 32),
    ] {
        assert_eq!(places(at, at + len), [""; 0], "{what}");
    }
}

const CHUNK_BYTES: usize = 1 << 16;
