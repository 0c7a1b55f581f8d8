//! What happens to the program and its disk and database, and that nothing acknowledged is
//! lost by it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the switches for tests do not reach their helpers"
)]

#[path = "../program/person.rs"]
#[expect(dead_code, reason = "shared with the tests of the program")]
mod person;
#[path = "../program/server.rs"]
#[expect(dead_code, reason = "shared with the tests of the program")]
mod server;

mod acknowledged;
mod clock;
mod commit;
mod disk_full;
mod guesses;
mod killed;
mod postgres;
mod restoring;
mod sqlite;
mod syncs;
