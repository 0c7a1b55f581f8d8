//! Where sessions are taken, and how that ends.
//!
//! **Invariant**: accepting never waits for a connection, and a server that stops takes
//! no new one while it answers those it has.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use super::admission::{Admission, Places};
use super::connection::Reception;
use super::life::Lives;
use super::tls::{self, Certificate, TlsError};
use crate::server::Server;
use crate::settings::Connections;

/// A server that listens.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    reception: Reception,
    lives: Lives,
}

impl Listener {
    /// Takes `socket` (a service manager's, or [`listen`]'s); its certificate may be
    /// replaced while it serves.
    ///
    /// # Errors
    /// [`TlsError`], or the system's.
    pub fn new(
        socket: TcpListener,
        server: Arc<Server>,
        folder: &Path,
        certificate: Arc<Certificate>,
    ) -> Result<Self, ListenerError> {
        let address = socket.local_addr().map_err(ListenerError::System)?;
        let tls = tls::configuration(folder, &server.settings.tls, certificate)?;
        let admission = Admission::new(places(&server.settings.connections));
        let reception = Reception {
            server,
            tls: TlsAcceptor::from(tls),
            admission,
        };
        Ok(Self {
            listener: socket,
            address,
            reception,
            lives: Lives::new(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done; then answers what is outstanding, and gives all
    /// connections `wait`.
    pub async fn run(self, stop: impl Future<Output = ()>, wait: Duration) {
        let Self {
            listener,
            reception,
            lives,
            ..
        } = self;
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let serving = reception.clone().serve(stream, peer.ip(), lives.life());
                        tokio::spawn(serving);
                    }
                    // Descriptors or memory ran out, or the peer left at once: all pass
                    // by themselves.
                    Err(error) => {
                        tracing::warn!(%error, "no connection can be taken now");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        if !lives.end(wait).await {
            tracing::warn!("connections that did not end in time are cut");
        }
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenerError {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address is taken, or not ours.
    #[error("nothing can listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system's error.
    #[error("the server cannot run")]
    System(#[source] io::Error),
}

impl ListenerError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Tls(error) => error.hint(),
            Self::Listen { .. } => "choose another address with --listen".to_owned(),
            Self::System(_) => "see what the system said".to_owned(),
        }
    }
}

/// A socket at `address`. Call it inside a tokio runtime.
///
/// # Errors
/// [`ListenerError::Listen`].
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenerError> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A server that restarts must not wait for its old connections to be forgotten.
        socket.set_reuseaddr(true)?;
        // Connections inherit it: who does not read fills no more than this.
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| ListenerError::Listen { address, source })
}

fn places(connections: &Connections) -> Places {
    let places = |number| usize::try_from(number).unwrap_or(usize::MAX);
    Places {
        max: places(connections.max),
        per_source_max: places(connections.per_source_max),
        half_open_max: places(connections.half_open_max),
    }
}

/// The system's buffer of one connection: the longest frame.
const SEND_BUFFER_BYTES: u32 = 128 * 1_024;

/// Connections that wait to be accepted: a flood's, and behind it a client's.
const BACKLOG: u32 = 4_096;

/// When the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
