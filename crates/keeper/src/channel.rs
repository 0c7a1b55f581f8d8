//! One channel to an authenticator: a [`ClientLink`] and what carries it.
//!
//! Invariant: frames leave in the order in which the link made them, as items
//! of one connection or as bytes of one TCP link, and never change carriers.

use std::collections::BTreeSet;
use std::sync::Arc;

use keystead_channel::curve::{CloseCode, KeyPair, PublicKey, Refusal};
use keystead_channel::link::{Carrier, ClientLink, ClientLinkSetup, LinkEvent, LinkOutput};
use keystead_channel::mailbox::{ConnId, Item, ItemConn, Mailbox, MailboxDirection, day_of};
use keystead_core::{RequestId, Secret};
use keystead_transport::{LinkId, NetAction, RelayUrl};

use crate::step::Step;

/// A channel, from its Hello on.
pub(crate) struct Channel {
    link: ClientLink,
    carriage: Carriage,
    /// What was asked on this channel.
    sent: BTreeSet<RequestId>,
}

/// What carries a channel.
pub(crate) enum Carriage {
    /// Items in mailboxes at a relay.
    Items {
        relay: RelayUrl,
        conn: ItemConn,
        outbox: Outbox,
    },
    /// A link that is up.
    Stream(LinkId),
}

/// Where the items of a channel are written.
#[derive(Clone)]
pub(crate) enum Outbox {
    /// The offer's mailbox, while pairing.
    Offer(Arc<Mailbox>),
    /// Today's mailbox of the pairing.
    Pairing(Arc<Secret<32>>),
}

/// Whose keys a channel is opened with.
pub(crate) struct Ends {
    /// C, Cs.
    pub(crate) keys: Arc<KeyPair>,
    /// S.
    pub(crate) server: PublicKey,
    /// Whether repeated pairing hellos may come in between.
    pub(crate) is_pairing: bool,
}

impl Channel {
    /// Sends Hello.
    pub(crate) fn open(
        ends: &Ends,
        carriage: Carriage,
        step: &mut Step<'_, '_>,
    ) -> Result<Self, Refusal> {
        let carrier = match carriage {
            Carriage::Items { .. } => Carrier::Items,
            Carriage::Stream(_) => Carrier::Stream,
        };
        let setup = ClientLinkSetup {
            keys: Arc::clone(&ends.keys),
            server: ends.server,
            carrier,
            takes_pairing_hellos: ends.is_pairing,
        };
        let (link, frames) = ClientLink::start(setup, step.now_ms(), step.io.rng)?;
        let mut channel = Self {
            link,
            carriage,
            sent: BTreeSet::new(),
        };
        channel.carriage.send(frames, step);
        Ok(channel)
    }

    /// Takes an item of this channel's connection; others are not for it.
    pub(crate) fn take_item(&mut self, item: &Item<'_>, step: &mut Step<'_, '_>) -> Taken {
        let frames = match &mut self.carriage {
            Carriage::Items { conn, .. } if conn.id() == item.conn => {
                conn.receive(step.now_ms(), item.seq, item.frame)
            }
            Carriage::Items { .. } | Carriage::Stream(_) => Vec::new(),
        };
        let mut taken = Taken::default();
        for frame in frames {
            let output = self.link.frame(step.now_ms(), &frame, step.io.rng);
            taken.is_heard = true;
            self.carry_out(output, &mut taken, step);
        }
        taken
    }

    /// Takes bytes of this channel's TCP link.
    pub(crate) fn take_bytes(&mut self, bytes: &[u8], step: &mut Step<'_, '_>) -> Taken {
        let output = self.link.bytes(step.now_ms(), bytes, step.io.rng);
        let mut taken = Taken {
            is_heard: true,
            ..Taken::default()
        };
        self.carry_out(output, &mut taken, step);
        taken
    }

    /// The TCP link is no more.
    pub(crate) fn end_of_stream(&mut self, step: &mut Step<'_, '_>) -> Taken {
        let output = self.link.end_of_stream();
        let mut taken = Taken::default();
        self.carry_out(output, &mut taken, step);
        taken
    }

    /// What the time asks for.
    pub(crate) fn tick(&mut self, step: &mut Step<'_, '_>) -> Taken {
        let output = self.link.tick(step.now_ms());
        let mut taken = Taken::default();
        self.carry_out(output, &mut taken, step);
        taken
    }

