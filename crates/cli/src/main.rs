//! The `keystead` program: parses what was typed, calls the library, prints.
//!
//! **Invariant:** nothing is decided here. What a command means is the agent's
//! to know; only this program's own output comes from here.

mod agent_link;
mod arguments;
mod commands;
mod failure;
mod qr;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use arguments::{Agent, Arguments, Audit, Command, Keeper, Key, Ssh};
use failure::{Failure, Status};

fn main() -> ExitCode {
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => run(arguments.command),
        Err(error) => refuse(&error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.status.code())
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Pair(pair) => commands::pair::run(&pair),
        Command::Status(reading) => commands::status::run(&reading),
        Command::Log(log) => commands::log::run(&log),
        Command::Doctor(reading) => commands::doctor::run(&reading),
        Command::Keeper(Keeper::List(reading)) => commands::keeper::list(&reading),
        Command::Keeper(Keeper::Rename { name, to }) => commands::keeper::rename(&name, &to),
        Command::Keeper(Keeper::Unpair { name }) => commands::keeper::unpair(&name),
        Command::Key(Key::New {
            name,
            algorithm,
            keeper,
        }) => commands::key::new(&name, algorithm, keeper.as_ref()),
        Command::Key(Key::List(reading)) => commands::key::list(&reading),
        Command::Key(Key::Show { key, json }) => commands::key::show(&key, json),
        Command::Ssh(Ssh::Setup(setup)) => commands::ssh::setup(&setup),
        Command::Agent(Agent::Run { socket, detach }) => commands::agent::serve(socket, detach),
        Command::Agent(Agent::Start) => commands::agent::start(),
        Command::Agent(Agent::Stop) => commands::agent::stop(),
        Command::Agent(Agent::PrintEnv { shell }) => commands::agent::print_env(shell),
        Command::Agent(Agent::Install { print }) => commands::install::install(print),
        Command::Agent(Agent::Uninstall) => commands::install::uninstall(),
        Command::Audit(Audit::Verify(reading)) => commands::audit::verify(&reading),
        Command::Completions { shell } => commands::shell::completions(shell),
        Command::Man { folder } => commands::shell::man_pages(&folder),
    }
}

/// Help and version, which are asked for; or what is wrong with what was typed.
fn refuse(error: &clap::Error) -> Result<(), Failure> {
    let text = error.to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return terminal::print_raw(text.as_bytes());
    }
    let says_all = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let message = if says_all {
        format!("what to do?\n\n{text}")
    } else {
        text.strip_prefix("error: ").unwrap_or(&text).to_owned()
    };
    Err(Failure::new(message.trim_end()).status(Status::Usage))
}

fn report(failure: &Failure) {
    if failure.status == Status::NobodyReads {
        return;
    }
    // What others said may stand in it.
    let message: Vec<String> = failure.message.lines().map(terminal::harmless).collect();
    terminal::say(format_args!("keystead: error: {}", message.join("\n")));
    if let Some(hint) = &failure.hint {
        terminal::say(format_args!("keystead: hint: {}", terminal::harmless(hint)));
    }
}
