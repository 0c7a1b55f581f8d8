//! What happens to the program and its disk and database, and that nothing acknowledged is
//! lost by it.

#![cfg(test)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it waits for; everything else fails it"
)]

#[path = "../program/person.rs"]
mod person;
#[path = "../program/server.rs"]
#[expect(dead_code, reason = "shared with the tests of the program")]
mod server;

mod acknowledged;
mod clock;
mod commit;
mod deleted;
mod disk_full;
mod guesses;
mod killed;
mod postgres;
mod restoring;
mod sqlite;
mod syncs;
mod upgraded;
