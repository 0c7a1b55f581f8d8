//! The database: one transaction is a read set, a pure function and a write set.
//!
//! **Invariant**: a transaction's reads, decision and writes happen under the lock of the
//! head row, and [`Store::transact`] returns `Ok` only when all of it is durable. What
//! decides ([`crate::rows`]) knows no database, and the databases decide nothing.
//!
//! SQLite: one process, one writing thread, readers beside it. PostgreSQL: any number of
//! processes, ordered by the head row.

mod backup;
mod clock;
mod fault;
mod postgres;
mod ranges;
mod restoring;
mod rotation;
mod schema;
mod shared;
mod sqlite;
mod sweep;
#[cfg(test)]
mod tests;
mod tombstones;
mod wanted;

use std::path::Path;

use crate::rows::{Head, Key, Row, Table};
use crate::sealing::Sealing;

pub use clock::{Jump, Now};
pub use fault::StoreError;
pub use ranges::Unopened;
pub use restoring::Restoring;
pub use sweep::{Lives, Sweep};
pub use wanted::{Loaded, Wanted, Writes};

/// A database; a handle, shared by all that use it.
#[derive(Clone)]
pub enum Store {
    /// A file of this process alone.
    Sqlite(sqlite::Sqlite),
    /// A server, shared with other processes.
    Postgres(postgres::Postgres),
}

impl Store {
    /// Opens the database at `address` (`sqlite:FILE`, relative to `folder`, or
    /// `postgres://…`) and brings it to the present version. `folder` is the server's own:
    /// what must not be in the database, and be kept, lies there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(address: &str, folder: &Path) -> Result<Self, StoreError> {
        let store = match address.strip_prefix("sqlite:") {
            Some(file) => {
                let sqlite = sqlite::Sqlite::open(&folder.join(file), folder);
                Self::Sqlite(sqlite?)
            }
            None => Self::Postgres(postgres::Postgres::open(address, folder).await?),
        };
        store.settle_tombstones().await?;
        Ok(store)
    }

    /// Reads, in one snapshot and outside the lock.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(&self, wanted: Wanted) -> Result<Loaded, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.read(wanted),
            Self::Postgres(postgres) => postgres.read(wanted).await,
        }
    }

    /// Locks the head row, reads, lets `decide` say what to write, writes it and commits.
    /// When this returns `Ok` it is durable; after an error none of it was written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn transact<T: Send + 'static>(
        &self,
        wanted: Wanted,
        decide: impl FnOnce(Now, Head, Loaded) -> (Writes, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.transact(wanted, decide).await,
            Self::Postgres(postgres) => postgres.transact(wanted, decide).await,
        }
    }

    /// Nothing comes any more, from no handle: what is kept in a log beside the database goes
    /// into it, and a file is free for another process.
    ///
    /// # Errors
    /// [`StoreError::SyncFailed`]; what was committed is in the log still.
    pub async fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(_) => Ok(()),
        }
    }

    /// The rows of a table in the order of their keys: those whose key begins with
    /// `prefix`, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.scan(&scan),
            Self::Postgres(postgres) => postgres.scan(&scan).await,
        }
    }

    /// Puts the server's own rows if there are none, and says which there are.
    pub(crate) async fn found(&self, raw: Raw) -> Result<Raw, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.found(raw).await,
            Self::Postgres(postgres) => postgres.found(raw).await,
        }
    }

    /// Takes back tombstones of what is there: their transactions were not committed.
    async fn settle_tombstones(&self) -> Result<(), StoreError> {
        let memory = self.memory();
        for buried in memory.last_buried() {
            let (table, key) = buried.row();
            let prefix = key.clone();
            let scan = Scan {
                table,
                prefix,
                after: None,
                limit: 1,
            };
            if !self.scan(scan).await?.is_empty() {
                memory.take_back(&[buried])?;
            }
        }
        Ok(())
    }

    /// What the tombstones in the server's folder name.
    fn buried(&self) -> Vec<tombstones::Buried> {
        self.memory().buried()
    }

    /// How long rows are of use: what had expired is deleted when the clock goes back.
    pub fn keep_no_longer(&self, lives: Lives) {
        self.memory().keep_no_longer(lives);
    }

    fn memory(&self) -> &shared::Memory {
        match self {
            Self::Sqlite(sqlite) => sqlite.memory(),
            Self::Postgres(postgres) => postgres.memory(),
        }
    }

    /// From now on rows are opened and sealed with this.
    pub(crate) fn unseal(&self, sealing: Sealing) {
        match self {
            Self::Sqlite(sqlite) => sqlite.unseal(sealing),
            Self::Postgres(postgres) => postgres.unseal(sealing),
        }
    }
}

/// Which rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) table: Table,
    /// Their keys begin with this; empty: all.
    pub(crate) prefix: Key,
    /// Behind this one.
    pub(crate) after: Option<Key>,
    pub(crate) limit: usize,
}

impl Scan {
    /// The first of all.
    fn all(table: Table, limit: usize) -> Self {
        Self {
            table,
            prefix: Key { cells: Vec::new() },
            after: None,
            limit,
        }
    }
}

/// The rows that everything else is sealed under.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) data_keys: Vec<Row>,
    pub(crate) system: Row,
    pub(crate) head: Row,
    /// The head row's count of data keys.
    pub(crate) counted: u32,
}

impl Raw {
    /// Of the rows of their tables; none of an empty database.
    fn of((data_keys, system, head): (Vec<Row>, Vec<Row>, Vec<Row>)) -> Option<Self> {
        let head = head.into_iter().next()?;
        let counted = head.number(shared::KEYS_COLUMN)?;
        Some(Self {
            data_keys,
            system: system.into_iter().next()?,
            counted: u32::try_from(counted).ok()?,
            head,
        })
    }
}
