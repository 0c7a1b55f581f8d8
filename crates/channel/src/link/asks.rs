//! Who asks repeats: the client alone mends loss (`spec/pairing.md` section 3.4).
//!
//! [`Asks`] holds the open requests of one pairing, whatever ways lead there;
//! [`Patience`] is one way's timer. Both are timing alone: the caller carries.
//!
//! **Invariant**: a request is repeated with the same bytes, and an answer
//! counts only for an open id with the hash of those bytes, once.

use std::collections::BTreeMap;

use keystead_core::{Kind, Outcome, RequestHash, RequestId, Response};
use keystead_sodium::memory::wipe;

use crate::wire::{Received, WireError, receive_response, request_hash};

/// The open requests of one pairing.
#[derive(Default)]
pub struct Asks {
    open: BTreeMap<RequestId, Ask>,
}

/// One open request.
pub struct Ask {
    kind: Kind,
    bytes: Vec<u8>,
    hash: RequestHash,
    ends_ms: u64,
}

/// A confirm request holds the pairing's key, an import a person's.
impl Drop for Ask {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

/// What an arriving response is.
pub enum Arrival {
    /// A person is being asked; the request stays open.
    Ack(Response),
    /// The answer; the request is closed.
    Final(Received),
    /// Nobody waits for it: a repeat, or too late.
    NotAsked,
    /// It answers other bytes than were sent, or cannot be read: the
    /// authenticator misbehaves.
    Misbehaved(WireError),
}

impl Asks {
    /// Opens a request, encoded as `bytes`, that is waited for until `wait_ms` from now.
    /// The bytes are wiped when it is closed.
    pub fn open(&mut self, now_ms: u64, id: RequestId, kind: Kind, bytes: Vec<u8>, wait_ms: u64) {
        let ask = Ask {
            kind,
            hash: request_hash(&bytes),
            bytes,
            ends_ms: now_ms.saturating_add(wait_ms),
        };
        self.open.insert(id, ask);
    }

    /// The bytes of an open request.
    #[must_use]
    pub fn bytes(&self, id: &RequestId) -> Option<&[u8]> {
        self.open.get(id).map(|ask| ask.bytes.as_slice())
    }

    /// The kind of an open request.
    #[must_use]
    pub fn kind(&self, id: &RequestId) -> Option<Kind> {
        self.open.get(id).map(|ask| ask.kind)
    }

    /// All open requests, in the order of their ids.
    pub fn ids(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.open.keys().copied()
    }

    /// Judges a response that came over any way.
    pub fn receive(&mut self, response: &[u8]) -> Arrival {
        let received = match receive_response(response, |id| self.kind(id)) {
            Ok(received) => received,
            Err(error) if error.fault == crate::wire::Fault::NotAsked => return Arrival::NotAsked,
            Err(error) => return Arrival::Misbehaved(error),
        };
        let response = &received.response;
        let id = response.id;
        match self.open.get(&id) {
            None => Arrival::NotAsked,
            Some(ask) if ask.hash != response.request_hash => Arrival::Misbehaved(WireError {
                id: Some(id),
                fault: crate::wire::Fault::NotAsked,
            }),
            Some(_) if response.outcome == Outcome::Ack => Arrival::Ack(received.response),
            Some(_) => {
                self.open.remove(&id);
                Arrival::Final(received)
            }
        }
    }

    /// Closes a request that is not waited for any more; false if it was not open.
    pub fn close(&mut self, id: &RequestId) -> bool {
        self.open.remove(id).is_some()
    }

    /// Closes, and names, the requests whose time is up.
    pub fn expire(&mut self, now_ms: u64) -> Vec<RequestId> {
        let due = |ask: &Ask| now_ms >= ask.ends_ms;
        let expired: Vec<RequestId> = self
            .open
            .iter()
            .filter_map(|(id, ask)| due(ask).then_some(*id))
            .collect();
        for id in &expired {
            self.open.remove(id);
        }
        expired
    }

