//! What touches a password or a secret: `keystead-custody` does it, in this process's place.
//!
//! **Invariant:** nothing secret passes this program: terminal, descriptors and words go on as they
//! are, and the exit status is the other program's.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::agent_link;
use crate::failure::{Failure, Status};

/// `secret …`, `approver recover`
pub(crate) fn same_words() -> Result<(), Failure> {
    become_custody("keystead", std::env::args_os().skip(1))
}

/// `server register|login|unlock|password|recovery-code|delete-account …`
pub(crate) fn server() -> Result<(), Failure> {
    become_custody("keystead server", std::env::args_os().skip(2))
}

/// Only comes back when it could not be done. `called` is how the other program names itself in
/// its help; `words` were checked by its own rules.
pub(crate) fn become_custody(
    called: &str,
    words: impl Iterator<Item = OsString>,
) -> Result<(), Failure> {
    // It asks the agent, and cannot start it.
    agent_link::status()?;
    let program = program();
    let error = Command::new(&program).arg0(called).args(words).exec();
    if error.kind() == io::ErrorKind::NotFound {
        return Err(Failure::new(format!("{PROGRAM} is not installed"))
            .hint("put it beside keystead, or into the PATH")
            .status(Status::NotFound));
    }
    Err(Failure::not_run(&program, &error))
}

/// The one of this installation, where it is beside this program; else by its name.
pub(crate) fn program() -> PathBuf {
    beside().unwrap_or_else(|| PathBuf::from(PROGRAM))
}

fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.join(PROGRAM);
    path.exists().then_some(path)
}

const PROGRAM: &str = "keystead-custody";
