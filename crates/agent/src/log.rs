//! The agent's log: one hash-chained line a request, written before its answer leaves.
//!
//! **Invariant:** [`Book::write`] has put the entry into the file when it returns, and within
//! [`SYNC_MS`] it is on the medium. After a sync that did not work each entry must be synced
//! before its answer leaves, until one is. When it fails the chain stands where it stood, and the
//! next entry is written behind the last good line.

use std::io;

use keystead_core::{LogChain, LogTail};
use keystead_daemon::{Disk, Now, Sync};
use serde::{Deserialize, Serialize};

/// The chain's head and what is not yet synced.
pub struct Book {
    chain: LogChain,
    len_bytes: u64,
    tail: Tail,
    sync: Pending,
}

/// Whether the file ends where the chain does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    Good,
    /// A write that failed may have left part of a line.
    Doubtful,
}

/// What of the log is not on the medium.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    /// To be synced at this moment of the steady clock.
    Due(u64),
    /// The last sync did not work: nothing may wait any more.
    Overdue,
}

impl Book {
    /// Reads the whole log and finds its end.
    ///
    /// A line that power cut off is cut away; a log that somebody changed is put aside whole, so
    /// that the agent goes on and nothing is lost. Both are told.
    ///
    /// # Errors
    /// The disk's.
    pub fn load(now: Now, disk: &mut dyn Disk) -> io::Result<(Self, Option<String>)> {
        let log = disk.read(FILE_NAME)?.unwrap_or_default();
        let checked = LogChain::check(&log);
        let (chain, len_bytes, notice) = match checked.tail {
            LogTail::Whole => (checked.chain, byte_count(log.len()), None),
            LogTail::Cut { whole_bytes } => {
                let len_bytes = byte_count(whole_bytes);
                disk.truncate(FILE_NAME, len_bytes)?;
                let notice = "the last line of the log was cut off, and is removed".to_owned();
                (checked.chain, len_bytes, Some(notice))
            }
            LogTail::Broken { line } => {
                let aside = format!("{FILE_NAME}.broken-{}", now.unix_s);
                disk.replace(&aside, &log)?;
                disk.remove(FILE_NAME)?;
                let notice =
                    format!("the log was changed from line {line} on; it is kept as {aside}");
                (LogChain::default(), 0, Some(notice))
            }
        };
        let book = Self {
            chain,
            len_bytes,
            tail: Tail::Good,
            sync: Pending::Nothing,
        };
        Ok((book, notice))
    }

    /// Writes one entry.
    ///
    /// # Errors
    /// The disk's; the entry is not in the log then, and its answer must not leave.
    pub fn write(&mut self, now: Now, entry: &Entry, disk: &mut dyn Disk) -> io::Result<()> {
        let json = serde_json::to_string(entry)?;
        self.mend_tail(disk)?;
        if self.len_bytes.saturating_add(byte_count(json.len())) > LOG_BYTES_MAX {
            self.put_aside(now, disk)?;
        }
        let (line, chain) = self.chain.next_line(&json);
        let sync = match self.sync {
            Pending::Overdue => Sync::Now,
            Pending::Nothing | Pending::Due(_) => Sync::Later,
        };
        // Until the disk says so, nobody knows what of the line is there.
        self.tail = Tail::Doubtful;
        disk.append(FILE_NAME, line.as_bytes(), sync)?;
        self.tail = Tail::Good;
        self.chain = chain;
        self.len_bytes = self.len_bytes.saturating_add(byte_count(line.len()));
        self.sync = match self.sync {
            Pending::Nothing => Pending::Due(now.mono_ms.saturating_add(SYNC_MS)),
            Pending::Due(at_ms) => Pending::Due(at_ms),
            Pending::Overdue => Pending::Nothing,
        };
        Ok(())
    }

    /// Syncs what is due.
    ///
    /// # Errors
    /// The disk's; it is tried again with the next entry.
    pub fn tick(&mut self, now: Now, disk: &mut dyn Disk) -> io::Result<()> {
        match self.sync {
            Pending::Due(at_ms) if at_ms <= now.mono_ms => self.sync_now(disk),
            Pending::Due(_) | Pending::Nothing | Pending::Overdue => Ok(()),
        }
    }

