//! A connection whose handshake is done.
//!
//! **Invariant**: a refused frame or a Close ends it for good: nothing is
//! opened and nothing is sealed after.

use keystead_core::Secret;

use super::direction::Role;
use super::extension::Profile;
use super::frame::{Accepts, CloseCode};
use super::keys::{KEY_BYTES, PublicKey};
use super::limits::{
    CONNECTION_AGE_MS_MAX, CONNECTION_MESSAGES_MAX, DEAD_AFTER_MS, KEEP_ALIVE_MS, Silence,
};
use super::refusal::{Refusal, SendError};
use super::schedule;
use super::traffic::{Opened, Receiver, Sender};

/// One end of an established connection, as [`super::Client`] or [`super::Server`].
pub struct Established<R: Role> {
    parties: Parties,
    profile: Profile,
    sender: Sender<R::Out>,
    receiver: Receiver<R::In>,
    export: Option<Secret<KEY_BYTES>>,
    life: Life,
    ended: Option<End>,
}

impl<R: Role> Established<R> {
    pub(super) fn new(
        parties: Parties,
        profile: Profile,
        keys: DirectedKeys,
        silence: Silence,
        now_ms: u64,
    ) -> Self {
        Self {
            parties,
            sender: Sender::new(keys.out, &profile, now_ms),
            receiver: Receiver::new(keys.incoming, &profile),
            profile,
            export: keys.export,
            life: Life::new(silence, now_ms),
            ended: None,
        }
    }

    /// What a [`super::Deframer`] may take from now on.
    #[must_use]
    pub fn accepts(&self) -> Accepts {
        Accepts::traffic()
    }

    /// The other end's long-term key: C at the server, S at the client.
    #[must_use]
    pub const fn peer(&self) -> PublicKey {
        self.parties.peer
    }

    /// This end's long-term key: at a server with several, the one that the
    /// client spoke to.
    #[must_use]
    pub const fn own(&self) -> PublicKey {
        self.parties.own
    }

    /// What the handshake agreed on.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Longest message of one frame: 65,504 bytes, two less with `pad`.
    #[must_use]
    pub const fn message_bytes_max(&self) -> usize {
        self.sender.message_bytes_max()
    }

    /// Whether the peer is known to have finished the handshake. A server
    /// knows from the start; a client from the first frame that opens.
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        self.life.is_heard
    }

    /// Counts the Vouch as the client's first sign of life.
    pub(super) fn note_heard(&mut self, now_ms: u64) {
        self.life.heard(now_ms);
    }

    /// Appends one Msg frame with `message` to `out`.
    ///
    /// # Errors
    /// `Empty`, `TooLong`, or `Ended` after a refusal, a Close, or the last
    /// counter.
    pub fn seal(
        &mut self,
        message: &[u8],
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if message.is_empty() {
            return Err(SendError::Empty);
        }
        self.seal_any(message, now_ms, out)
    }

    /// Appends a keep-alive: an empty Msg, padded as any where `pad` is.
    ///
    /// # Errors
    /// `Ended`, as [`Established::seal`].
    pub fn seal_keep_alive(&mut self, now_ms: u64, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.seal_any(&[], now_ms, out)
    }

    /// Opens one whole frame in place.
    ///
    /// # Errors
    /// The reason; the connection has then ended, and every later call gives
    /// the same one.
    pub fn open<'f>(&mut self, frame: &'f mut [u8], now_ms: u64) -> Result<Opened<'f>, Refusal> {
        match self.ended {
            Some(End::Refused(refusal)) => return Err(refusal),
            Some(End::Closed) => return Err(Refusal::Order),
            None => {}
        }
        match self.receiver.open(frame) {
            Ok(opened) => {
                self.life.heard(now_ms);
                if matches!(opened, Opened::Close(_)) {
                    self.ended = Some(End::Closed);
                }
                Ok(opened)
            }
            Err(refusal) => {
                self.ended = Some(End::Refused(refusal));
                Err(refusal)
            }
        }
    }

    /// Appends the Close frame and ends the connection.
    ///
    /// After a refusal, or the peer's Close, nothing is appended: neither is answered.
    pub fn close(self, code: CloseCode, now_ms: u64, out: &mut Vec<u8>) {
        if self.ended.is_none() {
            let len = out.len();
            if self.sender.seal_close(code, now_ms, out).is_err() {
                // No counter is left: the end of the stream must do.
                out.truncate(len);
            }
        }
    }

    /// What the end of the transport means now: nothing after a Close,
    /// `Truncated` before one. The peer may have dropped the transport on
    /// purpose; the caller is told, and decides.
    ///
    /// # Errors
    /// `Truncated`, or the refusal that ended the connection before.
    pub fn end_of_stream(&self) -> Result<(), Refusal> {
        match self.ended {
            Some(End::Closed) => Ok(()),
            Some(End::Refused(refusal)) => Err(refusal),
            None => Err(Refusal::Truncated),
        }
    }

    /// export(label) of section 5: 32 bytes that the two ends of this
    /// connection share with nobody; `None` without `bind`.
    #[must_use]
    pub fn export(&self, label: &[u8]) -> Option<Secret<KEY_BYTES>> {
        let key = self.export.as_ref()?;
        Some(schedule::export(key, label))
    }

    /// What is to be done now.
    #[must_use]
    pub fn due(&self, now_ms: u64) -> Due {
        match self.ended {
            Some(_) => Due::Nothing,
            None => self.life.due(now_ms),
        }
    }

    /// When [`Established::due`] may say something new.
    #[must_use]
    pub fn next_due_ms(&self) -> u64 {
        self.life.next_due_ms()
    }

    fn seal_any(
        &mut self,
        message: &[u8],
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if self.ended.is_some() {
            return Err(SendError::Ended);
        }
        self.sender.seal_message(message, now_ms, out)?;
        self.life.spoke(now_ms);
        Ok(())
    }
}

