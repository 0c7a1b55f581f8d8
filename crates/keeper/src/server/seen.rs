//! What a client keeps of a server's log, and what it checks each answer against
//! (`spec/audit.md` section 7). Pure: answers in, verdicts out.
//!
//! **Invariant**: the head that is kept was signed by the log's key and continues every
//! head kept before, in one epoch after the other; whoever hands out another history is
//! found out by a proof that lacks, and then nothing goes on until the person says so,
//! with both heads kept.

mod audited;
mod receipts;
mod stored;
mod trouble;

pub use audited::{AuditError, AuditFault, Audited, Listed, Subject};
pub use stored::UnreadableSeen;
pub use trouble::{Missing, SeenError};

use std::collections::VecDeque;

use keystead_channel::log::proof::{check_consistency, check_inclusion};
use keystead_channel::log::{Action, Checkpoint, Hash, Leaf, LogId, key_notice};
use keystead_channel::session::requests::{Known, Method, OpenedResult, Receipt, SeenLog};
use keystead_channel::session::{Notice, Nullable, ServerId, Status, UserId};

/// What is kept of one server's log, for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    server: ServerId,
    log_key: [u8; 32],
    /// The last head that is proved to continue the ones before.
    head: Option<SignedHead>,
    /// The account's last entries that were checked, the newest last.
    own: VecDeque<Own>,
    /// Entries that a receipt showed and no head that continues ours has shown yet.
    unproven: Vec<Unproven>,
    /// The largest head that a receipt brought since the last proof.
    shown: Option<SignedHead>,
    /// Receipts since the last proof.
    receipts: u32,
    /// When the first of them came.
    since_ms: Option<u64>,
    /// Heads that do not fit the one above, the oldest first.
    others: Vec<SignedHead>,
    /// Set when the server showed another history.
    dispute: Option<Dispute>,
}

/// A head with the bytes that were signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note as it came.
    pub note: Vec<u8>,
}

/// One of the account's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    user_seq: u64,
    index: u64,
    hash: Hash,
    before: Hash,
}

/// An entry whose receipt is good, in a tree that is not yet proved to continue ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unproven {
    index: u64,
    hash: Hash,
}

/// What stopped the client, and what it goes on with when the person says so.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dispute {
    error: SeenError,
    told: SignedHead,
    own: Option<Own>,
}

/// What was asked for; a receipt must say exactly this.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Whose request.
    pub user: &'a UserId,
    /// The method.
    pub method: Method,
    /// How the answer says it went.
    pub status: Status,
    /// [`keystead_channel::session::request_hash`] of what was sent.
    pub request_hash: &'a Hash,
}

impl Seen {
    /// Nothing seen yet of the log with this key.
    #[must_use]
    pub fn new(server: ServerId, log_key: [u8; 32]) -> Self {
        Self {
            server,
            log_key,
            head: None,
            own: VecDeque::new(),
            unproven: Vec::new(),
            shown: None,
            receipts: 0,
            since_ms: None,
            others: Vec::new(),
            dispute: None,
        }
    }

    /// What `open` and frame 30 tell the server.
    #[must_use]
    pub fn known(&self) -> Known {
        Nullable(self.head.as_ref().map(|head| SeenLog {
            epoch: head.checkpoint.epoch,
            size: head.checkpoint.size,
        }))
    }

    /// The last head that continues the ones before.
    #[must_use]
    pub fn head(&self) -> Option<&SignedHead> {
        self.head.as_ref()
    }

    /// Heads of this log that do not fit ours: evidence, kept.
    #[must_use]
    pub fn others(&self) -> &[SignedHead] {
        &self.others
    }

    /// The account's last entry: user_seq and hash.
    #[must_use]
    pub fn last_own(&self) -> Option<(u64, &Hash)> {
        self.own.back().map(|own| (own.user_seq, &own.hash))
    }

    /// The key that signs the log's heads.
    #[must_use]
    pub fn log_key(&self) -> &[u8; 32] {
        &self.log_key
    }

    /// Why nothing goes on, if nothing does.
    #[must_use]
    pub fn disputed(&self) -> Option<&SeenError> {
        self.dispute.as_ref().map(|it| &it.error)
    }

    /// Checks what a session opened with: the head continues ours, and the account's own
    /// entries end where we saw them or later. Receipts that no head has confirmed are to be
    /// asked for next: [`Seen::is_unconfirmed`].
    ///
    /// # Errors
    /// [`SeenError`]; of another history, every further call says the same until
    /// [`Seen::accept`].
    pub fn opened(&mut self, user: &UserId, result: &OpenedResult) -> Result<(), SeenError> {
        self.undisputed()?;
        let note = result.checkpoint.as_ref().ok_or(SeenError::Incomplete)?;
        let told = self.open(&note.0)?;
        let chain_head = result.chain_head.as_ref().ok_or(SeenError::Incomplete)?;
        if chain_head.checkpoint != *note {
            return Err(SeenError::Incomplete);
        }
        let own = self.own_entry(user, chain_head, &told.checkpoint)?.1;
        let proof = result.consistency.as_ref().map(|it| it.0.as_slice());
        let verdict = self.continues(&told.checkpoint, proof, &own);
        self.take(verdict, told, own)
    }

