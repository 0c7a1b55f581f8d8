//! `restore`: a backup in the place of the database, while no server runs.
//!
//! **Invariant**: what is there is put aside, never written over; the log goes on in a new
//! epoch, above every one that clients have seen, so that each of them is told; and all of
//! that is done before the backup takes its place, so that none is served half restored.

use std::path::{Path, PathBuf};

use keystead_channel::session::ServerId;
use keystead_daemon::process::Lock;
use keystead_daemon::{Clock, FolderDisk, SystemClock};

use super::failure::Failure;
use super::known::Known;
use super::{arguments, files, operate, print};
use crate::ledger;
use crate::settings::Settings;
use crate::store::{Restoring, Wanted};

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
    let is_shared = !settings.database.starts_with("sqlite:");
    if is_shared && asked.deleted.is_empty() {
        print::talk(
            "what other servers of this database deleted stands in the file `tombstones` in \
             each one's folder: name those with --deleted, or it comes back",
        );
    }
    if !asked.yes {
        operate::confirm(
            "Every client that saw more than the backup holds will stop and name what is \
             missing; all sessions end. Restore?",
        )?;
    }
    let mut known = Known::load(&disk)?;
    // Above every epoch that was seen here, also of a restoration before this one.
    let at_least = known
        .epoch(&settings.database)
        .map_or(0, |epoch| epoch.saturating_add(1));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let ready = runtime.block_on(make_ready(folder, asked, at_least))?;
    let aside = put_aside(folder, &settings.database)?;
    let placed = runtime.block_on(ready.restoring.put_in_place(&settings.database));
    if let Err(error) = placed {
        put_back(folder, &settings.database, &aside);
        return Err(Failure::from(error));
    }
    known.keep(&mut disk, &settings.database, ready.server, ready.head)?;
    print::talk(ready.said);
    for file in aside {
        print::talk(format_args!("the database before is in {}", file.display()));
    }
    Ok(())
}

/// A backup that wants only to take its place.
struct Ready {
    restoring: Restoring,
    server: ServerId,
    /// Epoch and size.
    head: (u32, u64),
    said: String,
}

async fn make_ready(
    folder: &Path,
    asked: &arguments::Restore,
    at_least: u32,
) -> Result<Ready, Failure> {
    let source = files::master_source(folder);
    let restoring = Restoring::begin(folder, &asked.file, &asked.deleted, source).await?;
    let (store, sealing) = (&restoring.store, &restoring.sealing);
    let raised = ledger::raise_epoch(store, sealing, at_least).await?;
    let deleted = &restoring.deleted;
    raised.log_deleted(store, sealing, deleted).await?;
    let said = format!(
        "restored {} log entries; the log goes on in epoch {}; {} deletions since the \
         backup are deleted again",
        raised.size,
        raised.epoch,
        deleted.len()
    );
    let head = store.read(Wanted::new()).await?.head;
    Ok(Ready {
        server: restoring.system.server_id(),
        head: (head.epoch, head.size),
        said,
        restoring,
    })
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
    // Its log first: a database without it is noticed, another one with it is not.
    let with = |ending: &str| {
        let mut name = file.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    vec![with("-wal"), with("-shm"), with("")]
}
