//! Leaves of accounts that were deleted long ago.
//!
//! **Invariant**: only leaves of full tiles are erased, so nothing that the writer holds
//! changes under it; hashes stay, so every proof stays.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::Ledger;
use super::batch::{Tools, open_block, seal_block};
use crate::rows::{AccountNo, Cell, Gone, Key, LogBlock, LogIndex, Rows, Table};
use crate::store::{Loaded, Scan, StoreError, Wanted, Writes};
use keystead_channel::log::tile;

impl Ledger {
    /// Erases leaves of accounts that were deleted before `before_ms`, in small
    /// transactions: a bounded number of them, where the last call left off.
    ///
    /// # Errors
    /// The database does not take it; what was erased before stays erased.
    pub async fn erase_gone(&self, before_ms: u64) -> Result<(), StoreError> {
        let after = *self
            .erased_to
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let sealing = &self.tools.sealing;
        let page = self.store.gone(sealing, after, GONE_MAX).await?;
        let mut next = None;
        let mut steps = STEPS_MAX;
        for gone in &page {
            // One that does not open is named by who reads it; the others are not kept by it.
            let Ok(gone) = gone else { continue };
            if gone.at_ms < before_ms {
                steps = match self.erase_one(gone, steps).await {
                    Err(StoreError::Corrupt(table)) => {
                        // Somebody changed it; the leaves of others go all the same.
                        let (account, table) = (gone.account.0, table.name());
                        tracing::error!(account, table, "leaves cannot be erased");
                        steps
                    }
                    left => left?,
                };
            }
            if steps == 0 {
                break;
            }
            next = Some(gone.account);
        }
        if steps == 0 {
            next = next.or(after);
        } else if page.len() < GONE_MAX {
            next = None;
        }
        *self
            .erased_to
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Leaves of one account, in at most `steps` transactions; says how many are left.
    async fn erase_one(&self, gone: &Gone, mut steps: usize) -> Result<usize, StoreError> {
        while steps > 0 && self.erase_step(gone).await? == Step::More {
            steps = steps.saturating_sub(1);
        }
        Ok(steps)
    }

    /// At most [`CHUNK`] leaves of one account; when none is left it is forgotten.
    async fn erase_step(&self, gone: &Gone) -> Result<Step, StoreError> {
        let account = gone.account;
        let entries = self.entries(account).await?;
        if entries.is_empty() {
            self.forget(account).await?;
            return Ok(Step::Done);
        }
        let head = self.store.read(Wanted::new()).await?.head;
        let full = head.size - head.size % tile::WIDTH;
        let (found, mut entries) = (entries.len(), entries);
        entries.retain(|it| it.index < full);
        // The last ones may have to wait until their tile is full.
        let waits = entries.len() < found;
        if !entries.is_empty() {
            self.erase_some(account, entries).await?;
        }
        Ok(if waits { Step::Done } else { Step::More })
    }

    /// The first entries of an account that are not erased.
    async fn entries(&self, account: AccountNo) -> Result<Vec<LogIndex>, StoreError> {
        let scan = Scan {
            table: Table::LeafIndex,
            prefix: Key {
                cells: vec![Cell::Int(account.0)],
            },
            after: None,
            limit: CHUNK,
        };
        let rows = self.store.scan(scan).await?;
        let entries = rows.iter().map(LogIndex::from_row);
        let entries = entries.collect::<Option<Vec<_>>>();
        entries.ok_or(StoreError::Corrupt(Table::LeafIndex))
    }

    /// Nothing of the account is in the log any more.
    async fn forget(&self, account: AccountNo) -> Result<(), StoreError> {
        let mut wanted = Wanted::new();
        wanted.chain(account).gone(account);
        let tools = self.tools.clone();
        let forgotten = self.store.transact(wanted, move |_now, _head, loaded| {
            let mut rows = Rows::new(loaded, &tools.sealing);
            rows.delete_chain(account);
            rows.delete_gone(account);
            (rows.into_writes(), ())
        });
        forgotten.await
    }

    async fn erase_some(
        &self,
        account: AccountNo,
        entries: Vec<LogIndex>,
    ) -> Result<(), StoreError> {
        let mut wanted = Wanted::new();
        for entry in &entries {
            wanted
                .blocks
                .push(entry.index..entry.index.saturating_add(1));
        }
        let tools = self.tools.clone();
        let erased = self.store.transact(wanted, move |_now, _head, loaded| {
            (without(account, &entries, &loaded, &tools), ())
        });
        erased.await
    }
}

fn without(account: AccountNo, entries: &[LogIndex], loaded: &Loaded, tools: &Tools) -> Writes {
    let mut writes = Writes::new();
    let mut blocks = BTreeMap::new();
    for block in &loaded.blocks {
        if let Some(leaves) = open_block(block, &tools.sealing) {
            blocks.insert(block.first, (block, leaves));
        }
    }
    for entry in entries {
        let place = blocks.range_mut(..=entry.index).next_back();
        let leaf = place.and_then(|(first, (_, leaves))| {
            let at = usize::try_from(entry.index.checked_sub(*first)?).ok()?;
            leaves.get_mut(at)
        });
        if let Some(leaf) = leaf {
            // What the index names may be another's, if somebody changed it.
            leaf.take_if(|kept| i64::try_from(kept.account) == Ok(account.0));
        }
        let seq = entry.seq;
        writes
            .index_delete
            .push((account, seq..seq.saturating_add(1)));
    }
    for (first, (block, leaves)) in blocks {
        writes.blocks_put.push(LogBlock {
            hashes: block.hashes.clone(),
            ..seal_block(first, &leaves, &[], &tools.sealing)
        });
    }
    writes
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There are more leaves.
    More,
    /// There are none, or the rest has to wait.
    Done,
}

/// 256 entries a transaction.
const CHUNK: usize = 256;

/// 64 transactions a call, some hundredths of a second each: requests come between them.
const STEPS_MAX: usize = 64;

/// 256 accounts a call are looked at, so that a minute's look is short however many there are.
const GONE_MAX: usize = 256;
