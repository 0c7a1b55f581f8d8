//! A secret as it is sealed: `len u32 ‖ secret ‖ type u8`.
//!
//! **Invariant:** a [`Value`] holds what its kind says, wherever it came from: 32 bytes in the
//! curve's range, a whole RSA key ([`HeldKey`] checks it).
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::client::Value>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::client::Value>();
//! ```

use keystead_core::SecretBytes;
use rand_core::CryptoRngCore;

use super::seal::{joined, length};
use crate::held::{HeldError, HeldKey, Kind, New};
use crate::wire::Reader;

/// A secret, and what it is.
pub struct Value(HeldKey);

impl Value {
    /// Draws one, uniformly.
    ///
    /// # Errors
    /// [`HeldError::Length`] for an arbitrary one of no or too many bytes; [`HeldError::Broken`]
    /// when the library refuses random keys.
    pub fn generate(new: New, rng: &mut dyn CryptoRngCore) -> Result<Self, HeldError> {
        HeldKey::generate(new, rng).map(Self)
    }

    /// Takes bytes that are of this kind.
    ///
    /// # Errors
    /// [`HeldError`]: too many, too few, out of range, or no whole key.
    pub fn of(kind: Kind, bytes: SecretBytes) -> Result<Self, HeldError> {
        HeldKey::import(kind, bytes).map(Self)
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// The bytes alone: the secret, a seed, a scalar, PKCS#1 in DER.
    #[must_use]
    pub const fn bytes(&self) -> &SecretBytes {
        self.0.encoding()
    }

    /// The public half, in the form that a server gives it in.
    #[must_use]
    pub fn public_key(&self) -> Option<&[u8]> {
        self.0.public_key()
    }

    /// As it is sealed.
    pub(super) fn to_plain(&self) -> SecretBytes {
        let secret = self.bytes().expose();
        joined(&[&length(secret), secret, &[self.kind().number()]])
    }

    /// Reads what was sealed, whole or not at all.
    pub(super) fn from_plain(plain: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(plain);
        let secret = reader.string().ok()?;
        let kind = Kind::from_number(u16::from(reader.u8().ok()?))?;
        reader.finish().ok()?;
        Self::of(kind, joined(&[secret])).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(plain: &[u8], expected: Option<(Kind, &[u8])>) {
        let value = Value::from_plain(plain);
        let read = value.as_ref().map(|it| (it.kind(), it.bytes().expose()));
        assert_eq!(read, expected);
        if let Some(value) = &value {
            assert_eq!(value.to_plain().expose(), plain);
        }
    }

    #[test]
    fn whole_or_not_at_all() {
        let plain = b"\x00\x00\x00\x05hello\x01";
        check(plain, Some((Kind::Arbitrary, b"hello")));
        for len in 0..plain.len() {
            check(&plain[..len], None);
        }
        check(b"\x00\x00\x00\x05hello\x01\x00", None);
        check(b"\x00\x00\x00\x05hello\x00", None);
        check(b"\x00\x00\x00\x05hello\x06", None);
        check(b"\x00\x00\x00\x00\x01", None);
        check(b"\x00\x00\x00\x05hello\x02", None);
        let seed = [b"\x00\x00\x00\x20".as_slice(), &[7; 32], &[2]].concat();
        check(&seed, Some((Kind::Ed25519, &[7; 32])));
        let zero = [b"\x00\x00\x00\x20".as_slice(), &[0; 32], &[4]].concat();
        check(&zero, None);
        let longest = [[0, 1, 0, 0].as_slice(), &[9; 65_536], &[1]].concat();
        check(&longest, Some((Kind::Arbitrary, &[9; 65_536])));
        let longer = [[0, 1, 0, 1].as_slice(), &[9; 65_537], &[1]].concat();
        check(&longer, None);
    }
}
