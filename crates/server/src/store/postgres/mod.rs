//! PostgreSQL: any number of processes on one database.
//!
//! **Invariant**: the head row is locked first, so that transactions of all processes are
//! in one order and none waits for another that waits for it. A batch is two round trips:
//! what is read goes out at once behind the lock, what is written at once before COMMIT.

mod address;
mod fault;
mod gather;
mod link;
mod no_tls;
mod pool;
mod read;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::rows::{Cell, Head, HeadRow, Row, Table};
use crate::sealing::Sealing;

use super::schema::{self, Dialect};
use super::shared::Memory;
use super::sqlite::Copy;
use super::{Loaded, Now, Raw, Scan, StoreError, Wanted, Writes};
use gather::Gather;
use link::{Link, Query};
use pool::Pool;

/// A database server.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    memory: Arc<Memory>,
    pool: Pool,
    gather: Gather,
}

impl Postgres {
    pub(super) async fn open(address: &str, folder: &Path) -> Result<Self, StoreError> {
        let pool = Pool::new(address::parse(address)?);
        let postgres = Self(Arc::new(Inner {
            memory: Arc::new(Memory::new(folder)?),
            pool,
            gather: Gather::default(),
        }));
        postgres.migrate().await?;
        Ok(postgres)
    }

    pub(super) fn unseal(&self, sealing: Sealing) {
        self.0.memory.unseal(sealing);
    }

    pub(super) async fn read(&self, wanted: Wanted) -> Result<Loaded, StoreError> {
        if wanted.is_by_key() {
            return self.read_together(wanted).await;
        }
        self.read_alone(wanted).await
    }

    async fn read_alone(&self, wanted: Wanted) -> Result<Loaded, StoreError> {
        let mut link = self.take().await?;
        let (head, mut loaded, clock_ms) = in_time(async {
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            let seen = self.0.memory.seen();
            let read = read::whole(&mut link, begin, "", &wanted, Some("COMMIT")).await?;
            self.renew(&mut link, read.head.as_ref()).await?;
            read.into_loaded(&self.0.memory, seen)
        })
        .await?;
        self.0.pool.give_back(link);
        loaded.now = self.0.memory.now(clock_ms, head.time_ms);
        loaded.wanted = wanted;
        Ok(loaded)
    }

    pub(super) async fn transact<T: Send + 'static>(
        &self,
        wanted: Wanted,
        decide: impl FnOnce(Now, Head, Loaded) -> (Writes, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut link = self.take().await?;
        let read = in_time(self.begin(&mut link, &wanted)).await;
        let (head, mut loaded, clock_ms) = match read {
            Ok(read) => read,
            Err(error) => return Err(self.undo(link, error).await),
        };
        let now = self.0.memory.now(clock_ms, head.time_ms);
        loaded.now = now;
        loaded.wanted = wanted;
        let before = head.head.clone();
        let memory = Arc::clone(&self.0.memory);
        let decided = tokio::task::spawn_blocking(move || {
            let (writes, answer) = decide(now, before, loaded);
            let buried = memory.bury(&writes)?;
            Ok((writes, answer, buried))
        });
        let given_up = |_| Err(StoreError::Unavailable("the batch was given up".to_owned()));
        let (mut writes, answer, buried) = match decided.await.unwrap_or_else(given_up) {
            Ok(decided) => decided,
            Err(error) => return Err(self.undo(link, error).await),
        };
        if writes.is_empty() {
            self.undo(link, nothing()).await;
            return Ok(answer);
        }
        self.0.memory.drop_guesses(&mut writes);
        let next = self.0.memory.next_head(&head, &mut writes, now)?;
        if let Err(error) = self.commit(link, writes, &next, now).await {
            self.0.memory.take_back(&buried)?;
            return Err(error);
        }
        self.0.memory.committed(&next.head, now);
        Ok(answer)
    }

