//! One private key at rest.
//!
//! **Invariant:** a key opens only with what it was sealed with: its name, its
//! public half and the limits of its custody are associated with the box, and
//! the public half is computed again, or checked.
//!
//! Version 2: `"keystead-key-2" ‖ string name ‖ string public blob ‖ string
//! certificate ‖ string custody ‖ nonce(24) ‖ string box`, with strings as in
//! RFC 4251 section 5; certificate and custody are empty where there is none.
//! The box is XChaCha20-Poly1305 of the private half under the store key, with
//! all that stands before the nonce associated. Version 1 is in [`first`].
//!
//! Version 3, of keys that are not for SSH, or not for all that SSH does:
//! `"keystead-key-3" ‖ string algorithm ‖ string purposes ‖ string name ‖ string public key ‖ …`,
//! and from there as version 2. A purpose is its number, a byte.

mod custody;
mod first;
mod stored;

use keystead_core::{Algorithm, Name, Purpose, Purposes, SecretBytes};
use keystead_sodium::{memory, xchacha};
use rand_core::CryptoRngCore;

use crate::wire::{Malformed, Reader, put_string};
use crate::{PublicKey, StoreKey};

pub use custody::Custody;
pub use stored::StoredKey;

/// A private key under the store key, with what may be shown of it.
///
/// What it says of itself is proved only by [`SealedKey::open`]: who can write
/// the file of a locked store can put another public key or other limits into
/// it, but gets no signature for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// All that stands before the nonce, as it was read or written.
    head: Vec<u8>,
    facts: Facts,
    public: PublicKey,
    nonce: [u8; xchacha::NONCE_BYTES],
    sealed: Vec<u8>,
}

/// What is kept with a key, beside its two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The name that its holder gave it.
    pub name: Name,
    /// The blob of a certificate over it, by which it is offered then.
    pub certificate: Option<Vec<u8>>,
    /// Of a key that was brought; none for one that was made here.
    pub custody: Option<Custody>,
    /// What it is for; empty for all that SSH does.
    pub purposes: Purposes,
}

impl SealedKey {
    /// Seals a key.
    #[must_use]
    pub fn seal(
        store: &StoreKey,
        facts: Facts,
        key: &StoredKey,
        rng: &mut dyn CryptoRngCore,
    ) -> Self {
        let mut nonce = [0; xchacha::NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let head = head(&facts, key.public());
        let sealed = memory::with_wiped_stack(|| {
            xchacha::seal(store.key().expose(), &nonce, &head, key.private())
        });
        Self {
            head,
            facts,
            public: key.public().clone(),
            nonce,
            sealed,
        }
    }

    /// Opens the key.
    ///
    /// # Errors
    /// [`SealedKeyError::Forged`] when this store did not seal these bytes.
    pub fn open(&self, store: &StoreKey) -> Result<StoredKey, SealedKeyError> {
        let opened = memory::with_wiped_stack(|| {
            xchacha::open(store.key().expose(), &self.nonce, &self.head, &self.sealed)
        })
        .map_err(|_| SealedKeyError::Forged)?;
        let bytes = opened.as_slice();
        let private = SecretBytes::fill(bytes.len(), |key| key.copy_from_slice(bytes));
        StoredKey::from_halves(self.public.clone(), private).ok_or(SealedKeyError::Forged)
    }

    /// The name that its holder gave it.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.facts.name
    }

