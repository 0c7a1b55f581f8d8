//! One private key at rest.
//!
//! **Invariant:** a key opens only under the name, the kind and the public
//! half that it was sealed with: they are associated with the box, and the
//! public half is computed again.
//!
//! `"keystead-key-1" ‖ algorithm u8 ‖ name length u8 ‖ name ‖ public key ‖
//! nonce(24) ‖ sealed private key (32 + 16)`; the box is XChaCha20-Poly1305
//! under the store key with all that stands before the nonce associated.
//! Algorithm 1 is Ed25519 (public key 32 bytes), 2 ECDSA P-256 (65 bytes).

use keystead_core::{Algorithm, Name, Secret};
use keystead_sodium::{memory, xchacha};
use rand_core::CryptoRngCore;

use crate::signing::PRIVATE_BYTES;
use crate::{PublicKey, SigningKey, StoreKey};

/// A private key under the store key, with what may be shown of it.
///
/// What it says of itself is proved only by [`SealedKey::open`]: who can write
/// the file of a locked store can put another public key into it, but gets no
/// signature for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    name: Name,
    public: PublicKey,
    nonce: [u8; xchacha::NONCE_BYTES],
    sealed: [u8; SEALED_BYTES],
}

impl SealedKey {
    /// Seals a key under the name that its holder gives it.
    #[must_use]
    pub fn seal(
        store: &StoreKey,
        name: &Name,
        key: &SigningKey,
        rng: &mut dyn CryptoRngCore,
    ) -> Self {
        let mut nonce = [0; xchacha::NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let head = head(name, key.public());
        let boxed = memory::with_wiped_stack(|| {
            xchacha::seal(store.key().expose(), &nonce, &head, key.private().expose())
        });
        let mut sealed = [0; SEALED_BYTES];
        sealed.copy_from_slice(&boxed);
        Self {
            name: name.clone(),
            public: *key.public(),
            nonce,
            sealed,
        }
    }

    /// Opens the key.
    ///
    /// # Errors
    /// [`SealedKeyError::Forged`] when this store did not seal these bytes.
    pub fn open(&self, store: &StoreKey) -> Result<SigningKey, SealedKeyError> {
        let head = head(&self.name, &self.public);
        let opened = memory::with_wiped_stack(|| {
            xchacha::open(store.key().expose(), &self.nonce, &head, &self.sealed)
        })
        .map_err(|_| SealedKeyError::Forged)?;
        let bytes: &[u8; PRIVATE_BYTES] = opened
            .as_slice()
            .try_into()
            .map_err(|_| SealedKeyError::Forged)?;
        let private = Secret::fill(|key| key.copy_from_slice(bytes));
        let key = SigningKey::from_private(self.public.algorithm(), private)
            .map_err(|_| SealedKeyError::Forged)?;
        if *key.public() == self.public {
            Ok(key)
        } else {
            Err(SealedKeyError::Forged)
        }
    }

    /// The name that its holder gave it.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The bytes to be kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = head(&self.name, &self.public);
        bytes.extend(self.nonce);
        bytes.extend(self.sealed);
        bytes
    }

    /// Takes kept bytes apart, whole or not at all.
    ///
    /// # Errors
    /// [`SealedKeyError::Malformed`] or [`SealedKeyError::OtherVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SealedKeyError> {
        let malformed = SealedKeyError::Malformed;
        let (label, rest) = bytes.split_first_chunk().ok_or(malformed)?;
        if label != LABEL {
            return Err(SealedKeyError::OtherVersion);
        }
        let ([algorithm, name_bytes], rest) = rest.split_first_chunk().ok_or(malformed)?;
        let (name, rest) = rest
            .split_at_checked(usize::from(*name_bytes))
            .ok_or(malformed)?;
        let name = Name::from_bytes(name).map_err(|_| malformed)?;
        let (algorithm, public_bytes) = match *algorithm {
            ED25519 => (Algorithm::Ed25519, 32),
            ECDSA_P256 => (Algorithm::EcdsaP256, 65),
            _ => return Err(SealedKeyError::OtherVersion),
        };
        let (public, rest) = rest.split_at_checked(public_bytes).ok_or(malformed)?;
        let public = PublicKey::from_bytes(algorithm, public).ok_or(malformed)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(malformed)?;
        let sealed = sealed.try_into().map_err(|_| malformed)?;
        Ok(Self {
            name,
            public,
            nonce: *nonce,
            sealed,
        })
    }
}