    /// Syncs what is not yet synced, due or not: before the agent ends.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        match self.sync {
            Pending::Nothing => Ok(()),
            Pending::Due(_) | Pending::Overdue => self.sync_now(disk),
        }
    }

    fn mend_tail(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        if self.tail == Tail::Doubtful {
            match disk.truncate(FILE_NAME, self.len_bytes) {
                // The very first line could not be written.
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.len_bytes == 0 => {}
                other => other?,
            }
            self.tail = Tail::Good;
        }
        Ok(())
    }

    /// Keeps the log under another name and begins a new one.
    fn put_aside(&mut self, now: Now, disk: &mut dyn Disk) -> io::Result<()> {
        let log = disk.read(FILE_NAME)?.unwrap_or_default();
        let taken = disk.list("")?;
        let first = format!("{FILE_NAME}.until-{}", now.unix_s);
        let numbered = (2_u32..).map(|number| format!("{first}-{number}"));
        let mut names = std::iter::once(first.clone()).chain(numbered);
        let aside = names.find(|name| !taken.contains(name)).unwrap_or(first);
        disk.replace(&aside, &log)?;
        disk.remove(FILE_NAME)?;
        tracing::info!(aside, "the log is long, and goes on in a new file");
        self.chain = LogChain::default();
        self.len_bytes = 0;
        if self.sync != Pending::Overdue {
            self.sync = Pending::Nothing;
        }
        Ok(())
    }

    fn sync_now(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        self.sync = Pending::Overdue;
        disk.sync(FILE_NAME)?;
        self.sync = Pending::Nothing;
        Ok(())
    }

    /// When [`Book::tick`] has something to do.
    #[must_use]
    pub const fn wake_ms(&self) -> Option<u64> {
        match self.sync {
            Pending::Due(at_ms) => Some(at_ms),
            Pending::Nothing | Pending::Overdue => None,
        }
    }
}

/// One request, its evidence and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The agent's clock when it ended, seconds since 1970.
    pub unix_s: u64,
    /// What was asked: `sign`, `decrypt`, `public-key`, `make-key`, `pair`, `unpair`, `rename`; `me`, `confirm` and
    /// `cancel`, which the keepers ask by themselves.
    pub kind: String,
    /// How it ended: the keeper's outcome (`approve`, `refuse`, `expired`, …), `no-answer`,
    /// `withdrawn`, or `refused-here`.
    pub decision: String,
    /// Why, where the decision does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The keeper's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<String>,
    /// The pairing's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<String>,
    /// What checks the pairing's receipts, hex; said when it is paired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_key: Option<String>,
    /// The key's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key, `SHA256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// From which a wallet derives the key: its text, its index unless it is 0, its curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What the signature or decryption is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Who logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// SSHSIG's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The OpenPGP user id whose key it is, as the program says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The files that it is about, as the program says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// SHA-256 of all that was to be signed or decrypted, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    /// The hosts that proved themselves, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Hop>,
    /// Candidates for the last host's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_names: Vec<String>,
    /// How long the signed file is, where its content went along and has the signed hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preimage_bytes: Option<usize>,
    /// The program that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Hash of the request, as in the keeper's receipt, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<String>,
    /// The keeper's receipt, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// The signature on it, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_signature: Option<String>,
}

/// A host that proved itself to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Its key, `SHA256:…`.
    pub host_key: String,
    /// The session, hex.
    pub session_id: String,
    /// Was the agent forwarded there?
    pub forwarding: bool,
}

/// Reads a log for showing: the entries that stand in the chain, and how it ends.
///
/// An entry that a later version wrote in another form is left out.
#[must_use]
pub fn entries(log: &[u8]) -> (Vec<Entry>, LogTail) {
    let checked = LogChain::check(log);
    let entries = checked
        .entries
        .iter()
        .filter_map(|entry| serde_json::from_str(entry.json).ok())
        .collect();
    (entries, checked.tail)
}

/// The file in the state folder.
pub const FILE_NAME: &str = "log";

/// Half of the second that `DESIGN.md` allows (promise 6), so that a slow disk has the other half.
pub const SYNC_MS: u64 = 500;

/// 64 MiB, some 40,000 signatures: then the log goes on in a new file and the old one is kept
/// as `log.until-SECONDS`. Why: it is read whole at the start, and the disk reads no file above
/// 256 MiB, so that an agent with a longer one would not start.
const LOG_BYTES_MAX: u64 = 64 << 20;

