//! Control connections: one JSON object a line, perhaps followed by raw bytes.
//!
//! **Invariant:** a line above the limit is refused before more than the limit
//! is kept. Buffers are wiped: a passphrase follows its line as raw bytes.

use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use zeroize::{Zeroize, Zeroizing};

/// Reads lines, and the raw bytes that a line announces.
///
/// [`LineReader::next`] and [`LineReader::bytes`] may be dropped at any await
/// and called again: nothing that came is lost.
pub struct LineReader<R> {
    reader: R,
    limits: Limits,
    /// What came and was not taken yet; never above the limit of a line.
    held: Zeroizing<Vec<u8>>,
    held_len: usize,
    give_up_at: Option<Instant>,
}

/// What a control connection may send, and how slowly.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest line in bytes, its newline included; also the most raw bytes.
    pub bytes_max: usize,
    /// From the first byte of a line (or of raw bytes) to its last.
    pub partial_wait: Duration,
}

impl Limits {
    /// Control sockets: 64 KiB hold the longest command by far (a pairing link
    /// has some 300 bytes, a list of 1,000 keys goes the other way), and ten
    /// seconds are enough for a program to write a line it began.
    pub const CONTROL: Self = Self {
        bytes_max: 64 * 1024,
        partial_wait: Duration::from_secs(10),
    };

    /// A client's side of a control socket: answers may list every key and
    /// thousands of log entries, and come from a program that is trusted more.
    pub const ANSWERS: Self = Self {
        bytes_max: 16 * 1024 * 1024,
        partial_wait: Duration::from_secs(10),
    };
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads from `reader`.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            reader,
            limits,
            held: Zeroizing::new(Vec::new()),
            held_len: 0,
            give_up_at: None,
        }
    }

    /// The next line without its newline; `None` when the peer closed between
    /// two lines.
    ///
    /// # Errors
    /// [`LineError`]; the connection is to be closed then.
    pub async fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, LineError> {
        let mut looked = 0;
        loop {
            let fresh = self.came().get(looked..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let mut line = self.take(looked + at + 1);
                line.pop();
                return Ok(Some(line));
            }
            looked = self.held_len;
            if !self.read_more().await? {
                return if self.held_len == 0 {
                    Ok(None)
                } else {
                    Err(LineError::Cut)
                };
            }
        }
    }

    /// Exactly `count` raw bytes, which a line announced.
    ///
    /// # Errors
    /// [`LineError`]; the connection is to be closed then.
    pub async fn bytes(&mut self, count: usize) -> Result<Zeroizing<Vec<u8>>, LineError> {
        if count > self.limits.bytes_max {
            return Err(LineError::TooLong {
                bytes_max: self.limits.bytes_max,
            });
        }
        while self.held_len < count {
            if !self.read_more().await? {
                return Err(LineError::Cut);
            }
        }
        Ok(self.take(count))
    }

    /// Waits until the peer closes; anything it sends is an error. For a server
    /// that works on a request and must know that nobody waits any more.
    ///
    /// # Errors
    /// [`LineError::Unexpected`] when something comes.
    pub async fn closed(&mut self) -> Result<(), LineError> {
        if self.held_len > 0 || self.read_more().await? {
            return Err(LineError::Unexpected);
        }
        Ok(())
    }

    fn came(&self) -> &[u8] {
        self.held.get(..self.held_len).unwrap_or_default()
    }

    /// Takes the first bytes out, wipes where they were.
    fn take(&mut self, count: usize) -> Zeroizing<Vec<u8>> {
        let taken = Zeroizing::new(self.came().get(..count).unwrap_or_default().to_vec());
        self.held
            .copy_within(count.min(self.held_len)..self.held_len, 0);
        self.held_len = self.held_len.saturating_sub(count);
        if let Some(rest) = self.held.get_mut(self.held_len..) {
            rest.zeroize();
        }
        self.give_up_at = (self.held_len > 0).then(|| Instant::now() + self.limits.partial_wait);
        taken
    }

    /// Reads what is there; false at the end.
    async fn read_more(&mut self) -> Result<bool, LineError> {
        if self.held_len >= self.limits.bytes_max {
            return Err(LineError::TooLong {
                bytes_max: self.limits.bytes_max,
            });
        }
        if self.held_len == self.held.len() {
            let len = (self.held_len * 2).clamp(FIRST_ROOM_BYTES, self.limits.bytes_max.max(1));
            let mut grown = Zeroizing::new(vec![0; len]);
            for (to, from) in grown.iter_mut().zip(self.held.iter()) {
                *to = *from;
            }
            self.held = grown;
        }
        let room = self.held.get_mut(self.held_len..).unwrap_or_default();
        let read =
            match self.give_up_at {
                None => self.reader.read(room).await?,
                Some(at) => timeout_at(at, self.reader.read(room)).await.map_err(|_| {
                    LineError::Stalled {
                        wait: self.limits.partial_wait,
                    }
                })??,
            };
        self.held_len += read;
        if self.give_up_at.is_none() && read > 0 {
            self.give_up_at = Some(Instant::now() + self.limits.partial_wait);
        }
        Ok(read > 0)
    }
}

