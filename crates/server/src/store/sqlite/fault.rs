//! What SQLite's errors mean.
//!
//! **Invariant**: a failed fsync is told from every other failure: after it nobody knows
//! what the disk has, and only a new start reads it again.

use rusqlite::ffi;
use rusqlite::{Error, ErrorCode};

use super::super::StoreError;

/// An error with what was being done.
pub(super) trait Doing<T> {
    /// Says what.
    fn doing(self, what: &str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing(self, what: &str) -> Result<T, StoreError> {
        self.map_err(|error| of(&error, what))
    }
}

fn of(error: &Error, what: &str) -> StoreError {
    let told = format!("{what}: {error}");
    match error.sqlite_error() {
        Some(failure) if SYNC_FAILURES.contains(&failure.extended_code) => {
            StoreError::SyncFailed(told)
        }
        Some(failure)
            if matches!(
                failure.code,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
            ) =>
        {
            StoreError::Damaged(told)
        }
        Some(_) | None => StoreError::Unavailable(told),
    }
}

/// Of the file, and of the folder that has its name.
const SYNC_FAILURES: [i32; 2] = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC];
