//! Rows sealed under data keys, data keys under the master key (`spec/requirements.md`, 40).
//!
//! **Invariant**: nothing that a row's open columns decide can be changed without its seal
//! failing: they are its associated data. Keys are found by the id that stands in front of
//! the seal; the newest of a purpose seals.

mod keys;
mod master;
mod open;

use std::sync::{Arc, PoisonError, RwLock};

use keystead_channel::session::ServerId;
use keystead_daemon::rng::SystemRng;
use keystead_sodium::memory::Locked;
use keystead_sodium::xchacha::{self, NONCE_BYTES};
use rand_core::RngCore;

use crate::rows::{Cell, Key, Row, RowFault, Table};

pub(crate) use keys::Keys;
pub use keys::Purpose;
pub use master::{MasterKey, MasterKeyFault, MasterSource};
pub use open::SealingError;

/// Opens and seals rows; a handle, shared by all that do.
#[derive(Clone)]
pub struct Sealing(Arc<Inner>);

struct Inner {
    server: ServerId,
    source: MasterSource,
    keys: RwLock<Keys>,
}

impl Sealing {
    pub(crate) fn new(server: ServerId, source: MasterSource, keys: Keys) -> Self {
        Self(Arc::new(Inner {
            server,
            source,
            keys: RwLock::new(keys),
        }))
    }

    /// Whose rows these are.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.0.server
    }

    /// Seals `plain` as a row of `table` whose other columns are `open`.
    #[must_use]
    pub fn seal(&self, table: Table, open: &[Cell], plain: &[u8]) -> Vec<u8> {
        let associated = self.associated(table, open);
        let mut nonce = [0; NONCE_BYTES];
        SystemRng.fill_bytes(&mut nonce);
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (id, key) = keys.newest(Purpose::of(table));
        let sealed = xchacha::seal(key.expose(), &nonce, &associated, plain);
        [&id.to_be_bytes(), nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Sealing::seal`] made of the same table and columns.
    ///
    /// # Errors
    /// [`RowFault::Corrupt`].
    pub fn open(&self, table: Table, open: &[Cell], sealed: &[u8]) -> Result<Locked, RowFault> {
        let corrupt = RowFault::Corrupt(table);
        let (id, rest) = sealed.split_first_chunk().ok_or(corrupt)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(corrupt)?;
        let associated = self.associated(table, open);
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys
            .find(u32::from_be_bytes(*id), Purpose::of(table))
            .ok_or(corrupt)?;
        xchacha::open(key.expose(), nonce, &associated, sealed).map_err(|_| corrupt)
    }

    /// Whether the row's seal is under a key that is not the newest of its purpose.
    #[must_use]
    pub fn is_stale(&self, table: Table, row: &Row) -> bool {
        let id = row
            .cells
            .last()
            .and_then(Cell::as_bytes)
            .and_then(<[u8]>::first_chunk);
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (newest, _) = keys.newest(Purpose::of(table));
        table.is_sealed() && id.is_some_and(|id| u32::from_be_bytes(*id) != newest)
    }

    /// Seals a row anew, under the newest key.
    ///
    /// # Errors
    /// [`RowFault::Corrupt`].
    pub fn reseal(&self, table: Table, row: &Row) -> Result<Row, RowFault> {
        let corrupt = RowFault::Corrupt(table);
        let (sealed, open) = row.cells.split_last().ok_or(corrupt)?;
        let plain = self.open(table, open, sealed.as_bytes().ok_or(corrupt)?)?;
        let mut cells = open.to_vec();
        cells.push(Cell::Bytes(self.seal(table, open, plain.as_slice())));
        Ok(Row { cells })
    }

    /// The count in the head row that the keys in memory belong to.
    pub(crate) fn keys_counted(&self) -> u32 {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.counted
    }

    /// New data keys, one of each purpose, and all that there are, sealed under `master`.
    pub(crate) fn with_new_keys(&self, master: &MasterKey) -> Option<Vec<Row>> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (_, mut rows) = Keys::draw(keys.last(), 0, master)?;
        rows.extend(keys.rows_under(master));
        Some(rows)
    }

    /// The keys of rows of data keys that seal no more.
    pub(crate) fn stale_keys(&self) -> Vec<Key> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let cells = |id: u32| vec![Cell::number(id.into())];
        let ids = keys.stale().into_iter();
        ids.map(|id| Key { cells: cells(id) }).collect()
    }

    pub(crate) fn source(&self) -> &MasterSource {
        &self.0.source
    }

    pub(crate) fn replace(&self, keys: Keys) {
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// "keystead/1 row" ‖ server_id ‖ L(table) ‖ each bound column: 0 ‖ u64, or
    /// 1 ‖ length u32 ‖ bytes.
    fn associated(&self, table: Table, open: &[Cell]) -> Vec<u8> {
        let shape = table.shape();
        let mut out = Vec::with_capacity(ASSOCIATED_ROOM);
        out.extend_from_slice(b"keystead/1 row");
        out.extend_from_slice(&self.0.server.0);
        let name = shape.name.as_bytes();
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(name);
        for cell in open.iter().take(shape.bound) {
            match cell {
                Cell::Int(number) => {
                    out.push(0);
                    out.extend_from_slice(&number.to_be_bytes());
                }
                Cell::Bytes(bytes) => {
                    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    out.push(1);
                    out.extend_from_slice(&length.to_be_bytes());
                    out.extend_from_slice(bytes);
                }
            }
        }
        out
    }
}

/// The longest of ours: an account's.
const ASSOCIATED_ROOM: usize = 160;
