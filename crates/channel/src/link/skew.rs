//! Whose clock is off, and whether a request came too late.
//!
//! Clocks of two machines differ; what matters is how long a request was on
//! its way. The least difference that a channel has shown is taken for the
//! clocks', and what exceeds it for delay (`spec/pairing.md` section 5.4).
//!
//! **Invariant**: nothing here stops a replay (the channel's counter does),
//! and a clock that jumps on this side changes nothing: arrivals are counted
//! on the clock that does not jump.

/// The clocks of one channel. One a channel, made when it is established.
#[derive(Clone, Copy, Debug)]
pub struct Skew {
    /// The wall clock here less the clock that does not jump, in ms.
    base_ms: i128,
    least_ms: Option<i128>,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lateness {
    /// In time.
    InTime,
    /// It was on its way for longer than its asker waits: `expired`.
    Late,
}

impl Skew {
    /// The moment when the channel was established, by both clocks of this side.
    #[must_use]
    pub fn new(now_ms: u64, now_unix_s: u64) -> Self {
        Self {
            base_ms: i128::from(now_unix_s) * 1_000 - i128::from(now_ms),
            least_ms: None,
        }
    }

    /// Judges a request that arrives now, was written at `unix_s` by its
    /// asker's clock, and is waited for during `wait_s`.
    pub fn judge(&mut self, now_ms: u64, unix_s: u64, wait_s: u16) -> Lateness {
        let difference_ms = self.base_ms + i128::from(now_ms) - i128::from(unix_s) * 1_000;
        let least_ms = self
            .least_ms
            .map_or(difference_ms, |it| it.min(difference_ms));
        self.least_ms = Some(least_ms);
        // The asker's time is in whole seconds, so half of one is lost on the way.
        if difference_ms - least_ms > i128::from(wait_s) * 1_000 + 999 {
            Lateness::Late
        } else {
            Lateness::InTime
        }
    }

    /// By how many seconds the asker's clock is behind (positive) or before
    /// this one, if that is worth telling.
    #[must_use]
    pub fn to_report_s(&self) -> Option<i64> {
        let seconds = self.least_ms? / 1_000;
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        (seconds.unsigned_abs() > REPORT_S).then_some(seconds)
    }
}

/// More than 90 s: certificates and one-time codes begin to fail elsewhere too.
const REPORT_S: u64 = 90;

#[cfg(test)]
mod tests {
    use super::*;

    const START_S: u64 = 1_700_000_000;

    /// Requests as (arrives after ms, written at, waits s); the verdict on the last.
    fn check(requests: &[(u64, u64, u16)], expected: Lateness, report_s: Option<i64>) {
        let mut skew = Skew::new(5_000, START_S);
        let mut judged = Lateness::InTime;
        for (after_ms, unix_s, wait_s) in requests {
            judged = skew.judge(5_000 + after_ms, *unix_s, *wait_s);
        }
        assert_eq!(judged, expected, "{requests:?}");
        assert_eq!(skew.to_report_s(), report_s, "{requests:?}");
    }

    #[test]
    fn delay_counts_and_the_clocks_difference_does_not() {
        use Lateness::{InTime, Late};
        check(&[(0, START_S, 60)], InTime, None);
        // Ten minutes off, both ways: the first request sets the measure.
        check(&[(0, START_S - 600, 60)], InTime, Some(600));
        check(&[(0, START_S + 600, 60)], InTime, Some(-600));
        check(&[(0, START_S - 90, 60)], InTime, None);
        check(&[(0, START_S - 91, 60)], InTime, Some(91));
        // 60 s on its way is borne, 62 s is not.
        check(&[(0, START_S, 60), (60_500, START_S, 60)], InTime, None);
        check(&[(0, START_S, 60), (62_000, START_S, 60)], Late, None);
        check(
            &[(0, START_S - 600, 60), (62_000, START_S - 600, 60)],
            Late,
            Some(600),
        );
        // A faster one later lowers the measure.
        check(
            &[(50_000, START_S, 60), (50_000, START_S + 50, 60)],
            InTime,
            None,
        );
        check(
            &[
                (50_000, START_S, 60),
                (50_000, START_S + 50, 60),
                (62_000, START_S, 60),
            ],
            Late,
            None,
        );
    }

    #[test]
    fn no_numbers_overflow() {
        for (now_ms, unix_s) in [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX)] {
            let mut skew = Skew::new(now_ms, unix_s);
            skew.judge(now_ms, 0, 300);
            skew.judge(0, u64::MAX, 300);
            assert_ne!(skew.to_report_s(), Some(0));
        }
    }
}
