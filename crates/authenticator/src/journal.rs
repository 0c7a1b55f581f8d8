//! The log on disk: hash-chained lines, written before an answer leaves.
//!
//! **Invariant**: [`Journal::append`] returns `Ok` only when the entry is
//! durable; when it fails, the chain stands where it stood, and the next entry
//! is written behind the last good line. A log that somebody changed is never
//! written to.
//!
//! A long log goes on in a new file. First a whole copy, `log.1`, `log.2`, …, is made
//! durable; then the new file takes the place of `log` in one step, and its first entry
//! carries what is still needed: wherever it stops, `log` is the old one or the new one,
//! whole. Nothing reads a kept file but the `log` command: whoever wants the room
//! removes it.

mod carried;

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
    /// Whether the file is as the chain has it.
    tail: Tail,
    /// How many files were kept before this one.
    kept: u64,
    /// Above it the log goes on in a new file.
    go_on_above_bytes: u64,
    /// The file that was kept last, until somebody is told.
    went_on: Option<String>,
}

/// What stands in a log.
#[derive(Debug)]
pub struct Opened {
    /// The log's end, to be written to.
    pub journal: Journal,
    /// All that is to be recalled, the oldest first: what was carried, and every entry.
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
        let mut journal = Self::at(LogChain::default(), 0, 0, 0);
        journal.append(first, disk)?;
        Ok(journal)
    }

    /// Reads the log, checks its chain and takes a cut last line off.
    ///
    /// # Errors
    /// [`LoadError`] names the file; nothing is written then.
    pub fn open(disk: &mut dyn Disk) -> Result<Opened, LoadError> {
        let log = read_file(LOG_FILE, disk)?;
        let checked = LogChain::check(&log);
        let entries = entries_of(LOG_FILE, &checked)?;
        let len_bytes = match checked.tail {
            LogTail::Cut { whole_bytes } => byte_count(whole_bytes),
            LogTail::Whole | LogTail::Broken { .. } => byte_count(log.len()),
        };
        let cut_bytes = byte_count(log.len()).saturating_sub(len_bytes);
        if cut_bytes > 0 {
            disk.truncate(LOG_FILE, len_bytes)
                .map_err(|source| LoadError::unreadable(LOG_FILE, source))?;
        }
        let first_bytes = log.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let kept = kept_before(&entries);
        let journal = Self::at(checked.chain, len_bytes, kept, byte_count(first_bytes));
        Ok(Opened {
            journal,
            entries: carried::flat(entries),
            cut_bytes,
        })
    }

    /// Reads what is to be recalled and changes nothing.
    ///
    /// # Errors
    /// [`LoadError`] names the file.
    pub fn read(disk: &dyn Disk) -> Result<Vec<Entry>, LoadError> {
        read_entries(LOG_FILE, disk).map(carried::flat)
    }

    /// Reads every entry of every file that is still there, each once, and changes
    /// nothing: for `log` beside a running authenticator.
    ///
    /// # Errors
    /// [`LoadError`] names the file; one that does not lead to the next is damaged.
    pub fn read_all(disk: &dyn Disk) -> Result<Vec<Entry>, LoadError> {
        let newest = read_entries(LOG_FILE, disk)?;
        let unreadable = |source| LoadError::unreadable(LOG_FILE, source);
        let there = disk.list("").map_err(unreadable)?;
        // What lies above these was left by a stop before the new file took its place.
        let kept = kept_before(&newest);
        let mut numbers: Vec<u64> = there
            .iter()
            .filter_map(|name| number_of(name))
            .filter(|number| (1..=kept).contains(number))
            .collect();
        numbers.sort_unstable();
        let mut all = Vec::new();
        let mut before: Option<(u64, [u8; 32])> = None;
        for number in numbers {
            let file = kept_name(number);
            let log = read_file(&file, disk)?;
            let checked = LogChain::check(&log);
            let entries = entries_of(&file, &checked)?;
            carried::check_follows(&entries, before, &file)?;
            before = Some((number, *checked.chain.head()));
            all.extend(entries);
        }
        carried::check_follows(&newest, before, LOG_FILE)?;
        all.extend(newest);
        for entry in &mut all {
            entry.carried = None;
        }
        Ok(all)
    }

    /// Writes an entry, durably. A text that is too long is clipped.
    ///
    /// # Errors
    /// The system's; the entry does not stand in the log then.
    pub fn append(&mut self, entry: &Entry, disk: &mut dyn Disk) -> io::Result<()> {
        self.mend(disk)?;
        if self.len_bytes > self.go_on_above_bytes
            && let Err(error) = self.go_on(entry.unix_s, disk)
        {
            // Without room for a copy there may be room for entries yet.
            if self.tail != Tail::Good || self.len_bytes > LOG_BYTES_MAX {
                return Err(error);
            }
            self.go_on_above_bytes = self.len_bytes.saturating_add(TRY_AGAIN_BYTES);
        }
        let json = serde_json::to_string(&entry.clone().clipped()).map_err(io::Error::other)?;
        let (line, next) = self.chain.next_line(&json);
        // Until the disk says so, nobody knows what of the line is there.
        self.tail = Tail::Doubtful;
        disk.append(LOG_FILE, line.as_bytes(), Sync::Now)?;
        self.tail = Tail::Good;
        self.chain = next;
        self.len_bytes = self.len_bytes.saturating_add(byte_count(line.len()));
        Ok(())
    }

    /// The file that was kept when the log went on in a new one, said once.
    pub fn went_on(&mut self) -> Option<String> {
        self.went_on.take()
    }

    fn at(chain: LogChain, len_bytes: u64, kept: u64, first_bytes: u64) -> Self {
        Self {
            chain,
            len_bytes,
            tail: Tail::Good,
            kept,
            // What is carried may be long itself.
            go_on_above_bytes: GO_ON_BYTES.max(first_bytes.saturating_add(GO_ON_BYTES / 2)),
            went_on: None,
        }
    }

    /// Makes the file what the chain says, after a write that failed.
    fn mend(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        match self.tail {
            Tail::Good => {}
            Tail::Doubtful => disk.truncate(LOG_FILE, self.len_bytes)?,
            Tail::Replaced => {
                let opened = Self::open(disk).map_err(io::Error::other)?;
                disk.sync(LOG_FILE)?;
                *self = opened.journal;
            }
        }
        self.tail = Tail::Good;
        Ok(())
    }

    /// Keeps the log under another name and begins a new one.
    fn go_on(&mut self, now_unix_s: u64, disk: &mut dyn Disk) -> io::Result<()> {
        let log = disk.read(LOG_FILE)?.ok_or(io::ErrorKind::NotFound)?;
        let checked = LogChain::check(&log);
        if checked.tail != LogTail::Whole || checked.chain != self.chain {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the log was changed by somebody else",
            ));
        }
        let entries = entries_of(LOG_FILE, &checked).map_err(io::Error::other)?;
        let kept = self.kept.saturating_add(1);
        let file = kept_name(kept);
        let first = carried::first_entry(entries, kept, self.chain.head(), now_unix_s);
        let json = serde_json::to_string(&first).map_err(io::Error::other)?;
        let (line, chain) = LogChain::default().next_line(&json);
        disk.replace(&file, &log)?;
        // From here on nobody knows which of the two stands there, until the disk says so.
        self.tail = Tail::Replaced;
        disk.replace(LOG_FILE, line.as_bytes())?;
        let len_bytes = byte_count(line.len());
        *self = Self::at(chain, len_bytes, kept, len_bytes);
        self.went_on = Some(file);
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Good,
    /// A failed append may have left bytes behind the last good line.
    Doubtful,
    /// A new file may have taken the log's place, or not.
    Replaced,
}

