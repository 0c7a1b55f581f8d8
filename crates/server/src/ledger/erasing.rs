//! Leaves of accounts that were deleted long ago.
//!
//! **Invariant**: only leaves of full tiles are erased, so nothing that the writer holds
//! changes under it; hashes stay, so every proof stays.

use std::collections::BTreeMap;

use super::Ledger;
use super::batch::{Tools, open_block, seal_block};
use crate::rows::{AccountNo, LogBlock, LogIndex};
use crate::store::{Loaded, StoreError, Wanted, Writes};
use keystead_channel::log::tile;

impl Ledger {
    /// Erases the leaves of an account that is gone. Says whether all are: the last ones
    /// may have to wait until their tile is full.
    ///
    /// # Errors
    /// The database does not take it; what was erased before stays erased.
    pub async fn erase(&self, account: AccountNo) -> Result<bool, StoreError> {
        loop {
            let mut wanted = Wanted::new();
            wanted.seqs.push((account, 0..SEQ_END));
            let loaded = self.store.read(wanted).await?;
            let full = loaded.head.size - loaded.head.size % tile::WIDTH;
            let is_last = loaded.seqs.len() <= CHUNK;
            let mut entries = loaded.seqs;
            entries.truncate(CHUNK);
            let found = entries.len();
            entries.retain(|it| it.index < full);
            let can_go_on = entries.len() == found;
            if !entries.is_empty() {
                self.erase_some(account, entries).await?;
            }
            if is_last || !can_go_on {
                return Ok(is_last && can_go_on);
            }
        }
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

/// 256 entries a transaction.
const CHUNK: usize = 256;

/// 2^62: behind every entry.
const SEQ_END: u64 = 1 << 62;
