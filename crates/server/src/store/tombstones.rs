//! What was deleted, remembered outside the database, so that a backup restored later does
//! not bring it back (`spec/requirements.md`, 32).
//!
//! **Invariant**: a deletion is on the disk here before it can be in the database. One whose
//! transaction failed is taken back; one of which that is not known is settled at the next
//! start, by whether the row is there.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use keystead_channel::session::KeyId;

use crate::rows::{AccountNo, Cell, Key, Row, Table};

use super::{StoreError, Writes};

/// The file.
pub(super) struct Tombstones {
    file: File,
    buried: BTreeSet<Buried>,
    /// Of the last batches before the start.
    last: Vec<Buried>,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Buried {
    /// One secret or key.
    Secret(AccountNo, KeyId),
    /// An account with all that it had.
    Account(AccountNo),
}

impl Tombstones {
    /// Reads the file in the server's folder. What a crash left half written at its end was
    /// of a batch that was not committed, and is cut off.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let opened = Self::read(&folder.join(NAME));
        let opened = opened.map_err(|error| StoreError::Unavailable(format!("{NAME}: {error}")))?;
        let synced = File::open(folder).and_then(|it| it.sync_all());
        synced.map_err(|error| StoreError::SyncFailed(format!("{NAME}: {error}")))?;
        Ok(opened)
    }

    /// What another server's file names, which is left as it is.
    pub(super) fn read_of_another(path: &Path) -> io::Result<Vec<Buried>> {
        let bytes = std::fs::read(path)?;
        let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
        let parsed: Vec<_> = records.iter().map_while(parse).collect();
        if parsed.len() < records.len() || (records.is_empty() && !rest.is_empty()) {
            return Err(io::Error::other("it is no file of tombstones"));
        }
        Ok(replay(&parsed).into_iter().collect())
    }

    /// Whatever was deleted, by this file.
    pub(super) fn buried(&self) -> &BTreeSet<Buried> {
        &self.buried
    }

    /// Of the last batches before the start: one of them may not have been committed.
    pub(super) fn last(&self) -> Vec<Buried> {
        let still = |it: &&Buried| self.buried.contains(it);
        self.last.iter().filter(still).copied().collect()
    }

    /// What a batch is about to delete for good.
    pub(super) fn of(writes: &Writes) -> Vec<Buried> {
        let secrets = writes.deletes.get(&Table::Secret).into_iter().flatten();
        let secrets = secrets.filter_map(|key| Buried::of(Table::Secret, &key.cells));
        let gone = writes.puts.get(&Table::Gone).into_iter().flatten();
        let gone = gone.filter_map(|row: &Row| Buried::of(Table::Account, &row.cells));
        secrets.chain(gone).collect()
    }

    /// Remembers it, on the disk.
    pub(super) fn bury(&mut self, all: &[Buried]) -> Result<(), StoreError> {
        self.append(BURIED, all)?;
        self.buried.extend(all);
        Ok(())
    }

    /// Takes it back: it was not deleted.
    pub(super) fn take_back(&mut self, all: &[Buried]) -> Result<(), StoreError> {
        self.append(TAKEN_BACK, all)?;
        for buried in all {
            self.buried.remove(buried);
        }
        Ok(())
    }

    fn append(&mut self, kind: u8, all: &[Buried]) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        let records: Vec<u8> = all.iter().flat_map(|it| record(kind, it)).collect();
        let before = self.file.seek(SeekFrom::End(0));
        let written = before.and_then(|before| {
            self.file.write_all(&records).inspect_err(|_| {
                // What is half there would be cut at the next start all the same.
                let _ = self.file.set_len(before);
            })
        });
        written.map_err(|error| StoreError::Unavailable(format!("{NAME}: {error}")))?;
        self.file
            .sync_data()
            .map_err(|error| StoreError::SyncFailed(format!("{NAME}: {error}")))
    }

    fn read(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (records, _) = bytes.as_chunks::<RECORD_BYTES>();
        let parsed: Vec<_> = records.iter().map_while(parse).collect();
        let buried = replay(&parsed);
        let count = u64::try_from(parsed.len()).unwrap_or(u64::MAX);
        file.set_len(count.saturating_mul(RECORD_LEN))?;
        let last = records.iter().rev().filter_map(parse);
        let last = last.take(LAST_MAX).map(|(_, it)| it).collect();
        Ok(Self { file, buried, last })
    }
}

