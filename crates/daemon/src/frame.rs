//! Frames of `u32 length ‖ bytes`, as at the SSH agent socket.
//!
//! **Invariant:** a frame above the limit is refused by its announced length,
//! and memory grows with what arrived, not with what was announced. What held a
//! frame is wiped when it is taken or dropped.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use zeroize::{Zeroize, Zeroizing};

/// Reads frames from a connection.
///
/// [`FrameReader::next`] may be dropped at any await and called again: a frame
/// that came in part is not lost.
pub struct FrameReader<R> {
    reader: R,
    limits: Limits,
    held: Held,
    give_up_at: Option<Instant>,
}

/// What a connection may send, and how slowly.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body in bytes; the four bytes of the length do not count.
    pub bytes_max: u32,
    /// From a frame's first byte to its last. Between frames a connection may
    /// rest for ever (OpenSSH keeps its agent connection open).
    pub partial_wait: Duration,
}

impl Limits {
    /// The limits of the SSH agent socket: 256 KiB as in OpenSSH
    /// (`AGENT_MAX_LEN`), and ten seconds for a frame begun, so that a client
    /// that stops in the middle does not hold a connection for ever.
    pub const SSH_AGENT: Self = Self {
        bytes_max: 256 * 1024,
        partial_wait: Duration::from_secs(10),
    };
}

/// What came and was not taken yet: `bytes[start..end]`, from a frame's first byte on.
struct Held {
    bytes: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `reader`.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            reader,
            limits,
            held: Held::empty(),
            give_up_at: None,
        }
    }

    /// The next frame's body, perhaps of length 0; `None` when the peer closed
    /// between two frames.
    ///
    /// # Errors
    /// [`FrameError`]; the connection is to be closed then.
    pub async fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        loop {
            if let Some(body) = self.held.take_whole(self.limits.bytes_max)? {
                self.give_up_at = self.held.is_begun().then(|| self.deadline());
                return Ok(Some(body));
            }
            let room = self.held.room();
            let read = match self.give_up_at {
                None => self.reader.read(room).await?,
                Some(at) => timeout_at(at, self.reader.read(room)).await.map_err(|_| {
                    FrameError::Stalled {
                        wait: self.limits.partial_wait,
                    }
                })??,
            };
            match (read, self.held.is_begun()) {
                (0, false) => return Ok(None),
                (0, true) => return Err(FrameError::Cut),
                (count, _) => self.held.end += count,
            }
            if self.give_up_at.is_none() && !self.held.is_whole() {
                self.give_up_at = Some(self.deadline());
            }
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.limits.partial_wait
    }
}

impl Held {
    fn empty() -> Self {
        Self {
            bytes: Zeroizing::new(Vec::new()),
            start: 0,
            end: 0,
        }
    }

    fn came(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    const fn is_begun(&self) -> bool {
        self.start < self.end
    }

    /// How long the first frame is said to be, once its header is there.
    fn announced(&self) -> Option<u32> {
        let header = self.came().first_chunk::<HEADER_BYTES>()?;
        Some(u32::from_be_bytes(*header))
    }

    /// Header and body of the first frame.
    fn whole_bytes(&self) -> usize {
        let body = self.announced().unwrap_or_default();
        HEADER_BYTES.saturating_add(usize::try_from(body).unwrap_or(usize::MAX))
    }

    fn is_whole(&self) -> bool {
        self.came().len() >= self.whole_bytes()
    }

    /// The frame, when all of it is there; refuses as soon as the length is. Where it was is wiped.
    fn take_whole(&mut self, bytes_max: u32) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        let Some(announced) = self.announced() else {
            return Ok(None);
        };
        if announced > bytes_max {
            return Err(FrameError::TooLong {
                announced,
                bytes_max,
            });
        }
        if !self.is_whole() {
            return Ok(None);
        }
        let end = self.start + self.whole_bytes();
        let whole = self.bytes.get_mut(self.start..end).unwrap_or_default();
        let body = whole.get(HEADER_BYTES..).unwrap_or_default().to_vec();
        whole.zeroize();
        self.start = end;
        if !self.is_begun() {
            if self.bytes.len() > FIRST_ROOM_BYTES {
                self.bytes = Zeroizing::new(Vec::new());
            }
            (self.start, self.end) = (0, 0);
        }
        Ok(Some(Zeroizing::new(body)))
    }

