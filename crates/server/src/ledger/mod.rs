//! The log and its one writer: no entry, no answer (`spec/audit.md`).
//!
//! **Invariant**: an act's rows and its entries are one transaction; whoever is answered
//! finds the entry in every later tree, and every head that was signed begins with every
//! head that was signed before it, in one epoch after the other.

mod act;
mod batch;
mod block;
mod corrupt;
mod edge;
mod epoch;
mod erasing;
mod export;
mod key;
mod nodes;
mod reading;
mod writer;

pub use act::{
    Act, BEFORE_LOGIN, Committed, Decided, Log, NO_KEY, NO_REQUEST, NewEntry, OPERATOR, actor,
};
pub use corrupt::{Corrupt, ReadError};
pub use epoch::{Restored, raise_epoch};
pub use export::Export;
pub use keystead_channel::log::{Action, Detail};
pub use reading::Opened;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use crate::rows::{AccountNo, Table};
use crate::sealing::Sealing;
use crate::store::{Store, StoreError};
use batch::Tools;
use writer::{Asked, QUEUE_MAX, Waiting, Writer};

/// The log of this server; a handle, shared by all that write to it.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Waiting>,
    store: Store,
    tools: Arc<Tools>,
    log_key: [u8; 32],
    /// Why the last batch that failed did.
    failed: watch::Receiver<Option<StoreError>>,
    failures: Counter,
    fault: watch::Receiver<Option<StoreError>>,
    place: watch::Receiver<(u32, u64)>,
    full_tiles: Arc<nodes::Full>,
    /// Behind which account the next look for leaves to be erased begins.
    erased_to: Arc<Mutex<Option<AccountNo>>>,
}

impl Ledger {
    /// Starts the writer, on the runtime that this runs on.
    ///
    /// # Errors
    /// The head or the log's key cannot be read, or the server's own chain does not end
    /// where its row says.
    pub async fn start(store: Store, sealing: Sealing) -> Result<Self, StoreError> {
        let (head, key) = key::read(&store, &sealing).await?;
        let server = sealing.server();
        let tools = Arc::new(Tools { server, sealing });
        let (fault_from, fault) = watch::channel(None);
        let (failed_from, failed) = watch::channel(None);
        let failures = Counter::default();
        let (place_from, place) = watch::channel((head.epoch, head.size));
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let log_key = *key.key.public();
        let full_tiles = Arc::<nodes::Full>::default();
        let writer = Writer {
            store: store.clone(),
            tools: tools.clone(),
            key: Arc::new(key),
            held: None,
            seen: (head.epoch, head.size),
            fault: fault_from,
            failed: failed_from,
            failures: failures.clone(),
            place: place_from,
            full_tiles: Arc::clone(&full_tiles),
        };
        let ledger = Self {
            queue,
            store,
            tools,
            log_key,
            failed,
            failures,
            fault,
            place,
            full_tiles,
            erased_to: Arc::default(),
        };
        // Accounts' chains are checked as their owners come; nobody comes for this one.
        if head.size > 0 {
            let checked = ledger.check_chain(AccountNo::SYSTEM).await;
            checked.map_err(|error| match error {
                ReadError::Store(error) => error,
                ReadError::Corrupt(_) => StoreError::Corrupt(Table::Chain),
            })?;
        }
        tokio::spawn(writer.run(waiting));
        Ok(ledger)
    }

    /// Does `act` and logs it; comes back when both are durable. An act that has waited for
    /// [`WAIT_MAX`] without being begun is withdrawn; one that was begun is told how it
    /// ended, however long that takes: who asked cannot know before the store does.
    ///
    /// # Errors
    /// Why the batch, or this act alone, was not written: nothing of it has changed.
    pub async fn commit<A: Act>(&self, act: A) -> Result<Committed<A::Answer>, StoreError> {
        let (asked, mut answer) = Asked::new(act);
        let claim = asked.claim();
        let ended = || StoreError::Unavailable("the log is not written any more".to_owned());
        let late = || StoreError::Unavailable("it takes too long".to_owned());
        let mut failed = self.failed.clone();
        failed.mark_unchanged();
        let until = Instant::now() + WAIT_MAX;
        let sent = timeout_at(until, self.queue.send(Some(Box::new(asked)))).await;
        sent.map_err(|_| late())?.map_err(|_| ended())?;
        let answered = match timeout_at(until, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if claim.withdraw() => return Err(late()),
            Err(_) => answer.await,
        };
        if let Ok(answered) = answered {
            return answered;
        }
        // An act that is dropped without an answer was in a batch that failed.
        failed.changed().await.map_err(|_| ended())?;
        let error = failed.borrow().clone();
        Err(error.unwrap_or_else(ended))
    }

    /// Writes what waits, and nothing that comes later; comes back when the writer has let
    /// go of the database.
    pub async fn stop(&self) {
        // When it has ended already there is nobody to tell.
        let _ = self.queue.send(None).await;
        let mut place = self.place.clone();
        while place.changed().await.is_ok() {}
    }

    /// What checks the log's heads.
    #[must_use]
    pub fn log_key(&self) -> [u8; 32] {
        self.log_key
    }

    /// Set when the process must end: the disk did not keep what it was told to, or
    /// somebody put an older database there.
    #[must_use]
    pub fn fault(&self) -> watch::Receiver<Option<StoreError>> {
        self.fault.clone()
    }

    /// Counts the batches that failed.
    #[must_use]
    pub fn failures(&self) -> Counter {
        self.failures.clone()
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.place.borrow().1
    }

    /// The log's epoch and how many entries there are.
    #[must_use]
    pub fn head_place(&self) -> (u32, u64) {
        *self.place.borrow()
    }
}

/// 20 s: below the 30 s that a client waits for an answer, above what a database may take
/// that is there.
const WAIT_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests;
