//! The holder's keys: sealed on disk, open in memory between unlock and lock.
//!
//! **Invariant**: a key that is not in the file is not in memory either: a new
//! one counts only when the file is written. Locked, nothing here can sign.

use std::io;

use keystead_core::{Algorithm, KeyEntry, KeyId, Name, Purpose, SecretBytes};
use keystead_daemon::Disk;
use keystead_formats::ssh::{Curve, PublicKey, signature};
use keystead_vault::{
    Cost, RawSignature, SealedKey, SealedKeyError, SigningError, SigningKey, StoreError, StoreKey,
};
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};

use crate::LoadError;
use crate::entry::{from_hex, to_hex};

/// The keys of one authenticator, and its name.
pub struct Keyring {
    name: Name,
    header: Vec<u8>,
    sealed: Vec<SealedKey>,
    entries: Vec<KeyEntry>,
    open: Option<Open>,
}

/// What is in memory while the keys are unlocked.
struct Open {
    store: StoreKey,
    keys: Vec<(KeyId, SigningKey)>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct KeysFile {
    version: u32,
    name: String,
    /// Hex of the store's header.
    store: String,
    /// Hex of each sealed key, the oldest first.
    keys: Vec<String>,
}

impl Keyring {
    /// Makes the store of a new authenticator, without a key; unlocked.
    /// Nothing is written: [`Keyring::make_key`] or [`Keyring::save`] does that.
    ///
    /// # Errors
    /// [`StoreError`] when the cost cannot be met.
    pub fn create(
        name: Name,
        passphrase: &SecretBytes,
        cost: Cost,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Self, StoreError> {
        let (store, header) = StoreKey::create(passphrase, cost, rng)?;
        let open = Some(Open {
            store,
            keys: Vec::new(),
        });
        Ok(Self {
            name,
            header,
            sealed: Vec::new(),
            entries: Vec::new(),
            open,
        })
    }

    /// Reads the keys, locked.
    ///
    /// # Errors
    /// [`LoadError`] names the file; [`LoadError::NotMade`] when there is none.
    pub fn load(disk: &dyn Disk) -> Result<Self, LoadError> {
        let read = disk.read(KEYS_FILE);
        let text = read.map_err(|source| LoadError::unreadable(KEYS_FILE, source))?;
        let file: KeysFile = serde_json::from_slice(&text.ok_or(LoadError::NotMade)?)
            .map_err(|error| LoadError::damaged(KEYS_FILE, error.to_string()))?;
        if file.version > VERSION {
            return Err(LoadError::newer(KEYS_FILE));
        }
        let damaged = |why: &str| LoadError::damaged(KEYS_FILE, why);
        let name = Name::new(file.name).map_err(|error| damaged(&error.to_string()))?;
        let header = from_hex(&file.store).ok_or_else(|| damaged("the store is not hex"))?;
        let mut sealed = Vec::with_capacity(file.keys.len());
        for (at, key) in file.keys.iter().enumerate() {
            let bytes = from_hex(key).ok_or_else(|| damaged("a key is not hex"))?;
            let key = SealedKey::decode(&bytes);
            sealed.push(key.map_err(|error| damaged(&format!("key {at}: {error}")))?);
        }
        let entries = entries_of(&sealed).ok_or_else(|| damaged("a public key is not one"))?;
        Ok(Self {
            name,
            header,
            sealed,
            entries,
            open: None,
        })
    }

    /// The holder's name for this authenticator.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The public halves, the oldest key first.
    #[must_use]
    pub fn entries(&self) -> &[KeyEntry] {
        &self.entries
    }

    /// The public half of a key.
    #[must_use]
    pub fn entry(&self, id: &KeyId) -> Option<&KeyEntry> {
        self.entries.iter().find(|it| it.id == *id)
    }

    /// Whether keys can sign.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.open.is_none()
    }

    /// Opens the keys.
    ///
    /// # Errors
    /// [`UnlockError`]; locked or unlocked, it stays as it was.
    pub fn unlock(&mut self, passphrase: &SecretBytes) -> Result<(), UnlockError> {
        let store = StoreKey::open(passphrase, &self.header)?;
        let mut keys = Vec::with_capacity(self.sealed.len());
        for (sealed, entry) in self.sealed.iter().zip(&self.entries) {
            let key = sealed.open(&store).map_err(|source| UnlockError::Key {
                name: entry.name.clone(),
                source,
            })?;
            keys.push((entry.id, key));
        }
        self.open = Some(Open { store, keys });
        Ok(())
    }

