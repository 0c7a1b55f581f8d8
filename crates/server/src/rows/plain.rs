//! The sealed part of a row in clear: a run of CBOR values (RFC 8949 section 4.2.1) in the
//! order of its type's fields. The table in the associated data says which type.
//!
//! **Invariant**: written into one buffer that is large enough and is wiped; read whole or
//! not at all.

use keystead_core::{Secret, SecretBytes};
use minicbor::data::Type;
use minicbor::decode::Decoder;
use minicbor::encode::Encoder;
use zeroize::Zeroizing;

/// Writes the sealed part.
pub struct PlainWriter {
    out: Zeroizing<Vec<u8>>,
}

impl PlainWriter {
    /// For `room` bytes of strings beside a few numbers.
    #[must_use]
    pub fn with_room(room: usize) -> Self {
        let room = room.saturating_add(NUMBERS_ROOM);
        Self {
            out: Zeroizing::new(Vec::with_capacity(room)),
        }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Zeroizing<Vec<u8>> {
        self.out
    }

    pub(super) fn number(&mut self, number: u64) {
        self.encode(9, |encoder| {
            // Room for the longest number was made, and memory refuses nothing.
            let _ = encoder.u64(number);
        });
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.encode(bytes.len().saturating_add(9), |encoder| {
            let _ = encoder.bytes(bytes);
        });
    }

    pub(super) fn text(&mut self, text: &str) {
        self.encode(text.len().saturating_add(9), |encoder| {
            let _ = encoder.str(text);
        });
    }

    pub(super) fn null(&mut self) {
        self.encode(1, |encoder| {
            let _ = encoder.null();
        });
    }

    pub(super) fn maybe_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self.null(),
        }
    }

    pub(super) fn maybe_number(&mut self, number: Option<u64>) {
        match number {
            Some(number) => self.number(number),
            None => self.null(),
        }
    }

    /// Grows by hand, so that no copy of what was written is left behind unwiped.
    fn encode(&mut self, room: usize, write: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) {
        let needed = self.out.len().saturating_add(room);
        if needed > self.out.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
            larger.extend_from_slice(&self.out);
            self.out = larger;
        }
        write(&mut Encoder::new(&mut *self.out));
    }
}

/// Reads the sealed part; `None` where it is not what was written.
pub struct PlainReader<'b> {
    decoder: Decoder<'b>,
    len: usize,
}

impl<'b> PlainReader<'b> {
    /// Of what a row's seal had in it.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self {
            decoder: Decoder::new(bytes),
            len: bytes.len(),
        }
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.decoder.position() == self.len
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.decoder.u64().ok()
    }

    pub(super) fn narrow<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    pub(super) fn bytes(&mut self) -> Option<&'b [u8]> {
        self.decoder.bytes().ok()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes()?.try_into().ok()
    }

    pub(super) fn secret<const N: usize>(&mut self) -> Option<Secret<N>> {
        let bytes: &[u8; N] = self.bytes()?.try_into().ok()?;
        Some(Secret::fill(|place| place.copy_from_slice(bytes)))
    }

    pub(super) fn secret_bytes(&mut self) -> Option<SecretBytes> {
        let bytes = self.bytes()?;
        Some(SecretBytes::fill(bytes.len(), |place| {
            place.copy_from_slice(bytes);
        }))
    }

    pub(super) fn text(&mut self) -> Option<&'b str> {
        self.decoder.str().ok()
    }

    /// What `read` reads, or null.
    pub(super) fn maybe<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.decoder.datatype().ok()? == Type::Null {
            self.decoder.null().ok()?;
            return Some(None);
        }
        read(self).map(Some)
    }
}

/// Room for the numbers of any row and the heads of its strings.
const NUMBERS_ROOM: usize = 128;
