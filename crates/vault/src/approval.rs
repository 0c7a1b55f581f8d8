//! Keys that approve what a key server is asked to do (`spec/session.md` section 8), and the
//! key under which a workstation's local copies lie.
//!
//! **Invariant:** an approval key belongs to one server, and its box opens under no other
//! label: who can write the file cannot make it a key that logs in.
//!
//! `"keystead-approval-1" ‖ server_id(16) ‖ string name ‖ public key(32) ‖ nonce(24) ‖ sealed
//! seed (32 + 16)`, with strings as in RFC 4251 section 5. The box is XChaCha20-Poly1305 under
//! the store key, with all that stands before the nonce associated.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::ApprovalKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::ApprovalKey>();
//! ```

use keystead_core::{Name, Secret};
use keystead_sodium::hash::blake2b;
use keystead_sodium::{memory, xchacha};
use rand_core::CryptoRngCore;

use crate::sealed::SealedKeyError;
use crate::signing::curves;
use crate::wire::{Reader, put_string};
use crate::{SigningError, StoreKey};

/// An Ed25519 key that approves for one server.
pub struct ApprovalKey {
    seed: Secret<32>,
    public: [u8; 32],
}

impl ApprovalKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses every seed.
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Result<Self, SigningError> {
        Self::from_seed(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    fn from_seed(seed: Secret<32>) -> Result<Self, SigningError> {
        let public = memory::with_wiped_stack(|| curves::ed25519_public(seed.expose()))?;
        Ok(Self { seed, public })
    }

    /// What the server knows the approver by.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Signs a server's text, which says itself what it is: nothing stands before it.
    ///
    /// # Errors
    /// [`SigningError`] when the library gives no signature.
    pub fn sign(&self, text: &[u8]) -> Result<[u8; 64], SigningError> {
        memory::with_wiped_stack(|| curves::sign_ed25519(self.seed.expose(), &self.public, text))
    }
}

/// An approval key under the store key, with what may be shown of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedApprovalKey {
    server_id: [u8; SERVER_ID_BYTES],
    server: Name,
    public: [u8; 32],
    nonce: [u8; xchacha::NONCE_BYTES],
    sealed: [u8; SEALED_BYTES],
}

impl SealedApprovalKey {
    /// Seals the key of a server.
    ///
    /// # Errors
    /// [`SigningError::Broken`] when the library seals to another length.
    pub fn seal(
        store: &StoreKey,
        server_id: [u8; SERVER_ID_BYTES],
        server: Name,
        key: &ApprovalKey,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Self, SigningError> {
        let mut nonce = [0; xchacha::NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let head = head(&server_id, &server, &key.public);
        let sealed = memory::with_wiped_stack(|| {
            xchacha::seal(store.key().expose(), &nonce, &head, key.seed.expose())
        });
        Ok(Self {
            server_id,
            server,
            public: key.public,
            nonce,
            sealed: sealed.try_into().map_err(|_| SigningError::Broken)?,
        })
    }

    /// Opens the key.
    ///
    /// # Errors
    /// [`SealedKeyError::Forged`] when this store did not seal these bytes.
    pub fn open(&self, store: &StoreKey) -> Result<ApprovalKey, SealedKeyError> {
        let head = head(&self.server_id, &self.server, &self.public);
        let opened = memory::with_wiped_stack(|| {
            xchacha::open(store.key().expose(), &self.nonce, &head, &self.sealed)
        })
        .map_err(|_| SealedKeyError::Forged)?;
        let bytes: &[u8; 32] = opened
            .as_slice()
            .try_into()
            .map_err(|_| SealedKeyError::Forged)?;
        let key = ApprovalKey::from_seed(Secret::fill(|seed| seed.copy_from_slice(bytes)))
            .map_err(|_| SealedKeyError::Forged)?;
        match key.public == self.public {
            true => Ok(key),
            false => Err(SealedKeyError::Forged),
        }
    }

    /// Whose texts it approves.
    #[must_use]
    pub const fn server_id(&self) -> &[u8; SERVER_ID_BYTES] {
        &self.server_id
    }

    /// What the server is called here.
    #[must_use]
    pub const fn server(&self) -> &Name {
        &self.server
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The bytes to be kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = head(&self.server_id, &self.server, &self.public);
        bytes.extend(self.nonce);
        bytes.extend(self.sealed);
        bytes
    }

    /// Takes kept bytes apart, whole or not at all.
    ///
    /// # Errors
    /// [`SealedKeyError::Malformed`] or [`SealedKeyError::OtherVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SealedKeyError> {
        let mut reader = Reader::new(bytes);
        if reader.take(LABEL.len())? != LABEL {
            return Err(SealedKeyError::OtherVersion);
        }
        let server_id = reader.array()?;
        let server = Name::from_bytes(reader.string()?).map_err(|_| SealedKeyError::Malformed)?;
        let key = Self {
            server_id,
            server,
            public: reader.array()?,
            nonce: reader.array()?,
            sealed: reader.array()?,
        };
        reader.finish()?;
        Ok(key)
    }
}

impl StoreKey {
    /// The key under which a workstation keeps local copies (`spec/pairing.md` section 5.1, kind
    /// 15): another one for each pairing and salt. `client` and `server` are the pairing's keys.
    #[must_use]
    pub fn local_key(&self, client: &[u8; 32], server: &[u8; 32], salt: &[u8; 32]) -> Secret<32> {
        memory::with_wiped_stack(|| {
            let parts: [&[u8]; 4] = [LOCAL_LABEL, client, server, salt];
            Secret::take(&mut blake2b(self.key().expose(), &parts))
        })
    }
}

/// All that stands before the nonce, and is associated with the box.
fn head(server_id: &[u8; SERVER_ID_BYTES], server: &Name, public: &[u8; 32]) -> Vec<u8> {
    let mut head = LABEL.to_vec();
    head.extend(server_id);
    put_string(&mut head, server.as_str().as_bytes());
    head.extend(public);
    head
}

const LABEL: &[u8] = b"keystead-approval-1";

const LOCAL_LABEL: &[u8] = b"keystead-open-local-1";

/// `spec/session.md`, `server_id`.
const SERVER_ID_BYTES: usize = 16;

/// Seed and tag.
const SEALED_BYTES: usize = 32 + xchacha::TAG_BYTES;

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use keystead_core::SecretBytes;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::{Cost, SealedKey};