/// Writes one line and flushes; `line` is without its newline.
///
/// # Errors
/// The connection's; `InvalidInput` when the line holds a newline.
pub async fn write_line<W: AsyncWrite + Unpin>(writer: &mut W, line: &[u8]) -> io::Result<()> {
    if line.contains(&b'\n') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(line.len() + 1));
    whole.extend_from_slice(line);
    whole.push(b'\n');
    writer.write_all(&whole).await?;
    writer.flush().await
}

/// The command that a line holds, where its name is one of those that are asked for: several
/// kinds of commands share a socket.
#[must_use]
pub fn command<T: DeserializeOwned>(
    line: &[u8],
    is_ours: impl FnOnce(&str) -> bool,
) -> Option<serde_json::Result<T>> {
    #[derive(Deserialize)]
    struct Named {
        command: String,
    }
    let named: Named = serde_json::from_slice(line).ok()?;
    is_ours(&named.command).then(|| serde_json::from_slice(line))
}

/// Why no line came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// No newline within the limit.
    #[error("a line of more than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// The peer closed in the middle of a line.
    #[error("the connection ended in the middle of a line")]
    Cut,
    /// The rest of a line did not come in time.
    #[error("the rest of a line did not come within {} s", wait.as_secs())]
    Stalled {
        /// How long was waited.
        wait: Duration,
    },
    /// The peer spoke when it was to wait.
    #[error("the peer spoke before its answer")]
    Unexpected,
    /// The connection's error.
    #[error("the connection broke")]
    Connection(#[from] io::Error),
}

/// Commands are short lines.
const FIRST_ROOM_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    const LIMITS: Limits = Limits {
        bytes_max: 2_000,
        partial_wait: Duration::from_millis(200),
    };

    async fn fed(bytes: &[u8]) -> LineReader<tokio::io::DuplexStream> {
        let (mut writer, reader) = duplex(1 << 16);
        writer.write_all(bytes).await.unwrap();
        LineReader::new(reader, LIMITS)
    }

    #[tokio::test]
    async fn lines_and_raw_bytes_come_in_order() {
        let mut lines = fed(b"{\"a\":1}\n\nsecret\nwith newline\n{}\n").await;
        assert_eq!(
            lines.next().await.unwrap().unwrap().as_slice(),
            b"{\"a\":1}"
        );
        assert_eq!(lines.next().await.unwrap().unwrap().as_slice(), b"");
        assert_eq!(lines.bytes(0).await.unwrap().as_slice(), b"");
        let raw = lines.bytes(20).await.unwrap();
        assert_eq!(raw.as_slice(), b"secret\nwith newline\n");
        assert_eq!(lines.next().await.unwrap().unwrap().as_slice(), b"{}");
        assert!(lines.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_line_may_have_the_limit_and_no_byte_more() {
        let mut longest = vec![b'x'; LIMITS.bytes_max - 1];
        longest.push(b'\n');
        let line = fed(&longest).await.next().await.unwrap().unwrap();
        assert_eq!(line.len(), 1_999);
        longest.insert(0, b'x');
        let mut lines = fed(&longest).await;
        let refused = lines.next().await;
        assert!(matches!(refused, Err(LineError::TooLong { .. })));
        assert!(lines.held.capacity() <= LIMITS.bytes_max);
        let refused = fed(b"").await.bytes(2_001).await;
        assert!(matches!(refused, Err(LineError::TooLong { .. })));
    }

    #[tokio::test]
    async fn an_end_in_the_middle_is_cut() {
        let cut = fed(b"{\"a\"").await.next().await;
        assert!(matches!(cut, Err(LineError::Cut)), "{cut:?}");
        let cut = fed(b"12").await.bytes(3).await;
        assert!(matches!(cut, Err(LineError::Cut)), "{cut:?}");
        assert!(fed(b"").await.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn half_a_line_does_not_hold_a_connection_for_ever() {
        let (mut writer, reader) = duplex(64);
        let mut lines = LineReader::new(reader, LIMITS);
        let resting = tokio::time::timeout(LIMITS.partial_wait * 2, lines.next()).await;
        assert!(resting.is_err());
        writer.write_all(b"half").await.unwrap();
        let stalled = lines.next().await;
        assert!(matches!(stalled, Err(LineError::Stalled { .. })));
    }

    #[tokio::test]
    async fn a_dropped_wait_loses_nothing() {
        let (mut writer, reader) = duplex(64);
        let mut lines = LineReader::new(reader, LIMITS);
        for byte in b"abc" {
            writer.write_all(&[*byte]).await.unwrap();
            let waited = tokio::time::timeout(Duration::from_millis(1), lines.next()).await;
            assert!(waited.is_err());
        }
        write_line(&mut writer, b"d").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().as_slice(), b"abcd");
        assert!(write_line(&mut writer, b"a\nb").await.is_err());
    }

    #[tokio::test]
    async fn what_was_taken_is_wiped_from_the_buffer() {
        let mut lines = fed(b"x\nhunter2").await;
        lines.next().await.unwrap();
        lines.bytes(7).await.unwrap();
        assert!(lines.held.iter().all(|byte| *byte == 0));
    }

    #[tokio::test]
    async fn a_peer_that_waits_is_seen_to_close_or_to_speak() {
        let (writer, reader) = duplex(64);
        let mut lines = LineReader::new(reader, LIMITS);
        drop(writer);
        lines.closed().await.unwrap();
        let spoke = fed(b"x").await.closed().await;
        assert!(matches!(spoke, Err(LineError::Unexpected)), "{spoke:?}");
    }
}
