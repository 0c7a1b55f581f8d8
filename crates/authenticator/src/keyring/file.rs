//! The file of the keys.
//!
//! Version 1 held keys of version 1 alone; it is read, and written as version 2. Version 3 has
//! keys that approve for key servers beside them, and is written where there are any: an earlier
//! program would lose them. Version 4 has wallets, for the same reason.

use std::io;

use keystead_core::{Name, hex};
use keystead_daemon::Disk;
use keystead_vault::wallet::SealedSeed;
use keystead_vault::{SealedApprovalKey, SealedKey};
use serde::{Deserialize, Serialize};

use crate::LoadError;

/// What stands in the file.
pub(super) struct Content {
    pub(super) name: Name,
    pub(super) header: Vec<u8>,
    pub(super) sealed: Vec<SealedKey>,
    pub(super) approvals: Vec<SealedApprovalKey>,
    pub(super) wallets: Vec<SealedSeed>,
}

/// What is written.
pub(super) struct Sealed<'a> {
    pub(super) keys: &'a [SealedKey],
    pub(super) approvals: &'a [SealedApprovalKey],
    pub(super) wallets: &'a [SealedSeed],
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
    /// The same of those that approve for key servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approvals: Vec<String>,
    /// The same of the wallets' seeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wallets: Vec<String>,
}

pub(super) fn read(disk: &dyn Disk) -> Result<Content, LoadError> {
    let read = disk.read(KEYS_FILE);
    let text = read.map_err(|source| LoadError::unreadable(KEYS_FILE, source))?;
    let file: KeysFile = serde_json::from_slice(&text.ok_or(LoadError::NotMade)?)
        .map_err(|error| LoadError::damaged(KEYS_FILE, error.to_string()))?;
    if file.version > VERSION {
        return Err(LoadError::newer(KEYS_FILE));
    }
    let damaged = |why: &str| LoadError::damaged(KEYS_FILE, why);
    let name = Name::new(file.name).map_err(|error| damaged(&error.to_string()))?;
    let header = hex::decode(&file.store).ok_or_else(|| damaged("the store is not hex"))?;
    let mut sealed = Vec::with_capacity(file.keys.len());
    for (at, key) in file.keys.iter().enumerate() {
        let bytes = hex::decode(key).ok_or_else(|| damaged("a key is not hex"))?;
        let key = SealedKey::decode(&bytes);
        sealed.push(key.map_err(|error| damaged(&format!("key {at}: {error}")))?);
    }
    let mut approvals = Vec::with_capacity(file.approvals.len());
    for (at, key) in file.approvals.iter().enumerate() {
        let bytes = hex::decode(key).ok_or_else(|| damaged("an approval key is not hex"))?;
        let key = SealedApprovalKey::decode(&bytes);
        approvals.push(key.map_err(|error| damaged(&format!("approval key {at}: {error}")))?);
    }
    let mut wallets = Vec::with_capacity(file.wallets.len());
    for (at, seed) in file.wallets.iter().enumerate() {
        let bytes = hex::decode(seed).ok_or_else(|| damaged("a wallet is not hex"))?;
        let seed = SealedSeed::decode(&bytes);
        wallets.push(seed.map_err(|error| damaged(&format!("wallet {at}: {error}")))?);
    }
    Ok(Content {
        name,
        header,
        sealed,
        approvals,
        wallets,
    })
}

pub(super) fn write(
    name: &Name,
    header: &[u8],
    sealed: &Sealed<'_>,
    disk: &mut dyn Disk,
) -> io::Result<()> {
    let file = KeysFile {
        version: match (sealed.approvals, sealed.wallets) {
            ([], []) => VERSION_WITHOUT_APPROVALS,
            (_, []) => VERSION_WITHOUT_WALLETS,
            _ => VERSION,
        },
        name: name.to_string(),
        store: hex::encode(header),
        keys: all_hex(sealed.keys, SealedKey::encode),
        approvals: all_hex(sealed.approvals, SealedApprovalKey::encode),
        wallets: all_hex(sealed.wallets, SealedSeed::encode),
    };
    let mut text = serde_json::to_vec_pretty(&file).map_err(io::Error::other)?;
    text.push(b'\n');
    disk.replace(KEYS_FILE, &text)
}

fn all_hex<T>(all: &[T], encode: impl Fn(&T) -> Vec<u8>) -> Vec<String> {
    all.iter().map(|it| hex::encode(&encode(it))).collect()
}

/// The keys' name in the state folder.
pub const KEYS_FILE: &str = "keys.json";

/// The last version of the file.
const VERSION: u32 = 4;

/// What it was before there were wallets, and is without.
const VERSION_WITHOUT_WALLETS: u32 = 3;

/// What it was before there were key servers, and is without.
const VERSION_WITHOUT_APPROVALS: u32 = 2;
