//! `gpg-agent` by name: what `agent-program` in `gpg.conf` names, so that gpg finds the keys that
//! keepers hold.
//!
//! **Invariant:** it is one process for one `GNUPGHOME`. The ordinary gpg-agent runs behind it and
//! has all other keys; what it prints and how it ends stay as gpg-agent(1) says.

mod answering;
mod asking;
mod behind;
mod bringing;
mod connection;
mod keys_file;
mod object;
mod options;
mod ordinary;
mod pipe;
mod serve;
mod socket;
mod start;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use options::{Mode, Options};
use ordinary::Ordinary;

use crate::terminal::say;

pub(crate) use answering::Answering;
pub(crate) use behind::become_behind;
pub(crate) use keys_file::{change as change_keys, hold_keyring, read as read_keys};
pub(crate) use ordinary::Places;
pub(crate) use start::daemon;

/// The name that makes this program a gpg-agent.
pub(crate) const NAME: &str = "gpg-agent";

/// Runs with the arguments behind the name.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let words = Options::of(&arguments, &[]);
    if words.prints {
        return hand_over(&arguments);
    }
    let places = match Places::of(words.homedir.as_deref()) {
        Ok(places) => places,
        Err(error) => return failed(format_args!("no home folder: {error}")),
    };
    let wanted = Options::of(&arguments, &start::files(&words.configuration, &places));
    let mode = wanted.mode();
    if wanted.prints || (mode.is_none() && !wanted.is_wrong) {
        // None of these words starts an agent, and no file does.
        return hand_over(&arguments);
    }
    // What is left of standard error behind `--daemon` is ours alone.
    let speaks = mode == Some(Mode::Daemon) && !wanted.stays;
    if let Some(refused) = Ordinary::find().and_then(|it| it.refuses(&arguments, speaks)) {
        return refused;
    }
    match mode.filter(|_| !wanted.is_wrong) {
        Some(mode) => start::start(wanted, mode, places, &arguments),
        None => failed(format_args!("invalid option: keystead does not know it")),
    }
}

/// To the ordinary gpg-agent, which prints what it always printed.
fn hand_over(arguments: &[OsString]) -> ExitCode {
    match Ordinary::find() {
        Some(ordinary) => {
            let error = ordinary.take_over(arguments);
            failed(format_args!("{}: {error}", ordinary.agent.display()))
        }
        None => failed(format_args!("no other gpg-agent is installed")),
    }
}

/// gpg-agent's exit status when it cannot do what it should.
fn failed(why: std::fmt::Arguments<'_>) -> ExitCode {
    say(format_args!("{NAME}[{}]: {why}", std::process::id()));
    ExitCode::from(FAILED)
}

const FAILED: u8 = 2;
