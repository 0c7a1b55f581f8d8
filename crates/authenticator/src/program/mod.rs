//! The `keystead-authenticator` program: arguments, terminal, sockets, signals.
//!
//! **Invariant**: nothing here decides. It carries events to
//! [`crate::holder::Holder`] and does what its actions say.

mod arguments;
mod commands;
mod control;
mod conversation;
mod desktop;
mod edge;
mod failure;
mod file;
mod passphrase;
mod print;
mod serve;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use arguments::Arguments;

/// Runs the program; the exit status is STYLE's: 0 done, 1 error, 2 usage, 3 refused.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    trace();
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.message.is_empty() => ExitCode::from(failure.status),
        Err(failure) => {
            print::talk(format_args!("{PROGRAM}: error: {}", failure.message));
            if !failure.hint.is_empty() {
                print::talk(format_args!("{PROGRAM}: hint: {}", failure.hint));
            }
            ExitCode::from(failure.status)
        }
    }
}

/// Help and version go to standard output; a mistake is usage, in this program's name.
fn not_understood(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    if !text.starts_with("error: ") {
        error.exit();
    }
    print::talk(format_args!("{PROGRAM}: {}", text.trim_end()));
    ExitCode::from(2)
}

/// `tracing` output for developers, on standard error: `KEYSTEAD_TRACE=debug`.
fn trace() {
    let filter = EnvFilter::try_from_env("KEYSTEAD_TRACE");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("error")))
        // To whom would it say that standard error cannot be written? It would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second one cannot be: this is the program's start.
    let _ = subscriber.try_init();
}

/// The program's name in what it says.
const PROGRAM: &str = "keystead-authenticator";
