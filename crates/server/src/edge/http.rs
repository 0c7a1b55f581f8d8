//! Browsers: HTTP only as far as a WebSocket at `/session`.
//!
//! **Invariant**: a page whose origin is not on the list gets no WebSocket, and nothing
//! else is served here.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keystead_daemon::websocket;

use super::admission::Place;
use super::carrier::Carrier;
use super::frames::OnWebSocket;
use super::life::Life;
use super::tls::Stream;
use crate::conversation::Link;
use crate::server::Server;

/// A connection that speaks HTTP, until it is a WebSocket.
pub(super) struct Visit {
    pub(super) server: Arc<Server>,
    pub(super) link: Link,
    pub(super) place: Place,
    pub(super) life: Life,
    pub(super) hello_until_ms: u64,
}

/// The visit until somebody takes it: a connection has one WebSocket.
type Waiting = Arc<Mutex<Option<Visit>>>;

impl Visit {
    /// Serves it to its end.
    pub(super) async fn receive(self, stream: Stream) {
        let server = self.server.clone();
        let wait = Duration::from_secs(u64::from(server.settings.connections.hello_s));
        let mut life = self.life.clone();
        // Until it is a WebSocket: then the carrier waits for that.
        let evicted = self.place.eviction();
        let waiting: Waiting = Arc::new(Mutex::new(Some(self)));
        let serving = server.clone();
        let service = service_fn(move |request| {
            let waiting = waiting.clone();
            let server = serving.clone();
            async move { Ok::<_, Infallible>(answer(&server, &waiting, request)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(wait)
            .keep_alive(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::select! {
            _ = connection => {}
            () = evicted => server.metrics.turn_away("made room"),
            () = life.stopped() => {}
        }
    }
}

fn answer(server: &Server, waiting: &Waiting, mut request: Request<Incoming>) -> Response<Body> {
    if request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, "nothing is here\n");
    }
    if request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET is all\n");
        let allow = HeaderValue::from_static("GET");
        response.headers_mut().insert(header::ALLOW, allow);
        return response;
    }
    if !websocket::is_asked_for(request.headers()) {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n");
        websocket::upgrade(response.headers_mut());
        return response;
    }
    if !is_allowed(request.headers(), &server.settings.websocket.origins) {
        server.metrics.turn_away("origin");
        return plain(StatusCode::FORBIDDEN, "not from this origin\n");
    }
    let offers = websocket::has_token(
        request.headers(),
        header::SEC_WEBSOCKET_PROTOCOL,
        SUBPROTOCOL,
    );
    let accept = websocket::accept(request.headers()).filter(|_| offers);
    let Some(accept) = accept else {
        return plain(StatusCode::BAD_REQUEST, "no handshake of keystead.1\n");
    };
    let visit = waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(visit) = visit else {
        return plain(StatusCode::BAD_REQUEST, "one WebSocket a connection\n");
    };
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrading.await else {
            return;
        };
        let frames = OnWebSocket::new(TokioIo::new(upgraded));
        let Visit {
            server,
            link,
            place,
            life,
            hello_until_ms,
        } = visit;
        Carrier::new(&server, link, frames, place, life, hello_until_ms)
            .carry()
            .await;
    });
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    websocket::upgrade(headers);
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    let protocol = HeaderValue::from_static(SUBPROTOCOL);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    response
}

/// Browsers always say from which page they come; who does not say is none, and can speak
/// frames on the stream.
fn is_allowed(headers: &HeaderMap, origins: &[String]) -> bool {
    let mut given = headers.get_all(header::ORIGIN).iter();
    match (given.next(), given.next()) {
        (Some(origin), None) => origins.iter().any(|it| origin.as_bytes() == it.as_bytes()),
        _ => false,
    }
}

type Body = Full<Bytes>;

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text);
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    response
}

/// `spec/session.md` section 2.
const PATH: &str = "/session";

/// `spec/session.md` section 2.
const SUBPROTOCOL: &str = "keystead.1";

/// Longest head: browsers send some KiB.
const HEAD_BYTES_MAX: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_whole() {
        let list = ["https://keys.example.org".to_owned()];
        let check = |given: &[&'static str], expected| {
            let mut headers = HeaderMap::new();
            for origin in given {
                headers.append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_allowed(&headers, &list), expected, "{given:?}");
            assert!(!is_allowed(&headers, &[]));
        };
        check(&["https://keys.example.org"], true);
        check(&[], false);
        check(&["null"], false);
        check(&["http://keys.example.org"], false);
        check(&["https://keys.example.org:8443"], false);
        check(&["https://keys.example.org.evil.example"], false);
        check(
            &["https://keys.example.org", "https://keys.example.org"],
            false,
        );
    }
}
