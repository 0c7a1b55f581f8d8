//! Labels of keys and secrets.
//!
//! **Invariant**: a label is a text where the server may read it and bytes where the
//! client sealed it; the form that it has says which.

use crate::session::fields::{Octets, Text, Value};
use crate::wire::{Fault, Reader, Writer};

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// The server reads it.
    Open(Text<LABEL_BYTES_MAX>),
    /// Only the client does.
    Sealed(Octets<SEALED_LABEL_BYTES_MAX>),
}

impl Value for Label {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.is_text() {
            true => Text::read(reader).map(Self::Open),
            false => Octets::read(reader).map(Self::Sealed),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Open(text) => text.write(writer),
            Self::Sealed(bytes) => bytes.write(writer),
        }
    }

    fn room(&self) -> usize {
        match self {
            Self::Open(text) => text.room(),
            Self::Sealed(bytes) => bytes.room(),
        }
    }
}

/// 256 bytes: a label before it is sealed (section 8).
pub const LABEL_BYTES_MAX: usize = 256;

/// A label as the client seals it.
pub const SEALED_LABEL_BYTES_MAX: usize = SEAL_BYTES + LABEL_BYTES_MAX;

/// What XChaCha20-Poly1305 adds: 24 bytes of nonce, 16 of tag.
pub(super) const SEAL_BYTES: usize = 24 + 16;
