//! The connections of one pairing, or of one offer, in its mailboxes.

use std::collections::BTreeMap;

use rand_core::CryptoRngCore;

use super::{ConnId, HALF_OPEN_MAX, Item, ItemConn, ItemError, MailboxId};

/// Who is who among the items of one pairing (or one offer).
///
/// An item that belongs to no connection starts one only if it is number 0
/// and holds a first frame. Until [`Conns::prove`] a connection is half-open;
/// a mailbox holds 16 of those, and the oldest makes room.
///
/// A connection may change its mailbox: a day can end in the middle of it.
#[derive(Default)]
pub struct Conns {
    conns: BTreeMap<ConnId, Entry>,
    opened: u64,
}

struct Entry {
    items: ItemConn,
    mailbox: MailboxId,
    /// When it was opened, counted in connections: the oldest has the least.
    order: u64,
    half_open: bool,
}

/// What came of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its connection.
    pub conn: ConnId,
    /// Whether the item started it.
    pub is_new: bool,
    /// The frames that are now in order, perhaps none.
    pub frames: Vec<Vec<u8>>,
    /// The half-open connection that made room for this one.
    pub displaced: Option<ConnId>,
}

/// Why an item was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Dropped {
    /// It is no item.
    #[error("{0}")]
    Unreadable(#[from] ItemError),
    /// It belongs to no connection and cannot start one.
    #[error("the item belongs to no connection")]
    UnknownConn,
}

impl Conns {
    /// Starts a connection of our own with a random name.
    pub fn open(&mut self, mailbox: MailboxId, rng: &mut dyn CryptoRngCore) -> ConnId {
        let conn = ConnId::draw(rng);
        // Nobody else chose the name, so nobody else's rule applies to it.
        self.insert(conn, mailbox, false);
        conn
    }

    /// Takes an item in. `is_first` says which frame types may start a
    /// connection here: 1 (Hello) at an authenticator, 0x10 (pairing hello) at
    /// a workstation while its offer lives, none otherwise.
    ///
    /// # Errors
    /// [`Dropped`] when it changes nothing.
    pub fn receive(
        &mut self,
        now_ms: u64,
        mailbox: MailboxId,
        item: &[u8],
        is_first: impl FnOnce(u8) -> bool,
    ) -> Result<Received, Dropped> {
        let item = Item::decode(item)?;
        let is_new = !self.conns.contains_key(&item.conn);
        let mut displaced = None;
        if is_new {
            if item.seq != 0 || !item.frame_type().is_some_and(is_first) {
                return Err(Dropped::UnknownConn);
            }
            displaced = self.make_room(mailbox);
            self.insert(item.conn, mailbox, true);
        }
        let frames = match self.conns.get_mut(&item.conn) {
            Some(entry) => entry.items.receive(now_ms, item.seq, item.frame),
            None => Vec::new(),
        };
        Ok(Received {
            conn: item.conn,
            is_new,
            frames,
            displaced,
        })
    }

    /// The item for the next frame of a connection; none if it is not known.
    pub fn send(&mut self, conn: ConnId, frame: &[u8]) -> Option<Vec<u8>> {
        self.conns.get_mut(&conn)?.items.send(frame)
    }

    /// The peer of a connection has proved itself: it is not half-open any more.
    pub fn prove(&mut self, conn: ConnId) {
        if let Some(entry) = self.conns.get_mut(&conn) {
            entry.half_open = false;
            entry.items.prove();
        }
    }

    /// Forgets a connection.
    pub fn close(&mut self, conn: ConnId) {
        self.conns.remove(&conn);
    }

    /// Forgets, and names, the connections with a gap that has grown too old.
    pub fn drop_gaps(&mut self, now_ms: u64) -> Vec<ConnId> {
        let lost: Vec<ConnId> = self
            .conns
            .values()
            .filter(|entry| entry.items.check(now_ms).is_err())
            .map(|entry| entry.items.id())
            .collect();
        for conn in &lost {
            self.conns.remove(conn);
        }
        lost
    }

