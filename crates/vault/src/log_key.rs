//! The key that signs the checkpoints of a key server's log (`spec/audit.md` section 4).
//!
//! A channel key, not a private key in the sense of DESIGN.md: it says which log there
//! is, and logs nobody in.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::LogKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::LogKey>();
//! ```

use keystead_core::Secret;
use keystead_sodium::memory;
use rand_core::CryptoRngCore;

use crate::SigningError;
use crate::signing::curves;

/// An Ed25519 key for the log of one server.
pub struct LogKey {
    seed: Secret<32>,
    public: [u8; 32],
}

impl LogKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses every seed.
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Result<Self, SigningError> {
        Self::from_seed(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    /// The key of a seed that [`LogKey::seed`] gave.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses the seed.
    pub fn from_seed(seed: Secret<32>) -> Result<Self, SigningError> {
        let public = memory::with_wiped_stack(|| curves::ed25519_public(seed.expose()))?;
        Ok(Self { seed, public })
    }

    /// What is to be kept, sealed.
    #[must_use]
    pub fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// What checks the checkpoints.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Signs the text of a checkpoint, or the notice of a new key, as it is: both begin
    /// with words of their own (`keystead/` and an id, `keystead/1 log key`).
    ///
    /// # Errors
    /// [`SigningError`] when the library gives no signature.
    pub fn sign(&self, text: &[u8]) -> Result<[u8; 64], SigningError> {
        memory::with_wiped_stack(|| curves::sign_ed25519(self.seed.expose(), &self.public, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    #[test]
    fn a_signature_is_good_under_the_public_half_and_for_its_text_alone() {
        let key = LogKey::from_seed(Secret::fill(|seed| seed.fill(7))).unwrap();
        let signature = key.sign(b"keystead/00\n1\n").unwrap();
        let public = UnparsedPublicKey::new(&ED25519, key.public());
        assert!(public.verify(b"keystead/00\n1\n", &signature).is_ok());
        assert!(public.verify(b"keystead/00\n2\n", &signature).is_err());
    }

    #[test]
    fn a_seed_gives_the_same_key_again() {
        let key = LogKey::from_seed(Secret::fill(|seed| seed.fill(7))).unwrap();
        let again = Secret::fill(|seed| seed.copy_from_slice(key.seed().expose()));
        assert_eq!(LogKey::from_seed(again).unwrap().public(), key.public());
    }
}
