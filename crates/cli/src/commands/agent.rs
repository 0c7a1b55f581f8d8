//! `agent …`: the background program itself.

use std::path::{Path, PathBuf};

use keystead_agent::control::{Command, SSH_SOCKET_NAME};
use keystead_agent::serve::{self, Options};
use keystead_daemon::process;
use tracing_subscriber::EnvFilter;

use crate::agent_link::{self, AgentLink, block_on, folders};
use crate::arguments::EnvShell;
use crate::failure::{Failure, Status};
use crate::terminal::{print, say};

/// `agent run [--socket PATH]`
pub(crate) fn serve(socket: Option<PathBuf>, detach: bool) -> Result<(), Failure> {
    let socket = socket.map(std::path::absolute).transpose()?;
    if detach {
        process::detach();
    }
    trace("warn");
    let options = Options {
        folders: folders()?,
        socket,
    };
    let ready = |path: &Path| {
        // Nobody may wait for the line; the agent serves all the same.
        let _ = print(format_args!("ready SSH_AUTH_SOCK={}", path.display()));
        if detach && let Err(error) = process::close_stdout() {
            tracing::warn!(%error, "standard output stays open");
        }
    };
    serve::run(options, ready).map_err(|error| {
        let failure = Failure::of(&error);
        if detach {
            // Who started it is told the last line of the trace, and that alone.
            return Failure::new(format!("{}; {}", failure.message, error.hint()));
        }
        failure.hint(error.hint())
    })
}

/// Trace goes to standard error: `usual` (a level), or what `KEYSTEAD_TRACE` asks for.
pub(crate) fn trace(usual: &str) {
    let filter = EnvFilter::try_from_env("KEYSTEAD_TRACE");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new(usual)))
        // To whom would it say that standard error cannot be written? It would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

/// `agent start`
pub(crate) fn start() -> Result<(), Failure> {
    let status = agent_link::status()?;
    say(format_args!("the agent runs (process {})", status.pid));
    print(format_args!(
        "SSH_AUTH_SOCK={}",
        status.ssh_auth_sock.display()
    ))
}

/// `agent stop`
pub(crate) fn stop() -> Result<(), Failure> {
    block_on(async {
        let folders = folders()?;
        let Some(mut link) = AgentLink::to_running(&folders).await? else {
            say("no agent runs");
            return Ok(());
        };
        link.ask(&Command::Stop {}).await?;
        // It hangs up while it ends, and is gone when its folder is free.
        while link.next().await.is_ok() {}
        agent_link::until_gone(&folders).await?;
        say("the agent is stopped");
        Ok(())
    })
}

/// `agent print-env`
pub(crate) fn print_env(shell: Option<EnvShell>) -> Result<(), Failure> {
    let path = folders()?.runtime.join(SSH_SOCKET_NAME);
    let path = path
        .to_str()
        .ok_or_else(|| Failure::new("the socket's path is not UTF-8"))?;
    if path.contains(['\'', '\n']) {
        let message = format!("the socket's path cannot be quoted for a shell: {path:?}");
        return Err(Failure::new(message).status(Status::Usage));
    }
    print(match shell.unwrap_or_else(own_shell) {
        EnvShell::Sh => format!("SSH_AUTH_SOCK='{path}'; export SSH_AUTH_SOCK;"),
        EnvShell::Csh => format!("setenv SSH_AUTH_SOCK '{path}';"),
        EnvShell::Fish => format!("set -gx SSH_AUTH_SOCK '{path}';"),
    })
}

fn own_shell() -> EnvShell {
    let shell = std::env::var("SHELL").unwrap_or_default();
    match shell.rsplit('/').next() {
        Some("fish") => EnvShell::Fish,
        Some("csh" | "tcsh") => EnvShell::Csh,
        _ => EnvShell::Sh,
    }
}