    fn store(seed: u64) -> StoreKey {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let passphrase = SecretBytes::fill(1, |_| ());
        StoreKey::create(&passphrase, Cost::LEAST, &mut rng)
            .unwrap()
            .0
    }

    fn sealed() -> SealedApprovalKey {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let key = ApprovalKey::generate(&mut rng).unwrap();
        let name = Name::new("work").unwrap();
        SealedApprovalKey::seal(&store(1), [7; 16], name, &key, &mut rng).unwrap()
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(), SealedKeyError>) {
        let opened = SealedApprovalKey::decode(bytes).and_then(|it| it.open(&store(1)));
        assert_eq!(opened.map(|_| ()), expected);
    }

    #[test]
    fn a_text_is_signed_as_it_is() {
        let key = sealed().open(&store(1)).unwrap();
        assert_eq!(key.public(), sealed().public());
        let public = UnparsedPublicKey::new(&ED25519, key.public());
        let signature = key.sign(b"text").unwrap();
        assert!(public.verify(b"text", &signature).is_ok());
        assert!(public.verify(b"texts", &signature).is_err());
    }

    #[test]
    fn it_opens_whole_in_its_own_store_alone() {
        let bytes = sealed().encode();
        assert_eq!(SealedApprovalKey::decode(&bytes), Ok(sealed()));
        check(&bytes, Ok(()));
        for len in 0..bytes.len() {
            check(&bytes[..len], Err(SealedKeyError::Malformed));
        }
        check(&[&bytes[..], &[0]].concat(), Err(SealedKeyError::Malformed));
        let other = sealed().open(&store(3));
        assert_eq!(other.err(), Some(SealedKeyError::Forged));
    }

    #[test]
    fn no_altered_byte_opens() {
        let bytes = sealed().encode();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let opened = SealedApprovalKey::decode(&altered).and_then(|it| it.open(&store(1)));
            assert!(opened.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn it_is_no_key_of_another_kind() {
        assert_eq!(
            SealedKey::decode(&sealed().encode()),
            Err(SealedKeyError::OtherVersion)
        );
    }

    #[test]
    fn a_local_key_is_of_its_store_pairing_and_salt() {
        let key = |store: &StoreKey, client, salt| {
            *store
                .local_key(&[client; 32], &[2; 32], &[salt; 32])
                .expose()
        };
        let own = key(&store(1), 1, 3);
        assert_eq!(key(&store(1), 1, 3), own);
        assert_ne!(key(&store(2), 1, 3), own);
        assert_ne!(key(&store(1), 2, 3), own);
        assert_ne!(key(&store(1), 1, 4), own);
    }

    /// Golden: a key written by this version must open in every later one, and a local copy too.
    /// Both were made without this code, by libsodium and Python's hashlib, from the same streams.
    #[test]
    fn the_first_version_stays_readable() {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        assert_eq!(hex(&sealed().encode()), GOLDEN);
        let local = store(1).local_key(&[1; 32], &[2; 32], &[3; 32]);
        assert_eq!(hex(local.expose()), GOLDEN_LOCAL);
    }

    const GOLDEN: &str = "6b657973746561642d617070726f76616c2d31070707070707070707070707070707070000000477\
        6f726b5925ba86e2189444a6c3b437b25d2ef35daecd1abf82c5fb36060f9fc0af428c2cf8ccb495\
        646e17340d11bb581b17d3180d67443ccd0bdd5c97dfab68441418a2a9bac6f1947ff0f44911114d\
        55ae8a8a569744bf010e11b800f9fe022d8734c5cb7ae3e297a64b";

    const GOLDEN_LOCAL: &str = "2d2e5dba8e4f262e52c618895e494e7d84d0ff0256d024b08816b43e75827a63";
}
