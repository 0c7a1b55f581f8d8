//! The record of the identities that a wallet was used for, so that one restored from its words
//! can list them.
//!
//! **Invariant**: a record lies on the disk sealed under a key of the seed alone, so the words
//! open it anywhere; one that does not open is never written over.
//!
//! What is sealed is JSON: `{"version":1,"identities":[{"uri":…,"curve":…,"index":…,
//! "derivation":13|17,"first_unix_s":…}]}`, the oldest first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use keystead_core::{Derivation, Identity, WalletFingerprint};
use keystead_daemon::{Disk, Io};
use keystead_vault::wallet::{RecordError, Wallet, WalletError};
use serde::{Deserialize, Serialize};

/// What a wallet was used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    used: Vec<Used>,
}

/// One identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Which.
    pub identity: Identity,
    /// When it was asked for first, seconds since 1970.
    pub first_unix_s: u64,
}

impl Record {
    /// Reads the record of a wallet; an empty one where there is no file.
    ///
    /// # Errors
    /// [`IdentitiesError`].
    pub fn load(wallet: &Wallet, disk: &dyn Disk) -> Result<Self, IdentitiesError> {
        match disk.read(&file_name(wallet.fingerprint()))? {
            Some(sealed) => Self::open(wallet, &sealed),
            None => Ok(Self::default()),
        }
    }

    /// Opens a record that was kept elsewhere.
    ///
    /// # Errors
    /// [`IdentitiesError`].
    pub fn open(wallet: &Wallet, sealed: &[u8]) -> Result<Self, IdentitiesError> {
        Self::parse(&wallet.record_key()?.open(sealed)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`IdentitiesError`]; the file is as it was then.
    pub fn save(&self, wallet: &Wallet, io: &mut Io<'_>) -> Result<(), IdentitiesError> {
        let text = self.text()?;
        let sealed = wallet.record_key()?.seal(&text, io.rng);
        Ok(io.disk.replace(&file_name(wallet.fingerprint()), &sealed)?)
    }

    /// The identities, the oldest first.
    #[must_use]
    pub fn used(&self) -> &[Used] {
        &self.used
    }

    /// Takes an identity in; says whether it is new, and there was room.
    pub fn note(&mut self, used: Used, why: Noted) -> bool {
        let count_max = match why {
            Noted::Asked => ASKED_MAX,
            Noted::Used => IDENTITIES_MAX,
        };
        let is_known = self.used.iter().any(|it| it.identity == used.identity);
        if is_known || self.used.len() >= count_max {
            return false;
        }
        self.used.push(used);
        true
    }

    /// Takes in what another record has; says how many were new.
    pub fn merge(&mut self, other: &Self) -> usize {
        let all = other.used.iter().cloned();
        all.filter(|it| self.note(it.clone(), Noted::Used)).count()
    }

    fn parse(text: &[u8]) -> Result<Self, IdentitiesError> {
        let file: File = serde_json::from_slice(text).map_err(|_| RecordError::Damaged)?;
        if file.version > VERSION {
            return Err(RecordError::NoRecord.into());
        }
        let used: Option<Vec<Used>> = file.identities.into_iter().map(Line::read).collect();
        let used = used.ok_or(RecordError::Damaged)?;
        Ok(Self { used })
    }

    fn text(&self) -> Result<Vec<u8>, IdentitiesError> {
        let file = File {
            version: VERSION,
            identities: self.used.iter().map(Line::of).collect(),
        };
        serde_json::to_vec(&file).map_err(|error| std::io::Error::other(error).into())
    }
}

/// Why an identity comes into a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A workstation asked for its public key, and nobody was asked.
    Asked,
    /// It was used by a person's yes, or looked for here.
    Used,
}

/// Why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentitiesError {
    /// The box.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The wallet.
    #[error("{0}")]
    Wallet(#[from] WalletError),
    /// The system's.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
}

