//! One channel connection over any transport, and the discipline of requests on it.
//!
//! A link is a curve handshake and then messages: [`ClientLink`] at the
//! workstation, [`ServerLink`] at the authenticator. Frames go in (or the bytes
//! of a stream, from which frames are cut); frames and [`LinkEvent`]s come out.
//! A message is one or more channel messages `more u8 ‖ part`
//! (`spec/pairing.md` section 4).
//!
//! Beside it stands what both sides owe each other whatever carries it:
//! [`asks`] (who asks repeats), [`answers`] (same id, same answer) and
//! [`Skew`] (whose clock is off).
//!
//! **Invariant**: a link holds at most one frame and one message of at most
//! [`MESSAGE_BYTES_MAX`] bytes; once it has [`LinkEvent::Ended`] it neither
//! gives nor takes anything.

pub mod answers;
pub mod asks;
mod client;
mod message;
mod server;
mod skew;
mod traffic;

pub use client::{ClientLink, ClientLinkSetup};
pub use message::Breach;
pub use server::{Listener, ServerLink, Standing};
pub use skew::{Lateness, Skew};
pub use traffic::SendFault;

use crate::curve::{CloseCode, PublicKey, Refusal, Timing};

/// What carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// An ordered stream: handshake 10 s, keep-alives, the dead noticed.
    Stream,
    /// Items in mailboxes: handshake 60 s, for a phone must wake first.
    Items,
}

/// What a step of a link asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LinkOutput {
    /// To be sent in this order; on a stream one behind the other.
    pub frames: Vec<Vec<u8>>,
    /// What happened, in this order.
    pub events: Vec<LinkEvent>,
}

/// What happened on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The handshake is done. At a client this says only that the server
    /// holds Ss; that it took the client shows by its first frame
    /// ([`ClientLink::is_heard`]). Messages may be sent at once.
    Established {
        /// The other side's long-term key.
        peer: PublicKey,
        /// This side's: at a server, the pairing that was meant.
        own: PublicKey,
    },
    /// One whole message.
    Message(Vec<u8>),
    /// A pairing hello on a link that was started with
    /// [`ClientLinkSetup::takes_pairing_hellos`]: to be judged by the pairing.
    PairingHello(Vec<u8>),
    /// The channel is a day old: a new one is to be opened, then this one closed.
    Renew,
    /// Nothing more will come or go.
    Ended(LinkEnd),
}

/// Why a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEnd {
    /// The peer closed it.
    Closed(CloseCode),
    /// A frame was refused, the handshake took too long or the stream was cut;
    /// nothing was sent.
    Refused(Refusal),
    /// The peer broke a rule above the channel; Close 2 was sent.
    Broken(Breach),
    /// The client's pairing had been revoked; Close 3 was sent.
    Revoked,
    /// The peer has been silent for too long.
    Silent,
    /// This side closed it.
    ClosedHere,
}

/// 262,144 bytes: the longest message, whole.
pub use crate::wire::MESSAGE_BYTES_MAX;

impl Carrier {
    pub(super) fn timing(self) -> Timing {
        match self {
            Self::Stream => Timing::LONG_LIVED,
            Self::Items => Timing::STORED,
        }
    }
}

impl LinkOutput {
    fn event(&mut self, event: LinkEvent) {
        self.events.push(event);
    }

    fn end(&mut self, end: LinkEnd) {
        self.events.push(LinkEvent::Ended(end));
    }

    /// How the link ended in this step, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<LinkEnd> {
        match self.events.last() {
            Some(LinkEvent::Ended(end)) => Some(*end),
            Some(_) | None => None,
        }
    }
}