    /// When [`Conns::drop_gaps`] is due.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        let wakes = self.conns.values().filter_map(|it| it.items.wake_ms());
        wakes.min()
    }

    /// How many connections are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    fn insert(&mut self, conn: ConnId, mailbox: MailboxId, half_open: bool) {
        self.opened = self.opened.saturating_add(1);
        let entry = Entry {
            items: ItemConn::new(conn),
            mailbox,
            order: self.opened,
            half_open,
        };
        self.conns.insert(conn, entry);
    }

    fn make_room(&mut self, mailbox: MailboxId) -> Option<ConnId> {
        let half_open = |entry: &&Entry| entry.half_open && entry.mailbox == mailbox;
        if self.conns.values().filter(half_open).count() < HALF_OPEN_MAX {
            return None;
        }
        let oldest = self
            .conns
            .values()
            .filter(half_open)
            .min_by_key(|entry| entry.order)
            .map(|entry| entry.items.id())?;
        self.conns.remove(&oldest);
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: MailboxId = MailboxId([1; 16]);
    const OTHER: MailboxId = MailboxId([2; 16]);
    const HELLO: [u8; 3] = [0, 1, 1];
    const MSG: [u8; 3] = [0, 1, 4];

    fn item(conn: u8, seq: u32, frame: &[u8]) -> Vec<u8> {
        let conn = ConnId([conn; 8]);
        Item { conn, seq, frame }.encode()
    }

    fn receive(conns: &mut Conns, mailbox: MailboxId, item: &[u8]) -> Result<Received, Dropped> {
        conns.receive(0, mailbox, item, |first| first == 1)
    }

    #[test]
    fn a_connection_starts_with_number_0_and_a_first_frame() {
        let mut conns = Conns::default();
        for item in [item(1, 1, &HELLO), item(1, 0, &MSG), item(1, 1, &MSG)] {
            let dropped = receive(&mut conns, BOX, &item);
            assert_eq!(dropped, Err(Dropped::UnknownConn));
        }
        let unreadable = receive(&mut conns, BOX, &[1, 2]);
        assert_eq!(unreadable, Err(Dropped::Unreadable(ItemError::Truncated)));
        assert!(conns.is_empty());
        let received = receive(&mut conns, BOX, &item(1, 0, &HELLO)).unwrap();
        assert!(received.is_new);
        assert_eq!(received.frames, [HELLO.to_vec()]);
        // The same item again, and in tomorrow's mailbox, is a repeat.
        for mailbox in [BOX, OTHER] {
            let again = receive(&mut conns, mailbox, &item(1, 0, &HELLO)).unwrap();
            assert_eq!((again.is_new, again.frames.len()), (false, 0));
        }
    }

    #[test]
    fn the_oldest_half_open_one_of_the_mailbox_makes_room() {
        let mut conns = Conns::default();
        receive(&mut conns, OTHER, &item(200, 0, &HELLO)).unwrap();
        for conn in 0..16 {
            let received = receive(&mut conns, BOX, &item(conn, 0, &HELLO)).unwrap();
            assert_eq!(received.displaced, None);
        }
        conns.prove(ConnId([0; 8]));
        let displaced = |conns: &mut Conns, conn| {
            receive(conns, BOX, &item(conn, 0, &HELLO))
                .unwrap()
                .displaced
        };
        assert_eq!(displaced(&mut conns, 16), None);
        assert_eq!(displaced(&mut conns, 17), Some(ConnId([1; 8])));
        assert_eq!(displaced(&mut conns, 18), Some(ConnId([2; 8])));
        assert_eq!(conns.len(), 18);
    }

    #[test]
    fn old_gaps_end_a_connection() {
        let mut conns = Conns::default();
        receive(&mut conns, BOX, &item(1, 0, &HELLO)).unwrap();
        receive(&mut conns, BOX, &item(2, 0, &HELLO)).unwrap();
        receive(&mut conns, BOX, &item(2, 2, &MSG)).unwrap();
        assert_eq!(conns.wake_ms(), Some(5_000));
        assert_eq!(conns.drop_gaps(4_999), []);
        assert_eq!(conns.drop_gaps(5_000), [ConnId([2; 8])]);
        assert_eq!(conns.send(ConnId([2; 8]), &MSG), None);
        assert!(conns.send(ConnId([1; 8]), &MSG).is_some());
    }
}
