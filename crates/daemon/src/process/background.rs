//! Starting a program that stays, without `fork` (which safe Rust lacks): the
//! parent spawns it and waits for its `ready` line; the child leaves the
//! terminal by itself.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Starts `command` in the background and returns its `ready …` line.
///
/// Standard input is closed; standard error goes to the end of `trace` (0600).
/// The child should call [`detach`] first, print its line when it accepts, then
/// [`close_stdout`]. Blocks the calling thread for at most `wait`.
///
/// # Errors
/// [`StartError`]; a child that said nothing in time is killed.
pub fn start(mut command: Command, trace: &Path, wait: Duration) -> Result<String, StartError> {
    let program = PathBuf::from(command.get_program());
    let broken = |source| StartError::System {
        program: program.clone(),
        source,
    };
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(trace);
    let log = log.map_err(broken)?;
    let trace_from = log.metadata().map_err(broken)?.len();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    let mut child = command.spawn().map_err(broken)?;
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| broken(io::ErrorKind::BrokenPipe.into()))?;
    match first_line(stdout, wait) {
        Some(line) if line.starts_with("ready ") => Ok(line),
        Some(_) => {
            reap(&mut child);
            Err(StartError::Ended {
                program,
                said: said_since(trace, trace_from),
            })
        }
        None => {
            reap(&mut child);
            Err(StartError::Silent {
                program,
                wait,
                trace: trace.to_owned(),
            })
        }
    }
}

/// Leaves the terminal and the parent's session, so that closing the terminal
/// or ^C in it does not end this process. A process that leads its group
/// already (started by a shell or a service manager) stays as it is.
pub fn detach() {
    if rustix::process::setsid().is_err() {
        tracing::debug!("leads a process group already");
    }
    // A folder that the parent stood in could not be unmounted.
    let _ = rustix::process::chdir("/");
}

/// Points standard output to `/dev/null`, after the `ready` line was printed:
/// the parent waits for the end of that pipe, or reads it no more.
///
/// # Errors
/// The system's.
pub fn close_stdout() -> io::Result<()> {
    let nothing = OpenOptions::new().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(&nothing)?)
}

/// Why a program is not up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It ended, or said something else than `ready`.
    #[error("{} did not start{}", program.display(), colon(said))]
    Ended {
        /// The program.
        program: PathBuf,
        /// The last it wrote to standard error.
        said: String,
    },
    /// It said nothing in time.
    #[error("{} was not ready within {} s", program.display(), wait.as_secs())]
    Silent {
        /// The program.
        program: PathBuf,
        /// How long was waited.
        wait: Duration,
        /// Where it writes its errors.
        trace: PathBuf,
    },
    /// The system's error.
    #[error("{} cannot be run", program.display())]
    System {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Ended { program, .. } => {
                format!("run {} in a terminal to see all it says", program.display())
            }
            Self::Silent { trace, .. } => format!("see {}", trace.display()),
            Self::System { .. } => "check the installation".to_owned(),
        }
    }
}

/// The first line, empty at the end of the pipe; `None` when none came in time.
fn first_line(stdout: ChildStdout, wait: Duration) -> Option<String> {
    let (send, receive) = mpsc::channel();
    // Ends with the pipe; killing the child closes that.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout.take(READY_BYTES_MAX)).read_line(&mut line);
        let _ = send.send(if read.is_ok() {
            line.trim_end().to_owned()
        } else {
            String::new()
        });
    });
    receive.recv_timeout(wait).ok()
}

fn reap(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The last line that the child wrote to its trace.
fn said_since(trace: &Path, from: u64) -> String {
    let Ok(content) = std::fs::read(trace) else {
        return String::new();
    };
    let new = usize::try_from(from)
        .ok()
        .and_then(|from| content.get(from..))
        .unwrap_or_default();
    let text = String::from_utf8_lossy(new);
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .to_owned()
}

fn colon(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    }
}

/// `ready SSH_AUTH_SOCK=PATH` and the like; a longer first line is something else.
const READY_BYTES_MAX: u64 = 1_024;
