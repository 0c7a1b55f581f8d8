//! Carries the agent: sockets, clock, disk and network around [`Agent::step`].
//!
//! **Invariant:** nothing is decided here. One task owns the agent; a connection's task reads and
//! writes alone, so none blocks another.

mod answers;
mod carrier;
mod drop_in;
mod ends;
mod error;
mod hardware;
mod local_child;
mod logs;
mod programs;
mod servers;
mod upstreams;

use std::io;
use std::path::{Path, PathBuf};

use keystead_core::Name;
use keystead_daemon::home::Folders;
use keystead_daemon::process::{self, Lock};
use keystead_daemon::socket::Listener;
use keystead_daemon::{Clock, FolderDisk, Io, SystemClock, SystemRng};
use keystead_keeper::server::Book;
use keystead_keeper::{Net, NetOptions};

use crate::agent::{Agent, Here, Setup};
use crate::control::{SOCKET_NAME, SSH_SOCKET_NAME};
use crate::identities;
use crate::notifications::Desktop;
use crate::settings::{self, Settings};

use carrier::{Carrier, Doors, Parts};
use ends::Ends;
use local_child::LocalProgram;

pub use drop_in::{DropIn, FingerprintHash, Interrupt, drop_in};
pub use error::ServeError;

/// Where the agent lives.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folders.
    pub folders: Folders,
    /// The SSH agent socket, when not [`SSH_SOCKET_NAME`] in the runtime folder. A socket that the
    /// service manager passes wins.
    pub socket: Option<PathBuf>,
}

/// Runs the agent until it is told to stop, on a runtime of its own with one thread.
///
/// `ready` is called with the SSH agent socket's path once programs and commands can connect.
///
/// # Errors
/// [`ServeError`], when it cannot start.
pub fn run(options: Options, ready: impl FnOnce(&Path)) -> Result<(), ServeError> {
    process::harden().map_err(|source| ServeError::Process { source })?;
    let runtime = runtime()?;
    let served = runtime.block_on(serve(options, ready));
    // A look at a process must not hold the exit up.
    runtime.shutdown_background();
    served
}

fn runtime() -> Result<tokio::runtime::Runtime, ServeError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(|source| ServeError::Process { source })
}

/// As [`run`], inside a tokio runtime of the caller's.
///
/// # Errors
/// [`ServeError`], when it cannot start.
pub async fn serve(options: Options, ready: impl FnOnce(&Path)) -> Result<(), ServeError> {
    let Options { folders, socket } = options;
    folders.make()?;
    let settings = read_settings(&folders)?;
    let _lock = Lock::take(&folders.state)?;
    let _ = process::raise_descriptor_limit();
    let ends = Ends::catch(true, None).map_err(|source| ServeError::Process { source })?;
    let programs = match Listener::from_service_manager()? {
        Some(passed) => passed,
        None => {
            let path = socket.unwrap_or_else(|| folders.runtime.join(SSH_SOCKET_NAME));
            Listener::bind(&path)?
        }
    };
    let commands = Listener::bind(&folders.runtime.join(SOCKET_NAME))?;
    let ca_file = settings.ca_file.clone();
    let (net, net_events) = Net::start(NetOptions { ca_file })?;
    let mut disk = FolderDisk::open(&folders.state)?;
    let mut rng = SystemRng;
    let upstream = upstream(&settings, programs.path());
    let desktop = settings.notifications.then(Desktop::of_session).flatten();
    let book = Book::open(&folders.state)?;
    let setup = Setup {
        settings,
        host_name: host_name(),
        ssh_auth_sock: programs.path().to_owned(),
        state_folder: folders.state,
        pid: std::process::id(),
        here: Here {
            upstream: upstream.clone(),
            ..Here::default()
        },
    };
    let mut io = Io {
        rng: &mut rng,
        disk: &mut disk,
    };
    let agent = Agent::load(SystemClock.now(), setup, &mut io)?;
    ready(programs.path());
    process::notify(process::Notice::Ready);
    let doors = Doors {
        programs,
        commands: Some(commands),
        net_events: Some(net_events),
        ends,
    };
    let parts = Parts {
        agent,
        net: Some(net),
        disk: Box::new(disk),
        upstream,
        local_program: LocalProgram::default(),
        desktop,
        identities: Some(folders.config.join(identities::FILE_NAME)),
        book: Some(book),
    };
    Carrier::new(parts).run(doors).await;
    Ok(())
}

/// The agent that was there before: as the person has set it, else as the environment said when we
/// were started; never our own socket.
fn upstream(settings: &Settings, own: &Path) -> Option<PathBuf> {
    let inherited = || std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
    let path = settings.upstream.clone().or_else(inherited)?;
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    (!path.as_os_str().is_empty() && real(&path) != real(own)).then_some(path)
}

/// The settings, as an agent that starts now reads them.
///
/// # Errors
/// [`ServeError::Settings`], [`ServeError::SettingsUnreadable`].
pub fn read_settings(folders: &Folders) -> Result<Settings, ServeError> {
    let path = folders.config.join(settings::FILE_NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(source) => return Err(ServeError::SettingsUnreadable { path, source }),
    };
    Settings::parse(&text).map_err(|source| ServeError::Settings { path, source })
}

/// The machine's name without its domain.
fn host_name() -> Name {
    let uname = rustix::system::uname();
    let whole = uname.nodename().to_string_lossy();
    let first = whole.split('.').next().unwrap_or_default();
    let name = Name::new(first).or_else(|_| Name::new("workstation"));
    match name {
        Ok(name) => name,
        Err(_) => unreachable!("the word is a name"),
    }
}

/// Looks at processes run beside the agent's own thread. More of them wait in a queue.
const BLOCKING_THREADS_MAX: usize = 4;
