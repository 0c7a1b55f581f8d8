//! The ordinary agent behind this one: started, watched, connected to.
//!
//! **Invariant:** it ends with this process, however that ends, and by nothing else of its own: what
//! it must not outlive is watched here. Where it cannot be started or has died, a connection is
//! refused at once; the next one starts it anew.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ordinary::{Ordinary, guarded};
use super::socket::{self, Place};
use super::watch::waited_for;
use crate::agent_link::own_program;
use crate::terminal::say;

/// The ordinary agent of one home folder, at sockets of our own.
pub(super) struct Behind {
    ordinary: Option<Ordinary>,
    homedir: PathBuf,
    options: Vec<OsString>,
    sockets: [PathBuf; 4],
    /// Where it may complain: nowhere, once we have left the terminal.
    says: bool,
    state: watch::Sender<State>,
    process: RefCell<Process>,
}

#[derive(Default)]
struct Process {
    /// Itself, not its number, which another may have after it.
    handle: Option<Rc<Receiver>>,
    /// Its sockets, once they are there.
    places: Vec<Place>,
    /// When it was started, and has not listened since.
    unready: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has no sockets yet.
    Starting,
    /// It listens, or will in a moment: connections wait in its sockets.
    Listening,
    /// It is not there.
    Gone,
}

/// Which of its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Standard,
    Extra,
    Browser,
    Ssh,
}

impl Behind {
    pub(super) fn new(
        ordinary: Option<Ordinary>,
        homedir: PathBuf,
        options: Vec<OsString>,
        sockets: [PathBuf; 4],
        says: bool,
    ) -> Self {
        let (state, _) = watch::channel(State::Starting);
        Self {
            ordinary,
            homedir,
            options,
            sockets,
            says,
            state,
            process: RefCell::default(),
        }
    }

    /// Starts it, and returns when it has ended again.
    pub(super) async fn run(&self) {
        self.state.send_replace(State::Starting);
        self.process.borrow_mut().unready = Some(Instant::now());
        let outcome = self.run_once().await;
        if let Err(error) = outcome {
            tracing::warn!(%error, "the ordinary gpg-agent cannot be started");
        }
        self.process.borrow_mut().handle = None;
        self.state.send_replace(State::Gone);
    }

    async fn run_once(&self) -> io::Result<()> {
        let ordinary = self.ordinary.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = self.spawn(ordinary, theirs.into_std()?)?;
        let handle = match handle(&child) {
            Ok(handle) => Rc::new(handle),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        self.process.borrow_mut().handle = Some(handle.clone());
        let mut ready = ours;
        if ready.read(&mut [0; READY.len()]).await.unwrap_or(0) > 0 {
            let places = self.sockets.iter().cloned().flat_map(Place::of);
            let mut process = self.process.borrow_mut();
            process.places = places.collect();
            process.unready = None;
            drop(process);
            self.state.send_replace(State::Listening);
        }
        // Readable once it has ended (pidfd_open(2)).
        handle.readable().await?;
        child.wait()?;
        Ok(())
    }

    /// First a shell that closes what is not ours to pass on: the sockets have to be the
    /// descriptors from 3 on. Then this program once more, which makes them.
    fn spawn(
        &self,
        ordinary: &Ordinary,
        stdout: std::os::unix::net::UnixStream,
    ) -> io::Result<Child> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", CLOSE_AND_RUN, "sh"])
            .arg(own_program()?)
            .args(["agent", "behind-gpg"])
            .arg(format!("--parent={}", std::process::id()))
            .args(&self.sockets)
            .arg("--")
            .arg(&ordinary.agent)
            .arg("--homedir")
            .arg(&self.homedir)
            .args(&self.options)
            // At the socket that gpg knows it would find us, and believe that it is of no use.
            .args(["--disable-check-own-socket", "--supervised"])
            .stdin(Stdio::null())
            .stdout(OwnedFd::from(stdout));
        if !self.says {
            command.stderr(Stdio::null());
        }
        command.spawn()
    }

