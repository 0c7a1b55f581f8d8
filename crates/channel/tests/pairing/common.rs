//! What several of these tests need.

use std::collections::VecDeque;
use std::sync::Arc;

use keystead_channel::curve::KeyPair;
use keystead_channel::pairing::{LocalAddress, Offer, Offered, RelayUrl, Scanned};
use keystead_core::{Name, Secret};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};
use serde_json::Value;

pub(crate) const NOW: u64 = 1_000;
pub(crate) const UNIX_S: u64 = 1_700_000_000;

pub(crate) fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../spec/vectors/pairing.json")).unwrap()
}

pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

pub(crate) fn bytes(value: &Value, key: &str) -> Vec<u8> {
    unhex(text(value, key))
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `N` bytes that count up from `first`, as the specification's check values do.
pub(crate) fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first + u8::try_from(i).unwrap())
}

pub(crate) fn secret<const N: usize>(bytes: [u8; N]) -> Secret<N> {
    Secret::fill(|secret| *secret = bytes)
}

pub(crate) fn key_pair(secret_key: &[u8]) -> KeyPair {
    KeyPair::from_secret(secret(secret_key.try_into().unwrap()))
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn relay() -> RelayUrl {
    RelayUrl::new("https://relay.example.org").unwrap()
}

pub(crate) fn address(text: &str) -> LocalAddress {
    LocalAddress::new(text).unwrap()
}

/// Gives out bytes that were written down before, and no others.
pub(crate) struct Script(VecDeque<u8>);

impl Script {
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        Self(parts.concat().into())
    }
}

impl RngCore for Script {
    fn next_u32(&mut self) -> u32 {
        panic!("bytes alone are drawn")
    }
    fn next_u64(&mut self) -> u64 {
        panic!("bytes alone are drawn")
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for byte in dest {
            *byte = self
                .0
                .pop_front()
                .expect("more was drawn than written down");
        }
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Script {}

/// An offer and an authenticator that has scanned it.
pub(crate) fn scanned(seed: u64) -> (Offered, Scanned) {
    let mut rng = rng(seed);
    let offered = Offered::make(NOW, name("laptop"), Some(relay()), Vec::new(), &mut rng).unwrap();
    let offer = Offer::parse(&offered.offer().link()).unwrap();
    let scanned = Scanned::answer(offer, NOW, &mut rng).unwrap();
    (offered, scanned)
}

pub(crate) fn pair_of_keys(seed: u64) -> Arc<KeyPair> {
    Arc::new(KeyPair::generate(&mut rng(seed)))
}