/// What time asks of an established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// Send [`Established::seal_keep_alive`].
    KeepAlive,
    /// The peer has been silent for too long: drop the connection.
    Dead,
    /// Too old or too much sent: a new handshake, then a Close here.
    Rehandshake,
}

/// The two long-term keys of a connection.
#[derive(Clone, Copy)]
pub(super) struct Parties {
    pub(super) own: PublicKey,
    pub(super) peer: PublicKey,
}

/// Session keys as one end uses them.
pub(super) struct DirectedKeys {
    pub(super) out: Secret<KEY_BYTES>,
    pub(super) incoming: Secret<KEY_BYTES>,
    pub(super) export: Option<Secret<KEY_BYTES>>,
}

/// How a connection ended.
#[derive(Clone, Copy)]
enum End {
    Refused(Refusal),
    Closed,
}

/// Age, silence and count of a connection.
struct Life {
    silence: Silence,
    since_ms: u64,
    spoke_ms: u64,
    heard_ms: u64,
    messages: u64,
    is_heard: bool,
}

impl Life {
    const fn new(silence: Silence, now_ms: u64) -> Self {
        Self {
            silence,
            since_ms: now_ms,
            spoke_ms: now_ms,
            heard_ms: now_ms,
            messages: 0,
            is_heard: false,
        }
    }

    fn spoke(&mut self, now_ms: u64) {
        self.spoke_ms = now_ms;
        self.messages = self.messages.saturating_add(1);
    }

    fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        self.is_heard = true;
        self.messages = self.messages.saturating_add(1);
    }

    fn due(&self, now_ms: u64) -> Due {
        let is_watched = self.silence == Silence::Watch;
        if is_watched && now_ms >= self.heard_ms.saturating_add(DEAD_AFTER_MS) {
            Due::Dead
        } else if now_ms >= self.old_ms() || self.messages >= CONNECTION_MESSAGES_MAX {
            Due::Rehandshake
        } else if is_watched && now_ms >= self.spoke_ms.saturating_add(KEEP_ALIVE_MS) {
            Due::KeepAlive
        } else {
            Due::Nothing
        }
    }

    fn next_due_ms(&self) -> u64 {
        match self.silence {
            Silence::Bear => self.old_ms(),
            Silence::Watch => self
                .old_ms()
                .min(self.heard_ms.saturating_add(DEAD_AFTER_MS))
                .min(self.spoke_ms.saturating_add(KEEP_ALIVE_MS)),
        }
    }

    const fn old_ms(&self) -> u64 {
        self.since_ms.saturating_add(CONNECTION_AGE_MS_MAX)
    }
}
