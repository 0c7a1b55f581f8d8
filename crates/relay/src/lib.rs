//! A blind mailbox: it keeps sealed items for minutes and hands them to whoever
//! holds a mailbox's token (`spec/pairing.md` section 2).
//!
//! **Invariant:** nothing here can read what it carries: of ours it uses
//! `daemon` alone, and no cipher or key agreement is in its dependency graph
//! (the hashes are for tokens and for the WebSocket handshake).
//! [`machine::Relay`] decides; [`serve`] only carries.

pub mod command;
pub mod machine;
pub mod serve;
