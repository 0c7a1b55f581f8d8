//! One WebSocket: RFC 6455's handshake, then messages in and frames out.
//!
//! **Invariant:** while a frame goes out no message is read, so nothing piles up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use keystead_daemon::websocket;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_websockets::{CloseCode, Limits, Message, ServerBuilder, WebSocketStream};

use super::body::{Body, plain};
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
    if !websocket::is_asked_for(request.headers()) {
        return Ok(upgrade_required());
    }
    let accept = websocket::accept(request.headers()).ok_or(Refusal::Malformed)?;
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
    websocket::upgrade(headers);
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

fn upgrade_required() -> Response<Body> {
    let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n");
    websocket::upgrade(response.headers_mut());
    response
}

/// For a close frame to go out.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
