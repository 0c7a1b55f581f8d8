//! The one writer of a process: group commit without a timer.
//!
//! **Invariant**: when a commit ends, all that waits (at most [`BATCH_MAX`]) is the next
//! one; nobody is answered before it is durable, and when it fails nothing of it has
//! happened and everybody in it is told why. An act that cannot be logged fails alone, and
//! one that was withdrawn before its batch began is not done.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use keystead_channel::log::Hash;
use keystead_channel::log::tile::Tile;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot, watch};

use super::act::{Act, Batch, Committed, NewEntry};
use super::batch::{self, Held, Member, NumberedKey, Tools};
use super::key;
use super::nodes::Full;
use crate::rows::{AccountNo, Rows, Table};
use crate::store::{Now, Store, StoreError, Wanted, Writes};

/// What waits for the next commit; none ends the writer.
pub(super) type Waiting = Option<Box<dyn Job>>;

type Jobs = Vec<Box<dyn Job>>;

/// An act that waits, whatever its answer is.
pub(super) trait Job: Member + Send {
    fn wanted(&self, wanted: &mut Wanted);

    /// From here on it is done or not by its batch; false: it was withdrawn before.
    fn begin(&self) -> bool;

    /// It is durable.
    fn done(self: Box<Self>, batch: Arc<Batch>);
}

/// The writer's own state.
pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) tools: Arc<Tools>,
    pub(super) key: Arc<NumberedKey>,
    pub(super) held: Option<Held>,
    /// Epoch and size at the last commit.
    pub(super) seen: (u32, u64),
    pub(super) fault: watch::Sender<Option<StoreError>>,
    pub(super) failed: watch::Sender<Option<StoreError>>,
    /// How many batches did.
    pub(super) failures: Counter,
    pub(super) place: watch::Sender<(u32, u64)>,
    pub(super) full_tiles: Arc<Full>,
}

impl Writer {
    /// Writes until nobody can ask any more, or going on could lose what was promised.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Waiting>) {
        let mut waiting = Vec::new();
        loop {
            let count = queue.recv_many(&mut waiting, BATCH_MAX).await;
            let jobs: Vec<_> = waiting.drain(..).map_while(|it| it).collect();
            let is_last = jobs.len() < count || count == 0;
            if !jobs.is_empty()
                && let Err(error) = self.commit(jobs).await
            {
                tracing::error!(%error, "a batch was not written");
                self.failures.inc();
                self.failed.send_replace(Some(error.clone()));
                if error.ends_the_process() {
                    self.fault.send_replace(Some(error));
                    return;
                }
            }
            if is_last {
                return;
            }
        }
    }

    /// One batch. Jobs that are dropped are told so by their channel.
    async fn commit(&mut self, jobs: Jobs) -> Result<(), StoreError> {
        let Tried::Stale(jobs) = self.attempt(jobs).await? else {
            return Ok(());
        };
        // Another process gave the log a new key: all is as it was, so once more.
        self.key = Arc::new(key::read(&self.store, &self.tools.sealing).await?.1);
        match self.attempt(jobs).await? {
            Tried::Done => Ok(()),
            Tried::Stale(_) => Err(StoreError::Corrupt(Table::System)),
        }
    }

    /// One transaction.
    async fn attempt(&mut self, mut jobs: Jobs) -> Result<Tried, StoreError> {
        let mut wanted = Wanted::new();
        wanted.chain(AccountNo::SYSTEM);
        wanted.log_tail = Some(self.held.as_ref().map_or(0, |it| it.edge.size()));
        for job in &jobs {
            job.wanted(&mut wanted);
        }
        let held = self.held.take();
        let (tools, key, seen) = (self.tools.clone(), self.key.clone(), self.seen);
        let decided = self.store.transact(wanted, move |now, head, loaded| {
            let found = (head.epoch, head.size);
            if found.0 < seen.0 || found.1 < seen.1 {
                return (Writes::new(), Err(went_back(seen, found)));
            }
            if head.key_no > key.number {
                return (Writes::new(), Ok(Decided::Stale(jobs)));
            }
            jobs.retain(|job| job.begin());
            let epoch = head.epoch;
            match batch::decide(&mut jobs, held, (now, head, loaded), &key, &tools) {
                Ok(decision) => {
                    let done = Done {
                        jobs,
                        batch: decision.batch,
                        held: decision.held,
                        seen: (epoch, decision.size),
                        filled: decision.filled,
                    };
                    (decision.writes, Ok(Decided::Done(Box::new(done))))
                }
                Err(error) => (Writes::new(), Err(error)),
            }
        });
        let done = match decided.await?? {
            Decided::Done(done) => done,
            Decided::Stale(jobs) => return Ok(Tried::Stale(jobs)),
        };
        self.held = Some(done.held);
        self.seen = done.seen;
        self.place.send_replace(done.seen);
        if !done.filled.is_empty() {
            self.full_tiles.filled(done.seen.0.into(), done.filled);
        }
        let batch = Arc::new(done.batch);
        for job in done.jobs {
            job.done(batch.clone());
        }
        Ok(Tried::Done)
    }
}

