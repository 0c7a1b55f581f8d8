//! The hash chain of the log that agent and authenticator keep.
//!
//! One entry is one line: `HASH JSON\n`, where HASH is the hex of
//! `H("keystead-log-entry-1", hash of the entry before (32 bytes) ‖ JSON)`;
//! the first entry follows 32 zero bytes. A line changed, taken out or put in
//! breaks every hash behind it; lines cut off at the end leave a chain that is
//! whole but whose head differs from the one that was noted.

use crate::{Hasher, RequestHash};

/// The head of a chain: what the next entry will be chained to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogChain {
    head: [u8; 32],
    entries: u64,
}

/// One entry that stands in its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// The JSON text.
    pub json: &'a str,
    /// The entry's own hash.
    pub hash: [u8; 32],
}

/// What a log's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked<'a> {
    /// All entries up to the first fault.
    pub entries: Vec<LogEntry<'a>>,
    /// The chain behind them.
    pub chain: LogChain,
    /// How it ends.
    pub tail: LogTail,
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTail {
    /// With a whole line.
    Whole,
    /// In the middle of a line, as when power went: the first `whole_bytes` bytes are good.
    Cut {
        /// Where the cut line starts.
        whole_bytes: usize,
    },
    /// A line does not follow from the one before: somebody or something changed the file.
    Broken {
        /// Which line, counted from 1.
        line: u64,
    },
}

impl LogChain {
    /// The chain behind an entry whose hash and count were noted elsewhere.
    #[must_use]
    pub fn resume(head: [u8; 32], entries: u64) -> Self {
        Self { head, entries }
    }

    /// The hash of the last entry; 32 zero bytes before the first.
    #[must_use]
    pub fn head(&self) -> &[u8; 32] {
        &self.head
    }

    /// How many entries the chain has.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The line for the next entry and the chain behind it.
    ///
    /// The chain itself is unchanged: keep the new one only once the line is written.
    /// A `json` with a line break in it would be two lines: breaks become spaces.
    #[must_use]
    pub fn next_line(&self, json: &str) -> (String, Self) {
        let json = json.replace(['\n', '\r'], " ");
        let next = Self {
            head: self.hash_of(&json),
            entries: self.entries.saturating_add(1),
        };
        let hash = RequestHash(next.head);
        (format!("{hash} {json}\n"), next)
    }

    /// Reads a log from its first entry on and checks every line.
    #[must_use]
    pub fn check(log: &[u8]) -> Checked<'_> {
        let mut checked = Checked {
            entries: Vec::new(),
            chain: Self::default(),
            tail: LogTail::Whole,
        };
        let mut whole_bytes = 0;
        for line in log.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else {
                checked.tail = LogTail::Cut { whole_bytes };
                break;
            };
            let Some((entry, chain)) = checked.chain.entry_of(text) else {
                let line = checked.chain.entries.saturating_add(1);
                checked.tail = LogTail::Broken { line };
                break;
            };
            whole_bytes += line.len();
            checked.entries.push(entry);
            checked.chain = chain;
        }
        checked
    }

    fn entry_of<'a>(&self, line: &'a [u8]) -> Option<(LogEntry<'a>, Self)> {
        let (hash, json) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let hash: RequestHash = hash.parse().ok()?;
        let next = Self {
            head: self.hash_of(json),
            entries: self.entries.saturating_add(1),
        };
        (next.head == hash.0).then_some((LogEntry { json, hash: hash.0 }, next))
    }

    fn hash_of(&self, json: &str) -> [u8; 32] {
        let mut hasher = Hasher::new("keystead-log-entry-1");
        hasher.update(&self.head);
        hasher.update(json.as_bytes());
        hasher.finish()
    }
}

/// The chain of a pairing's receipts (`spec/pairing.md` section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiptChain {
    /// The number of the next receipt.
    pub seq: u64,
    /// `H("keystead-log-1", last receipt)`, or 32 zero bytes.
    pub prev: [u8; 32],
}

impl ReceiptChain {
    /// The chain behind a receipt with this number and these bytes.
    #[must_use]
    pub fn after(seq: u64, receipt: &[u8]) -> Self {
        Self {
            seq: seq.saturating_add(1),
            prev: crate::labelled_hash("keystead-log-1", receipt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(entries: &[&str]) -> String {
        let mut chain = LogChain::default();
        let mut log = String::new();
        for json in entries {
            let (line, next) = chain.next_line(json);
            log.push_str(&line);
            chain = next;
        }
        log
    }

    const THREE: [&str; 3] = [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#];

    #[test]
    fn a_log_reads_back() {
        let log = log_of(&THREE);
        let checked = LogChain::check(log.as_bytes());
        let json: Vec<&str> = checked.entries.iter().map(|it| it.json).collect();
        assert_eq!(json, THREE);
        assert_eq!(checked.tail, LogTail::Whole);
        assert_eq!(checked.chain.entries(), 3);
    }

    #[test]
    fn every_cut_is_seen_and_says_what_is_whole() {
        let log = log_of(&THREE);
        for len in 0..log.len() {
            let cut = &log.as_bytes()[..len];
            let whole = cut.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let expected = if whole == len {
                LogTail::Whole
            } else {
                LogTail::Cut { whole_bytes: whole }
            };
            assert_eq!(LogChain::check(cut).tail, expected, "cut at {len}");
        }
    }

    #[test]
    fn every_changed_byte_breaks_the_chain() {
        let log = log_of(&THREE);
        for at in 0..log.len() {
            let mut changed = log.clone().into_bytes();
            changed[at] ^= 0x01;
            let checked = LogChain::check(&changed);
            assert_ne!(checked.tail, LogTail::Whole, "byte {at}");
        }
    }

    #[test]
    fn a_line_taken_out_or_doubled_breaks_the_chain() {
        let log = log_of(&THREE);
        let lines: Vec<&str> = log.split_inclusive('\n').collect();
        let without = [lines[0], lines[2]].concat();
        let doubled = [lines[0], lines[0]].concat();
        for log in [without, doubled] {
            let tail = LogChain::check(log.as_bytes()).tail;
            assert_eq!(tail, LogTail::Broken { line: 2 });
        }
    }

    #[test]
    fn an_entry_is_one_line_whatever_it_holds() {
        let (line, _) = LogChain::default().next_line("{\"a\":\n1}");
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(LogChain::check(line.as_bytes()).entries.len(), 1);
    }
}
