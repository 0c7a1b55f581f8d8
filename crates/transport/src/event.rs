//! What deciding code asks of the network, and what the network tells it.
//!
//! Invariant: neither `Debug` output holds a token or a carried byte, since
//! tokens are capabilities and what is carried is nobody's business here.

use std::fmt;
use std::net::SocketAddr;

use crate::{Address, RelayUrl};

/// The public name of a mailbox at a relay (`spec/pairing.md` section 3.2).
pub type MailboxId = [u8; 16];

/// The capability to read and delete a mailbox.
pub type ReadToken = [u8; 32];

/// The capability to post to a mailbox.
pub type WriteToken = [u8; 32];

/// One connection, over TCP or a Unix socket.
///
/// The caller chooses the ids of the links it dials, below [`LinkId::ACCEPTED`];
/// [`Net`](crate::Net) chooses those of accepted ones, from there up. So the two never collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

impl LinkId {
    /// The first id of an accepted link.
    pub const ACCEPTED: LinkId = LinkId(1 << 63);

    /// Whether the far end dialled.
    #[must_use]
    pub fn is_accepted(self) -> bool {
        self >= Self::ACCEPTED
    }
}

/// What deciding code asks of the network.
#[derive(Clone, PartialEq, Eq)]
pub enum NetAction {
    /// Keep a connection to this relay until [`NetAction::RelayClose`].
    RelayOpen {
        /// The relay.
        relay: RelayUrl,
    },
    /// Let go of the relay, its subscriptions and what is still queued for it.
    RelayClose {
        /// The relay.
        relay: RelayUrl,
    },
    /// Deliver what is and comes in a mailbox, and acknowledge it. Opens the relay when it is not.
    Subscribe {
        /// The relay.
        relay: RelayUrl,
        /// The mailbox.
        mailbox: MailboxId,
        /// Its read token.
        read_token: ReadToken,
    },
    /// Deliver no more of a mailbox.
    Unsubscribe {
        /// The relay.
        relay: RelayUrl,
        /// The mailbox.
        mailbox: MailboxId,
    },
    /// Put an item into a mailbox. Opens the relay when it is not.
    Post {
        /// The relay.
        relay: RelayUrl,
        /// The mailbox.
        mailbox: MailboxId,
        /// Its write token.
        write_token: WriteToken,
        /// The item.
        item: Vec<u8>,
    },
    /// Delete a mailbox; to everyone it is gone for three days.
    Delete {
        /// The relay.
        relay: RelayUrl,
        /// The mailbox.
        mailbox: MailboxId,
        /// Its read token.
        read_token: ReadToken,
    },
    /// Accept connections at an address; port 0 takes a free one. A Unix socket's folder is made,
    /// or must be, private; connections of other users get no byte.
    Listen {
        /// Where.
        address: Address<SocketAddr>,
    },
    /// Accept no more at the address that was asked for. Accepted links stay.
    Unlisten {
        /// The address as it was asked for.
        address: Address<SocketAddr>,
    },
    /// Open a connection. One to a Unix socket where a process of another user listens fails.
    Dial {
        /// The caller's id for it, never used before.
        link: LinkId,
        /// `host:port`, where the host may be a name; or a Unix socket.
        address: Address<String>,
    },
    /// Send bytes on a link that is dialled or accepted.
    Send {
        /// The link.
        link: LinkId,
        /// What to send.
        bytes: Vec<u8>,
    },
    /// Close a link when what is queued has been written. No event follows.
    Close {
        /// The link.
        link: LinkId,
    },
}

