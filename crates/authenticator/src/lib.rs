//! Shows a request in human words, takes the decision, signs.
//!
//! **Invariant**: nothing is signed that was not parsed whole and shown, no
//! answer leaves before its log entry is durable, and what decides is a pure
//! step over time, events, randomness and disk.

pub mod commit;
pub mod control;
pub mod entry;
pub mod grants;
pub mod grouping;
pub mod holder;
pub mod identities;
pub mod journal;
pub mod judge;
pub mod keyring;
mod load_error;
pub mod local;
pub mod namespaces;
mod pairing_file;
pub mod pins;
pub mod program;
pub mod question;
pub mod screen;
pub mod settings;
pub mod show;
pub mod words;

pub use load_error::LoadError;
