//! `ssh-agent` by name: a program that starts OpenSSH's agent can start this one.
//!
//! **Invariant:** what is printed, and the exit status, are OpenSSH's, byte for byte. Nothing of
//! Keystead's own is asked, paired or changed.

mod kill;
mod options;
mod process;
mod socket;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use crate::terminal;

pub(crate) use process::serve;

use options::{Mistake, Shell, Wanted};

/// The name that makes this program an `ssh-agent`.
pub(crate) const NAME: &str = "ssh-agent";

/// Runs with the arguments behind the name.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    // A setgid binary keeps debuggers away; what is started here gets nothing of its group.
    if let Err(error) = keystead_daemon::process::drop_group() {
        terminal::say_raw(&Ended::system("setgid", &error).text);
        return ExitCode::FAILURE;
    }
    let login_shell = std::env::var_os("SHELL");
    let ended = options::parse(arguments, login_shell.as_deref())
        .map_err(Ended::from)
        .and_then(|wanted| match wanted {
            Wanted::Kill(shell) => kill::kill(shell),
            Wanted::CleanUp => Ok(()),
            Wanted::Serve(serve) => process::start(serve),
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ended) => {
            terminal::say_raw(&ended.text);
            ExitCode::from(ended.status)
        }
    }
}

/// Something else than success: what standard error gets, line break and all, and the status.
struct Ended {
    text: String,
    status: u8,
}

impl Ended {
    /// A line and status 1.
    fn with(line: impl fmt::Display) -> Self {
        Self {
            text: format!("{line}\n"),
            status: 1,
        }
    }

    /// A line of OpenSSH's log, which ends with CR LF, and status 1.
    fn logged(line: impl fmt::Display) -> Self {
        Self {
            text: format!("{line}\r\n"),
            status: 1,
        }
    }

    /// perror(3) and status 1.
    fn system(what: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::with(format_args!("{what}: {}", system_words(error)))
    }
}

impl From<Mistake> for Ended {
    fn from(Mistake { text, status }: Mistake) -> Self {
        Self { text, status }
    }
}

/// Whoever read our output has stopped reading: OpenSSH's agent does not notice.
impl From<crate::failure::Failure> for Ended {
    fn from(failure: crate::failure::Failure) -> Self {
        Self::with(failure.message)
    }
}

/// strerror(3): the library's words without the number that Rust puts behind.
fn system_words(error: &std::io::Error) -> String {
    let words = error.to_string();
    match words.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => words,
    }
}

/// A line that sets a variable.
fn set(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Bourne => format!("{name}={value}; export {name};\n"),
        Shell::C => format!("setenv {name} {value};\n"),
    }
}

/// A line that takes a variable away.
fn unset(shell: Shell, name: &str) -> String {
    match shell {
        Shell::Bourne => format!("unset {name};\n"),
        Shell::C => format!("unsetenv {name};\n"),
    }
}

const SOCKET_VARIABLE: &str = "SSH_AUTH_SOCK";

const PID_VARIABLE: &str = "SSH_AGENT_PID";
