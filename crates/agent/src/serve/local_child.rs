//! The local authenticator's process: started, spoken to, ended.
//!
//! **Invariant:** it ends with its socket, and its socket ends with us; nothing secret is in its
//! arguments.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::io::Interest;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// How it is started.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalProgram {
    /// Arguments behind `local`.
    pub(super) arguments: Vec<String>,
}

/// A running one.
pub(super) struct LocalChild {
    process: Child,
    socket: UnixStream,
    /// What the socket did not take yet.
    waiting: Zeroizing<Vec<u8>>,
    room: Zeroizing<Vec<u8>>,
}

impl LocalProgram {
    /// Starts one, with a socket pair's other end as its standard input.
    pub(super) fn start(&self) -> io::Result<LocalChild> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = UnixStream::from_std(ours)?;
        let process = Command::new(program())
            .arg("local")
            .args(&self.arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // ^C in the terminal of whoever started the agent is not for it.
            .process_group(0)
            .spawn()?;
        Ok(LocalChild {
            process,
            socket,
            waiting: Zeroizing::default(),
            room: Zeroizing::new(vec![0; ROOM_BYTES]),
        })
    }
}

impl LocalChild {
    /// Sends bytes, behind all before them. That it is gone is found out by reading.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.waiting.is_empty() {
            while !rest.is_empty() {
                match self.socket.try_write(rest) {
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(_) => break,
                }
            }
        }
        if !rest.is_empty() {
            let mut grown = Zeroizing::new(Vec::with_capacity(self.waiting.len() + rest.len()));
            grown.extend_from_slice(&self.waiting);
            grown.extend_from_slice(rest);
            self.waiting = grown;
        }
    }

    /// What comes next; none when it has ended. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<&[u8]> {
        loop {
            let interest = if self.waiting.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let ready = self.socket.ready(interest).await.ok()?;
            if ready.is_writable() && !self.waiting.is_empty() {
                let waiting = std::mem::take(&mut self.waiting);
                self.send(&waiting);
            }
            if !ready.is_readable() {
                continue;
            }
            match self.socket.try_read(&mut self.room) {
                Ok(0) => return None,
                Ok(count) => return self.room.get(..count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
    }
}

impl Drop for LocalChild {
    fn drop(&mut self) {
        // It holds nothing but memory, and must not outlive its socket.
        let _ = self.process.kill();
        if let Err(error) = self.process.wait() {
            tracing::warn!(%error, "the local authenticator cannot be waited for");
        }
    }
}

/// Beside our own binary, wherever a link to that was called; else as the shell would find it.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.parent().unwrap_or(Path::new("/")).join(PROGRAM);
    if beside.exists() {
        beside
    } else {
        PathBuf::from(PROGRAM)
    }
}

const PROGRAM: &str = "keystead-authenticator";

/// Some hundred signatures: more come with the next read.
const ROOM_BYTES: usize = 16 * 1024;
