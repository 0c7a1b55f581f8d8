//! The log on disk: hash-chained lines, written before an answer leaves.
//!
//! **Invariant**: [`Journal::append`] returns `Ok` only when the entry is
//! durable; when it fails, the chain stands where it stood, and the next entry
//! is written behind the last good line. A log that somebody changed is never
//! written to.

use std::io;

use keystead_core::{LogChain, LogTail};
use keystead_daemon::{Disk, Sync};

use crate::LoadError;
use crate::entry::Entry;

/// The log's end.
#[derive(Debug)]
pub struct Journal {
    chain: LogChain,
    len_bytes: u64,
    /// A failed append may have left bytes behind the last good line.
    tail: Tail,
}

/// What stands in a log.
#[derive(Debug)]
pub struct Opened {
    /// The log's end, to be written to.
    pub journal: Journal,
    /// All entries, the oldest first.
    pub entries: Vec<Entry>,
    /// How many bytes of a cut line were taken off the end.
    pub cut_bytes: u64,
}

impl Journal {
    /// Begins a log with its first entry.
    ///
    /// # Errors
    /// The system's; and `AlreadyExists` when there is a log.
    pub fn create(first: &Entry, disk: &mut dyn Disk) -> io::Result<Self> {
        if disk.read(LOG_FILE)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut journal = Self {
            chain: LogChain::default(),
            len_bytes: 0,
            tail: Tail::Good,
        };
        journal.append(first, disk)?;
        Ok(journal)
    }

    /// Reads the log, checks its chain and takes a cut last line off.
    ///
    /// # Errors
    /// [`LoadError`] names the file; nothing is written then.
    pub fn open(disk: &mut dyn Disk) -> Result<Opened, LoadError> {
        let log = read_log(disk)?;
        let checked = LogChain::check(&log);
        let entries = entries_of(&checked)?;
        let len_bytes = match checked.tail {
            LogTail::Cut { whole_bytes } => byte_count(whole_bytes),
            LogTail::Whole | LogTail::Broken { .. } => byte_count(log.len()),
        };
        let cut_bytes = byte_count(log.len()).saturating_sub(len_bytes);
        if cut_bytes > 0 {
            disk.truncate(LOG_FILE, len_bytes)
                .map_err(|source| LoadError::unreadable(LOG_FILE, source))?;
        }
        let journal = Self {
            chain: checked.chain,
            len_bytes,
            tail: Tail::Good,
        };
        Ok(Opened {
            journal,
            entries,
            cut_bytes,
        })
    }

    /// Reads the entries and changes nothing: for `log` beside a running authenticator.
    ///
    /// # Errors
    /// [`LoadError`] names the file.
    pub fn read(disk: &dyn Disk) -> Result<Vec<Entry>, LoadError> {
        entries_of(&LogChain::check(&read_log(disk)?))
    }

    /// Writes an entry, durably.
    ///
    /// # Errors
    /// The system's; the entry does not stand in the log then.
    pub fn append(&mut self, entry: &Entry, disk: &mut dyn Disk) -> io::Result<()> {
        if self.tail == Tail::Doubtful {
            disk.truncate(LOG_FILE, self.len_bytes)?;
            self.tail = Tail::Good;
        }
        let json = serde_json::to_string(entry).map_err(io::Error::other)?;
        let (line, next) = self.chain.next_line(&json);
        let len_bytes = self.len_bytes.saturating_add(byte_count(line.len()));
        if len_bytes > LOG_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // Until the disk says so, nobody knows what of the line is there.
        self.tail = Tail::Doubtful;
        disk.append(LOG_FILE, line.as_bytes(), Sync::Now)?;
        self.tail = Tail::Good;
        self.chain = next;
        self.len_bytes = len_bytes;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Good,
    Doubtful,
}

fn read_log(disk: &dyn Disk) -> Result<Vec<u8>, LoadError> {
    match disk.read(LOG_FILE) {
        Ok(Some(log)) => Ok(log),
        // Without it the receipts' chain would start again and ids be used twice.
        Ok(None) => Err(LoadError::Missing {
            file: LOG_FILE.to_owned(),
        }),
        Err(source) => Err(LoadError::unreadable(LOG_FILE, source)),
    }
}

fn entries_of(checked: &keystead_core::Checked<'_>) -> Result<Vec<Entry>, LoadError> {
    if let LogTail::Broken { line } = checked.tail {
        return Err(LoadError::damaged(
            LOG_FILE,
            format!("line {line} does not follow from the one before"),
        ));
    }
    let mut entries = Vec::with_capacity(checked.entries.len());
    for (line, entry) in checked.entries.iter().enumerate() {
        let entry = serde_json::from_str(entry.json).map_err(|_| {
            LoadError::damaged(
                LOG_FILE,
                format!("line {} is no entry", line.saturating_add(1)),
            )
        })?;
        entries.push(entry);
    }
    Ok(entries)
}

fn byte_count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The log's name in the state folder.
pub const LOG_FILE: &str = "log";

/// 192 MiB: some 200,000 answers. Why: it is read whole at the start, and the disk
/// reads no file above 256 MiB.
const LOG_BYTES_MAX: u64 = 192 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_core::Outcome;
    use keystead_daemon::MemoryDisk;

