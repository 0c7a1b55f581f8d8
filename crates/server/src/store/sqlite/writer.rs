//! The thread that writes.
//!
//! **Invariant**: transactions run one after the other; after a failed fsync none begins
//! any more. What one changed is undone whole when anything in it fails.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use keystead_daemon::clock::{Clock, SystemClock};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::rows::{Head, HeadRow, Table};

use super::super::schema::Dialect;
use super::super::shared::Memory;
use super::super::tombstones::Buried;
use super::super::{Loaded, Now, Raw, StoreError, Wanted, Writes};
use super::fault::Doing;
use super::{connect, row};

/// A handle on the thread; dropping it waits for the thread's end, and then the file is free.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    anchor: Anchor,
}

type Job = Box<dyn FnOnce(&mut Transaction) + Send>;

impl Writer {
    /// Opens the database and waits for jobs.
    pub(super) fn start(file: &Path, memory: Arc<Memory>) -> Result<Self, StoreError> {
        let lock = connect::lock(file)?;
        let connection = connect::writer(file)?;
        let anchor = Anchor::now();
        let mut transaction = Transaction::new(connection, lock, memory, anchor)?;
        let (jobs, waiting) = mpsc::channel::<Job>();
        let run = move || {
            while let Ok(job) = waiting.recv() {
                job(&mut transaction);
            }
        };
        let thread = thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            anchor,
        })
    }

    /// Runs `job` on the thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Transaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::Unavailable("the thread that writes has ended".to_owned());
        let job: Job = Box::new(move |transaction| {
            // Whoever asked may have gone; the work is done all the same.
            let _ = answer.send(job(transaction));
            transaction.checkpoint();
        });
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(job).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// The time that reads go by.
    pub(super) fn now(&self, memory: &Memory, committed_ms: u64) -> Now {
        self.anchor.now_by(memory, committed_ms)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        // The last handle may be dropped by a job.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

/// The wall clock at the start, and a steady one from then on.
#[derive(Clone, Copy)]
pub(super) struct Anchor {
    wall_ms: u64,
    steady_ms: u64,
}

impl Anchor {
    fn now() -> Self {
        let now = SystemClock.now();
        Self {
            wall_ms: now.unix_s.saturating_mul(1_000),
            steady_ms: now.mono_ms,
        }
    }

    /// Steady, whatever becomes of the wall clock, whose jumps are told.
    fn now_by(self, memory: &Memory, committed_ms: u64) -> Now {
        let now = SystemClock.now();
        let told = memory.now(now.unix_s.saturating_mul(1_000), committed_ms);
        let passed_ms = now.mono_ms.saturating_sub(self.steady_ms);
        Now {
            ms: self.wall_ms.saturating_add(passed_ms),
            // No jump shortens a wait by this clock; only a restart begins it anew.
            anew_ms: self.wall_ms,
            jump: told.jump,
        }
    }
}

/// The connection that writes, and what it needs.
pub(super) struct Transaction {
    connection: Connection,
    memory: Arc<Memory>,
    anchor: Anchor,
    wal_pages: Arc<AtomicI32>,
    /// What this transaction deletes for good.
    buried: Vec<Buried>,
    /// What the failed fsync was; or that it is closed.
    failed: Option<StoreError>,
    /// None once it is closed.
    lock: Option<File>,
}

impl Transaction {
    fn new(
        mut connection: Connection,
        lock: File,
        memory: Arc<Memory>,
        anchor: Anchor,
    ) -> Result<Self, StoreError> {
        let wal_pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&wal_pages);
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        };
        connection
            .wal_hook(Some(hook))
            .doing("opening the database")?;
        Ok(Self {
            connection,
            memory,
            anchor,
            wal_pages,
            buried: Vec::new(),
            failed: None,
            lock: Some(lock),
        })
    }

    /// One transaction, from the lock to the disk.
    pub(super) fn whole<T>(
        &mut self,
        wanted: Wanted,
        decide: impl FnOnce(Now, Head, Loaded) -> (Writes, T),
    ) -> Result<T, StoreError> {
        self.within(|it| {
            let head = row::head(&it.connection)?;
            row::renew(&it.connection, &it.memory, head.as_ref())?;
            let head = it.memory.head(head.as_ref(), it.memory.seen())?;
            let now = it.anchor.now_by(&it.memory, head.time_ms);
            if let Some(over) = it.memory.over(now.ms, head.time_ms) {
                row::sweep(&it.connection, &over)?;
            }
            let mut loaded = row::load(&it.connection, &wanted, &head)?;
            loaded.now = now;
            loaded.wanted = wanted;
            let (mut writes, answer) = decide(now, head.head.clone(), loaded);
            if writes.is_empty() {
                return Ok((answer, None));
            }
            it.memory.drop_guesses(&mut writes);
            let next = it.memory.next_head(&head, &mut writes, now)?;
            it.buried = it.memory.bury(&writes)?;
            row::write(&it.connection, writes)?;
            Ok((answer, Some((next, now))))
        })
    }

    /// Puts the server's own rows if there are none.
    pub(super) fn found(&mut self, raw: Raw) -> Result<Raw, StoreError> {
        let all = |table| {
            let statement = Dialect::select_where(table, "true ORDER BY 1");
            row::select(&self.connection, table, &statement, &[])
        };
        let rows = (all(Table::DataKey)?, all(Table::System)?, all(Table::Head)?);
        if let Some(found) = Raw::of(rows) {
            return Ok(found);
        }
        let put = raw.clone();
        self.within(|it| {
            let mut writes = Writes::new();
            writes.put(Table::System, put.system);
            put.data_keys
                .into_iter()
                .for_each(|row| writes.put(Table::DataKey, row));
            writes.put(Table::Head, put.head);
            row::write(&it.connection, writes)?;
            Ok(((), None))
        })?;
        Ok(raw)
    }

    /// Runs `work` in a transaction, which is undone when it fails.
    fn within<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(T, Option<(HeadRow, Now)>), StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let begun = row::step(&self.connection, "BEGIN IMMEDIATE").doing("beginning");
        let outcome = begun.and_then(|()| work(self)).and_then(|worked| {
            row::step(&self.connection, "COMMIT").doing("committing")?;
            Ok(worked)
        });
        match outcome {
            Ok((answer, next)) => {
                if let Some((next, now)) = next {
                    self.memory.committed(&next.head, now);
                }
                self.buried.clear();
                Ok(answer)
            }
            Err(error) => {
                self.undo();
                self.fail(&error);
                Err(error)
            }
        }
    }

    /// What it was to delete is there still, unless nobody knows.
    fn fail(&mut self, error: &StoreError) {
        let buried = std::mem::take(&mut self.buried);
        if matches!(error, StoreError::SyncFailed(_)) {
            self.failed = Some(error.clone());
        } else if let Err(error) = self.memory.take_back(&buried) {
            // The next start takes it back.
            tracing::warn!("{error}");
        }
    }

    fn undo(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::warn!("a transaction was not rolled back: {error}");
        }
    }

    /// Brings the log into the database and lets go of the file: whoever has a handle left
    /// writes no more. SQLite brings the log in by itself, and says nothing when that fails:
    /// all is in the log still, but somebody should know.
    pub(super) fn close(&mut self) -> Result<(), StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let brought_in = self.bring_in("PRAGMA wal_checkpoint(TRUNCATE)");
        let closed = "the database is closed".to_owned();
        self.failed = Some(StoreError::Unavailable(closed));
        drop(self.lock.take());
        match brought_in {
            Err(error @ StoreError::SyncFailed(_)) => Err(error),
            // Full, or read by somebody: the next start does it.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn bring_in(&self, statement: &str) -> Result<(), StoreError> {
        let done = self.connection.query_row(statement, [], |_| Ok(()));
        done.doing("bringing the log into the database")
    }

    /// Brings the log into the database when it is long. The batch before is durable and is
    /// answered; only a failed fsync matters, to the next one.
    fn checkpoint(&mut self) {
        let is_short = self.wal_pages.load(Ordering::Relaxed) < CHECKPOINT_PAGES;
        if is_short || self.failed.is_some() {
            return;
        }
        match self.bring_in("PRAGMA wal_checkpoint(PASSIVE)") {
            Ok(()) => {}
            Err(error @ StoreError::SyncFailed(_)) => self.failed = Some(error),
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

/// 16 MiB of log: few checkpoints, each short enough for a batch to wait.
const CHECKPOINT_PAGES: i32 = 4_096;
