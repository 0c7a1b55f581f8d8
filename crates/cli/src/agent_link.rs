//! A conversation with the running agent, which is started if none runs.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command as Program;
use std::time::Duration;

use keystead_agent::control::{
    self, Command, Failure as AgentFailure, FailureKind, Reply, SOCKET_NAME, SSH_SOCKET_NAME,
};
use keystead_agent::key_control;
use keystead_core::SecretBytes;
use keystead_daemon::home::{self, Folders};
use keystead_daemon::line::{self, LineReader};
use keystead_daemon::process::{self, Lock, LockError, StartError};
use keystead_daemon::socket::{self, ConnectError};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Builder;
use zeroize::Zeroizing;

use crate::failure::{Failure, Status};
use crate::terminal::{harmless, say};

/// A connection to the agent's control socket.
pub(crate) struct AgentLink {
    reader: LineReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl AgentLink {
    /// Connects, and starts the agent if none runs.
    pub(crate) async fn open() -> Result<Self, Failure> {
        let folders = folders()?;
        if let Some(link) = Self::to_running(&folders).await? {
            return Ok(link);
        }
        // A service manager may hold the socket: whoever connects wakes the agent.
        let ssh_socket = folders.runtime.join(SSH_SOCKET_NAME);
        let failed = match socket::connect(&ssh_socket).await {
            Ok(_waking) => Failure::new("the agent does not start").hint(
                "something listens at its socket; see `systemctl --user status keystead-agent`",
            ),
            Err(_) => match start(&folders) {
                Ok(()) => Failure::new("the agent started but does not answer"),
                // Perhaps because another command was faster.
                Err(failure) if is_starting(&folders) => failure,
                Err(failure) => return Self::to_running(&folders).await?.ok_or(failure),
            },
        };
        for _ in 0..START_TRIES_MAX {
            if let Some(link) = Self::to_running(&folders).await? {
                return Ok(link);
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        Err(failed)
    }

    /// Connects to the agent that runs, if one does.
    pub(crate) async fn to_running(folders: &Folders) -> Result<Option<Self>, Failure> {
        let stream = match socket::connect(&folders.runtime.join(SOCKET_NAME)).await {
            Ok(stream) => stream,
            Err(ConnectError::NobodyListens { .. }) => return Ok(None),
            Err(error) => return Err(Failure::of(&error)),
        };
        let mut link = Self::over(stream);
        let Reply::Version { version, protocol } = link.ask(&Command::Version {}).await? else {
            return Err(unexpected());
        };
        if protocol == control::PROTOCOL {
            return Ok(Some(link));
        }
        let own = env!("CARGO_PKG_VERSION");
        Err(Failure::new(format!(
            "the agent that runs is keystead {version}, this is {own}"
        ))
        .hint("stop it with the keystead that started it, or end its process"))
    }

    fn over(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: LineReader::new(reader, line::Limits::ANSWERS),
            writer,
        }
    }

    /// Whether nothing came that was not asked for, not even the end.
    pub(crate) fn is_quiet(&self) -> bool {
        let read = self.writer.as_ref().try_read(&mut [0]);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a command.
    pub(crate) async fn send(&mut self, command: &Command) -> Result<(), Failure> {
        let text = serde_json::to_vec(command).map_err(|error| Failure::of(&error))?;
        let sent = line::write_line(&mut self.writer, &text).await;
        sent.map_err(|error| Failure::new(format!("the agent hung up: {error}")))
    }

    /// Sends bytes that a command has announced.
    pub(crate) async fn send_secret(&mut self, bytes: &SecretBytes) -> Result<(), Failure> {
        let sent = self.writer.write_all(bytes.expose()).await;
        sent.map_err(|error| Failure::new(format!("the agent hung up: {error}")))
    }

    /// Sends a command about keys or hardware wallets, and what follows its line.
    pub(crate) async fn send_with(
        &mut self,
        command: &impl serde::Serialize,
        behind: &[&[u8]],
    ) -> Result<(), Failure> {
        let text = serde_json::to_vec(command).map_err(|error| Failure::of(&error))?;
        let sent = async {
            line::write_line(&mut self.writer, &text).await?;
            for part in behind {
                self.writer.write_all(part).await?;
            }
            self.writer.flush().await
        };
        let sent = sent.await;
        sent.map_err(|error| Failure::new(format!("the agent hung up: {error}")))
    }

    /// Waits for the next reply to a command about keys, and what follows its line.
    pub(crate) async fn next_of_key(
        &mut self,
    ) -> Result<(key_control::Reply, Option<SecretBytes>), Failure> {
        let line = self.next_line().await?;
        let reply = match serde_json::from_slice(&line) {
            Ok(key_control::Reply::Failed(failure)) => return Err(of_agent(failure)),
            Ok(reply) => reply,
            // What it does not understand at all it answers as any other command.
            Err(_) => match serde_json::from_slice(&line) {
                Ok(Reply::Failed(failure)) => return Err(of_agent(failure)),
                _ => return Err(unreadable()),
            },
        };
        let behind = match reply.bytes_behind() {
            Some(count) => {
                let bytes = self.reader.bytes(count).await;
                let mut bytes = bytes.map_err(|error| Failure::of(&error))?;
                Some(SecretBytes::take(&mut bytes))
            }
            None => None,
        };
        Ok((reply, behind))
    }

    /// Waits for the next reply. May be dropped and called again. A reply that
    /// says why not is a [`Failure`] with its exit status.
    pub(crate) async fn next(&mut self) -> Result<Reply, Failure> {
        let line = self.next_line().await?;
        match serde_json::from_slice(&line) {
            Ok(Reply::Failed(failure)) => Err(of_agent(failure)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(unreadable()),
        }
    }

    /// The next line, whatever it holds.
    pub(crate) async fn next_line(&mut self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let line = self
            .reader
            .next()
            .await
            .map_err(|error| Failure::of(&error))?;
        line.ok_or_else(|| {
            Failure::new("the agent ended").hint("see `keystead doctor`, or try again")
        })
    }

    /// Sends a command that is answered at once, and returns its one answer.
    pub(crate) async fn ask(&mut self, command: &Command) -> Result<Reply, Failure> {
        self.send(command).await?;
        self.next().await
    }

    /// How things stand, at once.
    pub(crate) async fn status(&mut self) -> Result<control::Status, Failure> {
        self.status_by(&Command::Status {}).await
    }

    /// How things stand, once the keepers have told their keys anew.
    pub(crate) async fn fresh_status(&mut self) -> Result<control::Status, Failure> {
        self.status_by(&Command::Refresh {}).await
    }

    async fn status_by(&mut self, command: &Command) -> Result<control::Status, Failure> {
        let Reply::Status(status) = self.ask(command).await? else {
            return Err(unexpected());
        };
        Ok(status)
    }
}

/// The agent's folders by this process's environment.
pub(crate) fn folders() -> Result<Folders, Failure> {
    Folders::of(home::Program::Agent).map_err(|error| Failure::of(&error).hint(error.hint()))
}

/// Runs a command that speaks to the agent. ^C ends it by hanging up, which
/// takes back what was asked.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            interrupted = process::interrupted() => {
                interrupted?;
                Err(Failure::new("ended by ^C; what was asked is withdrawn").status(Status::Interrupted))
            }
        }
    });
    // A question that nobody answered still waits in a thread.
    runtime.shutdown_background();
    outcome
}

