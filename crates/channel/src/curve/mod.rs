//! The curve channel: `spec/curve.md`, its stream transport with the
//! extensions `bind`, `rekey`, `pad`, `aead` and `export`.
//!
//! A client that knows the server's public key and a server that knows its
//! clients' make three frames of handshake, then exchange messages under
//! keys that exist for this connection alone.
//!
//! ```text
//! client                                     server
//! ClientHandshake::start ── Hello ─────────▶ ServerHandshake::receive
//! ClientHandshake::receive ◀── Cookie ack ── │
//! │ ── Vouch ──────────────────────────────▶ AwaitVouch::receive
//! Established<Client> ◀──── Msg, Close ────▶ Established<Server>
//! ```
//!
//! ```
//! use std::sync::Arc;
//! use keystead_channel::curve::*;
//! use rand_core::OsRng;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (c, s) = (KeyPair::generate(&mut OsRng), KeyPair::generate(&mut OsRng));
//! let (client_key, server_key) = (c.public(), s.public());
//! let floor = ExtensionSet::NONE.with(Extension::Bind);
//! let identity = Identity {
//!     keys: Arc::new(s),
//!     allowed: Allowed::only(client_key, floor, &mut OsRng),
//! };
//! let setup = ServerSetup::new(vec![Arc::new(identity)], Offer::standard(), Timing::STREAM)?;
//! let server = ServerHandshake::new(Arc::new(setup), 0);
//!
//! let setup = ClientSetup {
//!     keys: Arc::new(c),
//!     server: server_key,
//!     offer: Offer::standard(),
//!     floor,
//!     timing: Timing::STREAM,
//! };
//! let (client, hello) = ClientHandshake::start(setup, 0, &mut OsRng)?;
//! let (server, cookie) = server.receive(&hello, 0, &mut OsRng)?;
//! let (mut client, vouch) = client.receive(&cookie, 0, &mut OsRng)?;
//! let mut server = server.receive(&vouch, 0)?;
//!
//! let mut frame = Vec::new();
//! client.seal(b"hello", 0, &mut frame)?;
//! assert_eq!(server.open(&mut frame, 0)?, Opened::Message(b"hello"));
//! assert_eq!(server.peer(), client_key);
//! # Ok(())
//! # }
//! ```
//!
//! **Invariant**: a state is consumed by the frame it takes. What a refused
//! frame leaves behind is a [`Refusal`] for this side's eyes alone: not a
//! byte goes to the peer, and nothing is left to be tried again.

mod allowed;
mod client;
mod deframer;
mod direction;
mod established;
mod extension;
mod frame;
mod half_open;
mod keys;
mod limits;
mod list;
mod nonce;
mod pad;
mod record;
mod refusal;
mod schedule;
mod server;
mod traffic;

pub use allowed::Allowed;
pub use client::{ClientHandshake, ClientSetup};
pub use deframer::Deframer;
pub use direction::{Client, ClientToServer, Direction, Role, Server, ServerToClient};
pub use established::{Due, Established};
pub use extension::{Aead, Extension, ExtensionSet, Offer, Profile};
pub use frame::{Accepts, CloseCode, FrameType};
pub use half_open::{HalfOpen, Ticket};
pub use keys::{KeyPair, PublicKey};
pub use limits::{
    DEAD_AFTER_MS, HALF_OPEN_MAX, HALF_OPEN_PER_SOURCE_MAX, HANDSHAKE_MS, HELLO_MS, IDENTITIES_MAX,
    KEEP_ALIVE_MS, MESSAGE_BYTES_MAX, Silence, Timing,
};
pub use refusal::{Refusal, SendError};
pub use server::{AwaitVouch, Identity, ServerHandshake, ServerSetup, TooManyIdentities};
pub use traffic::Opened;
