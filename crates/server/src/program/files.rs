//! What lies in the server's folder, by name.
//!
//! **Invariant**: the folder is 0700, its files 0600; each is replaced whole.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::sealing::MasterSource;

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

/// Whether `folder` is a server's.
pub(crate) fn check(folder: &Path) -> Result<(), Failure> {
    if master_source(folder).path().exists() {
        return Ok(());
    }
    let message = format!(
        "there is no key server in {}: no {MASTER_KEY}",
        folder.display()
    );
    let hint = "make one with `keystead-server init`, or name its folder with --dir";
    Err(Failure::new(message, hint))
}

/// Where the master key is: the service manager's credential, or the folder's file.
pub(crate) fn master_source(folder: &Path) -> MasterSource {
    match credential() {
        Some(path) => MasterSource::Credential(path),
        None => MasterSource::File(folder.join(MASTER_KEY)),
    }
}

/// systemd's `LoadCredential=keystead-master-key:…` (systemd.exec(5)).
fn credential() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let path = Path::new(&folder).join("keystead-master-key");
    path.exists().then_some(path)
}
