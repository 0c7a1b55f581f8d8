//! The `keystead-authenticator` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    keystead_authenticator::program::run()
}