    pub(super) async fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        let mut link = self.take().await?;
        let rows = in_time(scanned(&mut link, scan)).await?;
        self.0.pool.give_back(link);
        Ok(rows)
    }

    /// Rows of accounts that were deleted and whose secrets are there still.
    pub(super) async fn unfinished(&self, limit: usize) -> Result<Vec<Row>, StoreError> {
        let mut link = self.take().await?;
        let limit = Cell::number(u64::try_from(limit).unwrap_or(u64::MAX));
        let query = Query::cells(Dialect::Postgres.unfinished(), vec![limit]);
        let rows = in_time(link.rows(Table::Gone, query)).await?;
        self.0.pool.give_back(link);
        Ok(rows)
    }

    pub(super) async fn found(&self, raw: Raw) -> Result<Raw, StoreError> {
        let mut link = self.take().await?;
        let raw = in_time(found(&mut link, raw)).await?;
        self.0.pool.give_back(link);
        Ok(raw)
    }

    /// One snapshot of all tables.
    pub(super) async fn copy_to(&self, copy: &Copy) -> Result<(), StoreError> {
        let mut link = self.take().await?;
        link.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        for table in Table::ALL {
            let mut scan = Scan::all(table, COPIED_AT_ONCE);
            loop {
                let rows = in_time(scanned(&mut link, &scan)).await?;
                let Some(last) = rows.last() else {
                    break;
                };
                scan.after = Some(last.key(table));
                let mut writes = Writes::new();
                rows.into_iter().for_each(|row| writes.put(table, row));
                copy.put(writes)?;
            }
        }
        link.run("COMMIT").await?;
        self.0.pool.give_back(link);
        Ok(())
    }

    /// Every row of a copy, in one transaction, into a database that has none.
    pub(super) async fn fill(&self, copy: &Copy) -> Result<(), StoreError> {
        let mut link = self.take().await?;
        link.run("BEGIN").await?;
        link.run(LOCK_FOR_SETTING_UP).await?;
        for table in Table::ALL {
            if !scanned(&mut link, &Scan::all(table, 1)).await?.is_empty() {
                let told = "the database is not empty".to_owned();
                return Err(StoreError::Unavailable(told));
            }
        }
        for table in Table::ALL {
            let mut scan = Scan::all(table, COPIED_AT_ONCE);
            loop {
                let rows = copy.scan(&scan)?;
                let Some(last) = rows.last() else {
                    break;
                };
                scan.after = Some(last.key(table));
                link.execute(write::put(table, rows)).await?;
            }
        }
        link.run("COMMIT").await?;
        self.0.pool.give_back(link);
        Ok(())
    }

    fn gather(&self) -> &Gather {
        &self.0.gather
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// Takes the head row and reads; where the clock went back, without what had expired.
    async fn begin(
        &self,
        link: &mut Link,
        wanted: &Wanted,
    ) -> Result<(HeadRow, Loaded, u64), StoreError> {
        let memory = &self.0.memory;
        let seen = memory.seen();
        let read = read::whole(link, "BEGIN", "FOR UPDATE", wanted, None).await?;
        self.renew(link, read.head.as_ref()).await?;
        let (head, loaded, clock_ms) = read.into_loaded(memory, seen)?;
        let Some(over) = memory.over(clock_ms, head.time_ms) else {
            return Ok((head, loaded, clock_ms));
        };
        link.together(write::sweep(&over)).await?;
        let again = read::whole(link, "SELECT 1", "FOR UPDATE", wanted, None).await?;
        again.into_loaded(memory, seen)
    }

    /// Writes, and commits. A COMMIT without an answer is settled by the process's row.
    async fn commit(
        &self,
        mut link: Link,
        writes: Writes,
        next: &HeadRow,
        now: Now,
    ) -> Result<(), StoreError> {
        let batch = next.head.batch;
        let process = link.id;
        let written = in_time(write::whole(&mut link, writes, batch, now)).await;
        match written {
            Ok(()) => {
                self.0.pool.give_back(link);
                Ok(())
            }
            Err(error) if link.is_in_doubt() => {
                drop(link);
                if self.was_committed(process, batch).await {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            Err(error) => Err(self.undo(link, error).await),
        }
    }

    /// Whether `batch` was committed by `process`, once whatever it left behind has ended:
    /// until then it holds the head row. Asks for as long as it takes: nothing else can be
    /// decided before, and whoever is told "no" may rely on it.
    async fn was_committed(&self, process: [u8; 16], batch: [u8; 16]) -> bool {
        let mut tries = 0_u32;
        loop {
            let asked = in_time(async {
                let mut link = self.0.pool.fresh().await?;
                settle(&mut link, process, batch).await
            });
            match asked.await {
                Ok(was) => return was,
                Err(error) if tries.is_multiple_of(SETTLE_TRIES_TOLD) => {
                    tracing::warn!("whether the last batch was committed is not known: {error}");
                }
                Err(_) => {}
            }
            tries = tries.wrapping_add(1);
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }

    /// Ends a transaction that failed, and keeps the connection if that works. One that does
    /// not answer is not asked again: with its connection the transaction ends.
    async fn undo(&self, link: Link, error: StoreError) -> StoreError {
        if error != silent() && in_time(link.run("ROLLBACK")).await.is_ok() {
            self.0.pool.give_back(link);
        }
        error
    }

    /// Another process may have made or dropped data keys: they are read again.
    async fn renew(&self, link: &mut Link, head: Option<&Row>) -> Result<(), StoreError> {
        let Some(counted) = self.0.memory.wants_keys(head)? else {
            return Ok(());
        };
        let statement = Dialect::select_where(Table::DataKey, "true ORDER BY 1");
        let query = Query::cells(statement, Vec::new());
        let rows = link.rows(Table::DataKey, query).await?;
        self.0.memory.sealing()?.renew(&rows, counted)
    }

    /// A connection: an idle one, or a new one if the server answers in time.
    async fn take(&self) -> Result<Link, StoreError> {
        in_time(self.0.pool.take()).await
    }

    /// Brings the database to the present version, one process at a time.
    async fn migrate(&self) -> Result<(), StoreError> {
        let mut link = self.take().await?;
        link.run("BEGIN").await?;
        link.run(LOCK_FOR_SETTING_UP).await?;
        link.run("CREATE TABLE IF NOT EXISTS schema (version bigint NOT NULL)")
            .await?;
        let query = Query::cells(
            "SELECT coalesce(max(version), 0) FROM schema".to_owned(),
            Vec::new(),
        );
        let found = link.number(query).await?;
        for migration in schema::pending(found)? {
            link.run(migration.postgres).await?;
            let version = vec![Cell::Int(migration.version)];
            let put = "INSERT INTO schema (version) VALUES ($1)".to_owned();
            link.execute(Query::cells(put, version)).await?;
        }
        link.run("COMMIT").await?;
        self.0.pool.give_back(link);
        Ok(())
    }
}

async fn scanned(link: &mut Link, scan: &Scan) -> Result<Vec<Row>, StoreError> {
    let mut values = scan.prefix.cells.clone();
    if let Some(after) = &scan.after {
        values.extend(after.cells.iter().cloned());
    }
    values.push(Cell::number(u64::try_from(scan.limit).unwrap_or(u64::MAX)));
    let query = Query::cells(Dialect::Postgres.scan(scan), values);
    link.rows(scan.table, query).await
}

/// Puts the server's own rows if there are none.
async fn found(link: &mut Link, raw: Raw) -> Result<Raw, StoreError> {
    link.run("BEGIN").await?;
    link.run(LOCK_FOR_SETTING_UP).await?;
    let mut all = Vec::new();
    for table in [Table::DataKey, Table::System, Table::Head] {
        let statement = Dialect::select_where(table, "true ORDER BY 1");
        all.push(
            link.rows(table, Query::cells(statement, Vec::new()))
                .await?,
        );
    }
    let mut all = all.into_iter();
    let mut next = || all.next().unwrap_or_default();
    let raw = match Raw::of((next(), next(), next())) {
        Some(found) => found,
        None => {
            for (table, rows) in [
                (Table::DataKey, raw.data_keys.clone()),
                (Table::System, vec![raw.system.clone()]),
                (Table::Head, vec![raw.head.clone()]),
            ] {
                link.execute(write::put(table, rows)).await?;
            }
            raw
        }
    };
    link.run("COMMIT").await?;
    Ok(raw)
}

async fn settle(link: &mut Link, process: [u8; 16], batch: [u8; 16]) -> Result<bool, StoreError> {
    link.run("BEGIN").await?;
    link.run("SELECT 1 FROM head FOR UPDATE").await?;
    let statement = Dialect::select_where(Table::Writer, "t.id = $1");
    let query = Query::cells(statement, vec![Cell::bytes(&process)]);
    let rows = link.rows(Table::Writer, query).await?;
    link.run("ROLLBACK").await?;
    Ok(rows.iter().any(|row| row.array(1) == Some(batch)))
}

/// Runs `work` for no longer than a database may take that is there.
async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(ANSWER_MAX, work)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

fn silent() -> StoreError {
    StoreError::Unavailable("it does not answer".to_owned())
}

fn nothing() -> StoreError {
    StoreError::Unavailable("nothing to write".to_owned())
}

/// 8 s: longer than the server's own limits on a statement and on waiting for a lock.
const ANSWER_MAX: Duration = Duration::from_secs(8);

/// 250 ms between two tries to learn what became of a COMMIT; one in 40 is told, so that a
/// server that is away is in the trace every ten seconds at the most.
const SETTLE_TRIES_TOLD: u32 = 40;
const SETTLE_PAUSE: Duration = Duration::from_millis(250);

/// Rows of a page of a copy.
const COPIED_AT_ONCE: usize = 1_000;

/// Of the transactions that set up a database: any number that nobody else takes.
const LOCK_FOR_SETTING_UP: &str = "SELECT pg_advisory_xact_lock(7308332046133625188)";
