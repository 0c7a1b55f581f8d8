//! The master key: in a file that only its owner reads, or a credential that systemd gives.
//!
//! **Invariant**: it is never in the database, in a backup, on a command line or in the
//! environment; a file that others may read is refused.

use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use keystead_core::{Secret, SecretBytes};
use rand_core::CryptoRngCore;

/// What data keys are sealed under.
pub struct MasterKey {
    key: Secret<32>,
    id: [u8; 16],
}

impl MasterKey {
    /// Draws a new one.
    pub fn draw(rng: &mut dyn CryptoRngCore) -> Self {
        Self::of(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    /// Of its bytes.
    #[must_use]
    pub fn of(key: Secret<32>) -> Self {
        let labelled = SecretBytes::fill(LABEL.len() + 32, |place| {
            if let Some((label, rest)) = place.split_at_mut_checked(LABEL.len()) {
                label.copy_from_slice(LABEL);
                rest.copy_from_slice(key.expose());
            }
        });
        let hash = digest(&SHA256, labelled.expose());
        let id = hash.as_ref().first_chunk().copied().unwrap_or_default();
        Self { key, id }
    }

    /// What stands beside a data key: H("keystead/1 master key" ‖ key), cut.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The bytes, for the file.
    #[must_use]
    pub fn key(&self) -> &Secret<32> {
        &self.key
    }
}

/// Where the master key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterSource {
    /// 32 bytes a key: the one in use, and during a rotation the one before.
    File(PathBuf),
    /// The same, in a folder that systemd made (`LoadCredential=`), where modes are its own.
    Credential(PathBuf),
}

impl MasterSource {
    /// Reads the keys anew; the first is the one in use.
    ///
    /// # Errors
    /// [`MasterKeyFault`].
    pub fn read(&self) -> Result<Vec<MasterKey>, MasterKeyFault> {
        let (path, is_ours) = match self {
            Self::File(path) => (path, true),
            Self::Credential(path) => (path, false),
        };
        let fault = |source| MasterKeyFault::Unreadable {
            path: path.clone(),
            source,
        };
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(NO_FOLLOW)
            .open(path)
            .map_err(fault)?;
        let is_open_to_others = file.metadata().map_err(fault)?.mode() & 0o077 != 0;
        if is_ours && is_open_to_others {
            return Err(MasterKeyFault::Open { path: path.clone() });
        }
        let mut bytes = SecretBytes::fill(FILE_BYTES_MAX, |_| ());
        let len = fill(&mut file, bytes.expose_mut()).map_err(fault)?;
        bytes.truncate(len);
        keys(bytes.expose()).ok_or_else(|| MasterKeyFault::Length { path: path.clone() })
    }

    /// Where that is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyFault {
    /// The file cannot be read.
    #[error("the master key in {} cannot be read", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("the master key in {} is open to others", .path.display())]
    Open {
        /// Which file.
        path: PathBuf,
    },
    /// It is not one key or two.
    #[error("the master key in {} is not 32 bytes long", .path.display())]
    Length {
        /// Which file.
        path: PathBuf,
    },
}

fn fill(file: &mut impl Read, place: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = place.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => len = len.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

fn keys(bytes: &[u8]) -> Option<Vec<MasterKey>> {
    let (keys, rest) = bytes.as_chunks::<32>();
    let is_whole = rest.is_empty() && (1..=KEYS_MAX).contains(&keys.len());
    let key = |bytes: &[u8; 32]| MasterKey::of(Secret::fill(|place| *place = *bytes));
    is_whole.then(|| keys.iter().map(key).collect())
}

const LABEL: &[u8] = b"keystead/1 master key";

/// The one in use, and the one before.
const KEYS_MAX: usize = 2;

/// One byte more than two keys, so that a longer file is seen to be one.
const FILE_BYTES_MAX: usize = 65;

/// `O_NOFOLLOW`: a link may lead to where somebody else writes.
const NO_FOLLOW: i32 = 0o400_000;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn check(content: &[u8], mode: u32, expected: Option<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let read = MasterSource::File(path).read();
        assert_eq!(read.ok().map(|keys| keys.len()), expected);
    }

    #[test]
    fn a_file_is_one_key_or_two_and_closed_to_others() {
        check(&[7; 32], 0o600, Some(1));
        check(&[7; 64], 0o400, Some(2));
        for len in [0, 1, 31, 33, 63, 65, 96, 200] {
            check(&vec![7; len], 0o600, None);
        }
        for mode in [0o640, 0o604, 0o660, 0o644] {
            check(&[7; 32], mode, None);
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("there"), folder.path().join("here"));
        std::fs::write(&file, [7; 32]).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(MasterSource::File(link).read().is_err());
        // systemd's credentials may be links.
    }

    #[test]
    fn the_id_tells_keys_apart() {
        let id = |byte| MasterKey::of(Secret::fill(|place| *place = [byte; 32])).id();
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
    }
}
