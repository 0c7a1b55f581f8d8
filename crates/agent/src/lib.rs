//! The agent: speaks to local programs, decides which keeper to ask and whether, and logs it.
//!
//! **Invariant:** no private key is ever here: nothing in this crate's dependencies can hold one.
//! No signature leaves before its entry in the log.

pub mod addresses;
pub mod agent;
mod asks;
pub mod audit;
pub mod certificates;
mod commands;
pub mod connection;
pub mod control;
mod ends;
pub mod evidence;
pub mod front;
pub mod keeps;
pub mod key_files;
pub mod log;
mod pairing;
pub mod peer;
pub mod policy;
mod rules;
pub mod serve;
pub mod settings;
pub mod words;

pub use agent::{Action, Agent, ClientId, ConnectionId, Event, LoadError, Setup};
