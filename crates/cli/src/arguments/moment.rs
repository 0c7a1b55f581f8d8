//! A moment as people type it: a day, or a day and a time, in UTC.

use std::str::FromStr;

use keystead_daemon::utc;

/// A moment in UTC: `2026-11-22`, `2026-11-22T08:00Z`, `2026-11-22 08:00:30Z` (RFC 3339 with what
/// may be left out).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    unix_s: u64,
}

impl Moment {
    /// Milliseconds since 1970.
    pub(crate) const fn unix_ms(self) -> u64 {
        self.unix_s.saturating_mul(1_000)
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(|unix_s| Self { unix_s }).ok_or(FORM)
    }
}

/// Whatever the form, the moment is written again in full, and must be what was typed: so days
/// that no month has and hours that no day has are none.
fn parse(text: &str) -> Option<u64> {
    let (day, time) = match text.split_once(['T', ' ']) {
        Some((day, time)) => (day, time.strip_suffix('Z').unwrap_or(time)),
        None => (text, "00:00:00"),
    };
    let time = match time.len() {
        5 => format!("{time}:00"),
        _ => time.to_owned(),
    };
    let [year, month, date] = numbers(day, '-')?;
    let [hour, minute, second] = numbers(&time, ':')?;
    let days = days_from_civil(year, month, date)?;
    let in_day = hour
        .checked_mul(3_600)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?;
    let unix_s = days.checked_mul(DAY_S)?.checked_add(in_day)?;
    (utc(unix_s) == format!("{day} {time}Z")).then_some(unix_s)
}

/// Three numbers of digits alone.
fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| {
        let is_number = !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    });
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Days since 1970 (Howard Hinnant's `days_from_civil`, for years from 1970 on).
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9_999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let days = of_era * 365 + of_era / 4 - of_era / 100 + of_year + era * 146_097;
    days.checked_sub(719_468)
}

const DAY_S: u64 = 86_400;

const FORM: &str = "a moment in UTC, such as 2026-11-22 or 2026-11-22T08:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expected: Option<u64>) {
        let moment = typed.parse::<Moment>().ok();
        assert_eq!(moment.map(|it| it.unix_s), expected, "{typed:?}");
    }

    #[test]
    fn days_and_times_are_taken() {
        check("1970-01-01", Some(0));
        check("2026-11-22", Some(1_795_305_600));
        check("2026-11-22T08:00Z", Some(1_795_334_400));
        check("2026-11-22 08:00:30Z", Some(1_795_334_430));
        check("2026-11-22T08:00:30", Some(1_795_334_430));
        check("2024-02-29", Some(1_709_164_800));
        check("9999-12-31T23:59:59Z", Some(253_402_300_799));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for typed in [
            "",
            "now",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-00-01",
            "2026-11-00",
            "2026-11-31",
            "2023-02-29",
            "1969-12-31",
            "10000-01-01",
            "2026-11-22T24:00Z",
            "2026-11-22T08:60Z",
            "2026-11-22T08Z",
            "2026-11-22T",
            "2026-11-22T08:00:00+01:00",
            "+2026-11-22",
            "2026-11-22-01",
            "2026-1-2",
            "99999999999999999999-01-01",
            "\u{0662}026-11-22",
        ] {
            check(typed, None);
        }
    }

    #[test]
    fn every_day_is_found_again() {
        for day in (0..2_932_896).step_by(97) {
            let whole = utc(day * DAY_S);
            check(whole.split_once(' ').unwrap().0, Some(day * DAY_S));
            check(&whole, Some(day * DAY_S));
        }
    }
}
