//! Ids: fixed numbers of bytes, each its own type.
//!
//! **Invariant**: ids are compared and shown as they are; none is a secret.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use rand_core::CryptoRngCore;

use super::fields::Value;
use crate::wire::{Fault, Reader, Writer};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Value for $name {
            fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
                reader.array().map(Self)
            }

            fn write(&self, writer: &mut Writer) {
                writer.bytes(&self.0);
            }

            fn room(&self) -> usize {
                $bytes
            }
        }
    };
}

id! {
    /// A server: H("keystead/1 server" ‖ OPAQUE public key), cut.
    ServerId, 16
}
id! {
    /// An account, drawn by the server.
    UserId, 32
}
id! {
    /// A session, from its key.
    SessionId, 16
}
id! {
    /// A secret or key of one user, from the user's id and a nonce of the client.
    KeyId, 16
}
id! {
    /// Drawn by the client for each request.
    RequestId, 16
}
id! {
    /// An approver: H(public key), cut.
    ApproverId, 16
}

impl RequestId {
    /// A new one.
    pub fn draw(rng: &mut dyn CryptoRngCore) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self(id)
    }
}

impl ServerId {
    /// Of the server with this OPAQUE public key.
    #[must_use]
    pub fn of(opaque_key: &[u8; 32]) -> Self {
        Self(cut(sha256(&[b"keystead/1 server", opaque_key])))
    }
}

impl KeyId {
    /// Of what `user` makes with `nonce`: known before anything is sent.
    #[must_use]
    pub fn of(user: &UserId, nonce: &[u8; 32]) -> Self {
        // L(x): both are 32 bytes long.
        let length = 32_u16.to_be_bytes();
        let parts = [
            b"keystead/1 key id".as_slice(),
            &length,
            &user.0,
            &length,
            nonce,
        ];
        Self(cut(sha256(&parts)))
    }
}

impl ApproverId {
    /// Of the approver with this Ed25519 key.
    #[must_use]
    pub fn of(public_key: &[u8; 32]) -> Self {
        Self(cut(sha256(&[public_key])))
    }
}

/// What a log entry says of a request without telling it:
/// H("keystead/1 request" ‖ user_id ‖ method ‖ body).
#[must_use]
pub fn request_hash(user: &UserId, method: u16, body: &[u8]) -> [u8; 32] {
    sha256(&[b"keystead/1 request", &user.0, &method.to_be_bytes(), body])
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let hash = context.finish();
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The first half of a hash.
fn cut(hash: [u8; 32]) -> [u8; 16] {
    hash.first_chunk().copied().unwrap_or_default()
}
