//! Which bytes belong to which channel, and how its answers go back.
//!
//! **Invariant**: a channel belongs to one pairing, proved by its handshake,
//! and what comes over it is that pairing's word, whatever carried it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use keystead_channel::curve::{CloseCode, HalfOpen, Ticket as HalfOpenTicket};
use keystead_channel::link::{Carrier, LinkEnd, LinkEvent, LinkOutput, ServerLink, Skew};
use keystead_channel::mailbox::{ConnId, MailboxId};
use keystead_core::{PairingId, SecretBytes};
use keystead_transport::{Address, LinkId, NetAction};

use super::peer::Stage;
use super::{Holder, Step};

/// Names a channel as long as the authenticator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ChannelId(u64);

/// All channels, by what carries them.
#[derive(Default)]
pub(super) struct Channels {
    all: BTreeMap<ChannelId, Channel>,
    by_link: BTreeMap<LinkId, ChannelId>,
    by_conn: BTreeMap<(PairingId, ConnId), ChannelId>,
    half_open: HalfOpenLinks,
    next: u64,
}

/// Half-open TCP links, which anybody can make.
#[derive(Default)]
struct HalfOpenLinks {
    rules: HalfOpen<IpAddr>,
    channels: BTreeMap<HalfOpenTicket, ChannelId>,
}

struct Channel {
    link: ServerLink,
    way: Way,
    /// Whose it is, once proved.
    peer: Option<PairingId>,
    ticket: Option<HalfOpenTicket>,
    /// Whose clock is off; from the moment the channel is established.
    skew: Option<Skew>,
}

/// What carries a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Tcp(LinkId),
    Mail {
        peer: PairingId,
        conn: ConnId,
        mailboxes: Mailboxes,
    },
}

/// Which mailboxes a channel lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mailboxes {
    /// The offer's.
    Offer,
    /// The pairing's, of the day.
    Pairing,
}

impl Channels {
    pub(super) fn wake_ms(&self) -> Option<u64> {
        self.all.values().filter_map(|it| it.link.wake_ms()).min()
    }

    pub(super) fn peer_of(&self, id: ChannelId) -> Option<PairingId> {
        self.all.get(&id)?.peer
    }

    pub(super) fn skew(&mut self, id: ChannelId) -> Option<&mut Skew> {
        self.all.get_mut(&id)?.skew.as_mut()
    }

    /// The channels of a pairing, the oldest first.
    pub(super) fn of(&self, peer: &PairingId) -> Vec<ChannelId> {
        let own = self.all.iter().filter(|(_, it)| it.peer == Some(*peer));
        own.map(|(id, _)| *id).collect()
    }

    fn add(&mut self, link: ServerLink, way: Way, ticket: Option<HalfOpenTicket>) -> ChannelId {
        let id = ChannelId(self.next);
        self.next = self.next.saturating_add(1);
        match way {
            Way::Tcp(link) => self.by_link.insert(link, id),
            Way::Mail { peer, conn, .. } => self.by_conn.insert((peer, conn), id),
        };
        self.all.insert(
            id,
            Channel {
                link,
                way,
                peer: None,
                ticket,
                skew: None,
            },
        );
        id
    }

    fn remove(&mut self, id: ChannelId) -> Option<Channel> {
        let channel = self.all.remove(&id)?;
        match channel.way {
            Way::Tcp(link) => self.by_link.remove(&link),
            Way::Mail { peer, conn, .. } => self.by_conn.remove(&(peer, conn)),
        };
        if let Some(ticket) = channel.ticket {
            self.half_open.leave(ticket);
        }
        Some(channel)
    }
}

impl HalfOpenLinks {
    fn leave(&mut self, ticket: HalfOpenTicket) {
        self.rules.leave(ticket);
        self.channels.remove(&ticket);
    }
}

