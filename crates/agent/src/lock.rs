//! `ssh-add -x` and `-X`: while the agent is locked nothing is listed, signed or changed (RFC 9987
//! §3.7).
//!
//! **Invariant:** a try that comes while a wrong one is still being paid for is refused unlooked
//! at, whoever tries: passphrases cannot be tried faster by trying on many connections.

use keystead_core::SecretBytes;

/// Open, or closed by a passphrase.
#[derive(Default)]
pub(crate) struct Lock {
    passphrase: Option<SecretBytes>,
    not_before_ms: u64,
    failures: u32,
}

/// How a try to unlock went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Try {
    /// It is open.
    Open,
    /// It was not closed.
    WasOpen,
    /// No; the answer is to leave at this moment of the steady clock.
    Wrong { at_ms: u64 },
}

impl Lock {
    pub(crate) const fn is_closed(&self) -> bool {
        self.passphrase.is_some()
    }

    /// False when it is closed already.
    pub(crate) fn close(&mut self, passphrase: &[u8]) -> bool {
        if self.is_closed() {
            return false;
        }
        self.passphrase = Some(secret(passphrase));
        self.failures = 0;
        true
    }

    /// Each wrong passphrase is answered later than the one before.
    pub(crate) fn open(&mut self, now_ms: u64, passphrase: &[u8]) -> Try {
        let Some(kept) = &self.passphrase else {
            return Try::WasOpen;
        };
        let is_early = now_ms < self.not_before_ms;
        if !is_early && kept.ct_eq(&secret(passphrase)) {
            *self = Self::default();
            return Try::Open;
        }
        if !is_early {
            self.failures = (self.failures + 1).min(FAILURES_MAX);
            let pause_ms = PAUSE_MS * u64::from(self.failures);
            self.not_before_ms = now_ms.saturating_add(pause_ms);
        }
        let at_ms = self.not_before_ms;
        Try::Wrong { at_ms }
    }
}

fn secret(passphrase: &[u8]) -> SecretBytes {
    SecretBytes::fill(passphrase.len(), |bytes| bytes.copy_from_slice(passphrase))
}

/// OpenSSH's agent waits 0.1 s longer after each wrong passphrase.
const PAUSE_MS: u64 = 100;
/// And at most 10 s.
const FAILURES_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_passphrase_costs_time_on_every_connection() {
        let mut lock = Lock::default();
        assert_eq!(lock.open(0, b"x"), Try::WasOpen);
        assert!(lock.close(b"right"));
        assert!(!lock.close(b"other"), "closed already");
        assert_eq!(lock.open(0, b"wrong"), Try::Wrong { at_ms: 100 });
        assert_eq!(lock.open(99, b"right"), Try::Wrong { at_ms: 100 }, "early");
        assert_eq!(lock.open(100, b"wrong"), Try::Wrong { at_ms: 300 });
        assert_eq!(lock.open(300, b"right"), Try::Open);
        assert!(!lock.is_closed());
    }

    #[test]
    fn the_pause_ends_somewhere() {
        let mut lock = Lock::default();
        assert!(lock.close(b"right"));
        let mut now_ms = 0;
        for _ in 0..FAILURES_MAX * 2 {
            let Try::Wrong { at_ms } = lock.open(now_ms, b"wrong") else {
                panic!("it opened");
            };
            assert!(at_ms - now_ms <= 10_000);
            now_ms = at_ms;
        }
        assert_eq!(lock.open(now_ms, b"right"), Try::Open);
    }
}
