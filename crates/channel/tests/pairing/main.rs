//! Pairing, requests, mailboxes and links, from outside the crate.
//!
//! `vectors` runs `spec/vectors/pairing.json`; the others try what a peer, a
//! relay or a person with a camera can do.

#![cfg(test)]

mod common;
mod derived;
mod hello;
mod links;
mod lossy;
mod offers;
mod properties;
mod refused;
mod states;
mod vectors;
