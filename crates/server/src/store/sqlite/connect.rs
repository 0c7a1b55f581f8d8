//! Connections, and the lock that keeps a second process away.
//!
//! **Invariant**: the database and the files beside it are readable for their owner alone.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};

use super::super::StoreError;
use super::super::schema;
use super::fault::Doing;

/// Takes the lock; it is held for as long as the file is.
pub(super) fn lock(file: &Path) -> Result<File, StoreError> {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let unavailable =
        |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let held = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(unavailable)?;
    match flock(&held, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(held),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked(file.to_owned())),
        Err(errno) => Err(unavailable(errno.into())),
    }
}

/// The connection that writes, on a database of the present version.
pub(super) fn writer(file: &Path) -> Result<Connection, StoreError> {
    make(file)?;
    let mut connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mode = write_ahead(&connection).doing("opening the database")?;
    if mode != "wal" {
        let told = format!("its file system allows no write-ahead log ({mode})");
        return Err(StoreError::NotDurable(told));
    }
    connection
        .execute_batch(WRITER_PRAGMAS)
        .doing("opening the database")?;
    migrate(&mut connection)?;
    sync_folder(file)?;
    Ok(connection)
}

/// The mode's row comes before the commit that writes it down: only who asks for the next
/// row learns that it failed.
fn write_ahead(connection: &Connection) -> rusqlite::Result<String> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    Ok(mode)
}

/// SQLite syncs a folder when it has made a file in it, and does not say when that fails:
/// by now all files are there, and we ask ourselves. A file system whose folders cannot be
/// synced does not forget it.
fn sync_folder(file: &Path) -> Result<(), StoreError> {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let synced = File::open(folder).and_then(|it| it.sync_all());
    synced.map_err(|error| StoreError::SyncFailed(format!("{}: {error}", folder.display())))
}

/// A connection that reads.
pub(super) fn reader(file: &Path) -> Result<Connection, StoreError> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection
        .execute_batch(READER_PRAGMAS)
        .doing("opening the database")?;
    Ok(connection)
}

/// SQLite makes the files beside the database as open as the database is.
fn make(file: &Path) -> Result<(), StoreError> {
    let made = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(file);
    match made {
        Ok(_) => Ok(()),
        Err(error) => {
            let told = format!("{}: {error}", file.display());
            Err(StoreError::Unavailable(told))
        }
    }
}

pub(super) fn open(file: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    // Each connection is used by one thread at a time.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).doing("opening the database")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // One plan for a statement, whatever its values are: else some are parsed at each use.
    let stable = DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
    let set = connection.set_db_config(stable, true);
    set.doing("opening the database")?;
    Ok(connection)
}

/// Brings the database to the present version, a transaction a version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let doing = "bringing the database to this version";
    let found = version(connection).doing(doing)?;
    for migration in schema::pending(found)? {
        let transaction = connection.transaction().doing(doing)?;
        transaction.execute_batch(migration.sqlite).doing(doing)?;
        transaction
            .execute(
                "INSERT INTO schema (version) VALUES (?1)",
                [migration.version],
            )
            .doing(doing)?;
        transaction.commit().doing(doing)?;
    }
    Ok(())
}

/// 0: an empty database.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.execute_batch("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL)")?;
    connection.query_row("SELECT coalesce(max(version), 0) FROM schema", [], |row| {
        row.get(0)
    })
}

/// What is deleted is overwritten; foreign software's triggers and views do nothing; the
/// write-ahead log goes to the database when [`super::writer`] says so. 16 MiB of cache
/// hold the pages that every batch touches, and the upper ones of all indexes.
const WRITER_PRAGMAS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -16384;
    PRAGMA temp_store = MEMORY;
    PRAGMA busy_timeout = 2000;
";

/// A reader's cache is thrown away after each commit, so it is small.
const READER_PRAGMAS: &str = "
    PRAGMA query_only = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -512;
    PRAGMA temp_store = MEMORY;
    PRAGMA busy_timeout = 2000;
";

/// Three for each table and some more.
const STATEMENTS_CACHED: usize = 96;
