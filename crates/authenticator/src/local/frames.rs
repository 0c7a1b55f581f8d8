//! Messages behind their lengths, as they come over a stream.
//!
//! **Invariant**: what was taken is wiped before more is read; a length that no message has ends
//! the stream.

use std::io::{self, Read};

use keystead_core::SecretBytes;

/// Messages behind their lengths, as they come in.
pub(super) struct Frames {
    /// Keys and passphrases pass through.
    buffer: SecretBytes,
    /// Where what has not been taken begins and ends.
    start: usize,
    end: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            buffer: SecretBytes::fill(BUFFER_BYTES, |_| {}),
            start: 0,
            end: 0,
        }
    }

    /// Reads what is there, at least one byte; 0 is the end.
    pub(super) fn fill(&mut self, mut from: impl Read) -> io::Result<usize> {
        self.make_room();
        let room = self.buffer.expose_mut().get_mut(self.end..);
        let read = from.read(room.unwrap_or_default())?;
        self.end += read;
        Ok(read)
    }

    /// The next whole message. What is taken is wiped by the next [`Frames::fill`].
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(len) = self.announced()? else {
            return Ok(None);
        };
        let frame = self.start + LENGTH_BYTES..self.start + LENGTH_BYTES + len;
        if frame.end > self.end {
            return Ok(None);
        }
        self.start = frame.end;
        Ok(self.buffer.expose().get(frame))
    }

    fn announced(&self) -> io::Result<Option<usize>> {
        let waiting = self.buffer.expose().get(self.start..self.end);
        let Some((len, _)) = waiting.and_then(|it| it.split_first_chunk::<LENGTH_BYTES>()) else {
            return Ok(None);
        };
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
        if len > keystead_core::Request::BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Some(len))
    }

    /// Moves what waits to the front and wipes what is behind it; grows for a long message and
    /// shrinks after it.
    fn make_room(&mut self) {
        let waiting = self.start..self.end;
        let wanted = match self.announced() {
            Ok(Some(len)) => (LENGTH_BYTES + len).max(BUFFER_BYTES),
            Ok(None) | Err(_) => BUFFER_BYTES,
        };
        let len = waiting.len();
        if wanted == self.buffer.len() {
            let bytes = self.buffer.expose_mut();
            let end = waiting.end;
            bytes.copy_within(waiting, 0);
            if let Some(taken) = bytes.get_mut(len..end) {
                taken.fill(0);
            }
        } else {
            let old = std::mem::replace(&mut self.buffer, SecretBytes::fill(wanted, |_| {}));
            let kept = old.expose().get(waiting).unwrap_or_default();
            for (place, byte) in self.buffer.expose_mut().iter_mut().zip(kept) {
                *place = *byte;
            }
        }
        (self.start, self.end) = (0, len);
    }
}

const LENGTH_BYTES: usize = 4;

/// 16 KiB: a request with its evidence, most of the time.
const BUFFER_BYTES: usize = 16_384;
