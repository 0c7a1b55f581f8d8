//! One stored pairing: who the workstation is, and this end's channel keys.
//!
//! **Invariant**: written whole or not at all, with a checksum, so that a file
//! cut in half is damage and never another pairing.
//!
//! Layout, integers big-endian: `"keystead-peer-1\n" ‖ C(32) ‖ Ss(32) ‖
//! pair_key(32) ‖ receipt seed(32) ‖ made u64 ‖ revoked u64 (0: not) ‖ used u8 ‖
//! name (u8 length) ‖ relay (u16 length, 0: none) ‖ checksum(32)`.

use std::io;
use std::sync::Arc;

use keystead_channel::curve::{KeyPair, PublicKey};
use keystead_core::{Name, PairingId, Secret, SecretBytes, labelled_hash};
use keystead_daemon::Disk;
use keystead_transport::RelayUrl;
use keystead_vault::ReceiptKey;

use crate::LoadError;

/// A pairing as it is kept.
pub(crate) struct StoredPairing {
    /// The workstation's name.
    pub(crate) workstation: Name,
    /// C.
    pub(crate) client: PublicKey,
    /// S, Ss.
    pub(crate) keys: Arc<KeyPair>,
    /// From which mailboxes are derived; none before the workstation confirms.
    pub(crate) pair_key: Option<Secret<32>>,
    /// Signs this pairing's receipts.
    pub(crate) receipt_key: ReceiptKey,
    /// The relay of the offer.
    pub(crate) relay: Option<RelayUrl>,
    /// When it was made, seconds since 1970.
    pub(crate) made_unix_s: u64,
    /// When it was revoked.
    pub(crate) revoked_unix_s: Option<u64>,
    /// Whether a request has used it since.
    pub(crate) used: bool,
}

impl StoredPairing {
    /// Its id on this machine.
    #[must_use]
    pub(crate) fn id(&self) -> PairingId {
        PairingId::of(self.client.as_bytes(), self.keys.public().as_bytes())
    }

    /// Writes it.
    ///
    /// # Errors
    /// The system's, and `InvalidInput` before it is confirmed; the old file, if any, stays then.
    pub(crate) fn save(&self, disk: &mut dyn Disk) -> io::Result<()> {
        let mut bytes = self.encode().ok_or(io::ErrorKind::InvalidInput)?;
        let written = disk.replace(&file_name(&self.id()), &bytes);
        drop(SecretBytes::take(&mut bytes));
        written
    }

    /// Removes its file, and the keys with it. One that stays is written over as revoked, so
    /// that it is no pairing after a restart.
    ///
    /// # Errors
    /// The system's, of the removal.
    pub(crate) fn remove(&mut self, now_unix_s: u64, disk: &mut dyn Disk) -> io::Result<()> {
        let removed = disk.remove(&file_name(&self.id()));
        if removed.is_err() {
            // 0 in the file means "not revoked".
            self.revoked_unix_s.get_or_insert(now_unix_s.max(1));
            // The first error is the one to report.
            let _ = self.save(disk);
        }
        removed
    }

    /// Reads all pairings.
    ///
    /// # Errors
    /// [`LoadError`] names the file.
    pub(crate) fn load_all(disk: &dyn Disk) -> Result<Vec<Self>, LoadError> {
        let listed = disk.list(FOLDER);
        let names = listed.map_err(|source| LoadError::unreadable(FOLDER, source))?;
        names
            .iter()
            .map(|name| Self::load(&format!("{FOLDER}/{name}"), disk))
            .collect()
    }

    fn load(file: &str, disk: &dyn Disk) -> Result<Self, LoadError> {
        let read = disk
            .read(file)
            .map_err(|source| LoadError::unreadable(file, source))?;
        let mut bytes = read.ok_or_else(|| LoadError::Missing {
            file: file.to_owned(),
        })?;
        let decoded = Self::decode(&bytes);
        drop(SecretBytes::take(&mut bytes));
        let pairing = decoded.ok_or_else(|| LoadError::damaged(file, "not as it was written"))?;
        if file_name(&pairing.id()) != file {
            return Err(LoadError::damaged(file, "it belongs to another name"));
        }
        Ok(pairing)
    }

