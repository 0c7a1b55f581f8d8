//! What was seen of one account's log, shared by all who ask in its name.
//!
//! **Invariant**: a check that fails leaves what was seen before as it was, with both
//! heads kept ([`super::seen`]); it can only go forward, or by a person's word.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keystead_channel::session::requests::Head;

use super::seen::Seen;

/// What was seen of one account's log at one server.
pub struct Watch {
    seen: Mutex<Seen>,
    /// Somebody asks for a head already.
    is_looking: AtomicBool,
}

impl Watch {
    /// Goes on from what was seen before.
    #[must_use]
    pub fn new(seen: Seen) -> Self {
        Self {
            seen: Mutex::new(seen),
            is_looking: AtomicBool::new(false),
        }
    }

    /// Looks at it, or changes it by a checked step.
    pub fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.lock())
    }

    /// The head to ask for now, if it is time to and nobody does; [`Watch::looked`] ends it.
    pub(super) fn due(&self, now_ms: u64) -> Option<Head> {
        let mut seen = self.lock();
        if !seen.is_due(now_ms) || self.is_looking.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(seen.head_request())
    }

    pub(super) fn looked(&self) {
        self.is_looking.store(false, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
