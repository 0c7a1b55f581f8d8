//! The master key: what a login gives, and what opens the storage key alone.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::client::MasterKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::client::MasterKey>();
//! ```

use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};
use keystead_core::Secret;
use keystead_sodium::memory;
use rand_core::CryptoRngCore;

use super::seal::{self, NotOpened};
use super::{StorageKey, storage};

/// KDF(`export_key`, "OPAQUE-derived Lock Keeper master key", 32) (section 3 of the reference):
/// lives for one command, unless the person lets the agent hold it.
pub struct MasterKey(Secret<32>);

impl MasterKey {
    /// Of a login's `export_key`, which is wiped here.
    #[must_use]
    pub fn derive(export_key: Secret<64>) -> Self {
        let key = Secret::fill(|out: &mut [u8; 32]| {
            memory::with_wiped_stack(|| {
                let extracted = Salt::new(HKDF_SHA512, &[]).extract(export_key.expose());
                let expanded = extracted.expand(&[LABEL], Bytes32).map(|okm| okm.fill(out));
                // 32 bytes are less than HKDF's limit of 255 hashes (RFC 5869 section 2.3).
                debug_assert!(matches!(expanded, Ok(Ok(()))), "HKDF gives 32 bytes");
            });
        });
        Self(key)
    }

    /// The one that the agent held.
    #[must_use]
    pub fn kept(key: Secret<32>) -> Self {
        Self(key)
    }

    /// For the agent to hold, by the person's choice (`server login --keep`).
    #[must_use]
    pub fn to_keep(&self) -> &Secret<32> {
        &self.0
    }

    /// seal(master_key, user_id ‖ "storage key", storage_key).
    #[must_use]
    pub fn seal_storage_key(
        &self,
        user: &[u8; 32],
        key: &StorageKey,
        rng: &mut dyn CryptoRngCore,
    ) -> [u8; storage::SEALED_BYTES] {
        let sealed = seal::seal(&self.0, &[user, STORAGE_KEY], key.secret().expose(), rng);
        sealed.try_into().unwrap_or([0; storage::SEALED_BYTES])
    }

    /// Opens what [`MasterKey::seal_storage_key`] made for the same user.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open_storage_key(
        &self,
        user: &[u8; 32],
        sealed: &[u8; storage::SEALED_BYTES],
    ) -> Result<StorageKey, NotOpened> {
        seal::open_exact(&self.0, &[user, STORAGE_KEY], sealed).map(StorageKey::from_secret)
    }
}

/// What is asked of HKDF.
struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// Seed 002's label, as it stands there.
const LABEL: &[u8] = b"OPAQUE-derived Lock Keeper master key";

const STORAGE_KEY: &[u8] = b"storage key";
