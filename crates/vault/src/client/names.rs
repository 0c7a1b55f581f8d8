//! What is known here of the names of secrets.
//!
//! **Invariant:** its key lies in a 0600 file beside it, so that names are told without a
//! password: who reads this user's files reads the names. No secret is sealed under it.
//!
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::client::NamesKey>();
//! ```

use keystead_core::{Secret, SecretBytes};
use rand_core::CryptoRngCore;

use super::seal::{self, NotOpened};

/// Seals the list of names on this machine.
pub struct NamesKey(Secret<32>);

impl NamesKey {
    /// Draws a new one.
    #[must_use]
    pub fn draw(rng: &mut dyn CryptoRngCore) -> Self {
        Self(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    /// The one that its file holds, 32 bytes; `None` for any other length.
    #[must_use]
    pub fn from_file(file: &SecretBytes) -> Option<Self> {
        let bytes: &[u8; 32] = file.expose().try_into().ok()?;
        Some(Self(Secret::fill(|out| out.copy_from_slice(bytes))))
    }

    /// For its file.
    #[must_use]
    pub fn to_file(&self) -> &Secret<32> {
        &self.0
    }

    /// Seals the list.
    #[must_use]
    pub fn seal(&self, list: &[u8], rng: &mut dyn CryptoRngCore) -> Vec<u8> {
        seal::seal(&self.0, &[LABEL], list, rng)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, sealed: &[u8]) -> Result<SecretBytes, NotOpened> {
        seal::open(&self.0, &[LABEL], sealed)
    }
}

const LABEL: &[u8] = b"keystead-names-1";