    /// Connects, once it is there.
    pub(super) async fn connect(&self, door: Door) -> io::Result<UnixStream> {
        let mut state = self.state.subscribe();
        let now = state
            .wait_for(|it| *it != State::Starting)
            .await
            .map_or(State::Gone, |it| *it);
        if now == State::Gone {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let [standard, extra, browser, ssh] = &self.sockets;
        let path = match door {
            Door::Standard => standard,
            Door::Extra => extra,
            Door::Browser => browser,
            Door::Ssh => ssh,
        };
        UnixStream::connect(path).await
    }

    /// Somebody wants it. True: it has died, and is to be started anew.
    pub(super) fn is_to_start(&self) -> bool {
        let unready = self.process.borrow().unready;
        let is_to = *self.state.borrow() == State::Gone
            && unready.is_none_or(|it| it.elapsed() >= START_PAUSE);
        if is_to {
            self.state.send_replace(State::Starting);
        }
        is_to
    }

    /// Passes a signal on.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(handle) = &self.process.borrow().handle {
            let _ = rustix::process::pidfd_send_signal(handle, signal);
        }
    }

    /// Ends it, and takes its sockets away. Nobody is connected to it any more; [`Self::run`] goes
    /// on meanwhile.
    pub(super) async fn end(&self) {
        let mut state = self.state.subscribe();
        // It obeys the first; the third, whatever it does; the last, even if it is stopped.
        for signal in [Signal::TERM, Signal::TERM, Signal::TERM, Signal::KILL] {
            self.signal(signal);
            let gone = state.wait_for(|it| *it == State::Gone);
            if tokio::time::timeout(END_WAIT, gone).await.is_ok() {
                break;
            }
        }
        for place in &self.process.borrow().places {
            place.remove();
        }
    }
}

fn handle(child: &Child) -> io::Result<Receiver> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::NotFound)?;
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    waited_for(handle)
}

/// `keystead agent behind-gpg --parent=PID SOCKET… -- PROGRAM ARGUMENT…`: makes the sockets, becomes
/// the ordinary agent, and ends with the process PID.
pub(crate) fn become_behind(parent: i32, sockets: &[PathBuf], program: &[OsString]) -> ExitCode {
    let error = match prepare(parent, sockets) {
        Ok(_held) => {
            // Who waits is told; standard output is nobody's from here on.
            let _ = crate::terminal::print_raw(READY);
            let _ = keystead_daemon::process::close_stdout();
            // A client that leaves early would end it: it ignores that signal by itself only when
            // it is its own daemon, and Rust gives a signal back to what it starts.
            guarded(Path::new("/bin/sh"))
                .args(["-c", IGNORE_AND_RUN, "sh"])
                .args(program)
                .env("LISTEN_PID", std::process::id().to_string())
                .env("LISTEN_FDS", sockets.len().to_string())
                .env("LISTEN_FDNAMES", NAMES.join(":"))
                .exec()
        }
        Err(error) => error,
    };
    say(format_args!("gpg-agent: {error}"));
    ExitCode::FAILURE
}

fn prepare(parent: i32, sockets: &[PathBuf]) -> io::Result<Vec<UnixListener>> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    if rustix::process::getppid() != Pid::from_raw(parent) {
        // It ended before it could be told of.
        return Err(io::ErrorKind::NotConnected.into());
    }
    let mut held = Vec::new();
    for (path, number) in sockets.iter().zip(FIRST_DESCRIPTOR..) {
        let listener = socket::bind_anew(path)?;
        if listener.as_raw_fd() != number {
            return Err(io::Error::other("descriptor 3 is in use"));
        }
        rustix::io::fcntl_setfd(&listener, FdFlags::empty())?;
        held.push(listener);
    }
    Ok(held)
}

/// What is said once the sockets are there.
const READY: &[u8] = b"ready\n";

/// sd_listen_fds(3).
const FIRST_DESCRIPTOR: i32 = 3;

/// `map_supervised_sockets` of gpg-agent.
const NAMES: [&str; 4] = ["std", "extra", "browser", "ssh"];

/// A shell knows descriptors of one digit; gpg leaves us none at all.
const CLOSE_AND_RUN: &str = "exec \"$@\" 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-";

const IGNORE_AND_RUN: &str = "trap '' PIPE; exec \"$@\"";

/// More than it needs to say goodbye: whoever ends us waits for so long.
const END_WAIT: Duration = Duration::from_secs(1);

/// One that cannot be started is not tried for every client. One that was killed is, at once.
const START_PAUSE: Duration = Duration::from_secs(1);
