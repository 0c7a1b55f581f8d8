//! From a database and a master key to what opens its rows; at the first start the server's
//! own keys are drawn.
//!
//! **Invariant**: of processes that start on an empty database at once, one draws and the
//! others take what it drew.

use keystead_daemon::rng::SystemRng;

use crate::rows::{HeadRow, Record, Row, RowFault, System, Table};
use crate::store::{Raw, Store, StoreError};

use super::Sealing;
use super::keys::Keys;
use super::master::{MasterKey, MasterKeyFault, MasterSource};

/// Why rows cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealingError {
    /// There is no master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyFault),
    /// It is another database's.
    #[error("the master key is not the one that this database is sealed under")]
    OtherMasterKey,
    /// The server's own keys do not open.
    #[error("the server's own keys do not open")]
    Corrupt,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sealing {
    /// Opens `store` with the master key; if it is empty, draws a server first.
    ///
    /// # Errors
    /// [`SealingError`].
    pub async fn begin(
        store: &Store,
        source: MasterSource,
    ) -> Result<(Self, System), SealingError> {
        let masters = source.read()?;
        let master = masters.first().ok_or(SealingError::OtherMasterKey)?;
        let system = System::draw(&mut SystemRng);
        let (keys, rows) = Keys::draw(0, FIRST_COUNT, master).ok_or(SealingError::Corrupt)?;
        let sealing = Self::new(system.server_id(), source.clone(), keys);
        let head = HeadRow {
            data_keys: FIRST_COUNT,
            ..HeadRow::default()
        };
        let raw = store.found(Raw {
            data_keys: rows,
            system: system.to_row(&sealing),
            head: head.to_row(&sealing),
            counted: FIRST_COUNT,
        });
        let raw = raw.await?;
        let sealing = of_raw(&raw, source)?;
        let system = System::from_row(&raw.system, &sealing);
        let system = system.map_err(|_: RowFault| SealingError::Corrupt)?;
        store.unseal(sealing.clone());
        Ok((sealing, system))
    }

    /// Reads the data keys anew: another process made or dropped some.
    pub(crate) fn renew(&self, rows: &[Row], counted: u32) -> Result<(), StoreError> {
        let corrupt = StoreError::Corrupt(Table::DataKey);
        let masters = self.source().read().map_err(|_| corrupt.clone())?;
        if !is_under_one_of(&masters, rows) {
            let error = StoreError::NewerMasterKey;
            tracing::error!("{error}: {}", error.hint());
            return Err(error);
        }
        let keys = Keys::open(rows, counted, &masters).ok_or(corrupt)?;
        self.replace(keys);
        Ok(())
    }
}

fn of_raw(raw: &Raw, source: MasterSource) -> Result<Sealing, SealingError> {
    let masters = source.read()?;
    let server = raw.system.array(1).ok_or(SealingError::Corrupt)?;
    let server = keystead_channel::session::ServerId(server);
    if !is_under_one_of(&masters, &raw.data_keys) {
        return Err(SealingError::OtherMasterKey);
    }
    let keys = Keys::open(&raw.data_keys, raw.counted, &masters).ok_or(SealingError::Corrupt)?;
    Ok(Sealing::new(server, source, keys))
}

/// Whether some data key says that it is sealed under one of these.
fn is_under_one_of(masters: &[MasterKey], data_keys: &[Row]) -> bool {
    let is_known = |row: &Row| masters.iter().any(|it| row.bytes(2) == Some(&it.id()));
    data_keys.iter().any(is_known)
}

/// The head row's count of data keys in a new database.
const FIRST_COUNT: u32 = 1;
