//! Two times: one that does not jump, for waits, and the calendar's, for people.
//!
//! **Invariant:** deciding code never reads a clock; it is handed a [`Now`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A moment, read once per event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds since boot, sleep included (`CLOCK_BOOTTIME`): an offer of
    /// two minutes is over when the machine wakes an hour later.
    pub mono_ms: u64,
    /// Seconds since 1970 by the wall clock, which people and NTP may move.
    pub unix_s: u64,
}

/// Where a [`Now`] comes from.
pub trait Clock: Send + std::marker::Sync {
    /// The present moment.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let boot = clock_gettime(ClockId::Boottime);
        let boot_s = u64::try_from(boot.tv_sec).unwrap_or(0);
        let boot_ns = u64::try_from(boot.tv_nsec).unwrap_or(0);
        Now {
            mono_ms: boot_s
                .saturating_mul(1_000)
                .saturating_add(boot_ns / NS_PER_MS),
            unix_s: wall_s(),
        }
    }
}

/// By the C library, not by a system call of our own: there faketime(1), by which
/// the acceptance tests set one program's clock, stands in.
#[expect(clippy::disallowed_methods, reason = "this is where the time comes in")]
fn wall_s() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    // A wall clock before 1970 is a broken one; 0 is as wrong as any.
    since_1970.map_or(0, |it| it.as_secs())
}

/// A clock that stands still until it is moved. Clones share the time.
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    mono_ms: Arc<AtomicU64>,
    unix_ms: Arc<AtomicU64>,
}

impl SimClock {
    /// Starts at `now`.
    #[must_use]
    pub fn at(now: Now) -> Self {
        let clock = Self::default();
        clock.mono_ms.store(now.mono_ms, Ordering::SeqCst);
        clock.set_unix_s(now.unix_s);
        clock
    }

    /// Moves both times on.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.mono_ms.fetch_add(ms, Ordering::SeqCst);
        self.unix_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as a person or NTP does.
    pub fn set_unix_s(&self, unix_s: u64) {
        self.unix_ms
            .store(unix_s.saturating_mul(1_000), Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        Now {
            mono_ms: self.mono_ms.load(Ordering::SeqCst),
            unix_s: self.unix_ms.load(Ordering::SeqCst) / 1_000,
        }
    }
}

const NS_PER_MS: u64 = 1_000_000;

/// A moment as people and programs read it: `2026-11-22 02:03:04Z`.
#[must_use]
pub fn utc(unix_s: u64) -> String {
    let (days, second) = (unix_s / DAY_S, unix_s % DAY_S);
    // Days since 0000-03-01, so that a leap day ends its year (Howard Hinnant's
    // `civil_from_days`, for days after 1970 only).
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, turn) = match month_from_march {
        march @ 0..=9 => (march + 3, 0),
        winter => (winter - 9, 1),
    };
    let year = year_of_era + era * 400 + turn;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

const DAY_S: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_rises_and_is_after_2020() {
        let first = SystemClock.now();
        let second = SystemClock.now();
        assert!(second.mono_ms >= first.mono_ms);
        assert!(first.unix_s > 1_577_836_800, "{first:?}");
    }

    #[test]
    fn clones_of_a_simulated_clock_share_the_time() {
        let clock = SimClock::at(Now {
            mono_ms: 7,
            unix_s: 100,
        });
        let other = clock.clone();
        clock.advance(Duration::from_millis(2_500));
        assert_eq!(
            other.now(),
            Now {
                mono_ms: 2_507,
                unix_s: 102
            }
        );
        other.set_unix_s(9);
        assert_eq!(
            clock.now(),
            Now {
                mono_ms: 2_507,
                unix_s: 9
            }
        );
    }

    /// Expected: GNU date.
    #[test]
    fn moments() {
        for (unix_s, expected) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_399, "2000-02-28 23:59:59Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (951_868_800, "2000-03-01 00:00:00Z"),
            (1_700_000_000, "2023-11-14 22:13:20Z"),
            (1_735_689_599, "2024-12-31 23:59:59Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(utc(unix_s), expected);
        }
    }
}
