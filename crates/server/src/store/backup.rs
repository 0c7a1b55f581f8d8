//! Backups while the server runs.
//!
//! **Invariant**: a backup is one snapshot in one SQLite file, whichever the database, that
//! was synced before it is said to be there; the master key is in none.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::sqlite::Copy;
use super::{Store, StoreError};

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
}

/// An empty file, for its owner alone.
pub(super) fn make(path: &Path) -> Result<(), StoreError> {
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map(drop)
        .map_err(|error| unavailable(&format!("{}: {error}", path.display())))
}

/// The file and its name, on the disk.
pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    for it in [path, folder] {
        let synced = std::fs::File::open(it).and_then(|file| file.sync_all());
        synced.map_err(|error| unavailable(&format!("{}: {error}", it.display())))?;
    }
    Ok(())
}

pub(super) fn unavailable(what: &str) -> StoreError {
    StoreError::Unavailable(what.to_owned())
}
