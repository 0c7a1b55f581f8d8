//! The agent: speaks to local programs, decides which keeper to ask and whether, and logs it.
//!
//! **Invariant:** no private key is ever here: nothing in this crate's dependencies can hold one.
//! No signature leaves before its entry in the log.

pub mod control;