fn read_file(file: &str, disk: &dyn Disk) -> Result<Vec<u8>, LoadError> {
    match disk.read(file) {
        Ok(Some(log)) => Ok(log),
        // Without it the receipts' chain would start again and ids be used twice.
        Ok(None) => Err(LoadError::Missing {
            file: file.to_owned(),
        }),
        Err(source) => Err(LoadError::unreadable(file, source)),
    }
}

fn read_entries(file: &str, disk: &dyn Disk) -> Result<Vec<Entry>, LoadError> {
    entries_of(file, &LogChain::check(&read_file(file, disk)?))
}

fn entries_of(file: &str, checked: &keystead_core::Checked<'_>) -> Result<Vec<Entry>, LoadError> {
    if let LogTail::Broken { line } = checked.tail {
        return Err(LoadError::damaged(
            file,
            format!("line {line} does not follow from the one before"),
        ));
    }
    let mut entries = Vec::with_capacity(checked.entries.len());
    for (line, entry) in checked.entries.iter().enumerate() {
        let entry = serde_json::from_str(entry.json).map_err(|_| {
            LoadError::damaged(file, format!("line {} is no entry", line.saturating_add(1)))
        })?;
        entries.push(entry);
    }
    Ok(entries)
}

/// How many files were kept before the one with these entries.
fn kept_before(entries: &[Entry]) -> u64 {
    let carried = entries.first().and_then(|it| it.carried.as_ref());
    carried.map_or(0, |it| it.kept)
}

fn kept_name(number: u64) -> String {
    format!("{LOG_FILE}.{number}")
}

/// The number of a kept file; none for another name.
fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix(LOG_FILE)?.strip_prefix('.')?;
    let number = number.parse().ok()?;
    (kept_name(number) == name).then_some(number)
}

fn byte_count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The log's name in the state folder.
pub const LOG_FILE: &str = "log";

/// 64 MiB, some 60,000 answers: then the log goes on in a new file. Why: it is read whole at
/// the start.
const GO_ON_BYTES: u64 = 64 << 20;

/// 8 MiB more before a new file is tried again: each try reads the whole log.
const TRY_AGAIN_BYTES: u64 = 8 << 20;

