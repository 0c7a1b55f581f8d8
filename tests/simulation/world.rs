//! The world: machines, what is on its way between them, and the one true time.
//!
//! **Invariant:** the same seed gives the same events in the same order: all
//! randomness comes from [`World`]'s and the machines' generators, and no order
//! from a hash table.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};

use keystead_agent::ConnectionId;
use keystead_authenticator::screen::QuestionId;
use keystead_core::Decision;
use keystead_daemon::Now;
use keystead_relay::machine::SocketId;
use keystead_transport::{NetAction, NetEvent};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use crate::authenticator::Authenticator;
use crate::line::Line;
use crate::logins::Logins;
use crate::machine::{Machine, Site};
use crate::offers::{Offers, Reaction};
use crate::relay::RelayHost;
use crate::seeds;
use crate::tcp::Tcp;
use crate::workstation::Workstation;

/// Of 65,536: how often something goes wrong with an item, or a piece of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) drop: u16,
    pub(crate) repeat: u16,
    pub(crate) reorder: u16,
    pub(crate) flip: u16,
    /// The relay puts an old item into some mailbox.
    pub(crate) replay: u16,
    /// The connection that carries it breaks.
    pub(crate) cut: u16,
    /// Longest way.
    pub(crate) delay_ms: u64,
}

/// What is on its way.
pub(crate) enum Parcel {
    Net {
        site: Site,
        run: u64,
        event: NetEvent,
    },
    Connect {
        site: Site,
        run: u64,
    },
    Lost {
        site: Site,
        run: u64,
        socket: SocketId,
    },
    ToRelay {
        socket: SocketId,
        message: Vec<u8>,
    },
    FromRelay {
        socket: SocketId,
        frame: Vec<u8>,
    },
    SocketGone {
        socket: SocketId,
    },
    Start {
        site: Site,
        run: u64,
    },
    StartRelay,
    Look {
        workstation: usize,
        run: u64,
        connection: ConnectionId,
    },
    Decide {
        authenticator: usize,
        run: u64,
        question: QuestionId,
        decision: Decision<()>,
    },
    React(Reaction),
    Online(Site),
}

pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) workstations: Vec<Workstation>,
    pub(crate) authenticators: Vec<Authenticator>,
    pub(crate) relay: RelayHost,
    pub(crate) tcp: Tcp,
    lines: BTreeMap<Site, Line>,
    pub(crate) faults: Faults,
    pub(crate) logins: Logins,
    pub(crate) offers: Offers,
    parcels: BTreeMap<(u64, u64), Parcel>,
    sequence: u64,
    rng: ChaCha20Rng,
    trace: DefaultHasher,
    is_told: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let now = Now {
            mono_ms: 0,
            unix_s: Machine::new(0, Default::default()).now(0).unix_s,
        };
        let relay = RelayHost::new(rng.next_u64(), now);
        Self {
            now_ms: 0,
            workstations: Vec::new(),
            authenticators: Vec::new(),
            relay,
            tcp: Tcp::default(),
            lines: BTreeMap::new(),
            faults: Faults::default(),
            logins: Logins::new(&mut rng),
            offers: Offers::default(),
            parcels: BTreeMap::new(),
            sequence: 0,
            rng,
            trace: DefaultHasher::new(),
            is_told: seeds::asked_for().is_some(),
        }
    }

    pub(crate) fn true_unix_s(&self) -> u64 {
        Machine::new(0, Default::default()).now(self.now_ms).unix_s
    }

    pub(crate) fn machine(&self, site: Site) -> &Machine {
        match site {
            Site::Workstation(at) => &self.workstations[at].machine,
            Site::Authenticator(at) => &self.authenticators[at].machine,
        }
    }

    pub(crate) fn machine_mut(&mut self, site: Site) -> &mut Machine {
        match site {
            Site::Workstation(at) => &mut self.workstations[at].machine,
            Site::Authenticator(at) => &mut self.authenticators[at].machine,
        }
    }

    pub(crate) fn sites(&self) -> Vec<Site> {
        let workstations = (0..self.workstations.len()).map(Site::Workstation);
        let authenticators = (0..self.authenticators.len()).map(Site::Authenticator);
        workstations.chain(authenticators).collect()
    }

    pub(crate) fn line(&mut self, site: Site) -> &mut Line {
        self.lines.entry(site).or_default()
    }

    /// Everything that a program does is part of the trace.
    pub(crate) fn note(&mut self, site: Site, what: &str, bytes: &[u8]) {
        self.trace.write_u64(self.now_ms);
        self.trace.write(what.as_bytes());
        self.trace.write(bytes);
        if self.is_told {
            let (s, ms) = (self.now_ms / 1_000, self.now_ms % 1_000);
            println!("{s:>6}.{ms:03} {site:?}: {what}");
        }
    }

    /// What the trace comes to so far.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    pub(crate) fn push(&mut self, at_ms: u64, parcel: Parcel) {
        self.sequence += 1;
        self.parcels.insert((at_ms, self.sequence), parcel);
    }

    pub(crate) fn later(&mut self, delay_ms: u64, parcel: Parcel) {
        self.push(self.now_ms + delay_ms, parcel);
    }

    /// The network says something to a program.
    pub(crate) fn tell(&mut self, site: Site, delay_ms: u64, event: NetEvent) {
        let run = self.machine(site).run;
        self.later(delay_ms, Parcel::Net { site, run, event });
    }

    pub(crate) fn chance(&mut self, of_65536: u16) -> bool {
        of_65536 > 0 && self.rng.next_u32() % 65_536 < u32::from(of_65536)
    }

    /// A number below `limit`; 0 when there is none.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let random = usize::try_from(self.rng.next_u32()).unwrap();
        random.checked_rem(limit).unwrap_or(0)
    }

    pub(crate) fn between_ms(&mut self, least: u64, most: u64) -> u64 {
        least + u64::from(self.rng.next_u32()) % (most - least)
    }

    pub(crate) fn seed(&mut self) -> u64 {
        self.rng.next_u64()
    }

    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    pub(crate) fn flip(&mut self, bytes: &mut [u8]) {
        let (at, bit) = (self.below(bytes.len()), self.below(8));
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }

    pub(crate) fn latency_ms(&mut self) -> u64 {
        let most_ms = 10 + self.faults.delay_ms;
        self.between_ms(1, most_ms)
    }

    /// Does what a program asks of the network.
    pub(crate) fn net(&mut self, site: Site, action: NetAction) {
        match action {
            NetAction::RelayOpen { .. } => self.open_line(site),
            NetAction::RelayClose { .. } => self.close_line(site),
            NetAction::Subscribe {
                mailbox,
                read_token,
                ..
            } => self.subscribe(site, mailbox, read_token),
            NetAction::Unsubscribe { mailbox, .. } => self.unsubscribe(site, mailbox),
            NetAction::Post {
                mailbox,
                write_token,
                item,
                ..
            } => self.post(site, mailbox, write_token, &item),
            NetAction::Delete {
                mailbox,
                read_token,
                ..
            } => self.delete(site, mailbox, read_token),
            NetAction::Listen { address } => self.listen(site, address),
            NetAction::Unlisten { .. } => self.unlisten(site),
            NetAction::Dial { link, address } => self.dial(site, link, &address.to_string()),
            NetAction::Send { link, bytes } => self.send_bytes(site, link, bytes),
            NetAction::Close { link } => self.close_link(site, link),
        }
    }

    /// Lets time pass until the condition holds; says whether it did in time.
    pub(crate) fn run_until(&mut self, limit_ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end_ms = self.now_ms + limit_ms;
        let mut standing = 0;
        while !done(self) {
            let next_ms = self.next_ms();
            if next_ms > end_ms {
                self.now_ms = end_ms;
                return done(self);
            }
            standing = if next_ms > self.now_ms {
                0
            } else {
                standing + 1
            };
            assert!(standing < 5_000, "time stands still at {}", self.now_ms);
            self.now_ms = self.now_ms.max(next_ms);
            self.pass();
        }
        true
    }

    pub(crate) fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    fn next_ms(&self) -> u64 {
        let parcel = self.parcels.keys().next().map(|(at_ms, _)| *at_ms);
        let sites = self.sites().into_iter();
        let wakes = sites.filter_map(|it| self.wake_ms(it));
        let all = wakes.chain(parcel).chain(self.relay.next_wake_ms());
        all.min().unwrap_or(u64::MAX)
    }

    /// When a program wants its next tick, by the true time.
    fn wake_ms(&self, site: Site) -> Option<u64> {
        let machine = self.machine(site);
        let mono_ms = match site {
            Site::Workstation(at) => self.workstations[at].wake_ms(),
            Site::Authenticator(at) => self.authenticators[at].wake_ms(),
        };
        let wake_ms = machine.world_ms(mono_ms?);
        Some(wake_ms.max(machine.asleep_until_ms))
    }

    fn pass(&mut self) {
        while let Some(entry) = self.parcels.first_entry()
            && entry.key().0 <= self.now_ms
        {
            let parcel = entry.remove();
            self.deliver(parcel);
        }
        let is_due = self
            .relay
            .next_wake_ms()
            .is_some_and(|it| it <= self.now_ms);
        if is_due {
            self.step_relay(keystead_relay::machine::Event::Tick);
        }
        for site in self.sites() {
            if self.wake_ms(site).is_some_and(|it| it <= self.now_ms) {
                match site {
                    Site::Workstation(at) => self.tick_workstation(at),
                    Site::Authenticator(at) => self.tick_authenticator(at),
                }
            }
        }
        self.check_waits();
    }

    /// For whom a parcel is, while that machine may be asleep.
    fn addressee(&self, parcel: &Parcel) -> Option<Site> {
        match parcel {
            Parcel::Net { site, .. } | Parcel::Connect { site, .. } | Parcel::Lost { site, .. } => {
                Some(*site)
            }
            Parcel::FromRelay { socket, .. } => self.reader_of(*socket),
            Parcel::Look { workstation, .. } => Some(Site::Workstation(*workstation)),
            Parcel::Decide { authenticator, .. } => Some(Site::Authenticator(*authenticator)),
            Parcel::React(reaction) => Some(reaction.site()),
            _ => None,
        }
    }

    fn deliver(&mut self, parcel: Parcel) {
        if let Some(site) = self.addressee(&parcel)
            && !self.machine(site).is_awake(self.now_ms)
        {
            let wake_ms = self.machine(site).asleep_until_ms;
            return self.push(wake_ms, parcel);
        }
        match parcel {
            Parcel::Net { site, run, .. }
            | Parcel::Connect { site, run }
            | Parcel::Lost { site, run, .. }
                if self.machine(site).run != run => {}
            Parcel::Net { site, event, .. } => self.deliver_event(site, event),
            Parcel::Connect { site, .. } => self.connect(site),
            Parcel::Lost { site, socket, .. } => self.lost_socket(site, socket),
            Parcel::ToRelay { socket, message } => self.at_relay(socket, message),
            Parcel::FromRelay { socket, frame } => {
                if let Some(site) = self.reader_of(socket) {
                    self.take_frame(site, &frame);
                }
            }
            Parcel::SocketGone { socket } => self.socket_gone(socket),
            Parcel::Start { site, run } if run == self.machine(site).run => self.start(site),
            Parcel::Start { .. } => {}
            Parcel::StartRelay => self.start_relay(),
            Parcel::Look {
                workstation,
                run,
                connection,
            } => self.looked(workstation, run, connection),
            Parcel::Decide {
                authenticator,
                run,
                question,
                decision,
            } => self.decide(authenticator, run, question, decision),
            Parcel::React(reaction) => self.react(reaction),
            Parcel::Online(site) => self.machine_mut(site).is_online = true,
        }
    }

    fn deliver_event(&mut self, site: Site, event: NetEvent) {
        match &event {
            NetEvent::Bytes { link, .. } | NetEvent::Dialled { link }
                if !self.tcp.is_open(site, *link) =>
            {
                return;
            }
            NetEvent::Closed { link, .. } if !self.tcp.is_open(site, *link) => return,
            NetEvent::Closed { link, .. } => self.closed(site, *link),
            _ => {}
        }
        match site {
            Site::Workstation(at) => self.step_agent(at, keystead_agent::Event::Net(event)),
            Site::Authenticator(at) => {
                self.step_holder(at, keystead_authenticator::holder::Event::Net(event));
            }
        }
    }

    pub(crate) fn start(&mut self, site: Site) {
        match site {
            Site::Workstation(at) => self.start_agent(at),
            Site::Authenticator(at) => self.start_holder(at),
        }
    }
}