/// What the network tells deciding code.
#[derive(Clone, PartialEq, Eq)]
pub enum NetEvent {
    /// The relay answers (again).
    RelayUp {
        /// The relay.
        relay: RelayUrl,
    },
    /// The relay is away. Said once an outage; it is tried again with growing pauses.
    RelayDown {
        /// The relay.
        relay: RelayUrl,
        /// Why, for a person.
        reason: String,
    },
    /// An item of a subscribed mailbox. It may come twice.
    Item {
        /// The relay.
        relay: RelayUrl,
        /// The mailbox.
        mailbox: MailboxId,
        /// The item.
        item: Vec<u8>,
    },
    /// The relay says that the mailbox was deleted. A hint, not a fact.
    Gone {
        /// The relay.
        relay: RelayUrl,
        /// The mailbox.
        mailbox: MailboxId,
    },
    /// The relay did not take an item; it is not tried again here.
    PostRefused {
        /// The relay.
        relay: RelayUrl,
        /// The mailbox.
        mailbox: MailboxId,
        /// The HTTP status that stands for the reason.
        status: u16,
    },
    /// A listener is up.
    Listening {
        /// The address as it was asked for.
        asked: Address<SocketAddr>,
        /// The address that it has.
        address: Address<SocketAddr>,
    },
    /// A listener could not be had.
    ListenFailed {
        /// The address as it was asked for.
        asked: Address<SocketAddr>,
        /// Why, for a person.
        reason: String,
    },
    /// Somebody dialled us.
    Accepted {
        /// The link, at or above [`LinkId::ACCEPTED`].
        link: LinkId,
        /// Who; at a Unix socket its path, since all who come there are one user.
        peer: Address<SocketAddr>,
    },
    /// A dial succeeded.
    Dialled {
        /// The link.
        link: LinkId,
    },
    /// A dial came to nothing; the link is no more.
    DialFailed {
        /// The link.
        link: LinkId,
        /// Why, for a person.
        reason: String,
    },
    /// Bytes came on a link, cut anywhere.
    Bytes {
        /// The link.
        link: LinkId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A link ended, by the far end, by an error, or because its peer took nothing any more.
    Closed {
        /// The link.
        link: LinkId,
        /// Why, for a person.
        reason: String,
    },
}

impl fmt::Debug for NetAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RelayOpen { relay } => write!(f, "RelayOpen({relay})"),
            Self::RelayClose { relay } => write!(f, "RelayClose({relay})"),
            Self::Subscribe { relay, mailbox, .. } => {
                write!(f, "Subscribe({relay}, {})", Hex(mailbox))
            }
            Self::Unsubscribe { relay, mailbox } => {
                write!(f, "Unsubscribe({relay}, {})", Hex(mailbox))
            }
            Self::Post {
                relay,
                mailbox,
                item,
                ..
            } => write!(f, "Post({relay}, {}, {} bytes)", Hex(mailbox), item.len()),
            Self::Delete { relay, mailbox, .. } => write!(f, "Delete({relay}, {})", Hex(mailbox)),
            Self::Listen { address } => write!(f, "Listen({address})"),
            Self::Unlisten { address } => write!(f, "Unlisten({address})"),
            Self::Dial { link, address } => write!(f, "Dial({}, {address})", link.0),
            Self::Send { link, bytes } => write!(f, "Send({}, {} bytes)", link.0, bytes.len()),
            Self::Close { link } => write!(f, "Close({})", link.0),
        }
    }
}

impl fmt::Debug for NetEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RelayUp { relay } => write!(f, "RelayUp({relay})"),
            Self::RelayDown { relay, reason } => write!(f, "RelayDown({relay}, {reason})"),
            Self::Item {
                relay,
                mailbox,
                item,
            } => write!(f, "Item({relay}, {}, {} bytes)", Hex(mailbox), item.len()),
            Self::Gone { relay, mailbox } => write!(f, "Gone({relay}, {})", Hex(mailbox)),
            Self::PostRefused {
                relay,
                mailbox,
                status,
            } => write!(f, "PostRefused({relay}, {}, {status})", Hex(mailbox)),
            Self::Listening { asked, address } => write!(f, "Listening({asked}, {address})"),
            Self::ListenFailed { asked, reason } => write!(f, "ListenFailed({asked}, {reason})"),
            Self::Accepted { link, peer } => write!(f, "Accepted({}, {peer})", link.0),
            Self::Dialled { link } => write!(f, "Dialled({})", link.0),
            Self::DialFailed { link, reason } => write!(f, "DialFailed({}, {reason})", link.0),
            Self::Bytes { link, bytes } => write!(f, "Bytes({}, {} bytes)", link.0, bytes.len()),
            Self::Closed { link, reason } => write!(f, "Closed({}, {reason})", link.0),
        }
    }
}

/// Lower-case hexadecimal, as in the relay's paths.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_token_and_no_carried_byte() {
        let relay: RelayUrl = "http://relay.test".parse().unwrap();
        let shown = format!(
            "{:?} {:?} {:?}",
            NetAction::Subscribe {
                relay: relay.clone(),
                mailbox: [1; 16],
                read_token: [0xAB; 32],
            },
            NetAction::Post {
                relay: relay.clone(),
                mailbox: [1; 16],
                write_token: [0xAB; 32],
                item: vec![0xAB; 4],
            },
            NetEvent::Item {
                relay,
                mailbox: [1; 16],
                item: vec![0xAB; 4],
            },
        );
        assert!(shown.contains("01010101"), "{shown}");
        assert!(!shown.contains("ab"), "{shown}");
        assert!(!shown.contains("171"), "{shown}");
    }
}
