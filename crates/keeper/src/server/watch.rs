//! What was seen of one account's log, shared by all who ask in its name.
//!
//! **Invariant**: a check that fails leaves what was seen before as it was, with both
//! heads kept ([`super::seen`]); it can only go forward, or by a person's word.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::MutexGuard as Turn;

use super::seen::Seen;

/// What was seen of one account's log at one server.
pub struct Watch {
    seen: Mutex<Seen>,
    /// Held by who asks for a head: one at a time, so that each continues the one before.
    looking: tokio::sync::Mutex<()>,
}

impl Watch {
    /// Goes on from what was seen before.
    #[must_use]
    pub fn new(seen: Seen) -> Self {
        Self {
            seen: Mutex::new(seen),
            looking: tokio::sync::Mutex::new(()),
        }
    }

    /// Looks at it, or changes it by a checked step.
    pub fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.lock())
    }

    /// The turn to ask for a head, if it is time to and nobody does.
    pub(super) fn due(&self, now_ms: u64) -> Option<Turn<'_, ()>> {
        let turn = self.looking.try_lock().ok()?;
        self.lock().is_due(now_ms).then_some(turn)
    }

    /// The turn to ask for a head, when whoever asks has done so.
    pub(super) async fn turn(&self) -> Turn<'_, ()> {
        self.looking.lock().await
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
