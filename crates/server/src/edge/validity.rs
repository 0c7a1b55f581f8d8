//! From when until when a certificate holds: all of X.509 that the server reads itself.
//!
//! **Invariant**: DER, definite lengths in their shortest form; what is not understood is
//! no validity, and the TLS library still judges the certificate.

/// Both ends, unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from_unix_s: u64,
    /// Not after.
    pub until_unix_s: u64,
}

impl Validity {
    /// Of a certificate (RFC 5280 section 4.1).
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (tag, whole, rest) = element(certificate)?;
        if tag != SEQUENCE || !rest.is_empty() {
            return None;
        }
        let (tag, signed, _) = element(whole)?;
        if tag != SEQUENCE {
            return None;
        }
        let (tag, _, mut rest) = element(signed)?;
        if tag == VERSION {
            // The serial number follows; without a version it was that.
            (_, _, rest) = element(rest)?;
        }
        // Signature algorithm, issuer.
        for _ in 0..2 {
            let (tag, _, behind) = element(rest)?;
            if tag != SEQUENCE {
                return None;
            }
            rest = behind;
        }
        let (tag, validity, _) = element(rest)?;
        if tag != SEQUENCE {
            return None;
        }
        let (tag, from, rest) = element(validity)?;
        let from_unix_s = time(tag, from)?;
        let (tag, until, rest) = element(rest)?;
        let until_unix_s = time(tag, until)?;
        rest.is_empty().then_some(Self {
            from_unix_s,
            until_unix_s,
        })
    }
}

/// Tag, content and what follows (X.690 sections 8.1 and 10.1).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            let length = digits.iter().try_fold(0_usize, |sum, digit| {
                sum.checked_mul(256)?.checked_add(usize::from(*digit))
            })?;
            let is_shortest = length > 0x7f && digits.first() != Some(&0);
            (is_shortest.then_some(length)?, rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((*tag, content, behind))
}

/// UTCTime or GeneralizedTime in the one form of RFC 5280 section 4.1.2.5.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            // From 50 on it is the last century.
            (
                if year < 50 {
                    2_000 + year
                } else {
                    1_900 + year
                },
                rest,
            )
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let mut parts = rest.chunks(2).map(number);
    let mut part = |low: u64, high: u64| {
        let part = parts.next().flatten()?;
        (low..=high).contains(&part).then_some(part)
    };
    let (month, day) = (part(1, 12)?, part(1, 31)?);
    let (hour, minute, second) = (part(0, 23)?, part(0, 59)?, part(0, 59)?);
    let days = days_since_1970(year, month, day)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Howard Hinnant's `days_from_civil`, for years after 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // A year that begins in March ends with its leap day.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let (era, of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        Some(sum * 10 + u64::from(digit))
    })
}

const SEQUENCE: u8 = 0x30;

/// `[0]`, constructed.
const VERSION: u8 = 0xa0;

const UTC_TIME: u8 = 0x17;

const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: u8, text: &str, expected: Option<u64>) {
        assert_eq!(time(tag, text.as_bytes()), expected, "{text}");
    }

    /// Expected: GNU date.
    #[test]
    fn times() {
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "000229120000Z", Some(951_825_600));
        check(UTC_TIME, "491231235959Z", Some(2_524_607_999));
        check(UTC_TIME, "690101000000Z", None);
        check(GENERALIZED_TIME, "21000301000000Z", Some(4_107_542_400));
        check(GENERALIZED_TIME, "20261122020304Z", Some(1_795_312_984));
        check(GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799));
        for wrong in [
            "20261322020304Z",
            "20261122240000Z",
            "2026112202030Z",
            "20261122020304",
        ] {
            check(GENERALIZED_TIME, wrong, None);
        }
        check(UTC_TIME, "2611220203Z", None);
        check(UTC_TIME, "26112202-304Z", None);
        check(2, "261122020304Z", None);
    }

    #[test]
    fn lengths_are_the_shortest() {
        assert_eq!(element(&[0x30, 1, 7, 9]), Some((0x30, &[7][..], &[9][..])));
        assert_eq!(element(&[0x30, 0x81, 1, 7]), None);
        assert_eq!(element(&[0x30, 0x82, 0, 0x80]), None);
        assert_eq!(element(&[0x30, 0x80, 0, 0]), None);
        assert_eq!(element(&[0x30, 2, 7]), None);
        assert_eq!(element(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
