//! `gpg-agent` by name: what `agent-program` in `gpg.conf` names, so that gpg finds the keys that
//! keepers hold.
//!
//! **Invariant:** it is one process for one `GNUPGHOME`. The ordinary gpg-agent runs behind it and
//! has all other keys; what it prints and how it ends stay as gpg-agent(1) says.

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

use options::Wanted;
use ordinary::Ordinary;

use crate::terminal::say;

pub(crate) use behind::become_behind;
pub(crate) use ordinary::Places;
pub(crate) use start::daemon;

/// The name that makes this program a gpg-agent.
pub(crate) const NAME: &str = "gpg-agent";

/// Runs with the arguments behind the name.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    match options::parse(&arguments) {
        Wanted::Serve(serve) => start::start(serve, &arguments),
        Wanted::HandOver => match Ordinary::find() {
            Some(ordinary) => {
                let error = ordinary.take_over(&arguments);
                failed(format_args!("{}: {error}", ordinary.agent.display()))
            }
            None => failed(format_args!("no other gpg-agent is installed")),
        },
    }
}

/// gpg-agent's exit status when it cannot do what it should.
fn failed(why: std::fmt::Arguments<'_>) -> ExitCode {
    say(format_args!("{NAME}[{}]: {why}", std::process::id()));
    ExitCode::from(FAILED)
}

const FAILED: u8 = 2;