    /// Checks a receipt whole, before what it belongs to is used.
    ///
    /// # Errors
    /// As [`Seen::opened`].
    pub fn receipt(
        &mut self,
        expected: &Expected<'_>,
        receipt: &Receipt,
        now_ms: u64,
    ) -> Result<(), SeenError> {
        self.undisputed()?;
        let told = self.open(&receipt.checkpoint.0)?;
        let (leaf, own) = self.own_entry(expected.user, receipt, &told.checkpoint)?;
        // What completes a registration is logged as what it is.
        let action = if expected.method == Method::Complete {
            Action::Registered.number()
        } else {
            expected.method.number()
        };
        let is_asked = leaf.action == action
            && leaf.outcome == expected.status.number()
            && leaf.request_hash == *expected.request_hash;
        if !is_asked {
            return Err(SeenError::OtherRequest);
        }
        let fits = self.fits(&told.checkpoint).and_then(|()| self.chains(&own));
        if let Err(error) = fits {
            return self.take(Err(error), told, own);
        }
        // A registration's own receipt is the first that is ever seen.
        if self.head.is_none() {
            self.head = Some(told);
        } else {
            self.not_yet_proven(&own, told, now_ms);
        }
        self.keep_own(own);
        Ok(())
    }

    /// Takes the log's new key, if the old one signed it.
    ///
    /// # Errors
    /// [`SeenError::Key`].
    pub fn take_key(&mut self, notice: &Notice) -> Result<(), SeenError> {
        let (Some(key), Some(signature)) = (&notice.log_key, &notice.signature) else {
            return Err(SeenError::Key);
        };
        let text = key_notice(&self.server, key);
        if !keystead_channel::log::is_signed(&text, &self.log_key, signature) {
            return Err(SeenError::Key);
        }
        self.log_key = *key;
        Ok(())
    }

    /// Goes on with what the server told, by the person's word. Both heads are kept.
    pub fn accept(&mut self) {
        let Some(dispute) = self.dispute.take() else {
            return;
        };
        if let Some(ours) = self.head.replace(dispute.told) {
            self.remember_other(ours);
        }
        self.own = dispute.own.into_iter().collect();
        self.unproven.clear();
        self.all_confirmed();
    }

    fn open(&self, note: &[u8]) -> Result<SignedHead, SeenError> {
        let checkpoint = Checkpoint::open(note, &self.server, &self.log_key)?;
        Ok(SignedHead {
            checkpoint,
            note: note.to_vec(),
        })
    }

    /// The account's entry that `receipt` shows, proved under `checkpoint`.
    fn own_entry(
        &self,
        user: &UserId,
        receipt: &Receipt,
        checkpoint: &Checkpoint,
    ) -> Result<(Leaf, Own), SeenError> {
        let leaf = Leaf::decode(&receipt.leaf.0)?;
        let index = receipt.index;
        let hash = leaf.hash();
        let Checkpoint { size, root, .. } = checkpoint;
        check_inclusion(index, *size, &hash, &receipt.path.0, root)
            .map_err(|_| SeenError::Unproved { index })?;
        if leaf.log != LogId::of(user) {
            return Err(SeenError::OtherLog { index });
        }
        let own = Own {
            user_seq: leaf.user_seq,
            index,
            hash,
            before: leaf.before,
        };
        Ok((leaf, own))
    }

    /// Whether a head and the account's newest entry under it continue what we have.
    fn continues(
        &self,
        told: &Checkpoint,
        proof: Option<&[Hash]>,
        own: &Own,
    ) -> Result<(), SeenError> {
        self.head_continues(told, proof, Some(own))?;
        let is_later = |head: &SignedHead| told.epoch > head.checkpoint.epoch;
        self.chains(own).map_err(|error| match &self.head {
            Some(head) if is_later(head) => self.went_back(told, Some(own)),
            Some(_) | None => error,
        })?;
        match self.own.back() {
            Some(ours) if own.user_seq < ours.user_seq => Err(self.went_back(told, Some(own))),
            _ => Ok(()),
        }
    }

