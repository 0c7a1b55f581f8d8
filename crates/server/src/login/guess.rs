//! How many wrong passwords a name takes (`spec/session.md` section 5.2).
//!
//! **Invariant**: a guess is counted before it is evaluated, and what is refused here is
//! not evaluated at all; neither a clock that jumps nor a restart shortens a wait.

use crate::settings::Guesses;

/// A counter: of a name, or of a device pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Evaluated without a success after them.
    pub count: u32,
    /// When the last one was.
    pub last_ms: u64,
}

/// What a try meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It is counted and evaluated.
    Open,
    /// Not before so many seconds.
    Wait(u32),
    /// Not before somebody lifts the lock.
    Locked,
}

/// When it is, as far as waits go.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The database's clock.
    pub now_ms: u64,
    /// Since when that clock has run without a jump: waits start there at the earliest.
    pub anew_ms: u64,
    /// When a backup was restored, 0 for never: the tries of before are gone, so nobody
    /// has free ones.
    pub restored_ms: u64,
}

impl Tries {
    /// What the next try meets. The counter is as it is to be kept: after a restore with
    /// the free tries used up, after a clock that went back with the wait begun anew.
    pub fn gate(&mut self, moment: Moment, rules: &Guesses) -> Gate {
        if moment.restored_ms > 0 && self.last_ms <= moment.restored_ms {
            self.count = self.count.max(rules.free);
            self.last_ms = moment.restored_ms;
        }
        // A last try in the future tells nothing of how long ago it was.
        self.last_ms = self.last_ms.min(moment.now_ms);
        if self.count >= rules.lock_after {
            return Gate::Locked;
        }
        let Some(waited) = self.count.checked_sub(rules.free) else {
            return Gate::Open;
        };
        let wait_s = 1_u32.checked_shl(waited).unwrap_or(rules.wait_s_max);
        let wait_s = wait_s.min(rules.wait_s_max);
        let since_ms = self.last_ms.max(moment.anew_ms);
        let until_ms = since_ms.saturating_add(u64::from(wait_s).saturating_mul(S_MS));
        match until_ms.checked_sub(moment.now_ms) {
            None | Some(0) => Gate::Open,
            // A client that waits as long as it is told is let in.
            Some(left_ms) => Gate::Wait(seconds(left_ms).min(wait_s)),
        }
    }

    /// One more, before it is evaluated.
    pub fn count(&mut self, now_ms: u64) {
        self.count = self.count.saturating_add(1);
        self.last_ms = now_ms;
    }
}

fn seconds(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(S_MS)).unwrap_or(u32::MAX)
}

const S_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    fn check(count: u32, ago_ms: u64, expected: Gate) {
        let mut tries = Tries {
            count,
            last_ms: NOW - ago_ms,
        };
        let gate = tries.gate(moment(NOW), &Guesses::default());
        assert_eq!(gate, expected, "{count} wrong, {ago_ms} ms ago");
    }

    fn moment(now_ms: u64) -> Moment {
        Moment {
            now_ms,
            anew_ms: 0,
            restored_ms: 0,
        }
    }

    #[test]
    fn five_are_free_and_then_waits_double() {
        for count in 0..5 {
            check(count, 0, Gate::Open);
        }
        for (count, wait_s) in [
            (5, 1),
            (6, 2),
            (7, 4),
            (16, 2_048),
            (17, 3_600),
            (99, 3_600),
        ] {
            check(count, 0, Gate::Wait(wait_s));
            check(count, u64::from(wait_s) * 1_000 - 1, Gate::Wait(1));
            check(count, u64::from(wait_s) * 1_000, Gate::Open);
        }
        check(100, 1_000_000_000, Gate::Locked);
        check(u32::MAX, 0, Gate::Locked);
    }

    /// All that a stranger gets in the first hour, asking every millisecond that matters.
    #[test]
    fn an_hour_of_guessing_gives_few() {
        let rules = Guesses::default();
        let mut tries = Tries::default();
        let mut evaluated = 0;
        for second in 0..3_600 {
            let now_ms = NOW + second * 1_000;
            while tries.gate(moment(now_ms), &rules) == Gate::Open {
                tries.count(now_ms);
                evaluated += 1;
            }
        }
        // Five, and one at each end of 1 + 2 + … + 1,024 = 2,047 s.
        assert_eq!(evaluated, 5 + 11);
    }

    #[test]
    fn no_clock_gives_a_guess() {
        let rules = Guesses::default();
        let years = 10 * 365 * 86_400_000_u64;
        let tried = Tries {
            count: 16,
            last_ms: years,
        };
        // Ten years back: the whole wait, from now on.
        let mut back = tried;
        assert_eq!(back.gate(moment(NOW), &rules), Gate::Wait(2_048));
        assert_eq!(back.last_ms, NOW);
        assert_eq!(back.gate(moment(NOW + 2_047_999), &rules), Gate::Wait(1));
        assert_eq!(back.gate(moment(NOW + 2_048_000), &rules), Gate::Open);
        // Ten years on, or a restart: the whole wait, from the jump on.
        let mut on = tried;
        let jumped = |after_ms| Moment {
            anew_ms: 2 * years,
            ..moment(2 * years + after_ms)
        };
        assert_eq!(on.gate(jumped(0), &rules), Gate::Wait(2_048));
        assert_eq!(on.gate(jumped(2_048_000), &rules), Gate::Open);
    }

    #[test]
    fn a_restore_uses_up_the_free_ones() {
        let rules = Guesses::default();
        let restored = |now_ms| Moment {
            restored_ms: NOW,
            ..moment(now_ms)
        };
        let mut nobody = Tries::default();
        assert_eq!(nobody.gate(restored(NOW), &rules), Gate::Wait(1));
        assert_eq!(nobody.count, 5);
        assert_eq!(nobody.gate(restored(NOW + 1_000), &rules), Gate::Open);
        // Who has logged in since has them again.
        let mut since = Tries {
            count: 0,
            last_ms: NOW + 1,
        };
        assert_eq!(since.gate(restored(NOW + 2), &rules), Gate::Open);
    }
}
