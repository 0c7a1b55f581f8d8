//! The key that signs a pairing's receipts (`spec/pairing.md` section 6).
//!
//! A channel key, not a private key in the sense of DESIGN.md: it belongs to
//! one pairing, proves who answered, and logs nobody in. Its owner keeps it
//! beside the pairing's other channel keys.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::ReceiptKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::ReceiptKey>();
//! ```

use keystead_core::Secret;
use keystead_sodium::memory;
use rand_core::CryptoRngCore;

use crate::SigningError;
use crate::signing::curves;

/// An Ed25519 key for the receipts of one pairing.
pub struct ReceiptKey {
    seed: Secret<32>,
    public: [u8; 32],
}

impl ReceiptKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses every seed.
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Result<Self, SigningError> {
        Self::from_seed(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    /// The key of a seed that [`ReceiptKey::seed`] gave.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses the seed.
    pub fn from_seed(seed: Secret<32>) -> Result<Self, SigningError> {
        let public = memory::with_wiped_stack(|| curves::ed25519_public(seed.expose()))?;
        Ok(Self { seed, public })
    }

    /// What is to be kept.
    #[must_use]
    pub fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// What checks the receipts: field 5 of the me response.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Signs `"keystead-receipt-1" ‖ receipt`.
    ///
    /// # Errors
    /// [`SigningError`] when the library gives no signature.
    pub fn sign(&self, receipt: &[u8]) -> Result<[u8; 64], SigningError> {
        let message = [RECEIPT_LABEL, receipt].concat();
        memory::with_wiped_stack(|| {
            curves::sign_ed25519(self.seed.expose(), &self.public, &message)
        })
    }
}

/// What stands before a receipt when it is signed (`spec/pairing.md` section 6).
const RECEIPT_LABEL: &[u8] = b"keystead-receipt-1";

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn signs_behind_its_label_and_comes_back_from_its_seed() {
        let key = ReceiptKey::from_seed(Secret::fill(|bytes| bytes.fill(7))).unwrap();
        let again = ReceiptKey::from_seed(Secret::fill(|bytes| {
            bytes.copy_from_slice(key.seed().expose());
        }))
        .unwrap();
        let signature = again.sign(b"receipt").unwrap();
        let public = UnparsedPublicKey::new(&ED25519, key.public());
        assert!(
            public
                .verify(b"keystead-receipt-1receipt", &signature)
                .is_ok()
        );
        assert!(public.verify(b"receipt", &signature).is_err());
    }
}