impl Holder {
    pub(super) fn on_accepted(
        &mut self,
        link: LinkId,
        from: &Address<SocketAddr>,
        step: &mut Step<'_, '_>,
    ) {
        let source = match from {
            Address::Tcp(from) => from.ip(),
            // All who come to a Unix socket are this user.
            Address::Unix(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let (ticket, oldest) = self.channels.half_open.rules.enter(source);
        let displaced = oldest.and_then(|it| self.channels.half_open.channels.remove(&it));
        if let Some(displaced) = displaced {
            self.drop_channel(displaced, step);
        }
        let id = self.start_tcp(link, Some(ticket), step);
        self.channels.half_open.channels.insert(ticket, id);
    }

    /// A channel on a link that we dialled: the agent speaks first there too.
    pub(super) fn start_tcp(
        &mut self,
        link: LinkId,
        ticket: Option<HalfOpenTicket>,
        step: &Step<'_, '_>,
    ) -> ChannelId {
        let server = ServerLink::start(&self.listener, Carrier::Stream, step.now.mono_ms);
        self.channels.add(server, Way::Tcp(link), ticket)
    }

    pub(super) fn on_bytes(&mut self, link: LinkId, bytes: &[u8], step: &mut Step<'_, '_>) {
        let Some(id) = self.channels.by_link.get(&link).copied() else {
            return;
        };
        let Some(channel) = self.channels.all.get_mut(&id) else {
            return;
        };
        let output = channel.link.bytes(step.now.mono_ms, bytes, step.io.rng);
        self.carry_out(id, output, step);
    }

    pub(super) fn on_closed(&mut self, link: LinkId) {
        if let Some(id) = self.channels.by_link.get(&link).copied() {
            self.channels.remove(id);
        }
        self.on_dial_failed(link);
    }

    pub(super) fn on_item(&mut self, mailbox: [u8; 16], item: &[u8], step: &mut Step<'_, '_>) {
        let Some((peer_id, mailboxes)) = self.whose_mailbox(mailbox) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&peer_id) else {
            return;
        };
        let now_ms = step.now.mono_ms;
        let is_first = |frame_type| frame_type == HELLO_TYPE;
        let Ok(received) = peer
            .conns
            .receive(now_ms, MailboxId(mailbox), item, is_first)
        else {
            return;
        };
        if let Some(displaced) = received.displaced {
            self.drop_conn(&peer_id, displaced);
        }
        let key = (peer_id, received.conn);
        let id = match self.channels.by_conn.get(&key) {
            Some(id) => *id,
            // The offer's own conn was opened by our hello: its channel starts with the first frame.
            None => {
                let link = ServerLink::start(&self.listener, Carrier::Items, now_ms);
                let way = Way::Mail {
                    peer: peer_id,
                    conn: received.conn,
                    mailboxes,
                };
                self.channels.add(link, way, None)
            }
        };
        for frame in received.frames {
            let Some(channel) = self.channels.all.get_mut(&id) else {
                return;
            };
            let output = channel.link.frame(now_ms, &frame, step.io.rng);
            self.carry_out(id, output, step);
        }
    }

    pub(super) fn tick_channels(&mut self, step: &mut Step<'_, '_>) {
        let now_ms = step.now.mono_ms;
        let is_due = |wake_ms: Option<u64>| wake_ms.is_some_and(|at| now_ms >= at);
        let channels = self.channels.all.iter();
        let due: Vec<ChannelId> = channels
            .filter(|(_, it)| is_due(it.link.wake_ms()))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(channel) = self.channels.all.get_mut(&id) else {
                continue;
            };
            let output = channel.link.tick(now_ms);
            self.carry_out(id, output, step);
        }
        let mut lost = Vec::new();
        for (peer_id, peer) in &mut self.peers {
            lost.extend(
                peer.conns
                    .drop_gaps(now_ms)
                    .into_iter()
                    .map(|conn| (*peer_id, conn)),
            );
        }
        for (peer_id, conn) in lost {
            self.drop_conn(&peer_id, conn);
        }
    }

    /// Sends one message over a channel; one that has ended takes nothing.
    pub(super) fn send(&mut self, id: ChannelId, message: &[u8], step: &mut Step<'_, '_>) {
        let Some(channel) = self.channels.all.get_mut(&id) else {
            return;
        };
        let Ok(frames) = channel.link.send(step.now.mono_ms, message) else {
            return;
        };
        let way = channel.way;
        self.carry(way, frames, step);
    }

    /// Closes a channel with a reason for the peer.
    pub(super) fn close(&mut self, id: ChannelId, code: CloseCode, step: &mut Step<'_, '_>) {
        let Some(channel) = self.channels.all.get_mut(&id) else {
            return;
        };
        let output = channel.link.close(step.now.mono_ms, code);
        let way = channel.way;
        self.carry(way, output.frames, step);
        self.drop_channel(id, step);
    }

