//! Whatever happens in whatever order: each call is answered once, each item
//! reaches its reader once and in order, and nothing stays counted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use keystead_daemon::{Io, MemoryDisk, Now, SystemRng};
use proptest::prelude::*;

use super::*;

/// What may happen; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Happening {
    Post { key: u8, source: u8, len: u16 },
    Read { key: u8, after: u8, wait_s: u8 },
    Delete { key: u8 },
    HangUp { call: u8 },
    Open { socket: u8 },
    Subscribe { socket: u8, key: u8, after: u8 },
    Rubbish { socket: u8, bytes: Vec<u8> },
    Sent { socket: u8 },
    Close { socket: u8 },
    Pass { ms: u32 },
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let (key, socket) = (0..4_u8, 0..3_u8);
    prop_oneof![
        6 => (key.clone(), any::<u8>(), 1..5_000_u16)
            .prop_map(|(key, source, len)| H::Post { key, source, len }),
        4 => (key.clone(), 0..20_u8, 0..26_u8)
            .prop_map(|(key, after, wait_s)| H::Read { key, after, wait_s }),
        1 => key.clone().prop_map(|key| H::Delete { key }),
        1 => any::<u8>().prop_map(|call| H::HangUp { call }),
        2 => socket.clone().prop_map(|socket| H::Open { socket }),
        4 => (socket.clone(), key, 0..20_u8)
            .prop_map(|(socket, key, after)| H::Subscribe { socket, key, after }),
        1 => (socket.clone(), proptest::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(socket, bytes)| H::Rubbish { socket, bytes }),
        6 => socket.clone().prop_map(|socket| H::Sent { socket }),
        1 => socket.prop_map(|socket| H::Close { socket }),
        2 => (0..400_000_u32).prop_map(|ms| H::Pass { ms }),
    ]
}

/// The relay, and what its carrier knows.
struct World {
    relay: Relay,
    disk: MemoryDisk,
    now: Now,
    next_call: u64,
    waiting: BTreeSet<CallId>,
    /// Sockets that are open; whether a frame is on its way.
    open: BTreeMap<SocketId, bool>,
    /// The last cursor each socket got of each mailbox.
    seen: BTreeMap<(SocketId, Vec<u8>), u64>,
}

