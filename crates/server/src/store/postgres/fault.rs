//! What PostgreSQL's errors mean.
//!
//! **Invariant**: the server syncs for itself and restarts when that fails, so an error
//! here is never more than an outcome that is not known yet.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::super::StoreError;

/// An error with what was being done.
pub(super) trait Doing<T> {
    /// Says what.
    fn doing(self, what: &str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing(self, what: &str) -> Result<T, StoreError> {
        self.map_err(|error| {
            let told = match error.as_db_error() {
                Some(said) => format!("{what}: {}", said.message()),
                None => format!("{what}: {error}"),
            };
            match error.code() {
                Some(code) if DAMAGES.contains(&code) => StoreError::Damaged(told),
                Some(_) | None => StoreError::Unavailable(told),
            }
        })
    }
}

/// Class XX, where the files are not what they were.
const DAMAGES: [&SqlState; 2] = [&SqlState::DATA_CORRUPTED, &SqlState::INDEX_CORRUPTED];
