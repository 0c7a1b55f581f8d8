//! Being a good process: not dumpable, one for a state folder, stopped by
//! signals, started in the background.
//!
//! **Invariant:** no two processes hold the lock of one state folder, and what
//! holds secrets leaves no core file.

mod background;
mod lock;
mod notify;

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::hang_up::HangUp;

pub use background::{StartError, close_stdout, detach, start};
pub use lock::{Lock, LockError};
pub use notify::{Notice, notify};

/// No core file, no debugger of the same user, no `/proc/PID/mem` for others.
///
/// Call it before anything secret is in memory.
///
/// # Errors
/// The system's: the program should not go on then.
pub fn harden() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Not dumpable already forbids a core file; a limit of 0 holds even where
    // /proc/sys/fs/suid_dumpable or core_pattern say otherwise.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    Ok(rustix::process::setrlimit(Resource::Core, none)?)
}

/// Gives up the group of a setgid binary, for this process and all that it starts.
///
/// Call it while the process has one thread: the system keeps groups by thread.
///
/// # Errors
/// The system's: the program should not go on then.
pub fn drop_group() -> io::Result<()> {
    let own = rustix::process::getgid();
    Ok(rustix::thread::set_thread_res_gid(own, own, own)?)
}

/// Raises the limit of open descriptors to what the system allows, for programs
/// with thousands of connections. Says how many there may be.
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}

/// The signals that ask a program to stop: SIGTERM, SIGINT, and SIGHUP but for one that is to
/// outlive its terminal.
#[derive(Debug)]
pub struct Termination {
    terminate: Signal,
    interrupt: Signal,
    hang_up: HangUp,
}

impl Termination {
    /// Catches them from now on. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// The system's.
    pub fn catch() -> io::Result<Self> {
        let caught = Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: HangUp::catch()?,
        };
        crate::terminal::ends_itself();
        Ok(caught)
    }

    /// Waits for one and names it. May be dropped and called again.
    pub async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = self.hang_up.recv() => "SIGHUP",
        }
    }
}

/// Waits for SIGINT, for a command that ends itself by it and by no other signal.
///
/// # Errors
/// The system's.
pub async fn interrupted() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    crate::terminal::ends_itself_when_interrupted();
    interrupt.recv().await;
    Ok(())
}

#[cfg(test)]
mod tests;
