//! One seeded process: keepers, authenticators, a relay and TCP between them.

use std::collections::{BTreeMap, BTreeSet};

use keystead_channel::pairing::Code;
use keystead_core::{
    Evidence, Kind, MakeKeyRequest, Name, PairingId, RequestBody, SignForm, SignRequest,
    SignedReceipt,
};
use keystead_daemon::{Io, MemoryDisk, Now};
use keystead_keeper::{
    Action, Address, Answer, AskId, Event, KeeperError, Keepers, LinkId, NetAction, NetEvent,
    Notice, PairError, PairingProgress, Progress, RelayUrl, decode_receipt,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use crate::peer::{Out, Peer, key_id};

/// Of 256: how often something goes wrong with an item.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) drop: u8,
    pub(crate) repeat: u8,
    pub(crate) flip: u8,
    /// Up to so many ms later than the others.
    pub(crate) delay_ms: u64,
    /// Whether everything that goes to the keepers is lost.
    pub(crate) deafens: bool,
}

/// What is on its way.
enum Parcel {
    ToKeepers(NetEvent),
    ItemToPeer {
        peer: usize,
        mailbox: [u8; 16],
        item: Vec<u8>,
    },
    OpenToPeer {
        peer: usize,
        conn: u64,
    },
    BytesToPeer {
        peer: usize,
        conn: u64,
        bytes: Vec<u8>,
    },
    CloseToPeer {
        peer: usize,
        conn: u64,
    },
}

struct Tcp {
    peer: usize,
    conn: u64,
    /// When the last bytes arrive, each way: TCP keeps the order.
    to_peer_ms: u64,
    to_keepers_ms: u64,
}

pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) keepers: Keepers,
    pub(crate) disk: MemoryDisk,
    pub(crate) peers: Vec<Peer>,
    pub(crate) faults: Faults,
    pub(crate) relay_is_up: bool,
    pub(crate) tcp_works: bool,
    /// What the keepers told, in order.
    pub(crate) progress: Vec<(AskId, Progress)>,
    pub(crate) pairing: Vec<PairingProgress>,
    pub(crate) notices: Vec<Notice>,
    /// Receipts that came with no end of an ask.
    pub(crate) answered: Vec<(Kind, SignedReceipt)>,
    /// Every byte that the keepers sent, to look for secrets.
    pub(crate) sent: Vec<u8>,
    pub(crate) posted: Vec<([u8; 16], Vec<u8>)>,
    pub(crate) deleted: BTreeSet<[u8; 16]>,
    pub(crate) listening: BTreeSet<std::net::SocketAddr>,
    subscribed: BTreeSet<[u8; 16]>,
    boxes: BTreeMap<[u8; 16], Vec<Vec<u8>>>,
    tcps: BTreeMap<LinkId, Tcp>,
    parcels: BTreeMap<(u64, u64), Parcel>,
    sequence: u64,
    accepted: u64,
    conns: u64,
    asks: u64,
    rng: ChaCha20Rng,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut disk = MemoryDisk::new();
        let now = Now {
            mono_ms: START_MS,
            unix_s: START_UNIX_S,
        };
        let mut io = Io {
            rng: &mut rng,
            disk: &mut disk,
        };
        let (keepers, notices) = Keepers::load(now, &mut io).unwrap();
        let mut world = Self {
            now_ms: START_MS,
            keepers,
            disk,
            peers: Vec::new(),
            faults: Faults::default(),
            relay_is_up: true,
            tcp_works: true,
            progress: Vec::new(),
            pairing: Vec::new(),
            notices,
            answered: Vec::new(),
            sent: Vec::new(),
            posted: Vec::new(),
            deleted: BTreeSet::new(),
            listening: BTreeSet::new(),
            subscribed: BTreeSet::new(),
            boxes: BTreeMap::new(),
            tcps: BTreeMap::new(),
            parcels: BTreeMap::new(),
            sequence: 0,
            accepted: 0,
            conns: 0,
            asks: 0,
            rng,
        };
        world.step(Event::Tick);
        world
    }

    pub(crate) fn relay() -> RelayUrl {
        "https://relay.test".parse().unwrap()
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono_ms: self.now_ms,
            unix_s: START_UNIX_S + (self.now_ms - START_MS) / 1_000,
        }
    }

    pub(crate) fn add_peer(&mut self, name: &str) -> usize {
        let rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
        self.peers.push(Peer::new(name, rng));
        self.peers.len() - 1
    }

    /// The agent's process ends without a word and starts anew with its disk.
    pub(crate) fn restart_agent(&mut self) {
        let now = self.now();
        let mut io = Io {
            rng: &mut self.rng,
            disk: &mut self.disk,
        };
        let (keepers, notices) = Keepers::load(now, &mut io).unwrap();
        self.keepers = keepers;
        self.notices.extend(notices);
        for link in self.tcps.keys().copied().collect::<Vec<_>>() {
            self.close_from_here(link);
        }
        self.subscribed.clear();
        self.listening.clear();
        self.step(Event::Tick);
    }

    pub(crate) fn step(&mut self, event: Event) {
        let now = self.now();
        let mut io = Io {
            rng: &mut self.rng,
            disk: &mut self.disk,
        };
        let actions = self.keepers.step(now, event, &mut io);
        for action in actions {
            match action {
                Action::Net(action) => self.net(action),
                Action::Progress { ask, progress } => self.progress.push((ask, progress)),
                Action::Pairing(progress) => self.pairing.push(progress),
                Action::Notice(Notice::Answered { kind, receipt, .. }) => {
                    self.answered.push((kind, receipt));
                }
                Action::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    /// Lets time pass until the condition holds; says whether it did in time.
    pub(crate) fn run_until(&mut self, limit_ms: u64, done: impl Fn(&World) -> bool) -> bool {
        let end_ms = self.now_ms + limit_ms;
        let mut idle_steps = 0;
        loop {
            if done(self) {
                return true;
            }
            let parcel = self.parcels.keys().next().map(|(at_ms, _)| *at_ms);
            let agent = self.keepers.next_wake_ms();
            let peers = self.peers.iter().filter_map(Peer::wake_ms);
            let next_ms = peers.chain(parcel).chain(agent).min().unwrap_or(u64::MAX);
            if next_ms > end_ms {
                self.now_ms = end_ms;
                return done(self);
            }
            idle_steps = if next_ms <= self.now_ms {
                idle_steps + 1
            } else {
                0
            };
            assert!(
                idle_steps < 2_000,
                "time stands still at {}: {agent:?} {parcel:?} {:?}",
                self.now_ms,
                self.peers.iter().map(Peer::wake_ms).collect::<Vec<_>>(),
            );
            self.now_ms = self.now_ms.max(next_ms);
            self.pass();
        }
    }

    pub(crate) fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    fn pass(&mut self) {
        while let Some(entry) = self.parcels.first_entry()
            && entry.key().0 <= self.now_ms
        {
            let parcel = entry.remove();
            self.deliver(parcel);
        }
        if self
            .keepers
            .next_wake_ms()
            .is_some_and(|wake_ms| wake_ms <= self.now_ms)
        {
            self.step(Event::Tick);
        }
        for peer in 0..self.peers.len() {
            if self.peers[peer]
                .wake_ms()
                .is_some_and(|it| it <= self.now_ms)
            {
                self.on_peer(peer, Peer::tick);
            }
        }
    }

    /// Something happens at an authenticator.
    pub(crate) fn on_peer<T>(&mut self, peer: usize, act: impl FnOnce(&mut Peer) -> T) -> T {
        let now = self.now();
        let done = act(self.peers[peer].at(now.mono_ms, now.unix_s));
        for out in self.peers[peer].take_out() {
            match out {
                Out::Item { mailbox, item } => self.post(mailbox, item),
                Out::Tcp { conn, bytes } => {
                    let found = self
                        .tcps
                        .iter_mut()
                        .find(|(_, tcp)| tcp.peer == peer && tcp.conn == conn);
                    if let Some((link, tcp)) = found {
                        let link = *link;
                        tcp.to_keepers_ms = tcp.to_keepers_ms.max(self.now_ms + 1);
                        let at_ms = tcp.to_keepers_ms;
                        let event = NetEvent::Bytes { link, bytes };
                        self.send_at(at_ms, Parcel::ToKeepers(event));
                    }
                }
                Out::Hang { conn } => {
                    let found = self
                        .tcps
                        .iter()
                        .find(|(_, tcp)| tcp.peer == peer && tcp.conn == conn);
                    if let Some((link, tcp)) = found {
                        let (link, at_ms) = (*link, tcp.to_keepers_ms.max(self.now_ms + 1));
                        self.tcps.remove(&link);
                        let reason = "the peer closed the connection".to_owned();
                        let event = NetEvent::Closed { link, reason };
                        self.send_at(at_ms, Parcel::ToKeepers(event));
                    }
                }
            }
        }
        done
    }

    /// The authenticator comes back: what its mailboxes held is delivered.
    pub(crate) fn set_online(&mut self, peer: usize, online: bool) {
        self.peers[peer].online = online;
        if online {
            self.flush_boxes();
        }
    }

    /// An authenticator scans the offer that is shown, by relay and by TCP.
    pub(crate) fn scan(&mut self, peer: usize, link: &str) {
        let addresses = self.on_peer(peer, |it| it.scan(link));
        for address in addresses {
            if self.tcp_works && self.listening.contains(&address.parse().unwrap()) {
                let link = self.dial_in(peer);
                let conn = self.tcps[&link].conn;
                self.on_peer(peer, |it| it.hello_again_on(conn));
            }
        }
    }

    /// Somebody dials the workstation.
    pub(crate) fn dial_in(&mut self, peer: usize) -> LinkId {
        self.accepted += 1;
        let link = LinkId(LinkId::ACCEPTED.0 + self.accepted);
        self.new_tcp(link, peer);
        let event = NetEvent::Accepted {
            link,
            peer: "192.0.2.1:5".parse::<Address<_>>().unwrap(),
        };
        self.send_at(self.now_ms + 1, Parcel::ToKeepers(event));
        link
    }

    /// Bytes of a stranger on a link of [`World::dial_in`].
    pub(crate) fn inject(&mut self, link: LinkId, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        let event = NetEvent::Bytes { link, bytes };
        self.send_at(self.now_ms + 1, Parcel::ToKeepers(event));
    }

    /// Whether the workstation still holds the link.
    pub(crate) fn holds(&self, link: LinkId) -> bool {
        self.tcps.contains_key(&link)
    }

    /// Cuts all TCP connections.
    pub(crate) fn cut_tcp(&mut self) {
        for link in self.tcps.keys().copied().collect::<Vec<_>>() {
            self.close_from_here(link);
            let reason = "connection reset".to_owned();
            let event = NetEvent::Closed { link, reason };
            self.send_at(self.now_ms + 1, Parcel::ToKeepers(event));
        }
    }

    pub(crate) fn set_relay(&mut self, is_up: bool) {
        self.relay_is_up = is_up;
        let relay = Self::relay();
        let event = if is_up {
            NetEvent::RelayUp { relay }
        } else {
            // A relay that dies takes what it held with it.
            self.boxes.clear();
            let reason = "connection refused".to_owned();
            NetEvent::RelayDown { relay, reason }
        };
        self.send_at(self.now_ms, Parcel::ToKeepers(event));
    }

    fn net(&mut self, action: NetAction) {
        match action {
            NetAction::Subscribe { mailbox, .. } => {
                self.subscribed.insert(mailbox);
                self.flush_boxes();
            }
            NetAction::Unsubscribe { mailbox, .. } => {
                self.subscribed.remove(&mailbox);
            }
            NetAction::Post { mailbox, item, .. } => {
                self.sent.extend_from_slice(&item);
                self.posted.push((mailbox, item.clone()));
                self.post(mailbox, item);
            }
            NetAction::Delete { mailbox, .. } => {
                self.boxes.remove(&mailbox);
                self.deleted.insert(mailbox);
            }
            NetAction::Listen {
                address: Address::Tcp(address),
            } => {
                let bound = std::net::SocketAddr::new(address.ip(), 4_000);
                self.listening.insert(bound);
                let event = NetEvent::Listening {
                    asked: address.into(),
                    address: bound.into(),
                };
                self.send_at(self.now_ms, Parcel::ToKeepers(event));
            }
            NetAction::Unlisten { .. } => self.listening.clear(),
            NetAction::Listen { address } => panic!("{address}"),
            NetAction::Dial { link, address } => self.dial(link, &address.to_string()),
            NetAction::Send { link, bytes } => {
                self.sent.extend_from_slice(&bytes);
                if let Some(tcp) = self.tcps.get_mut(&link) {
                    tcp.to_peer_ms = tcp.to_peer_ms.max(self.now_ms + 1);
                    let (peer, conn, at_ms) = (tcp.peer, tcp.conn, tcp.to_peer_ms);
                    self.send_at(at_ms, Parcel::BytesToPeer { peer, conn, bytes });
                }
            }
            NetAction::Close { link } => self.close_from_here(link),
            NetAction::RelayOpen { .. } | NetAction::RelayClose { .. } => {}
        }
    }

    fn dial(&mut self, link: LinkId, address: &str) {
        let listens = |it: &Peer| it.online && it.listens.as_deref() == Some(address);
        let found = self.peers.iter().position(listens);
        match found.filter(|_| self.tcp_works) {
            Some(peer) => {
                let conn = self.new_tcp(link, peer);
                self.send_at(self.now_ms + 1, Parcel::OpenToPeer { peer, conn });
                let event = NetEvent::Dialled { link };
                self.send_at(self.now_ms + 1, Parcel::ToKeepers(event));
            }
            None => {
                let reason = format!("{address}: connection refused");
                let event = NetEvent::DialFailed { link, reason };
                self.send_at(self.now_ms + 1, Parcel::ToKeepers(event));
            }
        }
    }

    fn new_tcp(&mut self, link: LinkId, peer: usize) -> u64 {
        self.conns += 1;
        let tcp = Tcp {
            peer,
            conn: self.conns,
            to_peer_ms: self.now_ms + 1,
            to_keepers_ms: self.now_ms + 1,
        };
        self.tcps.insert(link, tcp);
        self.conns
    }

    fn close_from_here(&mut self, link: LinkId) {
        if let Some(tcp) = self.tcps.remove(&link) {
            let parcel = Parcel::CloseToPeer {
                peer: tcp.peer,
                conn: tcp.conn,
            };
            self.send_at(tcp.to_peer_ms.max(self.now_ms + 1), parcel);
        }
    }

    /// The relay takes an item, and does with it what it likes.
    pub(crate) fn post(&mut self, mailbox: [u8; 16], mut item: Vec<u8>) {
        if !self.relay_is_up || self.deleted.contains(&mailbox) || self.chance(self.faults.drop) {
            return;
        }
        let repeats = self.chance(self.faults.repeat);
        if self.chance(self.faults.flip) {
            let at = usize::try_from(self.rng.next_u32()).unwrap() % item.len();
            item[at] ^= 0x10;
        }
        for _ in 0..=u8::from(repeats) {
            self.hand_on(mailbox, item.clone());
        }
    }

    fn hand_on(&mut self, mailbox: [u8; 16], item: Vec<u8>) {
        let jitter_ms = match self.faults.delay_ms {
            0 => 0,
            most_ms => u64::from(self.rng.next_u32()) % most_ms,
        };
        let at_ms = self.now_ms + 2 + jitter_ms;
        if self.subscribed.contains(&mailbox) {
            if self.faults.deafens {
                return;
            }
            let relay = Self::relay();
            let event = NetEvent::Item {
                relay,
                mailbox,
                item,
            };
            self.send_at(at_ms, Parcel::ToKeepers(event));
            return;
        }
        let unix_s = self.now().unix_s;
        let reader = self.peers.iter().position(|it| it.reads(&mailbox, unix_s));
        match reader {
            Some(peer) => self.send_at(
                at_ms,
                Parcel::ItemToPeer {
                    peer,
                    mailbox,
                    item,
                },
            ),
            None => self.boxes.entry(mailbox).or_default().push(item),
        }
    }

    fn flush_boxes(&mut self) {
        for (mailbox, items) in std::mem::take(&mut self.boxes) {
            for item in items {
                self.hand_on(mailbox, item);
            }
        }
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::ToKeepers(event) => self.step(Event::Net(event)),
            Parcel::ItemToPeer {
                peer,
                mailbox,
                item,
            } => {
                if self.peers[peer].online {
                    self.on_peer(peer, |it| it.take_item(mailbox, &item));
                }
            }
            Parcel::OpenToPeer { peer, conn } => self.on_peer(peer, |it| it.tcp_opened(conn)),
            Parcel::BytesToPeer { peer, conn, bytes } => {
                if self.peers[peer].online {
                    self.on_peer(peer, |it| it.tcp_bytes(conn, &bytes));
                }
            }
            Parcel::CloseToPeer { peer, conn } => self.on_peer(peer, |it| it.tcp_closed(conn)),
        }
    }

    fn send_at(&mut self, at_ms: u64, parcel: Parcel) {
        self.sequence += 1;
        self.parcels.insert((at_ms, self.sequence), parcel);
    }

    fn chance(&mut self, of_256: u8) -> bool {
        of_256 > 0 && self.rng.next_u32().to_le_bytes()[0] < of_256
    }

    /// Offers a pairing, by relay or by address; gives the link.
    pub(crate) fn offer(&mut self, by: By) -> String {
        self.pairing.clear();
        self.step(Event::PairStart {
            own_name: Name::new("laptop").unwrap(),
            relay: (by != By::Tcp).then(Self::relay),
            addresses: match by {
                By::Relay => Vec::new(),
                By::Tcp | By::Both => vec!["127.0.0.1:0".parse().unwrap()],
            },
        });
        self.run(100);
        let offer = self.pairing.iter().find_map(|it| match it {
            PairingProgress::Offer { link, .. } => Some(link.clone()),
            _ => None,
        });
        offer.unwrap()
    }

    pub(crate) fn shown_code(&self) -> Option<Code> {
        self.pairing.iter().find_map(|it| match it {
            PairingProgress::Code { code, .. } => Some(*code),
            _ => None,
        })
    }

    pub(crate) fn stored(&self) -> Option<PairingId> {
        self.pairing.iter().find_map(|it| match it {
            PairingProgress::Stored { pairing, .. } => Some(*pairing),
            _ => None,
        })
    }

    pub(crate) fn pair_error(&self) -> Option<&PairError> {
        self.pairing.iter().find_map(|it| match it {
            PairingProgress::Ended(error) => Some(error),
            _ => None,
        })
    }

    /// Pairs a new authenticator that is reached this way, to the end.
    pub(crate) fn pair(&mut self, name: &str, by: By) -> (usize, PairingId) {
        let peer = self.add_peer(name);
        if by != By::Tcp {
            let relay = Self::relay().to_string();
            let way = keystead_core::TransportAddress::Relay(relay);
            self.peers[peer].transports.push(way);
        }
        if by != By::Relay {
            let address = format!("192.0.2.{}:7000", peer + 1);
            self.peers[peer].listens = Some(address.clone());
            let way = keystead_core::TransportAddress::Local(address);
            self.peers[peer].transports.push(way);
        }
        let link = self.offer(by);
        self.scan(peer, &link);
        assert!(
            self.run_until(60_000, |it| it.shown_code().is_some()),
            "no code"
        );
        assert_eq!(self.shown_code(), self.peers[peer].code);
        self.step(Event::PairConfirm);
        assert!(
            self.run_until(60_000, |it| it.stored().is_some()),
            "not stored: {:?}",
            self.pairing.last()
        );
        self.run(100);
        self.peers[peer].leave_offer();
        (peer, self.stored().unwrap())
    }

    /// Asks for a signature.
    pub(crate) fn ask(&mut self, pairing: PairingId, wait_s: u16) -> AskId {
        self.ask_for(pairing, sign(b"blob"), wait_s)
    }

    /// Asks for a new key.
    pub(crate) fn ask_for_key(&mut self, pairing: PairingId, name: &str) -> AskId {
        let body = RequestBody::MakeKey(MakeKeyRequest {
            name: Name::new(name).unwrap(),
            algorithm: "ssh-ed25519".to_owned(),
            purposes: Vec::new(),
        });
        self.ask_for(pairing, body, 60)
    }

    pub(crate) fn ask_for(&mut self, pairing: PairingId, body: RequestBody, wait_s: u16) -> AskId {
        self.asks += 1;
        let ask = AskId(self.asks);
        self.step(Event::Ask {
            ask,
            pairing,
            body,
            wait_s,
        });
        ask
    }

    /// The numbers of all receipts that the keepers handed on.
    pub(crate) fn receipts(&self) -> Vec<u64> {
        let ends = self
            .progress
            .iter()
            .filter_map(|(_, progress)| match progress {
                Progress::Done(Ok(answer)) => answer.receipt.as_ref(),
                _ => None,
            });
        let all = ends.chain(self.answered.iter().map(|(_, receipt)| receipt));
        let mut numbers: Vec<u64> = all
            .map(|it| decode_receipt(&it.bytes).unwrap().seq)
            .collect();
        numbers.sort_unstable();
        numbers
    }

    pub(crate) fn answer(&self, ask: AskId) -> Option<&Result<Answer, KeeperError>> {
        let mut done = self
            .progress
            .iter()
            .filter_map(|(of, progress)| match progress {
                Progress::Done(done) if *of == ask => Some(done),
                _ => None,
            });
        let first = done.next();
        assert!(done.next().is_none(), "two ends of one ask");
        first
    }

    pub(crate) fn wait_for(&mut self, ask: AskId) -> &Result<Answer, KeeperError> {
        assert!(
            self.run_until(200_000, |it| it.answer(ask).is_some()),
            "no end of {ask:?}"
        );
        self.answer(ask).unwrap()
    }

    /// Whether a person was said to be asked.
    pub(crate) fn is_asking(&self, ask: AskId) -> bool {
        let of = |(it, progress): &(AskId, Progress)| {
            *it == ask && matches!(progress, Progress::Asking { .. })
        };
        self.progress.iter().filter(|it| of(it)).count() == 1
    }
}

/// How an offer is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    Relay,
    Tcp,
    Both,
}

pub(crate) fn sign(content: &[u8]) -> RequestBody {
    RequestBody::Sign(SignRequest {
        key: key_id(),
        form: SignForm::Ssh,
        content: content.to_vec(),
        flags: 0,
        evidence: Evidence::default(),
        identity: None,
    })
}

const START_MS: u64 = 1_000_000;
const START_UNIX_S: u64 = 1_700_000_000;
