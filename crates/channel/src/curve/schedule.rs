//! From key agreements to session keys (`spec/curve.md` section 6).
//!
//! **Invariant**: with `bind`, session keys need x(EC,ES), x(C,ES) and
//! x(EC,S) at once, and the transcript: no one stolen key gives them.

use keystead_core::Secret;
use keystead_sodium::{hash, memory};

use super::direction::{ClientToServer, Direction, ServerToClient};
use super::keys::{Agreement, BoxKey, KEY_BYTES, PublicKey};

/// T: a hash over everything both sides said and know.
pub(super) struct Transcript([u8; TRANSCRIPT_BYTES]);

/// What T is made of, in its order; the list of Vouch without its own proof
/// and without `aead`'s nothing is empty in the extensions spoken here.
pub(super) struct Said<'s> {
    pub(super) server: PublicKey,
    pub(super) hello_frame: &'s [u8],
    pub(super) cookie_frame: &'s [u8],
    pub(super) client: PublicKey,
    pub(super) v: &'s [u8],
}

impl Transcript {
    pub(super) fn of(said: &Said<'_>) -> Self {
        Self(hash::blake2b(
            &[],
            &[
                b"keystead-bind-1",
                said.server.as_bytes(),
                said.hello_frame,
                said.cookie_frame,
                said.client.as_bytes(),
                said.v,
            ],
        ))
    }

    pub(super) const fn as_bytes(&self) -> &[u8; TRANSCRIPT_BYTES] {
        &self.0
    }

    /// Compares in constant time.
    pub(super) fn is(&self, proof: &[u8]) -> bool {
        memory::equal(&self.0, proof)
    }
}

/// The keys of one connection.
pub(super) struct SessionKeys {
    pub(super) client_to_server: Secret<KEY_BYTES>,
    pub(super) server_to_client: Secret<KEY_BYTES>,
    /// Only `bind` has one.
    pub(super) export: Option<Secret<KEY_BYTES>>,
}

impl SessionKeys {
    /// The base profile: DH(EC,ES) both ways; the nonces name the direction.
    pub(super) fn base(box_key: BoxKey) -> Self {
        let server_to_client = box_key.into_secret();
        Self {
            client_to_server: Secret::fill(|key| key.copy_from_slice(server_to_client.expose())),
            server_to_client,
            export: None,
        }
    }

    /// The keys of `bind`.
    pub(super) fn bound(
        ec_es: &Agreement,
        c_es: &Agreement,
        ec_s: &Agreement,
        transcript: &Transcript,
    ) -> Self {
        let mut ck = hash::blake2b::<KEY_BYTES>(
            ec_es.expose(),
            &[
                b"keystead-keys-1",
                c_es.expose(),
                ec_s.expose(),
                &WITHOUT_PQ,
                transcript.as_bytes(),
            ],
        );
        let ck = Secret::take(&mut ck);
        Self {
            client_to_server: derive(&ck, ClientToServer::KEY_LABEL),
            server_to_client: derive(&ck, ServerToClient::KEY_LABEL),
            export: Some(derive(&ck, b"exp")),
        }
    }
}

/// export(label): a secret that both ends of this connection have, and nobody else.
pub(super) fn export(key: &Secret<KEY_BYTES>, label: &[u8]) -> Secret<KEY_BYTES> {
    derive(key, label)
}

fn derive(key: &Secret<KEY_BYTES>, label: &[u8]) -> Secret<KEY_BYTES> {
    let mut derived = hash::blake2b::<KEY_BYTES>(key.expose(), &[label]);
    Secret::take(&mut derived)
}

/// Where `pq` will put ML-KEM's secret.
const WITHOUT_PQ: [u8; KEY_BYTES] = [0; KEY_BYTES];

/// Bytes of T.
pub(super) const TRANSCRIPT_BYTES: usize = 32;
