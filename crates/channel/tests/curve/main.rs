//! The curve stream transport from outside: the published values, an
//! implementation of the other end by hand, and everything a peer may do wrong.

#![cfg(test)]

mod altered;
mod common;
mod extensions;
mod handshake;
mod identities;
mod model;
mod nacl;
mod properties;
mod recorded;
mod traffic;
mod vectors;
