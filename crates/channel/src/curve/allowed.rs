//! The clients a server admits, each with its floor.
//!
//! **Invariant**: a look-up takes the same steps for every key: it goes by a
//! hash under a key that nobody outside knows, so the time it takes says
//! nothing about the keys that are in the set (`spec/curve.md` section 9).

use std::collections::BTreeMap;

use keystead_core::Secret;
use keystead_sodium::{hash, memory};
use rand_core::CryptoRngCore;

use super::extension::ExtensionSet;
use super::keys::PublicKey;

/// The allowed set of one server key.
pub struct Allowed {
    hash_key: Secret<32>,
    clients: BTreeMap<Slot, Entry>,
}

impl Allowed {
    /// An empty set: nobody is admitted.
    #[must_use]
    pub fn new(rng: &mut dyn CryptoRngCore) -> Self {
        Self {
            hash_key: Secret::fill(|key| rng.fill_bytes(key)),
            clients: BTreeMap::new(),
        }
    }

    /// A set of one, as a pairing has it.
    #[must_use]
    pub fn only(client: PublicKey, floor: ExtensionSet, rng: &mut dyn CryptoRngCore) -> Self {
        let mut allowed = Self::new(rng);
        allowed.admit(client, floor);
        allowed
    }

    /// Admits `client` from now on, when a handshake reaches `floor`;
    /// replaces the floor of one admitted before.
    pub fn admit(&mut self, client: PublicKey, floor: ExtensionSet) {
        let slot = self.slot(&client);
        self.clients.insert(slot, Entry { client, floor });
    }

    /// Admits `client` no more.
    pub fn remove(&mut self, client: &PublicKey) {
        self.clients.remove(&self.slot(client));
    }

    /// The floor of `client`, if it is admitted.
    #[must_use]
    pub fn floor(&self, client: &PublicKey) -> Option<ExtensionSet> {
        self.clients
            .get(&self.slot(client))
            // A key that hashes alike is another key.
            .filter(|entry| memory::equal(entry.client.as_bytes(), client.as_bytes()))
            .map(|entry| entry.floor)
    }

    fn slot(&self, client: &PublicKey) -> Slot {
        hash::blake2b(self.hash_key.expose(), &[client.as_bytes()])
    }
}

struct Entry {
    client: PublicKey,
    floor: ExtensionSet,
}

type Slot = [u8; 16];
