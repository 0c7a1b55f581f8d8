//! One direction of an established connection: its key, its counter, and what
//! a frame must be to count.
//!
//! **Invariant**: a counter is spent before it is used and never goes back;
//! a receiver takes the next one, or with `rekey` the first of the next
//! epoch, and moves only when the box has opened.

use keystead_core::Secret;

use super::direction::Direction;
use super::extension::{Extension, Profile};
use super::frame::{Accepts, CloseCode, FrameType};
use super::keys::KEY_BYTES;
use super::limits::{AEAD_COUNTER_END, COUNTER_END, EPOCH_MESSAGES, EPOCH_MS, MESSAGE_BYTES_MAX};
use super::pad::{self, PADDED_MESSAGE_BYTES_MAX};
use super::record::{N_BYTES, TrafficKey};
use super::refusal::{Refusal, SendError};

/// The direction this side sends in.
pub(super) struct Sender<D> {
    key: TrafficKey<D>,
    counter: Counter,
    epoch_since_ms: u64,
    is_padded: bool,
}

impl<D: Direction> Sender<D> {
    pub(super) fn new(key: Secret<KEY_BYTES>, profile: &Profile, now_ms: u64) -> Self {
        Self {
            key: TrafficKey::new(key, profile.aead()),
            counter: Counter::new(profile),
            epoch_since_ms: now_ms,
            is_padded: profile.has(Extension::Pad),
        }
    }

    /// Appends a Msg frame; an empty message is the keep-alive.
    pub(super) fn seal_message(
        &mut self,
        message: &[u8],
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let bytes_max = self.message_bytes_max();
        if message.len() > bytes_max {
            return Err(SendError::TooLong { bytes_max });
        }
        // The last counter is kept for Close.
        let n = self.spend(now_ms, self.counter.end - 1)?;
        if self.is_padded {
            let padded =
                pad::padded_bytes(message.len()).ok_or(SendError::TooLong { bytes_max })?;
            let push = |out: &mut Vec<u8>| pad::push_padded(message, padded, out);
            self.key.seal(FrameType::Msg, n, padded, push, out)
        } else {
            let push = |out: &mut Vec<u8>| out.extend_from_slice(message);
            self.key.seal(FrameType::Msg, n, message.len(), push, out)
        }
    }

    /// Appends the Close frame, the last of this direction.
    pub(super) fn seal_close(
        mut self,
        code: CloseCode,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let n = self.spend(now_ms, self.counter.end)?;
        let push = |out: &mut Vec<u8>| out.push(code.byte());
        self.key.seal(FrameType::Close, n, 1, push, out)
    }

    /// Longest message of one frame.
    pub(super) const fn message_bytes_max(&self) -> usize {
        if self.is_padded {
            PADDED_MESSAGE_BYTES_MAX
        } else {
            MESSAGE_BYTES_MAX
        }
    }

    /// The counter of the next frame, spent whatever becomes of the frame.
    fn spend(&mut self, now_ms: u64, end: u64) -> Result<u64, SendError> {
        let is_old = now_ms.saturating_sub(self.epoch_since_ms) >= EPOCH_MS;
        let next_epoch = self.counter.next_epoch();
        let n = match next_epoch {
            Some(first) if is_old => first,
            Some(_) | None => self.counter.next,
        };
        if n >= end {
            return Err(SendError::Ended);
        }
        if next_epoch == Some(n) {
            self.key = self.key.next();
            self.epoch_since_ms = now_ms;
        }
        self.counter.move_behind(n);
        Ok(n)
    }

    #[cfg(test)]
    pub(super) fn move_to(&mut self, n: u64) {
        self.counter.next = n;
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> &[u8; KEY_BYTES] {
        self.key.expose()
    }
}

/// The direction this side receives in.
pub(super) struct Receiver<D> {
    key: TrafficKey<D>,
    counter: Counter,
    is_padded: bool,
}

impl<D: Direction> Receiver<D> {
    pub(super) fn new(key: Secret<KEY_BYTES>, profile: &Profile) -> Self {
        Self {
            key: TrafficKey::new(key, profile.aead()),
            counter: Counter::new(profile),
            is_padded: profile.has(Extension::Pad),
        }
    }

    /// Opens one whole frame in place.
    pub(super) fn open<'f>(&mut self, frame: &'f mut [u8]) -> Result<Opened<'f>, Refusal> {
        let body = Accepts::traffic().body(frame)?;
        let n = body.first_chunk().copied().map(u64::from_be_bytes);
        let n = n.ok_or(Refusal::Length)?;
        let (frame_type, boxed) = match frame {
            [_, _, byte, rest @ ..] => (FrameType::of(*byte), rest.get_mut(N_BYTES..)),
            _ => return Err(Refusal::Length),
        };
        let frame_type = frame_type.ok_or(Refusal::Type)?;
        let plain = self.open_box(frame_type, n, boxed.ok_or(Refusal::Length)?)?;
        if frame_type == FrameType::Close {
            let code = plain.first().ok_or(Refusal::Length)?;
            return Ok(Opened::Close(CloseCode::of(*code)));
        }
        let message = if self.is_padded {
            pad::strip(plain)?
        } else {
            plain
        };
        Ok(if message.is_empty() {
            Opened::KeepAlive
        } else {
            Opened::Message(message)
        })
    }

    fn open_box<'b>(
        &mut self,
        frame_type: FrameType,
        n: u64,
        boxed: &'b mut [u8],
    ) -> Result<&'b [u8], Refusal> {
        if n >= self.counter.end {
            return Err(Refusal::Replay);
        }
        let plain = if self.counter.next_epoch() == Some(n) {
            // The jump counts only once the message opens: till then the old key stays.
            let key = self.key.next();
            let plain = key.open(frame_type, n, boxed)?;
            self.key = key;
            plain
        } else if n == self.counter.next {
            self.key.open(frame_type, n, boxed)?
        } else {
            return Err(Refusal::Replay);
        };
        self.counter.move_behind(n);
        Ok(plain)
    }

    #[cfg(test)]
    pub(super) fn move_to(&mut self, n: u64) {
        self.counter.next = n;
    }
}

/// What a frame held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<'f> {
    /// A message of the layer above, never empty.
    Message(&'f [u8]),
    /// An empty Msg: the peer lives.
    KeepAlive,
    /// The peer's last frame. Nothing is answered.
    Close(CloseCode),
}

/// The counter of one direction and the epoch its key is of.
struct Counter {
    next: u64,
    /// One past the greatest that may be used.
    end: u64,
    /// The epoch of the key in hand; `None` without `rekey`.
    epoch: Option<u64>,
}

impl Counter {
    fn new(profile: &Profile) -> Self {
        let is_rekeyed = profile.has(Extension::Rekey);
        Self {
            next: 0,
            end: if profile.has(Extension::Aead) && !is_rekeyed {
                AEAD_COUNTER_END
            } else {
                COUNTER_END
            },
            epoch: is_rekeyed.then_some(0),
        }
    }

    /// The first counter of the epoch behind the key in hand.
    fn next_epoch(&self) -> Option<u64> {
        let next_epoch = self.epoch?.checked_add(1)?;
        next_epoch.checked_mul(EPOCH_MESSAGES)
    }

    fn move_behind(&mut self, n: u64) {
        // Below `end`, so neither can overflow.
        self.next = n.saturating_add(1);
        self.epoch = self.epoch.map(|_| n / EPOCH_MESSAGES);
    }
}
