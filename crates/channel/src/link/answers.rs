//! Same id, same answer: what an authenticator remembers of requests
//! (`spec/pairing.md` section 5.5).
//!
//! **Invariant**: for one id at most one question is asked and at most one
//! answer made, whatever channels and however often its bytes come; what was
//! asked once is never asked again, not after a restart either, as long as
//! [`Answers::restore`] is given what the log has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keystead_core::{RequestHash, RequestId};
use keystead_sodium::memory::wipe;

/// The ids of one pairing, across its channels.
#[derive(Default)]
pub struct Answers {
    known: BTreeMap<RequestId, Known>,
    /// When each id may be forgotten or lose its answer, soonest first.
    due: BTreeSet<(u64, RequestId)>,
    /// Answered ids whose bytes are kept, oldest first.
    kept: VecDeque<RequestId>,
    kept_bytes: usize,
    pending: usize,
}

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new, and from now on pending: to be answered by [`Answers::answer`].
    New,
    /// The question is being asked: ack anew, and send the answer there too.
    Join,
    /// It was answered: send these bytes again, and wipe them.
    Again(Vec<u8>),
    /// It was answered, and the answer is not kept any more: `expired`.
    Expired,
    /// Another request had this id: `malformed`.
    Malformed,
    /// Too many are pending, or too many ids are kept: `busy`. Nothing is
    /// remembered, so the same bytes may come again later.
    Busy,
}

struct Known {
    hash: RequestHash,
    state: State,
}

/// An answer may hold what was decrypted.
impl Drop for Known {
    fn drop(&mut self) {
        if let State::Answered { response, .. } = &mut self.state {
            wipe(response);
        }
    }
}

enum State {
    Pending {
        keep_ms: u64,
    },
    Answered {
        response: Vec<u8>,
        until_ms: u64,
        forget_ms: u64,
    },
    Spent {
        forget_ms: u64,
    },
}

impl Answers {
    /// Judges a request that arrives now.
    pub fn arrive(
        &mut self,
        now_ms: u64,
        id: RequestId,
        hash: RequestHash,
        wait_s: u16,
    ) -> Verdict {
        self.judge(now_ms, (id, hash), wait_s, PENDING_MAX)
    }

    /// As [`Answers::arrive`], of one that takes another back and is answered at once: where all
    /// places are taken it is what makes room.
    pub fn arrive_to_cancel(
        &mut self,
        now_ms: u64,
        id: RequestId,
        hash: RequestHash,
        wait_s: u16,
    ) -> Verdict {
        self.judge(now_ms, (id, hash), wait_s, PENDING_MAX + 1)
    }

    fn judge(
        &mut self,
        now_ms: u64,
        (id, hash): (RequestId, RequestHash),
        wait_s: u16,
        pending_max: usize,
    ) -> Verdict {
        self.forget(now_ms);
        if let Some(known) = self.known.get(&id) {
            return match &known.state {
                _ if known.hash != hash => Verdict::Malformed,
                State::Pending { .. } => Verdict::Join,
                State::Answered { response, .. } => Verdict::Again(response.clone()),
                State::Spent { .. } => Verdict::Expired,
            };
        }
        if self.pending >= pending_max || self.known.len() >= IDS_MAX {
            return Verdict::Busy;
        }
        self.pending += 1;
        let keep_ms = u64::from(wait_s) * 1_000 + KEEP_MS;
        let state = State::Pending {
            keep_ms: now_ms.saturating_add(keep_ms),
        };
        self.known.insert(id, Known { hash, state });
        Verdict::New
    }

    /// The answer of a pending request leaves: the same bytes get it again
    /// while `wait_s` and 10 minutes from arrival last. Of an id whose answer is
    /// gone it is the `expired`, kept as long as the id: whoever asks for ever
    /// makes one entry in the log. False for an id that is unknown or has its
    /// answer; then this one must not leave.
    pub fn answer(&mut self, now_ms: u64, id: RequestId, response: &[u8]) -> bool {
        let Some(known) = self.known.get_mut(&id) else {
            return false;
        };
        let (until_ms, forget_ms) = match known.state {
            State::Pending { keep_ms } => {
                self.pending = self.pending.saturating_sub(1);
                let forget_ms = now_ms.saturating_add(FORGET_MS).max(keep_ms);
                (keep_ms, forget_ms)
            }
            State::Spent { forget_ms } => (forget_ms, forget_ms),
            State::Answered { .. } => return false,
        };
        known.state = State::Answered {
            response: response.to_vec(),
            until_ms,
            forget_ms,
        };
        self.due.insert((until_ms, id));
        self.kept.push_back(id);
        self.kept_bytes = self.kept_bytes.saturating_add(response.len());
        self.make_room(id);
        true
    }

