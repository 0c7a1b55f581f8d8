//! Frames of a connection: on the stream, or one a WebSocket message.
//!
//! **Invariant**: a frame is refused from its announced length; of what is announced no
//! more is kept than its stage allows. Waiting for a frame may be dropped: nothing is lost.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use keystead_channel::session::{
    Deframer, FrameError, REST_BYTES_MAX, REST_BYTES_MAX_BEFORE_LOGIN,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_websockets::{CloseCode, Limits, Message, ServerBuilder, WebSocketStream};

/// What brings frames and takes them away.
pub(super) trait Frames: Send {
    /// The rest of the next frame, without its length.
    fn next(&mut self) -> impl Future<Output = Result<Vec<u8>, End>> + Send;

    /// One that has come already.
    fn buffered(&mut self) -> Result<Option<Vec<u8>>, End>;

    /// Sends frames with their lengths, in one write where that can be.
    fn send(&mut self, frames: Vec<Vec<u8>>) -> impl Future<Output = Result<(), End>> + Send;

    /// From now on long frames are taken.
    fn admit_long_frames(&mut self);

    /// Says that nothing follows.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Why no frame follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The other side is gone.
    Gone,
    /// It sent what is no frame.
    NoFrame(FrameError),
}

/// ALPN `keystead/1`: frames on the stream.
pub(super) struct OnStream<S> {
    stream: S,
    deframer: Deframer,
}

impl<S> OnStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            deframer: Deframer::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Frames for OnStream<S> {
    async fn next(&mut self) -> Result<Vec<u8>, End> {
        loop {
            if let Some(rest) = self.buffered()? {
                return Ok(rest);
            }
            let mut bytes = [0; READ_BYTES];
            let read = self.stream.read(&mut bytes).await;
            match read.ok().and_then(|read| bytes.get(..read)) {
                None | Some([]) => return Err(End::Gone),
                Some(bytes) => self.deframer.push(bytes),
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Vec<u8>>, End> {
        self.deframer.next_rest().map_err(End::NoFrame)
    }

    async fn send(&mut self, frames: Vec<Vec<u8>>) -> Result<(), End> {
        let bytes = frames.concat();
        let written = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|_| End::Gone)
    }

    fn admit_long_frames(&mut self) {
        self.deframer.admit_long_frames();
    }

    async fn close(mut self) {
        let _ = tokio::time::timeout(CLOSE_WAIT, self.stream.shutdown()).await;
    }
}

/// One binary message a frame, without its length.
pub(super) struct OnWebSocket<S> {
    stream: WebSocketStream<S>,
    rest_bytes_max: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> OnWebSocket<S> {
    /// After the handshake.
    pub(super) fn new(stream: S) -> Self {
        let limits = Limits::default().max_payload_len(Some(REST_BYTES_MAX_BEFORE_LOGIN));
        Self {
            stream: ServerBuilder::new().limits(limits).serve(stream),
            rest_bytes_max: REST_BYTES_MAX_BEFORE_LOGIN,
        }
    }

    fn taken(&self, message: Message) -> Result<Option<Vec<u8>>, End> {
        if message.is_binary() {
            let rest = message.into_payload();
            if rest.len() > self.rest_bytes_max {
                return Err(End::NoFrame(FrameError::Length));
            }
            return Ok(Some(rest.to_vec()));
        }
        if message.is_text() || message.is_close() {
            return Err(End::Gone);
        }
        Ok(None)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Frames for OnWebSocket<S> {
    async fn next(&mut self) -> Result<Vec<u8>, End> {
        loop {
            // The end, or a message that is too long: the stream has said so itself.
            let Some(Ok(message)) = self.stream.next().await else {
                return Err(End::Gone);
            };
            if let Some(rest) = self.taken(message)? {
                return Ok(rest);
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Vec<u8>>, End> {
        Ok(None)
    }

    async fn send(&mut self, frames: Vec<Vec<u8>>) -> Result<(), End> {
        for frame in frames {
            let rest = frame.get(LENGTH_BYTES..).unwrap_or_default().to_vec();
            let fed = self.stream.feed(Message::binary(rest)).await;
            fed.map_err(|_| End::Gone)?;
        }
        self.stream.flush().await.map_err(|_| End::Gone)
    }

    fn admit_long_frames(&mut self) {
        self.rest_bytes_max = REST_BYTES_MAX;
        let limits = self.stream.limits_mut();
        limits.set_max_payload_len(Some(REST_BYTES_MAX));
    }

    async fn close(mut self) {
        let closing = self
            .stream
            .send(Message::close(Some(CloseCode::NORMAL_CLOSURE), ""));
        let _ = tokio::time::timeout(CLOSE_WAIT, closing).await;
    }
}

/// 2 KiB a read: most frames are shorter, and a thousand idle connections hold 2 MiB.
const READ_BYTES: usize = 2_048;

/// The length before a frame on the stream.
const LENGTH_BYTES: usize = 4;

/// For the last bytes to go out.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
