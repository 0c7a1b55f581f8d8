//! After a restoration: the log goes on in a new epoch.
//!
//! **Invariant**: the epoch's first leaf names the size and root that the backup held, and
//! its tree begins with that one: who saw no more than that can prove it, and who saw
//! more cannot be made to believe otherwise.

use std::ops::Range;

use keystead_channel::log::tree::Frontier;
use keystead_channel::log::{Action, Detail, Hash};

use super::act::{NewEntry, OPERATOR};
use super::batch::{self, Member, Tools};
use super::key;
use crate::rows::{AccountNo, Rows, Table};
use crate::sealing::Sealing;
use crate::store::{Now, Store, StoreError, Wanted, Writes};

/// Where the log was restored to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The new epoch.
    pub epoch: u32,
    /// Entries that the backup held.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Raises the epoch of a log that was restored, above its own and to at least `at_least`,
/// with no server running on it.
///
/// # Errors
/// The database does not take it.
pub async fn raise_epoch(
    store: &Store,
    sealing: &Sealing,
    at_least: u32,
) -> Result<Restored, StoreError> {
    let (_, key) = key::read(store, sealing).await?;
    let tools = Tools {
        server: sealing.server(),
        sealing: sealing.clone(),
    };
    let mut wanted = Wanted::new();
    wanted.chain(AccountNo::SYSTEM).log_tail = Some(0);
    let decided = store.transact(wanted, move |now, mut head, loaded| {
        let Some(frontier) = Frontier::new(head.size, head.frontier.clone()) else {
            return (Writes::new(), Err(StoreError::Corrupt(Table::Head)));
        };
        let (before, size, root) = (head.epoch, head.size, frontier.root());
        head.epoch = before.saturating_add(1).max(at_least);
        head.restored_ms = now.ms;
        let epoch = head.epoch;
        let mut first = [Box::new(First {
            detail: Some(Detail {
                epoch: Some(before.into()),
                size: Some(size),
                hash: Some(root),
                ..Detail::NONE
            }),
            refused: None,
        })];
        let decided = batch::decide(&mut first, None, (now, head, loaded), &key, &tools);
        let [first] = first;
        match (decided, first.refused) {
            (Ok(decision), None) => (decision.writes, Ok(Restored { epoch, size, root })),
            (Err(error), _) | (Ok(_), Some(error)) => (Writes::new(), Err(error)),
        }
    });
    decided.await?
}

/// The epoch's first leaf.
struct First {
    detail: Option<Detail>,
    refused: Option<StoreError>,
}

impl Member for First {
    fn decide(&mut self, _now: Now, _rows: &mut Rows<'_>) -> Vec<NewEntry> {
        let detail = self.detail.take();
        let entry = detail.map(|it| NewEntry::system(Action::Restored, OPERATOR, it));
        entry.into_iter().collect()
    }

    fn placed(&mut self, _entries: Range<usize>) {}

    fn refused(&mut self, error: StoreError) {
        self.refused = Some(error);
    }
}
