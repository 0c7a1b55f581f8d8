//! The keys that a wallet signs with.
//!
//! **Invariant**: a leaf is made by [`super::Wallet::signer`] alone, from the last node of a
//! path, and signs with no randomness: a message has one signature.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::wallet::SigningLeaf>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::wallet::SigningLeaf>();
//! ```

use aws_lc_rs::digest;
use keystead_core::{Curve, Secret};
use keystead_sodium::memory;

use crate::agreement::point;
use crate::signing::{curves, deterministic};
use crate::{PublicKey, RawSignature, SigningError};

/// A derived key that signs.
pub struct SigningLeaf {
    curve: Curve,
    private: Secret<32>,
    public: PublicKey,
}

impl SigningLeaf {
    /// The leaf of a derived key; none where it is no key of the curve, or the curve's do not
    /// sign.
    pub(super) fn new(curve: Curve, private: Secret<32>) -> Option<Self> {
        let key = private.expose();
        let public = match curve {
            Curve::Nist256p1 => PublicKey::EcdsaP256(point::uncompressed(curve, key)?),
            Curve::Secp256k1 => PublicKey::EcdsaSecp256k1(point::uncompressed(curve, key)?),
            Curve::Ed25519 => PublicKey::Ed25519(curves::ed25519_public(key).ok()?),
            Curve::Curve25519 => return None,
        };
        Some(Self {
            curve,
            private,
            public,
        })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message as SSH and minisign do: Ed25519 takes it whole, P-256 by its SHA-256.
    ///
    /// # Errors
    /// [`SigningError::Unfit`] on secp256k1, which neither of the two has.
    pub fn sign(&self, message: &[u8]) -> Result<RawSignature, SigningError> {
        match self.curve {
            Curve::Ed25519 => self.sign_digest(message).map(RawSignature::Ed25519),
            Curve::Nist256p1 => {
                let hash = digest::digest(&digest::SHA256, message);
                let signature = self.sign_digest(hash.as_ref())?;
                let (r, s) = signature.split_at(32);
                let number = |part: &[u8]| part.try_into().map_err(|_| SigningError::Broken);
                Ok(RawSignature::EcdsaP256 {
                    r: number(r)?,
                    s: number(s)?,
                })
            }
            Curve::Secp256k1 | Curve::Curve25519 => Err(SigningError::Unfit),
        }
    }

    /// Signs a digest as OpenPGP does: Ed25519 as its message, ECDSA its first 32 bytes; R ‖ S
    /// or r ‖ s.
    ///
    /// # Errors
    /// [`SigningError::Unfit`] when ECDSA is to sign fewer than 32 bytes.
    pub fn sign_digest(&self, digest: &[u8]) -> Result<[u8; 64], SigningError> {
        let private = self.private.expose();
        memory::with_wiped_stack(|| {
            if let PublicKey::Ed25519(public) = &self.public {
                return curves::sign_ed25519(private, public, digest);
            }
            let first = digest.first_chunk().ok_or(SigningError::Unfit)?;
            deterministic::sign(self.curve, private, first)
        })
    }
}
