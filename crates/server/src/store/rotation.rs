//! New keys for old: data keys under a new master key, rows under new data keys.
//!
//! **Invariant**: every row opens at every moment: an old data key goes only when a look at
//! every row found none under it, and from the first step on nothing is sealed under it.

use crate::rows::{Key, Table};
use crate::sealing::{Sealing, SealingError};

use super::{Scan, Store, StoreError, Wanted, Writes};

impl Store {
    /// Draws new data keys, seals them and the old ones under the first key of the master
    /// key's file, re-seals every row, and drops the old ones. `progress` is told how many
    /// rows have been looked at. After a failure it can be begun again.
    ///
    /// # Errors
    /// [`SealingError`].
    pub async fn rotate(
        &self,
        sealing: &Sealing,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<(), SealingError> {
        let masters = sealing.source().read()?;
        let master = masters
            .into_iter()
            .next()
            .ok_or(SealingError::OtherMasterKey)?;
        self.change_keys(sealing, move |sealing, writes| {
            let rows = sealing.with_new_keys(&master)?;
            rows.into_iter()
                .for_each(|row| writes.put(Table::DataKey, row));
            Some(())
        })
        .await?;
        let mut seen = 0;
        // The second pass finds what came between under an old key, which is nothing.
        while self.reseal_all(sealing, &mut seen, &mut progress).await? > 0 {}
        self.change_keys(sealing, |sealing, writes| {
            let stale = sealing.stale_keys();
            writes
                .deletes
                .entry(Table::DataKey)
                .or_default()
                .extend(stale);
            Some(())
        })
        .await?;
        Ok(())
    }

    /// Changes the rows of data keys, which every process then reads again.
    async fn change_keys(
        &self,
        sealing: &Sealing,
        change: impl FnOnce(&Sealing, &mut Writes) -> Option<()> + Send + 'static,
    ) -> Result<(), SealingError> {
        let keys = sealing.clone();
        let changed = self.transact(Wanted::new(), move |_, _, _| {
            let mut writes = Writes::new();
            let changed = change(&keys, &mut writes);
            writes.data_keys = changed.and_then(|()| keys.keys_counted().checked_add(1));
            (writes, changed.is_some())
        });
        if changed.await? {
            // The next transaction or read sees the count and reads the keys.
            self.read(Wanted::new()).await?;
            Ok(())
        } else {
            Err(SealingError::Corrupt)
        }
    }

    /// Looks at every row, and re-seals those under an old key; says how many.
    async fn reseal_all(
        &self,
        sealing: &Sealing,
        seen: &mut u64,
        progress: &mut (impl FnMut(u64) + Send),
    ) -> Result<usize, StoreError> {
        let mut done = 0_usize;
        for table in Table::ALL.into_iter().filter(|it| is_resealed(*it)) {
            let mut after = None;
            loop {
                let scan = Scan {
                    table,
                    prefix: Key { cells: Vec::new() },
                    after: after.take(),
                    limit: ROWS_A_TRANSACTION,
                };
                let rows = self.scan(scan).await?;
                let Some(last) = rows.last() else {
                    break;
                };
                after = Some(last.key(table));
                *seen = seen.saturating_add(u64::try_from(rows.len()).unwrap_or(0));
                progress(*seen);
                let stale = rows.iter().filter(|row| sealing.is_stale(table, row));
                let stale: Vec<Key> = stale.map(|row| row.key(table)).collect();
                done = done.saturating_add(stale.len());
                self.reseal(sealing, table, stale).await?;
            }
        }
        Ok(done)
    }

    /// Re-seals those of these rows that are there still.
    async fn reseal(
        &self,
        sealing: &Sealing,
        table: Table,
        stale: Vec<Key>,
    ) -> Result<(), StoreError> {
        if stale.is_empty() {
            return Ok(());
        }
        let mut wanted = Wanted::new();
        wanted.keys = stale.into_iter().map(|key| (table, key)).collect();
        let sealing = sealing.clone();
        let resealed = self.transact(wanted, move |_, _, loaded| {
            let mut writes = Writes::new();
            let rows = loaded.rows.values();
            let stale = rows.filter(|row| sealing.is_stale(table, row));
            let resealed: Result<Vec<_>, _> = stale.map(|row| sealing.reseal(table, row)).collect();
            let resealed = resealed.map(|rows| {
                rows.into_iter().for_each(|row| writes.put(table, row));
            });
            (writes, resealed)
        });
        resealed.await?.map_err(StoreError::from)
    }
}

/// Data keys are sealed under the master key, and the head anew by each transaction.
fn is_resealed(table: Table) -> bool {
    table.is_sealed() && !matches!(table, Table::DataKey | Table::Head)
}

/// 1,000: some milliseconds, for which the requests' batches wait.
const ROWS_A_TRANSACTION: usize = 1_000;