    fn head_continues(
        &self,
        told: &Checkpoint,
        proof: Option<&[Hash]>,
        own: Option<&Own>,
    ) -> Result<(), SeenError> {
        let Some(SignedHead {
            checkpoint: ours, ..
        }) = &self.head
        else {
            return Ok(());
        };
        if told.epoch < ours.epoch || told.size < ours.size {
            return Err(self.went_back(told, own));
        }
        let proof = match proof {
            Some(proof) => proof,
            None if told.size == ours.size => &[],
            None => return Err(self.went_back(told, own)),
        };
        check_consistency(ours.size, told.size, &ours.root, &told.root, proof)
            .map_err(|_| self.went_back(told, own))
    }

    /// What is wrong with a head that does not continue ours.
    fn went_back(&self, told: &Checkpoint, own: Option<&Own>) -> SeenError {
        let Some(SignedHead {
            checkpoint: ours, ..
        }) = &self.head
        else {
            return SeenError::Incomplete;
        };
        let missing = self.missing(told, own);
        let place = |head: &Checkpoint| (head.epoch, head.size);
        let shown = self.shown.as_ref().map(|it| place(&it.checkpoint));
        let seen = shown.unwrap_or_default().max(place(ours));
        let told = place(told);
        let forked = SeenError::Forked {
            seen,
            told,
            missing,
        };
        SeenError::of_places(seen, told, missing).unwrap_or(forked)
    }

    /// Which of the account's entries that we saw are surely not in what is told.
    fn missing(&self, told: &Checkpoint, own: Option<&Own>) -> Missing {
        let is_gone = |ours: &&Own| match own {
            // The same words at another place of the log are another entry.
            Some(own) if own.user_seq == ours.user_seq => {
                (own.hash, own.index) != (ours.hash, ours.index)
            }
            Some(own) if ours.user_seq.checked_add(1) == Some(own.user_seq) => {
                own.before != ours.hash
            }
            Some(own) => own.user_seq < ours.user_seq || ours.index >= told.size,
            None => ours.index >= told.size,
        };
        let mut gone = self.own.iter().filter(is_gone).map(|ours| ours.user_seq);
        let first = gone.next();
        Missing {
            first,
            last: gone.next_back().or(first),
        }
    }

    /// Whether a receipt's head can stand beside ours; that it continues ours is asked later.
    fn fits(&self, told: &Checkpoint) -> Result<(), SeenError> {
        match &self.head {
            Some(SignedHead {
                checkpoint: ours, ..
            }) => {
                let is_other = told.size == ours.size && told.root != ours.root;
                if told.epoch != ours.epoch || is_other {
                    return Err(self.went_back(told, None));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether an entry of the account can stand in one chain with those we saw.
    fn chains(&self, own: &Own) -> Result<(), SeenError> {
        for ours in &self.own {
            let is_same =
                own.user_seq != ours.user_seq || (own.hash == ours.hash && own.index == ours.index);
            let follows =
                ours.user_seq.checked_add(1) != Some(own.user_seq) || own.before == ours.hash;
            let leads =
                own.user_seq.checked_add(1) != Some(ours.user_seq) || ours.before == own.hash;
            if !(is_same && follows && leads) {
                return Err(SeenError::OtherChain {
                    user_seq: own.user_seq,
                });
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        verdict: Result<(), SeenError>,
        told: SignedHead,
        own: Own,
    ) -> Result<(), SeenError> {
        if let Err(error) = verdict {
            return self.stop(error, told, Some(own));
        }
        self.head = Some(told);
        self.proved_with(&own);
        self.keep_own(own);
        Ok(())
    }

    /// Another history: nothing goes on, and the head that was told is kept beside ours.
    fn stop(
        &mut self,
        error: SeenError,
        told: SignedHead,
        own: Option<Own>,
    ) -> Result<(), SeenError> {
        if error.is_another_history() {
            self.remember_other(told.clone());
            let error = error.clone();
            self.dispute = Some(Dispute { error, told, own });
        }
        Err(error)
    }

    fn undisputed(&self) -> Result<(), SeenError> {
        match &self.dispute {
            Some(dispute) => Err(dispute.error.clone()),
            None => Ok(()),
        }
    }

    fn keep_own(&mut self, own: Own) {
        let at = self
            .own
            .partition_point(|ours| ours.user_seq < own.user_seq);
        if self
            .own
            .get(at)
            .is_none_or(|ours| ours.user_seq != own.user_seq)
        {
            self.own.insert(at, own);
        }
        while self.own.len() > OWN_MAX {
            self.own.pop_front();
        }
    }

    fn remember_other(&mut self, head: SignedHead) {
        if !self.others.contains(&head) {
            self.others.push(head);
        }
        if self.others.len() > OTHERS_MAX {
            self.others.remove(0);
        }
    }
}

/// 256 of the account's own entries: what is missing after a restoration can be named.
const OWN_MAX: usize = 256;

/// 16 heads that do not fit: evidence, not a second log.
const OTHERS_MAX: usize = 16;

#[cfg(test)]
mod tests;
