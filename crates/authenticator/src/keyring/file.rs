//! The file of the keys.
//!
//! Version 1 held keys of version 1 alone; it is read, and written as version 2. Version 3 has
//! keys that approve for key servers beside them, and is written where there are any: an earlier
//! program would lose them.

use std::io;

use keystead_core::Name;
use keystead_daemon::Disk;
use keystead_vault::{SealedApprovalKey, SealedKey};
use serde::{Deserialize, Serialize};

use crate::LoadError;
use crate::entry::{from_hex, to_hex};

/// What stands in the file.
pub(super) struct Content {
    pub(super) name: Name,
    pub(super) header: Vec<u8>,
    pub(super) sealed: Vec<SealedKey>,
    pub(super) approvals: Vec<SealedApprovalKey>,
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
    let header = from_hex(&file.store).ok_or_else(|| damaged("the store is not hex"))?;
    let mut sealed = Vec::with_capacity(file.keys.len());
    for (at, key) in file.keys.iter().enumerate() {
        let bytes = from_hex(key).ok_or_else(|| damaged("a key is not hex"))?;
        let key = SealedKey::decode(&bytes);
        sealed.push(key.map_err(|error| damaged(&format!("key {at}: {error}")))?);
    }
    let mut approvals = Vec::with_capacity(file.approvals.len());
    for (at, key) in file.approvals.iter().enumerate() {
        let bytes = from_hex(key).ok_or_else(|| damaged("an approval key is not hex"))?;
        let key = SealedApprovalKey::decode(&bytes);
        approvals.push(key.map_err(|error| damaged(&format!("approval key {at}: {error}")))?);
    }
    Ok(Content {
        name,
        header,
        sealed,
        approvals,
    })
}

pub(super) fn write(
    name: &Name,
    header: &[u8],
    (sealed, approvals): (&[SealedKey], &[SealedApprovalKey]),
    disk: &mut dyn Disk,
) -> io::Result<()> {
    let file = KeysFile {
        version: match approvals {
            [] => VERSION_WITHOUT_APPROVALS,
            _ => VERSION,
        },
        name: name.to_string(),
        store: to_hex(header),
        keys: sealed.iter().map(|it| to_hex(&it.encode())).collect(),
        approvals: approvals.iter().map(|it| to_hex(&it.encode())).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&file).map_err(io::Error::other)?;
    text.push(b'\n');
    disk.replace(KEYS_FILE, &text)
}

/// The keys' name in the state folder.
pub const KEYS_FILE: &str = "keys.json";

/// The last version of the file.
const VERSION: u32 = 3;

/// What it was before there were key servers, and is without.
const VERSION_WITHOUT_APPROVALS: u32 = 2;
