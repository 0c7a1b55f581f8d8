//! The recovery code, as a person writes it down.
//!
//! **Invariant:** a text is read as one code or not at all: what was mistyped is found by its
//! check, before a server is asked. It lifts a lock, and opens nothing.
//!
//! 16 random bytes and 12 bits of check in 28 characters of Crockford's base 32, in groups of
//! four: `7ZZQ-0G1K-…`. Check = the first 12 bits of H("keystead-recovery-code", code).
//!
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::client::RecoveryCode>();
//! ```

use keystead_core::{Secret, SecretBytes, labelled_hash};
use rand_core::CryptoRngCore;

/// A recovery code.
pub struct RecoveryCode(Secret<16>);

impl RecoveryCode {
    /// Draws a new one.
    #[must_use]
    pub fn draw(rng: &mut dyn CryptoRngCore) -> Self {
        Self(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    /// Reads what a person typed: in either case, with hyphens or white space anywhere.
    ///
    /// # Errors
    /// [`RecoveryCodeFault`].
    pub fn read(typed: &[u8]) -> Result<Self, RecoveryCodeFault> {
        let characters = typed
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace() && **byte != b'-');
        let mut count = 0;
        let mut bits = 0_u16;
        let mut held = 0_u32;
        let mut at = 0;
        let mut whole = [0_u8; WHOLE_BYTES];
        let mut known = true;
        for character in characters {
            let digit = digit(*character);
            known &= digit.is_some();
            count += 1;
            held = (held << DIGIT_BITS) | u32::from(digit.unwrap_or_default());
            bits += DIGIT_BITS;
            // Full bytes go; what is left of `held` is below a byte.
            if bits >= 8 {
                bits -= 8;
                let [_, _, _, byte] = (held >> bits).to_be_bytes();
                if let Some(place) = whole.get_mut(at) {
                    *place = byte;
                }
                at += 1;
                held &= (1 << bits) - 1;
            }
        }
        // Four bits are left over of 28 characters.
        let last = u8::try_from(held).unwrap_or_default() << 4;
        if let Some(place) = whole.last_mut() {
            *place = last;
        }
        let whole = Secret::take(&mut whole);
        if !known || count != DIGITS {
            return Err(RecoveryCodeFault::Form);
        }
        let [code @ .., check, last] = whole.expose();
        let code = Self(Secret::fill(|out| out.copy_from_slice(code)));
        if code.check() != [*check, *last] {
            return Err(RecoveryCodeFault::Mistyped);
        }
        Ok(code)
    }

    /// As it is shown, once: 34 characters.
    #[must_use]
    pub fn to_text(&self) -> SecretBytes {
        let check = self.check();
        let bytes = self.0.expose().iter().chain(&check).copied();
        let mut digits = Digits {
            bytes,
            held: 0,
            bits: 0,
        };
        SecretBytes::fill(TEXT_BYTES, |out| {
            for (at, place) in out.iter_mut().enumerate() {
                let is_between = at % (GROUP + 1) == GROUP;
                *place = if is_between {
                    b'-'
                } else {
                    digits.next().unwrap_or(b'0')
                };
            }
        })
    }

    /// The bytes; a server gets them when a lock is lifted, and else their hash alone.
    #[must_use]
    pub const fn secret(&self) -> &Secret<16> {
        &self.0
    }

    /// The bytes, to be sent.
    #[must_use]
    pub fn into_secret(self) -> Secret<16> {
        self.0
    }

    /// Twelve bits, and four zeros.
    fn check(&self) -> [u8; 2] {
        let [first, second, ..] = labelled_hash(CHECK_LABEL, self.0.expose());
        [first, second & 0xf0]
    }
}

/// Why a text is no recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryCodeFault {
    /// Too long, too short, or with a character that none has.
    #[error("a recovery code has 28 letters and digits")]
    Form,
    /// One character or more is another one.
    #[error("the recovery code is mistyped")]
    Mistyped,
}

