//! One request's part of a transaction, and what comes of it.
//!
//! **Invariant**: an act checks first and changes afterwards, and what it says happened
//! is what it did: the ledger writes its entries in the same transaction.

use std::ops::Range;
use std::sync::Arc;

use keystead_channel::log::proof::View;
use keystead_channel::log::tree::Growth;
use keystead_channel::log::{Action, Detail, Hash};
use keystead_channel::session::requests::Receipt;
use keystead_channel::session::{List, Octets, SessionId, Status, UserId};

use super::nodes::Growing;
use crate::rows::{AccountNo, Rows};
use crate::store::{Now, Wanted};

/// One request's part of a transaction.
pub trait Act: Send + 'static {
    /// What it gives to who asked.
    type Answer: Send + 'static;

    /// The rows that it decides over, the chain of each account that it writes about
    /// included.
    fn wanted(&self, wanted: &mut Wanted);

    /// Decides, over rows as the acts before it in the batch left them.
    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer>;
}

/// What an act decided.
#[derive(Clone, Debug)]
pub struct Decided<A> {
    /// What is to be logged, in order.
    pub entries: Vec<NewEntry>,
    /// For who asked.
    pub answer: A,
}

/// An entry to be written. The ledger adds number, time and the hash before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Whose log.
    pub log: Log,
    /// What it is about.
    pub action: Action,
    /// How it went.
    pub outcome: Status,
    /// [`actor`] of the session, [`BEFORE_LOGIN`] or [`OPERATOR`].
    pub actor: [u8; 8],
    /// The key, or [`NO_KEY`].
    pub key: [u8; 16],
    /// `channel::session::request_hash`, or [`NO_REQUEST`].
    pub request_hash: Hash,
    /// What else there is to say.
    pub detail: Detail,
}

/// Whose log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// The server's own.
    System,
    /// An account's.
    Of(AccountNo, UserId),
}

impl Log {
    /// Whose chain it is.
    pub(super) fn account(self) -> AccountNo {
        match self {
            Self::System => AccountNo::SYSTEM,
            Self::Of(account, _) => account,
        }
    }
}

impl NewEntry {
    /// An entry of the system log about no request.
    #[must_use]
    pub fn system(action: Action, actor: [u8; 8], detail: Detail) -> Self {
        Self {
            log: Log::System,
            action,
            outcome: Status::Done,
            actor,
            key: NO_KEY,
            request_hash: NO_REQUEST,
            detail,
        }
    }
}

/// Who did it, where a session did.
#[must_use]
pub fn actor(session: &SessionId) -> [u8; 8] {
    session.0.first_chunk().copied().unwrap_or_default()
}

/// Nobody yet.
pub const BEFORE_LOGIN: [u8; 8] = [0; 8];

/// The operator.
pub const OPERATOR: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

/// About no key.
pub const NO_KEY: [u8; 16] = [0; 16];

/// About no request.
pub const NO_REQUEST: Hash = [0; 32];

/// What is durable now.
pub struct Committed<A> {
    /// What the act gave.
    pub answer: A,
    batch: Arc<Batch>,
    entries: Range<usize>,
}

impl<A> Committed<A> {
    pub(super) fn new(answer: A, batch: Arc<Batch>, entries: Range<usize>) -> Self {
        Self {
            answer,
            batch,
            entries,
        }
    }

    /// The receipts of the act's entries, in order.
    #[must_use]
    pub fn receipts(&self) -> Vec<Receipt> {
        let receipts = self.entries.clone().filter_map(|at| self.batch.receipt(at));
        receipts.collect()
    }

    /// The receipt of its last entry.
    #[must_use]
    pub fn receipt(&self) -> Option<Receipt> {
        self.batch.receipt(self.entries.clone().next_back()?)
    }

    /// The tiles at the edge of the tree that the commit left.
    pub(super) fn growing(&self) -> &Growing {
        &self.batch.growing
    }

    /// The same with another answer.
    #[must_use]
    pub fn map<B>(self, map: impl FnOnce(A) -> B) -> Committed<B> {
        Committed {
            answer: map(self.answer),
            batch: self.batch,
            entries: self.entries,
        }
    }
}

/// What one commit added to the tree; receipts are made of it without a read.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) tree: Option<View<Growth>>,
    pub(super) first: u64,
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) checkpoint: Vec<u8>,
    /// The tiles at the edge of that tree.
    pub(super) growing: Growing,
}

impl Batch {
    fn receipt(&self, at: usize) -> Option<Receipt> {
        let index = self.first.checked_add(u64::try_from(at).ok()?)?;
        Some(Receipt {
            index,
            leaf: Octets(self.leaves.get(at)?.clone()),
            path: List(self.tree.as_ref()?.inclusion(index)?),
            checkpoint: Octets(self.checkpoint.clone()),
        })
    }
}