    /// What is kept with it.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The bytes to be kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        bytes.extend(self.nonce);
        match bytes.starts_with(first::LABEL) {
            true => bytes.extend(&self.sealed),
            false => put_string(&mut bytes, &self.sealed),
        }
        bytes
    }

    /// Takes kept bytes apart, whole or not at all.
    ///
    /// # Errors
    /// [`SealedKeyError::Malformed`] or [`SealedKeyError::OtherVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SealedKeyError> {
        let (label, rest) = bytes.split_first_chunk().ok_or(SealedKeyError::Malformed)?;
        match label {
            first::LABEL => first::decode(bytes, rest),
            LABEL => Self::decode_second(bytes, rest),
            PURPOSED_LABEL => Self::decode_third(bytes, rest),
            _ => Err(SealedKeyError::OtherVersion),
        }
    }

    fn decode_second(bytes: &[u8], rest: &[u8]) -> Result<Self, SealedKeyError> {
        let reader = Reader::new(rest);
        Self::decode_behind(bytes, reader, Vec::new(), PublicKey::from_blob)
    }

    fn decode_third(bytes: &[u8], rest: &[u8]) -> Result<Self, SealedKeyError> {
        let mut reader = Reader::new(rest);
        let algorithm: Algorithm = reader
            .text()?
            .parse()
            .map_err(|_| SealedKeyError::OtherVersion)?;
        let numbers = reader.string()?.iter();
        let purposes: Option<Purposes> = numbers.map(|it| Purpose::from_number(*it)).collect();
        let purposes = purposes.ok_or(SealedKeyError::OtherVersion)?;
        Self::decode_behind(bytes, reader, purposes, |blob| {
            PublicKey::of_algorithm(algorithm, blob)
        })
    }

    /// What both versions have from the name on.
    fn decode_behind(
        bytes: &[u8],
        mut reader: Reader<'_>,
        purposes: Purposes,
        read_public: impl FnOnce(&[u8]) -> Result<PublicKey, Malformed>,
    ) -> Result<Self, SealedKeyError> {
        let name = Name::from_bytes(reader.string()?).map_err(|_| SealedKeyError::Malformed)?;
        let public = read_public(reader.string()?)?;
        let certificate = some(reader.string()?).map(<[u8]>::to_vec);
        let custody = some(reader.string()?).map(Custody::decode).transpose()?;
        let head_bytes = bytes.len() - reader.rest().len();
        let nonce = reader.array()?;
        let sealed = reader.string()?.to_vec();
        reader.finish()?;
        Ok(Self {
            head: bytes.get(..head_bytes).unwrap_or_default().to_vec(),
            facts: Facts {
                name,
                certificate,
                custody,
                purposes,
            },
            public,
            nonce,
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

impl From<Malformed> for SealedKeyError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// All that stands before the nonce, and is associated with the box.
fn head(facts: &Facts, public: &PublicKey) -> Vec<u8> {
    let algorithm = public.algorithm();
    let mut head = if facts.purposes.is_empty() && algorithm.is_ssh() {
        LABEL.to_vec()
    } else {
        let purposes: Vec<u8> = facts.purposes.iter().map(|it| it.number()).collect();
        let mut head = PURPOSED_LABEL.to_vec();
        put_string(&mut head, algorithm.as_str().as_bytes());
        put_string(&mut head, &purposes);
        head
    };
    put_string(&mut head, facts.name.as_str().as_bytes());
    put_string(&mut head, &public.to_blob());
    put_string(&mut head, facts.certificate.as_deref().unwrap_or_default());
    let custody = facts.custody.as_ref().map(Custody::encode);
    put_string(&mut head, &custody.unwrap_or_default());
    head
}

/// A string that is there.
const fn some(string: &[u8]) -> Option<&[u8]> {
    if string.is_empty() {
        None
    } else {
        Some(string)
    }
}

const LABEL: &[u8; 14] = b"keystead-key-2";

const PURPOSED_LABEL: &[u8; 14] = b"keystead-key-3";

#[cfg(test)]
mod tests {
    use keystead_core::{Algorithm, Constraints, KeyType, PairingId, SecretBytes};
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

    fn custody() -> Custody {
        Custody {
            pairing: Some(PairingId([9; 8])),
            constraints: Constraints {
                confirm: true,
                ..Constraints::default()
            },
            expires_unix_s: Some(7),
        }
    }

    fn facts() -> Facts {
        Facts {
            name: Name::new("main").unwrap(),
            certificate: None,
            custody: Some(custody()),
            purposes: Vec::new(),
        }
    }

    fn sealed(key_type: KeyType) -> SealedKey {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let key = StoredKey::generate(key_type, &mut rng).unwrap();
        SealedKey::seal(&store(1), facts(), &key, &mut rng)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(), SealedKeyError>) {
        let opened = SealedKey::decode(bytes).and_then(|key| key.open(&store(1)));
        assert_eq!(opened.map(|_| ()), expected);
    }

    fn unhex(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn opens_to_the_key_that_was_sealed() {
        for key_type in KeyType::ALL {
            let sealed = sealed(key_type);
            let again = SealedKey::decode(&sealed.encode()).unwrap();
            assert_eq!(again, sealed);
            assert_eq!(again.facts(), &facts());
            let key = again.open(&store(1)).unwrap();
            assert_eq!(key.public(), sealed.public());
            assert_eq!(key.public().algorithm(), key_type.algorithm());
        }
    }

    #[test]
    fn a_certificate_is_kept() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let key = StoredKey::generate(KeyType::Ed25519, &mut rng).unwrap();
        let facts = Facts {
            certificate: Some(vec![1, 2, 3]),
            custody: None,
            ..facts()
        };
        let sealed = SealedKey::seal(&store(1), facts.clone(), &key, &mut rng);
        let again = SealedKey::decode(&sealed.encode()).unwrap();
        assert_eq!(again.facts(), &facts);
        check(&again.encode(), Ok(()));
    }

    #[test]
    fn another_store_does_not_open_it() {
        let opened = sealed(KeyType::Ed25519).open(&store(3));
        assert_eq!(opened.err(), Some(SealedKeyError::Forged));
    }

    #[test]
    fn every_prefix_and_every_byte_more_is_malformed() {
        for key_type in [
            KeyType::Ed25519,
            KeyType::SkEcdsaP256,
            KeyType::Rsa3072,
            KeyType::X25519,
        ] {
            let bytes = sealed(key_type).encode();
            for len in 0..bytes.len() {
                check(&bytes[..len], Err(SealedKeyError::Malformed));
            }
            check(&[&bytes[..], &[0]].concat(), Err(SealedKeyError::Malformed));
        }
    }

    #[test]
    fn no_altered_byte_opens() {
        for bytes in [
            sealed(KeyType::EcdsaP384).encode(),
            sealed(KeyType::EcdhP256).encode(),
            unhex(FIRST_VERSION),
        ] {
            for bit in 0..bytes.len() * 8 {
                let mut altered = bytes.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                let opened = SealedKey::decode(&altered).and_then(|key| key.open(&store(1)));
                assert!(opened.is_err(), "bit {bit}");
            }
        }
    }

    /// Who can write the file of a locked store cannot take limits away.
    #[test]
    fn a_key_does_not_open_under_another_name_or_with_other_limits() {
        let changes: [fn(&mut Facts); 4] = [
            |it| it.purposes = vec![Purpose::OpenPgp],
            |it| it.name = Name::new("mail").unwrap(),
            |it| it.custody = None,
            |it| it.certificate = Some(vec![1]),
        ];
        for change in changes {
            let mut key = sealed(KeyType::Ed25519);
            change(&mut key.facts);
            key.head = head(&key.facts, &key.public);
            check(&key.encode(), Err(SealedKeyError::Forged));
        }
    }

    #[test]
    fn the_private_half_does_not_stand_in_the_file() {
        for key_type in KeyType::ALL {
            let sealed = sealed(key_type);
            let key = sealed.open(&store(1)).unwrap();
            let bytes = sealed.encode();
            for window in key.private().windows(8) {
                // Lengths between the numbers of an RSA key are no secret.
                let is_secret = !window.windows(3).any(|it| it == [0; 3]);
                assert!(!is_secret || !bytes.windows(8).any(|part| part == window));
            }
        }
    }

    #[test]
    fn purposes_are_kept() {
        let purposes = vec![Purpose::OpenPgp, Purpose::OpenPgpDecrypt];
        for key_type in [KeyType::Ed25519, KeyType::EcdsaSecp256k1, KeyType::EcdhP256] {
            let mut rng = ChaCha20Rng::seed_from_u64(3);
            let key = StoredKey::generate(key_type, &mut rng).unwrap();
            let facts = Facts {
                purposes: purposes.clone(),
                ..facts()
            };
            let sealed = SealedKey::seal(&store(1), facts, &key, &mut rng);
            let again = SealedKey::decode(&sealed.encode()).unwrap();
            assert_eq!(again.facts().purposes, purposes);
            assert_eq!(again.public().algorithm(), key_type.algorithm());
            check(&again.encode(), Ok(()));
        }
    }

    /// Golden: a key written by version 1 opens, and is written as it was.
    #[test]
    fn the_first_version_stays_readable() {
        let bytes = unhex(FIRST_VERSION);
        let sealed = SealedKey::decode(&bytes).unwrap();
        assert_eq!(sealed.encode(), bytes);
        assert_eq!(sealed.name().as_str(), "main");
        assert_eq!(sealed.facts().custody, None);
        let key = sealed.open(&store(1)).unwrap();
        assert_eq!(key.public().algorithm(), Algorithm::Ed25519);
        for len in 0..bytes.len() {
            check(&bytes[..len], Err(SealedKeyError::Malformed));
        }
        check(&[&bytes[..], &[0]].concat(), Err(SealedKeyError::Malformed));
    }

    /// Golden: a key written by this version must open in every later one.
    #[test]
    fn the_second_version_stays_readable() {
        let hex: String = sealed(KeyType::EcdsaP256)
            .encode()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, SECOND_VERSION);
    }

    /// Golden: a key of the third version must open in every later one.
    #[test]
    fn the_third_version_stays_readable() {
        let hex: String = sealed(KeyType::X25519)
            .encode()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, THIRD_VERSION);
    }

    const THIRD_VERSION: &str = "6b657973746561642d6b65792d330000000678323535313900000000000000046d61696e00000020\
        52cca6438038819fef7230a934ca175235da9a44c20590cc9c2f025194a643280000000000000017\
        01090909090909090901000000000000000700010000002cf8ccb495646e17340d11bb581b17d318\
        0d67443ccd0bdd000000305c97dfab68441418a2a9bac6f1947ff0f44911114d55ae8a8a569744bf\
        010e11b2b9e8d09f335c12b1593076eda8db3b";

    const FIRST_VERSION: &str = "6b657973746561642d6b65792d3101046d61696e5925ba86e2189444a6c3b437b25d2ef35daecd1a\
        bf82c5fb36060f9fc0af428c2cf8ccb495646e17340d11bb581b17d3180d67443ccd0bdd5c97dfab\
        68441418a2a9bac6f1947ff0f44911114d55ae8a8a569744bf010e113e03d4f3efc235ead81851e8\
        ee05fc6e";

    const SECOND_VERSION: &str = "6b657973746561642d6b65792d32000000046d61696e000000680000001365636473612d73686132\
        2d6e69737470323536000000086e69737470323536000000410458b2faa97c091b3fde391789a65d\
        c1f9cefaed8a8e7b48d614efc5f49ac82a90ed17c848ab5f256080c0f93b620e80ceedad7adb8cc5\
        13d338abeb3993a96f7a000000000000001701090909090909090901000000000000000700010000\
        002cf8ccb495646e17340d11bb581b17d3180d67443ccd0bdd000000305c97dfab68441418a2a9ba\
        c6f1947ff0f44911114d55ae8a8a569744bf010e11ef2fcb29868526390f6079d679ab992b";
}
