//! The log of a key server, from outside: published vectors, a naive tree, every prefix.

mod checkpoints;
mod leaves;
mod trees;
