//! What a running server does by itself: expired rows go, certificates are renewed.
//!
//! **Invariant**: none of it is needed for an answer to be right; what fails is said and
//! tried again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keystead_daemon::{Clock, FolderDisk, SystemClock, utc};

use super::failure::{Failure, in_one_line};
use super::init;
use super::known::{self, Known};
use crate::account;
use crate::edge::tls::{Certificate, TlsError};
use crate::edge::validity::Validity;
use crate::login;
use crate::server::Server;
use crate::settings::Settings;
use crate::store::{Loaded, StoreError, Wanted};

/// What is remembered of the database, outside it.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Mutex<(FolderDisk, Known)>>);

impl Memory {
    pub(crate) fn new(folder: &Path) -> Result<Self, Failure> {
        let disk = FolderDisk::open(folder)?;
        let known = Known::load(&disk)?;
        Ok(Self(Arc::new(Mutex::new((disk, known)))))
    }

    /// Remembers where the log stands.
    pub(crate) async fn keep(&self, server: &Server) -> Result<(), Failure> {
        // A database that is away is remembered as it was.
        let Ok(Loaded { head, .. }) = server.store.read(Wanted::new()).await else {
            return Ok(());
        };
        let place = (head.epoch, head.size);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (disk, known) = &mut *kept;
        let database = &server.settings.database;
        let kept = known.keep(disk, database, server.server_id, place);
        kept.map_err(|error| {
            if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) {
                // A disk that fails here fails the log next.
                server.met(&StoreError::SyncFailed(format!("{}: {error}", known::FILE)));
            }
            let hint = "see that the server's folder can be written";
            Failure::of(&error, hint).about("where the log stands cannot be remembered")
        })
    }
}

/// Deletes what has expired, every minute, and remembers where the log stands. Goes on with
/// deletions that a process was cut off in, as it starts and every ten minutes.
pub(crate) async fn sweep(server: Arc<Server>, memory: Memory) {
    let mut turns = tokio::time::interval(SWEEP_PAUSE);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in 0_u32.. {
        turns.tick().await;
        if let Err(error) = login::sweep(&server).await {
            tracing::warn!(%error, "what has expired could not be deleted");
            server.met(&error);
        }
        if turn.is_multiple_of(FINISHED_TURNS)
            && let Err(error) = account::finish(&server).await
        {
            tracing::warn!(%error, "secrets of deleted accounts are left for later");
            server.met(&error);
        }
        if let Err(failure) = memory.keep(&server).await {
            tracing::warn!("{}", failure.message);
        }
    }
}

/// Looks at the server's own certificate, every few hours, and as soon as the clock says
/// something else about it than before.
pub(crate) async fn watch(server: Arc<Server>, certificate: Arc<Certificate>, folder: PathBuf) {
    let mut was_due = false;
    let mut looks = tokio::time::interval(LOOK_PAUSE);
    looks.tick().await;
    for look in 1_u32.. {
        looks.tick().await;
        let now_unix_s = SystemClock.now().unix_s;
        let is_due = certificate
            .validity()
            .is_some_and(|it| self::is_due(it, now_unix_s));
        if is_due == was_due && !look.is_multiple_of(LOOKS_TOLD) {
            continue;
        }
        was_due = is_due;
        if let Ok(mut disk) = FolderDisk::open(&folder)
            && renew_if_due(&mut disk, &folder, &server.settings, now_unix_s)
        {
            reload(&server, &certificate);
        }
        self::look(&server, &certificate, now_unix_s);
    }
}

/// Reads the certificates again; what is wrong with them is said, and the old ones stay.
pub(crate) fn reload(server: &Server, certificate: &Certificate) {
    match try_reload(server, certificate) {
        Ok(()) => tracing::info!("certificates were read again"),
        Err(error) => tracing::error!("{}; the old ones stay", in_one_line(&error)),
    }
}

/// The same for who asked and is told himself.
pub(crate) fn try_reload(server: &Server, certificate: &Certificate) -> Result<(), TlsError> {
    certificate.reload()?;
    look(server, certificate, SystemClock.now().unix_s);
    Ok(())
}

/// Renews the leaf where its end is near, or its beginning was one of a clock that was
/// wrong, and the authority's key is here. Says whether.
pub(crate) fn renew_if_due(
    disk: &mut FolderDisk,
    folder: &Path,
    settings: &Settings,
    now_unix_s: u64,
) -> bool {
    if settings.tls.names.is_empty() || settings.tls.authority.is_none() {
        return false;
    }
    let Ok(shown) = Certificate::load(folder, &settings.tls) else {
        // What is wrong with it is said by who needs it.
        return false;
    };
    if !shown.validity().is_some_and(|it| is_due(it, now_unix_s)) {
        return false;
    }
    match init::sign(disk, &settings.tls.names) {
        Ok(()) => true,
        Err(failure) => {
            tracing::warn!("the certificate is not renewed: {}", failure.message);
            false
        }
    }
}

fn is_due(leaf: Validity, now_unix_s: u64) -> bool {
    let ends_soon = leaf.until_unix_s < now_unix_s.saturating_add(RENEW_BEFORE_S);
    ends_soon || leaf.from_unix_s > now_unix_s
}

/// Says it loudly when clients will not take the certificate.
pub(crate) fn look(server: &Server, certificate: &Certificate, now_unix_s: u64) {
    let Some(validity) = certificate.validity() else {
        return;
    };
    let until = validity.until_unix_s;
    let ends = i64::try_from(until).unwrap_or(i64::MAX);
    server.metrics.certificate_ends.set(ends);
    let at = utc(until);
    if now_unix_s >= until {
        tracing::error!("the certificate has expired ({at}): no client can connect");
    } else if now_unix_s < validity.from_unix_s {
        tracing::error!("the certificate is not valid yet: no client can connect");
    } else if now_unix_s >= until.saturating_sub(WARN_BEFORE_S) {
        tracing::warn!("the certificate expires at {at}");
    }
}

/// A minute: what has expired is refused anyway, and only takes room.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// Ten of them: all accounts that were deleted within a year are gone through.
const FINISHED_TURNS: u32 = 10;

/// A minute: a leaf that a clock put right has made one of the future is soon replaced.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

/// Six hours of them: several warnings before it is too late.
const LOOKS_TOLD: u32 = 6 * 60;

/// 30 of 90 days before its end, as the public authorities advise.
const RENEW_BEFORE_S: u64 = 30 * DAY_S;

/// 14 days before the end, whoever renews it should have.
const WARN_BEFORE_S: u64 = 14 * DAY_S;

const DAY_S: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_renewed_near_its_end_and_before_its_beginning() {
        let from_unix_s = 1_795_000_000;
        let leaf = Validity {
            from_unix_s,
            until_unix_s: from_unix_s + 90 * DAY_S,
        };
        for (now_unix_s, expected) in [
            (from_unix_s - 1, true),
            (from_unix_s, false),
            (from_unix_s + 60 * DAY_S, false),
            (from_unix_s + 60 * DAY_S + 1, true),
            (from_unix_s + 3_650 * DAY_S, true),
            (0, true),
        ] {
            assert_eq!(is_due(leaf, now_unix_s), expected, "{now_unix_s}");
        }
    }
}
