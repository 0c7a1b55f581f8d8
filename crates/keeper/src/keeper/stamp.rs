//! The time that a request says it was asked at.
//!
//! Invariant: while a channel or a question is there, stamps follow the steady
//! clock and are never set back. Why: the authenticator holds each request
//! against the earliest of its channel, so after a wall clock was set back
//! every further one would be `expired` (`spec/pairing.md` section 5.4).

use keystead_daemon::Now;

/// What the stamps are ahead of the steady clock.
#[derive(Default)]
pub(super) struct Stamp {
    ahead_ms: u64,
}

/// Whether the authenticator may hold a stamp against earlier ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    None,
    Some,
}

impl Stamp {
    /// Seconds since 1970, for a request that is asked now.
    pub(super) fn take(&mut self, now: Now, earlier: Earlier) -> u64 {
        let unix_ms = now.unix_s.saturating_mul(1_000);
        let ahead_ms = unix_ms.saturating_sub(now.mono_ms);
        self.ahead_ms = match earlier {
            Earlier::None => ahead_ms,
            Earlier::Some => self.ahead_ms.max(ahead_ms),
        };
        now.mono_ms.saturating_add(self.ahead_ms) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(mono_ms: u64, unix_s: u64) -> Now {
        Now { mono_ms, unix_s }
    }

    #[track_caller]
    fn check(moments: &[(Now, Earlier)], expected: &[u64]) {
        let mut stamp = Stamp::default();
        let stamps = moments
            .iter()
            .map(|(now, earlier)| stamp.take(*now, *earlier));
        assert_eq!(stamps.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_clock_that_runs_is_followed() {
        let (none, some) = (Earlier::None, Earlier::Some);
        check(
            &[(at(5_000, 1_000), none), (at(65_000, 1_060), some)],
            &[1_000, 1_060],
        );
    }

    #[test]
    fn a_clock_that_is_set_back_sets_no_stamp_back() {
        let (none, some) = (Earlier::None, Earlier::Some);
        check(
            &[
                (at(5_000, 1_000), none),
                (at(6_000, 401), some),
                (at(66_000, 461), some),
            ],
            &[1_000, 1_001, 1_061],
        );
    }

    #[test]
    fn a_clock_that_is_put_forward_is_followed_and_a_fresh_start_believes_it() {
        let (none, some) = (Earlier::None, Earlier::Some);
        check(
            &[
                (at(5_000, 1_000), none),
                (at(6_000, 1_601), some),
                (at(7_000, 1_002), some),
                (at(8_000, 1_003), none),
            ],
            &[1_000, 1_601, 1_602, 1_003],
        );
    }
}
