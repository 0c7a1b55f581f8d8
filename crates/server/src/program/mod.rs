//! The `keystead-server` program: arguments, files, signals, sockets.
//!
//! **Invariant**: nothing secret comes by arguments or environment, and nothing secret is
//! printed, but an invitation, which is asked for.

mod arguments;
mod failure;
mod files;
mod init;
mod known;
mod operate;
mod print;
mod restore;
mod run;
mod upkeep;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use keystead_daemon::home::{Folders, Program};
use keystead_daemon::process;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command, Place};
use failure::Failure;
pub(crate) use failure::{in_one_line, sealing_hint};

/// Runs the program; the exit status is STYLE's: 0 done, 1 error, 2 usage, 4 not reached.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    trace();
    match perform(arguments) {
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

fn perform(arguments: Arguments) -> Result<(), Failure> {
    // Before a key is in memory.
    process::harden()?;
    let place = arguments.place;
    match arguments.command {
        Command::Init(init) => init::init(&folder(place)?, &init),
        Command::RenewCertificate { host } => {
            let folder = folder(place)?;
            init::renew(&folder, &host)?;
            operate::reload(&folder)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut text);
            Ok(std::io::stdout().write_all(&text)?)
        }
        Command::Man { dir } => man(&dir),
        Command::Run(asked) => run::run(&folder(place)?, &asked),
        Command::User(user) => operate::user(&folder(place)?, user),
        Command::Invite { name, form } => operate::invite(&folder(place)?, name, form),
        Command::Backup { file } => operate::backup(&folder(place)?, &file),
        Command::Restore(asked) => restore::restore(&folder(place)?, &asked),
        Command::RotateMasterKey => operate::rotate(&folder(place)?),
        Command::Audit(arguments::Audit::Export { user, output }) => {
            operate::export(&folder(place)?, user, output.as_deref())
        }
    }
}

/// The server's folder.
fn folder(place: Place) -> Result<PathBuf, Failure> {
    match place.dir {
        Some(dir) => Ok(std::path::absolute(dir)?),
        None => Ok(Folders::of(Program::Server)?.state),
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

/// Trace goes to standard error: warnings, or what `KEYSTEAD_TRACE` asks for.
fn trace() {
    let filter = EnvFilter::try_from_env("KEYSTEAD_TRACE");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("warn")))
        // To whom would it say that standard error cannot be written? It would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // A second one cannot be: this is the program's start.
    let _ = subscriber.try_init();
}

/// Pages for whoever administers a machine: `keystead-server.1` is that of `keystead server`.
fn man(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    let mut program = Arguments::command();
    // Names the commands in their commands' pages.
    program.build();
    write_pages(&program, dir)
}

fn write_pages(command: &clap::Command, dir: &Path) -> Result<(), Failure> {
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        write_pages(below, dir)?;
    }
    let page = clap_mangen::Man::new(command.clone()).section(MAN_SECTION);
    page.generate_to(dir)?;
    Ok(())
}

/// man-pages(7): system management commands.
const MAN_SECTION: &str = "8";

/// The program's name in what it says.
const PROGRAM: &str = "keystead-server";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
