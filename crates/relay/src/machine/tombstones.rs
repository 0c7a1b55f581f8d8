//! Which mailboxes were deleted, for three days, over restarts.
//!
//! **Invariant:** a deletion is on the disk before it is answered. The file is a
//! header and records of [`RECORD_BYTES`]; a record that a crash cut is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use keystead_daemon::{Disk, Sync};

use super::token::MailboxId;

/// The deleted mailboxes.
pub(super) struct Tombstones {
    deleted: BTreeMap<MailboxId, u64>,
    /// The same in the order of their end.
    order: VecDeque<(u64, MailboxId)>,
    /// Records in the file, the dead ones too.
    written: usize,
}

impl Tombstones {
    /// Reads the file and writes it anew without what is over.
    ///
    /// # Errors
    /// [`TombstoneError`].
    pub(super) fn load(now_unix_s: u64, disk: &mut dyn Disk) -> Result<Self, TombstoneError> {
        let content = disk
            .read(FILE)
            .map_err(TombstoneError::Disk)?
            .unwrap_or_default();
        let records = match content.strip_prefix(HEADER) {
            Some(records) => records,
            // The first write of all was cut.
            None if HEADER.starts_with(&content) => &[],
            None => return Err(TombstoneError::Unknown),
        };
        let mut tombstones = Self {
            deleted: BTreeMap::new(),
            order: VecDeque::new(),
            written: 0,
        };
        for record in records.chunks_exact(RECORD_BYTES) {
            if let Some((id, at_unix_s)) = decode(record) {
                // A deletion of tomorrow is one of a clock that was wrong.
                tombstones.insert(id, at_unix_s.min(now_unix_s));
            }
        }
        tombstones.order.make_contiguous().sort_unstable();
        tombstones.forget(now_unix_s);
        tombstones.rewrite(disk).map_err(TombstoneError::Disk)?;
        Ok(tombstones)
    }

    /// Whether it was deleted within three days.
    pub(super) fn contains(&self, now_unix_s: u64, id: &MailboxId) -> bool {
        self.deleted
            .get(id)
            .is_some_and(|at| lasts(now_unix_s, *at))
    }

    /// Whether another deletion can be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.deleted.len() < TOMBSTONES_MAX
    }

    /// Remembers a deletion.
    ///
    /// # Errors
    /// The disk's; it is not remembered then.
    pub(super) fn add(
        &mut self,
        now_unix_s: u64,
        id: MailboxId,
        disk: &mut dyn Disk,
    ) -> io::Result<()> {
        disk.append(FILE, &encode(&id, now_unix_s), Sync::Now)?;
        self.written += 1;
        self.insert(id, now_unix_s);
        Ok(())
    }

    /// Forgets what is over, and shortens the file when most of it is.
    pub(super) fn sweep(&mut self, now_unix_s: u64, disk: &mut dyn Disk) {
        self.forget(now_unix_s);
        let worth_it = self.deleted.len().saturating_mul(2) + COMPACT_AT_LEAST;
        if self.written <= worth_it {
            return;
        }
        if let Err(error) = self.rewrite(disk) {
            // The longer file says the same.
            tracing::warn!(%error, "the list of deleted mailboxes stays long");
        }
    }

    fn insert(&mut self, id: MailboxId, at_unix_s: u64) {
        self.deleted.insert(id, at_unix_s);
        self.order.push_back((at_unix_s, id));
    }

    fn forget(&mut self, now_unix_s: u64) {
        while let Some((at, id)) = self.order.pop_front_if(|(at, _)| !lasts(now_unix_s, *at)) {
            // Deleted again meanwhile: the later record counts.
            if self.deleted.get(&id) == Some(&at) {
                self.deleted.remove(&id);
            }
        }
    }

    fn rewrite(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        let mut content = HEADER.to_vec();
        for (at_unix_s, id) in &self.order {
            content.extend_from_slice(&encode(id, *at_unix_s));
        }
        disk.replace(FILE, &content)?;
        self.written = self.order.len();
        Ok(())
    }
}

/// Why the list of deleted mailboxes cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TombstoneError {
    /// It is of a later version, or something else.
    #[error("the file `{FILE}` in the state folder is not a list of deleted mailboxes")]
    Unknown,
    /// The disk's error.
    #[error("the file `{FILE}` in the state folder cannot be used")]
    Disk(#[source] io::Error),
}

impl TombstoneError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown => {
                "name another folder with --state; without the list, deleted mailboxes \
                 are as if they had never been"
            }
            Self::Disk(_) => "check the permissions and the free space of the state folder",
        }
    }
}

fn lasts(now_unix_s: u64, at_unix_s: u64) -> bool {
    now_unix_s.saturating_sub(at_unix_s) < REMEMBERED_S
}

fn encode(id: &MailboxId, at_unix_s: u64) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    let content = id.as_bytes().iter().copied().chain(at_unix_s.to_be_bytes());
    for (to, from) in record.iter_mut().zip(content) {
        *to = from;
    }
    record
}