    /// Closes the keys: they are wiped where they are. What a use of them left
    /// on the stack was wiped right behind that use.
    pub fn lock(&mut self) {
        self.open = None;
    }

    /// Makes a key, seals it and writes the file.
    ///
    /// # Errors
    /// [`MakeKeyError`]; there is no new key then.
    pub fn make_key(
        &mut self,
        name: &Name,
        algorithm: Algorithm,
        rng: &mut dyn CryptoRngCore,
        disk: &mut dyn Disk,
    ) -> Result<KeyEntry, MakeKeyError> {
        if self.entries.iter().any(|it| it.name == *name) {
            return Err(MakeKeyError::Taken { name: name.clone() });
        }
        if self.entries.len() >= KEYS_MAX {
            return Err(MakeKeyError::Full);
        }
        let open = self.open.as_mut().ok_or(MakeKeyError::Locked)?;
        let key = SigningKey::generate(algorithm, rng)?;
        let sealed = SealedKey::seal(&open.store, name, &key, rng);
        let entry = entry_of(&sealed).ok_or(SigningError)?;
        self.sealed.push(sealed);
        if let Err(source) = self.save(disk) {
            self.sealed.pop();
            return Err(MakeKeyError::Disk(source));
        }
        if let Some(open) = self.open.as_mut() {
            open.keys.push((entry.id, key));
        }
        self.entries.push(entry.clone());
        Ok(entry)
    }

    /// Signs; the signature as SSH has it on the wire. None when locked, or
    /// when there is no such key.
    #[must_use]
    pub fn sign(&self, id: &KeyId, message: &[u8]) -> Option<Vec<u8>> {
        let keys = &self.open.as_ref()?.keys;
        let (_, key) = keys.iter().find(|(own, _)| own == id)?;
        match key.sign(message).ok()? {
            RawSignature::Ed25519(bytes) => Some(signature::ed25519(&bytes)),
            RawSignature::EcdsaP256 { r, s } => Some(signature::ecdsa(Curve::P256, &r, &s)),
            _ => None,
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The system's.
    pub fn save(&self, disk: &mut dyn Disk) -> io::Result<()> {
        let file = KeysFile {
            version: VERSION,
            name: self.name.to_string(),
            store: to_hex(&self.header),
            keys: self.sealed.iter().map(|it| to_hex(&it.encode())).collect(),
        };
        let mut text = serde_json::to_vec_pretty(&file).map_err(io::Error::other)?;
        text.push(b'\n');
        disk.replace(KEYS_FILE, &text)
    }
}

/// Why the keys stay locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The store does not open.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The store opens, a key in it does not.
    #[error("the key {name} cannot be opened: {source}")]
    Key {
        /// Which key.
        name: Name,
        /// Why.
        source: SealedKeyError,
    },
}

impl UnlockError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Store(error) => error.hint(),
            Self::Key { source, .. } => source.hint(),
        }
    }
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeKeyError {
    /// Two keys of one name could not be told apart.
    #[error("there is a key {name} already")]
    Taken {
        /// The name.
        name: Name,
    },
    /// [`KEYS_MAX`] are there.
    #[error("there are {KEYS_MAX} keys already, and no more fit one answer")]
    Full,
    /// The store is locked.
    #[error("the authenticator is locked")]
    Locked,
    /// The library gave none.
    #[error("no key could be made")]
    Broken(#[from] SigningError),
    /// It could not be written.
    #[error("the key could not be written")]
    Disk(#[source] io::Error),
}

impl MakeKeyError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "choose another name; keystead-authenticator key list shows them",
            Self::Full => "use one of the keys there are",
            Self::Locked => "keystead-authenticator unlock",
            Self::Broken(_) => "the system's randomness or the signing library is broken",
            Self::Disk(_) => "check the state folder's free space and permissions",
        }
    }
}

fn entries_of(sealed: &[SealedKey]) -> Option<Vec<KeyEntry>> {
    sealed.iter().map(entry_of).collect()
}

fn entry_of(sealed: &SealedKey) -> Option<KeyEntry> {
    let public = match sealed.public() {
        keystead_vault::PublicKey::Ed25519(bytes) => PublicKey::ed25519(bytes),
        keystead_vault::PublicKey::EcdsaP256(point) => PublicKey::ecdsa(Curve::P256, point).ok()?,
        _ => return None,
    };
    Some(KeyEntry {
        id: public.id(),
        algorithm: sealed.public().algorithm().as_str().to_owned(),
        public_key: public.blob().to_vec(),
        name: sealed.name().clone(),
        purposes: PURPOSES.to_vec(),
    })
}

