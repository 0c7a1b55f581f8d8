//! The program itself: its files, its sockets, its operator, how it starts and stops.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the switches for tests do not reach their helpers"
)]

mod flood;
mod init;
mod keeping;
mod metrics;
mod operator;
mod person;
mod proxy;
mod server;
mod settings;
mod stop;
mod tls;
mod websocket;