    /// When [`Asks::expire`] is due.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        self.open.values().map(|ask| ask.ends_ms).min()
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

/// One way's timer: when to repeat a request on it, and when its connection
/// is to be taken for lost. One a way (a relay, an address) of a pairing.
///
/// For mailboxes, where a lost item is seen by nobody. A stream tells when it
/// breaks; there only [`Patience::repeats`] is of use.
#[derive(Default)]
pub struct Patience {
    sent: BTreeMap<RequestId, u64>,
    waits_since_ms: Option<u64>,
    renewals: usize,
}

impl Patience {
    /// A Hello or Vouch went out: something must be heard.
    pub fn spoke(&mut self, now_ms: u64) {
        self.waits_since_ms.get_or_insert(now_ms);
    }

    /// A request went out, for the first time or again.
    pub fn asked(&mut self, now_ms: u64, id: RequestId) {
        self.spoke(now_ms);
        self.sent.insert(id, now_ms);
    }

    /// Any frame came that the channel opened: the connection lives.
    pub fn heard(&mut self) {
        self.waits_since_ms = None;
        self.renewals = 0;
    }

    /// A request is closed, whichever way its answer came.
    pub fn closed(&mut self, id: &RequestId) {
        self.sent.remove(id);
        // Nobody is waited for on a way where nothing is asked.
        if self.sent.is_empty() {
            self.waits_since_ms = None;
        }
    }

    /// The requests to be sent again now; each is to be told by [`Patience::asked`].
    #[must_use]
    pub fn repeats(&self, now_ms: u64) -> Vec<RequestId> {
        let due = |sent_ms: &u64| now_ms >= sent_ms.saturating_add(REPEAT_MS);
        let sent = self.sent.iter();
        sent.filter_map(|(id, sent_ms)| due(sent_ms).then_some(*id))
            .collect()
    }

    /// Whether the connection is to be taken for lost.
    #[must_use]
    pub fn is_lost(&self, now_ms: u64) -> bool {
        self.lost_ms().is_some_and(|lost_ms| now_ms >= lost_ms)
    }

    /// A new connection's Hello goes out now; open requests follow behind its
    /// Vouch. Each silence is borne longer than the one before.
    pub fn renewed(&mut self, now_ms: u64) {
        self.renewals = self.renewals.saturating_add(1);
        self.waits_since_ms = Some(now_ms);
    }

    /// When [`Patience::repeats`] or [`Patience::is_lost`] says something new.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        let repeat = self.sent.values().min();
        let repeat = repeat.map(|sent_ms| sent_ms.saturating_add(REPEAT_MS));
        repeat.into_iter().chain(self.lost_ms()).min()
    }

    fn lost_ms(&self) -> Option<u64> {
        let since_ms = self.waits_since_ms?;
        let longest = SILENCE_MS.last().copied()?;
        let silence_ms = SILENCE_MS.get(self.renewals).copied().unwrap_or(longest);
        Some(since_ms.saturating_add(silence_ms))
    }
}

/// An open request is repeated every 10 s: an authenticator that restarted asks anew.
pub const REPEAT_MS: u64 = 10_000;

/// How long silence is borne after Hello, Vouch or a request, before the
/// first, second, … new connection; then the last for ever.
pub const SILENCE_MS: [u64; 4] = [2_000, 5_000, 10_000, 20_000];

#[cfg(test)]
mod tests {
    use keystead_core::{Request, RequestBody, ResponseBody};

    use super::*;
    use crate::wire::{encode_request, encode_response};

    const ID: RequestId = RequestId([7; 16]);
    const OTHER: RequestId = RequestId([8; 16]);

    fn request(id: RequestId) -> Vec<u8> {
        encode_request(&Request {
            id,
            unix_s: 1_700_000_000,
            wait_s: 60,
            want_ack: true,
            body: RequestBody::Unpair,
        })
    }

    fn response(id: RequestId, request: &[u8], outcome: Outcome) -> Vec<u8> {
        let is_ack = outcome == Outcome::Ack;
        let body = is_ack.then(|| ResponseBody::Ack(Default::default()));
        encode_response(&Response {
            id,
            unix_s: 1_700_000_001,
            request_hash: request_hash(request),
            outcome,
            body,
            receipt: None,
        })
    }

