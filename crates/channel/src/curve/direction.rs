//! The two directions and the two roles, as types.
//!
//! **Invariant**: a key, a counter and a nonce label belong to one direction
//! by type, so that what one side sent can never be taken as what it received.

use super::nonce;

/// One way through a connection.
pub trait Direction: sealed::Sealed {
    /// Nonce label of Msg (section 2).
    const MSG_LABEL: &'static [u8; 16];
    /// Nonce label of Close.
    const CLOSE_LABEL: &'static [u8; 16];
    /// First bytes of the nonce with `aead`.
    const AEAD_LABEL: &'static [u8; 4];
    /// What the direction's key is derived with (section 6).
    const KEY_LABEL: &'static [u8; 3];
}

/// From the client to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientToServer {}

/// From the server to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerToClient {}

impl Direction for ClientToServer {
    const MSG_LABEL: &'static [u8; 16] = nonce::MSG_C2S;
    const CLOSE_LABEL: &'static [u8; 16] = nonce::CLOSE_C2S;
    const AEAD_LABEL: &'static [u8; 4] = nonce::AEAD_C2S;
    const KEY_LABEL: &'static [u8; 3] = b"c2s";
}

impl Direction for ServerToClient {
    const MSG_LABEL: &'static [u8; 16] = nonce::MSG_S2C;
    const CLOSE_LABEL: &'static [u8; 16] = nonce::CLOSE_S2C;
    const AEAD_LABEL: &'static [u8; 4] = nonce::AEAD_S2C;
    const KEY_LABEL: &'static [u8; 3] = b"s2c";
}

/// One end of a connection: which direction it sends in.
pub trait Role: sealed::Sealed {
    /// What this end sends.
    type Out: Direction;
    /// What this end receives.
    type In: Direction;
}

/// The end that sent Hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {}

/// The end that answered Hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {}

impl Role for Client {
    type Out = ClientToServer;
    type In = ServerToClient;
}

impl Role for Server {
    type Out = ServerToClient;
    type In = ClientToServer;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ClientToServer {}
    impl Sealed for super::ServerToClient {}
    impl Sealed for super::Client {}
    impl Sealed for super::Server {}
}
