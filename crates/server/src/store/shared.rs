//! What both databases do around a transaction, without touching either.
//!
//! **Invariant**: a head that went back is never decided over; a head row is written with
//! every batch, whose id settles a COMMIT without an answer; a deleted secret is remembered
//! outside the database before the batch that deletes it can be durable.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use keystead_daemon::clock::{Clock, SystemClock};
use keystead_daemon::rng::SystemRng;
use rand_core::RngCore;

use crate::rows::{HeadRow, Key, LogBlock, Record, Row, Table};
use crate::sealing::Sealing;

use super::clock::{JUMP_MS, Watch};
use super::tombstones::{Buried, Tombstones};
use super::{Head, Lives, Loaded, Now, StoreError, Sweep, Wanted, Writes};

/// What a process remembers between transactions.
pub(super) struct Memory {
    sealing: OnceLock<Sealing>,
    seen: Mutex<(u32, u64)>,
    /// The last head row that was opened: most reads find it again.
    opened: Mutex<Option<(Row, HeadRow)>>,
    watch: Mutex<Watch>,
    lives: OnceLock<Lives>,
    unknown_guesses: Mutex<usize>,
    tombstones: Mutex<Tombstones>,
}

impl Memory {
    /// Of the process whose folder this is.
    pub(super) fn new(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            sealing: OnceLock::new(),
            seen: Mutex::new((0, 0)),
            opened: Mutex::new(None),
            watch: Mutex::new(Watch::new()),
            lives: OnceLock::new(),
            // The first transaction with an unknown name looks how many there are.
            unknown_guesses: Mutex::new(UNKNOWN_GUESSES_SLACK),
            tombstones: Mutex::new(Tombstones::open(folder)?),
        })
    }

    /// Remembers what a batch is about to delete, outside the database.
    pub(super) fn bury(&self, writes: &Writes) -> Result<Vec<Buried>, StoreError> {
        let buried = Tombstones::of(writes);
        if !buried.is_empty() {
            let mut tombstones = lock(&self.tombstones);
            // Applied from here after a restoration, it is here.
            let new = buried.iter().filter(|it| !tombstones.buried().contains(it));
            let new: Vec<Buried> = new.copied().collect();
            tombstones.bury(&new)?;
            return Ok(new);
        }
        Ok(buried)
    }

    /// What other servers of the same database deleted.
    pub(super) fn remember(&self, others: &[Buried]) -> Result<(), StoreError> {
        lock(&self.tombstones).bury(others)
    }

    /// The batch was not committed.
    pub(super) fn take_back(&self, buried: &[Buried]) -> Result<(), StoreError> {
        lock(&self.tombstones).take_back(buried)
    }

    /// All that was deleted.
    pub(super) fn buried(&self) -> Vec<Buried> {
        let tombstones = lock(&self.tombstones);
        tombstones.buried().iter().copied().collect()
    }

    /// What the last batches before the start were to delete.
    pub(super) fn last_buried(&self) -> Vec<Buried> {
        lock(&self.tombstones).last()
    }

    pub(super) fn unseal(&self, sealing: Sealing) {
        // A second one is of the same database and key.
        let _ = self.sealing.set(sealing);
    }

    pub(super) fn sealing(&self) -> Result<&Sealing, StoreError> {
        let sealed = || StoreError::Unavailable("it is sealed still".to_owned());
        self.sealing.get().ok_or_else(sealed)
    }

    /// The newest head that this process has seen, as epoch and size. A snapshot that begins
    /// after this must have it or a later one.
    pub(super) fn seen(&self) -> (u32, u64) {
        *lock(&self.seen)
    }

    /// Opens the head row; refuses one that lies behind what was `seen` before it was read:
    /// meanwhile a commit may have come.
    pub(super) fn head(&self, row: Option<&Row>, seen: (u32, u64)) -> Result<HeadRow, StoreError> {
        // `found` puts it.
        let row = row.ok_or(StoreError::Corrupt(Table::Head))?;
        let head = self.open_head(row)?;
        let found = (head.head.epoch, head.head.size);
        if found < seen {
            return Err(StoreError::HeadWentBack {
                seen_epoch: seen.0,
                seen_size: seen.1,
                found_epoch: found.0,
                found_size: found.1,
            });
        }
        let mut newest = lock(&self.seen);
        *newest = (*newest).max(found);
        Ok(head)
    }

    fn open_head(&self, row: &Row) -> Result<HeadRow, StoreError> {
        let known = lock(&self.opened);
        if let Some((_, head)) = known.as_ref().filter(|(known, _)| known == row) {
            return Ok(head.clone());
        }
        drop(known);
        let head = HeadRow::from_row(row, self.sealing()?)?;
        *lock(&self.opened) = Some((row.clone(), head.clone()));
        Ok(head)
    }

    /// Whether another process made or dropped data keys since ours were read. The count
    /// stands open in the head row, and is checked by its seal when that opens.
    pub(super) fn wants_keys(&self, head: Option<&Row>) -> Result<Option<u32>, StoreError> {
        let counted = head.and_then(|row| row.number(KEYS_COLUMN));
        let counted = counted.and_then(|it| u32::try_from(it).ok());
        let known = self.sealing()?.keys_counted();
        Ok(counted.filter(|counted| *counted != known))
    }

    /// The time by a clock that may be set, which says `clock_ms`.
    pub(super) fn now(&self, clock_ms: u64, committed_ms: u64) -> Now {
        let steady_ms = SystemClock.now().mono_ms;
        lock(&self.watch).look(clock_ms, steady_ms, committed_ms)
    }

    pub(super) fn keep_no_longer(&self, lives: Lives) {
        // A second one is of the same settings.
        let _ = self.lives.set(lives);
    }

    /// What had expired by the last commit, if it is `now_ms` again and that lies behind:
    /// it goes before anything is read, so that a clock that went back revives nothing.
    pub(super) fn over(&self, now_ms: u64, committed_ms: u64) -> Option<Sweep> {
        let went_back = committed_ms > now_ms.saturating_add(JUMP_MS);
        let lives = self.lives.get().filter(|_| went_back);
        lives.map(|it| it.over(committed_ms))
    }

    /// The head row as it will be after the batch.
    pub(super) fn next_head(
        &self,
        before: &HeadRow,
        writes: &mut Writes,
        now: Now,
    ) -> Result<HeadRow, StoreError> {
        let mut batch = [0; 16];
        SystemRng.fill_bytes(&mut batch);
        let mut head = writes.head.take().unwrap_or_else(|| before.head.clone());
        head.batch = batch;
        let row = HeadRow {
            head,
            time_ms: now.ms,
            next_account: writes.next_account.unwrap_or(before.next_account),
            data_keys: writes.data_keys.unwrap_or(before.data_keys),
        };
        writes.put(Table::Head, row.to_row(self.sealing()?));
        Ok(row)
    }

    /// A batch is durable.
    pub(super) fn committed(&self, head: &Head, now: Now) {
        let mut seen = lock(&self.seen);
        *seen = (*seen).max((head.epoch, head.size));
        if now.jump.is_some() {
            lock(&self.watch).told();
        }
    }

    /// Has the rows of unknown names counted and the oldest dropped, when enough new ones
    /// have come.
    pub(super) fn drop_guesses(&self, writes: &mut Writes) {
        let new = writes.unknown_guesses;
        let mut count = lock(&self.unknown_guesses);
        *count = count.saturating_add(new);
        if new > 0 && *count > UNKNOWN_GUESSES_SLACK {
            *count = 0;
            writes.unknown_guesses_kept = Some(UNKNOWN_GUESSES_KEPT);
        }
    }
}

