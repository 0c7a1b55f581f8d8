//! Protocol Buffers by hand: the few kinds of field that a Trezor's messages have.
//!
//! Source: the encoding of `protobuf.dev/programming-guides/encoding` (proto2). Fields that
//! nobody asked for are passed over, so that newer devices can say more.
//!
//! **Invariant:** reading allocates no more than it was given, and bytes that are no whole field
//! are refused.

use keystead_core::SecretBytes;
use zeroize::Zeroizing;

/// Writes fields.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(super) fn new() -> Self {
        // Never moved, so that no copy of a passphrase stays behind.
        Self(Zeroizing::new(Vec::with_capacity(
            super::report::BODY_BYTES_MAX,
        )))
    }

    pub(super) fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3 | VARINT);
        self.varint(value);
        self
    }

    pub(super) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | LENGTH_DELIMITED);
        self.varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u32, inner: &Self) -> Self {
        self.bytes(field, &inner.0)
    }

    pub(super) fn finish(mut self) -> SecretBytes {
        SecretBytes::take(&mut self.0)
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.0.push(low_bits(value));
    }
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number, a flag or an enumeration's.
    Number(u64),
    /// Bytes, a text or a message.
    Bytes(&'a [u8]),
    /// 4 or 8 bytes, which no field that is read here has.
    Fixed,
}

impl<'a> Field<'a> {
    pub(super) fn number(&self) -> Result<u64, ProtobufError> {
        match self.value {
            Value::Number(number) => Ok(number),
            Value::Bytes(_) | Value::Fixed => Err(ProtobufError::Kind(self.number)),
        }
    }

    /// Of a repeated field: one, or many in a packed one (a reader takes both).
    pub(super) fn numbers(&self) -> Result<Vec<u64>, ProtobufError> {
        let mut rest = match self.value {
            Value::Number(number) => return Ok(vec![number]),
            Value::Bytes(packed) => packed,
            Value::Fixed => return Err(ProtobufError::Kind(self.number)),
        };
        let mut numbers = Vec::new();
        while !rest.is_empty() {
            let (number, behind) = varint(rest)?;
            numbers.push(number);
            rest = behind;
        }
        Ok(numbers)
    }

    pub(super) fn u32(&self) -> Result<u32, ProtobufError> {
        u32::try_from(self.number()?).map_err(|_| ProtobufError::Kind(self.number))
    }

    pub(super) fn flag(&self) -> Result<bool, ProtobufError> {
        Ok(self.number()? != 0)
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8], ProtobufError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Number(_) | Value::Fixed => Err(ProtobufError::Kind(self.number)),
        }
    }
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// It ends within a field.
    #[error("it ends within a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a number of more than 64 bits")]
    Varint,
    /// No field has this tag.
    #[error("a field that cannot be")]
    Tag,
    /// A field holds something else than it should.
    #[error("field {0} holds something else than it should")]
    Kind(u32),
    /// A field that must be there is not.
    #[error("field {0} is not there")]
    Missing(u32),
}

/// The fields of a message, in their order.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<Field<'_>, ProtobufError>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|it| !it.is_empty())?;
        match field(bytes) {
            Ok((field, behind)) => {
                rest = Some(behind);
                Some(Ok(field))
            }
            Err(error) => Some(Err(error)),
        }
    })
}

fn field(bytes: &[u8]) -> Result<(Field<'_>, &[u8]), ProtobufError> {
    let (tag, rest) = varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok();
    let number = number
        .filter(|it| (1..=FIELD_MAX).contains(it))
        .ok_or(ProtobufError::Tag)?;
    let (value, rest) = match tag & 7 {
        VARINT => {
            let (value, rest) = varint(rest)?;
            (Value::Number(value), rest)
        }
        LENGTH_DELIMITED => {
            let (length, rest) = varint(rest)?;
            let length = usize::try_from(length).map_err(|_| ProtobufError::Truncated)?;
            let split = rest.split_at_checked(length);
            let (value, rest) = split.ok_or(ProtobufError::Truncated)?;
            (Value::Bytes(value), rest)
        }
        FIXED_64 => (Value::Fixed, rest.get(8..).ok_or(ProtobufError::Truncated)?),
        FIXED_32 => (Value::Fixed, rest.get(4..).ok_or(ProtobufError::Truncated)?),
        // Groups, which proto3 has no more and no message here ever had.
        _ => return Err(ProtobufError::Tag),
    };
    Ok((Field { number, value }, rest))
}

fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), ProtobufError> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX) {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * u32::try_from(at).unwrap_or(u32::MAX);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return Err(ProtobufError::Varint);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(at + 1..).unwrap_or_default()));
        }
    }
    Err(if bytes.len() < VARINT_BYTES_MAX {
        ProtobufError::Truncated
    } else {
        ProtobufError::Varint
    })
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

/// 2^29 - 1: the highest number of a field.
const FIELD_MAX: u32 = 0x1fff_ffff;

/// 10 bytes of 7 bits hold 64.
const VARINT_BYTES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, ProtobufError> {
        fields(bytes)
            .map(|field| field.map(|it| (it.number, it.value)))
            .collect()
    }

    #[test]
    fn fields_are_read() {
        assert_eq!(read(b""), Ok(vec![]));
        assert_eq!(read(b"\x08\x96\x01"), Ok(vec![(1, Value::Number(150))]));
        assert_eq!(read(b"\x12\x03abc"), Ok(vec![(2, Value::Bytes(b"abc"))]));
        assert_eq!(
            read(b"\x0d1234\x11abcdefgh\x18\x01"),
            Ok(vec![
                (1, Value::Fixed),
                (2, Value::Fixed),
                (3, Value::Number(1))
            ])
        );
        let most = [b"\x08".as_slice(), &[0xff; 9], b"\x01"].concat();
        assert_eq!(read(&most), Ok(vec![(1, Value::Number(u64::MAX))]));
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let check = |bytes: &[u8], expected| assert_eq!(read(bytes), Err(expected), "{bytes:?}");
        check(b"\x08", ProtobufError::Truncated);
        check(b"\x08\x96", ProtobufError::Truncated);
        check(b"\x12\x03ab", ProtobufError::Truncated);
        check(
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            ProtobufError::Truncated,
        );
        check(b"\x0d123", ProtobufError::Truncated);
        check(b"\x11abcdefg", ProtobufError::Truncated);
        check(b"\x00\x01", ProtobufError::Tag);
        check(b"\x0b", ProtobufError::Tag);
        check(b"\x0c", ProtobufError::Tag);
        check(b"\x0f\x01", ProtobufError::Tag);
        check(
            &[b"\x08".as_slice(), &[0xff; 9], b"\x02"].concat(),
            ProtobufError::Varint,
        );
        check(
            &[b"\x08".as_slice(), &[0xff; 10], b"\x01"].concat(),
            ProtobufError::Varint,
        );
        check(b"\xff\xff\xff\xff\xff\x01\x00", ProtobufError::Tag);
    }

    #[test]
    fn repeated_numbers_are_one_by_one_or_packed() {
        let check = |value, expected| {
            let field = Field { number: 30, value };
            assert_eq!(field.numbers(), expected);
        };
        check(Value::Number(5), Ok(vec![5]));
        check(Value::Bytes(b"\x01\x05\x96\x01"), Ok(vec![1, 5, 150]));
        check(Value::Bytes(b""), Ok(vec![]));
        check(Value::Bytes(b"\x01\x96"), Err(ProtobufError::Truncated));
        check(Value::Fixed, Err(ProtobufError::Kind(30)));
    }

    #[test]
    fn what_is_written_is_read() {
        let inner = Writer::new().number(3, 300);
        let written = Writer::new()
            .number(1, 0x8000_000d)
            .text(2, "nist256p1")
            .message(4, &inner)
            .number(16, u64::MAX)
            .finish();
        assert_eq!(
            read(written.expose()),
            Ok(vec![
                (1, Value::Number(0x8000_000d)),
                (2, Value::Bytes(b"nist256p1")),
                (4, Value::Bytes(b"\x18\xac\x02")),
                (16, Value::Number(u64::MAX)),
            ])
        );
    }
}
