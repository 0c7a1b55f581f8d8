//! Opens the byte stream below a relay's HTTP: TCP, with TLS 1.3 for `https://`.
//!
//! Invariant: an `https://` relay is never spoken to without TLS and a
//! certificate that the chosen authorities vouch for.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::RelayUrl;

/// Connects to relays. The system's authorities are read when first needed:
/// who only uses `http://` or TCP does not pay for them.
#[derive(Clone, Default)]
pub(crate) struct Connector {
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Connector {
    /// Trusts the authorities in a PEM file and no others.
    pub(crate) fn with_ca_file(path: &Path) -> io::Result<Self> {
        let loaded = rustls_native_certs::load_certs_from_paths(Some(path), None);
        if let Some(error) = loaded.errors.into_iter().next() {
            return Err(io::Error::other(error));
        }
        let connector = Self::default();
        // The cell is new, so nothing is lost when this `set` finds it empty.
        let _ = connector.tls.set(Arc::new(config(loaded.certs)?));
        Ok(connector)
    }

    /// Opens the stream to a relay.
    pub(crate) async fn connect(&self, relay: &RelayUrl) -> io::Result<RelayStream> {
        let opening = async {
            let tcp = connect_tcp((relay.host(), relay.port())).await?;
            if !relay.is_tls() {
                return Ok(RelayStream::new(Socket::Plain(tcp)));
            }
            let name = ServerName::try_from(relay.host().to_owned()).map_err(io::Error::other)?;
            let tls = TlsConnector::from(self.tls_config()?)
                .connect(name, tcp)
                .await?;
            Ok(RelayStream::new(Socket::Tls(Box::new(tls))))
        };
        in_time(CONNECT_TIMEOUT, opening).await
    }

    fn tls_config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        // One broken file among the system's authorities is no reason to trust none.
        let loaded = rustls_native_certs::load_native_certs();
        let config = config(loaded.certs)?;
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}

/// Opens a TCP connection that sends small messages at once and notices a dead peer.
pub(crate) async fn connect_tcp(address: impl tokio::net::ToSocketAddrs) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    prepare_tcp(&stream)?;
    Ok(stream)
}

/// No Nagle (a signature is one small message each way), and TCP keep-alive.
pub(crate) fn prepare_tcp(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}

/// Runs an attempt and gives up on it after `limit`.
pub(crate) async fn in_time<T>(
    limit: Duration,
    attempt: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::time::timeout(limit, attempt)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
}

/// A stream to a relay, with a bound on what is read before the protocol above is set up.
pub(crate) struct RelayStream {
    socket: Socket,
    /// Bytes that may still be read; none is no bound.
    budget: Option<usize>,
}

impl RelayStream {
    fn new(socket: Socket) -> Self {
        Self {
            socket,
            budget: None,
        }
    }

    /// Ends with an error once more than `bytes` were read, until the bound is lifted.
    pub(crate) fn bound(&mut self, bytes: usize) {
        self.budget = Some(bytes);
    }

    /// Lifts the bound.
    pub(crate) fn unbound(&mut self) {
        self.budget = None;
    }
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for RelayStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = match &mut this.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        if let Some(budget) = &mut this.budget {
            match budget.checked_sub(buf.filled().len().saturating_sub(before)) {
                Some(left) => *budget = left,
                None => return Poll::Ready(Err(io::Error::other("the answer is too long"))),
            }
        }
        polled
    }
}

impl AsyncWrite for RelayStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Socket::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Socket::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(tcp) => tcp.is_write_vectored(),
            Socket::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Socket::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Socket::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// TLS 1.3 alone (the crate's features leave no other) with the provider's
/// post-quantum key exchange first.
fn config(
    authorities: Vec<rustls::pki_types::CertificateDer<'static>>,
) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(authorities);
    if taken == 0 {
        return Err(io::Error::other("no certificate authority found"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// TCP and TLS together. Why: two round trips on any network that is of use.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence before TCP asks whether the peer is there. Why: as the channel's keep-alive
/// (`spec/curve.md` section 8), below what routers forget.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(25);

/// Time between two such questions. Why: with [`KEEPALIVE_PROBES`] a dead peer is known in a minute.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Questions without an answer before the connection is dead.
const KEEPALIVE_PROBES: u32 = 3;
