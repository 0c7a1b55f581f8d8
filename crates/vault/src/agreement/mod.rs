//! Private keys that agree: what is encrypted to them is opened with their help.
//!
//! **Invariant**: such a key never signs, and gives no shared secret that is all zero. The
//! public half was computed from the private one.
//!
//! | curve | private half | public half, peer's point | shared |
//! |---|---|---|---|
//! | X25519 (RFC 7748) | 32 bytes, clamped at use | 32 bytes | 32 bytes |
//! | P-256, secp256k1 (SEC 1) | scalar, big-endian | 4 ‖ x ‖ y | 4 ‖ x ‖ y |
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::AgreementKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::AgreementKey>();
//! ```
//! ```compile_fail
//! fn sign(key: &keystead_vault::AgreementKey) {
//!     key.sign(b"no such thing");
//! }
//! ```

mod age;
pub(crate) mod point;
#[cfg(test)]
mod tests;

use keystead_core::{Algorithm, Curve, Secret, SecretBytes};
use keystead_sodium::{crypto_box, memory};
use rand_core::CryptoRngCore;

use crate::PublicKey;

/// A private key that agrees.
pub struct AgreementKey {
    private: Secret<PRIVATE_BYTES>,
    public: PublicKey,
}

impl AgreementKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`AgreementError::Broken`] when the algorithm is one that signs, or when no randomness
    /// makes a key.
    pub fn generate(
        algorithm: Algorithm,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Self, AgreementError> {
        for _ in 0..DRAWS_MAX {
            let private = Secret::fill(|bytes| rng.fill_bytes(bytes));
            if let Ok(key) = Self::from_private(algorithm, private) {
                return Ok(key);
            }
        }
        Err(AgreementError::Broken)
    }

    /// The key of a private half.
    ///
    /// # Errors
    /// [`AgreementError::Broken`] when it is none of this algorithm.
    pub(crate) fn from_private(
        algorithm: Algorithm,
        private: Secret<PRIVATE_BYTES>,
    ) -> Result<Self, AgreementError> {
        let public = memory::with_wiped_stack(|| public_of(algorithm, private.expose()));
        let public = public.ok_or(AgreementError::Broken)?;
        Ok(Self { private, public })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Which kind of key it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The secret that is shared with whoever holds the private half of `peer`.
    ///
    /// # Errors
    /// [`AgreementError`]: `peer` is no point of the curve, or one that shares zeroes.
    pub fn agree(&self, peer: &[u8]) -> Result<SecretBytes, AgreementError> {
        let private = self.private.expose();
        memory::with_wiped_stack(|| match &self.public {
            PublicKey::X25519(_) => {
                let peer = peer.try_into().map_err(|_| AgreementError::Peer)?;
                let mut outcome = Err(AgreementError::Broken);
                let shared = SecretBytes::fill(PRIVATE_BYTES, |place| {
                    if let Some(place) = place.first_chunk_mut() {
                        outcome = crypto_box::x25519(private, peer, place)
                            .map_err(|_| AgreementError::Zero);
                    }
                });
                outcome.map(|()| shared)
            }
            PublicKey::EcdhP256(_) => point::shared::<p256::NistP256>(private, peer),
            PublicKey::EcdhSecp256k1(_) => point::shared::<k256::Secp256k1>(private, peer),
            PublicKey::Ed25519(_)
            | PublicKey::EcdsaP256(_)
            | PublicKey::EcdsaP384(_)
            | PublicKey::EcdsaP521(_)
            | PublicKey::Rsa { .. }
            | PublicKey::SkEd25519 { .. }
            | PublicKey::SkEcdsaP256 { .. }
            | PublicKey::EcdsaSecp256k1(_) => Err(AgreementError::Broken),
        })
    }

    /// The file key of an age X25519 stanza (age-encryption.org/v1, "The X25519 recipient type").
    ///
    /// # Errors
    /// [`AgreementError::Foreign`] when it was wrapped for another recipient; else as
    /// [`AgreementKey::agree`].
    pub fn unwrap_age(
        &self,
        ephemeral: &[u8; PRIVATE_BYTES],
        wrapped: &[u8; age::WRAPPED_BYTES],
    ) -> Result<SecretBytes, AgreementError> {
        let PublicKey::X25519(own) = &self.public else {
            return Err(AgreementError::Foreign);
        };
        let shared = self.agree(ephemeral)?;
        memory::with_wiped_stack(|| age::unwrap(&shared, ephemeral, own, wrapped))
    }

    /// The private half, to be sealed.
    pub(crate) const fn private(&self) -> &Secret<PRIVATE_BYTES> {
        &self.private
    }
}

/// Why there is no shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgreementError {
    /// Of another length or form, or not on the curve.
    #[error("the other side's key is no point of this curve")]
    Peer,
    /// A point of small order, which shares the same with everybody.
    #[error("the other side's key shares nothing but zeroes")]
    Zero,
    /// Not encrypted to this key.
    #[error("not encrypted to this key")]
    Foreign,
    /// The library refused the private half.
    #[error("private key cannot be used")]
    Broken,
}

fn public_of(algorithm: Algorithm, private: &[u8; PRIVATE_BYTES]) -> Option<PublicKey> {
    match algorithm {
        Algorithm::X25519 => Some(PublicKey::X25519(crypto_box::public_key(private))),
        Algorithm::EcdhP256 => {
            point::uncompressed(Curve::Nist256p1, private).map(PublicKey::EcdhP256)
        }
        Algorithm::EcdhSecp256k1 => {
            point::uncompressed(Curve::Secp256k1, private).map(PublicKey::EcdhSecp256k1)
        }
        Algorithm::Ed25519
        | Algorithm::EcdsaP256
        | Algorithm::EcdsaP384
        | Algorithm::EcdsaP521
        | Algorithm::Rsa
        | Algorithm::SkEd25519
        | Algorithm::SkEcdsaP256
        | Algorithm::EcdsaSecp256k1
        | _ => None,
    }
}

/// 32 bytes: RFC 7748 section 5; the scalars of both other curves.
const PRIVATE_BYTES: usize = 32;

/// How often a private key is drawn before the randomness is called broken.
/// Why: a P-256 scalar is out of range once in 2^32 draws.
const DRAWS_MAX: usize = 4;