impl Buried {
    /// The row that is gone.
    pub(super) fn row(self) -> (Table, Key) {
        let (table, cells) = match self {
            Self::Secret(no, key) => (Table::Secret, vec![Cell::Int(no.0), Cell::bytes(&key.0)]),
            Self::Account(no) => (Table::Account, vec![Cell::Int(no.0)]),
        };
        (table, Key { cells })
    }

    fn of(table: Table, cells: &[Cell]) -> Option<Self> {
        let Cell::Int(no) = cells.first()? else {
            return None;
        };
        if table != Table::Secret {
            return Some(Self::Account(AccountNo(*no)));
        }
        let key = cells.get(1)?.as_array()?;
        Some(Self::Secret(AccountNo(*no), KeyId(key)))
    }
}

/// What is buried and was not taken back.
fn replay(records: &[(u8, Buried)]) -> BTreeSet<Buried> {
    let mut buried = BTreeSet::new();
    for (kind, it) in records {
        match *kind {
            BURIED => buried.insert(*it),
            _ => buried.remove(it),
        };
    }
    buried
}

/// kind ‖ account u64 ‖ key id 16 (zeros: the whole account) ‖ check 7.
fn record(kind: u8, buried: &Buried) -> [u8; RECORD_BYTES] {
    let (no, key) = match buried {
        Buried::Secret(no, key) => (no, key.0),
        Buried::Account(no) => (no, [0; 16]),
    };
    let said = [&[kind], no.0.to_be_bytes().as_slice(), &key].concat();
    let hash = digest(&SHA256, &said);
    let mut record = [0; RECORD_BYTES];
    let bytes = said.iter().chain(hash.as_ref());
    record
        .iter_mut()
        .zip(bytes)
        .for_each(|(place, byte)| *place = *byte);
    record
}

fn parse(bytes: &[u8; RECORD_BYTES]) -> Option<(u8, Buried)> {
    let (kind, rest) = bytes.split_first()?;
    let (no, rest) = rest.split_first_chunk()?;
    let (key, _) = rest.split_first_chunk::<16>()?;
    let no = AccountNo(i64::from_be_bytes(*no));
    let buried = if *key == [0; 16] {
        Buried::Account(no)
    } else {
        Buried::Secret(no, KeyId(*key))
    };
    let is_whole = [BURIED, TAKEN_BACK].contains(kind) && record(*kind, &buried) == *bytes;
    is_whole.then_some((*kind, buried))
}

/// In the server's folder.
const NAME: &str = "tombstones";

/// 4,096: more than the batches that one process can have in doubt delete.
const LAST_MAX: usize = 4_096;

const BURIED: u8 = 1;
const TAKEN_BACK: u8 = 2;

const RECORD_BYTES: usize = 32;
const RECORD_LEN: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Buried = Buried::Secret(AccountNo(7), KeyId([9; 16]));
    const ACCOUNT: Buried = Buried::Account(AccountNo(8));

    fn buried(folder: &Path) -> Vec<Buried> {
        let tombstones = Tombstones::open(folder).unwrap();
        tombstones.buried().iter().copied().collect()
    }

    #[test]
    fn what_is_buried_stays_unless_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut tombstones = Tombstones::open(folder.path()).unwrap();
        tombstones.bury(&[SECRET, ACCOUNT]).unwrap();
        assert_eq!(buried(folder.path()), [SECRET, ACCOUNT]);
        tombstones.take_back(&[SECRET]).unwrap();
        assert_eq!(buried(folder.path()), [ACCOUNT]);
    }

    #[test]
    fn a_torn_or_changed_end_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let mut tombstones = Tombstones::open(folder.path()).unwrap();
        tombstones.bury(&[SECRET, ACCOUNT]).unwrap();
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let expected = [SECRET, ACCOUNT];
            assert_eq!(buried(folder.path()), expected[..len / RECORD_BYTES]);
            let kept = std::fs::read(&path).unwrap().len();
            assert_eq!(kept, len - len % RECORD_BYTES);
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(buried(folder.path()).len(), place / RECORD_BYTES);
        }
    }
}
