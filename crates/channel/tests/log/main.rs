//! The log of a key server, from outside: published vectors, a naive tree, every prefix.

#![cfg(test)]

mod checkpoints;
mod leaves;
mod trees;