    fn entry(time: u64) -> Entry {
        Entry::own(time, "sign", Outcome::Approve)
    }

    fn log_of(count: u64) -> MemoryDisk {
        let mut disk = MemoryDisk::default();
        let mut journal = Journal::create(&entry(0), &mut disk).unwrap();
        for time in 1..count {
            journal.append(&entry(time), &mut disk).unwrap();
        }
        disk
    }

    fn times(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|it| it.time).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let mut disk = log_of(3);
        let mut opened = Journal::open(&mut disk).unwrap();
        assert_eq!(times(&opened.entries), [0, 1, 2]);
        opened.journal.append(&entry(3), &mut disk).unwrap();
        assert_eq!(times(&Journal::read(&disk).unwrap()), [0, 1, 2, 3]);
    }

    #[test]
    fn a_cut_tail_is_taken_off_wherever_it_was_cut() {
        let whole = log_of(3).read(LOG_FILE).unwrap().unwrap();
        let one = log_of(1).read(LOG_FILE).unwrap().unwrap().len();
        for len in one..whole.len() {
            let mut disk = log_of(3);
            disk.cut(LOG_FILE, len);
            let mut opened = Journal::open(&mut disk).unwrap();
            let kept = opened.entries.len();
            assert_eq!(kept, whole[..len].iter().filter(|b| **b == b'\n').count());
            opened.journal.append(&entry(9), &mut disk).unwrap();
            assert_eq!(
                Journal::read(&disk).unwrap().len(),
                kept + 1,
                "cut at {len}"
            );
        }
    }

    #[test]
    fn a_changed_log_is_named_and_not_touched() {
        let mut disk = log_of(3);
        let mut changed = disk.read(LOG_FILE).unwrap().unwrap();
        let at = changed.len() / 2;
        changed[at] ^= 1;
        disk.plant(LOG_FILE, &changed);
        let error = Journal::open(&mut disk).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the state file log is damaged: line 2 does not follow from the one before"
        );
        assert_eq!(disk.read(LOG_FILE).unwrap().unwrap(), changed);
    }

    #[test]
    fn a_missing_log_is_named() {
        let error = Journal::open(&mut MemoryDisk::default()).unwrap_err();
        assert_eq!(error.to_string(), "the state file log is missing");
    }

    #[test]
    fn a_full_disk_leaves_no_entry_and_the_next_one_fits() {
        let room = log_of(2).read(LOG_FILE).unwrap().unwrap().len();
        let line = room / 2;
        for free in 0..line {
            let mut disk = log_of(2);
            let mut journal = Journal::open(&mut disk).unwrap().journal;
            disk.faults.full_above_bytes = Some(room + free);
            assert!(
                journal.append(&entry(2), &mut disk).is_err(),
                "{free} bytes free"
            );
            disk.faults.full_above_bytes = None;
            journal.append(&entry(3), &mut disk).unwrap();
            assert_eq!(times(&Journal::read(&disk).unwrap()), [0, 1, 3]);
        }
    }

    #[test]
    fn a_failed_sync_leaves_no_entry() {
        let mut disk = log_of(1);
        let mut journal = Journal::open(&mut disk).unwrap().journal;
        disk.faults.fail_sync = true;
        assert!(journal.append(&entry(1), &mut disk).is_err());
        disk.faults.fail_sync = false;
        journal.append(&entry(2), &mut disk).unwrap();
        assert_eq!(times(&Journal::read(&disk).unwrap()), [0, 2]);
    }
}
