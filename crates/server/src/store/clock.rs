//! The time that transactions go by.
//!
//! **Invariant**: within a process time never goes back, and a wait begun before a jump of
//! the clock is measured from the jump ([`Now::anew_ms`]): neither a restart nor a clock put
//! forward shortens one.

/// A transaction's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Unix time by the database's clock, ms.
    pub ms: u64,
    /// From when on waits that began earlier are counted.
    pub anew_ms: u64,
    /// Set once, in the transaction that first sees it; the log says so.
    pub jump: Option<Jump>,
}

/// The clock jumped by more than [`JUMP_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// What time it should have been.
    pub before_ms: u64,
    /// What time it is.
    pub after_ms: u64,
}

/// Tells jumps of one clock from its walk, by another that does not jump.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The clock's time and the steady one's, at the last look.
    last: Option<(u64, u64)>,
    anew_ms: u64,
    jump: Option<Jump>,
}

impl Watch {
    /// Before the first look.
    pub(crate) fn new() -> Self {
        Self {
            last: None,
            anew_ms: 0,
            jump: None,
        }
    }

    /// The time of a transaction: the clock says `clock_ms`, the steady one `steady_ms`,
    /// and the last commit was at `committed_ms` (0: none).
    pub(crate) fn look(&mut self, clock_ms: u64, steady_ms: u64, committed_ms: u64) -> Now {
        let expected_ms = match self.last {
            // The first look: the database knows when it was last written to.
            None => {
                self.anew_ms = clock_ms;
                if committed_ms > clock_ms.saturating_add(JUMP_MS) {
                    committed_ms
                } else {
                    clock_ms
                }
            }
            Some((clock_then, steady_then)) => {
                clock_then.saturating_add(steady_ms.saturating_sub(steady_then))
            }
        };
        if clock_ms.abs_diff(expected_ms) > JUMP_MS {
            self.anew_ms = clock_ms;
            self.jump = Some(Jump {
                before_ms: expected_ms,
                after_ms: clock_ms,
            });
        }
        self.last = Some((clock_ms, steady_ms));
        Now {
            ms: clock_ms,
            anew_ms: self.anew_ms,
            jump: self.jump,
        }
    }

    /// A transaction that was told of the jump is durable.
    pub(crate) fn told(&mut self) {
        self.jump = None;
    }
}

/// 60 s: less is what a clock that is kept right does.
pub(crate) const JUMP_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// (clock, steady, last commit) at each look, and what the last look says.
    fn check(looks: &[(u64, u64, u64)], anew_ms: u64, jump: Option<(u64, u64)>) {
        let mut watch = Watch::new();
        let mut now = Now::default();
        for (clock, steady, committed) in looks {
            now = watch.look(*clock, *steady, *committed);
            assert_eq!(now.ms, *clock);
        }
        let jump = jump.map(|(before_ms, after_ms)| Jump {
            before_ms,
            after_ms,
        });
        assert_eq!((now.anew_ms, now.jump), (anew_ms, jump));
    }

    const YEARS: u64 = 10 * 365 * 86_400_000;
    const T: u64 = 1_800_000_000_000;

    #[test]
    fn a_walk_is_no_jump() {
        check(&[(T, 5, 0)], T, None);
        check(&[(T, 5, T - YEARS)], T, None);
        check(&[(T, 5, 0), (T + 1_000, 1_005, T)], T, None);
        check(&[(T, 5, 0), (T + 60_000, 5, T)], T, None);
        check(&[(T, 5, 0), (T - 60_000, 5, T)], T, None);
    }

    #[test]
    fn jumps_are_seen_and_waits_start_anew() {
        let (later, sooner) = (T + YEARS, T - YEARS);
        check(&[(T, 5, 0), (later, 6, T)], later, Some((T + 1, later)));
        check(&[(T, 5, 0), (sooner, 6, T)], sooner, Some((T + 1, sooner)));
        check(&[(sooner, 5, T)], sooner, Some((T, sooner)));
    }

    #[test]
    fn a_jump_is_told_until_that_is_durable() {
        let mut watch = Watch::new();
        watch.look(T, 5, 0);
        assert!(watch.look(T + YEARS, 6, T).jump.is_some());
        assert!(watch.look(T + YEARS, 7, T).jump.is_some());
        watch.told();
        assert!(watch.look(T + YEARS, 8, T).jump.is_none());
    }
}