/// How an attempt went.
enum Tried {
    Done,
    /// Nothing was decided: the log has another key than ours.
    Stale(Jobs),
}

/// What comes out of a transaction.
enum Decided {
    Done(Box<Done>),
    Stale(Jobs),
}

/// A batch that is durable.
struct Done {
    jobs: Jobs,
    batch: Batch,
    held: Held,
    seen: (u32, u64),
    filled: Vec<(Tile, Vec<Hash>)>,
}

fn went_back(seen: (u32, u64), found: (u32, u64)) -> StoreError {
    StoreError::HeadWentBack {
        seen_epoch: seen.0,
        seen_size: seen.1,
        found_epoch: found.0,
        found_size: found.1,
    }
}

/// What who waits is told.
pub(super) type Answered<A> = Result<Committed<<A as Act>::Answer>, StoreError>;

/// Who has an act: who asked for it, until it is begun or withdrawn.
#[derive(Clone, Default)]
pub(super) struct Claim(Arc<AtomicU8>);

impl Claim {
    /// The writer's: whether it was not withdrawn. A batch that is tried again has it still.
    fn begin(&self) -> bool {
        self.take(BEGUN) != Err(WITHDRAWN)
    }

    /// Of who asked: whether it was not begun, and now never will be.
    pub(super) fn withdraw(&self) -> bool {
        self.take(WITHDRAWN).is_ok()
    }

    fn take(&self, by: u8) -> Result<u8, u8> {
        let order = Ordering::AcqRel;
        self.0.compare_exchange(WAITS, by, order, Ordering::Acquire)
    }
}

const WAITS: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// An act with who waits for it.
pub(super) struct Asked<A: Act> {
    claim: Claim,
    act: Option<A>,
    answer: Option<A::Answer>,
    entries: Range<usize>,
    /// Why it alone was not done.
    refused: Option<StoreError>,
    to: oneshot::Sender<Answered<A>>,
}

impl<A: Act> Asked<A> {
    pub(super) fn new(act: A) -> (Self, oneshot::Receiver<Answered<A>>) {
        let (to, from) = oneshot::channel();
        let asked = Self {
            claim: Claim::default(),
            act: Some(act),
            answer: None,
            entries: 0..0,
            refused: None,
            to,
        };
        (asked, from)
    }

    /// To withdraw it by.
    pub(super) fn claim(&self) -> Claim {
        self.claim.clone()
    }
}

impl<A: Act> Member for Asked<A> {
    fn decide(&mut self, now: Now, rows: &mut Rows<'_>) -> Vec<NewEntry> {
        let Some(act) = self.act.take() else {
            return Vec::new();
        };
        let decided = act.decide(now, rows);
        self.answer = Some(decided.answer);
        decided.entries
    }

    fn placed(&mut self, entries: Range<usize>) {
        self.entries = entries;
    }

    fn refused(&mut self, error: StoreError) {
        self.refused = Some(error);
    }
}

impl<A: Act> Job for Asked<A> {
    fn begin(&self) -> bool {
        self.claim.begin()
    }

    fn wanted(&self, wanted: &mut Wanted) {
        if let Some(act) = &self.act {
            act.wanted(wanted);
        }
    }

    fn done(self: Box<Self>, batch: Arc<Batch>) {
        let answered = match (self.refused, self.answer) {
            (Some(error), _) => Err(error),
            (None, Some(answer)) => Ok(Committed::new(answer, batch, self.entries)),
            (None, None) => return,
        };
        // Who hung up meanwhile is not told; what was done is in the log.
        let _ = self.to.send(answered);
    }
}

/// 512 acts a commit: their rows and leaves are some hundred KiB.
pub(super) const BATCH_MAX: usize = 512;

/// 4,096 acts that wait: eight commits; more would wait longer than their clients do.
pub(super) const QUEUE_MAX: usize = 4_096;
