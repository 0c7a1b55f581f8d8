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
