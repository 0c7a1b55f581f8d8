//! One WebSocket: RFC 6455's handshake, then messages in and frames out.
//!
//! **Invariant:** while a frame goes out no message is read, so nothing piles up.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_websockets::{CloseCode, Limits, Message, ServerBuilder, WebSocketStream};

use super::body::Body;
use super::http::plain;
use super::shared::Shared;
use super::{Admitted, Life, Waits};
use crate::machine::{Event, MESSAGE_BYTES_MAX, Refusal, SocketId, Source};

/// What a WebSocket needs as long as it lives.
pub(super) struct Carrier {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Source,
    pub(super) waits: Waits,
    pub(super) life: Life,
    /// Its connection, and behind a proxy its source's.
    pub(super) counted: [Option<Arc<Admitted>>; 2],
}

/// Answers the handshake and carries the WebSocket on.
pub(super) fn upgrade(
    carrier: Carrier,
    request: &mut Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    if !has_token(request.headers(), header::UPGRADE, "websocket") {
        return Ok(upgrade_required());
    }
    let accept = handshake(request.headers())?;
    let upgrading = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrading.await else {
            return;
        };
        let limits = Limits::default().max_payload_len(Some(MESSAGE_BYTES_MAX));
        let stream = ServerBuilder::new()
            .limits(limits)
            .serve(TokioIo::new(upgraded));
        carrier.carry(stream).await;
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

type Stream = WebSocketStream<TokioIo<Upgraded>>;

impl Carrier {
    async fn carry(mut self, mut stream: Stream) {
        let shared = &self.shared;
        let (socket, mut frames) = shared.open(self.source);
        let open = Open { shared, socket };
        let mut heard = Instant::now();
        let mut pings = interval_at(heard + self.waits.ping, self.waits.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reason = loop {
            tokio::select! {
                frame = frames.recv() => {
                    let Some(frame) = frame else { break None };
                    if stream.send(Message::binary(frame)).await.is_err() {
                        break None;
                    }
                    shared.step(Event::Sent { socket });
                }
                message = stream.next() => {
                    // The end, or too long a message: the stream has said so itself.
                    let Some(Ok(message)) = message else { break None };
                    heard = Instant::now();
                    if message.is_binary() {
                        let message = message.into_payload().to_vec();
                        shared.step(Event::Message { socket, message });
                    } else if message.is_text() {
                        break Some(CloseCode::UNSUPPORTED_DATA);
                    }
                }
                _ = pings.tick() => {
                    if heard.elapsed() > self.waits.silence {
                        break None;
                    }
                    if stream.send(Message::ping("")).await.is_err() {
                        break None;
                    }
                }
                () = self.life.stopped() => break Some(CloseCode::GOING_AWAY),
            }
        };
        drop(open);
        if let Some(code) = reason {
            let closing = stream.send(Message::close(Some(code), ""));
            let _ = tokio::time::timeout(CLOSE_WAIT, closing).await;
        }
        // Until here the connection counted.
        drop(self.counted);
    }
}

/// Tells the relay when the WebSocket is gone, however it ends.
struct Open<'a> {
    shared: &'a Shared,
    socket: SocketId,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.close(self.socket);
    }
}

/// The value of `Sec-WebSocket-Accept` (RFC 6455 §4.2.2).
fn handshake(headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if !has_token(headers, header::CONNECTION, "upgrade")
        || version.is_none_or(|version| version != "13")
    {
        return Err(Refusal::Malformed);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or(Refusal::Malformed)?.as_bytes();
    let is_key = STANDARD
        .decode(key)
        .is_ok_and(|nonce| nonce.len() == KEY_BYTES);
    if !is_key {
        return Err(Refusal::Malformed);
    }
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let accept = STANDARD.encode(hash.digest().bytes());
    HeaderValue::from_str(&accept).map_err(|_| Refusal::Malformed)
}

/// Whether a header that lists tokens has this one.
fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    let lists = values.iter().filter_map(|value| value.to_str().ok());
    let mut tokens = lists.flat_map(|list| list.split(','));
    tokens.any(|found| found.trim().eq_ignore_ascii_case(token))
}

fn upgrade_required() -> Response<Body> {
    let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n");
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// RFC 6455 §4.1: a nonce of 16 bytes.
const KEY_BYTES: usize = 16;

/// For a close frame to go out.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        let pairs =
            pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        pairs.collect()
    }

    /// RFC 6455 §1.3's own example.
    #[test]
    fn the_handshake_of_the_standard() {
        let given = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        let accept = handshake(&given).unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_handshake_that_lacks_something_is_malformed() {
        let whole = [
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert!(handshake(&headers(&whole)).is_ok());
        for left_out in 0..whole.len() {
            let mut some = whole.to_vec();
            some.remove(left_out);
            assert!(handshake(&headers(&some)).is_err(), "without {left_out}");
        }
        let mut short = whole;
        short[2].1 = "c2hvcnQ=";
        assert!(handshake(&headers(&short)).is_err());
        let mut old = whole;
        old[1].1 = "8";
        assert!(handshake(&headers(&old)).is_err());
    }
}
