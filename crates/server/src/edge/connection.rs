//! One TCP connection: whose it is, TLS, which protocol.
//!
//! **Invariant**: until hello the whole of it has one deadline; nothing is spoken before
//! the source has its place.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use keystead_daemon::stall::Stalling;
use keystead_daemon::{Clock, SystemClock};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::admission::{Admission, Place};
use super::carrier::Carrier;
use super::frames::OnStream;
use super::http;
use super::life::Life;
use super::proxy::{self, Told};
use super::tls::{EXPORTER_LABEL, FRAMES, HTTP, Stream};
use crate::conversation::Link;
use crate::server::Server;

/// What every connection of a listener is given.
#[derive(Clone)]
pub(super) struct Reception {
    pub(super) server: Arc<Server>,
    pub(super) tls: TlsAcceptor,
    pub(super) admission: Arc<Admission>,
}

impl Reception {
    /// Serves a connection to its end.
    pub(super) async fn serve(self, stream: TcpStream, peer: IpAddr, life: Life) {
        let metrics = &self.server.metrics;
        metrics.connections.inc();
        self.clone().received(stream, peer, life).await;
        metrics.connections.dec();
    }

    async fn received(self, mut stream: TcpStream, peer: IpAddr, mut life: Life) {
        let connections = self.server.settings.connections;
        let hello = Duration::from_secs(u64::from(connections.hello_s));
        let hello_until_ms = SystemClock
            .now()
            .mono_ms
            .saturating_add(u64::from(connections.hello_s) * 1_000);
        let is_proxy = self
            .server
            .settings
            .proxy
            .from
            .contains(&peer.to_canonical());
        let source = if is_proxy {
            match tokio::time::timeout(hello, proxy::read(&mut stream)).await {
                Ok(Ok(Told::Client(client))) => client,
                Ok(Ok(Told::Itself)) => peer,
                Ok(Err(_)) | Err(_) => return self.server.metrics.turn_away("no PROXY header"),
            }
        } else {
            peer
        };
        let Some(place) = self.admission.take(source) else {
            return self.server.metrics.turn_away("no place");
        };
        let _ = stream.set_nodelay(true);
        let stall = Duration::from_secs(u64::from(connections.stall_s));
        let accepting = self.tls.accept(Stalling::new(stream, stall));
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(hello, accepting) => accepted,
            () = place.evicted() => return self.server.metrics.turn_away("made room"),
            () = life.stopped() => return,
        };
        let stream = match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS");
                return self.server.metrics.turn_away("no TLS");
            }
            Err(_) => return self.server.metrics.turn_away("late"),
        };
        let link = Link {
            exporter: exporter(&stream),
            source,
        };
        self.speak(stream, link, place, life, hello_until_ms).await;
    }

    async fn speak(
        self,
        stream: Stream,
        link: Link,
        place: Place,
        life: Life,
        hello_until_ms: u64,
    ) {
        let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        match protocol.as_deref() {
            Some(FRAMES) => {
                let frames = OnStream::new(stream);
                Carrier::new(&self.server, link, frames, place, life, hello_until_ms)
                    .carry()
                    .await;
            }
            Some(HTTP) => {
                let visit = http::Visit {
                    server: self.server,
                    link,
                    place,
                    life,
                    hello_until_ms,
                };
                visit.receive(stream).await;
            }
            // Who names no protocol is another program.
            _ => self.server.metrics.turn_away("no protocol"),
        }
    }
}

/// What sessions of this connection are bound to (RFC 9266).
fn exporter(stream: &Stream) -> Option<[u8; 32]> {
    let (_, connection) = stream.get_ref();
    connection
        .export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]))
        .ok()
}
