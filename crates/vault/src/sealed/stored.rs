//! What a sealed key opens to.

use keystead_core::{KeyType, Secret, SecretBytes};
use rand_core::CryptoRngCore;

use crate::{AgreementKey, PublicKey, SigningError, SigningKey};

/// A private key of its own: one that no seed derives.
pub enum StoredKey {
    /// It signs, and never agrees.
    Sign(SigningKey),
    /// It agrees, and never signs.
    Agree(AgreementKey),
}

impl StoredKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SigningError::Broken`] when the library refuses random keys.
    pub fn generate(key_type: KeyType, rng: &mut dyn CryptoRngCore) -> Result<Self, SigningError> {
        let algorithm = key_type.algorithm();
        if algorithm.agrees() {
            let key = AgreementKey::generate(algorithm, rng);
            return key.map(Self::Agree).map_err(|_| SigningError::Broken);
        }
        SigningKey::generate(key_type, rng).map(Self::Sign)
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        match self {
            Self::Sign(key) => key.public(),
            Self::Agree(key) => key.public(),
        }
    }

    /// The private half, to be sealed.
    pub(super) fn private(&self) -> &[u8] {
        match self {
            Self::Sign(key) => key.private().expose(),
            Self::Agree(key) => key.private().expose(),
        }
    }

    /// The key of two halves that were sealed together; none when they are not of one key.
    pub(super) fn from_halves(public: PublicKey, private: SecretBytes) -> Option<Self> {
        if !public.algorithm().agrees() {
            return SigningKey::from_halves(public, private)
                .ok()
                .map(Self::Sign);
        }
        let private: &[u8; 32] = private.expose().try_into().ok()?;
        let private = Secret::fill(|key| key.copy_from_slice(private));
        let key = AgreementKey::from_private(public.algorithm(), private).ok()?;
        (*key.public() == public).then_some(Self::Agree(key))
    }
}
