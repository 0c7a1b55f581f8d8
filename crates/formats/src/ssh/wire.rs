//! The data types of RFC 4251 §5, read strictly.
//!
//! **Invariant:** a [`Reader`] lends slices of what it was given and allocates nothing; a length
//! that points past the end is refused before anything is taken. Only canonical forms are read,
//! so encoding what was read gives the same bytes.

use keystead_core::is_unsafe_to_show;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A field reaches past the end.
    #[error("the message ends too early")]
    Truncated,
    /// The message goes on behind its last field.
    #[error("bytes are left over behind the message")]
    LeftOver,
    /// A field or message is longer than its limit.
    #[error("a field is longer than allowed")]
    TooLong,
    /// Text that is not UTF-8, or holds characters it may not.
    #[error("a text field holds something else than text")]
    Text,
    /// A value that the standard does not allow here.
    #[error("a field has a value that the standard does not allow")]
    Value,
    /// A message, algorithm, option or constraint that is not known here.
    #[error("a message, algorithm or option that is not known")]
    Unknown,
}

/// Reads fields from the front of a byte slice.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Everything that is not read yet; the reader is spent.
    #[must_use]
    pub const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Is there nothing left to read?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`ParseError::LeftOver`] if bytes remain.
    pub const fn finish(self) -> Result<(), ParseError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(ParseError::LeftOver)
        }
    }

    /// Exactly `len` bytes without a length in front.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub const fn take(&mut self, len: usize) -> Result<&'a [u8], ParseError> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(ParseError::Truncated),
        }
    }

    /// Exactly `N` bytes.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub const fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(ParseError::Truncated),
        }
    }

    /// `byte`.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, ParseError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// `boolean`: 0 or 1. Other values mean true but must not be written, so they are refused.
    ///
    /// # Errors
    /// [`ParseError::Truncated`], [`ParseError::Value`].
    pub fn bool(&mut self) -> Result<bool, ParseError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ParseError::Value),
        }
    }

    /// `uint32`.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, ParseError> {
        self.array().map(u32::from_be_bytes)
    }

    /// `uint64`.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn u64(&mut self) -> Result<u64, ParseError> {
        self.array().map(u64::from_be_bytes)
    }

    /// `string`.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn string(&mut self) -> Result<&'a [u8], ParseError> {
        let start = *self;
        let len = usize::try_from(self.u32()?).map_err(|_| ParseError::Truncated)?;
        let taken = self.take(len);
        if taken.is_err() {
            *self = start;
        }
        taken
    }

    /// `string` of exactly `N` bytes.
    ///
    /// # Errors
    /// [`ParseError::Truncated`]; [`ParseError::Value`] for another length.
    pub fn string_array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        self.string()?.try_into().map_err(|_| ParseError::Value)
    }

    /// `string` that holds UTF-8 a person can be shown: no control characters, none that change
    /// the direction of writing.
    ///
    /// # Errors
    /// [`ParseError::Truncated`], [`ParseError::Text`].
    pub fn text(&mut self) -> Result<&'a str, ParseError> {
        let text = std::str::from_utf8(self.string()?).map_err(|_| ParseError::Text)?;
        if text.chars().any(is_unsafe_to_show) {
            return Err(ParseError::Text);
        }
        Ok(text)
    }

    /// A name of RFC 4251 §6: printable ASCII without comma or space, 1 to 64 characters.
    ///
    /// # Errors
    /// [`ParseError::Truncated`], [`ParseError::TooLong`], [`ParseError::Text`].
    pub fn name(&mut self) -> Result<&'a str, ParseError> {
        let name = std::str::from_utf8(self.string()?).map_err(|_| ParseError::Text)?;
        if name.len() > NAME_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let printable = name.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if name.is_empty() || !printable {
            return Err(ParseError::Text);
        }
        Ok(name)
    }

    /// `mpint` that is positive: its magnitude, without the zero byte that keeps the sign.
    ///
    /// # Errors
    /// [`ParseError::Truncated`]; [`ParseError::Value`] for zero, a negative number and a form
    /// with needless leading zeros.
    pub fn positive_mpint(&mut self) -> Result<&'a [u8], ParseError> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Ok(rest),
            number @ [1..=0x7f, ..] => Ok(number),
            _ => Err(ParseError::Value),
        }
    }
}

