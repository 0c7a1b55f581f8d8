//! What lies in the server's folder, by name.
//!
//! **Invariant**: the folder is 0700, its files 0600; each is replaced whole.

use keystead_core::Secret;
use keystead_daemon::{Disk, FolderDisk};

use super::failure::Failure;

/// The private authority's certificate: given to clients.
pub(crate) const AUTHORITY: &str = "ca.pem";

/// Its key.
pub(crate) const AUTHORITY_KEY: &str = "ca.key";

/// What the server shows.
pub(crate) const CERTIFICATE: &str = "server.pem";

/// Its key.
pub(crate) const CERTIFICATE_KEY: &str = "server.key";

/// 32 bytes: opens the data keys.
pub(crate) const MASTER_KEY: &str = "master.key";

/// The master key, from the service manager's credential or the folder's file.
pub(crate) fn master_key(disk: &FolderDisk) -> Result<Secret<32>, Failure> {
    let hint = "put the file back from where you keep it; without it the database is lost";
    let (read, place) = match credential() {
        Some(path) => (std::fs::read(&path).map(Some), path.display().to_string()),
        None => (disk.read(MASTER_KEY), MASTER_KEY.to_owned()),
    };
    let Some(bytes) = read? else {
        let hint = "make a server with `keystead-server init`, or name its folder with --dir";
        return Err(Failure::new(format!("there is no {MASTER_KEY}"), hint));
    };
    let mut bytes = zeroize::Zeroizing::new(bytes);
    let fixed: Result<&mut [u8; 32], _> = bytes.as_mut_slice().try_into();
    match fixed {
        Ok(bytes) => Ok(Secret::take(bytes)),
        Err(_) => Err(Failure::new(
            format!("{place} does not hold 32 bytes"),
            hint,
        )),
    }
}

/// systemd's `LoadCredential=keystead-master-key:…` (systemd.exec(5)).
fn credential() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let path = std::path::Path::new(&folder).join("keystead-master-key");
    path.exists().then_some(path)
}
