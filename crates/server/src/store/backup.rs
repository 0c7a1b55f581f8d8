//! Backups while the server runs, and their restoration.
//!
//! **Invariant**: a backup is one snapshot in one SQLite file, whichever the database, that
//! was synced before it is said to be there; the master key is in none. A restored database
//! serves only when it is whole: the rows that are read first at a start are written last.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::rows::{AccountNo, DeletedAgain, Gone, Key, Rows, System, Table};
use crate::sealing::{MasterSource, Sealing, SealingError};

use super::sqlite::Copy;
use super::tombstones::Buried;
use super::{Scan, Store, StoreError, Wanted, Writes};

impl Store {
    /// Writes a backup to a new file, for its owner alone. Requests are served meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; also when the file is there already.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        make(to)?;
        match self {
            Self::Sqlite(sqlite) => {
                let (sqlite, path) = (sqlite.clone(), to.to_owned());
                let copied = tokio::task::spawn_blocking(move || sqlite.copy_to(&path)).await;
                copied.unwrap_or_else(|_| Err(unavailable("the copy was given up")))?;
            }
            Self::Postgres(postgres) => {
                let copy = Copy::new(to)?;
                postgres.copy_to(&copy).await?;
                copy.finish()?;
            }
        }
        sync(to)
    }

    /// Brings a backup into an empty database: all sessions end, and what was deleted since
    /// (by the tombstones in `folder`) is deleted. The log's epoch is the ledger's to raise,
    /// and the deletions, which this names, are its to log.
    ///
    /// # Errors
    /// [`SealingError`]; also when the database is not empty.
    pub async fn restore(
        address: &str,
        folder: &Path,
        from: &Path,
        source: MasterSource,
    ) -> Result<(Self, Sealing, System, Vec<DeletedAgain>), SealingError> {
        let copied = copy_of(folder, from)?;
        let store = Self::open(address, folder).await?;
        let filled = async {
            let copy = Copy::open(&copied)?;
            store.fill(&copy).await
        };
        let filled = filled.await;
        // A whole database, sealed; but of no use to anyone any more.
        let _ = std::fs::remove_file(&copied);
        filled?;
        let (sealing, system) = Sealing::begin(&store, source).await?;
        let buried = store.bury(&sealing).await?;
        Ok((store, sealing, system, buried))
    }

    /// Puts every row of a copy; the tables that a start reads come last.
    async fn fill(&self, copy: &Copy) -> Result<(), StoreError> {
        for table in Table::ALL {
            let one = Scan {
                table,
                prefix: Key { cells: Vec::new() },
                after: None,
                limit: 1,
            };
            if !self.scan(one).await?.is_empty() {
                return Err(unavailable("the database is not empty"));
            }
        }
        let late = [Table::System, Table::Head];
        let early = Table::ALL.into_iter().filter(|it| !late.contains(it));
        // Sessions end with the restoration, and processes note their own batches.
        let early = early.filter(|it| !matches!(it, Table::Session | Table::Writer));
        for table in early.chain(late) {
            let mut after = None;
            loop {
                let rows = copy.scan(&Scan {
                    table,
                    prefix: Key { cells: Vec::new() },
                    after: after.take(),
                    limit: ROWS_AT_ONCE,
                })?;
                let Some(last) = rows.last() else {
                    break;
                };
                after = Some(last.key(table));
                let mut writes = Writes::new();
                rows.into_iter().for_each(|row| writes.put(table, row));
                self.put_raw(writes).await?;
            }
        }
        Ok(())
    }

    /// Deletes what the tombstones name, and keeps numbers of accounts that came later from
    /// being given to others.
    async fn bury(&self, sealing: &Sealing) -> Result<Vec<DeletedAgain>, StoreError> {
        let mut again = Vec::new();
        for buried in self.buried() {
            let mut wanted = Wanted::new();
            match buried {
                Buried::Secret(no, key) => wanted.secret(no, key).account(no),
                Buried::Account(no) => wanted.account(no).secrets_of(no).passes_of(no),
            };
            let keys = sealing.clone();
            let deleted = self.transact(wanted, move |now, _, loaded| {
                let mut rows = Rows::new(loaded, &keys);
                let deleted = delete(&mut rows, buried, now.ms);
                (rows.into_writes(), deleted)
            });
            again.extend(deleted.await?);
        }
        let skip = |_, _, loaded: super::Loaded| {
            let writes = Writes {
                next_account: loaded.next_account.checked_add(NUMBERS_SKIPPED),
                ..Writes::new()
            };
            (writes, ())
        };
        self.transact(Wanted::new(), skip).await?;
        Ok(again)
    }
}

/// What was deleted, if it was there; a row that does not open is deleted as well.
fn delete(rows: &mut Rows<'_>, buried: Buried, now_ms: u64) -> Option<DeletedAgain> {
    let (account, key) = match buried {
        Buried::Secret(no, key) => (no, Some(key)),
        Buried::Account(no) => (no, None),
    };
    let user = rows.account(account).ok().flatten().map(|it| it.user);
    let was_there = match key {
        Some(key) => !matches!(rows.secret(account, key), Ok(None)),
        None => !matches!(rows.account(account), Ok(None)),
    };
    match key {
        Some(key) if was_there => rows.delete_secret(account, key),
        Some(_) => (),
        None => delete_all_of(rows, account),
    }
    if was_there && key.is_none() {
        rows.delete_account(account);
        if let Some(user) = user {
            rows.put_gone(Gone {
                account,
                at_ms: now_ms,
                user,
            });
        }
    }
    was_there.then_some(DeletedAgain { account, user, key })
}

/// The secrets and device passes of an account.
fn delete_all_of(rows: &mut Rows<'_>, no: AccountNo) {
    let secrets = rows.secrets_of(no).unwrap_or_default();
    let secrets: Vec<_> = secrets.iter().map(|secret| secret.key).collect();
    secrets
        .into_iter()
        .for_each(|key| rows.delete_secret(no, key));
    let passes = rows.passes_of(no).unwrap_or_default();
    let passes: Vec<_> = passes.iter().map(|pass| pass.hash).collect();
    passes.into_iter().for_each(|hash| rows.delete_pass(hash));
}

/// An empty file, for its owner alone.
fn make(path: &Path) -> Result<(), StoreError> {
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map(drop)
        .map_err(|error| unavailable(&format!("{}: {error}", path.display())))
}

/// The backup beside the database, where it can be brought to the present version.
fn copy_of(folder: &Path, from: &Path) -> Result<PathBuf, StoreError> {
    let to = folder.join("restoring.db");
    // Left from a restoration that was ended.
    let _ = std::fs::remove_file(&to);
    make(&to)?;
    match std::fs::copy(from, &to) {
        Ok(_) => Ok(to),
        Err(error) => Err(unavailable(&format!("{}: {error}", from.display()))),
    }
}

/// The file and its name, on the disk.
fn sync(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    for it in [path, folder] {
        let synced = std::fs::File::open(it).and_then(|file| file.sync_all());
        synced.map_err(|error| unavailable(&format!("{}: {error}", it.display())))?;
    }
    Ok(())
}

fn unavailable(what: &str) -> StoreError {
    StoreError::Unavailable(what.to_owned())
}

/// Rows of a page: a few hundred kilobytes.
const ROWS_AT_ONCE: usize = 1_000;

/// 2^32: more accounts than came since the backup was made. Tombstones name accounts by
/// their numbers, so a number is never given again.
const NUMBERS_SKIPPED: i64 = 1 << 32;