    fn arrival(asks: &mut Asks, response: &[u8]) -> &'static str {
        match asks.receive(response) {
            Arrival::Ack(_) => "ack",
            Arrival::Final(_) => "final",
            Arrival::NotAsked => "not asked",
            Arrival::Misbehaved(_) => "misbehaved",
        }
    }

    #[test]
    fn the_first_final_answer_wins() {
        let mut asks = Asks::default();
        let bytes = request(ID);
        asks.open(0, ID, Kind::Unpair, bytes.clone(), 60_000);
        let ack = response(ID, &bytes, Outcome::Ack);
        let busy = response(ID, &bytes, Outcome::Busy);
        assert_eq!(arrival(&mut asks, &ack), "ack");
        assert_eq!(arrival(&mut asks, &ack), "ack");
        assert_eq!(arrival(&mut asks, &busy), "final");
        assert_eq!(arrival(&mut asks, &busy), "not asked");
        assert_eq!(arrival(&mut asks, &ack), "not asked");
    }

    #[test]
    fn an_answer_to_other_bytes_does_not_count() {
        let mut asks = Asks::default();
        asks.open(0, ID, Kind::Unpair, request(ID), 60_000);
        let other = response(ID, &request(OTHER), Outcome::Busy);
        assert_eq!(arrival(&mut asks, &other), "misbehaved");
        assert_eq!(arrival(&mut asks, b"\xa1\x00\x01"), "misbehaved");
        let unknown = response(OTHER, &request(OTHER), Outcome::Busy);
        assert_eq!(arrival(&mut asks, &unknown), "not asked");
        assert_eq!(asks.len(), 1, "the request is still open");
    }

    #[test]
    fn requests_expire_at_their_time() {
        let mut asks = Asks::default();
        asks.open(1_000, ID, Kind::Unpair, request(ID), 60_000);
        asks.open(2_000, OTHER, Kind::Unpair, request(OTHER), 5_000);
        assert_eq!(asks.wake_ms(), Some(7_000));
        assert_eq!(asks.expire(6_999), []);
        assert_eq!(asks.expire(7_000), [OTHER]);
        assert_eq!(asks.expire(61_000), [ID]);
        assert!(asks.is_empty());
    }

    #[test]
    fn a_request_is_repeated_every_ten_seconds() {
        let mut patience = Patience::default();
        patience.asked(0, ID);
        patience.asked(4_000, OTHER);
        patience.heard();
        assert_eq!(patience.repeats(9_999), []);
        assert_eq!(patience.repeats(10_000), [ID]);
        patience.asked(10_000, ID);
        assert_eq!(patience.repeats(14_000), [OTHER]);
        patience.closed(&OTHER);
        assert_eq!(patience.repeats(19_999), []);
        assert_eq!(patience.repeats(20_000), [ID]);
    }

    #[test]
    fn silence_is_borne_longer_each_time() {
        let mut patience = Patience::default();
        patience.asked(0, ID);
        let mut now_ms = 0;
        for silence_ms in [2_000, 5_000, 10_000, 20_000, 20_000, 20_000] {
            assert!(!patience.is_lost(now_ms + silence_ms - 1));
            now_ms += silence_ms;
            assert!(patience.is_lost(now_ms), "after {silence_ms}");
            patience.renewed(now_ms);
        }
        patience.heard();
        assert!(!patience.is_lost(u64::MAX), "nothing is waited for");
        patience.asked(now_ms, ID);
        assert!(patience.is_lost(now_ms + 2_000), "the ladder starts anew");
    }

    #[test]
    fn silence_counts_from_the_first_word_not_the_last() {
        let mut patience = Patience::default();
        patience.spoke(0);
        patience.asked(1_500, ID);
        assert!(patience.is_lost(2_000));
    }

    #[test]
    fn an_answered_way_waits_for_nothing() {
        let mut patience = Patience::default();
        patience.asked(0, ID);
        patience.closed(&ID);
        assert_eq!(patience.wake_ms(), None);
        assert!(!patience.is_lost(u64::MAX));
    }
}
