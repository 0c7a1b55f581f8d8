//! The public keys of identities, once their wallets have told them.
//!
//! **Invariant:** one record an identity and keeper; the file is replaced whole, and is only a
//! memory: what is lost of it the wallet tells again. Nothing in it is secret, but it says where
//! somebody logs in, so it is readable for its owner alone.

use std::io;

use keystead_core::{Identity, KeyEntry, Name, PairingId, Purpose, WalletFingerprint, hex};
use keystead_daemon::Disk;
use keystead_formats::ssh::key::key_id;
use serde::{Deserialize, Serialize};

use crate::key_control::IdentitySpec;

/// What is remembered of one identity at one keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) identity: Identity,
    /// The person had the text brought into its canonical form.
    pub(crate) canonical: bool,
    pub(crate) pairing: PairingId,
    /// Which wallet there, where that is known.
    pub(crate) wallet: Option<WalletFingerprint>,
    pub(crate) key: KeyEntry,
}

/// All records, the one that was named last behind the others of its identity.
#[derive(Default)]
pub(crate) struct Records {
    records: Vec<Record>,
}

impl Records {
    /// Reads the file. The text says what was wrong with one that cannot be read: then nothing is
    /// known.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn load(disk: &mut dyn Disk) -> io::Result<(Self, Option<String>)> {
        let Some(file) = disk.read(FILE_NAME)? else {
            return Ok((Self::default(), None));
        };
        let read: Result<File, _> = serde_json::from_slice(&file);
        Ok(match read {
            Ok(file) => {
                let records = file.identities.iter().filter_map(Stored::record).collect();
                (Self { records }, None)
            }
            Err(error) => {
                let what = format!("{FILE_NAME} cannot be read ({error}); wallets are asked anew");
                (Self::default(), Some(what))
            }
        })
    }

    /// All of them, in that order.
    pub(crate) fn all(&self) -> &[Record] {
        &self.records
    }

    /// Those of an identity, at any keeper.
    pub(crate) fn of<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Record> {
        let records = self.records.iter();
        records.filter(move |it| it.identity == *identity)
    }

    /// Remembers one, in the place of what was known of the same identity there, as the latest of
    /// its identity.
    ///
    /// # Errors
    /// The disk's; it is remembered until the agent ends all the same.
    pub(crate) fn remember(&mut self, record: Record, disk: &mut dyn Disk) -> io::Result<()> {
        let is_same = |it: &Record| {
            it.identity == record.identity
                && it.pairing == record.pairing
                && (it.wallet == record.wallet || it.wallet.is_none())
        };
        if self.of(&record.identity).last() == Some(&record) {
            return Ok(());
        }
        self.records.retain(|it| !is_same(it));
        if self.records.len() >= RECORDS_MAX {
            self.records.remove(0);
        }
        self.records.push(record);
        self.save(disk)
    }

    /// Forgets what is known of a keeper that is gone.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn forget(&mut self, pairing: PairingId, disk: &mut dyn Disk) -> io::Result<()> {
        let before = self.records.len();
        self.records.retain(|it| it.pairing != pairing);
        if self.records.len() == before {
            return Ok(());
        }
        self.save(disk)
    }

    fn save(&self, disk: &mut dyn Disk) -> io::Result<()> {
        let file = File {
            version: VERSION,
            identities: self.records.iter().map(Stored::of).collect(),
        };
        let mut text = serde_json::to_vec_pretty(&file)?;
        text.push(b'\n');
        disk.replace(FILE_NAME, &text)
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    identities: Vec<Stored>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    identity: IdentitySpec,
    keeper: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wallet: Option<String>,
    name: String,
    algorithm: String,
    public_key: String,
    purposes: Vec<u8>,
}

impl Stored {
    fn of(record: &Record) -> Self {
        Self {
            identity: IdentitySpec {
                canonical: record.canonical,
                ..IdentitySpec::of(&record.identity)
            },
            keeper: record.pairing.to_string(),
            wallet: record.wallet.map(|it| it.to_string()),
            name: record.key.name.to_string(),
            algorithm: record.key.algorithm.clone(),
            public_key: hex::encode(&record.key.public_key),
            purposes: record.key.purposes.iter().map(|it| it.number()).collect(),
        }
    }