/// Rows by table, then key, as both databases read them.
pub(super) fn keys_by_table(wanted: &Wanted) -> BTreeMap<Table, Vec<&Key>> {
    let mut tables: BTreeMap<Table, Vec<&Key>> = BTreeMap::new();
    for (table, key) in &wanted.keys {
        tables.entry(*table).or_default().push(key);
    }
    tables
}

/// What the ledger put, as rows; its deletions are ranges and stay.
pub(super) fn log_rows(writes: &mut Writes) {
    for block in std::mem::take(&mut writes.blocks_put) {
        writes.put(Table::Block, block.to_row());
    }
    for tile in std::mem::take(&mut writes.tiles_put) {
        writes.put(Table::Tile, tile.to_row());
    }
    for index in std::mem::take(&mut writes.index_put) {
        writes.put(Table::LeafIndex, index.to_row());
    }
}

/// Takes a row into what was read.
pub(super) fn take(loaded: &mut Loaded, table: Table, row: Row) {
    loaded.rows.insert((table, row.key(table)), row);
}

/// Blocks of rows; one of another form is corrupt.
pub(super) fn blocks(rows: &[Row]) -> Result<Vec<LogBlock>, StoreError> {
    let blocks = rows.iter().map(LogBlock::from_row);
    let corrupt = StoreError::Corrupt(Table::Block);
    blocks.collect::<Option<Vec<_>>>().ok_or(corrupt)
}

/// The first leaves of the last tile that is not full, or of the one that was held if that
/// comes later; and the growing tiles above, if another tile was held.
pub(super) fn tail(held: u64, size: u64) -> (u64, Vec<(u8, u64)>) {
    let first = held.max(size & !TILE_MASK);
    let mut above = Vec::new();
    if held >> TILE_BITS != size >> TILE_BITS {
        for level in 1..LEVELS {
            let bits = u32::from(level).saturating_add(1).saturating_mul(TILE_BITS);
            above.push((level, size.checked_shr(bits).unwrap_or(0)));
            if size.checked_shr(bits).unwrap_or(0) == 0 {
                break;
            }
        }
    }
    (first, above)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 2^20 rows of names that no account has (`spec/session.md` section 5.2).
const UNKNOWN_GUESSES_MAX: usize = 1 << 20;

/// So many may come before the oldest are dropped; each process counts for itself, and room
/// for sixteen of them is kept free.
const UNKNOWN_GUESSES_SLACK: usize = 1_024;

/// What stays when some are dropped.
const UNKNOWN_GUESSES_KEPT: usize = UNKNOWN_GUESSES_MAX - 16 * UNKNOWN_GUESSES_SLACK;

/// Where `data_keys` is in the head row.
pub(super) const KEYS_COLUMN: usize = 6;

/// 256 hashes a tile (C2SP tlog-tiles).
const TILE_BITS: u32 = 8;
const TILE_MASK: u64 = (1 << TILE_BITS) - 1;

/// 2^62 leaves: more than there will be.
const LEVELS: u8 = 8;