    fn encode(&self) -> Option<Vec<u8>> {
        let name = self.workstation.as_str().as_bytes();
        let relay = self.relay.as_ref().map_or("", RelayUrl::as_str).as_bytes();
        // Made at its full size: a buffer that grew would leave secrets behind.
        let mut bytes = Vec::with_capacity(FILE_BYTES_MAX);
        bytes.extend_from_slice(LABEL);
        bytes.extend_from_slice(self.client.as_bytes());
        bytes.extend_from_slice(self.keys.secret().expose());
        bytes.extend_from_slice(self.pair_key.as_ref()?.expose());
        bytes.extend_from_slice(self.receipt_key.seed().expose());
        bytes.extend_from_slice(&self.made_unix_s.to_be_bytes());
        bytes.extend_from_slice(&self.revoked_unix_s.unwrap_or(0).to_be_bytes());
        bytes.push(u8::from(self.used));
        bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&u16::try_from(relay.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(relay);
        let checksum = labelled_hash(CHECKSUM_LABEL, &bytes);
        bytes.extend_from_slice(&checksum);
        Some(bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (whole, checksum) = bytes.split_last_chunk::<32>()?;
        if labelled_hash(CHECKSUM_LABEL, whole) != *checksum {
            return None;
        }
        let rest = whole.strip_prefix(LABEL)?;
        let (client, rest) = rest.split_first_chunk::<32>()?;
        let (secret, rest) = rest.split_first_chunk::<32>()?;
        let (pair_key, rest) = rest.split_first_chunk::<32>()?;
        let (seed, rest) = rest.split_first_chunk::<32>()?;
        let (made, rest) = rest.split_first_chunk::<8>()?;
        let (revoked, rest) = rest.split_first_chunk::<8>()?;
        let (used, rest) = rest.split_first()?;
        let (name_len, rest) = rest.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
        let (relay_len, relay) = rest.split_first_chunk::<2>()?;
        if relay.len() != usize::from(u16::from_be_bytes(*relay_len)) {
            return None;
        }
        let relay = match std::str::from_utf8(relay).ok()? {
            "" => None,
            text => Some(text.parse().ok()?),
        };
        let secret_of = |bytes: &[u8; 32]| Secret::<32>::fill(|to| to.copy_from_slice(bytes));
        Some(Self {
            workstation: Name::from_bytes(name).ok()?,
            client: PublicKey::new(*client),
            keys: Arc::new(KeyPair::from_secret(secret_of(secret))),
            pair_key: Some(secret_of(pair_key)),
            receipt_key: ReceiptKey::from_seed(secret_of(seed)).ok()?,
            relay,
            made_unix_s: u64::from_be_bytes(*made),
            revoked_unix_s: Some(u64::from_be_bytes(*revoked)).filter(|it| *it > 0),
            used: *used == 1,
        })
    }
}

fn file_name(id: &PairingId) -> String {
    format!("{FOLDER}/{id}")
}

/// The pairings' folder in the state folder.
const FOLDER: &str = "pairings";

const LABEL: &[u8; 16] = b"keystead-peer-1\n";

const CHECKSUM_LABEL: &str = "keystead-peer-checksum";

/// 1 KiB: the fixed parts (16 + 128 + 20 + 32), a name of 64 and a relay of 256 bytes fit.
const FILE_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_daemon::MemoryDisk;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn pairing(relay: Option<&str>) -> StoredPairing {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        StoredPairing {
            workstation: Name::new("laptop").unwrap(),
            client: KeyPair::generate(&mut rng).public(),
            keys: Arc::new(KeyPair::generate(&mut rng)),
            pair_key: Some(Secret::fill(|bytes| bytes.fill(7))),
            receipt_key: ReceiptKey::generate(&mut rng).unwrap(),
            relay: relay.map(|it| it.parse().unwrap()),
            made_unix_s: 1_700_000_000,
            revoked_unix_s: None,
            used: false,
        }
    }

    #[test]
    fn a_pairing_reads_back() {
        for relay in [None, Some("https://relay.test")] {
            let mut disk = MemoryDisk::default();
            let mut stored = pairing(relay);
            stored.save(&mut disk).unwrap();
            stored.revoked_unix_s = Some(5);
            stored.used = true;
            stored.save(&mut disk).unwrap();
            let read = StoredPairing::load_all(&disk).unwrap().pop().unwrap();
            assert_eq!(read.encode(), stored.encode());
            assert_eq!(read.id(), stored.id());
            assert_eq!(read.relay, stored.relay);
            assert_eq!(read.revoked_unix_s, Some(5));
            stored.revoked_unix_s = None;
            stored.save(&mut disk).unwrap();
            disk.faults.fail_remove = true;
            assert!(stored.remove(7, &mut disk).is_err());
            let read = StoredPairing::load_all(&disk).unwrap().pop().unwrap();
            assert_eq!(read.revoked_unix_s, Some(7));
            disk.faults.fail_remove = false;
            stored.remove(8, &mut disk).unwrap();
            assert!(StoredPairing::load_all(&disk).unwrap().is_empty());
        }
    }

    #[test]
    fn every_prefix_and_every_changed_bit_is_damage() {
        let bytes = pairing(Some("https://relay.test")).encode().unwrap();
        assert!(bytes.len() < FILE_BYTES_MAX);
        for len in 0..bytes.len() {
            assert!(StoredPairing::decode(&bytes[..len]).is_none(), "{len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(StoredPairing::decode(&changed).is_none(), "{bit}");
        }
    }

    #[test]
    fn a_damaged_file_is_named() {
        let mut disk = MemoryDisk::default();
        let stored = pairing(None);
        stored.save(&mut disk).unwrap();
        let file = file_name(&stored.id());
        disk.cut(&file, 40);
        let error = StoredPairing::load_all(&disk).err().unwrap();
        assert_eq!(
            error.to_string(),
            format!("the state file {file} is damaged: not as it was written")
        );
    }
}
