//! Private keys that sign.
//!
//! **Invariant:** the public half of a [`SigningKey`] was computed from its
//! private half, so no signature can be made against another public key.
//! Library key objects exist only while one signature is made; the library
//! wipes what it frees, and the stack it worked on is wiped here.
//!
//! What would copy or show a key does not exist:
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::SigningKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::SigningKey>();
//! ```
//! ```compile_fail
//! fn needs<T: PartialEq>() {}
//! needs::<keystead_vault::SigningKey>();
//! ```
//! ```compile_fail
//! fn private(key: &keystead_vault::SigningKey) -> &[u8; 32] {
//!     key.private.expose() // nobody outside reads the bytes
//! }
//! ```
#![expect(
    clippy::disallowed_types,
    reason = "the one place where private keys of a library may stand"
)]

use aws_lc_rs::agreement;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use keystead_core::{Algorithm, Secret};
use keystead_sodium::memory;
use rand_core::CryptoRngCore;

/// A private key that makes signatures.
pub struct SigningKey {
    private: Secret<PRIVATE_BYTES>,
    public: PublicKey,
}

/// The public half of a [`SigningKey`], without the wrapping of any format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicKey {
    /// RFC 8032 section 5.1.5.
    Ed25519([u8; 32]),
    /// The point uncompressed: 4 ‖ x ‖ y (SEC 1 section 2.3.3).
    EcdsaP256([u8; 65]),
}

/// A signature, without the wrapping of any format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RawSignature {
    /// R ‖ S (RFC 8032 section 5.1.6).
    Ed25519([u8; 64]),
    /// Over SHA-256; both numbers big-endian, 32 bytes.
    EcdsaP256 {
        /// First number of the signature.
        r: [u8; 32],
        /// Second number of the signature.
        s: [u8; 32],
    },
}

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses random keys, which means that
    /// it or the randomness is broken.
    pub fn generate(
        algorithm: Algorithm,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Self, SigningError> {
        for _ in 0..DRAWS_MAX {
            let private = Secret::fill(|bytes| rng.fill_bytes(bytes));
            if let Ok(key) = Self::from_private(algorithm, private) {
                return Ok(key);
            }
        }
        Err(SigningError)
    }

    /// The key whose private half is an Ed25519 seed (RFC 8032 section 5.1.5)
    /// or a P-256 scalar, big-endian.
    ///
    /// # Errors
    /// [`SigningError`] when `private` is not in the algorithm's range.
    pub(crate) fn from_private(
        algorithm: Algorithm,
        private: Secret<PRIVATE_BYTES>,
    ) -> Result<Self, SigningError> {
        let public = memory::with_wiped_stack(|| public_of(algorithm, &private))?;
        Ok(Self { private, public })
    }

    /// Which kind of key it is.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`, which Ed25519 takes whole and ECDSA by its SHA-256.
    ///
    /// ECDSA takes its nonce from the library's own randomness: two signatures
    /// of one message differ.
    ///
    /// # Errors
    /// [`SigningError`] when the library gives no signature.
    pub fn sign(&self, message: &[u8]) -> Result<RawSignature, SigningError> {
        memory::with_wiped_stack(|| match &self.public {
            PublicKey::Ed25519(public) => sign_ed25519(&self.private, public, message),
            PublicKey::EcdsaP256(public) => sign_p256(&self.private, public, message),
        })
    }

    /// The private half, to be sealed.
    pub(crate) fn private(&self) -> &Secret<PRIVATE_BYTES> {
        &self.private
    }
}

impl PublicKey {
    /// Which kind of key it is.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::EcdsaP256(_) => Algorithm::EcdsaP256,
        }
    }

    /// The bytes: 32 or 65.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::EcdsaP256(bytes) => bytes,
        }
    }

    pub(crate) fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Ed25519 => bytes.try_into().ok().map(Self::Ed25519),
            Algorithm::EcdsaP256 => bytes.try_into().ok().map(Self::EcdsaP256),
            _ => None,
        }
    }
}

impl RawSignature {
    /// The 64 bytes: R ‖ S of Ed25519, r ‖ s of ECDSA.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 64] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::EcdsaP256 { r, s } => {
                let mut bytes = [0; 64];
                let (left, right) = bytes.split_at_mut(r.len());
                left.copy_from_slice(&r);
                right.copy_from_slice(&s);
                bytes
            }
        }
    }
}

/// The signing library refused the key or gave no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("private key cannot be used")]
pub struct SigningError;

