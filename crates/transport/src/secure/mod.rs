//! TLS 1.3 to a key server (`spec/session.md` section 2): a stream, and what binds a
//! session to it.
//!
//! **Invariant:** no stream is given out before the server's certificate was checked
//! for its name, its time and the authority that the caller trusts; an older TLS, an
//! early byte or another protocol (ALPN) is refused.

mod error;
mod trust;
mod validity;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::connect::connect_tcp;

pub use error::{CertificateFault, SecureError};
pub use trust::{Authorities, Trust, TrustError};

/// Opens streams to one server; cheap to keep, the certificates are read once.
#[derive(Clone)]
pub struct SecureConnector {
    tls: TlsConnector,
    host: String,
    port: u16,
    wait: Duration,
}

impl SecureConnector {
    /// For the server at `address`, `host:port`, with or without `https://` before it;
    /// without a port it is [`PORT`].
    ///
    /// # Errors
    /// No address, or no authority that could be trusted.
    pub fn new(address: &str, trust: &Trust) -> Result<Self, TrustError> {
        let (host, port) = split(address).ok_or_else(|| TrustError::Address(address.to_owned()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = trust.verifier(&provider)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TrustError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_early_data = false;
        // A ticket of TLS would skip the certificate, and sessions resume by themselves.
        config.resumption = rustls::client::Resumption::disabled();
        let tls = TlsConnector::from(Arc::new(config));
        let wait = STEP_WAIT;
        Ok(Self {
            tls,
            host,
            port,
            wait,
        })
    }

    /// With another time for each step.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Opens a stream: TCP, then TLS, each within its time.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn connect(&self) -> Result<SecureStream, SecureError> {
        let address = (self.host.as_str(), self.port);
        let tcp = tokio::time::timeout(self.wait, connect_tcp(address)).await;
        let tcp = tcp.map_err(|_| SecureError::Late)?;
        let tcp = tcp.map_err(SecureError::Unreachable)?;
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|_| SecureError::Name(self.host.clone()))?;
        let tls = tokio::time::timeout(self.wait, self.tls.connect(name, tcp)).await;
        let tls = tls.map_err(|_| SecureError::Late)?;
        let stream = tls.map_err(|error| SecureError::of(error, &self.host))?;
        let (_, connection) = stream.get_ref();
        if connection.alpn_protocol() != Some(ALPN) {
            return Err(SecureError::Protocol);
        }
        let exporter = connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]));
        let exporter = exporter.map_err(|_| SecureError::Protocol)?;
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let ends_unix_s = certificate.and_then(|it| validity::ends_unix_s(it));
        Ok(SecureStream {
            stream,
            exporter,
            ends_unix_s,
        })
    }
}

impl fmt::Debug for SecureConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecureConnector({}:{})", self.host, self.port)
    }
}

/// A stream to a server that has proved its name.
pub struct SecureStream {
    stream: TlsStream<TcpStream>,
    exporter: [u8; 32],
    ends_unix_s: Option<u64>,
}

impl SecureStream {
    /// The second, counted from 1970, at which the server's certificate ends; none if it
    /// could not be read. It was judged before.
    #[must_use]
    pub fn certificate_ends_unix_s(&self) -> Option<u64> {
        self.ends_unix_s
    }

    /// `EXPORTER-Channel-Binding` with an empty context (RFC 9266 section 4): both ends
    /// of this one connection have it, and nobody between them.
    #[must_use]
    pub fn exporter(&self) -> [u8; 32] {
        self.exporter
    }
}

impl AsyncRead for SecureStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for SecureStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Host and port of an address as people write it.
fn split(address: &str) -> Option<(String, u16)> {
    let address = address.strip_prefix("https://").unwrap_or(address);
    let address = address.strip_suffix('/').unwrap_or(address);
    let uri: http::uri::Authority = address.parse().ok()?;
    if uri.as_str().contains('@') || uri.host().is_empty() {
        return None;
    }
    let host = uri.host().trim_start_matches('[').trim_end_matches(']');
    let port = match uri.port() {
        Some(port) => port.as_str().parse().ok().filter(|port| *port != 0)?,
        None if uri.as_str() == uri.host() => PORT,
        // What follows the colon is no port.
        None => return None,
    };
    Some((host.to_owned(), port))
}

/// The protocol of frames on a stream (RFC 7301; `spec/session.md` section 2).
pub const ALPN: &[u8] = b"keystead/1";

/// The port where an address names none.
pub const PORT: u16 = 443;

/// RFC 9266 section 4.2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// TCP, and TLS after it, each. Why: two tries of the system's own on a network that is of
/// use; a server that stays silent for longer is no server.
const STEP_WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::split;

    #[track_caller]
    fn check(address: &str, expected: Option<(&str, u16)>) {
        let expected = expected.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(split(address), expected, "{address}");
    }

    #[test]
    fn addresses() {
        check("server.example", Some(("server.example", 443)));
        check("https://server.example", Some(("server.example", 443)));
        check(
            "https://server.example:8443/",
            Some(("server.example", 8443)),
        );
        check("127.0.0.1:9000", Some(("127.0.0.1", 9000)));
        check("[::1]:9000", Some(("::1", 9000)));
        check("http://server.example", None);
        check("server.example/path", None);
        check("alex@server.example", None);
        check("server.example:0", None);
        check("server.example:", None);
        check("server.example:99999", None);
        check("", None);
        check(":443", None);
    }
}
