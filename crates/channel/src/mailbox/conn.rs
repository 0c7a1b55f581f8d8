//! One connection's items put back in order.

use std::collections::BTreeMap;

use super::{AHEAD_HALF_OPEN_BYTES_MAX, AHEAD_MAX, ConnId, GAP_MS, Item};

/// The frames of one connection, both ways: repeats are dropped, what comes
/// early waits for what is missing.
pub struct ItemConn {
    conn: ConnId,
    /// None after the last number: the connection can send no more.
    next_out: Option<u32>,
    next_in: u64,
    ahead: BTreeMap<u32, Vec<u8>>,
    ahead_bytes: usize,
    gap_since_ms: Option<u64>,
    proved: bool,
}

/// An item is missing for [`GAP_MS`]: the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an item of the connection did not arrive")]
pub struct Gap;

impl ItemConn {
    /// A connection that has carried nothing yet.
    #[must_use]
    pub fn new(conn: ConnId) -> Self {
        Self {
            conn,
            next_out: Some(0),
            next_in: 0,
            ahead: BTreeMap::new(),
            ahead_bytes: 0,
            gap_since_ms: None,
            proved: false,
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.conn
    }

    /// The peer has proved itself: more may wait ahead of a gap.
    pub fn prove(&mut self) {
        self.proved = true;
    }

    /// The item for the next frame; none when 2³² frames went out already.
    pub fn send(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let seq = self.next_out?;
        self.next_out = seq.checked_add(1);
        let conn = self.conn;
        Some(Item { conn, seq, frame }.encode())
    }

    /// Takes the frame of number `seq` in; gives all frames that are now in order.
    ///
    /// A repeat, and one too far ahead to be kept, changes nothing: the gap
    /// before it grows old.
    pub fn receive(&mut self, now_ms: u64, seq: u32, frame: &[u8]) -> Vec<Vec<u8>> {
        let distance = match u64::from(seq).checked_sub(self.next_in) {
            None => return Vec::new(),
            Some(distance) => distance,
        };
        if distance > 0 {
            self.keep_ahead(now_ms, seq, distance, frame);
            return Vec::new();
        }
        let mut frames = vec![frame.to_vec()];
        self.next_in += 1;
        while let Some(frame) = self.take_next() {
            frames.push(frame);
        }
        // What still waits, waits for another item than before.
        self.gap_since_ms = (!self.ahead.is_empty()).then_some(now_ms);
        frames
    }

    /// Whether a gap has grown too old.
    ///
    /// # Errors
    /// [`Gap`] when it has: the connection is to be dropped.
    pub fn check(&self, now_ms: u64) -> Result<(), Gap> {
        match self.wake_ms() {
            Some(wake_ms) if now_ms >= wake_ms => Err(Gap),
            Some(_) | None => Ok(()),
        }
    }

    /// When [`ItemConn::check`] is due.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        self.gap_since_ms.map(|since| since.saturating_add(GAP_MS))
    }

    fn keep_ahead(&mut self, now_ms: u64, seq: u32, distance: u64, frame: &[u8]) {
        self.gap_since_ms.get_or_insert(now_ms);
        let bytes = self.ahead_bytes.saturating_add(frame.len());
        let room = self.proved || bytes <= AHEAD_HALF_OPEN_BYTES_MAX;
        if distance <= u64::from(AHEAD_MAX) && room && !self.ahead.contains_key(&seq) {
            self.ahead_bytes = bytes;
            self.ahead.insert(seq, frame.to_vec());
        }
    }

    fn take_next(&mut self) -> Option<Vec<u8>> {
        let next = u32::try_from(self.next_in).ok()?;
        let frame = self.ahead.remove(&next)?;
        self.ahead_bytes = self.ahead_bytes.saturating_sub(frame.len());
        self.next_in += 1;
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn() -> ItemConn {
        ItemConn::new(ConnId([9; 8]))
    }

    /// Feeds the numbers in this order, one a millisecond; the numbers that come out.
    fn order(seqs: &[u32]) -> Vec<u32> {
        let mut conn = conn();
        (0..)
            .zip(seqs)
            .flat_map(|(now_ms, seq)| conn.receive(now_ms, *seq, &seq.to_be_bytes()))
            .map(|frame| u32::from_be_bytes(frame.try_into().unwrap()))
            .collect()
    }

    fn check(arrive: &[u32], expected: &[u32]) {
        assert_eq!(order(arrive), expected, "{arrive:?}");
    }

    #[test]
    fn repeats_are_dropped_and_early_items_wait() {
        check(&[0, 1, 2], &[0, 1, 2]);
        check(&[0, 0, 1, 0, 1, 1], &[0, 1]);
        check(&[1, 2, 0, 3], &[0, 1, 2, 3]);
        check(&[2, 2, 1, 1, 0, 2], &[0, 1, 2]);
        check(&[1], &[]);
    }

    #[test]
    fn sixteen_wait_and_the_seventeenth_does_not() {
        let early: Vec<u32> = (1..=17).chain([0, 17]).collect();
        let all: Vec<u32> = (0..=17).collect();
        check(&early, &all);
        let lost: Vec<u32> = (1..=17).chain([0]).collect();
        check(&lost, &all[..17]);
    }

    #[test]
    fn a_gap_is_five_seconds_old_and_another_one_starts_anew() {
        let mut conn = conn();
        assert_eq!(conn.wake_ms(), None);
        conn.receive(1_000, 1, b"b");
        conn.receive(3_000, 3, b"d");
        assert_eq!(conn.wake_ms(), Some(6_000));
        assert_eq!(conn.check(5_999), Ok(()));
        assert_eq!(conn.check(6_000), Err(Gap));
        assert_eq!(conn.receive(5_500, 0, b"a").len(), 2);
        assert_eq!(conn.wake_ms(), Some(10_500));
        assert_eq!(conn.receive(5_600, 2, b"c").len(), 2);
        assert_eq!(conn.wake_ms(), None);
    }

    #[test]
    fn an_unproved_peer_fills_little() {
        let mut conn = conn();
        let long = vec![0; 40_000];
        conn.receive(0, 1, &long);
        conn.receive(0, 2, &long);
        assert_eq!(conn.receive(0, 0, b"a").len(), 2, "the second was not kept");
        conn.prove();
        conn.receive(0, 3, &long);
        conn.receive(0, 4, &long);
        assert_eq!(conn.receive(0, 2, b"c").len(), 3);
    }

    #[test]
    fn numbers_go_out_in_order_and_end() {
        let mut conn = conn();
        let item = conn.send(&[0, 1, 4]).unwrap();
        assert_eq!(Item::decode(&item).unwrap().seq, 0);
        conn.next_out = Some(u32::MAX);
        let item = conn.send(&[0, 1, 4]).unwrap();
        assert_eq!(Item::decode(&item).unwrap().seq, u32::MAX);
        assert_eq!(conn.send(&[0, 1, 4]), None);
    }

    #[test]
    fn the_last_number_comes_in_once() {
        let mut conn = conn();
        conn.next_in = u64::from(u32::MAX);
        assert_eq!(conn.receive(0, u32::MAX, b"z").len(), 1);
        assert_eq!(conn.receive(0, u32::MAX, b"z").len(), 0);
    }
}
