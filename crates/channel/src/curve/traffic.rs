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

#[cfg(test)]
mod tests {
    use super::super::direction::ClientToServer;
    use super::super::extension::{Aead, ExtensionSet};
    use super::*;

    type Ends = (Sender<ClientToServer>, Receiver<ClientToServer>);

    fn ends(extensions: &[Extension]) -> Ends {
        let set = extensions
            .iter()
            .fold(ExtensionSet::NONE, |set, extension| set.with(*extension));
        let profile = Profile {
            extensions: set,
            aead: set.has(Extension::Aead).then_some(Aead::ChaCha20Poly1305),
        };
        let key = || Secret::fill(|key| key.fill(7));
        (
            Sender::new(key(), &profile, 0),
            Receiver::new(key(), &profile),
        )
    }

    /// Both ends as if `n` messages had passed.
    fn ends_at(extensions: &[Extension], n: u64) -> Ends {
        let (mut sender, mut receiver) = ends(extensions);
        sender.counter.next = n;
        receiver.counter.next = n;
        (sender, receiver)
    }

    fn pass((sender, receiver): &mut Ends, now_ms: u64) -> Result<u64, Refusal> {
        let mut frame = vec![];
        sender.seal_message(b"m", now_ms, &mut frame).unwrap();
        let n = u64::from_be_bytes(frame[3..11].try_into().unwrap());
        assert_eq!(receiver.open(&mut frame)?, Opened::Message(b"m"));
        assert_eq!(sender.key.expose(), receiver.key.expose());
        Ok(n)
    }

    const REKEYED: &[Extension] = &[Extension::Bind, Extension::Rekey];

    #[test]
    fn an_epoch_that_is_full_gives_way_to_the_next() {
        let mut ends = ends_at(REKEYED, EPOCH_MESSAGES - 1);
        let first_key = *ends.0.key.expose();
        assert_eq!(pass(&mut ends, 0), Ok(EPOCH_MESSAGES - 1));
        assert_eq!(*ends.0.key.expose(), first_key);
        assert_eq!(pass(&mut ends, 0), Ok(EPOCH_MESSAGES));
        assert_ne!(*ends.0.key.expose(), first_key);
        assert_eq!(pass(&mut ends, 0), Ok(EPOCH_MESSAGES + 1));
    }

    #[test]
    fn an_epoch_is_as_old_as_its_first_message() {
        let mut ends = ends(REKEYED);
        assert_eq!(pass(&mut ends, EPOCH_MS - 1), Ok(0));
        assert_eq!(pass(&mut ends, EPOCH_MS), Ok(EPOCH_MESSAGES));
        assert_eq!(pass(&mut ends, 2 * EPOCH_MS - 1), Ok(EPOCH_MESSAGES + 1));
        assert_eq!(pass(&mut ends, 2 * EPOCH_MS), Ok(2 * EPOCH_MESSAGES));
        // Idle for many epochs is one jump.
        assert_eq!(pass(&mut ends, 99 * EPOCH_MS), Ok(3 * EPOCH_MESSAGES));
    }

    #[test]
    fn the_receiver_moves_by_one_or_to_the_next_epoch() {
        for (n, expected) in [
            (5, true),
            (4, false),
            (6, false),
            (EPOCH_MESSAGES, true),
            (EPOCH_MESSAGES + 1, false),
            (2 * EPOCH_MESSAGES, false),
            (u64::MAX, false),
        ] {
            let (mut sender, mut receiver) = ends_at(REKEYED, 5);
            if n >= EPOCH_MESSAGES {
                sender.key = sender.key.next();
            }
            let mut frame = vec![];
            let push = |out: &mut Vec<u8>| out.push(1);
            sender
                .key
                .seal(FrameType::Msg, n, 1, push, &mut frame)
                .unwrap();
            let opened = receiver.open(&mut frame);
            if expected {
                assert_eq!(opened, Ok(Opened::Message(&[1])), "{n}");
            } else {
                assert_eq!(opened, Err(Refusal::Replay), "{n}");
            }
        }
    }

