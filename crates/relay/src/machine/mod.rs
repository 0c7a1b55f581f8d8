//! What the relay decides, without sockets and clocks: [`Relay::step`] takes an
//! [`Event`] and says what is to be done ([`Action`]).
//!
//! **Invariant:** every call is answered exactly once, unless its caller hung up;
//! a WebSocket has at most one frame on its way, so that who reads slowly holds
//! one item and no more.

mod limits;
mod mailbox;
mod message;
mod readers;
mod relay;
mod resting;
mod socket;
mod token;
mod tombstones;

use std::sync::Arc;

pub use limits::{BUSY_S, FULL_S, ITEM_OVERHEAD_BYTES, Limits, Pause, Quota, SOURCES_MAX, Source};
pub use mailbox::{BYTES_MAX, ITEM_BYTES_MAX, ITEM_LIFE_MS, ITEMS_MAX, READERS_MAX};
pub use message::MESSAGE_BYTES_MAX;
pub use relay::{FULL_MAILBOX_S, Relay, SUBSCRIPTIONS_MAX, SWEEP_MS};
pub use resting::RESTING_MAX;
pub use token::{MailboxId, ReadToken, WriteToken};
pub use tombstones::{REMEMBERED_S, TOMBSTONES_MAX, TombstoneError};

/// One HTTP call, from its request to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// One WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// What happened.
pub enum Event {
    /// Somebody connected: answered by [`Action::Admit`] or [`Action::TurnAway`].
    Connect {
        /// From where.
        source: Source,
    },
    /// A connection that was admitted ended.
    Disconnect {
        /// From where it was.
        source: Source,
    },
    /// A call to a mailbox.
    Call {
        /// Its number.
        call: CallId,
        /// From where.
        source: Source,
        /// Of which mailbox.
        mailbox: MailboxId,
        /// What is asked.
        request: Request,
    },
    /// The caller hung up; its answer is wanted no more.
    HangUp {
        /// The call.
        call: CallId,
    },
    /// A WebSocket is up, and can take a frame.
    Open {
        /// Its number.
        socket: SocketId,
        /// From where.
        source: Source,
    },
    /// A WebSocket brought a binary message.
    Message {
        /// Which one.
        socket: SocketId,
        /// The message.
        message: Vec<u8>,
    },
    /// The frame given by [`Action::Send`] went out; the next may follow.
    Sent {
        /// Which one.
        socket: SocketId,
    },
    /// A WebSocket is gone.
    Close {
        /// Which one.
        socket: SocketId,
    },
    /// Time went on.
    Tick,
    /// The relay stops: who waits is answered.
    Stop,
}

/// What a call asks.
pub enum Request {
    /// Puts an item in.
    Post {
        /// W.
        token: WriteToken,
        /// At most [`ITEM_BYTES_MAX`] bytes.
        item: Vec<u8>,
    },
    /// Takes out what is acknowledged, reads what came after.
    Read {
        /// R.
        token: ReadToken,
        /// The last cursor the reader has.
        after: u64,
        /// How long it waits for an item.
        wait_s: u32,
    },
    /// Deletes the mailbox for three days.
    Delete {
        /// R.
        token: ReadToken,
    },
}

/// What is to be done.
pub enum Action {
    /// The connection is taken.
    Admit,
    /// The connection is not taken.
    TurnAway(Pause),
    /// Answers a call.
    Answer {
        /// Which one.
        call: CallId,
        /// With what.
        answer: Answer,
    },
    /// Sends one frame; [`Event::Sent`] is to follow.
    Send {
        /// On which WebSocket.
        socket: SocketId,
        /// The binary message.
        frame: Vec<u8>,
    },
}

/// The answer of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, or nothing to read: 204.
    Done,
    /// Items: 200. They are fetched one by one with [`Relay::record`].
    Items(Records),
    /// No.
    Refuse(Refusal),
}

/// Items that an answer carries, by their cursors: more may have come since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    /// Of which mailbox.
    pub mailbox: MailboxId,
    /// All above this cursor,
    pub after: u64,
    /// up to this one.
    pub upto: u64,
}

/// One item of an answer.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its cursor.
    pub cursor: u64,
    /// Its bytes.
    pub item: Arc<[u8]>,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: not a call of `spec/pairing.md` §2.
    Malformed,
    /// 401: token and mailbox do not fit.
    WrongToken,
    /// 410: deleted within three days.
    Deleted,
    /// 413: above [`ITEM_BYTES_MAX`].
    TooLarge,
    /// 429: a limit is reached.
    TooMuch(Pause),
    /// 503: the relay's own disk fails; nothing was changed.
    Unavailable,
}

impl Refusal {
    /// The status, over HTTP and WebSocket alike.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::WrongToken => 401,
            Self::Deleted => 410,
            Self::TooLarge => 413,
            Self::TooMuch(_) => 429,
            Self::Unavailable => 503,
        }
    }

    /// For `Retry-After`.
    #[must_use]
    pub fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::TooMuch(pause) => Some(pause.retry_after_s),
            Self::Unavailable => Some(FULL_S),
            Self::Malformed | Self::WrongToken | Self::Deleted | Self::TooLarge => None,
        }
    }
}

impl From<Pause> for Refusal {
    fn from(pause: Pause) -> Self {
        Self::TooMuch(pause)
    }
}

/// Longest wait of a read (`spec/pairing.md` §2).
pub const WAIT_S_MAX: u32 = 25;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
