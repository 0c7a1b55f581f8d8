//! What a client is told when the store did not do as asked.

use keystead_channel::session::Status;

use crate::ledger::ReadError;
use crate::store::StoreError;

/// The code of an error frame or an answer.
#[must_use]
pub fn status_of(error: &StoreError) -> Status {
    match error {
        StoreError::Corrupt(_) | StoreError::Damaged(_) => Status::Corrupt,
        StoreError::Unavailable(_)
        | StoreError::NoTls(_)
        | StoreError::SyncFailed(_)
        | StoreError::HeadWentBack { .. }
        | StoreError::Newer { .. }
        | StoreError::Locked(_)
        | StoreError::Address(_)
        | StoreError::NewerMasterKey
        | StoreError::NoBackup(_)
        | StoreError::NotDurable(_) => Status::Unavailable,
    }
}

/// The same where the log was read.
#[must_use]
pub fn status_of_reading(error: &ReadError) -> Status {
    match error {
        ReadError::Store(error) => status_of(error),
        ReadError::Corrupt(_) => Status::Corrupt,
    }
}
