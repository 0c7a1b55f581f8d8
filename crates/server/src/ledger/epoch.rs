//! After a restoration: the log goes on in a new epoch.
//!
//! **Invariant**: the epoch's first leaf names the size and root that the backup held, and
//! its tree begins with that one: who saw no more than that can prove it, and who saw
//! more cannot be made to believe otherwise.

use std::ops::Range;

use keystead_channel::log::tree::Frontier;
use keystead_channel::log::{Action, Detail, Hash};
use keystead_channel::session::Text;
use keystead_channel::session::requests::Method;

use super::act::{Log, NO_KEY, NewEntry, OPERATOR};
use super::batch::{self, Member, Tools};
use super::key;
use crate::rows::{AccountNo, DeletedAgain, Rows, Table};
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

impl Restored {
    /// Logs what was deleted again, each in its account's log: else that log would say of a
    /// key that is not listed that it was never deleted.
    ///
    /// # Errors
    /// The database does not take it.
    pub async fn log_deleted(
        &self,
        store: &Store,
        sealing: &Sealing,
        deleted: &[DeletedAgain],
    ) -> Result<(), StoreError> {
        for some in deleted.chunks(DELETED_AT_ONCE) {
            let (_, key) = key::read(store, sealing).await?;
            let tools = Tools {
                server: sealing.server(),
                sealing: sealing.clone(),
            };
            let mut wanted = Wanted::new();
            wanted.chain(AccountNo::SYSTEM).log_tail = Some(0);
            for it in some {
                wanted.chain(it.account);
            }
            // One a deletion: one without a chain to stand in does not stop the others.
            let mut members: Vec<_> = some.iter().map(|it| Box::new(Again(*it))).collect();
            let decided = store.transact(wanted, move |now, head, loaded| {
                let decided = batch::decide(&mut members, None, (now, head, loaded), &key, &tools);
                match decided {
                    Ok(decision) => (decision.writes, Ok(())),
                    Err(error) => (Writes::new(), Err(error)),
                }
            });
            decided.await??;
        }
        Ok(())
    }
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

/// The entry of something that was deleted again.
struct Again(DeletedAgain);

impl Member for Again {
    fn decide(&mut self, _now: Now, _rows: &mut Rows<'_>) -> Vec<NewEntry> {
        let DeletedAgain { account, user, key } = self.0;
        let (action, verb) = match key {
            Some(_) => (Action::Method(Method::Delete), None),
            None => (Action::OperatorAct, Some(Text("delete".to_owned()))),
        };
        let detail = Detail {
            verb,
            ..Detail::NONE
        };
        let entry = NewEntry::system(action, OPERATOR, detail);
        vec![NewEntry {
            log: user.map_or(Log::System, |user| Log::Of(account, user)),
            key: key.map_or(NO_KEY, |key| key.0),
            ..entry
        }]
    }

    fn placed(&mut self, _entries: Range<usize>) {}

    /// The batch said so; an account whose chain does not open cannot be audited anyway.
    fn refused(&mut self, _error: StoreError) {}
}

/// 256, a tile's width: bounded memory, and one commit for all of an ordinary restoration.
const DELETED_AT_ONCE: usize = 256;
