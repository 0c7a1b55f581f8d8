//! Which hardware wallets there are, on disk.
//!
//! **Invariant:** nothing in it is secret: a name, a place, and which wallet it is.

use std::io;

use keystead_core::{Name, WalletFingerprint};
use keystead_daemon::Disk;
use keystead_keeper::trezor::TrezorPath;
use serde::{Deserialize, Serialize};

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: Name,
    pub(crate) path: TrezorPath,
    /// None while it is being added.
    pub(crate) wallet: Option<WalletFingerprint>,
    pub(crate) passphrase_on_device: bool,
    pub(crate) added_unix_s: u64,
}

/// Reads them. The text says what was wrong where the file cannot be read: then there is none.
///
/// # Errors
/// The disk's.
pub(crate) fn read(disk: &dyn Disk) -> io::Result<(Vec<Record>, Option<String>)> {
    let Some(file) = disk.read(FILE_NAME)? else {
        return Ok((Vec::new(), None));
    };
    let damaged = |why: String| {
        let notice = format!("{FILE_NAME} cannot be read ({why}); add its wallets again");
        Ok((Vec::new(), Some(notice)))
    };
    let file: File = match serde_json::from_slice(&file) {
        Ok(file) => file,
        Err(error) => return damaged(error.to_string()),
    };
    let records: Option<Vec<Record>> = file.hardware.into_iter().map(Stored::record).collect();
    match records {
        Some(records) if file.version == VERSION => Ok((records, None)),
        _ => damaged("it is of another version".to_owned()),
    }
}

/// Replaces them.
///
/// # Errors
/// The disk's.
pub(crate) fn write<'a>(
    records: impl Iterator<Item = &'a Record>,
    disk: &mut dyn Disk,
) -> io::Result<()> {
    let file = File {
        version: VERSION,
        hardware: records.filter_map(Stored::of).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&file)?;
    text.push(b'\n');
    disk.replace(FILE_NAME, &text)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    hardware: Vec<Stored>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: String,
    path: String,
    wallet: String,
    passphrase_on_device: bool,
    added_unix_s: u64,
}

impl Stored {
    fn of(record: &Record) -> Option<Self> {
        Some(Self {
            name: record.name.to_string(),
            path: record.path.to_string(),
            wallet: record.wallet?.to_string(),
            passphrase_on_device: record.passphrase_on_device,
            added_unix_s: record.added_unix_s,
        })
    }

    fn record(self) -> Option<Record> {
        Some(Record {
            name: Name::new(self.name).ok()?,
            path: self.path.parse().ok()?,
            wallet: Some(self.wallet.parse().ok()?),
            passphrase_on_device: self.passphrase_on_device,
            added_unix_s: self.added_unix_s,
        })
    }
}

/// In the state folder.
pub(crate) const FILE_NAME: &str = "hardware.json";

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_daemon::MemoryDisk;

    #[test]
    fn what_is_written_is_read() {
        let mut disk = MemoryDisk::default();
        assert_eq!(read(&disk).unwrap(), (vec![], None));
        let record = Record {
            name: Name::new("trezor").unwrap(),
            path: "udp:127.0.0.1:21324".parse().unwrap(),
            wallet: Some(WalletFingerprint([1, 2, 3, 4])),
            passphrase_on_device: true,
            added_unix_s: 7,
        };
        write([&record].into_iter(), &mut disk).unwrap();
        assert_eq!(read(&disk).unwrap(), (vec![record], None));
    }

    #[test]
    fn a_damaged_file_is_told_of() {
        for damaged in [
            "",
            "{}",
            "{\"version\":2,\"hardware\":[]}",
            "{\"version\":1}",
        ] {
            let mut disk = MemoryDisk::default();
            disk.replace(FILE_NAME, damaged.as_bytes()).unwrap();
            let (records, notice) = read(&disk).unwrap();
            assert_eq!(records, []);
            assert!(notice.is_some(), "{damaged}");
        }
    }
}
