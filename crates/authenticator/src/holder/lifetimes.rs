//! When keys that were brought are to be forgotten, on the clock that does not jump: a calendar
//! that is set back must keep none of them.

use keystead_core::KeyId;

/// The times of keys in custody.
#[derive(Default)]
pub(super) struct Lifetimes {
    ends: Vec<(KeyId, u64)>,
    /// Not before: a disk that failed is not asked in every step.
    retry_ms: u64,
}

impl Lifetimes {
    /// A key ends in so many seconds.
    pub(super) fn add(&mut self, id: KeyId, left_s: u64, now_ms: u64) {
        let ends_ms = now_ms.saturating_add(left_s.saturating_mul(1_000));
        self.ends.push((id, ends_ms));
    }

    /// A key has no time, or another one.
    pub(super) fn forget(&mut self, id: &KeyId) {
        self.ends.retain(|(it, _)| it != id);
    }

    /// Whether a key's time is over.
    pub(super) fn is_over(&self, id: &KeyId, now_ms: u64) -> bool {
        self.ends.iter().any(|(it, at)| it == id && now_ms >= *at)
    }

    /// Those that are over were removed.
    pub(super) fn end(&mut self, now_ms: u64) {
        self.ends.retain(|(_, at)| now_ms < *at);
    }

    /// Those that are over could not be removed.
    pub(super) fn try_later(&mut self, now_ms: u64) {
        self.retry_ms = now_ms.saturating_add(RETRY_MS);
    }

    /// Whether a removal may be tried.
    pub(super) const fn may_try(&self, now_ms: u64) -> bool {
        now_ms >= self.retry_ms
    }

    /// When the next one is over, or is tried again.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        let next = self.ends.iter().map(|(_, at)| *at).min()?;
        Some(next.max(self.retry_ms))
    }
}

/// A minute: somebody makes room on the disk meanwhile, or not.
const RETRY_MS: u64 = 60_000;
