//! OpenPGP against what trezor-agent and GnuPG write, and against the real gpg.
#![cfg(test)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the tests name the curves that differ"
)]

mod captured;
mod from_seed;
mod real_gpg;
mod session_keys;

/// Bytes of hexadecimal digits.
fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
