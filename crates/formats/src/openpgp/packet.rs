//! Packet headers and multiprecision integers (RFC 4880 §3.2 and §4.2).
//!
//! **Invariant:** lengths are known before a body begins; partial and indeterminate lengths, which
//! keys never have, are refused.

use crate::ParseError;

/// A packet's kind and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// RFC 4880 §4.3.
    pub tag: u8,
    /// Everything behind the header.
    pub body: &'a [u8],
}

/// Appends a packet with an old header, as GnuPG and trezor-agent write keys.
pub fn push(bytes: &mut Vec<u8>, tag: u8, body: &[u8]) {
    let old = |length_type: u8| PACKET_BIT | (tag << 2) | length_type;
    match (u8::try_from(body.len()), u16::try_from(body.len())) {
        (Ok(len), _) => bytes.extend_from_slice(&[old(0), len]),
        (_, Ok(len)) => {
            bytes.push(old(1));
            bytes.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            bytes.push(old(2));
            let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
    }
    bytes.extend_from_slice(body);
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

    /// Is there nothing left to read?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
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

    /// Exactly `len` bytes.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], ParseError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(ParseError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Exactly `N` bytes.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ParseError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, ParseError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn u16(&mut self) -> Result<u16, ParseError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, ParseError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A multiprecision integer without leading zero bits, so that it has one form.
    ///
    /// # Errors
    /// [`ParseError::Truncated`], [`ParseError::Value`].
    pub fn mpi(&mut self) -> Result<&'a [u8], ParseError> {
        let bits = usize::from(self.u16()?);
        let number = self.take(bits.div_ceil(8))?;
        if bits_of(number) == bits {
            Ok(number)
        } else {
            Err(ParseError::Value)
        }
    }

    /// A packet with either header.
    ///
    /// # Errors
    /// [`ParseError::Truncated`]; [`ParseError::Value`] for what begins no packet,
    /// [`ParseError::Unknown`] for lengths that are not known in advance.
    pub fn packet(&mut self) -> Result<Packet<'a>, ParseError> {
        let head = self.u8()?;
        if head & PACKET_BIT == 0 {
            return Err(ParseError::Value);
        }
        let (tag, len) = if head & NEW_FORMAT_BIT == 0 {
            let len = match head & 0x03 {
                0 => u32::from(self.u8()?),
                1 => u32::from(self.u16()?),
                2 => self.u32()?,
                _ => return Err(ParseError::Unknown),
            };
            ((head >> 2) & 0x0f, len)
        } else {
            (head & 0x3f, self.new_length()?)
        };
        let len = usize::try_from(len).map_err(|_| ParseError::Truncated)?;
        let body = self.take(len)?;
        Ok(Packet { tag, body })
    }

    /// RFC 4880 §4.2.2.
    fn new_length(&mut self) -> Result<u32, ParseError> {
        match self.u8()? {
            first @ 0..=191 => Ok(u32::from(first)),
            first @ 192..=223 => Ok((u32::from(first) - 192) * 256 + u32::from(self.u8()?) + 192),
            255 => self.u32(),
            _ => Err(ParseError::Unknown),
        }
    }

    /// The length of a subpacket: as of a packet, but that two bytes reach further
    /// (RFC 4880 §5.2.3.1).
    pub(super) fn subpacket_length(&mut self) -> Result<usize, ParseError> {
        let len = match self.u8()? {
            first @ 0..=191 => u32::from(first),
            first @ 192..=254 => (u32::from(first) - 192) * 256 + u32::from(self.u8()?) + 192,
            255 => self.u32()?,
        };
        usize::try_from(len).map_err(|_| ParseError::Truncated)
    }
}

/// A number without leading zeros.
pub(super) fn strip(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Appends a multiprecision integer; leading zeros are left out.
pub(super) fn push_mpi(bytes: &mut Vec<u8>, number: &[u8]) {
    let number = strip(number);
    let bits = u16::try_from(bits_of(number)).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&bits.to_be_bytes());
    bytes.extend_from_slice(number);
}

fn bits_of(number: &[u8]) -> usize {
    match number.first() {
        None => 0,
        // A number with a zero byte in front gets a count that no number has.
        Some(first) => (number.len() * 8).saturating_sub(usize_of(first.leading_zeros())),
    }
}

fn usize_of(small: u32) -> usize {
    usize::try_from(small).unwrap_or(usize::MAX)
}

/// RFC 4880 §4.2: always set.
const PACKET_BIT: u8 = 0x80;
const NEW_FORMAT_BIT: u8 = 0x40;

/// RFC 4880 §4.3.
pub const TAG_SIGNATURE: u8 = 2;
/// RFC 4880 §4.3.
pub const TAG_PUBLIC_KEY: u8 = 6;
/// RFC 4880 §4.3.
pub const TAG_MARKER: u8 = 10;
/// RFC 4880 §4.3.
pub const TAG_TRUST: u8 = 12;
/// RFC 4880 §4.3.
pub const TAG_USER_ID: u8 = 13;
/// RFC 4880 §4.3.
pub const TAG_PUBLIC_SUBKEY: u8 = 14;
/// RFC 4880 §4.3.
pub const TAG_USER_ATTRIBUTE: u8 = 17;
