//! The holder's keys: sealed on disk, open in memory between unlock and lock.
//!
//! **Invariant**: a key that is not in the file is not in memory either: a new
//! one counts only when the file is written. Locked, nothing here can sign.

mod approvals;
mod candidate;
mod counter;
mod error;
mod file;
mod signature;
mod using;
mod wallets;

use std::io;

use keystead_core::{Constraints, KeyEntry, KeyId, KeyType, Name, PairingId, Purpose, SecretBytes};
use keystead_daemon::Disk;
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::key::key_id;
use keystead_vault::wallet::{SealedSeed, Wallet};
use keystead_vault::{
    ApprovalKey, Cost, Facts, SealedApprovalKey, SealedKey, SigningError, StoreError, StoreKey,
    StoredKey,
};
use rand_core::CryptoRngCore;

use crate::LoadError;
use counter::Counter;

pub use keystead_vault::Custody;

pub use approvals::{APPROVALS_MAX, ApprovalEntry, MakeApprovalError};
pub use candidate::{Candidate, CandidateError};
pub use error::{ImportKeyError, MakeKeyError, SignError, UnlockError};
pub use file::KEYS_FILE;
pub use signature::signature_blob;
pub use using::{Chosen, How};
pub use wallets::{AddWalletError, WALLETS_MAX, derived_entry, may_be_for};

/// The keys of one authenticator, and its name.
pub struct Keyring {
    name: Name,
    header: Vec<u8>,
    /// Beside [`Keyring::entries`], one for one.
    sealed: Vec<SealedKey>,
    entries: Vec<KeyEntry>,
    approvals: Vec<SealedApprovalKey>,
    wallets: Vec<SealedSeed>,
    open: Option<Open>,
    counter: Counter,
}

