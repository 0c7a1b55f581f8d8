//! The `keystead-server` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    keystead_server::program::run()
}