fn byte_count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use keystead_daemon::MemoryDisk;

    use super::*;

    const START: Now = Now {
        mono_ms: 10_000,
        unix_s: 1_700_000_000,
    };

    fn entry(decision: &str) -> Entry {
        Entry {
            unix_s: START.unix_s,
            kind: "sign".to_owned(),
            decision: decision.to_owned(),
            ..Entry::default()
        }
    }

    fn later(ms: u64) -> Now {
        Now {
            mono_ms: START.mono_ms + ms,
            ..START
        }
    }

    fn decisions(disk: &MemoryDisk) -> (Vec<String>, LogTail) {
        let log = disk.read(FILE_NAME).unwrap().unwrap_or_default();
        let (entries, tail) = entries(&log);
        (entries.into_iter().map(|it| it.decision).collect(), tail)
    }

    #[test]
    fn entries_are_durable_within_a_second_and_the_chain_goes_on() {
        let mut disk = MemoryDisk::new();
        let (mut book, _) = Book::load(START, &mut disk).unwrap();
        book.write(START, &entry("approve"), &mut disk).unwrap();
        assert!(book.wake_ms().is_some_and(|at| at <= later(1_000).mono_ms));
        book.tick(later(SYNC_MS), &mut disk).unwrap();
        assert_eq!(book.wake_ms(), None);
        disk.crash();
        let (mut book, notice) = Book::load(START, &mut disk).unwrap();
        assert_eq!(notice, None);
        book.write(START, &entry("refuse"), &mut disk).unwrap();
        let expected = ["approve", "refuse"].map(str::to_owned).to_vec();
        assert_eq!(decisions(&disk), (expected, LogTail::Whole));
    }

    #[test]
    fn a_full_disk_takes_no_entry() {
        let mut disk = MemoryDisk::new();
        let (mut book, _) = Book::load(START, &mut disk).unwrap();
        disk.faults.full_above_bytes = Some(10);
        assert!(book.write(START, &entry("approve"), &mut disk).is_err());
        disk.faults.full_above_bytes = None;
        book.write(START, &entry("refuse"), &mut disk).unwrap();
        let expected = vec!["refuse".to_owned()];
        assert_eq!(decisions(&disk), (expected, LogTail::Whole));
    }

    #[test]
    fn what_a_failed_write_left_behind_is_taken_off() {
        let mut disk = MemoryDisk::new();
        let (mut book, _) = Book::load(START, &mut disk).unwrap();
        book.write(START, &entry("approve"), &mut disk).unwrap();
        disk.faults.full_above_bytes = Some(10);
        assert!(book.write(START, &entry("refuse"), &mut disk).is_err());
        disk.faults.full_above_bytes = None;
        let left = [
            disk.read(FILE_NAME).unwrap().unwrap(),
            b"half a li".to_vec(),
        ]
        .concat();
        disk.plant(FILE_NAME, &left);
        book.write(START, &entry("expired"), &mut disk).unwrap();
        let expected = ["approve", "expired"].map(str::to_owned).to_vec();
        assert_eq!(decisions(&disk), (expected, LogTail::Whole));
    }

    #[test]
    fn a_log_that_would_be_too_long_to_read_is_put_aside_whole() {
        let mut disk = MemoryDisk::new();
        let (mut book, _) = Book::load(START, &mut disk).unwrap();
        book.write(START, &entry("approve"), &mut disk).unwrap();
        let old = disk.read(FILE_NAME).unwrap().unwrap();
        book.len_bytes = LOG_BYTES_MAX - 1;
        // Twice in one second: neither takes the other's place.
        book.write(START, &entry("refuse"), &mut disk).unwrap();
        book.len_bytes = LOG_BYTES_MAX - 1;
        book.write(START, &entry("expired"), &mut disk).unwrap();
        assert_eq!(
            decisions(&disk),
            (vec!["expired".to_owned()], LogTail::Whole)
        );
        let aside = disk.read("log.until-1700000000").unwrap().unwrap();
        assert_eq!(aside, old);
        assert!(disk.read("log.until-1700000000-2").unwrap().is_some());
        // A disk that has no room for both stops nothing but the entry.
        book.len_bytes = LOG_BYTES_MAX - 1;
        disk.faults.full_above_bytes = Some(1);
        assert!(book.write(START, &entry("approve"), &mut disk).is_err());
        disk.faults.full_above_bytes = None;
        let (_, notice) = Book::load(START, &mut disk).unwrap();
        assert_eq!(notice, None);
    }

    #[test]
    fn after_a_sync_that_failed_nothing_leaves_unsynced() {
        let mut disk = MemoryDisk::new();
        let (mut book, _) = Book::load(START, &mut disk).unwrap();
        book.write(START, &entry("approve"), &mut disk).unwrap();
        disk.faults.fail_sync = true;
        assert!(book.tick(later(SYNC_MS), &mut disk).is_err());
        assert!(book.write(later(600), &entry("refuse"), &mut disk).is_err());
        disk.faults.fail_sync = false;
        book.write(later(700), &entry("expired"), &mut disk)
            .unwrap();
        assert_eq!(book.wake_ms(), None);
    }

    #[test]
    fn a_cut_line_is_removed_and_a_changed_log_put_aside() {
        let mut disk = MemoryDisk::new();
        let (mut book, _) = Book::load(START, &mut disk).unwrap();
        book.write(START, &entry("approve"), &mut disk).unwrap();
        book.write(START, &entry("refuse"), &mut disk).unwrap();
        let whole = disk.read(FILE_NAME).unwrap().unwrap();
        for len in 0..whole.len() {
            let mut disk = MemoryDisk::new();
            disk.plant(FILE_NAME, &whole[..len]);
            let (mut book, notice) = Book::load(START, &mut disk).unwrap();
            let lines = whole[..len].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(
                notice.is_some(),
                len > 0 && whole[len - 1] != b'\n',
                "{len}"
            );
            book.write(START, &entry("expired"), &mut disk).unwrap();
            let (seen, tail) = decisions(&disk);
            assert_eq!((seen.len(), tail), (lines + 1, LogTail::Whole), "{len}");
        }
        let mut changed = whole.clone();
        changed[70] ^= 1;
        disk.plant(FILE_NAME, &changed);
        let (_, notice) = Book::load(START, &mut disk).unwrap();
        assert!(notice.unwrap().contains("line 1"));
        let aside = disk.read("log.broken-1700000000").unwrap().unwrap();
        assert_eq!(aside, changed);
    }
}
