//! The storage key: what a user's secrets and their labels are sealed under.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::client::StorageKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::client::StorageKey>();
//! ```

use keystead_core::{Secret, SecretBytes};
use rand_core::CryptoRngCore;

use super::Value;
use super::seal::{self, NotOpened};
use crate::held::Kind;

/// 32 random bytes, drawn once for an account; at the server sealed under the master key.
/// A change of password seals it anew, and touches no secret.
pub struct StorageKey(Secret<32>);

/// Where a secret belongs: what its box is associated with, beside its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Whose.
    pub user: &'a [u8; 32],
    /// Which.
    pub key: &'a [u8; 16],
}

impl StorageKey {
    /// Draws a new one.
    #[must_use]
    pub fn draw(rng: &mut dyn CryptoRngCore) -> Self {
        Self(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    pub(super) const fn from_secret(secret: Secret<32>) -> Self {
        Self(secret)
    }

    pub(super) const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// seal(storage_key, user_id ‖ key_id ‖ c, len u32 ‖ secret ‖ type u8); `context` is c.
    #[must_use]
    pub fn seal_value(
        &self,
        place: Place<'_>,
        context: &str,
        value: &Value,
        rng: &mut dyn CryptoRngCore,
    ) -> Vec<u8> {
        let plain = value.to_plain();
        let associated = [place.user.as_slice(), place.key, context.as_bytes()];
        seal::seal(&self.0, &associated, plain.expose(), rng)
    }

    /// Opens what was sealed for this place and context, and is of this kind.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open_value(
        &self,
        place: Place<'_>,
        context: &str,
        kind: Kind,
        sealed: &[u8],
    ) -> Result<Value, NotOpened> {
        let associated = [place.user.as_slice(), place.key, context.as_bytes()];
        let plain = seal::open(&self.0, &associated, sealed)?;
        let value = Value::from_plain(plain.expose()).ok_or(NotOpened)?;
        if value.kind() != kind {
            return Err(NotOpened);
        }
        Ok(value)
    }

    /// seal(storage_key, user_id ‖ key_id ‖ "label" ‖ revision u32, label).
    #[must_use]
    pub fn seal_label(
        &self,
        place: Place<'_>,
        revision: u32,
        label: &str,
        rng: &mut dyn CryptoRngCore,
    ) -> Vec<u8> {
        let revision = revision.to_be_bytes();
        let associated = [place.user.as_slice(), place.key, LABEL, &revision];
        seal::seal(&self.0, &associated, label.as_bytes(), rng)
    }

    /// Opens the label of this place and revision.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open_label(
        &self,
        place: Place<'_>,
        revision: u32,
        sealed: &[u8],
    ) -> Result<SecretBytes, NotOpened> {
        let revision = revision.to_be_bytes();
        let associated = [place.user.as_slice(), place.key, LABEL, &revision];
        seal::open(&self.0, &associated, sealed)
    }
}

/// The storage key as it is stored: 24 bytes of nonce, 32, a tag of 16.
pub(super) const SEALED_BYTES: usize = 72;

const LABEL: &[u8] = b"label";
