//! Hours of the week, UTC.
//!
//! **Invariant**: a span begins on the days of its mask. One whose end is not behind its
//! beginning goes over midnight and belongs to the day on which it began; with both the
//! same it lasts 24 hours.

use keystead_channel::session::requests::Hours;

/// Whether `now_unix_ms` lies in a span of `hours`.
pub(super) fn holds(hours: &Hours, now_unix_ms: u64) -> bool {
    let minute_of_epoch = now_unix_ms / MINUTE_MS;
    let day = minute_of_epoch / DAY_MINUTES;
    let minute = minute_of_epoch % DAY_MINUTES;
    let today = (day + EPOCH_WEEKDAY) % WEEK_DAYS;
    let yesterday = (today + WEEK_DAYS - 1) % WEEK_DAYS;
    let is_of = |weekday: u64| hours.weekdays & (1 << weekday) != 0;
    let (from, to) = (u64::from(hours.from_minute), u64::from(hours.to_minute));
    if from < to {
        is_of(today) && (from..to).contains(&minute)
    } else {
        (is_of(today) && minute >= from) || (is_of(yesterday) && minute < to)
    }
}

/// Whether there can be such hours: some day, minutes of a day; 1,440 is its end.
pub(super) fn fits(hours: &Hours) -> bool {
    (1..=WEEKDAYS_ALL).contains(&hours.weekdays)
        && u64::from(hours.from_minute) < DAY_MINUTES
        && u64::from(hours.to_minute) <= DAY_MINUTES
}

/// The hour since 1970 that counts are kept by: hours of the clock, so two of them that
/// follow each other may be used up within minutes.
#[must_use]
pub const fn hour_of(now_unix_ms: u64) -> u64 {
    now_unix_ms / (HOUR_MINUTES * MINUTE_MS)
}

/// 1 January 1970 was a Thursday; Monday is 0.
const EPOCH_WEEKDAY: u64 = 3;

const WEEK_DAYS: u64 = 7;

/// All seven bits.
const WEEKDAYS_ALL: u32 = 0x7f;

const DAY_MINUTES: u64 = 1_440;

const HOUR_MINUTES: u64 = 60;

const MINUTE_MS: u64 = 60_000;
