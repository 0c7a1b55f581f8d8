//! Pairing, the curve channel and requests: untrusted bytes become
//! authenticated messages.
//!
//! **Invariant**: every module is a state machine. Bytes, the time and the
//! randomness come in as arguments; bytes and events go out. Nothing here
//! opens a socket, reads a clock or knows which transport carries it.

pub mod curve;
pub mod link;
pub mod log;
pub mod mailbox;
pub mod pairing;
pub mod session;
pub mod wire;