/// Opens the agent, starting it if need be, and asks one thing.
pub(crate) fn ask(command: &Command) -> Result<Reply, Failure> {
    block_on(async { AgentLink::open().await?.ask(command).await })
}

/// How things stand, once the keepers have told their keys anew; says which did not.
pub(crate) fn fresh_status() -> Result<control::Status, Failure> {
    let status = block_on(async { AgentLink::open().await?.fresh_status().await })?;
    for keeper in status.keepers.iter().filter(|it| it.silent) {
        say(format_args!(
            "note: {} did not answer; its keys are those that it told last",
            harmless(&keeper.name)
        ));
    }
    Ok(status)
}

/// How things stand, at once.
pub(crate) fn status() -> Result<control::Status, Failure> {
    block_on(async { AgentLink::open().await?.status().await })
}

/// An answer that does not belong to what was asked.
pub(crate) fn unexpected() -> Failure {
    Failure::new("the agent answered something else")
        .hint("stop it (`keystead agent stop`) and try again")
}

fn unreadable() -> Failure {
    Failure::new("the agent's answer cannot be read")
        .hint("stop it (`keystead agent stop`) and try again")
}

/// Starts the agent in the background and waits until it is ready.
fn start(folders: &Folders) -> Result<(), Failure> {
    folders
        .make()
        .map_err(|error| Failure::of(&error).hint(error.hint()))?;
    let mut program = Program::new(own_program()?);
    // Whatever the file is called: some names are programs of their own.
    program.arg0("keystead").args(["agent", "run", "--detach"]);
    process::start(program, &folders.state.join(TRACE_NAME), START_WAIT)
        .map(|_ready| ())
        .map_err(|error| of_start(&error))
}

