//! Which OpenPGP keys keepers hold: the map in `GNUPGHOME` from keygrip to key.
//!
//! **Invariant:** a map is read whole or not at all; no keygrip is in it twice. It holds nothing
//! secret.

use keystead_core::{Algorithm, Curve, Derivation, Identity, IdentityError, KeyId, hex};
use keystead_formats::openpgp::{Fingerprint, Keygrip};
use serde::{Deserialize, Serialize};

/// All keys of one `GNUPGHOME` that keepers hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyMap {
    keys: Vec<MappedKey>,
    custody: Option<String>,
}

impl KeyMap {
    /// Reads the file's content.
    ///
    /// # Errors
    /// [`KeyMapError`].
    pub fn parse(json: &[u8]) -> Result<Self, KeyMapError> {
        let file: File = serde_json::from_slice(json)?;
        if file.version != VERSION {
            return Err(KeyMapError::Version(file.version));
        }
        let mut map = Self::default();
        for entry in file.keys {
            map.add(MappedKey::of_entry(entry)?)?;
        }
        map.custody = file.custody;
        Ok(map)
    }

    /// The file's content.
    ///
    /// # Errors
    /// [`KeyMapError::Json`], which plain texts and numbers do not cause.
    pub fn encode(&self) -> Result<Vec<u8>, KeyMapError> {
        let file = File {
            version: VERSION,
            custody: self.custody.clone(),
            keys: self.keys.iter().map(MappedKey::to_entry).collect(),
        };
        let mut json = serde_json::to_vec_pretty(&file)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`KeyMapError::Twice`], [`KeyMapError::TooMany`].
    pub fn add(&mut self, key: MappedKey) -> Result<(), KeyMapError> {
        if self.find(key.keygrip).is_some() {
            return Err(KeyMapError::Twice(key.keygrip));
        }
        self.check_room()?;
        self.keys.push(key);
        Ok(())
    }

    /// Whether one more key has room.
    ///
    /// # Errors
    /// [`KeyMapError::TooMany`].
    pub fn check_room(&self) -> Result<(), KeyMapError> {
        if self.keys.len() >= KEYS_MAX {
            return Err(KeyMapError::TooMany);
        }
        Ok(())
    }

    /// The key with this keygrip.
    #[must_use]
    pub fn find(&self, keygrip: Keygrip) -> Option<&MappedKey> {
        self.keys.iter().find(|it| it.keygrip == keygrip)
    }

    /// Puts keys into the place of those with the same keygrip, and the others behind.
    ///
    /// # Errors
    /// [`KeyMapError::TooMany`].
    pub fn put(&mut self, keys: &[MappedKey]) -> Result<(), KeyMapError> {
        let stays = |old: &MappedKey| keys.iter().all(|new| new.keygrip != old.keygrip);
        self.keys.retain(stays);
        keys.iter().try_for_each(|key| self.add(key.clone()))
    }

    /// Takes a key out, if it is there.
    pub fn remove(&mut self, keygrip: Keygrip) {
        self.keys.retain(|it| it.keygrip != keygrip);
    }

    /// The keeper to which goes what gpg makes or imports; none: it stays with the ordinary agent.
    #[must_use]
    pub fn custody(&self) -> Option<&str> {
        self.custody.as_deref()
    }

    /// Chooses that keeper.
    pub fn set_custody(&mut self, keeper: Option<String>) {
        self.custody = keeper;
    }

    /// All of them, in the order of their making.
    #[must_use]
    pub fn keys(&self) -> &[MappedKey] {
        &self.keys
    }
}

/// A key, as gpg and its keeper know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedKey {
    /// How gpg names it to its agent.
    pub keygrip: Keygrip,
    /// What it is, and by that what it does: sign or agree on keys.
    pub algorithm: Algorithm,
    /// As its keeper lists it (`spec/pairing.md` section 5).
    pub public_key: Vec<u8>,
    /// How its keeper names it.
    pub key_id: KeyId,
    /// Where a wallet derives it from; none: a stored key.
    pub identity: Option<Identity>,
    /// The keeper, by its name on this machine; none: any that has it.
    pub keeper: Option<String>,
    /// The OpenPGP user id that it was made for.
    pub user_id: String,
    /// When, as its fingerprint has it; 0 where that is not known.
    pub created_unix_s: u32,
    /// Its OpenPGP fingerprint; none of a key that gpg has made or imported, which tells its agent
    /// no time.
    pub fingerprint: Option<Fingerprint>,
}