/// 192 MiB without a new file: the disk reads no file above 256 MiB, and what is carried of
/// 64 pairings with 10,000 ids each (134 MiB) and half of [`GO_ON_BYTES`] stay below it.
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
        entries.iter().map(|it| it.unix_s).collect()
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

    /// A disk that stops at a write: `writes` are left, the next fails, done or not.
    struct Stops {
        disk: MemoryDisk,
        writes: usize,
        done: bool,
    }

    impl Stops {
        fn write(&mut self, op: impl Fn(&mut MemoryDisk) -> io::Result<()>) -> io::Result<()> {
            if self.writes > 0 {
                self.writes -= 1;
                return op(&mut self.disk);
            }
            if self.done {
                op(&mut self.disk)?;
            }
            Err(io::Error::other("planted"))
        }
    }

    impl Disk for Stops {
        fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
            self.disk.read(name)
        }
        fn replace(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
            self.write(|disk| disk.replace(name, content))
        }
        fn append(&mut self, name: &str, record: &[u8], sync: Sync) -> io::Result<()> {
            self.write(|disk| disk.append(name, record, sync))
        }
        fn sync(&mut self, name: &str) -> io::Result<()> {
            self.write(|disk| disk.sync(name))
        }
        fn truncate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
            self.write(|disk| disk.truncate(name, len_bytes))
        }
        fn remove(&mut self, name: &str) -> io::Result<()> {
            self.write(|disk| disk.remove(name))
        }
        fn list(&self, folder: &str) -> io::Result<Vec<String>> {
            self.disk.list(folder)
        }
    }

    #[test]
    fn a_long_log_goes_on_in_a_new_file_and_all_of_it_is_read() {
        let mut disk = log_of(2);
        let mut journal = Journal::open(&mut disk).unwrap().journal;
        for time in 2..6 {
            journal.go_on_above_bytes = 1;
            journal.append(&entry(time), &mut disk).unwrap();
            assert_eq!(journal.went_on(), Some(format!("log.{}", time - 1)));
        }
        journal.append(&entry(6), &mut disk).unwrap();
        assert_eq!(journal.went_on(), None);
        let shown = |disk: &MemoryDisk| {
            let mut all = Journal::read_all(disk).unwrap();
            all.retain(|it| it.kind != "log");
            times(&all)
        };
        assert_eq!(shown(&disk), [0, 1, 2, 3, 4, 5, 6]);
        // A person removes old ones; the rest is read, and the numbers go on.
        disk.remove("log.1").unwrap();
        disk.remove("log.3").unwrap();
        assert_eq!(shown(&disk), [2, 4, 5, 6]);
        let mut journal = Journal::open(&mut disk).unwrap().journal;
        journal.go_on_above_bytes = 1;
        journal.append(&entry(7), &mut disk).unwrap();
        assert_eq!(journal.went_on().as_deref(), Some("log.5"));
        // Another file under that name is seen.
        let other = disk.read("log.2").unwrap().unwrap();
        disk.plant("log.4", &other);
        let error = Journal::read_all(&disk).unwrap_err().to_string();
        assert!(error.contains("does not follow from log.4"), "{error}");
    }

    #[test]
    fn wherever_going_on_stops_nothing_is_lost() {
        // The copy, the new file, the entry; and one more, which stops nothing.
        for (writes, done) in (0..4).flat_map(|it| [(it, false), (it, true)]) {
            let mut disk = Stops {
                disk: log_of(3),
                writes: usize::MAX,
                done,
            };
            let mut journal = Journal::open(&mut disk).unwrap().journal;
            journal.go_on_above_bytes = 1;
            disk.writes = writes;
            let written = journal.append(&entry(3), &mut disk).is_ok();
            disk.writes = usize::MAX;
            let mut stopped = disk.disk.clone();
            stopped.crash();
            let mut opened = Journal::open(&mut stopped).unwrap();
            opened.journal.append(&entry(4), &mut stopped).unwrap();
            // The same process goes on as well as a new one.
            journal.append(&entry(4), &mut disk).unwrap();
            for disk in [&stopped, &disk.disk] {
                let mut all = Journal::read_all(disk).unwrap();
                all.retain(|it| it.kind != "log");
                let mut expected = vec![0, 1, 2, 3, 4];
                if !times(&all).contains(&3) {
                    assert!(!written, "{writes} {done}");
                    expected.retain(|it| *it != 3);
                }
                assert_eq!(times(&all), expected, "{writes} {done}");
            }
        }
    }

    #[test]
    fn without_room_for_a_copy_the_old_file_takes_entries_yet() {
        let mut disk = log_of(3);
        let mut journal = Journal::open(&mut disk).unwrap().journal;
        let len = disk.read(LOG_FILE).unwrap().unwrap().len();
        disk.faults.full_above_bytes = Some(len * 3 / 2);
        journal.go_on_above_bytes = 1;
        journal.append(&entry(3), &mut disk).unwrap();
        assert_eq!(times(&Journal::read(&disk).unwrap()), [0, 1, 2, 3]);
        journal.go_on_above_bytes = 1;
        journal.len_bytes = LOG_BYTES_MAX + 1;
        assert!(journal.append(&entry(4), &mut disk).is_err());
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
