//! The database in other hands: changed row by row behind the server's back, and stolen
//! whole (`spec/session.md` section 11, `spec/audit.md` section 1).

#![cfg(test)]

mod change;
mod database;
mod history;
mod mutated;
mod person;
mod reading;
mod stolen;