/// Puts fields behind each other.
///
/// Has no `Debug`: what is written may be secret.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts empty.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// The bytes written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes without a length in front.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// `byte`.
    #[must_use]
    pub fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    /// `boolean`.
    #[must_use]
    pub fn bool(self, value: bool) -> Self {
        self.u8(u8::from(value))
    }

    /// `uint32`.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// `uint64`.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// `string`. All that is written here is far below 4 GiB: messages end at 256 KiB.
    #[must_use]
    pub fn string(self, value: &[u8]) -> Self {
        let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.u32(len).raw(value)
    }

    /// `mpint` of a positive big-endian magnitude of any length, leading zeros allowed.
    #[must_use]
    pub fn positive_mpint(self, magnitude: &[u8]) -> Self {
        let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
        let number = magnitude.get(zeros..).unwrap_or_default();
        if number.first().is_some_and(|first| *first >= 0x80) {
            let len = u32::try_from(number.len()).unwrap_or(u32::MAX);
            self.u32(len.saturating_add(1)).u8(0).raw(number)
        } else {
            self.string(number)
        }
    }
}

/// RFC 4251 §6: names are at most 64 characters.
pub const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_inside_the_message() {
        let check = |bytes: &[u8], expected: Result<&[u8], ParseError>| {
            assert_eq!(Reader::new(bytes).string(), expected);
        };
        check(&[0, 0, 0, 0], Ok(b""));
        check(&[0, 0, 0, 2, 7, 8, 9], Ok(&[7, 8]));
        check(&[0, 0, 0, 2, 7], Err(ParseError::Truncated));
        check(&[0xff, 0xff, 0xff, 0xff, 7], Err(ParseError::Truncated));
        check(&[0, 0, 0], Err(ParseError::Truncated));
    }

    #[test]
    fn a_number_has_one_form() {
        let check = |field: &[u8], expected: Result<&[u8], ParseError>| {
            let bytes = Writer::new().string(field).into_bytes();
            assert_eq!(Reader::new(&bytes).positive_mpint(), expected);
            if let Ok(magnitude) = expected {
                assert_eq!(Writer::new().positive_mpint(magnitude).into_bytes(), bytes);
            }
        };
        check(&[1], Ok(&[1]));
        check(&[0x7f, 0], Ok(&[0x7f, 0]));
        check(&[0, 0x80], Ok(&[0x80]));
        check(&[], Err(ParseError::Value));
        check(&[0], Err(ParseError::Value));
        check(&[0, 1], Err(ParseError::Value));
        check(&[0x80], Err(ParseError::Value));
        check(&[0, 0, 0x80], Err(ParseError::Value));
    }

    #[test]
    fn a_written_number_loses_its_leading_zeros() {
        let check = |magnitude: &[u8], expected: &[u8]| {
            assert_eq!(
                Writer::new().positive_mpint(magnitude).into_bytes(),
                expected
            );
        };
        check(&[0, 0, 5], &[0, 0, 0, 1, 5]);
        check(&[0, 0x85], &[0, 0, 0, 2, 0, 0x85]);
        check(&[0, 0], &[0, 0, 0, 0]);
    }

    #[test]
    fn booleans_are_zero_or_one() {
        let check = |byte: u8, expected| assert_eq!(Reader::new(&[byte]).bool(), expected);
        check(0, Ok(false));
        check(1, Ok(true));
        check(2, Err(ParseError::Value));
        check(255, Err(ParseError::Value));
    }

    #[test]
    fn names_and_texts_hold_what_can_be_shown() {
        let name = |bytes: &[u8], expected| {
            let field = Writer::new().string(bytes).into_bytes();
            assert_eq!(Reader::new(&field).name(), expected);
        };
        name(b"ssh-ed25519", Ok("ssh-ed25519"));
        name(b"", Err(ParseError::Text));
        name(b"a,b", Err(ParseError::Text));
        name(b"a b", Err(ParseError::Text));
        name("ü".as_bytes(), Err(ParseError::Text));
        name(&[b'a'; 65], Err(ParseError::TooLong));
        let text = |value: &str, expected: Result<&str, ParseError>| {
            let field = Writer::new().string(value.as_bytes()).into_bytes();
            assert_eq!(Reader::new(&field).text(), expected);
        };
        text("jürgen", Ok("jürgen"));
        text("a\nb", Err(ParseError::Text));
        text("a\u{1b}[2Kb", Err(ParseError::Text));
        text("a\u{202e}b", Err(ParseError::Text));
        text("a\u{9b}b", Err(ParseError::Text));
    }
}
