//! How new keys that sign are made.

use keystead_core::{KeyType, SecretBytes};
use rand_core::CryptoRngCore;

use crate::import::rsa_of_pkcs8;
use crate::signing::{curves, rsa};
use crate::{SigningError, SigningKey};

impl SigningKey {
    /// Makes a new key. RSA keys come from the library's own randomness, all
    /// others from `rng`.
    ///
    /// # Errors
    /// [`SigningError::Broken`] when the library refuses random keys, which
    /// means that it or the randomness is broken.
    pub fn generate(key_type: KeyType, rng: &mut dyn CryptoRngCore) -> Result<Self, SigningError> {
        if key_type == KeyType::Rsa3072 {
            return rsa::generate(rsa::Size::Bits3072, rsa_of_pkcs8);
        }
        if key_type == KeyType::Rsa4096 {
            return rsa::generate(rsa::Size::Bits4096, rsa_of_pkcs8);
        }
        let algorithm = key_type.algorithm();
        let len = curves::private_bytes(algorithm).ok_or(SigningError::Broken)?;
        for _ in 0..DRAWS_MAX {
            let private = SecretBytes::fill(len, |bytes| rng.fill_bytes(bytes));
            if let Ok(key) = Self::from_private(algorithm, APPLICATION, private) {
                return Ok(key);
            }
        }
        Err(SigningError::Broken)
    }
}

/// How often a private key is drawn before the randomness is called broken.
/// Why: a P-256 scalar is out of range once in 2^32 draws.
const DRAWS_MAX: usize = 4;

/// What OpenSSH calls its own keys with presence (PROTOCOL.u2f).
const APPLICATION: &str = "ssh:";
