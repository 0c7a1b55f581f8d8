//! The only way a secret is held.
//!
//! **Invariant**: a secret's bytes live in locked memory (where the system
//! allows), are written in place, and are wiped on drop. What would copy or
//! show them does not exist:
//!
//! ```compile_fail
//! let secret = keystead_core::Secret::<32>::fill(|_| ());
//! println!("{secret:?}"); // no Debug
//! ```
//! ```compile_fail
//! let secret = keystead_core::Secret::<32>::fill(|_| ());
//! let copy = secret.clone(); // no Clone
//! ```
//! ```compile_fail
//! let (a, b) = (keystead_core::Secret::<32>::fill(|_| ()), keystead_core::Secret::<32>::fill(|_| ()));
//! let same = a == b; // no PartialEq: ct_eq is the single comparison
//! ```
//! ```compile_fail
//! let secret = keystead_core::SecretBytes::fill(3, |_| ());
//! println!("{secret:?}"); // no Debug
//! ```
//! ```compile_fail
//! let secret = keystead_core::SecretBytes::fill(3, |_| ());
//! let copy = secret.clone(); // no Clone
//! ```

use keystead_sodium::memory::{self, Locked};

/// A secret of exactly `N` bytes: a key, a seed, a token.
pub struct Secret<const N: usize>(Locked);

impl<const N: usize> Secret<N> {
    /// Makes a secret by letting `write` fill its `N` zeroed bytes in place.
    #[must_use]
    pub fn fill(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut memory = Locked::zeroed(N);
        if let Some(bytes) = memory.as_mut_slice().first_chunk_mut::<N>() {
            write(bytes);
        }
        Self(memory)
    }

    /// As [`Secret::fill`], for a `write` that can fail; what it wrote is wiped then.
    ///
    /// # Errors
    /// Whatever `write` returns.
    pub fn try_fill<E>(write: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut outcome = Ok(());
        let secret = Self::fill(|bytes| outcome = write(bytes));
        outcome.map(|()| secret)
    }

    /// Takes the bytes over and wipes the place where they were.
    #[must_use]
    pub fn take(source: &mut [u8; N]) -> Self {
        let secret = Self::fill(|bytes| bytes.copy_from_slice(source));
        memory::wipe(source);
        secret
    }

    /// The single door to the bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        match self.0.as_slice().first_chunk::<N>() {
            Some(bytes) => bytes,
            None => unreachable!("every constructor makes {N} bytes"),
        }
    }

    /// Compares in time that depends on nothing but `N`.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        memory::equal(self.expose(), other.expose())
    }
}

/// A secret whose length is known only when it comes: a passphrase, an opaque key.
pub struct SecretBytes {
    memory: Locked,
    len: usize,
}

impl SecretBytes {
    /// Makes a secret by letting `write` fill `len` zeroed bytes in place.
    #[must_use]
    pub fn fill(len: usize, write: impl FnOnce(&mut [u8])) -> Self {
        let mut memory = Locked::zeroed(len);
        write(memory.as_mut_slice());
        Self { memory, len }
    }

    /// Takes the bytes over and wipes the place where they were.
    #[must_use]
    pub fn take(source: &mut [u8]) -> Self {
        let secret = Self::fill(source.len(), |bytes| bytes.copy_from_slice(source));
        memory::wipe(source);
        secret
    }

    /// Forgets all bytes behind the first `len`, wiping them.
    ///
    /// For a secret read from a descriptor into a buffer of the greatest length allowed.
    pub fn truncate(&mut self, len: usize) {
        if let Some(rest) = self.memory.as_mut_slice().get_mut(len..) {
            memory::wipe(rest);
            self.len = self.len.min(len);
        }
    }

    /// The single door to the bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.memory.as_slice().get(..self.len).unwrap_or_default()
    }

    /// The bytes, to be written in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        self.memory
            .as_mut_slice()
            .get_mut(..self.len)
            .unwrap_or_default()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Compares in time that depends on nothing but the lengths.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        memory::equal(self.expose(), other.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_moves_and_wipes() {
        let mut source = [7_u8; 32];
        let secret = Secret::<32>::take(&mut source);
        assert_eq!(source, [0; 32]);
        assert_eq!(secret.expose(), &[7; 32]);
    }

    #[test]
    fn a_failed_fill_gives_no_secret() {
        let made = Secret::<4>::try_fill(|bytes| {
            bytes[0] = 1;
            Err::<(), _>("no randomness")
        });
        assert_eq!(made.err(), Some("no randomness"));
    }

    #[test]
    fn comparison_sees_every_byte() {
        let base = Secret::<8>::fill(|bytes| bytes.fill(3));
        for i in 0..8 {
            let other = Secret::<8>::fill(|bytes| {
                bytes.fill(3);
                bytes[i] ^= 1;
            });
            assert!(!base.ct_eq(&other), "byte {i}");
        }
        assert!(base.ct_eq(&Secret::fill(|bytes| bytes.fill(3))));
    }

    #[test]
    fn truncate_wipes_the_rest() {
        let mut secret = SecretBytes::fill(6, |bytes| bytes.copy_from_slice(b"abcdef"));
        secret.truncate(2);
        assert_eq!(secret.expose(), b"ab");
        assert_eq!(secret.memory.as_slice(), b"ab\0\0\0\0");
        secret.truncate(9);
        assert_eq!(secret.len(), 2);
    }
}
