//! How long a test waits for an event before it says that it never came.

use std::time::{Duration, Instant};

/// A moment of real time.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(wait: Duration) -> Self {
        Self(now() + wait)
    }

    pub(crate) fn is_past(self) -> bool {
        now() >= self.0
    }

    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }
}

#[expect(clippy::disallowed_methods, reason = "real programs run in real time")]
fn now() -> Instant {
    Instant::now()
}
