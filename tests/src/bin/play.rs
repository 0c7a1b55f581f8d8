//! Plays one script by its name: `cargo run -p keystead-tests --bin play -- approve`.
//!
//! It needs `KEYSTEAD_BIN_DIR`, as the tests do, and compiles in a second where
//! the test of all scripts compiles everything that other tests use.

use keystead_tests::{Failure, Result, play};

fn main() -> Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        return Err(Failure::new("which script? a name of tests/scripts"));
    }
    names.iter().try_for_each(|name| play(name))
}
