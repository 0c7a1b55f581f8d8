//! What the operator asks of a running server, through a socket in its folder.
//!
//! **Invariant**: each act of the operator is an act like a user's: one transaction, one
//! entry, no answer before both are durable.

mod acts;
mod desk;
mod keeping;
mod message;

pub use desk::{Desk, serve};
pub use message::{Ask, Tell, User};

/// The control socket, in the server's folder.
pub const SOCKET: &str = "admin.sock";
