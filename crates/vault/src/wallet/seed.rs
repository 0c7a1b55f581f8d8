//! The seed of a wallet, and how it lies at rest.
//!
//! **Invariant**: a sealed seed opens only to the wallet whose fingerprint it names.
//!
//! `"keystead-wallet-1" ‖ fingerprint(4) ‖ nonce(24) ‖ sealed seed (64 + 16)`. The box is
//! XChaCha20-Poly1305 under the store key, with all that stands before the nonce associated.
//! The words are not kept: nothing needs them but the person who wrote them down.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::wallet::Seed>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::wallet::Seed>();
//! ```
//! ```compile_fail
//! fn bytes(seed: &keystead_vault::wallet::Seed) -> &[u8; 64] {
//!     seed.expose() // nobody outside reads the bytes
//! }
//! ```

use keystead_core::{Secret, WalletFingerprint};
use keystead_sodium::{memory, xchacha};
use rand_core::CryptoRngCore;

use super::Wallet;
use crate::StoreKey;
use crate::sealed::SealedKeyError;
use crate::wire::Reader;

/// What words and their passphrase make (BIP-39, "From mnemonic to seed").
pub struct Seed(Secret<SEED_BYTES>);

impl Seed {
    pub(super) const fn new(seed: Secret<SEED_BYTES>) -> Self {
        Self(seed)
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// A seed under the store key, with what may be shown of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSeed {
    fingerprint: WalletFingerprint,
    nonce: [u8; xchacha::NONCE_BYTES],
    sealed: Vec<u8>,
}

impl SealedSeed {
    pub(super) fn seal(
        store: &StoreKey,
        seed: &Seed,
        fingerprint: WalletFingerprint,
        rng: &mut dyn CryptoRngCore,
    ) -> Self {
        let mut nonce = [0; xchacha::NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let sealed = memory::with_wiped_stack(|| {
            xchacha::seal(
                store.key().expose(),
                &nonce,
                &head(fingerprint),
                seed.expose(),
            )
        });
        Self {
            fingerprint,
            nonce,
            sealed,
        }
    }

    /// Opens the wallet.
    ///
    /// # Errors
    /// [`SealedKeyError::Forged`] when this store did not seal these bytes.
    pub fn open(&self, store: &StoreKey) -> Result<Wallet, SealedKeyError> {
        let head = head(self.fingerprint);
        let opened = memory::with_wiped_stack(|| {
            xchacha::open(store.key().expose(), &self.nonce, &head, &self.sealed)
        })
        .map_err(|_| SealedKeyError::Forged)?;
        let bytes: &[u8; SEED_BYTES] = opened
            .as_slice()
            .try_into()
            .map_err(|_| SealedKeyError::Forged)?;
        let seed = Seed(Secret::fill(|seed| seed.copy_from_slice(bytes)));
        match Wallet::new(seed) {
            Ok(wallet) if wallet.fingerprint() == self.fingerprint => Ok(wallet),
            Ok(_) | Err(_) => Err(SealedKeyError::Forged),
        }
    }

    /// Whose seed it is.
    #[must_use]
    pub const fn fingerprint(&self) -> WalletFingerprint {
        self.fingerprint
    }

    /// The bytes to be kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&head(self.fingerprint)[..], &self.nonce, &self.sealed].concat()
    }

    /// Takes kept bytes apart, whole or not at all.
    ///
    /// # Errors
    /// [`SealedKeyError::Malformed`] or [`SealedKeyError::OtherVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SealedKeyError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != *LABEL {
            return Err(SealedKeyError::OtherVersion);
        }
        let fingerprint = WalletFingerprint(reader.array()?);
        let nonce = reader.array()?;
        let sealed = reader.take(SEED_BYTES + xchacha::TAG_BYTES)?.to_vec();
        reader.finish()?;
        Ok(Self {
            fingerprint,
            nonce,
            sealed,
        })
    }
}

fn head(fingerprint: WalletFingerprint) -> Vec<u8> {
    [&LABEL[..], &fingerprint.0].concat()
}

const LABEL: &[u8; 17] = b"keystead-wallet-1";

/// BIP-39, "From mnemonic to seed".
const SEED_BYTES: usize = 64;
