//! PostgreSQL: any number of processes.

use std::path::Path;

use crate::rows::{Head, Row};
use crate::sealing::Sealing;

use super::{Loaded, Now, Raw, Scan, StoreError, Wanted, Writes};

/// A database server.
#[derive(Clone)]
pub struct Postgres {}

impl Postgres {
    pub(super) async fn open(_address: &str, _folder: &Path) -> Result<Self, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) async fn read(&self, _wanted: Wanted) -> Result<Loaded, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) async fn transact<T: Send + 'static>(
        &self,
        _wanted: Wanted,
        _decide: impl FnOnce(Now, Head, Loaded) -> (Writes, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) async fn scan(&self, _scan: &Scan) -> Result<Vec<Row>, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) async fn found(&self, _raw: Raw) -> Result<Raw, StoreError> {
        Err(StoreError::Unavailable("in the making".to_owned()))
    }

    pub(super) fn unseal(&self, _sealing: Sealing) {}
}