/// The file of this program, to be started once more. After an upgrade that is the new one: Linux
/// writes ` (deleted)` behind the path of the one that runs (`proc(5)`, `/proc/pid/exe`).
pub(crate) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe().map(not_deleted)
}

fn not_deleted(program: PathBuf) -> PathBuf {
    let bytes = program.as_os_str().as_bytes();
    match bytes.strip_suffix(DELETED) {
        Some(path) if !program.exists() => PathBuf::from(OsStr::from_bytes(path)),
        Some(_) | None => program,
    }
}

/// Waits until an agent that was told to stop has let go of its state folder,
/// so that the next one can start.
pub(crate) async fn until_gone(folders: &Folders) -> Result<(), Failure> {
    for _ in 0..START_TRIES_MAX {
        if !is_starting(folders) {
            return Ok(());
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    Err(
        Failure::new("the agent has hung up, but its process has not ended")
            .hint("`keystead status` shows whether it still runs"),
    )
}

/// Whether some agent has the state folder, ready or not yet.
fn is_starting(folders: &Folders) -> bool {
    matches!(Lock::take(&folders.state), Err(LockError::Held { .. }))
}

fn of_start(error: &StartError) -> Failure {
    let StartError::Ended { said, .. } = error else {
        return Failure::of(error).hint(error.hint());
    };
    let said = said.strip_prefix("keystead: error: ").unwrap_or(said);
    Failure::new(format!("the agent does not start: {said}"))
        .hint("`keystead agent run` shows all that it says")
}

/// A reply that says why not, with its exit status.
pub(crate) fn of_agent(failure: AgentFailure) -> Failure {
    let status = match failure.kind {
        FailureKind::Usage => Status::Usage,
        FailureKind::Refused => Status::Refused,
        FailureKind::NoAnswer => Status::NotReached,
        FailureKind::Policy => Status::Forbidden,
        FailureKind::UnknownKey => Status::UnknownKey,
        FailureKind::Error | _ => Status::Error,
    };
    Failure {
        status,
        message: failure.message,
        hint: failure.hint,
    }
}

/// Where a background agent's standard error goes, in its state folder.
const TRACE_NAME: &str = "trace.txt";

/// What Linux writes behind the path of a program whose file is gone.
const DELETED: &[u8] = b" (deleted)";

/// How long a starting agent may take to be ready. Why: reading a log of years
/// on a slow disk takes seconds, never this long.
const START_WAIT: Duration = Duration::from_secs(20);

/// Pause between two attempts to reach an agent that somebody else is starting.
const START_PAUSE: Duration = Duration::from_millis(20);

/// How often that is tried: 5 s in all.
const START_TRIES_MAX: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_replaced_is_the_one_in_its_place() {
        let check = |path: &str, expected: &str| {
            assert_eq!(not_deleted(PathBuf::from(path)), PathBuf::from(expected));
        };
        check("/nowhere/keystead", "/nowhere/keystead");
        check("/nowhere/keystead (deleted)", "/nowhere/keystead");
        check("/nowhere (deleted)/keystead", "/nowhere (deleted)/keystead");
        // A file that is really called so.
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("keystead (deleted)");
        std::fs::write(&odd, "").unwrap();
        check(odd.to_str().unwrap(), odd.to_str().unwrap());
    }
}