impl IdentitiesError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Record(RecordError::OtherWallet { .. }) => {
                "add the wallet of those words first: keystead-authenticator wallet add"
            }
            Self::Record(_) => "bring the record back from a copy, or move it away",
            Self::Wallet(_) => "the signing library is broken",
            Self::Disk(_) => "check the state folder's free space and permissions",
        }
    }
}

/// Records that were read, as long as the keys are open.
#[derive(Debug, Default)]
pub struct Records(BTreeMap<WalletFingerprint, Record>);

impl Records {
    /// The record of a wallet, read at first.
    ///
    /// # Errors
    /// [`IdentitiesError`].
    pub fn of(&mut self, wallet: &Wallet, disk: &dyn Disk) -> Result<&mut Record, IdentitiesError> {
        match self.0.entry(wallet.fingerprint()) {
            Entry::Occupied(read) => Ok(read.into_mut()),
            Entry::Vacant(room) => Ok(room.insert(Record::load(wallet, disk)?)),
        }
    }

    /// Takes an identity into the record of its wallet, durably; says whether it was new.
    ///
    /// # Errors
    /// [`IdentitiesError`].
    pub fn note(
        &mut self,
        wallet: &Wallet,
        used: Used,
        why: Noted,
        io: &mut Io<'_>,
    ) -> Result<bool, IdentitiesError> {
        let record = self.of(wallet, io.disk)?;
        let is_new = record.note(used, why);
        if is_new && let Err(error) = record.save(wallet, io) {
            // Read anew the next time: what is not on the disk is not known.
            self.0.remove(&wallet.fingerprint());
            return Err(error);
        }
        Ok(is_new)
    }

    /// Forgets what was read.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    identities: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    uri: String,
    curve: String,
    index: u32,
    derivation: u8,
    first_unix_s: u64,
}

impl Line {
    fn of(used: &Used) -> Self {
        Self {
            uri: used.identity.uri().to_owned(),
            curve: used.identity.curve().to_string(),
            index: used.identity.index(),
            derivation: used.identity.derivation().number(),
            first_unix_s: used.first_unix_s,
        }
    }

    fn read(self) -> Option<Used> {
        let curve = self.curve.parse().ok()?;
        let derivation = Derivation::from_number(u64::from(self.derivation))?;
        Some(Used {
            identity: Identity::new(self.uri, curve, self.index, derivation).ok()?,
            first_unix_s: self.first_unix_s,
        })
    }
}

/// The name of a wallet's record in the state folder.
#[must_use]
pub fn file_name(fingerprint: WalletFingerprint) -> String {
    format!("wallet-{fingerprint}.record")
}

/// 1,000 identities: each is a key that somebody uses; a workstation that asks for more names
/// them in vain, and the keys are there all the same.
pub const IDENTITIES_MAX: usize = 1_000;

/// 500 identities that were only asked for: a workstation that asks for names without end leaves
/// room for those that are used.
pub const ASKED_MAX: usize = 500;

