//! One mailbox: items in order of their cursors, and who waits for them.
//!
//! **Invariant:** cursors rise by one and are never used again while the relay
//! remembers the mailbox; at most [`ITEMS_MAX`] items and [`BYTES_MAX`] bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::limits::Source;
use super::{CallId, SocketId};

/// Items of one mailbox and its readers.
pub(super) struct Mailbox {
    items: VecDeque<Item>,
    /// Cursor of the newest item there ever was; 0 before the first.
    last: u64,
    bytes: usize,
    /// Whose quota it counts against.
    pub(super) maker: Source,
    readers: Vec<Reader>,
}

/// One item. Readers share its bytes.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) cursor: u64,
    pub(super) bytes: Arc<[u8]>,
    /// Whose memory it counts against.
    pub(super) writer: Source,
    dies_at_ms: u64,
}

/// Who waits for items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A long poll; answered once.
    Call(CallId),
    /// A WebSocket; stays.
    Socket(SocketId),
}

impl Mailbox {
    /// An empty one that goes on after cursor `last`.
    pub(super) fn new(maker: Source, last: u64) -> Self {
        Self {
            items: VecDeque::new(),
            last,
            bytes: 0,
            maker,
            readers: Vec::new(),
        }
    }

    /// Whether an item of this length may come in.
    pub(super) fn has_room(&self, len_bytes: usize) -> bool {
        self.items.len() < ITEMS_MAX && self.bytes.saturating_add(len_bytes) <= BYTES_MAX
    }

    /// Adds an item; the caller has asked for room.
    pub(super) fn push(&mut self, now_ms: u64, writer: Source, bytes: &[u8]) {
        self.last = self.last.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes.len());
        // A copy of exactly its length: the reader's buffer may be far longer.
        self.items.push_back(Item {
            cursor: self.last,
            bytes: Arc::from(bytes),
            writer,
            dies_at_ms: now_ms.saturating_add(ITEM_LIFE_MS),
        });
    }

    /// Where a reader stands who says `after`: above the last it is a cursor of
    /// a relay before this one, and counts as 0.
    pub(super) fn position(&self, after: u64) -> u64 {
        if after > self.last { 0 } else { after }
    }

    /// Takes out what was acknowledged.
    pub(super) fn acknowledge(&mut self, upto: u64) -> Vec<Item> {
        self.take_while(|item| item.cursor <= upto)
    }

    /// Takes out what is too old.
    pub(super) fn expire(&mut self, now_ms: u64) -> Vec<Item> {
        self.take_while(|item| item.dies_at_ms <= now_ms)
    }

    /// Takes out everything.
    pub(super) fn empty(&mut self) -> Vec<Item> {
        self.take_while(|_| true)
    }

    /// The first living item above a cursor, up to another.
    pub(super) fn next(&self, now_ms: u64, after: u64, upto: u64) -> Option<&Item> {
        let from = self.items.partition_point(|item| item.cursor <= after);
        let rest = self.items.range(from..);
        let mut living = rest.filter(|item| item.dies_at_ms > now_ms);
        living.next().filter(|item| item.cursor <= upto)
    }

    /// Cursor of the newest item there ever was.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Nothing in it and nobody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.items.is_empty() && self.readers.is_empty()
    }

    /// Who waits.
    pub(super) fn readers(&self) -> Vec<Reader> {
        self.readers.clone()
    }

    /// Lets another one wait; false when there are too many.
    pub(super) fn add_reader(&mut self, reader: Reader) -> bool {
        if self.readers.contains(&reader) {
            return true;
        }
        let room = self.readers.len() < READERS_MAX;
        if room {
            self.readers.push(reader);
        }
        room
    }

    /// One waits no more.
    pub(super) fn remove_reader(&mut self, reader: Reader) {
        self.readers.retain(|waiting| *waiting != reader);
    }

    /// Items leave in the order they came, by cursor and by age alike.
    fn take_while(&mut self, goes: impl Fn(&Item) -> bool) -> Vec<Item> {
        let mut gone = Vec::new();
        while let Some(item) = self.items.pop_front_if(|item| goes(item)) {
            self.bytes = self.bytes.saturating_sub(item.bytes.len());
            gone.push(item);
        }
        if self.items.is_empty() {
            // A mailbox that was full once does not keep that much room.
            self.items = VecDeque::new();
        }
        gone
    }
}

/// Items of a mailbox (`spec/pairing.md` §2).
pub const ITEMS_MAX: usize = 256;

/// Bytes of a mailbox (`spec/pairing.md` §2).
pub const BYTES_MAX: usize = 4 << 20;

/// Bytes of an item (`spec/pairing.md` §2): a frame of curve and its header.
pub const ITEM_BYTES_MAX: usize = 65_600;

/// How long an item lives (`spec/pairing.md` §2).
pub const ITEM_LIFE_MS: u64 = 10 * 60 * 1_000;

/// Readers of one mailbox at once: one, and the old connections of one that
/// came back; whoever needs more does not read, but holds connections.
pub const READERS_MAX: usize = 16;
