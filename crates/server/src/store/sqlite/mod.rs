//! SQLite: one file, one process.

use std::path::Path;

use crate::rows::{Head, Row};
use crate::sealing::Sealing;

use super::{Loaded, Now, Raw, Scan, StoreError, Wanted, Writes};

/// A database in a file.
#[derive(Clone)]
pub struct Sqlite {}

impl Sqlite {
    pub(super) fn open(_file: &Path, _folder: &Path) -> Result<Self, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) fn read(&self, _wanted: Wanted) -> Result<Loaded, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) async fn transact<T: Send + 'static>(
        &self,
        _wanted: Wanted,
        _decide: impl FnOnce(Now, Head, Loaded) -> (Writes, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) fn scan(&self, _scan: &Scan) -> Result<Vec<Row>, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) async fn found(&self, _raw: Raw) -> Result<Raw, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) fn unseal(&self, _sealing: Sealing) {}
}
