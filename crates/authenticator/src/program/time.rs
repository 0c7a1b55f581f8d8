//! A moment as people and programs read it.

/// `2026-11-22 02:03:04Z`.
pub(crate) fn utc(unix_s: u64) -> String {
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

    /// Expected: GNU date.
    #[test]
    fn moments() {
        for (unix_s, expected) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_700_000_000, "2023-11-14 22:13:20Z"),
            (1_735_689_599, "2024-12-31 23:59:59Z"),
        ] {
            assert_eq!(utc(unix_s), expected);
        }
    }
}