/// Why bytes are no key of this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedKeyError {
    /// Cut off, or bytes too many.
    #[error("key file is damaged")]
    Malformed,
    /// Of a version, or a kind of key, that this program does not know.
    #[error("key file is of another version")]
    OtherVersion,
    /// Altered, or sealed by another store.
    #[error("key file is damaged or belongs to another store")]
    Forged,
}

impl SealedKeyError {
    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed | Self::Forged => "bring the file back from a copy",
            Self::OtherVersion => "use the version of keystead-authenticator that wrote it",
        }
    }
}

/// All that stands before the nonce, and is associated with the box.
fn head(name: &Name, public: &PublicKey) -> Vec<u8> {
    let number = match public {
        PublicKey::Ed25519(_) => ED25519,
        PublicKey::EcdsaP256(_) => ECDSA_P256,
    };
    let name = name.as_str().as_bytes();
    let mut head = LABEL.to_vec();
    head.push(number);
    // A name has at most 64 bytes.
    head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    head.extend(name);
    head.extend(public.as_bytes());
    head
}

const LABEL: &[u8; 14] = b"keystead-key-1";

const ED25519: u8 = 1;

const ECDSA_P256: u8 = 2;

const SEALED_BYTES: usize = PRIVATE_BYTES + xchacha::TAG_BYTES;

#[cfg(test)]
mod tests {
    use keystead_core::SecretBytes;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::Cost;

    fn store(seed: u64) -> StoreKey {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let passphrase = SecretBytes::fill(1, |_| ());
        StoreKey::create(&passphrase, Cost::LEAST, &mut rng)
            .unwrap()
            .0
    }

    fn sealed(algorithm: Algorithm) -> SealedKey {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let key = SigningKey::generate(algorithm, &mut rng).unwrap();
        SealedKey::seal(&store(1), &Name::new("main").unwrap(), &key, &mut rng)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(), SealedKeyError>) {
        let opened = SealedKey::decode(bytes).and_then(|key| key.open(&store(1)));
        assert_eq!(opened.map(|_| ()), expected);
    }

    #[test]
    fn opens_to_the_key_that_was_sealed() {
        for algorithm in Algorithm::ALL {
            let sealed = sealed(algorithm);
            let again = SealedKey::decode(&sealed.encode()).unwrap();
            assert_eq!(again, sealed);
            assert_eq!(again.name().as_str(), "main");
            let key = again.open(&store(1)).unwrap();
            assert_eq!(key.public(), sealed.public());
            assert_eq!(key.algorithm(), algorithm);
        }
    }

    #[test]
    fn another_store_does_not_open_it() {
        let opened = sealed(Algorithm::Ed25519).open(&store(3));
        assert_eq!(opened.err(), Some(SealedKeyError::Forged));
    }

    #[test]
    fn every_prefix_and_every_byte_more_is_malformed() {
        for algorithm in Algorithm::ALL {
            let bytes = sealed(algorithm).encode();
            for len in 0..bytes.len() {
                check(&bytes[..len], Err(SealedKeyError::Malformed));
            }
            check(&[&bytes[..], &[0]].concat(), Err(SealedKeyError::Malformed));
        }
    }

    #[test]
    fn no_altered_byte_opens() {
        for algorithm in Algorithm::ALL {
            let bytes = sealed(algorithm).encode();
            for bit in 0..bytes.len() * 8 {
                let mut altered = bytes.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                let opened = SealedKey::decode(&altered).and_then(|key| key.open(&store(1)));
                assert!(opened.is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_key_does_not_open_under_another_name() {
        let mut key = sealed(Algorithm::Ed25519);
        key.name = Name::new("mail").unwrap();
        check(&key.encode(), Err(SealedKeyError::Forged));
    }

    #[test]
    fn the_private_half_does_not_stand_in_the_file() {
        for algorithm in Algorithm::ALL {
            let sealed = sealed(algorithm);
            let key = sealed.open(&store(1)).unwrap();
            let bytes = sealed.encode();
            for window in key.private().expose().windows(4) {
                assert!(!bytes.windows(4).any(|part| part == window));
            }
        }
    }

    /// Golden: a key written by this version must open in every later one.
    #[test]
    fn the_first_version_stays_readable() {
        let hex: String = sealed(Algorithm::Ed25519)
            .encode()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, GOLDEN);
    }

    const GOLDEN: &str = "6b657973746561642d6b65792d3101046d61696e5925ba86e2189444a6c3b437b25d2ef35daecd1a\
        bf82c5fb36060f9fc0af428c2cf8ccb495646e17340d11bb581b17d3180d67443ccd0bdd5c97dfab\
        68441418a2a9bac6f1947ff0f44911114d55ae8a8a569744bf010e113e03d4f3efc235ead81851e8\
        ee05fc6e";
}
