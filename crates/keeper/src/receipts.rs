//! The receipts of one keeper: which numbers came, and which are missing.
//!
//! Invariant: a receipt is taken only after its signature was checked. Answers
//! arrive over several ways, so a number may come late; only one that stays
//! away is named.

use keystead_core::{Receipt, ReceiptChain};

/// What has come of a keeper's chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipts {
    /// Behind the highest number that came.
    pub(crate) chain: ReceiptChain,
    missing: Vec<Missing>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Missing {
    first: u64,
    last: u64,
    since_ms: u64,
}

/// What a receipt's place in the chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The next one, or one that was missing.
    Fits,
    /// It follows another receipt than the one that came before it.
    OtherChain,
    /// Its number came before, in another receipt.
    Twice,
}

impl Receipts {
    /// Goes on behind what was stored.
    pub(crate) fn resume(chain: ReceiptChain) -> Self {
        Self {
            chain,
            missing: Vec::new(),
        }
    }

    /// Takes a verified receipt in.
    pub(crate) fn take(&mut self, receipt: &Receipt, bytes: &[u8], now_ms: u64) -> Place {
        if receipt.seq < self.chain.seq {
            return self.fill(receipt.seq);
        }
        let follows = receipt.seq == self.chain.seq;
        let fits = !follows || receipt.prev == self.chain.prev;
        if !follows {
            self.missing.push(Missing {
                first: self.chain.seq,
                last: receipt.seq.saturating_sub(1),
                since_ms: now_ms,
            });
        }
        self.chain = ReceiptChain::after(receipt.seq, bytes);
        if fits { Place::Fits } else { Place::OtherChain }
    }

    /// The gaps that have become too old to be filled, first and last number.
    pub(crate) fn named(&mut self, now_ms: u64) -> Vec<(u64, u64)> {
        let too_many = self.missing.len() > MISSING_MAX;
        let (due, kept): (Vec<Missing>, Vec<Missing>) = self
            .missing
            .drain(..)
            .partition(|gap| too_many || now_ms >= gap.since_ms.saturating_add(MISSING_MS));
        self.missing = kept;
        due.iter().map(|gap| (gap.first, gap.last)).collect()
    }

    pub(crate) fn wake_ms(&self) -> Option<u64> {
        let since = self.missing.iter().map(|gap| gap.since_ms).min()?;
        Some(since.saturating_add(MISSING_MS))
    }

    fn fill(&mut self, seq: u64) -> Place {
        let holds = |gap: &Missing| (gap.first..=gap.last).contains(&seq);
        let Some(at) = self.missing.iter().position(holds) else {
            return Place::Twice;
        };
        let gap = self.missing.swap_remove(at);
        let before = seq.checked_sub(1).map(|last| (gap.first, last));
        let after = seq.checked_add(1).map(|first| (first, gap.last));
        for (first, last) in before.into_iter().chain(after) {
            if first <= last {
                let since_ms = gap.since_ms;
                self.missing.push(Missing {
                    first,
                    last,
                    since_ms,
                });
            }
        }
        Place::Fits
    }
}

/// A number that is missing for so long will not come any more. Why: an answer that was
/// under way on a slower relay is there in less; its request is repeated every 10 s.
const MISSING_MS: u64 = 30_000;

/// Gaps kept at once. Why: one an open request is all that honest reordering makes.
const MISSING_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use keystead_core::{Outcome, RequestHash};

    use super::*;

    fn receipt(seq: u64, prev: [u8; 32]) -> Receipt {
        Receipt {
            seq,
            prev,
            request_hash: RequestHash([0; 32]),
            outcome: Outcome::Approve,
            unix_s: 0,
            body_hash: [0; 32],
        }
    }

    /// The receipt with this number of one honest chain, and its bytes.
    fn honest(seq: u64) -> (Receipt, [u8; 8]) {
        let prev = match seq.checked_sub(1) {
            Some(before) => ReceiptChain::after(before, &before.to_be_bytes()).prev,
            None => [0; 32],
        };
        (receipt(seq, prev), seq.to_be_bytes())
    }

    fn take(receipts: &mut Receipts, seq: u64, now_ms: u64) -> Place {
        let (receipt, bytes) = honest(seq);
        receipts.take(&receipt, &bytes, now_ms)
    }

    /// Numbers in this order, one a second; the gaps that are named at the end.
    fn check(seqs: &[u64], expected: &[(u64, u64)]) {
        let mut receipts = Receipts::default();
        for (now_s, seq) in (0..).zip(seqs) {
            assert_eq!(
                take(&mut receipts, *seq, now_s * 1_000),
                Place::Fits,
                "{seqs:?}"
            );
        }
        let mut named = receipts.named(1_000_000);
        named.sort_unstable();
        assert_eq!(named, expected, "{seqs:?}");
        assert_eq!(receipts.wake_ms(), None);
    }

    #[test]
    fn what_stays_away_is_named_and_what_comes_late_is_not() {
        check(&[0, 1, 2], &[]);
        check(&[0, 2, 1], &[]);
        check(&[2, 1, 0], &[]);
        check(&[0, 2], &[(1, 1)]);
        check(&[3], &[(0, 2)]);
        check(&[0, 10, 5], &[(1, 4), (6, 9)]);
        check(&[0, 10, 5, 1, 9], &[(2, 4), (6, 8)]);
    }

    #[test]
    fn a_gap_is_named_once_and_only_when_it_is_old() {
        let mut receipts = Receipts::default();
        take(&mut receipts, 1, 5_000);
        assert_eq!(receipts.named(34_999), []);
        assert_eq!(receipts.wake_ms(), Some(35_000));
        assert_eq!(receipts.named(35_000), [(0, 0)]);
        assert_eq!(receipts.named(90_000), []);
    }

    #[test]
    fn a_number_twice_and_another_chain_are_told() {
        let mut receipts = Receipts::default();
        take(&mut receipts, 0, 0);
        take(&mut receipts, 1, 0);
        assert_eq!(take(&mut receipts, 0, 0), Place::Twice);
        let forked = receipt(2, [9; 32]);
        assert_eq!(receipts.take(&forked, b"2", 0), Place::OtherChain);
    }
}
