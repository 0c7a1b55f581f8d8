//! Two ends, wired to each other or fed by hand.

use std::collections::VecDeque;
use std::sync::Arc;

use keystead_channel::curve::{
    Aead, Allowed, AwaitVouch, Client, ClientHandshake, ClientSetup, Deframer, Established,
    Extension, ExtensionSet, Identity, KeyPair, Offer, PublicKey, Refusal, Server, ServerHandshake,
    ServerSetup, Timing,
};
use keystead_core::Secret;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};

pub(crate) const NOW: u64 = 1_000;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len() / 2)
        .map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
        .collect()
}

pub(crate) fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn key_pair(secret: [u8; 32]) -> Arc<KeyPair> {
    Arc::new(KeyPair::from_secret(Secret::fill(|bytes| *bytes = secret)))
}

/// Gives out bytes that were written down before, and no others.
pub(crate) struct Script(VecDeque<u8>);

impl Script {
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        Self(parts.concat().into())
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.0.is_empty()
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

/// A client, a server, and how they meet.
pub(crate) struct Pair {
    pub(crate) client: Arc<KeyPair>,
    pub(crate) server: Arc<KeyPair>,
    pub(crate) client_offer: Offer,
    pub(crate) server_offer: Offer,
    pub(crate) client_floor: ExtensionSet,
    pub(crate) server_floor: ExtensionSet,
    pub(crate) timing: Timing,
}

impl Pair {
    pub(crate) fn new(offer: &Offer) -> Self {
        Self {
            client: key_pair([0xc1; 32]),
            server: key_pair([0x51; 32]),
            client_offer: offer.clone(),
            server_offer: offer.clone(),
            client_floor: ExtensionSet::NONE,
            server_floor: ExtensionSet::NONE,
            timing: Timing::STREAM,
        }
    }

    pub(crate) fn start(&self, seed: u64) -> Result<(ClientHandshake, Vec<u8>), Refusal> {
        let setup = ClientSetup {
            keys: Arc::clone(&self.client),
            server: self.server.public(),
            offer: self.client_offer.clone(),
            floor: self.client_floor,
            timing: self.timing,
        };
        ClientHandshake::start(setup, NOW, &mut rng(seed))
    }

    pub(crate) fn server_setup(&self) -> Arc<ServerSetup> {
        let identity = Identity {
            keys: Arc::clone(&self.server),
            allowed: Allowed::only(self.client.public(), self.server_floor, &mut rng(99)),
        };
        let setup = ServerSetup::new(
            vec![Arc::new(identity)],
            self.server_offer.clone(),
            self.timing,
        );
        Arc::new(setup.unwrap())
    }

    pub(crate) fn await_hello(&self) -> ServerHandshake {
        ServerHandshake::new(self.server_setup(), NOW)
    }

    pub(crate) fn hello(&self) -> (ClientHandshake, AwaitVouch, Vec<u8>) {
        let (client, hello) = self.start(1).unwrap();
        let (server, cookie) = self
            .await_hello()
            .receive(&hello, NOW, &mut rng(2))
            .unwrap();
        (client, server, cookie)
    }

    /// The handshake with each frame altered on its way.
    pub(crate) fn meet_through(
        &self,
        mut alter: impl FnMut(usize, &mut Vec<u8>),
    ) -> Result<(Established<Client>, Established<Server>), Refusal> {
        let (client, mut hello) = self.start(1)?;
        alter(1, &mut hello);
        let (server, mut cookie) = self.await_hello().receive(&hello, NOW, &mut rng(2))?;
        alter(2, &mut cookie);
        let (client, mut vouch) = client.receive(&cookie, NOW, &mut rng(3))?;
        alter(3, &mut vouch);
        let server = server.receive(&vouch, NOW)?;
        Ok((client, server))
    }

    pub(crate) fn meet(&self) -> (Established<Client>, Established<Server>) {
        self.meet_through(|_, _| ()).unwrap()
    }
}

/// Every profile that this version can agree on.
pub(crate) fn offers() -> Vec<Offer> {
    use Extension::{Aead as A, Bind, Pad, Rekey};
    let listed = |extensions: &[Extension], aead: Aead| Offer::Listed {
        extensions: extensions
            .iter()
            .fold(ExtensionSet::NONE, |set, extension| set.with(*extension)),
        aeads: vec![aead],
    };
    let aes = Aead::Aes256Gcm;
    let chacha = Aead::ChaCha20Poly1305;
    vec![
        Offer::Strict,
        listed(&[], chacha),
        listed(&[Pad], chacha),
        listed(&[Bind], chacha),
        listed(&[Bind, Rekey], chacha),
        listed(&[Bind, Pad], chacha),
        listed(&[Bind, A], aes),
        listed(&[Bind, A], chacha),
        listed(&[Bind, Rekey, Pad, A], chacha),
        listed(&[Bind, Rekey, Pad, A], aes),
    ]
}

/// The offer of the check values: everything, by ChaCha20-Poly1305.
pub(crate) fn full() -> Offer {
    offers().remove(8)
}

/// The whole frames in `stream`, by a deframer that takes messages.
pub(crate) fn frames(stream: &[u8], end: &Established<Server>) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::new();
    let mut rest = stream;
    let mut frames = Vec::new();
    while let Some(frame) = deframer.take(&mut rest, &end.accepts()).unwrap() {
        frames.push(frame.to_vec());
    }
    frames
}

/// The encodings of points of low order (as in libsodium's own list).
pub(crate) fn low_order_points() -> Vec<PublicKey> {
    [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .into_iter()
    .map(|point| PublicKey::new(hex32(point)))
    .collect()
}
