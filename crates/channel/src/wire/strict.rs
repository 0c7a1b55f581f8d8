//! Deterministic CBOR over minicbor: reads one encoding of each value, writes that one.
//!
//! **Invariant**: [`Reader`] accepts only what [`Writer`] writes: shortest heads,
//! definite lengths, unsigned keys ascending, no tag, float, null or negative
//! number (RFC 8949 section 4.2.1). It allocates nothing by an announced count.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// The first rule that a message breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It ends too early.
    #[error("the message is cut off")]
    Truncated,
    /// Bytes stand behind its end.
    #[error("bytes are left over behind the message")]
    LeftOver,
    /// A number or length is not in its shortest form.
    #[error("a number is not in its shortest form")]
    NotShortest,
    /// A string, list or map without a length.
    #[error("a length is indefinite")]
    Indefinite,
    /// A tag.
    #[error("a tag stands in the message")]
    Tag,
    /// A floating-point number.
    #[error("a floating-point number stands in the message")]
    Float,
    /// Null or undefined.
    #[error("a null stands in the message")]
    Null,
    /// Another type than the field has.
    #[error("a field has another type")]
    Type,
    /// A key twice, or behind a greater one.
    #[error("a key is repeated or out of order")]
    KeyOrder,
    /// A key that the message does not have.
    #[error("key {0} is unknown")]
    UnknownKey(u64),
    /// A key that the message must have.
    #[error("key {0} is missing")]
    MissingKey(u64),
    /// A key that must not stand with this outcome.
    #[error("key {0} must not stand there")]
    Misplaced(u64),
    /// A string longer than its limit, or of another length than the field's.
    #[error("a string has a wrong length: {0} bytes")]
    StringLength(u64),
    /// A list with too many or too few elements.
    #[error("a list has a wrong length: {0} elements")]
    ListLength(u64),
    /// A number out of its range, or one that stands for nothing.
    #[error("a number is out of range: {0}")]
    Range(u64),
    /// A text that is not UTF-8 or holds characters unsafe to show.
    #[error("a text is not UTF-8 or not fit to be shown")]
    Text,
    /// A key id that is not the hash of its public key.
    #[error("a key id is not the hash of its public key")]
    KeyId,
    /// An identity that names no key.
    #[error("an identity names no key that can exist")]
    Identity,
    /// An identity of a protocol, or on a curve, that this version does not know.
    #[error("an identity's protocol or curve is unknown")]
    Derivation,
    /// An address or URL that is none.
    #[error("an address breaks the rule for addresses")]
    Address,
    /// The message is longer than any may be.
    #[error("the message is too long: {0} bytes")]
    TooLong(usize),
    /// A response to a request that nobody waits for.
    #[error("nobody asked for this answer")]
    NotAsked,
    /// A version above 1.
    #[error("version {0} is newer than this program")]
    Version(u64),
    /// A kind of request that this version does not know.
    #[error("kind {0} is unknown")]
    Kind(u64),
    /// A form of content that this version does not know.
    #[error("form {0} is unknown")]
    Form(u64),
}

impl Fault {
    /// Whether a later version might understand the message: it is answered
    /// `unsupported`, everything else `malformed`.
    #[must_use]
    pub fn is_unsupported(self) -> bool {
        matches!(
            self,
            Self::Version(_) | Self::Kind(_) | Self::Form(_) | Self::Derivation
        )
    }
}

