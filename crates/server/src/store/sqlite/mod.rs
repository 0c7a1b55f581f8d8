//! SQLite: one file, one process, one thread that writes.
//!
//! **Invariant**: only the writing thread's connection writes, and it alone holds the lock
//! on the file for as long as the process lives; readers see the last commit. A commit is
//! on the disk when it returns (write-ahead log, `synchronous=FULL`).

mod connect;
mod copy;
mod fault;
mod row;
mod statements;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use crate::rows::{Cell, Head, Row, Table};
use crate::sealing::Sealing;

use super::shared::{self, Memory};
use super::{Loaded, Now, Raw, Scan, StoreError, Wanted, Writes};
use fault::Doing;
use writer::Writer;

pub(super) use copy::Copy;

/// A database in a file.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    file: PathBuf,
    memory: Arc<Memory>,
    readers: Mutex<Vec<Connection>>,
    writer: Writer,
}

impl Sqlite {
    pub(super) fn open(file: &Path, folder: &Path) -> Result<Self, StoreError> {
        let memory = Arc::new(Memory::new(folder)?);
        let writer = Writer::start(file, Arc::clone(&memory))?;
        Ok(Self(Arc::new(Inner {
            file: file.to_owned(),
            memory,
            readers: Mutex::new(Vec::new()),
            writer,
        })))
    }

    pub(super) fn unseal(&self, sealing: Sealing) {
        self.0.memory.unseal(sealing);
    }

    /// On the caller's thread: a read is some microseconds of a cached page, less than it
    /// would cost to hand it to another.
    pub(super) fn read(&self, wanted: Wanted) -> Result<Loaded, StoreError> {
        let seen = self.0.memory.seen();
        self.with_reader(|connection| {
            let head = row::head(connection)?;
            row::renew(connection, &self.0.memory, head.as_ref())?;
            let head = self.0.memory.head(head.as_ref(), seen)?;
            let now = self.0.writer.now(&self.0.memory, head.time_ms);
            let mut loaded = row::load(connection, &wanted, &head)?;
            loaded.now = now;
            loaded.wanted = wanted;
            Ok(loaded)
        })
    }

    pub(super) async fn transact<T: Send + 'static>(
        &self,
        wanted: Wanted,
        decide: impl FnOnce(Now, Head, Loaded) -> (Writes, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0
            .writer
            .run(move |transaction| transaction.whole(wanted, decide))
            .await
    }

    pub(super) fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        self.with_reader(|connection| row::scan(connection, scan))
    }

    /// Rows of accounts that were deleted and whose secrets are there still.
    pub(super) fn unfinished(&self, limit: usize) -> Result<Vec<Row>, StoreError> {
        let limit = Cell::number(u64::try_from(limit).unwrap_or(u64::MAX));
        let values = [row::value(&limit)];
        let statement = &statements::UNFINISHED;
        self.with_reader(|connection| row::select(connection, Table::Gone, statement, &values))
    }

    /// Into an empty file, on the caller's thread.
    pub(super) fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        self.with_reader(|connection| copy::whole(connection, file))
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    pub(super) async fn found(&self, raw: Raw) -> Result<Raw, StoreError> {
        self.0
            .writer
            .run(move |transaction| transaction.found(raw))
            .await
    }

    /// The last that is done with it.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        // A reader that holds a snapshot would keep the log from being brought in.
        shared::lock(&self.0.readers).clear();
        self.0.writer.run(writer::Transaction::close).await
    }

    /// One snapshot of the last commit.
    fn with_reader<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let reader = shared::lock(&self.0.readers).pop();
        let reader = match reader {
            Some(reader) => reader,
            None => connect::reader(&self.0.file)?,
        };
        row::step(&reader, "BEGIN").doing("reading")?;
        let outcome = read(&reader);
        // Nothing was written: however it ends, it ends.
        let ended = row::step(&reader, "COMMIT").doing("reading");
        if ended.is_ok() {
            let mut readers = shared::lock(&self.0.readers);
            if readers.len() < IDLE_READERS_MAX {
                readers.push(reader);
            }
        }
        outcome
    }
}

/// As many as threads that read at once on a large machine.
const IDLE_READERS_MAX: usize = 16;
