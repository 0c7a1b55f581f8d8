//! The agent as a step machine: a fake keeper, a disk in memory, a clock that is told. What
//! programs say is what OpenSSH said (`crates/formats/tests/messages`), and so are the signatures.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a fixture picks what it looks for, and fails the test when it cannot be read"
)]

mod added;
mod commands;
mod fixture;
mod identities;
mod programs;
mod rules;
mod servers;
mod several_keepers;
mod signatures;
mod upstream;
