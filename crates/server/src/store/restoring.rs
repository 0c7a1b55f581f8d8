//! A backup in the place of the database, while no server runs.
//!
//! **Invariant**: everything is done to a copy beside the server's files, its new epoch
//! included, before the database is touched; then the copy takes its place in one step, a
//! rename or one transaction. Whatever ends a restoration half way, the database is the one
//! before or the whole restored one.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::rows::{AccountNo, DeletedAgain, Gone, Rows, System, Table};
use crate::sealing::{MasterSource, Sealing, SealingError};

use super::backup::{make, sync, unavailable};
use super::postgres::Postgres;
use super::sqlite::{Copy, Sqlite};
use super::tombstones::{Buried, Tombstones};
use super::{Scan, Store, StoreError, Sweep, Wanted, Writes};

/// A backup that is being brought back: a database of its own, in the server's folder.
pub struct Restoring {
    /// The copy. The log's epoch is the ledger's to raise, and the deletions its to log.
    pub store: Store,
    /// Opens its rows.
    pub sealing: Sealing,
    /// Whose it is.
    pub system: System,
    /// What was deleted since, and again now.
    pub deleted: Vec<DeletedAgain>,
    folder: PathBuf,
    file: PathBuf,
}

impl Restoring {
    /// Copies the backup `from` into `folder`, the server's own: all sessions end, and what
    /// was deleted since is deleted, by the tombstones there and in the files `others` of
    /// other servers of the same database.
    ///
    /// # Errors
    /// [`SealingError`]; what was copied so far is gone again.
    pub async fn begin(
        folder: &Path,
        from: &Path,
        others: &[PathBuf],
        source: MasterSource,
    ) -> Result<Self, SealingError> {
        let file = folder.join(NAME);
        let begun = Self::of_copy(folder, &file, from, others, source).await;
        begun.map_err(|error| {
            forget(&file);
            of_backup(error, from)
        })
    }

    /// Puts it in the place of the database at `address`, where none is.
    ///
    /// # Errors
    /// [`StoreError`]; then there is none still.
    pub async fn put_in_place(self, address: &str) -> Result<(), StoreError> {
        let Self {
            store,
            folder,
            file,
            ..
        } = self;
        let placed = place(store, address, &folder, &file).await;
        forget(&file);
        placed
    }

    async fn of_copy(
        folder: &Path,
        file: &Path,
        from: &Path,
        others: &[PathBuf],
        source: MasterSource,
    ) -> Result<Self, SealingError> {
        let others = read_all(others)?;
        forget(file);
        make(file)?;
        std::fs::copy(from, file)
            .and_then(|_| std::fs::set_permissions(file, Permissions::from_mode(0o600)))
            .map_err(|error| unavailable(&format!("{}: {error}", from.display())))?;
        // Not as a server opens its own: what was deleted since is here still.
        let store = Store::Sqlite(Sqlite::open(file, folder)?);
        // An empty file is an empty database, of which a new server would be made.
        if store.scan(Scan::all(Table::System, 1)).await?.is_empty() {
            return Err(StoreError::NoBackup(from.to_owned()).into());
        }
        store.memory().remember(&others)?;
        let (sealing, system) = Sealing::begin(&store, source).await?;
        let all = Sweep {
            sessions_login_ms: u64::MAX,
            writers_ms: u64::MAX,
            ..Sweep::default()
        };
        store.sweep(all).await?;
        let deleted = store.bury(&sealing).await?;
        Ok(Self {
            store,
            sealing,
            system,
            deleted,
            folder: folder.to_owned(),
            file: file.to_owned(),
        })
    }
}

async fn place(store: Store, address: &str, folder: &Path, file: &Path) -> Result<(), StoreError> {
    store.close().await?;
    drop(store);
    let log = std::fs::metadata(beside(file, "-wal"));
    if log.is_ok_and(|it| it.len() > 0) {
        return Err(unavailable("the copy kept its log"));
    }
    match address.strip_prefix("sqlite:") {
        Some(to) => {
            let to = folder.join(to);
            if to.exists() {
                return Err(not_empty());
            }
            sync(file)?;
            std::fs::rename(file, &to)
                .map_err(|error| unavailable(&format!("{}: {error}", to.display())))?;
            sync(&to)
        }
        None => {
            let postgres = Postgres::open(address, folder).await?;
            postgres.fill(&Copy::open(file)?).await
        }
    }
}

impl Store {
    /// Deletes what the tombstones name, and keeps numbers of accounts that came later from
    /// being given to others.
    async fn bury(&self, sealing: &Sealing) -> Result<Vec<DeletedAgain>, StoreError> {
        let mut again = Vec::new();
        for buried in self.buried() {
            let mut wanted = Wanted::new();
            match buried {
                Buried::Secret(no, key) => wanted.secret(no, key).account(no),
                Buried::Account(no) => wanted.account(no).passes_of(no),
            };
            let keys = sealing.clone();
            let deleted = self.transact(wanted, move |now, _, loaded| {
                let mut rows = Rows::new(loaded, &keys);
                let deleted = delete(&mut rows, buried, now.ms);
                (rows.into_writes(), deleted)
            });
            again.extend(deleted.await?);
            if let Buried::Account(no) = buried {
                self.delete_secrets_of(no).await?;
            }
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
        None => delete_passes_of(rows, account),
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

fn delete_passes_of(rows: &mut Rows<'_>, no: AccountNo) {
    let passes = rows.passes_of(no).unwrap_or_default();
    let passes: Vec<_> = passes.iter().map(|pass| pass.hash).collect();
    passes.into_iter().for_each(|hash| rows.delete_pass(hash));
}

/// What is wrong with the copy is wrong with the backup.
fn of_backup(error: SealingError, from: &Path) -> SealingError {
    if let SealingError::Store(StoreError::Damaged(_) | StoreError::Corrupt(_)) = error {
        return StoreError::NoBackup(from.to_owned()).into();
    }
    error
}

fn not_empty() -> StoreError {
    unavailable("the database is not empty")
}

/// The tombstones of other servers.
fn read_all(files: &[PathBuf]) -> Result<Vec<Buried>, StoreError> {
    let mut all = Vec::new();
    for file in files {
        let read = Tombstones::read_of_another(file);
        all.extend(read.map_err(|error| unavailable(&format!("{}: {error}", file.display())))?);
    }
    Ok(all)
}

/// The copy and what SQLite keeps beside it. A whole database, sealed; but of no use to
/// anyone any more.
fn forget(file: &Path) {
    for ending in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(beside(file, ending));
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// In the server's folder.
const NAME: &str = "restoring.db";

/// 2^32: more accounts than came since the backup was made. Tombstones name accounts by
/// their numbers, so a number is never given again.
const NUMBERS_SKIPPED: i64 = 1 << 32;
