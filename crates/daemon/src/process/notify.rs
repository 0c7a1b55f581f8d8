//! Tells the service manager what the program is about (sd_notify(3)).

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It serves.
    Ready,
    /// It ends.
    Stopping,
}

/// Sends it to `NOTIFY_SOCKET`, if there is one. Nobody depends on it.
pub fn notify(notice: Notice) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent = address(path.as_bytes()).and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        let text = match notice {
            Notice::Ready => "READY=1",
            Notice::Stopping => "STOPPING=1",
        };
        socket.send_to_addr(text.as_bytes(), &address)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// A path, or behind `@` a name of the abstract namespace.
fn address(path: &[u8]) -> std::io::Result<SocketAddr> {
    match path {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    }
}
