//! Fields of messages: one line a field, strict both ways.
//!
//! **Invariant**: a message that [`message!`] declares reads exactly what it writes
//! (`crate::wire`'s deterministic CBOR); an optional field that is absent is left out.

use keystead_core::{Secret, SecretBytes};

use crate::wire::{Fault, Fields, Reader, Writer};

/// A value that stands in a field.
pub(crate) trait Value: Sized {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault>;

    fn write(&self, writer: &mut Writer);

    /// Reads the value of `key`, which must be there.
    fn take(fields: &mut Fields, reader: &mut Reader<'_>, key: u64) -> Result<Self, Fault> {
        fields.required(reader, key)?;
        Self::read(reader)
    }

    /// Whether the field stands in the message at all.
    fn is_there(&self) -> bool {
        true
    }

    /// Bytes that the value may have beyond a few heads and numbers: a buffer with
    /// room for them does not grow, so it leaves no copy of a secret behind.
    fn room(&self) -> usize {
        0
    }
}

/// A map whose fields may stand in a greater one.
pub(crate) trait Message: Sized {
    fn count(&self) -> usize;

    fn write_fields(&self, writer: &mut Writer);

    fn read_fields(fields: &mut Fields, reader: &mut Reader<'_>) -> Result<Self, Fault>;

    fn room_of_fields(&self) -> usize;
}

impl<T: Message> Value for T {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut fields = reader.fields()?;
        let message = Self::read_fields(&mut fields, reader)?;
        fields.end(reader)?;
        Ok(message)
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(self.count());
        self.write_fields(writer);
    }

    fn room(&self) -> usize {
        self.room_of_fields()
    }
}

/// The one encoding of `value`.
pub(crate) fn encode(value: &impl Value) -> Vec<u8> {
    let mut writer = Writer::with_room(value.room());
    value.write(&mut writer);
    writer.finish()
}

/// The value that `bytes` encode, whole.
pub(crate) fn decode<T: Value>(bytes: &[u8]) -> Result<T, Fault> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Declares a map with integer keys, its encoder and its decoder.
macro_rules! message {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $key:literal $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $name {
            /// Its one encoding.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                $crate::session::fields::encode(self)
            }

            /// Reads it, whole.
            ///
            /// # Errors
            /// The first rule that the bytes break.
            pub fn decode(bytes: &[u8]) -> Result<Self, $crate::wire::Fault> {
                $crate::session::fields::decode(bytes)
            }
        }

        impl $crate::session::fields::Message for $name {
            fn count(&self) -> usize {
                [$($crate::session::fields::Value::is_there(&self.$field),)*]
                    .iter()
                    .filter(|there| **there)
                    .count()
            }

            fn write_fields(&self, writer: &mut $crate::wire::Writer) {
                $(if $crate::session::fields::Value::is_there(&self.$field) {
                    $crate::session::fields::Value::write(&self.$field, writer.key($key));
                })*
            }

            fn read_fields(
                fields: &mut $crate::wire::Fields,
                reader: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::Fault> {
                Ok(Self {
                    $($field: $crate::session::fields::Value::take(fields, reader, $key)?,)*
                })
            }

            fn room_of_fields(&self) -> usize {
                [$($crate::session::fields::Value::room(&self.$field),)*].iter().sum()
            }
        }
    };
}

/// Declares what is chosen among and its numbers on the wire.
macro_rules! numbers {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every one, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its number on the wire.
            #[must_use]
            pub fn number(self) -> u16 {
                match self {
                    $(Self::$variant => $number,)*
                }
            }

            /// What `number` stands for, if anything.
            #[must_use]
            pub fn from_number(number: u64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl $crate::session::fields::Value for $name {
            fn read(reader: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::Fault> {
                let number = reader.unsigned()?;
                Self::from_number(number).ok_or($crate::wire::Fault::Range(number))
            }

            fn write(&self, writer: &mut $crate::wire::Writer) {
                writer.unsigned(u64::from(self.number()));
            }
        }
    };
}

pub(crate) use message;
pub(crate) use numbers;

impl<T: Value> Value for Option<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        T::read(reader).map(Some)
    }

    fn write(&self, writer: &mut Writer) {
        if let Some(value) = self {
            value.write(writer);
        }
    }

    fn take(fields: &mut Fields, reader: &mut Reader<'_>, key: u64) -> Result<Self, Fault> {
        match fields.optional(reader, key)? {
            true => Self::read(reader),
            false => Ok(None),
        }
    }

    fn is_there(&self) -> bool {
        self.is_some()
    }

    fn room(&self) -> usize {
        self.as_ref().map_or(0, Value::room)
    }
}

impl Value for u64 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.unsigned()
    }

    fn write(&self, writer: &mut Writer) {
        writer.unsigned(*self);
    }
}

impl Value for u32 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.unsigned_32()
    }

    fn write(&self, writer: &mut Writer) {
        writer.unsigned(u64::from(*self));
    }
}

impl Value for bool {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.boolean()
    }

    fn write(&self, writer: &mut Writer) {
        writer.boolean(*self);
    }
}

impl<const N: usize> Value for [u8; N] {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.array()
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes(self);
    }

    fn room(&self) -> usize {
        N
    }
}

impl<const N: usize> Value for Secret<N> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.array().map(|mut bytes| Self::take(&mut bytes))
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes(self.expose());
    }

    fn room(&self) -> usize {
        N
    }
}

/// A byte string of at most `MAX` bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Octets<const MAX: usize>(pub Vec<u8>);

impl<const MAX: usize> Value for Octets<MAX> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.bytes(MAX).map(|bytes| Self(bytes.to_vec()))
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }

    fn room(&self) -> usize {
        self.0.len()
    }
}

/// A secret of at most `MAX` bytes.
pub struct SecretOctets<const MAX: usize>(pub SecretBytes);

impl<const MAX: usize> Value for SecretOctets<MAX> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let bytes = reader.bytes(MAX)?;
        let copy = |place: &mut [u8]| place.copy_from_slice(bytes);
        Ok(Self(SecretBytes::fill(bytes.len(), copy)))
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes(self.0.expose());
    }

    fn room(&self) -> usize {
        self.0.len()
    }
}

/// A text of 1 to `MAX` bytes that may be shown as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(pub String);

impl<const MAX: usize> Value for Text<MAX> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.text(MAX).map(|text| Self(text.to_owned()))
    }

    fn write(&self, writer: &mut Writer) {
        writer.text(&self.0);
    }

    fn room(&self) -> usize {
        self.0.len()
    }
}

/// A list of at most `MAX` elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(pub Vec<T>);

impl<T: Value, const MAX: usize> Value for List<T, MAX> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.list_of(0, MAX, T::read).map(Self)
    }

    fn write(&self, writer: &mut Writer) {
        writer.list_of(&self.0, |writer, element| element.write(writer));
    }

    fn room(&self) -> usize {
        self.0.iter().map(|it| it.room() + HEAD_BYTES).sum()
    }
}

/// A field that is always there and says of itself that it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nullable<T>(pub Option<T>);

impl<T: Value> Value for Nullable<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.null() {
            true => Ok(Self(None)),
            false => T::read(reader).map(|value| Self(Some(value))),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match &self.0 {
            Some(value) => value.write(writer),
            None => {
                writer.null();
            }
        }
    }

    fn room(&self) -> usize {
        self.0.as_ref().map_or(0, Value::room)
    }
}

/// 9 bytes: the longest head of a value (RFC 8949 section 3).
const HEAD_BYTES: usize = 9;
