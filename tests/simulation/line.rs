//! A machine's line to the relay, as `transport` serves it: a WebSocket that is
//! opened again after growing pauses, what is wanted of the relay, and what
//! waits to be posted.
//!
//! **Invariant:** an item is acknowledged only after it was handed on, and a
//! call leaves the queue only when the relay answered it.

use std::collections::{BTreeMap, VecDeque};

use keystead_relay::machine::SocketId;
use keystead_transport::{NetEvent, RelayUrl};

use crate::machine::Site;
use crate::world::{Parcel, World};

pub(crate) type Mailbox = [u8; 16];

#[derive(Default)]
pub(crate) struct Line {
    wanted: BTreeMap<Mailbox, Wanted>,
    calls: VecDeque<Call>,
    /// How many of the calls are on their way.
    sent: usize,
    is_open: bool,
    pub(crate) socket: Option<SocketId>,
    is_trying: bool,
    pause_ms: u64,
    said: Said,
}

struct Wanted {
    read_token: [u8; 32],
    cursor: u64,
    is_sent: bool,
}

struct Call {
    mailbox: Mailbox,
    message: Vec<u8>,
    is_post: bool,
    queued_ms: u64,
}

#[derive(Default, PartialEq, Eq)]
enum Said {
    #[default]
    Nothing,
    Up,
    Down,
}

impl Line {
    /// The mailboxes that are read over an open socket.
    pub(crate) fn read(&self) -> impl Iterator<Item = Mailbox> {
        self.wanted.keys().copied()
    }
}

impl World {
    pub(crate) fn open_line(&mut self, site: Site) {
        let line = self.line(site);
        line.is_open = true;
        self.try_line(site);
    }

    pub(crate) fn close_line(&mut self, site: Site) {
        let socket = self.line(site).socket;
        *self.line(site) = Line::default();
        if let Some(socket) = socket {
            self.hang_up(socket, 1);
        }
    }

    pub(crate) fn subscribe(&mut self, site: Site, mailbox: Mailbox, read_token: [u8; 32]) {
        let fresh = Wanted {
            read_token,
            cursor: 0,
            is_sent: false,
        };
        self.line(site).wanted.entry(mailbox).or_insert(fresh);
        self.open_line(site);
        self.send_wanted(site);
    }

    pub(crate) fn unsubscribe(&mut self, site: Site, mailbox: Mailbox) {
        self.line(site).wanted.remove(&mailbox);
    }

    pub(crate) fn post(&mut self, site: Site, mailbox: Mailbox, token: [u8; 32], item: &[u8]) {
        self.relay.archive(mailbox, item);
        let message = message(POST, &mailbox, &token, item);
        self.call(site, mailbox, message, true);
    }

    pub(crate) fn delete(&mut self, site: Site, mailbox: Mailbox, token: [u8; 32]) {
        let message = message(DELETE, &mailbox, &token, &[]);
        self.call(site, mailbox, message, false);
    }

    fn call(&mut self, site: Site, mailbox: Mailbox, message: Vec<u8>, is_post: bool) {
        let queued_ms = self.now_ms;
        self.line(site).calls.push_back(Call {
            mailbox,
            message,
            is_post,
            queued_ms,
        });
        self.open_line(site);
        self.send_wanted(site);
    }

    fn try_line(&mut self, site: Site) {
        let line = self.line(site);
        if line.socket.is_none() && !line.is_trying && line.is_open {
            line.is_trying = true;
            let pause_ms = line.pause_ms;
            let run = self.machine(site).run;
            let at_ms = self.now_ms + pause_ms + self.latency_ms();
            self.push(at_ms, Parcel::Connect { site, run });
        }
    }

    /// An attempt to reach the relay.
    pub(crate) fn connect(&mut self, site: Site) {
        self.line(site).is_trying = false;
        if !self.line(site).is_open || self.line(site).socket.is_some() {
            return;
        }
        let socket = self.machine(site).is_online.then(|| self.open_socket(site));
        let now_ms = self.now_ms;
        let line = self.line(site);
        let relay = relay_url();
        let Some(socket) = socket.flatten() else {
            line.pause_ms = (line.pause_ms * 2).clamp(PAUSE_FIRST_MS, PAUSE_LONGEST_MS);
            if line.said != Said::Down {
                line.said = Said::Down;
                let reason = "connection refused".to_owned();
                self.tell(site, 0, NetEvent::RelayDown { relay, reason });
            }
            return self.try_line(site);
        };
        line.socket = Some(socket);
        line.pause_ms = 0;
        line.sent = 0;
        // Nobody waits for older ones: a handshake has 60 s.
        line.calls
            .retain(|it| !it.is_post || now_ms < it.queued_ms + ITEM_AGE_MS_MAX);
        line.wanted.values_mut().for_each(|it| it.is_sent = false);
        if line.said != Said::Up {
            line.said = Said::Up;
            self.tell(site, 0, NetEvent::RelayUp { relay });
        }
        self.send_wanted(site);
    }

