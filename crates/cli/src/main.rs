//! The `keystead` program.

fn main() {}
