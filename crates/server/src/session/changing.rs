//! A change of an account's password, between its two requests.

use std::sync::{Mutex, PoisonError};

use keystead_channel::session::AwaitRecord;

/// A change of password that has begun, in a session's memory: the last one alone counts.
#[derive(Default)]
pub struct Changing(Mutex<Option<AwaitRecord>>);

impl Changing {
    /// It has begun.
    pub fn put(&self, state: AwaitRecord) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// It ends, whatever becomes of it.
    #[must_use]
    pub fn take(&self) -> Option<AwaitRecord> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.take()
    }
}
