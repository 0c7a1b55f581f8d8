//! As much of DER (ITU-T X.690) as private keys are written in.
//!
//! **Invariant:** a length has one form, the shortest; a read takes its bytes
//! whole or not at all.

use crate::wire::{Malformed, magnitude};

/// Reads values one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Der<'a> {
    rest: &'a [u8],
}

impl<'a> Der<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The content of the next value, which has this tag.
    pub(crate) fn value(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let (found, content, rest) = split(self.rest)?;
        if found != tag {
            return Err(Malformed);
        }
        self.rest = rest;
        Ok(content)
    }

    /// As [`Der::value`], for one that may be left out.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        match self.rest.first() {
            Some(found) if *found == tag => self.value(tag).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn sequence(&mut self) -> Result<Self, Malformed> {
        self.value(SEQUENCE).map(Self::new)
    }

    /// An INTEGER of 0 or above: its magnitude, without a zero before it.
    pub(crate) fn unsigned(&mut self) -> Result<&'a [u8], Malformed> {
        match self.value(INTEGER)? {
            [0] => Ok(&[]),
            number => magnitude(number),
        }
    }

    /// An INTEGER of 0 or above that is no secret.
    pub(crate) fn small(&mut self) -> Result<u32, Malformed> {
        let magnitude = self.unsigned()?;
        if magnitude.len() > size_of::<u32>() {
            return Err(Malformed);
        }
        let append = |number: u32, byte: &u8| (number << 8) | u32::from(*byte);
        Ok(magnitude.iter().fold(0, append))
    }

    /// As [`Der::small`], for one that may be left out.
    pub(crate) fn optional_small(&mut self) -> Result<Option<u32>, Malformed> {
        match self.rest.first() {
            Some(&INTEGER) => self.small().map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn finish(self) -> Result<(), Malformed> {
        match self.rest {
            [] => Ok(()),
            _ => Err(Malformed),
        }
    }
}

/// Tag, content, and what stands behind.
fn split(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), Malformed> {
    let (tag, len, rest) = match bytes {
        [tag, len @ 0..=0x7f, rest @ ..] => (*tag, usize::from(*len), rest),
        [tag, 0x81, len @ 0x80..=0xff, rest @ ..] => (*tag, usize::from(*len), rest),
        [tag, 0x82, high @ 1..=0xff, low, rest @ ..] => {
            (*tag, usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        // Nothing that holds a key takes 64 KiB.
        _ => return Err(Malformed),
    };
    let (content, rest) = rest.split_at_checked(len).ok_or(Malformed)?;
    Ok((tag, content, rest))
}

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed.
pub(crate) const CONTEXT_0: u8 = 0xa0;
/// `[1]`, constructed.
pub(crate) const CONTEXT_1: u8 = 0xa1;
/// `[1]`, primitive.
pub(crate) const CONTEXT_1_PRIMITIVE: u8 = 0x81;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&[u8], Malformed>) {
        assert_eq!(Der::new(bytes).value(OCTET_STRING), expected);
    }

    #[test]
    fn lengths_have_one_form() {
        check(&[4, 0], Ok(&[]));
        check(&[4, 1, 9], Ok(&[9]));
        check(&[4, 2, 9], Err(Malformed));
        check(&[4], Err(Malformed));
        check(&[], Err(Malformed));
        check(&[5, 0], Err(Malformed));
        check(&[4, 0x80], Err(Malformed));
        check(&[4, 0x81, 1, 9], Err(Malformed));
        check(&[&[4, 0x81, 128][..], &[9; 128]].concat(), Ok(&[9; 128]));
        check(&[4, 0x82, 0, 1, 9], Err(Malformed));
        check(&[&[4, 0x82, 1, 0][..], &[9; 256]].concat(), Ok(&[9; 256]));
        check(&[4, 0x83, 1, 0, 0], Err(Malformed));
    }

    #[test]
    fn numbers_have_one_form() {
        let check = |bytes: &[u8], expected| assert_eq!(Der::new(bytes).small(), expected);
        check(&[2, 1, 0], Ok(0));
        check(&[2, 1, 0x7f], Ok(0x7f));
        check(&[2, 2, 0, 0x80], Ok(0x80));
        check(&[2, 5, 0, 0xff, 0xff, 0xff, 0xff], Ok(u32::MAX));
        check(&[2, 5, 1, 0, 0, 0, 0], Err(Malformed));
        check(&[2, 1, 0x80], Err(Malformed));
        check(&[2, 2, 0, 0x7f], Err(Malformed));
        check(&[2, 0], Err(Malformed));
    }
}