/// Reads deterministic CBOR.
pub(crate) struct Reader<'b>(Decoder<'b>);

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Fault> {
        if self.0.position() == self.0.input().len() {
            Ok(())
        } else {
            Err(Fault::LeftOver)
        }
    }

    /// The bytes since `start`, a former [`Reader::position`].
    pub(crate) fn since(&self, start: usize) -> &'b [u8] {
        let read = start..self.0.position();
        self.0.input().get(read).unwrap_or_default()
    }

    pub(crate) fn position(&self) -> usize {
        self.0.position()
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, Fault> {
        let start = self.expect(|it| matches!(it, Type::U8 | Type::U16 | Type::U32 | Type::U64))?;
        let value = self.0.u64().map_err(|_| Fault::Truncated)?;
        self.shortest(start, value, 0)?;
        Ok(value)
    }

    /// An unsigned number up to `max`.
    pub(crate) fn unsigned_to(&mut self, max: u64) -> Result<u64, Fault> {
        match self.unsigned()? {
            value if value <= max => Ok(value),
            value => Err(Fault::Range(value)),
        }
    }

    /// An unsigned number of at most 32 bits.
    pub(crate) fn unsigned_32(&mut self) -> Result<u32, Fault> {
        let value = self.unsigned()?;
        u32::try_from(value).map_err(|_| Fault::Range(value))
    }

    /// True; what is false is left out.
    pub(crate) fn only_true(&mut self) -> Result<bool, Fault> {
        match self.boolean()? {
            true => Ok(true),
            false => Err(Fault::Range(0)),
        }
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Fault> {
        self.expect(|it| it == Type::Bool)?;
        self.0.bool().map_err(|_| Fault::Truncated)
    }

    /// Whether null stands here, which is then read: for a field that says of itself
    /// that it is empty (`spec/session.md`).
    pub(crate) fn null(&mut self) -> bool {
        matches!(self.0.datatype(), Ok(Type::Null)) && self.0.null().is_ok()
    }

    /// Whether a text stands here, for a field that has two forms.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.0.datatype(), Ok(Type::String))
    }

    /// A byte string of at most `max` bytes.
    pub(crate) fn bytes(&mut self, max: usize) -> Result<&'b [u8], Fault> {
        let start = self.expect(|it| it == Type::Bytes)?;
        let bytes = self.0.bytes().map_err(|_| Fault::Truncated)?;
        let len = length(bytes);
        self.shortest(start, len, bytes.len())?;
        if bytes.len() > max {
            return Err(Fault::StringLength(len));
        }
        Ok(bytes)
    }

    /// A byte string of exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.bytes(usize::MAX)?;
        <[u8; N]>::try_from(bytes).map_err(|_| Fault::StringLength(length(bytes)))
    }

    /// A text of 1 to `max` bytes that may be shown as it is.
    pub(crate) fn text(&mut self, max: usize) -> Result<&'b str, Fault> {
        let start = self.expect(|it| it == Type::String)?;
        let text = self.0.str().map_err(|error| {
            if error.is_end_of_input() {
                Fault::Truncated
            } else {
                Fault::Text
            }
        })?;
        let len = length(text.as_bytes());
        self.shortest(start, len, text.len())?;
        if text.is_empty() || text.len() > max {
            return Err(Fault::StringLength(len));
        }
        if text.chars().any(keystead_core::is_unsafe_to_show) {
            return Err(Fault::Text);
        }
        Ok(text)
    }

    /// A list; the number of its elements.
    pub(crate) fn list(&mut self) -> Result<u64, Fault> {
        let start = self.expect(|it| it == Type::Array)?;
        let len = self.0.array().map_err(|_| Fault::Truncated)?;
        let len = len.ok_or(Fault::Indefinite)?;
        self.shortest(start, len, 0)?;
        Ok(len)
    }

    /// A list of `min` to `max` elements, each read by `element`.
    pub(crate) fn list_of<T>(
        &mut self,
        min: usize,
        max: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let len = self.list()?;
        match usize::try_from(len) {
            Ok(count) if (min..=max).contains(&count) => {
                (0..count).map(|_| element(self)).collect()
            }
            _ => Err(Fault::ListLength(len)),
        }
    }

    /// A list of exactly `count` elements, which the caller reads.
    pub(crate) fn tuple(&mut self, count: u64) -> Result<(), Fault> {
        match self.list()? {
            len if len == count => Ok(()),
            len => Err(Fault::ListLength(len)),
        }
    }

    /// A map; its fields are asked for in ascending order.
    pub(crate) fn fields(&mut self) -> Result<Fields, Fault> {
        let start = self.expect(|it| it == Type::Map)?;
        let left = self.0.map().map_err(|_| Fault::Truncated)?;
        let left = left.ok_or(Fault::Indefinite)?;
        self.shortest(start, left, 0)?;
        Ok(Fields {
            left,
            last: None,
            next: None,
        })
    }

    /// Whether the head at `start` was as short as `argument` allows; `content`
    /// bytes of the string stand between it and the present position.
    fn shortest(&self, start: usize, argument: u64, content: usize) -> Result<(), Fault> {
        let head: usize = match argument {
            0..=0x17 => 1,
            0x18..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        if self.0.position() == start.saturating_add(head).saturating_add(content) {
            Ok(())
        } else {
            Err(Fault::NotShortest)
        }
    }

    /// The position, if the value there has a type that `wanted` takes.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every type that is neither wanted nor named is the same fault"
    )]
    fn expect(&self, wanted: impl FnOnce(Type) -> bool) -> Result<usize, Fault> {
        match self.0.datatype().map_err(|_| Fault::Truncated)? {
            Type::BytesIndef
            | Type::StringIndef
            | Type::ArrayIndef
            | Type::MapIndef
            | Type::Break => Err(Fault::Indefinite),
            Type::Tag => Err(Fault::Tag),
            Type::F16 | Type::F32 | Type::F64 => Err(Fault::Float),
            Type::Null | Type::Undefined => Err(Fault::Null),
            found if wanted(found) => Ok(self.0.position()),
            _ => Err(Fault::Type),
        }
    }
}

