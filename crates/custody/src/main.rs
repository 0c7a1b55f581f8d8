//! `keystead-custody`: what a person's passwords, secrets and key encodings pass through here.
//!
//! **Invariant**: it runs for one command, listens nowhere, and leaves nothing in clear behind:
//! no core file, no debugger, no file but those that were asked for.

mod access;
mod account;
mod agent;
mod approver;
mod arguments;
mod clipboard;
mod failure;
mod input;
mod key;
mod local;
mod login;
mod names;
mod output;
mod password;
mod prompt;
mod recovery;
mod register;
mod runtime;
mod secret;
mod servers;
mod state;
mod strength;
mod talk;
mod terminal;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use keystead_daemon::process;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};
use failure::{Failure, Status};
use talk::{harmless, say};

fn main() -> ExitCode {
    trace();
    // Before anything secret is in memory; a process that cannot be hardened does not go on.
    let outcome =
        process::harden()
            .map_err(Failure::from)
            .and_then(|()| match Arguments::try_parse() {
                Ok(arguments) => run(&arguments.command),
                Err(error) => refuse(&error),
            });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.status.code())
        }
    }
}

/// For developers, to standard error; quiet for everybody else.
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

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Register(wanted) => register::run(wanted),
        Command::Login(wanted) => login::run(wanted),
        Command::Unlock(wanted) => login::unlock(wanted),
        Command::Password(wanted) => password::run(wanted),
        Command::RecoveryCode(wanted) => recovery::run(wanted),
        Command::DeleteAccount(wanted) => account::delete(wanted),
        Command::Secret(wanted) => secret::run(wanted),
        Command::Approver(wanted) => approver::run(wanted),
        Command::Key(wanted) => key::run(wanted),
    }
}

/// Help and version, which are asked for; or what is wrong with what was typed.
fn refuse(error: &clap::Error) -> Result<(), Failure> {
    let text = error.to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return Ok(std::io::stdout().lock().write_all(text.as_bytes())?);
    }
    let says_all = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let message = match says_all {
        true => format!("what to do?\n\n{text}"),
        false => text.strip_prefix("error: ").unwrap_or(&text).to_owned(),
    };
    Err(Failure::usage(message.trim_end()))
}

/// As `keystead` itself says it, for it is what the person typed.
fn report(failure: &Failure) {
    if failure.status == Status::NobodyReads {
        return;
    }
    // What others said may stand in it.
    let message: Vec<String> = failure.message.lines().map(harmless).collect();
    say(format_args!("keystead: error: {}", message.join("\n")));
    if let Some(hint) = &failure.hint {
        say(format_args!("keystead: hint: {}", harmless(hint)));
    }
}