    /// None for one that a later version wrote, or nobody.
    fn record(&self) -> Option<Record> {
        let public_key = hex::decode(&self.public_key)?;
        let purposes = self.purposes.iter();
        Some(Record {
            identity: self.identity.identity().ok()?,
            canonical: self.identity.canonical,
            pairing: self.keeper.parse().ok()?,
            wallet: match &self.wallet {
                Some(wallet) => Some(wallet.parse().ok()?),
                None => None,
            },
            key: KeyEntry {
                id: key_id(&public_key),
                algorithm: self.algorithm.clone(),
                public_key,
                name: Name::new(self.name.as_str()).ok()?,
                purposes: purposes
                    .filter_map(|it| Purpose::from_number(*it))
                    .collect(),
            },
        })
    }
}

/// In the state folder.
const FILE_NAME: &str = "identities";

const VERSION: u32 = 1;

/// 4,096 identities: each host of a large site, on one curve. A file of 2 MiB.
const RECORDS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use keystead_core::{Curve, Derivation};
    use keystead_daemon::MemoryDisk;

    use super::*;

    fn record(host: u32, pairing: u8) -> Record {
        let public_key = vec![7; 32];
        let uri = format!("ssh://alex@db{host}");
        Record {
            identity: Identity::new(uri, Curve::Ed25519, host, Derivation::Sign).unwrap(),
            canonical: host == 2,
            pairing: PairingId([pairing; 8]),
            wallet: Some(WalletFingerprint([1, 2, 3, 4])),
            key: KeyEntry {
                id: key_id(&public_key),
                algorithm: "ssh-ed25519".to_owned(),
                public_key,
                name: Name::new("db").unwrap(),
                purposes: vec![Purpose::SshLogin, Purpose::SshSig],
            },
        }
    }

    #[test]
    fn what_was_told_is_there_after_a_restart() {
        let mut disk = MemoryDisk::new();
        let (mut records, trouble) = Records::load(&mut disk).unwrap();
        assert_eq!((records.all().len(), trouble), (0, None));
        for one in [record(0, 1), record(2, 1), record(2, 2)] {
            records.remember(one, &mut disk).unwrap();
        }
        let (again, trouble) = Records::load(&mut disk).unwrap();
        assert_eq!(trouble, None);
        assert_eq!(again.all(), [record(0, 1), record(2, 1), record(2, 2)]);
        assert_eq!(again.of(&record(2, 1).identity).count(), 2);
    }

    #[test]
    fn one_record_an_identity_and_keeper() {
        let mut disk = MemoryDisk::new();
        let mut records = Records::default();
        records.remember(record(0, 1), &mut disk).unwrap();
        let mut other = record(0, 1);
        other.key.public_key = vec![8; 32];
        records.remember(other.clone(), &mut disk).unwrap();
        assert_eq!(records.all(), [other]);
        records.forget(PairingId([9; 8]), &mut disk).unwrap();
        assert_eq!(records.all().len(), 1);
        records.forget(PairingId([1; 8]), &mut disk).unwrap();
        assert_eq!(Records::load(&mut disk).unwrap().0.all(), []);
    }

    #[test]
    fn whose_is_named_again_is_the_latest() {
        let mut disk = MemoryDisk::new();
        let mut records = Records::default();
        for one in [record(0, 1), record(5, 1), record(0, 2), record(0, 1)] {
            records.remember(one, &mut disk).unwrap();
        }
        assert_eq!(records.all(), [record(5, 1), record(0, 2), record(0, 1)]);
        let (again, _) = Records::load(&mut disk).unwrap();
        assert_eq!(again.all(), records.all());
    }

    #[test]
    fn another_wallet_there_has_records_of_its_own() {
        let mut disk = MemoryDisk::new();
        let mut records = Records::default();
        records.remember(record(0, 1), &mut disk).unwrap();
        let mut other = record(0, 1);
        other.wallet = Some(WalletFingerprint([9; 4]));
        records.remember(other, &mut disk).unwrap();
        assert_eq!(records.all().len(), 2);
    }

    #[test]
    fn the_oldest_goes() {
        let mut records = Records::default();
        let all: Vec<Record> = (0..4_096).map(|host| record(host, 1)).collect();
        records.records = all;
        let mut disk = MemoryDisk::new();
        records.remember(record(9_999, 1), &mut disk).unwrap();
        assert_eq!(records.all().len(), RECORDS_MAX);
        assert_eq!(records.all()[0], record(1, 1));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_and_nothing_known() {
        let mut disk = MemoryDisk::new();
        disk.replace(FILE_NAME, b"{\"version\":1").unwrap();
        let (records, trouble) = Records::load(&mut disk).unwrap();
        assert_eq!(records.all(), []);
        assert!(trouble.unwrap().contains("wallets are asked anew"));
    }
}
