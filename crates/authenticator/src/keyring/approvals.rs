//! Keys that approve for key servers, one a server.
//!
//! **Invariant**: they are never among the entries that a workstation is told, and nothing but a
//! server's text is signed with them.

use std::io;

use keystead_core::Name;
use keystead_daemon::Disk;
use keystead_vault::{ApprovalKey, SealedApprovalKey, SigningError};
use rand_core::CryptoRngCore;

use super::{Keyring, UnlockError, file};

/// One of them, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalEntry {
    /// Whose texts it approves.
    pub server_id: [u8; 16],
    /// What the server is called here, since the key was made.
    pub server: Name,
    /// The Ed25519 public key.
    pub public: [u8; 32],
}

impl Keyring {
    /// What approves for servers, the oldest first.
    pub fn approvals(&self) -> impl Iterator<Item = ApprovalEntry> {
        self.approvals.iter().map(entry_of)
    }

    /// What approves for this server.
    #[must_use]
    pub fn approval(&self, server_id: &[u8; 16]) -> Option<ApprovalEntry> {
        self.sealed_approval(server_id).map(entry_of)
    }

    /// The name that a server would have here: its own, or the first numbered one that is free.
    #[must_use]
    pub fn name_of_server(&self, server: &Name) -> Name {
        server.numbered(|name| self.approvals.iter().all(|it| it.server() != name))
    }

    /// Makes the key that approves for a server, seals it and writes the file; where there is
    /// one already, that one.
    ///
    /// # Errors
    /// [`MakeApprovalError`]; there is no new key then.
    pub fn make_approval(
        &mut self,
        server_id: [u8; 16],
        server: &Name,
        rng: &mut dyn CryptoRngCore,
        disk: &mut dyn Disk,
    ) -> Result<ApprovalEntry, MakeApprovalError> {
        if let Some(known) = self.approval(&server_id) {
            return Ok(known);
        }
        if self.approvals.len() >= APPROVALS_MAX {
            return Err(MakeApprovalError::Full);
        }
        let server = self.name_of_server(server);
        let open = self.open.as_ref().ok_or(MakeApprovalError::Locked)?;
        let key = ApprovalKey::generate(rng)?;
        let sealed = SealedApprovalKey::seal(&open.store, server_id, server, &key, rng)?;
        let entry = entry_of(&sealed);
        let mut all = self.approvals.clone();
        all.push(sealed);
        self.write_approvals(&all, disk)
            .map_err(MakeApprovalError::Disk)?;
        self.approvals = all;
        if let Some(open) = &mut self.open {
            open.approvals.push(key);
        }
        Ok(entry)
    }

    /// Forgets the key of a server, by its name here; the file first.
    ///
    /// # Errors
    /// The system's; the key is still there then.
    pub fn remove_approval(
        &mut self,
        server: &Name,
        disk: &mut dyn Disk,
    ) -> io::Result<Option<ApprovalEntry>> {
        let Some(gone) = self.approvals.iter().find(|it| it.server() == server) else {
            return Ok(None);
        };
        let gone = entry_of(gone);
        let mut kept = self.approvals.clone();
        kept.retain(|it| *it.server_id() != gone.server_id);
        self.write_approvals(&kept, disk)?;
        self.approvals = kept;
        if let Some(open) = &mut self.open {
            open.approvals.retain(|it| *it.public() != gone.public);
        }
        Ok(Some(gone))
    }

    /// Signs a server's text; none where the key is not there, or locked.
    ///
    /// # Errors
    /// [`SigningError`] when the library gives no signature.
    pub fn approve(
        &self,
        server_id: &[u8; 16],
        text: &[u8],
    ) -> Result<Option<[u8; 64]>, SigningError> {
        let public = self.approval(server_id).map(|it| it.public);
        let open = self.open.as_ref();
        let key = open.and_then(|open| {
            let mut keys = open.approvals.iter();
            keys.find(|it| Some(*it.public()) == public)
        });
        key.map(|it| it.sign(text)).transpose()
    }

    /// The key of a workstation's local copies; none while it is locked.
    #[must_use]
    pub fn local_key(
        &self,
        client: &[u8; 32],
        server: &[u8; 32],
        salt: &[u8; 32],
    ) -> Option<keystead_core::Secret<32>> {
        let open = self.open.as_ref()?;
        Some(open.store.local_key(client, server, salt))
    }

    /// Opens them all.
    pub(super) fn open_approvals(
        &self,
        store: &keystead_vault::StoreKey,
    ) -> Result<Vec<ApprovalKey>, UnlockError> {
        let open = |sealed: &SealedApprovalKey| {
            sealed.open(store).map_err(|source| UnlockError::Key {
                name: sealed.server().clone(),
                source,
            })
        };
        self.approvals.iter().map(open).collect()
    }

    fn sealed_approval(&self, server_id: &[u8; 16]) -> Option<&SealedApprovalKey> {
        self.approvals.iter().find(|it| it.server_id() == server_id)
    }

    fn write_approvals(
        &self,
        approvals: &[SealedApprovalKey],
        disk: &mut dyn Disk,
    ) -> io::Result<()> {
        let sealed = file::Sealed {
            approvals,
            ..self.to_write()
        };
        file::write(&self.name, &self.header, &sealed, disk)
    }
}

/// Why there is no key for a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeApprovalError {
    /// [`APPROVALS_MAX`] are there.
    #[error("there are keys for {APPROVALS_MAX} key servers already")]
    Full,
    /// The store is locked.
    #[error("the authenticator is locked")]
    Locked,
    /// The library gave none.
    #[error("no key could be made")]
    Broken(#[from] SigningError),
    /// It could not be written.
    #[error("the key could not be written")]
    Disk(#[source] io::Error),
}

fn entry_of(sealed: &SealedApprovalKey) -> ApprovalEntry {
    ApprovalEntry {
        server_id: *sealed.server_id(),
        server: sealed.server().clone(),
        public: *sealed.public(),
    }
}

/// 64 key servers: more than anyone can tell apart.
pub const APPROVALS_MAX: usize = 64;