/// The keys' name in the state folder.
pub const KEYS_FILE: &str = "keys.json";

/// The version of the file that is written.
const VERSION: u32 = 1;

/// 256 keys: as many as fit one me response.
pub const KEYS_MAX: usize = keystead_channel::wire::KEYS_MAX;

/// What a key made here is for: all that this version can show. `Opaque` is off.
const PURPOSES: [Purpose; 3] = [Purpose::SshLogin, Purpose::SshSig, Purpose::GitCommit];

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_daemon::MemoryDisk;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::take(&mut text.as_bytes().to_vec())
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn made() -> (Keyring, MemoryDisk, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut disk = MemoryDisk::default();
        let mut keys =
            Keyring::create(name("phone"), &secret("open"), Cost::LEAST, &mut rng).unwrap();
        keys.make_key(&name("main"), Algorithm::Ed25519, &mut rng, &mut disk)
            .unwrap();
        (keys, disk, rng)
    }

    fn verifies(entry: &KeyEntry, keys: &Keyring) -> bool {
        let signature = keys.sign(&entry.id, b"message").unwrap();
        let public = PublicKey::from_blob(&entry.public_key).unwrap();
        public.verify(b"message", &signature).is_ok()
    }

    #[test]
    fn keys_sign_when_unlocked_and_only_then() {
        let (mut keys, mut disk, mut rng) = made();
        for algorithm in Algorithm::ALL {
            let made = keys.make_key(&name(algorithm.as_str()), algorithm, &mut rng, &mut disk);
            assert!(verifies(&made.unwrap(), &keys));
        }
        let mut keys = Keyring::load(&disk).unwrap();
        let entries = keys.entries().to_vec();
        assert_eq!(entries.len(), 3);
        assert!(keys.is_locked());
        assert_eq!(keys.sign(&entries[0].id, b"message"), None);
        let error = keys.unlock(&secret("close")).unwrap_err();
        assert_eq!(error.to_string(), "wrong passphrase");
        keys.unlock(&secret("open")).unwrap();
        assert!(entries.iter().all(|entry| verifies(entry, &keys)));
        assert_eq!(keys.sign(&KeyId([0; 32]), b"message"), None);
        keys.lock();
        assert_eq!(keys.sign(&entries[0].id, b"message"), None);
    }

    #[test]
    fn a_key_that_cannot_be_written_is_not_there() {
        let (mut keys, mut disk, mut rng) = made();
        disk.faults.full_above_bytes = Some(10);
        let made = keys.make_key(&name("b"), Algorithm::Ed25519, &mut rng, &mut disk);
        assert!(matches!(made, Err(MakeKeyError::Disk(_))));
        disk.faults.full_above_bytes = None;
        keys.make_key(&name("b"), Algorithm::Ed25519, &mut rng, &mut disk)
            .unwrap();
        assert_eq!(Keyring::load(&disk).unwrap().entries(), keys.entries());
    }

    #[test]
    fn names_are_taken_once_and_locked_makes_none() {
        let (mut keys, mut disk, mut rng) = made();
        let again = keys.make_key(&name("main"), Algorithm::Ed25519, &mut rng, &mut disk);
        assert!(matches!(again, Err(MakeKeyError::Taken { .. })));
        keys.lock();
        let locked = keys.make_key(&name("b"), Algorithm::Ed25519, &mut rng, &mut disk);
        assert!(matches!(locked, Err(MakeKeyError::Locked)));
    }

    #[test]
    fn a_cut_file_is_named_and_a_missing_one_is_no_damage() {
        let (_, mut disk, _) = made();
        let whole = disk.read(KEYS_FILE).unwrap().unwrap();
        for len in 0..whole.len() - 1 {
            disk.plant(KEYS_FILE, &whole[..len]);
            let error = Keyring::load(&disk).err().unwrap().to_string();
            assert!(
                error.starts_with("the state file keys.json is damaged: "),
                "{error}"
            );
        }
        disk.remove(KEYS_FILE).unwrap();
        assert!(matches!(Keyring::load(&disk), Err(LoadError::NotMade)));
    }
}
