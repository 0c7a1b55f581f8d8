//! What ends an agent, or makes it forget: signals, and the end of the process it was made for.

use std::io;

use keystead_daemon::HangUp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// All of them.
pub(super) struct Ends {
    terminate: Signal,
    hang_up: HangUp,
    interrupt: Signal,
    forget: Signal,
    interrupt_stops: bool,
    parent: Option<oneshot::Receiver<()>>,
}

/// What one of them says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The agent ends, because of this.
    Stop(&'static str),
    /// Keys that were brought are forgotten.
    Forget,
}

impl Ends {
    /// Catches them from now on. With a parent's end the agent ends, too; one that is gone ends it
    /// at once.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn catch(interrupt_stops: bool, parent: Option<i32>) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: HangUp::catch()?,
            // Caught in any case: a signal that nobody catches ends the process.
            interrupt: signal(SignalKind::interrupt())?,
            forget: signal(SignalKind::user_defined1())?,
            interrupt_stops,
            parent: parent.map(watch).transpose()?,
        })
    }

    /// Waits for one. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Word {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Word::Stop("SIGTERM"),
                () = self.hang_up.recv() => return Word::Stop("SIGHUP"),
                _ = self.interrupt.recv() => {
                    if self.interrupt_stops {
                        return Word::Stop("SIGINT");
                    }
                }
                _ = self.forget.recv() => return Word::Forget,
                () = gone(self.parent.as_mut()) => return Word::Stop("its parent has ended"),
            }
        }
    }
}

/// A thread waits for the process, since a pidfd_open(2) descriptor is nothing that the runtime
/// takes; it ends with our own process.
fn watch(pid: i32) -> io::Result<oneshot::Receiver<()>> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .stack_size(WATCH_STACK_BYTES)
        .spawn(move || {
            let mut wait = [PollFd::new(&process, PollFlags::IN)];
            while poll(&mut wait, None) == Err(Errno::INTR) {}
            let _ = end.send(());
        })?;
    Ok(ended)
}

async fn gone(parent: Option<&mut oneshot::Receiver<()>>) {
    match parent {
        // A thread that is gone ends the agent as well: it could not be told otherwise.
        Some(parent) => {
            let _ = parent.await;
        }
        None => std::future::pending().await,
    }
}

/// One system call and a send.
const WATCH_STACK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_parents_end_is_an_end() {
        let mut parent = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let pid = i32::try_from(parent.id()).unwrap();
        let mut ends = Ends::catch(false, Some(pid)).unwrap();
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), ends.next()).await;
        assert!(early.is_err());
        parent.kill().unwrap();
        assert_eq!(ends.next().await, Word::Stop("its parent has ended"));
        parent.wait().unwrap();
    }

    #[tokio::test]
    async fn signals_are_words() {
        let own = rustix::process::getpid();
        let check = async |interrupt_stops, signal, expected| {
            let mut ends = Ends::catch(interrupt_stops, None).unwrap();
            rustix::process::kill_process(own, signal).unwrap();
            let wait = std::time::Duration::from_millis(200);
            let word = tokio::time::timeout(wait, ends.next()).await.ok();
            assert_eq!(word, expected);
        };
        use rustix::process::Signal;
        check(true, Signal::USR1, Some(Word::Forget)).await;
        check(true, Signal::INT, Some(Word::Stop("SIGINT"))).await;
        check(false, Signal::INT, None).await;
        check(false, Signal::TERM, Some(Word::Stop("SIGTERM"))).await;
    }
}
