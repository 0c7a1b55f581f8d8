//! Health, readiness and metrics, on an address of their own.
//!
//! **Invariant**: it tells numbers and nothing else, takes no body, and cannot be made to
//! hold more than a few connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::metrics::CONTENT_TYPE;
use crate::server::Server;

/// Tells until it is dropped.
pub async fn tell(listener: TcpListener, server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let server = server.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(answer(&server, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WAIT)
                .keep_alive(false)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(WAIT, connection).await;
            drop(place);
        });
    }
}

async fn answer(server: &Server, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "GET is all\n".into());
    }
    match request.uri().path() {
        "/health" => plain(StatusCode::OK, "ok\n".into()),
        "/ready" => match server.readiness().await {
            Ok(()) => plain(StatusCode::OK, "ready\n".into()),
            Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        "/metrics" => {
            let size = i64::try_from(server.ledger.size()).unwrap_or(i64::MAX);
            server.metrics.log_size.set(size);
            let mut response = plain(StatusCode::OK, server.metrics.text());
            let kind = HeaderValue::from_static(CONTENT_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "/health, /ready, /metrics\n".into()),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text);
    response
}

/// 32 at once: a few that scrape, a person, and those that hang.
const CONNECTIONS_MAX: usize = 32;

/// For the head of a request.
const HEAD_WAIT: Duration = Duration::from_secs(5);

/// For all of it.
const WAIT: Duration = Duration::from_secs(15);

/// When the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// 8 KiB: more than any scraper's.
const HEAD_BYTES_MAX: usize = 8 * 1_024;
