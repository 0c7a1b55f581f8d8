//! Ranges of rows: pages for people, and what has expired.
//!
//! **Invariant**: a page is in the order of keys and says no more than was asked for; a
//! sweep deletes only what no act would let in any more.

use keystead_channel::session::KeyId;

use crate::rows::{
    Account, AccountNo, Cell, Gone, HeldSecret, Invitation, Key, Record, Row, RowFault, Table,
};
use crate::sealing::Sealing;

use super::{Scan, Store, StoreError, Sweep, Wanted, Writes};

impl Store {
    /// Secrets and keys of an account behind `after`, at most `limit`, by key id.
    ///
    /// # Errors
    /// [`StoreError`]; a row that does not open is an error of its own.
    pub async fn secrets(
        &self,
        sealing: &Sealing,
        account: AccountNo,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Result<HeldSecret, Unopened>>, StoreError> {
        let scan = Scan {
            table: Table::Secret,
            prefix: Key {
                cells: vec![Cell::Int(account.0)],
            },
            after: after.map(|key| Key {
                cells: HeldSecret::key_cells(&(account, key)),
            }),
            limit,
        };
        let rows = self.scan(scan).await?;
        let open = |row: &Row| {
            let opened = HeldSecret::from_row(row, sealing);
            opened.map_err(|fault| Unopened {
                key: row.array(KEY_ID_COLUMN).map(KeyId),
                fault,
            })
        };
        Ok(rows.iter().map(open).collect())
    }

    /// Accounts behind `after`, at most `limit`, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accounts(
        &self,
        sealing: &Sealing,
        after: Option<AccountNo>,
        limit: usize,
    ) -> Result<Vec<Result<Account, RowFault>>, StoreError> {
        let after = after.map(|no| Key {
            cells: Account::key_cells(&no),
        });
        self.page(sealing, all(Table::Account, after, limit)).await
    }

    /// Invitations behind `after`, at most `limit`, by hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invitations(
        &self,
        sealing: &Sealing,
        after: Option<[u8; 32]>,
        limit: usize,
    ) -> Result<Vec<Result<Invitation, RowFault>>, StoreError> {
        let after = after.map(|hash| Key {
            cells: Invitation::key_cells(&hash),
        });
        self.page(sealing, all(Table::Invitation, after, limit))
            .await
    }

    /// Accounts that were deleted behind `after`, at most `limit`, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gone(
        &self,
        sealing: &Sealing,
        after: Option<AccountNo>,
        limit: usize,
    ) -> Result<Vec<Result<Gone, RowFault>>, StoreError> {
        let after = after.map(|no| Key {
            cells: vec![Cell::Int(no.0)],
        });
        self.page(sealing, all(Table::Gone, after, limit)).await
    }

    /// Deletes the secrets of an account that was deleted, [`SECRETS_AT_ONCE`] a transaction,
    /// so that others come in between. What is left when this is cut off is told by
    /// [`Store::unfinished`].
    ///
    /// # Errors
    /// [`StoreError`]; what was deleted before stays deleted.
    pub async fn delete_secrets_of(&self, no: AccountNo) -> Result<(), StoreError> {
        let first = Scan {
            table: Table::Secret,
            prefix: Key {
                cells: vec![Cell::Int(no.0)],
            },
            after: None,
            limit: 1,
        };
        while !self.scan(first.clone()).await?.is_empty() {
            let deleted = self.transact(Wanted::new(), move |_, _, _| {
                let writes = Writes {
                    secrets_delete: Some((no, SECRETS_AT_ONCE)),
                    ..Writes::default()
                };
                (writes, ())
            });
            deleted.await?;
        }
        Ok(())
    }

    /// Accounts that were deleted and whose secrets are there still, at most `limit`: a
    /// process ended, or its database went away, before it was done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unfinished(&self, limit: usize) -> Result<Vec<AccountNo>, StoreError> {
        let rows = match self {
            Self::Sqlite(sqlite) => sqlite.unfinished(limit)?,
            Self::Postgres(postgres) => postgres.unfinished(limit).await?,
        };
        // The number stands open; whether the rest opens does not matter to who deletes.
        let number = |row: &Row| match row.cells.first() {
            Some(Cell::Int(number)) => Some(AccountNo(*number)),
            Some(Cell::Bytes(_)) | None => None,
        };
        Ok(rows.iter().filter_map(number).collect())
    }

    /// Deletes what has expired, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep(&self, sweep: Sweep) -> Result<(), StoreError> {
        self.transact(Wanted::new(), move |_, _, _| {
            let writes = Writes {
                sweep: Some(sweep),
                ..Writes::default()
            };
            (writes, ())
        })
        .await
    }

    async fn page<R: Record>(
        &self,
        sealing: &Sealing,
        scan: Scan,
    ) -> Result<Vec<Result<R, RowFault>>, StoreError> {
        let rows = self.scan(scan).await?;
        let opened = rows.iter().map(|row| R::from_row(row, sealing));
        Ok(opened.collect())
    }
}

/// A secret's row that does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// As it stands in the row, which somebody may have changed.
    pub key: Option<KeyId>,
    /// Why.
    pub fault: RowFault,
}

fn all(table: Table, after: Option<Key>, limit: usize) -> Scan {
    Scan {
        after,
        ..Scan::all(table, limit)
    }
}

/// 256 secrets a transaction: of the largest there are, 16 MiB, some tenths of a second.
const SECRETS_AT_ONCE: u32 = 256;

/// Where `key_id` is in a secret's row.
const KEY_ID_COLUMN: usize = 1;
