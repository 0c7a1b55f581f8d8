//! Backups, and the rotation of the master key, while the server runs.
//!
//! **Invariant**: no backup holds a master key; during a rotation the file holds both, so
//! whichever of two keys a row's data key is under, a restart opens it.

use std::path::PathBuf;

use keystead_core::SecretBytes;
use keystead_daemon::{Disk, FolderDisk, SystemRng};
use rand_core::RngCore;
use tokio::sync::mpsc;

use super::desk::{Desk, Out, Refused, tell};
use super::message::Tell;
use crate::sealing::{MasterKey, MasterSource, SealingError};

impl Desk {
    pub(super) async fn backup(&self, out: &mut Out) -> Result<(), Refused> {
        self.note("backup", None).await?;
        let file = PathBuf::from(format!("backup-{:016x}", SystemRng.next_u64()));
        let place = self.folder.join(&file);
        let entries = self.server.ledger.size();
        if let Err(error) = self.server.store.backup(&place).await {
            let _ = std::fs::remove_file(&place);
            return Err(error.into());
        }
        tell(out, &Tell::File { file, entries }).await
    }

    /// One at a time; one that was cut short is gone on with by the next.
    pub(super) async fn rotate(&self, out: &mut Out) -> Result<(), Refused> {
        let Ok(_only) = self.rotation.try_lock() else {
            return Err(Refused::new("a rotation is under way", "wait for its end"));
        };
        let MasterSource::File(path) = &self.master else {
            return Err(Refused::new(
                "the master key comes from the service manager",
                "put the new one before the old one into the credential; see keystead-server(1)",
            ));
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            return Err(Refused::new("the master key's file has no name", ""));
        };
        self.note("rotate-master-key", None).await?;
        let mut disk = FolderDisk::open(&self.folder)?;
        let keys = self.master.read().map_err(|error| {
            Refused::new(
                error.to_string(),
                "put the file back from where you keep it",
            )
        })?;
        // With two in the file, a rotation was cut short: it goes on.
        if let [old] = keys.as_slice() {
            let new = MasterKey::draw(&mut SystemRng);
            disk.replace(name, both(&new, old).expose())?;
        }
        let (told, mut progress) = mpsc::unbounded_channel();
        let rotating = self
            .server
            .store
            .rotate(&self.server.sealing, move |done: u64| {
                let _ = told.send(done);
            });
        let telling = async {
            while let Some(done) = progress.recv().await {
                // Whoever went away does not stop it.
                let _ = tell(out, &Tell::Progress { done }).await;
            }
        };
        let (rotated, ()) = tokio::join!(rotating, telling);
        if let Err(SealingError::Store(error)) = &rotated {
            self.server.met(error);
        }
        rotated?;
        if let Some(new) = self
            .master
            .read()
            .ok()
            .and_then(|keys| keys.into_iter().next())
        {
            disk.replace(name, new.key().expose())?;
        }
        Ok(())
    }
}

/// The file's bytes during a rotation: the new key, then the old one.
fn both(new: &MasterKey, old: &MasterKey) -> SecretBytes {
    SecretBytes::fill(64, |place| {
        if let Some((first, second)) = place.split_at_mut_checked(32) {
            first.copy_from_slice(new.key().expose());
            second.copy_from_slice(old.key().expose());
        }
    })
}
