//! The `keystead-relay` program.

fn main() {}