    /// Whether an item is missing for so long that the connection is lost.
    pub(crate) fn has_gap(&self, now_ms: u64) -> bool {
        match &self.carriage {
            Carriage::Items { conn, .. } => conn.check(now_ms).is_err(),
            Carriage::Stream(_) => false,
        }
    }

    pub(crate) fn wake_ms(&self) -> Option<u64> {
        let gap = match &self.carriage {
            Carriage::Items { conn, .. } => conn.wake_ms(),
            Carriage::Stream(_) => None,
        };
        self.link.wake_ms().into_iter().chain(gap).min()
    }

    /// Asks, unless it was asked on this channel already. Says whether it went out.
    pub(crate) fn ask_once(
        &mut self,
        id: RequestId,
        request: &[u8],
        step: &mut Step<'_, '_>,
    ) -> bool {
        !self.sent.contains(&id) && self.ask(id, request, step)
    }

    /// Asks, or asks again with the same bytes. Says whether it went out.
    pub(crate) fn ask(&mut self, id: RequestId, request: &[u8], step: &mut Step<'_, '_>) -> bool {
        let Ok(frames) = self.link.send(step.now_ms(), request) else {
            return false;
        };
        self.sent.insert(id);
        self.carriage.send(frames, step);
        true
    }

    /// All that was asked on this channel and is still waited for.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &RequestId> {
        self.sent.iter()
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn forget(&mut self, id: &RequestId) {
        self.sent.remove(id);
    }

    pub(crate) fn is_established(&self) -> bool {
        self.link.is_established()
    }

    /// Whether the authenticator has shown that it took us.
    pub(crate) fn is_heard(&self) -> bool {
        self.link.is_heard()
    }

    /// The connection's name in mailboxes.
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match &self.carriage {
            Carriage::Items { conn, .. } => Some(conn.id()),
            Carriage::Stream(_) => None,
        }
    }

    /// The TCP link.
    pub(crate) fn link(&self) -> Option<LinkId> {
        match &self.carriage {
            Carriage::Stream(link) => Some(*link),
            Carriage::Items { .. } => None,
        }
    }

    /// Says goodbye, and closes the TCP link behind it.
    pub(crate) fn close(mut self, code: CloseCode, step: &mut Step<'_, '_>) {
        let output = self.link.close(step.now_ms(), code);
        self.carriage.send(output.frames, step);
        self.drop_link(step);
    }

    /// Closes the TCP link without a word.
    pub(crate) fn drop_link(self, step: &mut Step<'_, '_>) {
        if let Carriage::Stream(link) = self.carriage {
            step.net(NetAction::Close { link });
        }
    }

    fn carry_out(&mut self, output: LinkOutput, taken: &mut Taken, step: &mut Step<'_, '_>) {
        self.carriage.send(output.frames, step);
        taken.events.extend(output.events);
    }
}

/// What came of taking something in.
#[derive(Default)]
pub(crate) struct Taken {
    /// Whether anything of the other side came.
    pub(crate) is_heard: bool,
    pub(crate) events: Vec<LinkEvent>,
}

impl Carriage {
    fn send(&mut self, frames: Vec<Vec<u8>>, step: &mut Step<'_, '_>) {
        if frames.is_empty() {
            return;
        }
        match self {
            Self::Items {
                relay,
                conn,
                outbox,
            } => {
                let (mailbox, write_token) = outbox.now(step.now.unix_s);
                for frame in frames {
                    // After 2³² frames nothing more goes out; silence then ends the connection.
                    let Some(item) = conn.send(&frame) else {
                        return;
                    };
                    step.net(NetAction::Post {
                        relay: relay.clone(),
                        mailbox,
                        write_token,
                        item,
                    });
                }
            }
            // One write: a Vouch and the request behind it share a packet.
            Self::Stream(link) => step.net(NetAction::Send {
                link: *link,
                bytes: frames.concat(),
            }),
        }
    }
}

impl Outbox {
    fn now(&self, unix_s: u64) -> ([u8; 16], [u8; 32]) {
        match self {
            Self::Offer(mailbox) => (mailbox.id().0, *mailbox.write_token()),
            Self::Pairing(pair_key) => {
                let day = day_of(unix_s);
                let mailbox = Mailbox::of_pairing(pair_key, MailboxDirection::ClientToServer, day);
                (mailbox.id().0, *mailbox.write_token())
            }
        }
    }
}
