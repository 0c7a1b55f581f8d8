//! How often a workstation may have an encrypted key file opened.
//!
//! **Invariant**: opening one is seconds of work, before anybody is asked and while nobody else
//! is answered; so a pairing gets a few at once, and then a small part of the time.

/// What a pairing had opened.
#[derive(Default)]
pub(super) struct Opening {
    /// When that is made up for.
    rested_ms: u64,
}

impl Opening {
    /// Takes one more; false where it is too soon.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        let rested_ms = self.rested_ms.max(now_ms).saturating_add(REST_MS);
        let is_soon = rested_ms.saturating_sub(now_ms) > AT_ONCE_MAX.saturating_mul(REST_MS);
        if !is_soon {
            self.rested_ms = rested_ms;
        }
        !is_soon
    }
}

/// 30 s: the costliest file that is opened takes four (`vault::import`).
const REST_MS: u64 = 30_000;

/// 4 files: a passphrase that is mistyped three times.
const AT_ONCE_MAX: u64 = 4;