/// Five bits at a time, as characters.
struct Digits<I> {
    bytes: I,
    held: u16,
    bits: u16,
}

impl<I: Iterator<Item = u8>> Iterator for Digits<I> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.bits < DIGIT_BITS {
            self.held = (self.held << 8) | u16::from(self.bytes.next()?);
            self.bits += 8;
        }
        self.bits -= DIGIT_BITS;
        let digit = self.held >> self.bits;
        self.held &= (1 << self.bits) - 1;
        ALPHABET.get(usize::from(digit)).copied()
    }
}

/// What a character stands for; those that look alike stand for the same.
fn digit(character: u8) -> Option<u8> {
    let character = match character.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let at = ALPHABET.iter().position(|it| *it == character)?;
    u8::try_from(at).ok()
}

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const DIGIT_BITS: u16 = 5;

/// 28 characters: 140 bits, 128 of the code and 12 of its check.
const DIGITS: usize = 28;

/// Four characters: what a person keeps in mind from the screen to the paper.
const GROUP: usize = 4;

/// The code, its check, and half a byte of zeros.
const WHOLE_BYTES: usize = 18;

/// Seven groups and what stands between them.
const TEXT_BYTES: usize = DIGITS + DIGITS / GROUP - 1;

const CHECK_LABEL: &str = "keystead-recovery-code";

#[cfg(test)]
mod tests {
    use super::*;

    /// By an independent computation (Python: hashlib.blake2b of 32 bytes over label and code,
    /// the 140 bits in Crockford's alphabet).
    const CODE: [u8; 16] = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    const TEXT: &str = "008J-4CT4-ANK7-F24S-NAXW-SQFE-ZY5Z";

    fn code() -> RecoveryCode {
        RecoveryCode(Secret::take(&mut { CODE }))
    }

    #[track_caller]
    fn check(typed: &str, expected: Result<[u8; 16], RecoveryCodeFault>) {
        let read = RecoveryCode::read(typed.as_bytes());
        assert_eq!(read.map(|it| *it.secret().expose()), expected, "{typed}");
    }

    #[test]
    fn written_and_read() {
        assert_eq!(code().to_text().expose(), TEXT.as_bytes());
        check(TEXT, Ok(CODE));
        check(&TEXT.to_lowercase(), Ok(CODE));
        check(&TEXT.replace('-', ""), Ok(CODE));
        check(&TEXT.replace('-', " "), Ok(CODE));
        check(&format!(" {TEXT}\r"), Ok(CODE));
        check(&TEXT.replace('0', "o").replace('1', "l"), Ok(CODE));
        check(&TEXT.replace('1', "I"), Ok(CODE));
    }

    #[test]
    fn what_is_cut_or_mistyped_is_told() {
        for len in 0..TEXT.len() {
            check(&TEXT[..len], Err(RecoveryCodeFault::Form));
        }
        check(&format!("{TEXT}0"), Err(RecoveryCodeFault::Form));
        check(&TEXT.replace('0', "u"), Err(RecoveryCodeFault::Form));
        // Every single other character, in every place but the spare bits' last.
        let mut missed = 0;
        for at in 0..TEXT.len() {
            for other in ALPHABET {
                let mut typed = TEXT.as_bytes().to_vec();
                if typed[at] == b'-' || typed[at] == *other {
                    continue;
                }
                typed[at] = *other;
                missed += usize::from(RecoveryCode::read(&typed).is_ok());
            }
        }
        // 28 · 31 texts, each with one chance in 4,096.
        assert!(missed <= 2, "{missed}");
    }

    #[test]
    fn a_drawn_one_is_read_again() {
        use rand_core::SeedableRng;
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
        for _ in 0..100 {
            let drawn = RecoveryCode::draw(&mut rng);
            let again = RecoveryCode::read(drawn.to_text().expose()).ok().unwrap();
            assert!(again.secret().ct_eq(drawn.secret()));
        }
    }
}
