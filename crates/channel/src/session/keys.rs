//! What a session's keys are made of.
//!
//! **Invariant**: the two directions have two keys as two types, each is drawn from
//! one secret under its own label, and the secret is gone when they are there.

use std::marker::PhantomData;

use aws_lc_rs::hmac;
use keystead_core::Secret;
use keystead_sodium::memory;

use super::ids::SessionId;
use super::name::hmac_sha256;

/// The key of one direction.
pub(super) struct TrafficSecret<D> {
    secret: Secret<32>,
    direction: PhantomData<fn() -> D>,
}

impl<D> TrafficSecret<D> {
    fn new(secret: Secret<32>) -> Self {
        Self {
            secret,
            direction: PhantomData,
        }
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        self.secret.expose()
    }
}

/// Client to server.
pub(super) enum ToServer {}

/// Server to client.
pub(super) enum ToClient {}

/// Which way a key works.
pub(super) trait Direction {
    /// Its byte in the associated data.
    const BYTE: u8;
}

impl Direction for ToServer {
    const BYTE: u8 = 0;
}

impl Direction for ToClient {
    const BYTE: u8 = 1;
}

/// What OPAQUE's session key or a resumption gives.
pub(super) struct SessionKeys {
    pub(super) to_server: TrafficSecret<ToServer>,
    pub(super) to_client: TrafficSecret<ToClient>,
    /// rs_g: what the session is resumed with.
    pub(super) resume: Secret<32>,
}

impl SessionKeys {
    /// After a login; the session's id with them.
    pub(super) fn of_login(session_key: Secret<64>) -> (SessionId, Self) {
        let key = session_key.expose();
        let mut id = [0; 16];
        kdf(&[key], &[b"keystead/1 id"], &mut id);
        let secret = |label: &[u8]| Secret::fill(|out| kdf(&[key], &[label], out));
        let keys = Self {
            to_server: TrafficSecret::new(secret(b"keystead/1 c2s")),
            to_client: TrafficSecret::new(secret(b"keystead/1 s2c")),
            resume: secret(b"keystead/1 resume"),
        };
        (SessionId(id), keys)
    }

    /// See [`mark`].
    pub(super) fn mark(&self) -> Secret<32> {
        mark(&self.resume)
    }

    /// After a resumption with rs_g, the shared point, T and what the server drew.
    pub(super) fn of_resumption(
        resume: &Secret<32>,
        shared: &Secret<32>,
        transcript: &[u8; 32],
        drawn: &[u8],
    ) -> Self {
        let all = Secret::<96>::fill(|out| {
            let parts = [b"keystead/1 resumed".as_slice(), transcript, drawn];
            kdf(&[resume.expose(), shared.expose()], &parts, out);
        });
        let part = |start: usize| {
            Secret::<32>::fill(|out| {
                let from = all.expose().get(start..).unwrap_or_default();
                *out = from.first_chunk().copied().unwrap_or_default();
            })
        };
        Self {
            to_server: TrafficSecret::new(part(0)),
            to_client: TrafficSecret::new(part(32)),
            resume: part(64),
        }
    }
}

/// What tells one draw of a generation from another, without its secret.
pub(super) fn mark(resume: &Secret<32>) -> Secret<32> {
    let mut mark = hmac_sha256(resume, &[b"keystead/1 mark"]);
    Secret::take(&mut mark)
}

/// HKDF-SHA-512 with an empty salt (RFC 5869) of the parts joined.
///
/// `out` is at most 255 × 64 bytes long; all lengths here are constants below 97.
pub(super) fn kdf(key: &[&[u8]], parts: &[&[u8]], out: &mut [u8]) {
    memory::with_wiped_stack(|| {
        let extract = hmac::Key::new(hmac::HMAC_SHA512, &[]);
        let extracted = sign(&extract, &[key]);
        let expand = hmac::Key::new(hmac::HMAC_SHA512, extracted.as_ref());
        let mut last: Option<hmac::Tag> = None;
        for (number, place) in (1_u8..).zip(out.chunks_mut(HASH_BYTES)) {
            let before = last.as_ref().map_or([].as_slice(), AsRef::as_ref);
            let block = sign(&expand, &[&[before], parts, &[&[number]]]);
            for (to, from) in place.iter_mut().zip(block.as_ref()) {
                *to = *from;
            }
            last = Some(block);
        }
    });
}

fn sign(key: &hmac::Key, parts: &[&[&[u8]]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts.iter().copied().flatten() {
        context.update(part);
    }
    context.sign()
}

/// 64 bytes: SHA-512.
const HASH_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use aws_lc_rs::hkdf;

    use super::*;

    struct Long(usize);

    impl hkdf::KeyType for Long {
        fn len(&self) -> usize {
            self.0
        }
    }

    /// Against the library's own HKDF, for lengths round a block.
    #[test]
    fn kdf_is_hkdf_sha512() {
        for len in [1, 16, 32, 63, 64, 65, 96, 128, 129] {
            let mut ours = vec![0; len];
            kdf(&[b"some ", b"key"], &[b"in", b"fo"], &mut ours);
            let salt = hkdf::Salt::new(hkdf::HKDF_SHA512, &[]);
            let extracted = salt.extract(b"some key");
            let mut theirs = vec![0; len];
            let expanded = extracted.expand(&[b"info"], Long(len)).unwrap();
            expanded.fill(&mut theirs).unwrap();
            assert_eq!(ours, theirs, "{len}");
        }
    }

    #[test]
    fn every_key_is_another() {
        let (id, keys) = SessionKeys::of_login(Secret::fill(|bytes| bytes.fill(1)));
        let mut all = vec![
            keys.to_server.expose().to_vec(),
            keys.to_client.expose().to_vec(),
            keys.resume.expose().to_vec(),
        ];
        let shared = Secret::fill(|bytes| bytes.fill(2));
        let next = SessionKeys::of_resumption(&keys.resume, &shared, &[3; 32], &[4; 64]);
        all.extend([
            next.to_server.expose().to_vec(),
            next.to_client.expose().to_vec(),
            next.resume.expose().to_vec(),
            id.0.to_vec(),
        ]);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
