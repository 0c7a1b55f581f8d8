//! The relay: the real one, on a machine that can die, and a liar between it
//! and its sockets who drops, repeats, reorders and changes items, keeps them
//! for ever, and puts them into other mailboxes.
//!
//! **Invariant:** what the liar does is done to items alone: a relay that
//! breaks its own protocol is only a relay that is away.

use std::collections::BTreeMap;

use keystead_daemon::{Io, MemoryDisk, Now};
use keystead_relay::machine::{Action, Event, Limits, Relay, SocketId, Source};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::line::{ITEM, Mailbox, item_frame};
use crate::machine::Site;
use crate::tcp::{SILENCE_MS, address_of};
use crate::world::{Parcel, World};

pub(crate) struct RelayHost {
    relay: Relay,
    disk: MemoryDisk,
    rng: ChaCha20Rng,
    pub(crate) is_up: bool,
    sockets: BTreeMap<SocketId, Socket>,
    next: u64,
    /// Every item that was ever posted.
    archive: Vec<(Mailbox, Vec<u8>)>,
    /// The last cursor that was really given, for lies that look right.
    cursors: BTreeMap<Mailbox, u64>,
}

struct Socket {
    site: Site,
    run: u64,
    is_dead: bool,
    to_relay_ms: u64,
    to_client_ms: u64,
}

impl RelayHost {
    pub(crate) fn new(seed: u64, now: Now) -> Self {
        let mut disk = MemoryDisk::new();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let relay = load(now, &mut rng, &mut disk);
        Self {
            relay,
            disk,
            rng,
            is_up: true,
            sockets: BTreeMap::new(),
            next: 0,
            archive: Vec::new(),
            cursors: BTreeMap::new(),
        }
    }

    pub(crate) fn archive(&mut self, mailbox: Mailbox, item: &[u8]) {
        self.archive.push((mailbox, item.to_vec()));
    }

    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        self.is_up.then(|| self.relay.next_wake_ms())
    }
}

fn load(now: Now, rng: &mut ChaCha20Rng, disk: &mut MemoryDisk) -> Relay {
    Relay::load(now, Limits::default(), &mut Io { rng, disk }).unwrap()
}

impl World {
    /// The relay's clocks are the true ones.
    fn relay_now(&self) -> Now {
        Now {
            mono_ms: self.now_ms,
            unix_s: self.true_unix_s(),
        }
    }

