//! What receipts showed, until a head that continues ours confirms it
//! (`spec/audit.md` section 7).
//!
//! **Invariant**: an entry that a receipt showed is forgotten only when a head that
//! continues ours holds it, when a later entry of the account that is proved names its
//! hash, or by a person's word.

use keystead_channel::log::proof::check_inclusion;
use keystead_channel::log::{Checkpoint, Hash};
use keystead_channel::session::List;
use keystead_channel::session::requests::{Head, HeadPage};

use super::{Missing, Own, Seen, SeenError, SignedHead, Unproven};

impl Seen {
    /// Whether a head is to be asked for now: [`Seen::head_request`].
    #[must_use]
    pub fn is_due(&self, now_ms: u64) -> bool {
        let waited = self.since_ms.map(|since| now_ms.saturating_sub(since));
        self.receipts >= RECEIPTS_MAX
            || self.unproven.len() >= UNPROVEN_MAX
            || waited.is_some_and(|it| it >= UNPROVEN_MS_MAX)
    }

    /// Whether receipts showed entries that no head has confirmed. When a session opens,
    /// that is asked first: a server that was restored may lack them, although its log
    /// continues our head, which is older than they are.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        !self.unproven.is_empty()
    }

    /// Takes over what receipts showed to another process that did not see this head: it is
    /// still to be confirmed. Nothing, where the person has left behind what that one saw.
    pub fn also_shown(&mut self, other: &Self) {
        let epoch = |head: &SignedHead| head.checkpoint.epoch;
        let (ours, theirs) = (
            self.head.as_ref().map(epoch),
            other.head.as_ref().map(epoch),
        );
        let is_left = theirs < ours && self.others.iter().any(|it| Some(epoch(it)) == theirs);
        if self.dispute.is_some() || is_left {
            return;
        }
        let is_known = |hash: &Hash| {
            self.own
                .iter()
                .any(|it| it.hash == *hash || it.before == *hash)
                || self.unproven.iter().any(|it| it.hash == *hash)
        };
        let new = other.unproven.iter().filter(|it| !is_known(&it.hash));
        let new: Vec<Unproven> = new.cloned().collect();
        if new.is_empty() {
            return;
        }
        let is_new = |own: &&Own| new.iter().any(|it| it.hash == own.hash);
        let own: Vec<Own> = other.own.iter().filter(is_new).cloned().collect();
        own.into_iter().for_each(|own| self.keep_own(own));
        self.unproven.extend(new);
        self.receipts = self.receipts.max(other.receipts);
        self.since_ms = self.since_ms.or(other.since_ms);
        let place = |head: &SignedHead| (head.checkpoint.epoch, head.checkpoint.size);
        if self.shown.as_ref().map(place) < other.shown.as_ref().map(place) {
            self.shown.clone_from(&other.shown);
        }
    }

    /// What is to be asked: that a new head continues ours, and holds what was shown.
    #[must_use]
    pub fn head_request(&self) -> Head {
        let shown = self.unproven.iter().take(UNPROVEN_MAX);
        Head {
            from_size: self.head_size(),
            indices: List(shown.map(|it| it.index).collect()),
        }
    }

    /// Checks the answer to what [`Seen::head_request`] gave.
    ///
    /// Nothing is confirmed where the head that it was asked from is not ours any more:
    /// then it is asked again.
    ///
    /// # Errors
    /// As [`Seen::opened`].
    pub fn take_head(&mut self, asked: &Head, page: &HeadPage) -> Result<(), SeenError> {
        self.undisputed()?;
        let told = self.open(&page.checkpoint.0)?;
        if asked.from_size != self.head_size() {
            return Ok(());
        }
        let proof = page.consistency.as_ref().map(|it| it.0.as_slice());
        let fits = self.head_continues(&told.checkpoint, proof, None);
        let verdict = fits.and_then(|()| self.holds(&told.checkpoint, asked, page));
        if let Err(error) = verdict {
            let evidence = self.shown.take_if(|_| error.is_another_history());
            evidence.into_iter().for_each(|it| self.remember_other(it));
            return self.stop(error, told, None);
        }
        self.unproven.retain(|it| !is_in(asked, it));
        self.receipts = 0;
        if self.unproven.is_empty() {
            self.all_confirmed();
        }
        self.head = Some(told);
        Ok(())
    }

    /// Whether the head holds each of the entries that were asked for.
    fn holds(&self, told: &Checkpoint, asked: &Head, page: &HeadPage) -> Result<(), SeenError> {
        let mut lost = Vec::new();
        for entry in self.unproven.iter().filter(|it| is_in(asked, it)) {
            let proof = page.proofs.0.iter().find(|it| it.index == entry.index);
            let path = match proof {
                Some(proof) => &proof.path.0,
                None if entry.index < told.size => return Err(SeenError::Incomplete),
                None => {
                    lost.push(entry);
                    continue;
                }
            };
            let held = check_inclusion(entry.index, told.size, &entry.hash, path, &told.root);
            if held.is_err() {
                lost.push(entry);
            }
        }
        match lost.first() {
            Some(first) => Err(self.lost(told, first.index, &lost)),
            None => Ok(()),
        }
    }

    /// What is wrong with a head that continues ours and lacks what receipts showed.
    fn lost(&self, told: &Checkpoint, index: u64, lost: &[&Unproven]) -> SeenError {
        let Some(shown) = &self.shown else {
            return SeenError::Unproved { index };
        };
        let is_lost = |own: &&Own| lost.iter().any(|it| it.hash == own.hash);
        let mut gone = self.own.iter().filter(is_lost).map(|own| own.user_seq);
        let first = gone.next();
        let missing = Missing {
            first,
            last: gone.next_back().or(first),
        };
        let seen = (shown.checkpoint.epoch, shown.checkpoint.size);
        let told = (told.epoch, told.size);
        SeenError::of_places(seen, told, missing).unwrap_or(SeenError::Unproved { index })
    }

    /// An entry that another one follows is proved with it: its hash stands in it.
    pub(super) fn not_yet_proven(&mut self, own: &Own, told: SignedHead, now_ms: u64) {
        self.receipts = self.receipts.saturating_add(1);
        self.since_ms.get_or_insert(now_ms);
        let is_larger = |shown: &SignedHead| shown.checkpoint.size >= told.checkpoint.size;
        if !self.shown.as_ref().is_some_and(is_larger) {
            self.shown = Some(told);
        }
        let is_proved_with = self.own.iter().any(|ours| ours.before == own.hash);
        let is_known = self.unproven.iter().any(|it| it.hash == own.hash);
        if is_proved_with || is_known {
            return;
        }
        self.unproven.retain(|it| it.hash != own.before);
        self.unproven.push(Unproven {
            index: own.index,
            hash: own.hash,
        });
    }

    /// What stands before an entry that a head of ours holds is proved with it, as far back
    /// as we know the account's entries.
    pub(super) fn proved_with(&mut self, own: &Own) {
        let mut proved = own.before;
        self.unproven.retain(|it| it.hash != own.hash);
        let earlier = self.own.iter().rev();
        for ours in earlier.filter(|ours| ours.user_seq < own.user_seq) {
            if ours.hash == proved {
                self.unproven.retain(|it| it.hash != proved);
                proved = ours.before;
            }
        }
        if self.unproven.is_empty() {
            self.all_confirmed();
        }
    }

    /// Nothing is left to be asked for.
    pub(super) fn all_confirmed(&mut self) {
        self.shown = None;
        self.receipts = 0;
        self.since_ms = None;
    }

    fn head_size(&self) -> Option<u64> {
        self.head.as_ref().map(|head| head.checkpoint.size)
    }
}

fn is_in(asked: &Head, entry: &Unproven) -> bool {
    asked.indices.0.contains(&entry.index)
}

/// 1,000 receipts until a head is asked for (`spec/audit.md` section 7).
const RECEIPTS_MAX: u32 = 1_000;

/// 10 minutes until a head is asked for.
const UNPROVEN_MS_MAX: u64 = 10 * 60 * 1_000;

/// 256 entries: as many as one request for a head may name.
pub(super) const UNPROVEN_MAX: usize = 256;
