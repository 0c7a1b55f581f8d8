//! `run`: a command that asks this agent.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::agent_link;
use crate::arguments::Run;
use crate::failure::{Failure, Status};

/// `run -- COMMAND`
pub(crate) fn run(run: &Run) -> Result<(), Failure> {
    let agent = agent_link::status()?;
    let mut words = run.command.iter();
    let Some(program) = words.next() else {
        return Err(Failure::new("run what?").status(Status::Usage));
    };
    // Only comes back when it could not be run; else the command takes this process over.
    let error = Command::new(program)
        .args(words)
        .env("SSH_AUTH_SOCK", &agent.ssh_auth_sock)
        // It names the process of another agent.
        .env_remove("SSH_AGENT_PID")
        .exec();
    Err(Failure::not_run(Path::new(program), &error))
}