fn decode(record: &[u8]) -> Option<(MailboxId, u64)> {
    let (id, at) = record.split_first_chunk()?;
    Some((MailboxId::new(*id), u64::from_be_bytes(at.try_into().ok()?)))
}

/// id ‖ u64 unix seconds.
const RECORD_BYTES: usize = 24;

const HEADER: &[u8] = b"keystead-relay deleted 1\n";

const FILE: &str = "deleted";

/// How long a deletion is remembered (`spec/pairing.md` §2): a mailbox is read
/// on its day and the days beside it.
pub const REMEMBERED_S: u64 = 3 * 86_400;

/// Deletions remembered at once: 18 MiB of memory, 6 MiB of disk. More are
/// refused: forgetting old ones would let anybody bring a mailbox back.
pub const TOMBSTONES_MAX: usize = 262_144;

/// A file of fewer dead records is not worth a rewrite.
const COMPACT_AT_LEAST: usize = 1_024;

#[cfg(test)]
mod tests {
    use keystead_daemon::MemoryDisk;

    use super::*;

    const DAY_S: u64 = 86_400;

    fn id(number: u32) -> MailboxId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        MailboxId::new(bytes)
    }

    fn file_len(disk: &MemoryDisk) -> usize {
        disk.read(FILE).unwrap().unwrap().len()
    }

    #[test]
    fn a_deletion_lasts_three_days_and_over_restarts() {
        let mut disk = MemoryDisk::new();
        let mut tombstones = Tombstones::load(1_000, &mut disk).unwrap();
        tombstones.add(1_000, id(1), &mut disk).unwrap();
        disk.crash();
        let again = Tombstones::load(1_000 + DAY_S, &mut disk).unwrap();
        assert!(again.contains(1_000 + 3 * DAY_S - 1, &id(1)));
        assert!(!again.contains(1_000 + 3 * DAY_S, &id(1)));
        assert!(!again.contains(1_000, &id(2)));
        let later = Tombstones::load(1_000 + 3 * DAY_S, &mut disk).unwrap();
        assert!(later.deleted.is_empty());
        assert_eq!(file_len(&disk), HEADER.len());
    }

    #[test]
    fn every_cut_of_the_file_keeps_the_whole_records() {
        let mut disk = MemoryDisk::new();
        let mut tombstones = Tombstones::load(1, &mut disk).unwrap();
        for number in 0..3 {
            tombstones.add(1, id(number), &mut disk).unwrap();
        }
        let whole = disk.read(FILE).unwrap().unwrap();
        for len in 0..=whole.len() {
            let mut cut = MemoryDisk::new();
            cut.plant(FILE, &whole[..len]);
            let again = Tombstones::load(1, &mut cut).unwrap();
            let records = len.saturating_sub(HEADER.len()) / RECORD_BYTES;
            assert_eq!(again.deleted.len(), records, "cut at {len}");
            assert_eq!(file_len(&cut), HEADER.len() + records * RECORD_BYTES);
        }
    }

    #[test]
    fn another_file_is_refused_and_left_alone() {
        let mut disk = MemoryDisk::new();
        disk.plant(FILE, b"keystead-relay deleted 2\nsomething");
        let refused = Tombstones::load(1, &mut disk);
        assert!(matches!(refused, Err(TombstoneError::Unknown)));
        assert_eq!(file_len(&disk), 34);
    }

    #[test]
    fn a_full_disk_remembers_nothing_it_did_not_write() {
        let mut disk = MemoryDisk::new();
        let mut tombstones = Tombstones::load(1, &mut disk).unwrap();
        disk.faults.full_above_bytes = Some(HEADER.len() + 10);
        assert!(tombstones.add(1, id(1), &mut disk).is_err());
        assert!(!tombstones.contains(1, &id(1)));
    }

    #[test]
    fn the_file_is_shortened_when_most_of_it_is_over() {
        let mut disk = MemoryDisk::new();
        let mut tombstones = Tombstones::load(1, &mut disk).unwrap();
        for number in 0..2_000 {
            tombstones.add(1, id(number), &mut disk).unwrap();
        }
        tombstones.sweep(1, &mut disk);
        assert_eq!(file_len(&disk), HEADER.len() + 2_000 * RECORD_BYTES);
        tombstones.add(1 + DAY_S, id(9_999), &mut disk).unwrap();
        tombstones.sweep(1 + 3 * DAY_S, &mut disk);
        assert_eq!(file_len(&disk), HEADER.len() + RECORD_BYTES);
        assert!(tombstones.contains(1 + 3 * DAY_S, &id(9_999)));
    }

    #[test]
    fn a_clock_set_back_makes_no_deletion_last_longer() {
        let mut disk = MemoryDisk::new();
        let mut tombstones = Tombstones::load(100 * DAY_S, &mut disk).unwrap();
        tombstones.add(100 * DAY_S, id(1), &mut disk).unwrap();
        let again = Tombstones::load(10 * DAY_S, &mut disk).unwrap();
        assert!(again.contains(13 * DAY_S - 1, &id(1)));
        assert!(!again.contains(13 * DAY_S, &id(1)));
    }
}