fn public_of(
    algorithm: Algorithm,
    private: &Secret<PRIVATE_BYTES>,
) -> Result<PublicKey, SigningError> {
    let public = match algorithm {
        Algorithm::Ed25519 => Ed25519KeyPair::from_seed_unchecked(private.expose())
            .ok()
            .and_then(|pair| PublicKey::from_bytes(algorithm, pair.public_key().as_ref())),
        Algorithm::EcdsaP256 => {
            // ECDSA's own import wants to be told the public half.
            agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, private.expose())
                .ok()
                .and_then(|scalar| scalar.compute_public_key().ok())
                .and_then(|point| PublicKey::from_bytes(algorithm, point.as_ref()))
        }
        _ => None,
    };
    public.ok_or(SigningError)
}

pub(crate) fn sign_ed25519(
    private: &Secret<PRIVATE_BYTES>,
    public: &[u8; 32],
    message: &[u8],
) -> Result<RawSignature, SigningError> {
    let signature = Ed25519KeyPair::from_seed_and_public_key(private.expose(), public)
        .ok()
        .and_then(|pair| pair.try_sign(message).ok())
        .ok_or(SigningError)?;
    let bytes = signature.as_ref().try_into().map_err(|_| SigningError)?;
    Ok(RawSignature::Ed25519(bytes))
}

fn sign_p256(
    private: &Secret<PRIVATE_BYTES>,
    public: &[u8; 65],
    message: &[u8],
) -> Result<RawSignature, SigningError> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let signature =
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, private.expose(), public)
            .ok()
            .and_then(|pair| pair.sign(&SystemRandom::new(), message).ok())
            .ok_or(SigningError)?;
    match signature.as_ref().as_chunks::<32>() {
        ([r, s], []) => Ok(RawSignature::EcdsaP256 { r: *r, s: *s }),
        _ => Err(SigningError),
    }
}

/// Length of a private key: Ed25519's seed and P-256's scalar alike.
pub(crate) const PRIVATE_BYTES: usize = 32;

/// How often a private key is drawn before the randomness is called broken.
/// Why: a P-256 scalar is out of range once in 2^32 draws.
const DRAWS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        assert_eq!(hex.len(), 2 * N);
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    fn verifies(public: &PublicKey, message: &[u8], signature: RawSignature) -> bool {
        let signature = signature.to_bytes();
        match public {
            PublicKey::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(message, &signature)
                .is_ok(),
            PublicKey::EcdsaP256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
                .verify(message, &signature)
                .is_ok(),
        }
    }

    /// RFC 8032 section 7.1, tests 1 and 2.
    #[test]
    fn ed25519_vectors_of_rfc_8032() {
        for (private, public, message, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &b""[..],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                 5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &[0x72],
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                 085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ] {
            let private = Secret::take(&mut bytes(private));
            let key = SigningKey::from_private(Algorithm::Ed25519, private).unwrap();
            assert_eq!(key.public(), &PublicKey::Ed25519(bytes(public)));
            assert_eq!(
                key.sign(message),
                Ok(RawSignature::Ed25519(bytes(signature)))
            );
        }
    }

    /// RFC 6979 appendix A.2.5: the pair; its signatures need the nonce of that RFC.
    #[test]
    fn p256_pair_of_rfc_6979() {
        let private = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
        let private = Secret::take(&mut bytes(private));
        let key = SigningKey::from_private(Algorithm::EcdsaP256, private).unwrap();
        let public = bytes(
            "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
             7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        );
        assert_eq!(key.public(), &PublicKey::EcdsaP256(public));
        assert!(verifies(
            key.public(),
            b"sample",
            key.sign(b"sample").unwrap()
        ));
    }

    #[test]
    fn what_is_made_signs_and_signs_only_that() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm, &mut rng).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            let other = SigningKey::generate(algorithm, &mut rng).unwrap();
            for len in [0, 1, 63, 64, 65, 1000, 100_000] {
                let message = vec![0x5a; len];
                let signature = key.sign(&message).unwrap();
                assert!(verifies(key.public(), &message, signature));
                assert!(!verifies(other.public(), &message, signature));
                assert!(!verifies(key.public(), b"other", signature));
            }
        }
    }

    #[test]
    fn the_same_randomness_makes_the_same_key() {
        for algorithm in Algorithm::ALL {
            let public = |seed| {
                let mut rng = ChaCha20Rng::seed_from_u64(seed);
                *SigningKey::generate(algorithm, &mut rng).unwrap().public()
            };
            assert_eq!(public(1), public(1));
            assert_ne!(public(1), public(2));
        }
    }

    #[test]
    fn scalars_out_of_range_are_refused() {
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        for scalar in [[0; 32], bytes(order), [0xff; 32]] {
            let private = Secret::take(&mut scalar.clone());
            assert!(SigningKey::from_private(Algorithm::EcdsaP256, private).is_err());
        }
    }
}
