//! Grants and blocks on disk: one file, replaced whole.

use std::io;

use keystead_core::{KeyId, PairingId, hex};
use keystead_daemon::Disk;
use serde::{Deserialize, Serialize};

use super::{Block, Blocked, Grant, Grants, Scope, Words};
use crate::LoadError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    next: u64,
    grants: Vec<GrantLine>,
    blocks: Vec<BlockLine>,
}

#[derive(Serialize, Deserialize)]
struct GrantLine {
    id: u64,
    pairing: String,
    key_id: String,
    covers: Scope,
    background: bool,
    #[serde(flatten)]
    words: Words,
    made_unix_s: u64,
    ends_unix_s: u64,
    count_max: u32,
    used: u32,
    last_unix_s: u64,
}

#[derive(Serialize, Deserialize)]
struct BlockLine {
    id: u64,
    pairing: String,
    covers: Blocked,
    #[serde(flatten)]
    words: Words,
    made_unix_s: u64,
}

/// Reads the file; nothing is granted when there is none.
pub(super) fn load(disk: &dyn Disk) -> Result<Grants, LoadError> {
    let read = disk.read(GRANTS_FILE);
    let Some(text) = read.map_err(|source| LoadError::unreadable(GRANTS_FILE, source))? else {
        return Ok(Grants::default());
    };
    let damaged = |why: String| LoadError::damaged(GRANTS_FILE, why);
    let file: File = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if file.version > VERSION {
        return Err(LoadError::newer(GRANTS_FILE));
    }
    let grants = file.grants.into_iter().map(GrantLine::read).collect();
    let blocks = file.blocks.into_iter().map(BlockLine::read).collect();
    let no_id = || damaged("a pairing or a key is not hex".to_owned());
    Ok(Grants {
        grants: Option::<Vec<Grant>>::ok_or_else(grants, no_id)?,
        blocks: Option::<Vec<Block>>::ok_or_else(blocks, no_id)?,
        next: file.next,
    })
}

/// Writes the file. An announced act is not in it: a restart asks again.
pub(super) fn save(all: &Grants, disk: &mut dyn Disk) -> io::Result<()> {
    let is_written = |it: &&Grant| !matches!(it.scope, Scope::Act { .. });
    let file = File {
        version: VERSION,
        next: all.next,
        grants: all
            .grants
            .iter()
            .filter(is_written)
            .map(GrantLine::of)
            .collect(),
        blocks: all.blocks.iter().map(BlockLine::of).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&file).map_err(io::Error::other)?;
    text.push(b'\n');
    disk.replace(GRANTS_FILE, &text)
}

impl GrantLine {
    fn of(grant: &Grant) -> Self {
        Self {
            id: grant.id,
            pairing: grant.pairing.to_string(),
            key_id: hex::encode(&grant.key.0),
            covers: grant.scope.clone(),
            background: grant.is_background,
            words: grant.words.clone(),
            made_unix_s: grant.made_unix_s,
            ends_unix_s: grant.ends_unix_s,
            count_max: grant.count_max,
            used: grant.used,
            last_unix_s: grant.last_unix_s,
        }
    }

    fn read(self) -> Option<Grant> {
        let key = hex::decode(&self.key_id)?.try_into().ok()?;
        Some(Grant {
            id: self.id,
            pairing: self.pairing.parse::<PairingId>().ok()?,
            key: KeyId(key),
            scope: self.covers,
            is_background: self.background,
            words: self.words,
            made_unix_s: self.made_unix_s,
            ends_unix_s: self.ends_unix_s,
            count_max: self.count_max,
            used: self.used,
            last_unix_s: self.last_unix_s,
            ends_ms: 0,
        })
    }
}

impl BlockLine {
    fn of(block: &Block) -> Self {
        Self {
            id: block.id,
            pairing: block.pairing.to_string(),
            covers: block.blocked.clone(),
            words: block.words.clone(),
            made_unix_s: block.made_unix_s,
        }
    }

    fn read(self) -> Option<Block> {
        Some(Block {
            id: self.id,
            pairing: self.pairing.parse().ok()?,
            blocked: self.covers,
            words: self.words,
            made_unix_s: self.made_unix_s,
        })
    }
}

/// The grants' name in the state folder.
pub const GRANTS_FILE: &str = "grants.json";

/// The version of the file that is written.
const VERSION: u32 = 1;
