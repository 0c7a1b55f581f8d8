//! The agent: speaks to local programs, decides which keeper to ask and whether, and logs it.
//!
//! **Invariant:** no private key is ever here: nothing in this crate's dependencies can hold one.
//! No signature leaves before its entry in the log.

mod added;
mod adding;
pub mod addresses;
pub mod agent;
mod ask;
mod asked;
mod asks;
pub mod audit;
pub mod certificates;
mod checks;
mod commands;
pub mod connection;
pub mod control;
mod ends;
mod errand;
pub mod event;
pub mod evidence;
mod failures;
pub mod frame;
mod fresh;
pub mod front;
pub mod gpg;
mod habits;
pub mod hardware;
mod hardware_commands;
pub mod identities;
mod ids;
mod importing;
pub mod keeps;
pub mod kept;
mod kept_keys;
mod key_commands;
pub mod key_control;
mod key_ends;
pub mod key_files;
mod key_making;
mod key_uses;
mod listing;
mod local;
pub mod local_link;
mod lock;
pub mod log;
pub mod notifications;
mod pairing;
pub mod peer;
pub mod policy;
mod rules;
pub mod serve;
mod server_commands;
pub mod servers;
pub mod settings;
mod signing;
pub mod upstream;
mod wallets;
pub mod wanted;
pub mod words;

pub use agent::{Agent, Here, LoadError, Setup};
pub use event::{Action, Attached, Event};
pub use ids::{ClientId, ConnectionId};
