//! `restore`: a backup in the place of the database, while no server runs.
//!
//! **Invariant**: what is there is put aside, never written over; and the log goes on in a
//! new epoch, above every one that clients have seen, so that each of them is told.

use std::path::{Path, PathBuf};

use keystead_daemon::process::Lock;
use keystead_daemon::{Clock, FolderDisk, SystemClock};

use super::failure::Failure;
use super::known::Known;
use super::{arguments, files, operate, print};
use crate::ledger;
use crate::settings::Settings;
use crate::store::{Store, Wanted};

/// Puts the backup in place.
pub(crate) fn restore(folder: &Path, asked: &arguments::Restore) -> Result<(), Failure> {
    // Opening a folder makes it.
    files::check(folder)?;
    let mut disk = FolderDisk::open(folder)?;
    let _lock = Lock::take(folder)?;
    let mut settings = Settings::load(folder)?;
    if let Some(database) = &asked.database.database {
        settings.database = database.clone();
    }
    let settings = settings.checked(folder)?;
    if !asked.file.exists() {
        let message = format!("{} is not there", asked.file.display());
        return Err(Failure::new(message, "name a file that `backup` made"));
    }
    if !asked.yes {
        operate::confirm(
            "Every client that saw more than the backup holds will stop and name what is \
             missing; all sessions end. Restore?",
        )?;
    }
    let aside = put_aside(folder, &settings.database)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let restored = runtime.block_on(put_in_place(folder, &settings, &mut disk, &asked.file));
    match restored {
        Ok(said) => {
            print::talk(said);
            for file in aside {
                print::talk(format_args!("the database before is in {}", file.display()));
            }
            Ok(())
        }
        Err(failure) => {
            put_back(folder, &settings.database, &aside);
            Err(failure)
        }
    }
}

async fn put_in_place(
    folder: &Path,
    settings: &Settings,
    disk: &mut FolderDisk,
    from: &Path,
) -> Result<String, Failure> {
    let mut known = Known::load(disk)?;
    // Above every epoch that was seen here, also of a restoration before this one.
    let at_least = known
        .epoch(&settings.database)
        .map_or(0, |epoch| epoch.saturating_add(1));
    let source = files::master_source(folder);
    let restored = Store::restore(&settings.database, folder, from, source).await?;
    let (store, sealing, system, deleted) = restored;
    let raised = ledger::raise_epoch(&store, &sealing, at_least).await?;
    raised.log_deleted(&store, &sealing, &deleted).await?;
    let deleted = deleted.len();
    let loaded = store.read(Wanted::new()).await?;
    let (epoch, size) = (loaded.head.epoch, loaded.head.size);
    let server = system.server_id();
    known.keep(disk, &settings.database, server, (epoch, size))?;
    Ok(format!(
        "restored {} log entries; the log goes on in epoch {}; {deleted} deletions since the \
         backup are deleted again",
        raised.size, raised.epoch
    ))
}

/// The files of an SQLite database under other names; PostgreSQL's must be empty already.
fn put_aside(folder: &Path, database: &str) -> Result<Vec<PathBuf>, Failure> {
    let now_unix_s = SystemClock.now().unix_s;
    let mut aside = Vec::new();
    for file in sqlite_files(folder, database) {
        if file.exists() {
            let mut name = file.clone().into_os_string();
            name.push(format!(".before-{now_unix_s}"));
            std::fs::rename(&file, &name)?;
            aside.push(PathBuf::from(name));
        }
    }
    Ok(aside)
}

/// Nothing was restored: all is as it was.
fn put_back(folder: &Path, database: &str, aside: &[PathBuf]) {
    for file in sqlite_files(folder, database) {
        let of_this = aside.iter().find(|it| {
            let name = it.to_string_lossy();
            name.rsplit_once(".before-")
                .is_some_and(|(name, _)| Path::new(name) == file)
        });
        if let Some(before) = of_this {
            let _ = std::fs::rename(before, &file);
        }
    }
}

fn sqlite_files(folder: &Path, database: &str) -> Vec<PathBuf> {
    let Some(file) = database.strip_prefix("sqlite:") else {
        return Vec::new();
    };
    let file = folder.join(file);
    let with = |ending: &str| {
        let mut name = file.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    vec![with(""), with("-wal"), with("-shm")]
}
