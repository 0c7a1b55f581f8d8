//! `keystead` as gpg-agent, in real processes: what ends it, what ends the ordinary one behind it,
//! and what it answers to all that gpg's tools ask.
#![cfg(test)]

mod ends;
mod house;
mod kem;
mod load;
mod modes;
mod options;
mod verbs;
