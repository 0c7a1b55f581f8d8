//! As much deterministic CBOR as our own texts in other programs' files need (RFC 8949 §4.2.1):
//! unsigned numbers, strings, lists, maps and booleans, each with its shortest head.
//!
//! **Invariant:** [`Reader`] takes only what [`Writer`] writes. Messages between our own programs
//! are `keystead-channel`'s.

use crate::ssh::wire::{self, ParseError};

/// Reads items from the front of a byte slice.
pub(crate) struct Reader<'a>(wire::Reader<'a>);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(wire::Reader::new(bytes))
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, ParseError> {
        self.head(UNSIGNED)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], ParseError> {
        let len = self.head(BYTES)?;
        self.0
            .take(usize::try_from(len).map_err(|_| ParseError::Truncated)?)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, ParseError> {
        let len = self.head(TEXT)?;
        let bytes = self
            .0
            .take(usize::try_from(len).map_err(|_| ParseError::Truncated)?)?;
        std::str::from_utf8(bytes).map_err(|_| ParseError::Text)
    }

    /// The number of elements.
    pub(crate) fn list(&mut self) -> Result<u64, ParseError> {
        self.head(LIST)
    }

    /// The number of pairs.
    pub(crate) fn map(&mut self) -> Result<u64, ParseError> {
        self.head(MAP)
    }

    /// The key that must stand next.
    pub(crate) fn key(&mut self, key: u64) -> Result<(), ParseError> {
        if self.unsigned()? == key {
            Ok(())
        } else {
            Err(ParseError::Value)
        }
    }

    pub(crate) fn bool(&mut self) -> Result<bool, ParseError> {
        match self.0.u8()? {
            FALSE => Ok(false),
            TRUE => Ok(true),
            _ => Err(ParseError::Value),
        }
    }

    pub(crate) const fn finish(self) -> Result<(), ParseError> {
        self.0.finish()
    }

    fn head(&mut self, major: u8) -> Result<u64, ParseError> {
        let first = self.0.u8()?;
        if first >> MAJOR_SHIFT != major {
            return Err(ParseError::Value);
        }
        let (value, shortest_from) = match first & ARGUMENT_MASK {
            small @ 0..=23 => (u64::from(small), 0),
            24 => (u64::from(self.0.u8()?), 24),
            25 => (self.0.array().map(u16::from_be_bytes)?.into(), 1 << 8),
            26 => (self.0.u32()?.into(), 1 << 16),
            27 => (self.0.u64()?, 1 << 32),
            _ => return Err(ParseError::Value),
        };
        if value < shortest_from {
            return Err(ParseError::Value);
        }
        Ok(value)
    }
}

/// Puts items behind each other.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn unsigned(self, value: u64) -> Self {
        self.head(UNSIGNED, value)
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.head(BYTES, len_of(bytes)).raw(bytes)
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.head(TEXT, len_of(text.as_bytes()))
            .raw(text.as_bytes())
    }

    pub(crate) fn list(self, elements: u64) -> Self {
        self.head(LIST, elements)
    }

    pub(crate) fn map(self, pairs: u64) -> Self {
        self.head(MAP, pairs)
    }

    pub(crate) fn bool(self, value: bool) -> Self {
        self.raw(&[if value { TRUE } else { FALSE }])
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn head(self, major: u8, value: u64) -> Self {
        let first = |argument: u8| [major << MAJOR_SHIFT | argument];
        let [.., e, f, g, h] = value.to_be_bytes();
        match value {
            0..=23 => self.raw(&first(h)),
            24..=0xff => self.raw(&first(24)).raw(&[h]),
            0x100..=0xffff => self.raw(&first(25)).raw(&[g, h]),
            0x1_0000..=0xffff_ffff => self.raw(&first(26)).raw(&[e, f, g, h]),
            _ => self.raw(&first(27)).raw(&value.to_be_bytes()),
        }
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

fn len_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

// RFC 8949 §3.1: major types.
const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
/// RFC 8949 §3.3.
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
/// RFC 8949 §3: the upper three bits.
const MAJOR_SHIFT: u8 = 5;
const ARGUMENT_MASK: u8 = 0x1f;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_of_head() {
        let check = |value: u64, expected: &[u8]| {
            let written = Writer::default().unsigned(value).into_bytes();
            assert_eq!(written, expected);
            assert_eq!(Reader::new(expected).unsigned(), Ok(value));
        };
        check(0, &[0]);
        check(23, &[23]);
        check(24, &[0x18, 24]);
        check(255, &[0x18, 255]);
        check(256, &[0x19, 1, 0]);
        check(0xffff, &[0x19, 0xff, 0xff]);
        check(0x1_0000, &[0x1a, 0, 1, 0, 0]);
        check(0xffff_ffff, &[0x1a, 0xff, 0xff, 0xff, 0xff]);
        check(0x1_0000_0000, &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn other_forms_are_refused() {
        let check = |bytes: &[u8], expected| {
            assert_eq!(Reader::new(bytes).unsigned(), Err(expected), "{bytes:?}");
        };
        check(&[], ParseError::Truncated);
        check(&[0x18], ParseError::Truncated);
        check(&[0x18, 23], ParseError::Value);
        check(&[0x19, 0, 255], ParseError::Value);
        check(&[0x1c], ParseError::Value);
        check(&[0x1f], ParseError::Value);
        check(&[0x20], ParseError::Value);
        assert_eq!(Reader::new(&[0x42, 1]).bytes(), Err(ParseError::Truncated));
        assert_eq!(Reader::new(&[0x61, 0xff]).text(), Err(ParseError::Text));
        assert_eq!(Reader::new(&[0x5f]).bytes(), Err(ParseError::Value));
        assert_eq!(Reader::new(&[0xf6]).bool(), Err(ParseError::Value));
    }
}
