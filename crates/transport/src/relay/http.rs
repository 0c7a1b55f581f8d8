//! One HTTP/1.1 connection to a relay.
//!
//! Invariant: no answer's body is kept beyond [`BODY_BYTES_MAX`].

use std::io;
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use ::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::Site;
use crate::connect::in_time;

/// A connection; dropped, it is closed.
pub(super) struct Http {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

/// Which connection a call goes over.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Connection {
    Kept,
    New,
}

/// What to ask.
pub(super) struct Ask {
    pub(super) method: Method,
    /// Below the relay's address, with its query.
    pub(super) path: String,
    pub(super) token: [u8; 32],
    pub(super) body: Bytes,
    pub(super) limit: Duration,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

impl Answer {
    /// Nothing came.
    pub(super) fn nothing() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            retry_after: None,
            body: Bytes::new(),
        }
    }
}

impl Http {
    async fn connect(site: &Site) -> io::Result<Self> {
        let stream = site.connector.connect(&site.relay).await?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "HTTP connection ended");
            }
        });
        Ok(Self { sender, driver })
    }

    /// Asks on the connection at hand, or on a new one where there is none or the
    /// relay has closed it meanwhile. Every call may be repeated without harm.
    ///
    /// What is asked may differ between the two: `ask` is told whether the connection is new.
    pub(super) async fn ask(
        kept: &mut Option<Http>,
        site: &Site,
        ask: impl Fn(Connection) -> Ask,
    ) -> io::Result<Answer> {
        if let Some(mut http) = kept.take()
            && let Ok(answer) = http.ask_once(site, ask(Connection::Kept)).await
        {
            *kept = Some(http);
            return Ok(answer);
        }
        let mut http = Http::connect(site).await?;
        let answer = http.ask_once(site, ask(Connection::New)).await?;
        *kept = Some(http);
        Ok(answer)
    }

    async fn ask_once(&mut self, site: &Site, ask: Ask) -> io::Result<Answer> {
        let request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", site.relay.path(), ask.path))
            .header(HOST, site.relay.authority())
            .header(
                AUTHORIZATION,
                format!("Bearer {}", URL_SAFE_NO_PAD.encode(ask.token)),
            )
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(ask.body))
            .map_err(io::Error::other)?;
        in_time(ask.limit, async {
            self.sender.ready().await.map_err(io::Error::other)?;
            let response = self
                .sender
                .send_request(request)
                .await
                .map_err(io::Error::other)?;
            let status = response.status();
            let retry_after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs);
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
                .collect()
                .await
                .map_err(io::Error::other)?
                .to_bytes();
            Ok(Answer {
                status,
                retry_after,
                body,
            })
        })
        .await
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Longest body: a full mailbox (4 MiB, 256 items with 12 bytes before each).
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024 + 256 * 12;
