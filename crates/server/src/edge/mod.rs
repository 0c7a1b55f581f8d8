//! Sockets: TLS, WebSocket, metrics.
//!
//! **Invariant**: nothing is decided here but who may connect and how fast; every
//! connection has a limit on each of its waits and on its memory.

pub mod admission;
pub mod buckets;
pub mod pki;
pub mod proxy;
pub mod tls;
pub mod validity;

pub use buckets::{Buckets, Rates, Source};