/// A map's fields, asked for in ascending order of their keys.
pub(crate) struct Fields {
    left: u64,
    last: Option<u64>,
    next: Option<u64>,
}

impl Fields {
    /// Moves to the value of `key`, which must be there.
    pub(crate) fn required(&mut self, reader: &mut Reader<'_>, key: u64) -> Result<(), Fault> {
        if self.optional(reader, key)? {
            Ok(())
        } else {
            Err(Fault::MissingKey(key))
        }
    }

    /// Moves to the value of `key`, if it is there.
    pub(crate) fn optional(&mut self, reader: &mut Reader<'_>, key: u64) -> Result<bool, Fault> {
        match self.peek(reader)? {
            Some(found) if found < key => Err(Fault::UnknownKey(found)),
            Some(found) if found == key => {
                self.next = None;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }

    /// No field may be left.
    pub(crate) fn end(mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        match self.peek(reader)? {
            Some(found) => Err(Fault::UnknownKey(found)),
            None => Ok(()),
        }
    }

    fn peek(&mut self, reader: &mut Reader<'_>) -> Result<Option<u64>, Fault> {
        if self.next.is_none() && self.left > 0 {
            let key = reader.unsigned()?;
            if self.last.is_some_and(|last| key <= last) {
                return Err(Fault::KeyOrder);
            }
            self.left -= 1;
            self.last = Some(key);
            self.next = Some(key);
        }
        Ok(self.next)
    }
}

/// 256 bytes: a confirm request with its `pair_key` has 73; all but the strings of
/// an import has fewer.
const ROOM_BYTES: usize = 256;

/// Writes deterministic CBOR; the caller keeps keys ascending.
pub(crate) struct Writer(Encoder<Vec<u8>>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self::with_room(0)
    }

    /// Roomy enough for secrets of so many bytes: a buffer that grew would leave them behind.
    pub(crate) fn with_room(secret_bytes: usize) -> Self {
        let room = ROOM_BYTES.saturating_add(secret_bytes);
        Self(Encoder::new(Vec::with_capacity(room)))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }

    pub(crate) fn unsigned(&mut self, value: u64) -> &mut Self {
        sure(self.0.u64(value));
        self
    }

    pub(crate) fn boolean(&mut self, value: bool) -> &mut Self {
        sure(self.0.bool(value));
        self
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        sure(self.0.null());
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        sure(self.0.bytes(value));
        self
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        sure(self.0.str(value));
        self
    }

    pub(crate) fn list(&mut self, count: usize) -> &mut Self {
        sure(self.0.array(wide(count)));
        self
    }

    /// A list whose elements `element` writes.
    pub(crate) fn list_of<T>(
        &mut self,
        elements: &[T],
        mut element: impl FnMut(&mut Self, &T),
    ) -> &mut Self {
        self.list(elements.len());
        for it in elements {
            element(self, it);
        }
        self
    }

    pub(crate) fn map(&mut self, count: usize) -> &mut Self {
        sure(self.0.map(wide(count)));
        self
    }

    /// The key of the next field.
    pub(crate) fn key(&mut self, key: u64) -> &mut Self {
        self.unsigned(key)
    }

    /// A value that is encoded already.
    pub(crate) fn encoded(&mut self, value: &[u8]) -> &mut Self {
        self.0.writer_mut().extend_from_slice(value);
        self
    }
}

/// A `Vec` takes every byte: its encoder's error has no value.
fn sure<T>(written: Result<T, minicbor::encode::Error<std::convert::Infallible>>) {
    debug_assert!(written.is_ok());
}

fn length(bytes: &[u8]) -> u64 {
    wide(bytes.len())
}

/// `usize` is at most 64 bits wide on every platform of Rust.
fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
