//! The agent as a step machine: a fake keeper, a disk in memory, a clock that is told. What
//! programs say is what OpenSSH said (`crates/formats/tests/messages`), and so are the signatures.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that cannot be read fails the test"
)]

mod commands;
mod fixture;
mod programs;
mod signatures;