    pub(crate) fn step_relay(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = self.relay_now();
            let host = &mut self.relay;
            let mut io = Io {
                rng: &mut host.rng,
                disk: &mut host.disk,
            };
            for action in host.relay.step(now, event, &mut io) {
                if let Action::Send { socket, frame } = action {
                    self.carry_from_relay(socket, frame);
                    events.push(Event::Sent { socket });
                }
            }
        }
    }

    pub(crate) fn open_socket(&mut self, site: Site) -> Option<SocketId> {
        if !self.relay.is_up {
            return None;
        }
        let run = self.machine(site).run;
        self.relay.next += 1;
        let id = SocketId(self.relay.next);
        let socket = Socket {
            site,
            run,
            is_dead: false,
            to_relay_ms: self.now_ms,
            to_client_ms: self.now_ms,
        };
        self.relay.sockets.insert(id, socket);
        let source = Source::of(address_of(site));
        self.step_relay(Event::Connect { source });
        self.step_relay(Event::Open { socket: id, source });
        Some(id)
    }

    pub(crate) fn carry_to_relay(&mut self, socket: SocketId, message: Vec<u8>) {
        let delay_ms = self.latency_ms();
        let Some(open) = self.relay.sockets.get_mut(&socket) else {
            return;
        };
        if open.is_dead {
            return;
        }
        open.to_relay_ms = open.to_relay_ms.max(self.now_ms + delay_ms);
        let at_ms = open.to_relay_ms;
        self.push(at_ms, Parcel::ToRelay { socket, message });
        if self.chance(self.faults.cut) {
            self.cut_socket(socket);
        }
    }

    pub(crate) fn at_relay(&mut self, socket: SocketId, message: Vec<u8>) {
        let open = self.relay.sockets.get(&socket);
        if open.is_some_and(|it| !it.is_dead) {
            self.step_relay(Event::Message { socket, message });
        }
    }

    fn carry_from_relay(&mut self, socket: SocketId, mut frame: Vec<u8>) {
        if frame.first() != Some(&ITEM) {
            return self.send_frame(socket, frame);
        }
        let mailbox: Mailbox = frame[1..17].try_into().unwrap();
        let cursor = u64::from_be_bytes(frame[17..25].try_into().unwrap());
        self.relay.cursors.insert(mailbox, cursor);
        if self.chance(self.faults.replay) {
            self.lie(cursor);
        }
        if self.chance(self.faults.drop) {
            return;
        }
        if self.chance(self.faults.flip) {
            self.flip(&mut frame[25..]);
        }
        if self.chance(self.faults.repeat) {
            self.send_late(socket, frame.clone());
        }
        if self.chance(self.faults.reorder) {
            return self.send_late(socket, frame);
        }
        self.send_frame(socket, frame);
    }

    /// An old item, of whatever mailbox, into a mailbox that somebody reads:
    /// the same one again, another pairing's, or the writer's own.
    fn lie(&mut self, cursor: u64) {
        let item = self.below(self.relay.archive.len());
        let Some((_, item)) = self.relay.archive.get(item).cloned() else {
            return;
        };
        let open: Vec<(SocketId, Site)> = self
            .relay
            .sockets
            .iter()
            .map(|(id, it)| (*id, it.site))
            .collect();
        let mut targets = Vec::new();
        for (socket, site) in open {
            targets.extend(self.line(site).read().map(|it| (socket, it)));
        }
        let target = self.below(targets.len());
        if let Some((socket, mailbox)) = targets.get(target) {
            let cursor = self.relay.cursors.get(mailbox).copied().unwrap_or(cursor);
            let frame = item_frame(mailbox, cursor, &item);
            self.send_late(*socket, frame);
        }
    }

    fn send_frame(&mut self, socket: SocketId, frame: Vec<u8>) {
        let delay_ms = self.latency_ms();
        if let Some(open) = self.relay.sockets.get_mut(&socket) {
            open.to_client_ms = open.to_client_ms.max(self.now_ms + delay_ms);
            let at_ms = open.to_client_ms;
            self.push(at_ms, Parcel::FromRelay { socket, frame });
        }
    }

    /// Later than what follows it.
    fn send_late(&mut self, socket: SocketId, frame: Vec<u8>) {
        let late_ms = u64::try_from(self.below(LATE_MS_MAX)).unwrap();
        let at_ms = self.now_ms + self.latency_ms() + late_ms;
        self.push(at_ms, Parcel::FromRelay { socket, frame });
    }

    /// A frame reaches the machine of the socket: its site, if it is still there.
    pub(crate) fn reader_of(&self, socket: SocketId) -> Option<Site> {
        let open = self.relay.sockets.get(&socket)?;
        let is_there = !open.is_dead && self.machine(open.site).run == open.run;
        is_there.then_some(open.site)
    }

    /// The client's end is gone; the relay learns it after a while.
    pub(crate) fn hang_up(&mut self, socket: SocketId, notice_ms: u64) {
        if let Some(open) = self.relay.sockets.get_mut(&socket) {
            open.is_dead = true;
            self.push(self.now_ms + notice_ms, Parcel::SocketGone { socket });
        }
    }

    /// The relay learns that a socket is gone.
    pub(crate) fn socket_gone(&mut self, socket: SocketId) {
        let Some(open) = self.relay.sockets.remove(&socket) else {
            return;
        };
        self.step_relay(Event::Close { socket });
        let source = Source::of(address_of(open.site));
        self.step_relay(Event::Disconnect { source });
    }

    fn cut_socket(&mut self, socket: SocketId) {
        if let Some(open) = self.relay.sockets.get(&socket) {
            let (site, run) = (open.site, open.run);
            self.hang_up(socket, 1);
            self.push(self.now_ms + 1, Parcel::Lost { site, run, socket });
        }
    }

    pub(crate) fn cut_all_sockets(&mut self) {
        let sockets: Vec<SocketId> = self.relay.sockets.keys().copied().collect();
        sockets.into_iter().for_each(|it| self.cut_socket(it));
    }

    /// Nothing passes any more; each end's own timer finds it out.
    pub(crate) fn stall_socket_of(&mut self, site: Site) {
        if let Some(socket) = self.line(site).socket {
            let run = self.machine(site).run;
            self.hang_up(socket, SILENCE_MS);
            let at_ms = self.now_ms + PING_MS;
            self.push(at_ms, Parcel::Lost { site, run, socket });
        }
    }

    pub(crate) fn stop_relay(&mut self) {
        self.relay.is_up = false;
        self.cut_all_sockets();
        self.relay.sockets.clear();
        self.relay.disk.crash();
    }

    pub(crate) fn start_relay(&mut self) {
        if !self.relay.is_up {
            let now = self.relay_now();
            let host = &mut self.relay;
            host.relay = load(now, &mut host.rng, &mut host.disk);
            host.cursors.clear();
            host.is_up = true;
        }
    }
}

/// Longest delay of a lie: a pairing code's life.
const LATE_MS_MAX: usize = 120_000;

/// Until a client that hears nothing asks, and gets no answer.
const PING_MS: u64 = 35_000;
