//! A word on a password before it is chosen.
//!
//! **Invariant:** advice alone: nothing is refused for it, and no copy of the password is made.

/// What to say of it, if anything.
pub(crate) fn advice(password: &[u8]) -> Option<&'static str> {
    let is_common = |common: &&str| password.eq_ignore_ascii_case(common.as_bytes());
    if COMMON.iter().any(is_common) {
        return Some("this one is among the first that are guessed");
    }
    match bits_at_most(password) {
        0..WEAK_BITS => Some("that is short or regular; four random words would be strong"),
        WEAK_BITS..FAIR_BITS => Some("that is fair; one word more would make it strong"),
        _ => None,
    }
}

/// An upper bound: what it would take to guess it if each character were random among those of
/// its kinds. One that repeats the character before it, or follows it in the alphabet, adds one
/// bit.
fn bits_at_most(password: &[u8]) -> u32 {
    let has = |is: fn(&u8) -> bool| password.iter().any(is);
    let classes = [
        (has(u8::is_ascii_digit), 10),
        (has(u8::is_ascii_lowercase), 26),
        (has(u8::is_ascii_uppercase), 26),
        (has(|it| !it.is_ascii_alphanumeric()), 33),
    ];
    let pool: u32 = classes.iter().filter(|it| it.0).map(|it| it.1).sum();
    // Ten times the binary logarithm, rounded up to the next pool there is.
    let tenths = match pool {
        0..=10 => 34,
        11..=26 => 48,
        27..=36 => 52,
        37..=62 => 60,
        _ => 66,
    };
    let mut before = None;
    let mut sum_tenths = 0_u32;
    for byte in password {
        let is_next = before.is_some_and(|before: u8| before.abs_diff(*byte) <= 1);
        sum_tenths = sum_tenths.saturating_add(if is_next { 10 } else { tenths });
        before = Some(*byte);
    }
    sum_tenths / 10
}

/// Below what a rented machine tries at Argon2id's price in a month.
const WEAK_BITS: u32 = 40;

/// Below what lasts for years; the bound is an upper one, so this is twice of what it would be.
const FAIR_BITS: u32 = 60;

/// The first of every list that is tried.
const COMMON: [&str; 16] = [
    "password",
    "passw0rd",
    "password1",
    "password123",
    "123456",
    "12345678",
    "123456789",
    "1234567890",
    "qwerty",
    "qwertyuiop",
    "letmein",
    "iloveyou",
    "admin",
    "welcome",
    "monkey",
    "abc123",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(password: &str, said: Option<&str>) {
        let advice = advice(password.as_bytes());
        match (advice, said) {
            (None, None) => {}
            (Some(advice), Some(said)) => assert!(advice.contains(said), "{password}: {advice}"),
            other => panic!("{password}: {other:?}"),
        }
    }

    #[test]
    fn what_is_said() {
        check("Password", Some("first that are guessed"));
        check("x", Some("short or regular"));
        check("aaaaaaaaaaaaaaaaaaaa", Some("short or regular"));
        check("abcdefghijklmnop", Some("short or regular"));
        check("horsebattery", Some("fair"));
        check("correct horse battery staple", None);
        check("kQ7;vR2,xZ9!", None);
        check("", Some("short or regular"));
    }
}
