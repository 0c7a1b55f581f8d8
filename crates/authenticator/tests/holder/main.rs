//! The holder's rules, end to end over simulated time, disk and network.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "the test's own world: what fails here is a failed test"
)]

mod custody;
mod decisions;
mod disk;
mod git;
mod ids;
mod judging;
mod key_server;
mod keys;
mod login;
mod pairing;
mod purposes;
mod relay;
mod standing;
mod together;
mod wallet;
mod wallet_commands;
mod world;
