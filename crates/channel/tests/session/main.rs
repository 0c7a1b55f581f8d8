//! Sessions of a key server, from outside the crate: both ends, with nothing between
//! them but bytes.

#![cfg(test)]

mod common;
mod flow;
mod properties;
mod requests;
mod resumption;