    pub(super) fn drop_channels_of(
        &mut self,
        peer: &PairingId,
        code: CloseCode,
        step: &mut Step<'_, '_>,
    ) {
        for id in self.channels.of(peer) {
            self.close(id, code, step);
        }
    }

    pub(super) fn close_all(&mut self, step: &mut Step<'_, '_>) {
        let all: Vec<ChannelId> = self.channels.all.keys().copied().collect();
        for id in all {
            self.close(id, CloseCode::GoingAway, step);
        }
    }

    pub(super) fn has_channel(&self, link: LinkId) -> bool {
        self.channels.by_link.contains_key(&link)
    }

    fn carry_out(&mut self, id: ChannelId, output: LinkOutput, step: &mut Step<'_, '_>) {
        let Some(way) = self.channels.all.get(&id).map(|it| it.way) else {
            return;
        };
        self.carry(way, output.frames, step);
        for event in output.events {
            match event {
                LinkEvent::Established { peer, own } => {
                    let pairing = PairingId::of(peer.as_bytes(), own.as_bytes());
                    self.on_established(id, pairing, step);
                }
                LinkEvent::Message(message) => {
                    // A confirm request holds the pairing's key: wiped when done with.
                    let mut message = message;
                    self.on_message(id, &message, step);
                    drop(SecretBytes::take(&mut message));
                }
                // The client opens a new channel and closes this one; a server sees no pairing hello.
                LinkEvent::Renew | LinkEvent::PairingHello(_) => {}
                LinkEvent::Ended(end) => self.on_ended(id, end, step),
            }
        }
    }

    fn on_established(&mut self, id: ChannelId, pairing: PairingId, step: &mut Step<'_, '_>) {
        let Some(channel) = self.channels.all.get_mut(&id) else {
            return;
        };
        channel.peer = Some(pairing);
        channel.skew = Some(Skew::new(step.now.mono_ms, step.now.unix_s));
        let ticket = channel.ticket.take();
        let way = channel.way;
        if let Some(ticket) = ticket {
            self.channels.half_open.leave(ticket);
        }
        let peer = self.peers.get_mut(&pairing);
        // Revoked while it shook hands: the end is all it gets.
        let Some(peer) = peer.filter(|it| it.stage() != Stage::Revoked) else {
            return self.close(id, CloseCode::Unpaired, step);
        };
        if let Way::Mail { conn, .. } = way {
            peer.conns.prove(conn);
        }
        let own = self.channels.of(&pairing);
        if let Some(oldest) = own.first().filter(|_| own.len() > CHANNELS_MAX) {
            self.close(*oldest, CloseCode::GoingAway, step);
        }
    }

    fn on_ended(&mut self, id: ChannelId, end: LinkEnd, step: &mut Step<'_, '_>) {
        let peer = self.channels.peer_of(id);
        self.drop_channel(id, step);
        if let (Some(peer), LinkEnd::Closed(code)) = (peer, end) {
            self.on_pairing_channel_closed(&peer, code, step);
        }
    }

    /// Forgets a channel and lets go of what carried it.
    fn drop_channel(&mut self, id: ChannelId, step: &mut Step<'_, '_>) {
        let Some(channel) = self.channels.remove(id) else {
            return;
        };
        match channel.way {
            Way::Tcp(link) => {
                step.net(NetAction::Close { link });
                self.on_dial_failed(link);
            }
            Way::Mail { peer, conn, .. } => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.conns.close(conn);
                }
            }
        }
    }

    fn drop_conn(&mut self, peer: &PairingId, conn: ConnId) {
        if let Some(id) = self.channels.by_conn.get(&(*peer, conn)).copied() {
            self.channels.remove(id);
        }
    }

    fn carry(&mut self, way: Way, frames: Vec<Vec<u8>>, step: &mut Step<'_, '_>) {
        if frames.is_empty() {
            return;
        }
        match way {
            Way::Tcp(link) => step.net(NetAction::Send {
                link,
                bytes: frames.concat(),
            }),
            Way::Mail {
                peer,
                conn,
                mailboxes,
            } => {
                for frame in frames {
                    self.post(&peer, conn, mailboxes, &frame, step);
                }
            }
        }
    }
}

/// Type of a curve Hello (`spec/curve.md` section 2): what may start a conn at an authenticator.
const HELLO_TYPE: u8 = 1;

/// 32 channels of one pairing: two ways, each made anew after a network change, and room;
/// the oldest makes way.
const CHANNELS_MAX: usize = 32;
