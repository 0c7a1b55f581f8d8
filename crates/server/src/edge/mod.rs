//! Sockets: TLS, WebSocket, metrics.
//!
//! **Invariant**: nothing is decided here but who may connect and how fast; every
//! connection has a limit on each of its waits and on its memory.

mod admission;
mod buckets;
mod carrier;
mod connection;
mod frames;
mod http;
mod life;
mod listener;
pub mod pki;
pub mod proxy;
mod telling;
pub mod tls;
pub mod validity;

pub use buckets::{Buckets, Rates, Source};
pub use listener::{Listener, ListenerError, listen};
pub use telling::tell;