/// What is in memory while the keys are unlocked.
struct Open {
    store: StoreKey,
    keys: Vec<(KeyId, StoredKey)>,
    /// Beside [`Keyring::approvals`], one for one.
    approvals: Vec<ApprovalKey>,
    /// Beside [`Keyring::wallets`], one for one.
    wallets: Vec<Wallet>,
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
            approvals: Vec::new(),
            wallets: Vec::new(),
        });
        Ok(Self {
            name,
            header,
            sealed: Vec::new(),
            entries: Vec::new(),
            approvals: Vec::new(),
            wallets: Vec::new(),
            open,
            counter: Counter::default(),
        })
    }

    /// Reads the keys, locked.
    ///
    /// # Errors
    /// [`LoadError`] names the file; [`LoadError::NotMade`] when there is none.
    pub fn load(disk: &dyn Disk) -> Result<Self, LoadError> {
        let file::Content {
            name,
            header,
            sealed,
            approvals,
            wallets,
        } = file::read(disk)?;
        let entries: Option<Vec<KeyEntry>> = sealed.iter().map(entry_of).collect();
        let entries =
            entries.ok_or_else(|| LoadError::damaged(KEYS_FILE, "a public key is not one"))?;
        Ok(Self {
            name,
            header,
            sealed,
            entries,
            approvals,
            wallets,
            open: None,
            counter: Counter::load(disk)?,
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

    /// Who brought a key, and within which limits it may be used; none for one
    /// that was made here.
    #[must_use]
    pub fn custody(&self, id: &KeyId) -> Option<&Custody> {
        let (_, sealed) = self.both().find(|(entry, _)| entry.id == *id)?;
        sealed.facts().custody.as_ref()
    }

    /// The keys that came over a pairing.
    #[must_use]
    pub fn brought_by(&self, pairing: &PairingId) -> Vec<KeyId> {
        let is_of = |sealed: &SealedKey| {
            let custody = sealed.facts().custody.as_ref();
            custody.is_some_and(|it| it.pairing == Some(*pairing))
        };
        self.both()
            .filter(|(_, sealed)| is_of(sealed))
            .map(|(entry, _)| entry.id)
            .collect()
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
        for (entry, sealed) in self.both() {
            let key = sealed.open(&store).map_err(|source| UnlockError::Key {
                name: entry.name.clone(),
                source,
            })?;
            keys.push((entry.id, key));
        }
        let approvals = self.open_approvals(&store)?;
        let wallets = self.open_wallets(&store)?;
        self.open = Some(Open {
            store,
            keys,
            approvals,
            wallets,
        });
        Ok(())
    }

    /// Closes the keys: they are wiped where they are. What a use of them left
    /// on the stack was wiped right behind that use.
    pub fn lock(&mut self) {
        self.open = None;
    }

    /// Makes a key for all that SSH does, seals it and writes the file.
    ///
    /// # Errors
    /// [`MakeKeyError`]; there is no new key then.
    pub fn make_key(
        &mut self,
        name: &Name,
        key_type: KeyType,
        rng: &mut dyn CryptoRngCore,
        disk: &mut dyn Disk,
    ) -> Result<KeyEntry, MakeKeyError> {
        self.make_key_for(name, (key_type, &[]), rng, disk)
    }

    /// Makes a key for some purposes, seals it and writes the file.
    ///
    /// # Errors
    /// [`MakeKeyError`]; there is no new key then.
    pub fn make_key_for(
        &mut self,
        name: &Name,
        (key_type, purposes): (KeyType, &[Purpose]),
        rng: &mut dyn CryptoRngCore,
        disk: &mut dyn Disk,
    ) -> Result<KeyEntry, MakeKeyError> {
        if !self.is_free(name) {
            return Err(MakeKeyError::Taken { name: name.clone() });
        }
        if self.entries.len() >= KEYS_MAX {
            return Err(MakeKeyError::Full);
        }
        if !may_be_for(key_type.algorithm(), purposes) {
            return Err(MakeKeyError::Purposes);
        }
        let open = self.open.as_ref().ok_or(MakeKeyError::Locked)?;
        let key = StoredKey::generate(key_type, rng)?;
        let facts = Facts {
            name: name.clone(),
            certificate: None,
            custody: None,
            purposes: purposes.to_vec(),
        };
        let sealed = SealedKey::seal(&open.store, facts, &key, rng);
        let entry = entry_of(&sealed).ok_or(SigningError::Broken)?;
        self.add(entry, sealed, key, disk)
            .map_err(MakeKeyError::Disk)
    }

    /// Whether [`Keyring::import`] would take a key, so that nobody is asked in vain.
    ///
    /// # Errors
    /// [`ImportKeyError`]: as [`Keyring::import`] would say.
    pub fn may_import(
        &self,
        candidate: &Candidate,
        pairing: Option<&PairingId>,
    ) -> Result<(), ImportKeyError> {
        if self.is_locked() {
            return Err(ImportKeyError::Locked);
        }
        match self.entry(&candidate.id()) {
            Some(known) if !self.may_replace(&known.id, pairing) => Err(ImportKeyError::Known {
                name: known.name.clone(),
            }),
            None if self.entries.len() >= KEYS_MAX => Err(ImportKeyError::Full),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes a key into custody: seals it with its limits and writes the file.
    ///
    /// A name that is taken is numbered. A key that came over the same pairing
    /// before is replaced, with its limits, as agents do it; one that was made
    /// here, or came another way, is not.
    ///
    /// # Errors
    /// [`ImportKeyError`]; all is as it was then.
    pub fn import(
        &mut self,
        candidate: Candidate,
        pairing: Option<PairingId>,
        now_unix_s: u64,
        rng: &mut dyn CryptoRngCore,
        disk: &mut dyn Disk,
    ) -> Result<KeyEntry, ImportKeyError> {
        self.may_import(&candidate, pairing.as_ref())?;
        let open = self.open.as_ref().ok_or(ImportKeyError::Locked)?;
        let name = match self.entry(&candidate.id()) {
            Some(known) => known.name.clone(),
            None => candidate.name().numbered(|it| self.is_free(it)),
        };
        let Candidate {
            key,
            certificate,
            constraints,
            purposes,
            ..
        } = candidate;
        let facts = Facts {
            name,
            certificate,
            custody: Some(custody_of(constraints, pairing, now_unix_s)),
            purposes,
        };
        let sealed = SealedKey::seal(&open.store, facts, &key, rng);
        let entry = entry_of(&sealed).ok_or(SigningError::Broken)?;
        self.add(entry, sealed, key, disk)
            .map_err(ImportKeyError::Disk)
    }

    /// Forgets keys, the file first.
    ///
    /// # Errors
    /// The system's; all keys are still there then.
    pub fn remove(&mut self, ids: &[KeyId], disk: &mut dyn Disk) -> io::Result<Vec<KeyEntry>> {
        let is_named = |entry: &KeyEntry| ids.contains(&entry.id);
        if !self.entries.iter().any(is_named) {
            return Ok(Vec::new());
        }
        let kept = self.both().filter(|(entry, _)| !is_named(entry));
        let kept: Vec<SealedKey> = kept.map(|(_, sealed)| sealed.clone()).collect();
        let sealed = file::Sealed {
            keys: &kept,
            ..self.to_write()
        };
        file::write(&self.name, &self.header, &sealed, disk)?;
        self.sealed = kept;
        let (removed, kept) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(is_named);
        self.entries = kept;
        if let Some(open) = &mut self.open {
            open.keys.retain(|(id, _)| !ids.contains(id));
        }
        Ok(removed)
    }

    /// Forgets the keys whose time is over. They sign no more from here on,
    /// even where the file cannot be written.
    ///
    /// # Errors
    /// The system's: who calls again tries again.
    pub fn forget_expired(
        &mut self,
        now_unix_s: u64,
        disk: &mut dyn Disk,
    ) -> io::Result<Vec<KeyEntry>> {
        let over = self.both().filter(|(_, sealed)| {
            expiry_unix_s(sealed).is_some_and(|expiry_unix_s| expiry_unix_s <= now_unix_s)
        });
        let over: Vec<KeyId> = over.map(|(entry, _)| entry.id).collect();
        if let Some(open) = &mut self.open {
            open.keys.retain(|(id, _)| !over.contains(id));
        }
        self.remove(&over, disk)
    }

    /// When [`Keyring::forget_expired`] has something to do next.
    #[must_use]
    pub fn next_expiry_unix_s(&self) -> Option<u64> {
        self.sealed.iter().filter_map(expiry_unix_s).min()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The system's.
    pub fn save(&self, disk: &mut dyn Disk) -> io::Result<()> {
        file::write(&self.name, &self.header, &self.to_write(), disk)
    }

    /// All that the file holds.
    fn to_write(&self) -> file::Sealed<'_> {
        file::Sealed {
            keys: &self.sealed,
            approvals: &self.approvals,
            wallets: &self.wallets,
        }
    }

    /// Writes a key, in the place of one with the same public half, and holds it.
    fn add(
        &mut self,
        entry: KeyEntry,
        sealed: SealedKey,
        key: StoredKey,
        disk: &mut dyn Disk,
    ) -> io::Result<KeyEntry> {
        let at = self.entries.iter().position(|it| it.id == entry.id);
        let at = at.unwrap_or(self.entries.len());
        let mut all = self.sealed.clone();
        put(&mut all, at, sealed);
        let sealed = file::Sealed {
            keys: &all,
            ..self.to_write()
        };
        file::write(&self.name, &self.header, &sealed, disk)?;
        self.sealed = all;
        put(&mut self.entries, at, entry.clone());
        if let Some(open) = &mut self.open {
            open.keys.retain(|(id, _)| *id != entry.id);
            open.keys.push((entry.id, key));
        }
        Ok(entry)
    }

    fn both(&self) -> impl Iterator<Item = (&KeyEntry, &SealedKey)> {
        self.entries.iter().zip(&self.sealed)
    }

    fn is_free(&self, name: &Name) -> bool {
        self.entries.iter().all(|it| it.name != *name)
    }

    fn may_replace(&self, id: &KeyId, pairing: Option<&PairingId>) -> bool {
        let custody = self.custody(id);
        custody.is_some_and(|it| it.pairing.is_some() && it.pairing.as_ref() == pairing)
    }
}

fn custody_of(constraints: Constraints, pairing: Option<PairingId>, now_unix_s: u64) -> Custody {
    let expires_unix_s = constraints
        .lifetime_s
        .map(|lifetime_s| now_unix_s.saturating_add(u64::from(lifetime_s)));
    Custody {
        pairing,
        constraints,
        expires_unix_s,
    }
}

fn expiry_unix_s(sealed: &SealedKey) -> Option<u64> {
    sealed.facts().custody.as_ref()?.expires_unix_s
}

/// Into its place, or behind the last one.
fn put<T>(all: &mut Vec<T>, at: usize, one: T) {
    match all.get_mut(at) {
        Some(place) => *place = one,
        None => all.push(one),
    }
}

fn entry_of(sealed: &SealedKey) -> Option<KeyEntry> {
    let facts = sealed.facts();
    let blob = match &facts.certificate {
        Some(certificate) => certificate.clone(),
        None => sealed.public().to_blob(),
    };
    let algorithm = sealed.public().algorithm();
    let type_name = match algorithm.is_ssh() {
        true => PublicKey::from_blob(&blob).ok()?.type_name().to_owned(),
        false => algorithm.as_str().to_owned(),
    };
    Some(KeyEntry {
        id: key_id(&blob),
        algorithm: type_name,
        public_key: blob,
        name: facts.name.clone(),
        purposes: match facts.purposes.as_slice() {
            [] => SSH_PURPOSES.to_vec(),
            purposes => purposes.to_vec(),
        },
    })
}

/// 256 keys: as many as fit one me response.
pub const KEYS_MAX: usize = keystead_channel::wire::KEYS_MAX;

/// What a key is for that was made for nothing else: all of SSH that this version can show.
/// `Opaque` is off.
const SSH_PURPOSES: [Purpose; 4] = [
    Purpose::SshLogin,
    Purpose::SshSig,
    Purpose::GitCommit,
    Purpose::SshCertificate,
];

#[cfg(test)]
mod tests;
