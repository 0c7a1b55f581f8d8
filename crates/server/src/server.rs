//! What every part of a running server shares.
//!
//! **Invariant**: made once at start and never changed; what changes is in the store, in
//! the ledger, or behind the few locks that are named here.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keystead_channel::session::{Introduction, PENDING_MS_MAX, ServerId, ServerKeys};
use keystead_core::Secret;
use tokio::sync::{Semaphore, watch};

use crate::approval;
use crate::decoy::Decoy;
use crate::edge::{Buckets, Rates};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::sealing::{MasterSource, Sealing, SealingError};
use crate::session::{HalfOpen, Live};
use crate::settings::Settings;
use crate::store::{Lives, Store, StoreError, Wanted};

/// A key server that runs; shared as `Arc<Server>`.
pub struct Server {
    /// What the operator set.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// Opens and seals its rows.
    pub sealing: Sealing,
    /// The one way to change it.
    pub ledger: Ledger,
    /// OPAQUE's seed and key pair.
    pub opaque: ServerKeys,
    /// What names are found and faked by.
    pub names: NameKeys,
    /// Made of the OPAQUE public key.
    pub server_id: ServerId,
    /// Numbers.
    pub metrics: Metrics,
    /// Logins and registrations, by source and in all: taken before frames 10 and 20 are
    /// worked on, never for sessions and resumption.
    pub guesses: Buckets,
    /// Open registrations, by source.
    pub registrations: Buckets,
    /// What a name without an account costs.
    pub decoy: Decoy,
    /// Set-ups of all connections that wait for a frame.
    pub half_open: HalfOpen,
    /// Permits of OPAQUE's evaluations, so that sessions and resumption come first.
    pub evaluations: Semaphore,
    /// Room for what waits for approvers, of all sessions.
    pub approval_room: Arc<Semaphore>,
    /// Sessions that are open on a connection of this process.
    pub live: Arc<Live>,
    /// It takes nothing new.
    pub is_stopping: AtomicBool,
    /// What ends the process, beside the ledger's own.
    fault: watch::Sender<Option<StoreError>>,
}

/// The keys of names.
pub struct NameKeys {
    /// k_name: makes a name's tag.
    pub k_name: Secret<32>,
    /// k_fake: makes up what a name without an account shows.
    pub k_fake: Secret<32>,
}

impl Server {
    /// Opens the database, draws the server's own keys if it is empty, and starts the
    /// ledger, on the runtime that this runs on. `folder` is the server's own.
    ///
    /// # Errors
    /// [`SealingError`].
    pub async fn open(
        folder: &Path,
        settings: Settings,
        master: MasterSource,
    ) -> Result<Self, SealingError> {
        let store = Store::open(&settings.database, folder).await?;
        Self::over(store, settings, master).await
    }

    /// As [`Server::open`], over a database that is open: others may share it.
    ///
    /// # Errors
    /// [`SealingError`].
    pub async fn over(
        store: Store,
        settings: Settings,
        master: MasterSource,
    ) -> Result<Self, SealingError> {
        let (sealing, system) = Sealing::begin(&store, master).await?;
        store.keep_no_longer(lives(&settings));
        let ledger = Ledger::start(store.clone(), sealing.clone()).await?;
        Ok(Self {
            server_id: system.server_id(),
            decoy: Decoy::new(&sealing),
            names: NameKeys {
                k_name: system.k_name,
                k_fake: system.k_fake,
            },
            opaque: system.opaque,
            metrics: Metrics::new(ledger.failures()),
            guesses: Self::guess_buckets(&settings),
            registrations: Self::registration_buckets(&settings),
            half_open: HalfOpen::new(settings.connections.half_open_max),
            evaluations: evaluations(),
            approval_room: approval::room(),
            live: Arc::<Live>::default(),
            is_stopping: AtomicBool::new(false),
            fault: watch::Sender::new(None),
            settings,
            store,
            sealing,
            ledger,
        })
    }

    /// What the server says of itself on every connection.
    #[must_use]
    pub fn introduction(&self) -> Introduction {
        Introduction {
            opaque_key: self.opaque.public(),
            log_key: self.ledger.log_key(),
            lowest_binding: self.settings.lowest_binding(),
            registration: self.settings.registration(),
            limits: self.settings.limits(),
        }
    }

    /// An error of the database outside the ledger: some end the process.
    pub fn met(&self, error: &StoreError) {
        if error.ends_the_process() {
            self.fault.send_replace(Some(error.clone()));
        }
    }

    /// Waits until something must end the process.
    pub async fn fault(&self) -> StoreError {
        let (mut ledger, mut own) = (self.ledger.fault(), self.fault.subscribe());
        let fault = tokio::select! {
            fault = ledger.wait_for(Option::is_some) => fault.ok().and_then(|it| it.clone()),
            fault = own.wait_for(Option::is_some) => fault.ok().and_then(|it| it.clone()),
        };
        // A writer that went without a word takes no act any more.
        fault.unwrap_or_else(|| StoreError::SyncFailed("the writer ended".to_owned()))
    }

    /// Whether a new session would be served now; else why not.
    ///
    /// # Errors
    /// In a few words, for the operator.
    pub async fn readiness(&self) -> Result<(), String> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err("stopping".to_owned());
        }
        match tokio::time::timeout(READY_WAIT, self.store.read(Wanted::new())).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the database does not answer".to_owned()),
        }
    }

    /// The buckets of frames 10 and 20.
    fn guess_buckets(settings: &Settings) -> Buckets {
        Buckets::new(Rates {
            per_source: settings.guesses.per_source_s,
            in_all: settings.guesses.per_s,
            window_ms: S_MS,
            // A household behind one address whose machines all wake at once.
            burst_windows: 10,
        })
    }

    /// The buckets of open registration.
    fn registration_buckets(settings: &Settings) -> Buckets {
        Buckets::new(Rates {
            per_source: settings.registrations.per_source_hour,
            in_all: 0,
            window_ms: HOUR_MS,
            burst_windows: 1,
        })
    }
}

/// How long each kind of row lets somebody in.
#[must_use]
pub(crate) fn lives(settings: &Settings) -> Lives {
    let s = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
    let days = |days: u32| u64::from(days).saturating_mul(DAY_MS);
    Lives {
        session_ms: s(settings.sessions.life_s),
        resumable_ms: s(settings.sessions.resumable_s),
        pending_ms: PENDING_MS_MAX,
        pass_ms: days(settings.guesses.pass_days),
        invitation_ms: days(settings.registrations.invitation_days),
        writer_ms: DAY_MS,
    }
}

/// Permits of OPAQUE's evaluations: one processor is left to sessions.
fn evaluations() -> Semaphore {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    Semaphore::new(processors.saturating_sub(1).max(1))
}

/// For the database to answer: who scrapes waits about as long.
const READY_WAIT: Duration = Duration::from_secs(3);

const S_MS: u32 = 1_000;

const HOUR_MS: u32 = 3_600_000;

const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;

    /// A server on SQLite in `folder`.
    pub(crate) async fn server(folder: &Path) -> Server {
        let path = folder.join("master.key");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        std::io::Write::write_all(&mut file, &[7; 32]).unwrap();
        let source = MasterSource::File(path);
        Server::open(folder, Settings::default(), source)
            .await
            .unwrap()
    }
}
