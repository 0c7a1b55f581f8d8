//! Until when a certificate is good (RFC 5280 section 4.1.2.5): the one field that nobody
//! hands over after a handshake.
//!
//! **Invariant:** this decides nothing. Who may be trusted was judged before, by the library;
//! what cannot be read here is unknown.

/// The second of `notAfter`, counted from 1970.
pub(super) fn ends_unix_s(certificate: &[u8]) -> Option<u64> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // version, where there is one; then serial number, signature, issuer.
    if fields.first() == Some(&EXPLICIT_VERSION) {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, after_begin) = element(validity)?;
    let (tag, time, _) = element(after_begin)?;
    let digits = time.strip_suffix(b"Z")?;
    match (tag, digits.split_at_checked(2)?, digits.len()) {
        // RFC 5280: a UTCTime's year is of this century below 50.
        (UTC_TIME, (year, rest), 12) => match number(year)? {
            year @ 0..50 => unix_s(year + 2000, rest),
            year => unix_s(year + 1900, rest),
        },
        (GENERALIZED_TIME, _, 14) => {
            let (year, rest) = digits.split_at_checked(4)?;
            unix_s(number(year)?, rest)
        }
        _ => None,
    }
}

/// Tag, content and what follows, of the first element (X.690 section 8.1).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (len, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = len
                .iter()
                .fold(0, |sum: usize, byte| (sum << 8) | usize::from(*byte));
            (len, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

/// `MMDDhhmmss` of a year, by the days of the civil calendar.
fn unix_s(year: u64, rest: &[u8]) -> Option<u64> {
    let mut parts = rest.chunks_exact(2).map(number);
    let mut next = |from: u64, to: u64| {
        let part = parts.next()??;
        (from..=to).contains(&part).then_some(part)
    };
    let (month, day) = (next(1, 12)?, next(1, 31)?);
    let (hour, minute, second) = (next(0, 23)?, next(0, 59)?, next(0, 59)?);
    // The year begins in March here, so that a leap day is its last.
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let month = (month + 9) % 12;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(DAYS_TO_1970)?;
    Some(days * DAY_S + hour * 3_600 + minute * 60 + second)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// `[0] EXPLICIT Version` (RFC 5280 section 4.1).
const EXPLICIT_VERSION: u8 = 0xa0;

/// X.690 section 8.25, and RFC 5280 sections 4.1.2.5.1 and 4.1.2.5.2.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

const DAY_S: u64 = 86_400;

/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::{ends_unix_s, unix_s};

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["server.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[track_caller]
    fn check(year: i32, month: u8, day: u8) {
        let expected = date_time_ymd(year, month, day).unix_timestamp();
        let expected = u64::try_from(expected).unwrap();
        assert_eq!(ends_unix_s(&certificate(year, month, day)), Some(expected));
    }

    #[test]
    fn the_end_is_read_on_both_sides_of_2050() {
        check(1999, 12, 31);
        check(2026, 11, 22);
        check(2028, 2, 29);
        check(2049, 12, 31);
        check(2050, 1, 1);
        check(2100, 3, 1);
        check(4096, 1, 1);
    }

    #[test]
    fn what_is_cut_says_nothing_and_ends_nothing() {
        let whole = certificate(2050, 1, 1);
        for len in 0..whole.len() {
            assert_eq!(ends_unix_s(&whole[..len]), None, "{len}");
        }
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 0xff;
            let _read = ends_unix_s(&altered);
        }
    }

    #[test]
    fn no_such_day_or_hour() {
        assert_eq!(unix_s(1970, b"0101000000"), Some(0));
        assert_eq!(unix_s(1970, b"0101235959"), Some(86_399));
        for wrong in [
            b"0001000000",
            b"1301000000",
            b"0100000000",
            b"0101240000",
            b"01010060 0",
        ] {
            assert_eq!(unix_s(1970, wrong), None);
        }
    }
}