impl World {
    fn new() -> Self {
        let mut limits = Limits::default();
        limits.source.bytes = 20_000;
        limits.source.mailboxes = 3;
        limits.all.bytes = 60_000;
        let now = Now {
            mono_ms: 0,
            unix_s: 1_700_000_000,
        };
        let mut disk = MemoryDisk::new();
        let mut rng = SystemRng;
        let mut io = Io {
            rng: &mut rng,
            disk: &mut disk,
        };
        let relay = Relay::load(now, limits, &mut io).unwrap();
        Self {
            relay,
            disk,
            now,
            next_call: 0,
            waiting: BTreeSet::new(),
            open: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    fn step(&mut self, event: Event) {
        let mut rng = SystemRng;
        let mut io = Io {
            rng: &mut rng,
            disk: &mut self.disk,
        };
        for action in self.relay.step(self.now, event, &mut io) {
            match action {
                Action::Admit | Action::TurnAway(_) => panic!("nobody connected"),
                Action::Answer { call, answer } => {
                    assert!(self.waiting.remove(&call), "answered twice or unasked");
                    self.check_answer(&answer);
                }
                Action::Send { socket, frame } => self.check_frame(socket, &frame),
            }
        }
    }

    fn check_answer(&self, answer: &Answer) {
        let Answer::Items(mut records) = *answer else {
            return;
        };
        let mut count = 0;
        while let Some(record) = self.relay.record(self.now, records) {
            assert!(record.cursor > records.after && record.cursor <= records.upto);
            records.after = record.cursor;
            count += 1;
        }
        assert!(count > 0, "items were promised");
    }

    fn check_frame(&mut self, socket: SocketId, frame: &[u8]) {
        let on_its_way = self.open.insert(socket, true);
        assert_eq!(on_its_way, Some(false), "two frames at once, or closed");
        if frame[0] != 0x81 {
            return;
        }
        let cursor = u64::from_be_bytes(frame[17..25].try_into().unwrap());
        let before = self.seen.insert((socket, frame[1..17].to_vec()), cursor);
        assert!(before.is_none_or(|before| before < cursor), "out of order");
    }

    fn call(&mut self, source: Source, mailbox: MailboxId, request: Request) {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.waiting.insert(call);
        self.step(Event::Call {
            call,
            source,
            mailbox,
            request,
        });
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Post { key, source, len } => {
                let token = ReadToken::new([key; 32]).write_token();
                let item = vec![key; usize::from(len)];
                let source = Source::of(IpAddr::from([192, 0, 2, source % 3]));
                self.call(source, token.mailbox(), Request::Post { token, item });
            }
            Happening::Read { key, after, wait_s } => {
                let token = ReadToken::new([key; 32]);
                let mailbox = token.write_token().mailbox();
                let (after, wait_s) = (u64::from(after), u32::from(wait_s));
                let request = Request::Read {
                    token,
                    after,
                    wait_s,
                };
                self.call(Source::Local, mailbox, request);
            }
            Happening::Delete { key } => {
                let token = ReadToken::new([key; 32]);
                let mailbox = token.write_token().mailbox();
                self.call(Source::Local, mailbox, Request::Delete { token });
                let id = mailbox.as_bytes().to_vec();
                self.seen.retain(|(_, of), _| *of != id);
            }
            Happening::HangUp { call } => {
                let index = usize::from(call) % self.waiting.len().max(1);
                if let Some(call) = self.waiting.iter().nth(index).copied() {
                    self.waiting.remove(&call);
                    self.step(Event::HangUp { call });
                }
            }
            Happening::Open { socket } => {
                let socket = SocketId(u64::from(socket));
                if self.open.insert(socket, false).is_some() {
                    // The carrier never uses a number twice.
                    self.open.remove(&socket);
                    self.step(Event::Close { socket });
                    self.open.insert(socket, false);
                    self.seen.retain(|(of, _), _| *of != socket);
                }
                let source = Source::Local;
                self.step(Event::Open { socket, source });
            }
            Happening::Subscribe { socket, key, after } => {
                let token = [key; 32];
                let mailbox = ReadToken::new(token).write_token().mailbox();
                let after = u64::from(after).to_be_bytes();
                let message = [&[1], mailbox.as_bytes().as_slice(), &token, &after].concat();
                self.message(socket, message);
            }
            Happening::Rubbish { socket, bytes } => self.message(socket, bytes),
            Happening::Sent { socket } => {
                let socket = SocketId(u64::from(socket));
                if self.open.get(&socket) == Some(&true) {
                    self.open.insert(socket, false);
                    self.step(Event::Sent { socket });
                }
            }
            Happening::Close { socket } => self.close(SocketId(u64::from(socket))),
            Happening::Pass { ms } => self.pass(u64::from(ms)),
        }
    }

    fn message(&mut self, socket: u8, message: Vec<u8>) {
        let socket = SocketId(u64::from(socket));
        if self.open.contains_key(&socket) {
            self.step(Event::Message { socket, message });
        }
    }

    fn close(&mut self, socket: SocketId) {
        self.open.remove(&socket);
        self.seen.retain(|(of, _), _| *of != socket);
        self.step(Event::Close { socket });
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_s += ms / 1_000;
        self.step(Event::Tick);
    }
}

proptest! {
    #[test]
    fn whatever_happens(happenings in proptest::collection::vec(happening(), 0..200)) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
        }
        let open: Vec<SocketId> = world.open.keys().copied().collect();
        for socket in open {
            world.close(socket);
        }
        world.pass(u64::from(WAIT_S_MAX) * 1_000);
        prop_assert!(world.waiting.is_empty(), "never answered");
        world.pass(ITEM_LIFE_MS + SWEEP_MS);
        prop_assert_eq!(world.relay.mailboxes(), 0);
        prop_assert!(world.relay.usage.is_unused(), "something stays counted");
    }
}
