//! The other end by hand: each frame put together from `spec/curve.md` with
//! the primitives alone, so that any part of it can be wrong on purpose.

use keystead_channel::curve::PublicKey;
use keystead_sodium::{crypto_box, hash, secretbox};

/// Box_N[plain](As→B), or `None` where A and B do not agree on a key.
pub(crate) fn seal(secret: &[u8; 32], public: &[u8; 32], nonce: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + 16];
    let nonce = nonce.try_into().unwrap();
    secretbox::seal(&box_key(secret, public), nonce, plain, &mut out);
    out
}

pub(crate) fn open(secret: &[u8; 32], public: &[u8; 32], nonce: &[u8], boxed: &[u8]) -> Vec<u8> {
    let mut out = vec![0; boxed.len() - 16];
    let nonce = nonce.try_into().unwrap();
    secretbox::open(&box_key(secret, public), nonce, boxed, &mut out).unwrap();
    out
}

fn box_key(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    let (mut x, mut key) = ([0; 32], [0; 32]);
    // Points of low order give zero, as a careless peer would have it.
    let _agreed = crypto_box::x25519(secret, public, &mut x);
    crypto_box::box_key(&x, &mut key);
    key
}

pub(crate) fn frame(frame_type: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let len = u16::try_from(body.len() + 1).unwrap();
    [&len.to_be_bytes(), &[frame_type][..], &body].concat()
}

pub(crate) fn nonce(label: &str, rest: &[u8]) -> Vec<u8> {
    [label.as_bytes(), rest].concat()
}

/// A client whose every part can be set.
#[derive(Clone)]
pub(crate) struct ModelClient {
    pub(crate) c_secret: [u8; 32],
    pub(crate) ec_secret: [u8; 32],
    pub(crate) s: [u8; 32],
    pub(crate) ctag: [u8; 32],
    pub(crate) hello_list: Vec<u8>,
}

impl ModelClient {
    pub(crate) fn ec(&self) -> [u8; 32] {
        crypto_box::public_key(&self.ec_secret)
    }

    pub(crate) fn c(&self) -> [u8; 32] {
        crypto_box::public_key(&self.c_secret)
    }

    pub(crate) fn hello(&self) -> Vec<u8> {
        let plain = [&self.ctag[..], &self.hello_list].concat();
        let nonce = nonce("keystead-hello-1", &[0; 8]);
        frame(
            1,
            &[&self.ec(), &seal(&self.ec_secret, &self.s, &nonce, &plain)],
        )
    }

    /// ES, Stag and the list of a Cookie ack.
    pub(crate) fn read_cookie(&self, cookie: &[u8]) -> ([u8; 32], [u8; 32], Vec<u8>) {
        let nonce = nonce("ksckack1", &cookie[3..19]);
        let plain = open(&self.ec_secret, &self.s, &nonce, &cookie[19..]);
        assert_eq!(plain[32..64], self.ctag);
        (
            plain[..32].try_into().unwrap(),
            plain[64..96].try_into().unwrap(),
            plain[96..].to_vec(),
        )
    }

    /// V made with `secret`, over `ec` and `stag`.
    pub(crate) fn v(&self, secret: &[u8; 32], ec: &[u8; 32], stag: &[u8; 32]) -> Vec<u8> {
        let r16 = [0x11; 16];
        let boxed = seal(
            secret,
            &self.s,
            &nonce("ksvouch1", &r16),
            &[*ec, *stag].concat(),
        );
        [&r16[..], &boxed].concat()
    }

    pub(crate) fn vouch(&self, es: &[u8; 32], c: &[u8; 32], v: &[u8], list: &[u8]) -> Vec<u8> {
        let plain = [&c[..], v, list].concat();
        let nonce = nonce("keystead-vouch-1", &[0; 8]);
        frame(3, &[&seal(&self.ec_secret, es, &nonce, &plain)])
    }

    /// The list with `bind`'s proof of `t`, sealed by `secret`.
    pub(crate) fn proof(secret: &[u8; 32], es: &[u8; 32], t: &[u8]) -> Vec<u8> {
        let r16 = [0x22; 16];
        let boxed = seal(secret, es, &nonce("ksbind01", &r16), t);
        [&[1, 0, 64][..], &r16, &boxed].concat()
    }

    /// T of section 6.
    pub(crate) fn t(&self, hello: &[u8], cookie: &[u8], c: &[u8; 32], v: &[u8]) -> [u8; 32] {
        hash::blake2b(&[], &[b"keystead-bind-1", &self.s, hello, cookie, c, v])
    }
}

/// A server whose every part can be set.
#[derive(Clone)]
pub(crate) struct ModelServer {
    pub(crate) s_secret: [u8; 32],
    pub(crate) es: [u8; 32],
    pub(crate) stag: [u8; 32],
}

impl ModelServer {
    /// The EC, Ctag and list of a Hello.
    pub(crate) fn read_hello(&self, hello: &[u8]) -> ([u8; 32], [u8; 32], Vec<u8>) {
        let ec: [u8; 32] = hello[3..35].try_into().unwrap();
        let nonce = nonce("keystead-hello-1", &[0; 8]);
        let plain = open(&self.s_secret, &ec, &nonce, &hello[35..]);
        (ec, plain[..32].try_into().unwrap(), plain[32..].to_vec())
    }

    pub(crate) fn cookie(&self, ec: &[u8; 32], ctag: &[u8; 32], list: &[u8]) -> Vec<u8> {
        let r16 = [0x33; 16];
        let plain = [&self.es[..], ctag, &self.stag, list].concat();
        let boxed = seal(&self.s_secret, ec, &nonce("ksckack1", &r16), &plain);
        frame(2, &[&r16, &boxed])
    }
}

pub(crate) fn public(secret: &[u8; 32]) -> PublicKey {
    PublicKey::new(crypto_box::public_key(secret))
}