    /// Where the next bytes go. Room grows with what arrived, at most doubling, and not past the
    /// frame; the old place is wiped.
    fn room(&mut self) -> &mut [u8] {
        if self.end == self.bytes.len() {
            let held = self.end - self.start;
            let len = (held * 2).min(self.whole_bytes()).max(FIRST_ROOM_BYTES);
            let mut moved = Zeroizing::new(vec![0; len]);
            for (to, from) in moved.iter_mut().zip(self.came()) {
                *to = *from;
            }
            self.bytes = moved;
            (self.start, self.end) = (0, held);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }
}

/// Writes one frame and flushes.
///
/// # Errors
/// The connection's; `InvalidInput` above `u32::MAX` bytes.
pub async fn write_frame<W: AsyncWrite + Unpin>(writer: &mut W, body: &[u8]) -> io::Result<()> {
    let len = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One write, so that a short answer is one packet and one wake-up.
    let mut frame = Zeroizing::new(Vec::with_capacity(HEADER_BYTES + body.len()));
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(body);
    writer.write_all(&frame).await?;
    writer.flush().await
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The announced length is above the limit.
    #[error("a frame of {announced} bytes was announced, at most {bytes_max} are taken")]
    TooLong {
        /// What the header said.
        announced: u32,
        /// The limit.
        bytes_max: u32,
    },
    /// The peer closed in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    Cut,
    /// The rest of a frame did not come in time.
    #[error("the rest of a frame did not come within {} s", wait.as_secs())]
    Stalled {
        /// How long was waited.
        wait: Duration,
    },
    /// The connection's error.
    #[error("the connection broke")]
    Connection(#[from] io::Error),
}

const HEADER_BYTES: usize = 4;

/// Nearly all frames of `ssh` fit in 1 KiB, and then one read(2) brings header and body; longer
/// ones pay for their length.
const FIRST_ROOM_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    const LIMITS: Limits = Limits {
        bytes_max: 5_000,
        partial_wait: Duration::from_millis(200),
    };

    /// Feeds the pieces, closes, and reads until the end.
    async fn read_all(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
        let (mut writer, reader) = duplex(1 << 16);
        for piece in pieces {
            writer.write_all(piece).await.unwrap();
        }
        drop(writer);
        let mut frames = FrameReader::new(reader, LIMITS);
        let mut came = Vec::new();
        loop {
            match frames.next().await {
                Ok(Some(frame)) => came.push(frame.to_vec()),
                Ok(None) => return (came, Ok(())),
                Err(error) => return (came, Err(error)),
            }
        }
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        frame
    }

    #[tokio::test]
    async fn frames_of_every_length_come_through_in_any_pieces() {
        let lens = [0, 1, 4, 1_023, 1_024, 1_025, 2_049, 5_000];
        let bodies: Vec<Vec<u8>> = lens.iter().map(|len| vec![7; *len]).collect();
        let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        for piece_len in [1, 3, 1_000, stream.len()] {
            let pieces: Vec<&[u8]> = stream.chunks(piece_len).collect();
            let (came, end) = read_all(&pieces).await;
            assert_eq!(came, bodies, "in pieces of {piece_len}");
            end.unwrap();
        }
    }

    #[tokio::test]
    async fn every_proper_prefix_is_cut() {
        let whole = framed(b"some body");
        for len in 1..whole.len() {
            let (came, end) = read_all(&[&whole[..len]]).await;
            assert!(came.is_empty());
            assert!(matches!(end, Err(FrameError::Cut)), "{len}: {end:?}");
        }
    }

    #[tokio::test]
    async fn an_announced_length_above_the_limit_is_refused_at_once() {
        for announced in [5_001, u32::MAX] {
            let (mut writer, reader) = duplex(64);
            writer.write_all(&announced.to_be_bytes()).await.unwrap();
            let mut frames = FrameReader::new(reader, LIMITS);
            // The writer is still open: nothing is waited for.
            let refused = frames.next().await;
            let Err(FrameError::TooLong {
                announced: said, ..
            }) = refused
            else {
                panic!("{refused:?}")
            };
            assert_eq!(said, announced);
            assert_eq!(frames.held.bytes.len(), FIRST_ROOM_BYTES);
        }
    }

    #[tokio::test]
    async fn memory_follows_what_arrived() {
        let (mut writer, reader) = duplex(64);
        writer.write_all(&5_000_u32.to_be_bytes()).await.unwrap();
        let mut frames = FrameReader::new(reader, LIMITS);
        let stalled = frames.next().await;
        assert!(matches!(stalled, Err(FrameError::Stalled { .. })));
        assert!(frames.held.bytes.capacity() <= FIRST_ROOM_BYTES);
    }

    #[tokio::test]
    async fn a_dropped_wait_loses_nothing() {
        let (mut writer, reader) = duplex(64);
        let mut frames = FrameReader::new(reader, LIMITS);
        let whole = framed(b"hello");
        let (last, first) = whole.split_last().unwrap();
        for byte in first {
            writer.write_all(&[*byte]).await.unwrap();
            let waited = tokio::time::timeout(Duration::from_millis(1), frames.next()).await;
            assert!(waited.is_err());
        }
        writer.write_all(&[*last]).await.unwrap();
        let frame = frames.next().await.unwrap().unwrap();
        assert_eq!(frame.as_slice(), b"hello");
    }

    #[tokio::test]
    async fn resting_between_frames_is_no_stall() {
        let (mut writer, reader) = duplex(64);
        let mut frames = FrameReader::new(reader, LIMITS);
        write_frame(&mut writer, b"a").await.unwrap();
        assert_eq!(frames.next().await.unwrap().unwrap().as_slice(), b"a");
        let rested = tokio::time::timeout(LIMITS.partial_wait * 2, frames.next()).await;
        assert!(rested.is_err());
        write_frame(&mut writer, b"").await.unwrap();
        assert!(frames.next().await.unwrap().unwrap().is_empty());
    }
}