impl MappedKey {
    /// Does it agree on keys, and sign nothing?
    #[must_use]
    pub const fn agrees(&self) -> bool {
        matches!(
            self.algorithm,
            Algorithm::X25519 | Algorithm::EcdhP256 | Algorithm::EcdhSecp256k1
        )
    }

    fn of_entry(entry: Entry) -> Result<Self, KeyMapError> {
        let algorithm: Algorithm = entry
            .algorithm
            .parse()
            .map_err(|_| KeyMapError::Malformed("algorithm"))?;
        let mut key = Self {
            keygrip: entry
                .keygrip
                .parse()
                .map_err(|_| KeyMapError::Malformed("keygrip"))?,
            algorithm,
            public_key: hex::decode(&entry.public_key)
                .ok_or(KeyMapError::Malformed("public_key"))?,
            key_id: entry
                .key_id
                .parse()
                .map_err(|_| KeyMapError::Malformed("key_id"))?,
            identity: None,
            keeper: entry.keeper,
            user_id: entry.user_id,
            created_unix_s: entry.created_unix_s,
            fingerprint: entry
                .fingerprint
                .map(|it| {
                    hex::decode(&it)
                        .and_then(|it| it.try_into().ok())
                        .map(Fingerprint)
                        .ok_or(KeyMapError::Malformed("fingerprint"))
                })
                .transpose()?,
        };
        if let Some(it) = entry.identity {
            let derivation = if key.agrees() {
                Derivation::Agree
            } else {
                Derivation::Sign
            };
            let curve: Curve = it
                .curve
                .parse()
                .map_err(|_| KeyMapError::Malformed("curve"))?;
            key.identity = Some(Identity::new(it.uri, curve, it.index, derivation)?);
        }
        Ok(key)
    }

    fn to_entry(&self) -> Entry {
        Entry {
            keygrip: self.keygrip.to_string(),
            algorithm: self.algorithm.to_string(),
            public_key: hex::encode(&self.public_key),
            key_id: self.key_id.to_string(),
            identity: self.identity.as_ref().map(|it| IdentityEntry {
                uri: it.uri().to_owned(),
                curve: it.curve().to_string(),
                index: it.index(),
            }),
            keeper: self.keeper.clone(),
            user_id: self.user_id.clone(),
            created_unix_s: self.created_unix_s,
            fingerprint: self.fingerprint.map(|it| hex::encode(&it.0)),
        }
    }
}

/// Why a map cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyMapError {
    /// Not the JSON that is expected.
    #[error("it is not the JSON of a key map")]
    Json(#[from] serde_json::Error),
    /// Of another time.
    #[error("it has version {0}, this program reads {VERSION}")]
    Version(u32),
    /// A field that is none.
    #[error("the field {0} of a key cannot be read")]
    Malformed(&'static str),
    /// An identity that names no key.
    #[error("an identity in it names no key")]
    Identity(#[from] IdentityError),
    /// The same key again.
    #[error("the key with keygrip {0} is in it already")]
    Twice(Keygrip),
    /// No room.
    #[error("it holds {KEYS_MAX} keys, more do not fit")]
    TooMany,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custody: Option<String>,
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    keygrip: String,
    algorithm: String,
    public_key: String,
    key_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keeper: Option<String>,
    user_id: String,
    created_unix_s: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityEntry {
    uri: String,
    curve: String,
    #[serde(default)]
    index: u32,
}

/// The file's name in `GNUPGHOME`.
pub const FILE_NAME: &str = "keystead-keys";

/// Raised when an older program would misunderstand it.
const VERSION: u32 = 1;

/// As many as an authenticator holds, four times over: a list of them fits one answer.
const KEYS_MAX: usize = 1_024;
