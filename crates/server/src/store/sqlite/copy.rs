//! Copies of a database in one file: what a backup is.
//!
//! **Invariant**: a copy has no files beside it, so it can be carried away as it is.

use std::path::Path;
use std::sync::Mutex;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use crate::rows::Row;

use super::super::shared::lock;
use super::super::{Scan, StoreError, Writes};
use super::fault::Doing;
use super::{connect, row};

/// A copy that is being made or read.
pub(in super::super) struct Copy(Mutex<Connection>);

impl Copy {
    /// Into an empty file.
    pub(in super::super) fn new(file: &Path) -> Result<Self, StoreError> {
        Self::open(file)
    }

    /// One that is there, brought to the present version.
    pub(in super::super) fn open(file: &Path) -> Result<Self, StoreError> {
        let mut connection = connect::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Whoever made it syncs it when it is whole.
        let pragmas = "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; \
                       PRAGMA trusted_schema = OFF;";
        connection.execute_batch(pragmas).doing("copying")?;
        connect::migrate(&mut connection)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Puts rows.
    pub(in super::super) fn put(&self, writes: Writes) -> Result<(), StoreError> {
        let connection = lock(&self.0);
        connection.execute_batch("BEGIN").doing("copying")?;
        row::write(&connection, writes)?;
        connection.execute_batch("COMMIT").doing("copying")
    }

    /// Rows of a table.
    pub(in super::super) fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        row::scan(&lock(&self.0), scan)
    }

    /// It is whole.
    pub(in super::super) fn finish(self) -> Result<(), StoreError> {
        let connection = self.0.into_inner().unwrap_or_else(|it| it.into_inner());
        connection
            .close()
            .map_err(|(_, error)| error)
            .doing("copying")
    }
}

/// Copies what `reader` sees to an empty file: one snapshot, however long it takes.
pub(super) fn whole(reader: &Connection, file: &Path) -> Result<(), StoreError> {
    let mut copy = connect::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let pages = Backup::new(reader, &mut copy).doing("copying")?;
    pages
        .run_to_completion(PAGES_AT_ONCE, std::time::Duration::ZERO, None)
        .doing("copying")?;
    drop(pages);
    // The pages say that there is a write-ahead log beside them.
    let mode: String = copy
        .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))
        .doing("copying")?;
    if mode == "delete" {
        Ok(())
    } else {
        Err(StoreError::Unavailable("the copy kept its log".to_owned()))
    }
}

/// 4 MiB; between two such steps nothing waits.
const PAGES_AT_ONCE: i32 = 1_024;