    /// A request that was answered before a restart `age_ms` ago, as the log
    /// has it: its answer is gone, its id is not.
    pub fn restore(&mut self, now_ms: u64, id: RequestId, hash: RequestHash, age_ms: u64) {
        let Some(left_ms) = FORGET_MS.checked_sub(age_ms).filter(|left_ms| *left_ms > 0) else {
            return;
        };
        let forget_ms = now_ms.saturating_add(left_ms);
        let state = State::Spent { forget_ms };
        self.known.insert(id, Known { hash, state });
        self.due.insert((forget_ms, id));
    }

    /// The requests that wait for an answer.
    pub fn pending(&self) -> impl Iterator<Item = RequestId> + '_ {
        let is_pending = |known: &Known| matches!(known.state, State::Pending { .. });
        let known = self.known.iter();
        known.filter_map(move |(id, known)| is_pending(known).then_some(*id))
    }

    /// Whether a request waits for an answer.
    #[must_use]
    pub fn is_pending(&self, id: &RequestId) -> bool {
        let state = self.known.get(id).map(|known| &known.state);
        matches!(state, Some(State::Pending { .. }))
    }

    /// Where no more ids can be kept: how long until the first is forgotten.
    #[must_use]
    pub fn full_for_ms(&self, now_ms: u64) -> Option<u64> {
        if self.known.len() < IDS_MAX {
            return None;
        }
        let forgotten_at = |known: &Known| match known.state {
            State::Pending { .. } => None,
            State::Answered { forget_ms, .. } | State::Spent { forget_ms } => Some(forget_ms),
        };
        let first_ms = self.known.values().filter_map(forgotten_at).min()?;
        Some(first_ms.saturating_sub(now_ms))
    }

    /// The hash of a request whose id is known.
    #[must_use]
    pub fn hash(&self, id: &RequestId) -> Option<RequestHash> {
        self.known.get(id).map(|known| known.hash)
    }

    fn forget(&mut self, now_ms: u64) {
        while let Some((due_ms, id)) = self.due.first().copied() {
            if due_ms > now_ms {
                break;
            }
            self.due.pop_first();
            match self.known.get(&id).map(|known| &known.state) {
                Some(State::Answered { until_ms, .. }) if *until_ms <= now_ms => self.spend(id),
                Some(State::Spent { forget_ms }) if *forget_ms <= now_ms => {
                    self.known.remove(&id);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Drops the kept bytes of an answer; its id stays until 24 h are over.
    fn spend(&mut self, id: RequestId) {
        let Some(known) = self.known.get_mut(&id) else {
            return;
        };
        if let State::Answered {
            response,
            forget_ms,
            ..
        } = &mut known.state
        {
            let forget_ms = *forget_ms;
            self.kept_bytes = self.kept_bytes.saturating_sub(response.len());
            wipe(response);
            // The first to be answered is nearly always the first to go.
            if self.kept.front() == Some(&id) {
                self.kept.pop_front();
            } else {
                self.kept.retain(|kept| *kept != id);
            }
            self.due.insert((forget_ms, id));
            known.state = State::Spent { forget_ms };
        }
    }

    /// The oldest answers go when all together are too long; never the newest.
    fn make_room(&mut self, newest: RequestId) {
        while self.kept_bytes > KEPT_BYTES_MAX {
            match self.kept.front().copied() {
                Some(oldest) if oldest != newest => self.spend(oldest),
                Some(_) | None => break,
            }
        }
    }
}

/// 10,000 ids a pairing: one every 9 s, day and night, for the 24 h they are kept.
pub const IDS_MAX: usize = 10_000;

/// 64 requests wait for one person.
pub const PENDING_MAX: usize = 64;

/// 10 minutes beyond `wait_s`, as long as a relay keeps an item.
pub const KEEP_MS: u64 = 600_000;

/// 24 h after its answer an id is forgotten.
pub const FORGET_MS: u64 = 86_400_000;

/// 4 MiB of answers a pairing are kept for repeats; a usual one has 400
/// bytes. What goes earlier is answered `expired`, as after a restart.
pub const KEPT_BYTES_MAX: usize = 4_194_304;

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: RequestHash = RequestHash([1; 32]);
    const OTHER: RequestHash = RequestHash([2; 32]);

    fn id(n: usize) -> RequestId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        RequestId(id)
    }

    fn arrive(answers: &mut Answers, now_ms: u64, n: usize, hash: RequestHash) -> Verdict {
        answers.arrive(now_ms, id(n), hash, 60)
    }

    #[test]
    fn one_id_has_one_answer() {
        let mut answers = Answers::default();
        assert_eq!(arrive(&mut answers, 0, 1, HASH), Verdict::New);
        assert_eq!(arrive(&mut answers, 5, 1, HASH), Verdict::Join);
        assert_eq!(arrive(&mut answers, 5, 1, OTHER), Verdict::Malformed);
        assert!(answers.answer(10, id(1), b"yes"));
        assert!(!answers.answer(11, id(1), b"no"), "one answer, ever");
        let again = Verdict::Again(b"yes".to_vec());
        assert_eq!(arrive(&mut answers, 659_999, 1, HASH), again);
        assert_eq!(arrive(&mut answers, 659_999, 1, OTHER), Verdict::Malformed);
        assert_eq!(arrive(&mut answers, 660_000, 1, HASH), Verdict::Expired);
        assert_eq!(arrive(&mut answers, 660_000, 1, OTHER), Verdict::Malformed);
        assert_eq!(arrive(&mut answers, 86_400_009, 1, HASH), Verdict::Expired);
        assert_eq!(arrive(&mut answers, 86_400_010, 1, HASH), Verdict::New);
    }

    #[test]
    fn a_restart_loses_answers_but_no_ids() {
        let mut answers = Answers::default();
        answers.restore(1_000, id(1), HASH, 3_600_000);
        answers.restore(1_000, id(2), HASH, 86_400_000);
        assert_eq!(arrive(&mut answers, 1_000, 1, HASH), Verdict::Expired);
        assert_eq!(arrive(&mut answers, 1_000, 1, OTHER), Verdict::Malformed);
        assert_eq!(arrive(&mut answers, 1_000, 2, HASH), Verdict::New);
        let day_ms = 1_000 + 82_800_000;
        assert_eq!(arrive(&mut answers, day_ms - 1, 1, HASH), Verdict::Expired);
        assert_eq!(arrive(&mut answers, day_ms, 1, HASH), Verdict::New);
    }

    #[test]
    fn a_spent_id_is_answered_once_too() {
        let mut answers = Answers::default();
        answers.restore(1_000, id(1), HASH, 3_600_000);
        assert_eq!(arrive(&mut answers, 1_000, 1, HASH), Verdict::Expired);
        assert!(answers.answer(1_000, id(1), b"expired"));
        assert!(!answers.answer(1_000, id(1), b"expired again"));
        let again = Verdict::Again(b"expired".to_vec());
        let day_ms = 1_000 + 82_800_000;
        assert_eq!(arrive(&mut answers, day_ms - 1, 1, HASH), again);
        // No later than without it.
        assert_eq!(arrive(&mut answers, day_ms, 1, HASH), Verdict::New);
        assert_eq!((answers.pending, answers.kept_bytes), (1, 0));
    }

    #[test]
    fn sixty_four_wait_and_the_next_may_come_again() {
        let mut answers = Answers::default();
        for n in 0..PENDING_MAX {
            assert_eq!(arrive(&mut answers, 0, n, HASH), Verdict::New);
        }
        assert_eq!(arrive(&mut answers, 0, 99, HASH), Verdict::Busy);
        assert_eq!(arrive(&mut answers, 0, 3, HASH), Verdict::Join);
        assert_eq!(answers.pending().count(), PENDING_MAX);
        assert_eq!(answers.arrive_to_cancel(0, id(77), HASH, 60), Verdict::New);
        assert_eq!(answers.arrive_to_cancel(0, id(78), HASH, 60), Verdict::Busy);
        assert!(answers.answer(0, id(77), b"done"));
        assert_eq!(arrive(&mut answers, 0, 99, HASH), Verdict::Busy);
        assert!(answers.answer(0, id(3), b"a"));
        assert_eq!(arrive(&mut answers, 0, 99, HASH), Verdict::New);
    }

    #[test]
    fn ten_thousand_ids_are_kept() {
        let mut answers = Answers::default();
        for n in 0..IDS_MAX {
            assert_eq!(arrive(&mut answers, 0, n, HASH), Verdict::New);
            assert!(answers.answer(0, id(n), b"a"));
        }
        assert_eq!(arrive(&mut answers, 0, IDS_MAX, HASH), Verdict::Busy);
        assert_eq!(answers.full_for_ms(7), Some(FORGET_MS - 7));
        let day_ms = FORGET_MS;
        assert_eq!(arrive(&mut answers, day_ms, IDS_MAX, HASH), Verdict::New);
        assert_eq!(answers.known.len(), 1);
        assert_eq!(answers.full_for_ms(day_ms), None);
        assert!(answers.due.is_empty() && answers.kept.is_empty());
    }

    #[test]
    fn long_answers_push_the_oldest_out() {
        let mut answers = Answers::default();
        let long = vec![0; 262_144];
        for n in 0..17 {
            arrive(&mut answers, 0, n, HASH);
            assert!(answers.answer(0, id(n), &long));
        }
        assert_eq!(arrive(&mut answers, 1, 0, HASH), Verdict::Expired);
        assert_eq!(arrive(&mut answers, 1, 1, HASH), Verdict::Again(long));
        assert_eq!(answers.kept_bytes, KEPT_BYTES_MAX);
    }
}