    fn send_wanted(&mut self, site: Site) {
        let line = self.line(site);
        let Some(socket) = line.socket else { return };
        let mut messages = Vec::new();
        for (mailbox, wanted) in line.wanted.iter_mut().filter(|(_, it)| !it.is_sent) {
            wanted.is_sent = true;
            let cursor = wanted.cursor.to_be_bytes();
            messages.push(message(SUBSCRIBE, mailbox, &wanted.read_token, &cursor));
        }
        messages.extend(
            line.calls
                .iter()
                .skip(line.sent)
                .map(|it| it.message.clone()),
        );
        line.sent = line.calls.len();
        for message in messages {
            self.carry_to_relay(socket, message);
        }
    }

    /// A frame of the relay arrives.
    pub(crate) fn take_frame(&mut self, site: Site, frame: &[u8]) {
        let (kind, rest) = frame.split_first().unwrap();
        let (mailbox, rest) = rest.split_first_chunk::<16>().unwrap();
        match *kind {
            ITEM => {
                let (cursor, item) = rest.split_first_chunk::<8>().unwrap();
                self.take_item(site, *mailbox, u64::from_be_bytes(*cursor), item);
            }
            DONE => {
                self.answered(site, mailbox);
            }
            _ => {
                let status = u16::from_be_bytes(rest.try_into().unwrap());
                self.take_refusal(site, *mailbox, status);
            }
        }
    }

    fn take_item(&mut self, site: Site, mailbox: Mailbox, cursor: u64, item: &[u8]) {
        let line = self.line(site);
        let Some(wanted) = line.wanted.get_mut(&mailbox) else {
            return;
        };
        wanted.cursor = cursor;
        let token = wanted.read_token;
        let socket = line.socket;
        let event = NetEvent::Item {
            relay: relay_url(),
            mailbox,
            item: item.to_vec(),
        };
        self.tell(site, 0, event);
        if let Some(socket) = socket {
            let acknowledgement = message(SUBSCRIBE, &mailbox, &token, &cursor.to_be_bytes());
            self.carry_to_relay(socket, acknowledgement);
        }
    }

    fn take_refusal(&mut self, site: Site, mailbox: Mailbox, status: u16) {
        let relay = relay_url();
        match self.answered(site, &mailbox) {
            Some(true) => {
                let event = NetEvent::PostRefused {
                    relay,
                    mailbox,
                    status,
                };
                self.tell(site, 0, event);
            }
            Some(false) => {}
            None if status == GONE && self.line(site).wanted.remove(&mailbox).is_some() => {
                self.tell(site, 0, NetEvent::Gone { relay, mailbox });
            }
            None => {}
        }
    }

    /// The oldest call is answered if it is of this mailbox: whether it was a post.
    fn answered(&mut self, site: Site, mailbox: &Mailbox) -> Option<bool> {
        let line = self.line(site);
        let is_mine = line.sent > 0 && line.calls.front()?.mailbox == *mailbox;
        if !is_mine {
            return None;
        }
        line.sent -= 1;
        line.calls.pop_front().map(|it| it.is_post)
    }

    /// The socket is gone; the line comes back by itself.
    pub(crate) fn lost_socket(&mut self, site: Site, socket: SocketId) {
        let line = self.line(site);
        if line.socket == Some(socket) {
            line.socket = None;
            line.sent = 0;
            line.pause_ms = PAUSE_FIRST_MS;
            self.try_line(site);
        }
    }
}

pub(crate) fn relay_url() -> RelayUrl {
    "https://relay.test".parse().unwrap()
}

pub(crate) fn item_frame(mailbox: &Mailbox, cursor: u64, item: &[u8]) -> Vec<u8> {
    [&[ITEM], mailbox.as_slice(), &cursor.to_be_bytes(), item].concat()
}

fn message(kind: u8, mailbox: &Mailbox, token: &[u8; 32], rest: &[u8]) -> Vec<u8> {
    [&[kind], mailbox.as_slice(), token, rest].concat()
}

// `spec/pairing.md` section 2.
const SUBSCRIBE: u8 = 1;
const POST: u8 = 2;
const DELETE: u8 = 3;
pub(crate) const ITEM: u8 = 0x81;
const DONE: u8 = 0x82;
const GONE: u16 = 410;

// As in `transport`, without its jitter.
const PAUSE_FIRST_MS: u64 = 200;
const PAUSE_LONGEST_MS: u64 = 30_000;
const ITEM_AGE_MS_MAX: u64 = 60_000;
