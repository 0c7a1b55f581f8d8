//! The key server: users, sessions, sealed keys, policy, audit (`spec/session.md`, `spec/audit.md`).
//!
//! **Invariant**: no key in clear at rest; nothing is parsed that is signed, it is built from
//! fields; no answer before its entry is durable.

pub mod account;
pub mod approval;
pub mod conversation;
mod decoy;
pub mod edge;
pub mod ledger;
pub mod login;
pub mod metrics;
pub mod operator;
pub mod policy;
pub mod program;
pub mod requests;
pub mod rows;
pub mod sealing;
pub mod server;
pub mod session;
pub mod settings;
pub mod signing;
pub mod store;
