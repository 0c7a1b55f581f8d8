//! The counter that signatures with presence state (OpenSSH PROTOCOL.u2f).
//!
//! **Invariant**: a number is on the disk before a signature that states it
//! can leave, so none is stated twice, whenever the machine stops.

use std::io;

use keystead_daemon::Disk;
use serde::{Deserialize, Serialize};

use crate::LoadError;

/// The last number that may have been stated, by any key of this authenticator.
#[derive(Default)]
pub(super) struct Counter {
    last: u32,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct CounterFile {
    version: u32,
    last: u32,
}

impl Counter {
    /// Reads it; it is 0 where nothing was ever signed with presence.
    pub(super) fn load(disk: &dyn Disk) -> Result<Self, LoadError> {
        let read = disk.read(COUNTER_FILE);
        let Some(text) = read.map_err(|source| LoadError::unreadable(COUNTER_FILE, source))? else {
            return Ok(Self::default());
        };
        let file: CounterFile = serde_json::from_slice(&text)
            .map_err(|error| LoadError::damaged(COUNTER_FILE, error.to_string()))?;
        if file.version > VERSION {
            return Err(LoadError::newer(COUNTER_FILE));
        }
        Ok(Self { last: file.last })
    }

    /// The next number, durable when it returns.
    pub(super) fn next(&mut self, disk: &mut dyn Disk) -> io::Result<u32> {
        let exhausted = || io::Error::other("the counter of signatures is exhausted");
        let next = self.last.checked_add(1).ok_or_else(exhausted)?;
        let file = CounterFile {
            version: VERSION,
            last: next,
        };
        let mut text = serde_json::to_vec(&file).map_err(io::Error::other)?;
        text.push(b'\n');
        // Also when the write fails: it may be on the disk all the same.
        self.last = next;
        disk.replace(COUNTER_FILE, &text)?;
        Ok(next)
    }
}

/// The counter's name in the state folder.
const COUNTER_FILE: &str = "presence.json";

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_daemon::MemoryDisk;

    #[test]
    fn it_grows_over_restarts_and_full_disks() {
        let mut disk = MemoryDisk::default();
        let mut counter = Counter::load(&disk).unwrap();
        assert_eq!(counter.next(&mut disk).unwrap(), 1);
        assert_eq!(counter.next(&mut disk).unwrap(), 2);
        let mut counter = Counter::load(&disk).unwrap();
        disk.faults.full_above_bytes = Some(0);
        assert!(counter.next(&mut disk).is_err());
        disk.faults.full_above_bytes = None;
        assert_eq!(counter.next(&mut disk).unwrap(), 4);
        assert_eq!(Counter::load(&disk).unwrap().last, 4);
    }

    #[test]
    fn a_cut_file_is_damage_and_the_last_number_is_the_end() {
        let mut disk = MemoryDisk::default();
        let whole = br#"{"version":1,"last":4294967295}"#;
        for len in 0..whole.len() {
            disk.plant(COUNTER_FILE, &whole[..len]);
            assert!(Counter::load(&disk).is_err(), "{len}");
        }
        disk.plant(COUNTER_FILE, whole);
        let mut counter = Counter::load(&disk).unwrap();
        assert!(counter.next(&mut disk).is_err());
    }
}
