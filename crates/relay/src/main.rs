//! The `keystead-relay` program.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use keystead_relay::command::Command;

fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => return not_understood(&error),
    };
    match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                message.push_str(": ");
                message.push_str(&cause.to_string());
                source = cause.source();
            }
            let mut out = io::stderr();
            let _ = writeln!(out, "keystead-relay: error: {message}");
            let _ = writeln!(out, "keystead-relay: hint: {}", error.hint());
            ExitCode::FAILURE
        }
    }
}

/// Help and version go to standard output; a mistake is usage, in this program's name.
fn not_understood(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    if !text.starts_with("error: ") {
        error.exit();
    }
    let _ = writeln!(io::stderr(), "keystead-relay: {}", text.trim_end());
    ExitCode::from(2)
}