    #[test]
    fn the_old_key_stays_until_a_jump_opens() {
        let (mut sender, mut receiver) = ends(REKEYED);
        let key = *receiver.key.expose();
        let mut frame = vec![];
        sender.seal_message(b"m", EPOCH_MS, &mut frame).unwrap();
        let mut forged = frame.clone();
        forged[20] ^= 1;
        assert_eq!(receiver.open(&mut forged), Err(Refusal::Box));
        assert_eq!(*receiver.key.expose(), key);
        assert_eq!(receiver.open(&mut frame), Ok(Opened::Message(b"m")));
        assert_ne!(*receiver.key.expose(), key);
    }

    #[track_caller]
    fn check_end(extensions: &[Extension], end: u64) {
        let mut ends = ends_at(extensions, end - 2);
        assert_eq!(pass(&mut ends, 0), Ok(end - 2));
        // The last counter is for Close alone.
        let mut frame = vec![];
        assert_eq!(
            ends.0.seal_message(b"m", 0, &mut frame),
            Err(SendError::Ended)
        );
        assert!(frame.is_empty());
        assert_eq!(ends.0.seal_close(CloseCode::Done, 0, &mut frame), Ok(()));
        assert_eq!(ends.1.open(&mut frame), Ok(Opened::Close(CloseCode::Done)));

        let (mut sender, mut receiver) = ends_at(extensions, end);
        let push = |out: &mut Vec<u8>| out.push(1);
        frame.clear();
        sender
            .key
            .seal(FrameType::Msg, end, 1, push, &mut frame)
            .unwrap();
        assert_eq!(receiver.open(&mut frame), Err(Refusal::Replay));
        assert_eq!(sender.spend(0, end), Err(SendError::Ended));
    }

    #[test]
    fn a_counter_never_wraps() {
        check_end(&[], u64::MAX - 8_191);
        check_end(&[Extension::Bind], u64::MAX - 8_191);
    }

    #[test]
    fn aead_without_rekey_ends_early() {
        check_end(&[Extension::Bind, Extension::Aead], 1 << 22);
    }

    #[test]
    fn aead_with_rekey_goes_on() {
        let all = [Extension::Bind, Extension::Rekey, Extension::Aead];
        let mut ends = ends(&all);
        for epoch in 1..6 {
            assert_eq!(
                pass(&mut ends, epoch * EPOCH_MS),
                Ok(epoch * EPOCH_MESSAGES)
            );
        }
    }

    #[test]
    fn the_last_epoch_does_not_overflow() {
        let (mut sender, _) = ends(REKEYED);
        sender.counter.epoch = Some(u64::MAX / EPOCH_MESSAGES);
        sender.counter.next = COUNTER_END - 1;
        assert_eq!(sender.counter.next_epoch(), None);
        assert_eq!(
            sender.seal_message(b"m", EPOCH_MS, &mut vec![]),
            Err(SendError::Ended)
        );
    }

    #[test]
    fn padding_is_checked_behind_the_box() {
        let (sender, mut receiver) = ends(&[Extension::Pad]);
        let (_, mut unpadded) = ends(&[]);
        for plain in [&[0, 0][..], &[0; 228], &[0; 230], &[0; 997], &[0, 0, 1]] {
            let mut frame = vec![];
            let push = |out: &mut Vec<u8>| out.extend_from_slice(plain);
            sender
                .key
                .seal(FrameType::Msg, 0, plain.len(), push, &mut frame)
                .unwrap();
            assert_eq!(receiver.open(&mut frame.clone()), Err(Refusal::Box));
            assert!(unpadded.open(&mut frame).is_ok());
            unpadded.counter.next = 0;
            receiver.counter.next = 0;
        }
    }
}
