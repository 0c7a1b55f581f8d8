//! The `keystead-authenticator` program.

fn main() {}
