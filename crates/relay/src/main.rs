//! The `keystead-relay` program.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use keystead_relay::command::Command;

fn main() -> ExitCode {
    match Command::parse().run() {
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
