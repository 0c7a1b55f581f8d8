//! Carries: sockets, HTTP and WebSocket around [`crate::machine::Relay`].
//!
//! **Invariant:** nothing is decided here but how to speak HTTP; every
//! connection has a time limit on each of its waits.

mod body;
mod http;
mod shared;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keystead_daemon::home::FolderError;
use keystead_daemon::process::{Lock, LockError};
use keystead_daemon::stall::Stalling;
use keystead_daemon::{Clock, FolderDisk};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::machine::{Event, Limits, Source, TombstoneError};
use shared::Shared;

/// What the operator says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The state folder.
    pub state: PathBuf,
    /// Limits of sources and of all.
    pub limits: Limits,
    /// Whether the last address of `X-Forwarded-For` is the source: only behind
    /// a proxy that writes it, since any client can.
    pub behind_proxy: bool,
    /// How long peers are waited for.
    pub waits: Waits,
}

/// How long a peer is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For the head of a request, and between two requests.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// For a peer to take anything of what is written.
    pub stall: Duration,
    /// Between two pings of a WebSocket.
    pub ping: Duration,
    /// For any sign of life on a WebSocket.
    pub silence: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            // Behind a connection is a browser or an agent, which sends a head
            // at once; a connection kept for the next call may rest so long.
            head: Duration::from_secs(30),
            // 65,600 bytes: 7 KB/s, slower than any line still in use.
            body: Duration::from_secs(10),
            // A peer that takes nothing for so long is gone.
            stall: Duration::from_secs(30),
            // Below the minute after which proxies and address translators
            // forget a quiet connection.
            ping: Duration::from_secs(30),
            // Two pings without an answer, and some time for a slow line.
            silence: Duration::from_secs(75),
        }
    }
}

/// A relay that listens.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
    behind_proxy: bool,
    waits: Waits,
    _lock: Lock,
}

impl Server {
    /// Reads the state, listens. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn bind(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, ServeError> {
        let disk = FolderDisk::open_named(&options.state)?;
        let lock = Lock::take(&options.state)?;
        let shared = Shared::load(options.limits, disk, clock)?;
        let listener = listen(options.listen).map_err(|source| ServeError::Listen {
            address: options.listen,
            source,
        })?;
        Ok(Self {
            listener,
            shared: Arc::new(shared),
            behind_proxy: options.behind_proxy,
            waits: options.waits,
            _lock: lock,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done; then answers who waits and gives all
    /// connections [`STOP_WAIT`].
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stop_all, stopping) = watch::channel(false);
        let (alive, mut all_ended) = mpsc::channel(1);
        let life = Life {
            stopping,
            _alive: alive,
        };
        let ticking = tokio::spawn(self.shared.clone().tick());
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let connection = Connection {
                            shared: self.shared.clone(),
                            peer: Source::of(peer.ip()),
                            behind_proxy: self.behind_proxy,
                            waits: self.waits,
                            life: life.clone(),
                        };
                        tokio::spawn(connection.serve(stream));
                    }
                    // Descriptors or memory ran out, or the peer left at once:
                    // all pass by themselves.
                    Err(error) => {
                        tracing::warn!(%error, "no connection can be taken now");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        drop(life);
        let _ = stop_all.send(true);
        self.shared.step(Event::Stop);
        // Nothing is sent: it ends when the last connection drops its end.
        let ended = tokio::time::timeout(STOP_WAIT, all_ended.recv()).await;
        if ended.is_err() {
            tracing::info!("connections that did not end in time are cut");
        }
        ticking.abort();
    }
}

/// One TCP connection.
struct Connection {
    shared: Arc<Shared>,
    peer: Source,
    behind_proxy: bool,
    waits: Waits,
    life: Life,
}

/// How a connection learns that the relay stops, and the relay that it ended.
#[derive(Clone)]
struct Life {
    stopping: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

impl Life {
    /// Waits until the relay stops.
    async fn stopped(&mut self) {
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }
}

impl Connection {
    async fn serve(self, mut stream: TcpStream) {
        // Behind a proxy every connection is the proxy's; those it carries are
        // counted when their source is known.
        let source = if self.behind_proxy {
            Source::Local
        } else {
            self.peer
        };
        let admitted = match self.shared.connect(source) {
            Ok(admitted) => admitted,
            Err(pause) => {
                let refused = http::turned_away(pause);
                let _ = tokio::time::timeout(ACCEPT_PAUSE, stream.write_all(&refused)).await;
                return;
            }
        };
        let _ = stream.set_nodelay(true);
        let caller = http::Caller {
            shared: self.shared.clone(),
            peer: self.peer,
            behind_proxy: self.behind_proxy,
            waits: self.waits,
            life: self.life.clone(),
            admitted: Arc::new(admitted),
        };
        let service = service_fn(move |request| {
            let caller = caller.clone();
            async move { caller.answer(request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.waits.head)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(
                TokioIo::new(Stalling::new(stream, self.waits.stall)),
                service,
            )
            .with_upgrades();
        let mut connection = pin!(connection);
        let mut life = self.life;
        tokio::select! {
            _ = &mut connection => {}
            () = life.stopped() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

/// Counts a connection out when it is dropped.
struct Admitted {
    shared: Arc<Shared>,
    source: Source,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let source = self.source;
        self.shared.step(Event::Disconnect { source });
    }
}

/// Why the relay does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The state folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Another relay uses the state folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The list of deleted mailboxes cannot be used.
    #[error(transparent)]
    Tombstones(#[from] TombstoneError),
    /// The address is taken, or not ours.
    #[error("nothing can listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system's error.
    #[error("the relay cannot run")]
    System(#[from] io::Error),
}

impl ServeError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Folder(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Tombstones(error) => error.hint().to_owned(),
            Self::Listen { .. } => "choose another address with --listen".to_owned(),
            Self::System(_) => "see what the system said".to_owned(),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A relay that restarts must not wait for its old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    // Connections inherit it: who does not read fills no more than this.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Longest head: ours have 200 bytes, browsers send some KiB, proxies add more.
const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// The system's buffer of one connection: three of the longest items.
const SEND_BUFFER_BYTES: u32 = 256 * 1_024;

/// Connections that wait to be accepted, as in most servers.
const BACKLOG: u32 = 1_024;

/// When the system has no descriptor left, and for telling who is turned away.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// For connections to end when the relay stops, well below the ten seconds that
/// most service managers give.
const STOP_WAIT: Duration = Duration::from_secs(3);
