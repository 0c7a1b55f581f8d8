//! `keystead-custody`: what a person's passwords, secrets and key encodings pass through here.
//!
//! **Invariant**: it runs for one command, listens nowhere, and leaves nothing in clear behind.

mod arguments;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

fn main() -> ExitCode {
    let _arguments = Arguments::parse();
    ExitCode::SUCCESS
}