/// 2 MiB: 1,000 identities of the longest text.
pub const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The version of the record that is written.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use keystead_core::{Curve, SecretBytes};
    use keystead_daemon::MemoryDisk;
    use keystead_vault::wallet::Words;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn wallet(passphrase: &str) -> Wallet {
        let words = Words::read(&b"all ".repeat(12)).unwrap();
        let passphrase = SecretBytes::take(&mut passphrase.as_bytes().to_vec());
        Wallet::new(words.seed(&passphrase).unwrap()).unwrap()
    }

    fn used(uri: &str) -> Used {
        Used {
            identity: Identity::new(uri, Curve::Ed25519, 0, Derivation::Sign).unwrap(),
            first_unix_s: 7,
        }
    }

    #[test]
    fn what_was_used_is_listed_by_whoever_has_the_words() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut disk = MemoryDisk::default();
        let mut io = Io {
            rng: &mut rng,
            disk: &mut disk,
        };
        let mut records = Records::default();
        let own = wallet("");
        for (uri, is_new) in [("ssh://a", true), ("ssh://b", true), ("ssh://a", false)] {
            let noted = records.note(&own, used(uri), Noted::Asked, &mut io);
            assert_eq!(noted.unwrap(), is_new);
        }
        let again = Record::load(&own, io.disk).unwrap();
        let uris: Vec<&str> = again.used().iter().map(|it| it.identity.uri()).collect();
        assert_eq!(uris, ["ssh://a", "ssh://b"]);
        let sealed = io
            .disk
            .read(&file_name(own.fingerprint()))
            .unwrap()
            .unwrap();
        assert!(!sealed.windows(7).any(|it| it == b"ssh://a"));
        let mut other = Record::default();
        other.note(used("ssh://b"), Noted::Used);
        assert_eq!(other.merge(&Record::open(&own, &sealed).unwrap()), 1);
        let foreign = Record::open(&wallet("x"), &sealed);
        assert!(matches!(
            foreign,
            Err(IdentitiesError::Record(RecordError::OtherWallet { .. }))
        ));
    }

    #[test]
    fn one_that_does_not_open_is_not_written_over() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut disk = MemoryDisk::default();
        let own = wallet("");
        let name = file_name(own.fingerprint());
        disk.replace(&name, b"keystead-record-1 but damaged")
            .unwrap();
        let mut io = Io {
            rng: &mut rng,
            disk: &mut disk,
        };
        let noted = Records::default().note(&own, used("ssh://a"), Noted::Used, &mut io);
        assert!(noted.is_err());
        let kept = io.disk.read(&name).unwrap().unwrap();
        assert_eq!(kept, b"keystead-record-1 but damaged");
    }

    /// A full disk is none for ever.
    #[test]
    fn what_could_not_be_written_is_written_by_the_next_use() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut disk = MemoryDisk::default();
        disk.faults.fail_sync = true;
        let own = wallet("");
        let mut records = Records::default();
        let mut note = |disk: &mut MemoryDisk| {
            let rng = &mut rng;
            records.note(&own, used("ssh://a"), Noted::Used, &mut Io { rng, disk })
        };
        assert!(note(&mut disk).is_err());
        disk.faults.fail_sync = false;
        assert!(note(&mut disk).unwrap());
        let kept = Record::load(&own, &disk).unwrap();
        assert_eq!(kept.used(), [used("ssh://a")]);
    }

    #[test]
    fn a_text_that_is_no_record_is_damage() {
        let check = |text: &str| {
            assert!(Record::parse(text.as_bytes()).is_err(), "{text}");
        };
        check("");
        check("{}");
        check(r#"{"version":2,"identities":[]}"#);
        check(r#"{"version":1,"identities":[{"uri":"x"}]}"#);
        check(
            r#"{"version":1,"identities":[{"uri":"ssh://a","curve":"secp256k1","index":0,"derivation":13,"first_unix_s":1}]}"#,
        );
        let empty = Record::parse(br#"{"version":1,"identities":[]}"#).unwrap();
        assert_eq!(empty, Record::default());
    }

    #[test]
    fn a_record_has_an_end() {
        let mut record = Record::default();
        let mut note = |at: usize, why| record.note(used(&format!("ssh://{at}")), why);
        for at in 0..ASKED_MAX {
            assert!(note(at, Noted::Asked));
        }
        assert!(!note(ASKED_MAX, Noted::Asked), "what was used has room");
        for at in ASKED_MAX..IDENTITIES_MAX {
            assert!(note(at, Noted::Used));
        }
        assert!(!note(IDENTITIES_MAX, Noted::Used));
        let longest = Identity::new(
            format!("ssh://{}", "x".repeat(Identity::URI_BYTES_MAX - 6)),
            Curve::Nist256p1,
            u32::MAX,
            Derivation::Sign,
        );
        let line = serde_json::to_vec(&Line::of(&Used {
            identity: longest.unwrap(),
            first_unix_s: u64::MAX,
        }));
        assert!(line.unwrap().len() * IDENTITIES_MAX < RECORD_BYTES_MAX);
    }
}
