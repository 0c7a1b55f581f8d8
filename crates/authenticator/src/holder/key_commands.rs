//! Keys that the holder brings and takes away at this machine.
//!
//! **Invariant**: what is done to a key is in the log before it is done.

use keystead_core::{Name, Outcome, SecretBytes};

use super::replies::{key_line, log_failed};
use super::{Holder, Step};
use crate::control::Reply;
use crate::entry::Entry;
use crate::keyring::Candidate;

/// What came behind the line of a `key-import`: `file ‖ its passphrase ‖ the store's`.
pub(super) struct Attached {
    pub(super) secret: Option<SecretBytes>,
    pub(super) file_bytes: usize,
    pub(super) file_passphrase_bytes: Option<usize>,
}

/// [`Attached`], taken apart.
struct Parts {
    file: SecretBytes,
    file_passphrase: Option<SecretBytes>,
    passphrase: Option<SecretBytes>,
}

impl Attached {
    /// None where the lengths are not those of what came.
    fn parts(&self) -> Option<Parts> {
        let all = self.secret.as_ref()?.expose();
        let (file, rest) = all.split_at_checked(self.file_bytes)?;
        let (file_passphrase, rest) =
            rest.split_at_checked(self.file_passphrase_bytes.unwrap_or_default())?;
        let own = |bytes: &[u8]| SecretBytes::fill(bytes.len(), |it| it.copy_from_slice(bytes));
        Some(Parts {
            file: own(file),
            file_passphrase: self.file_passphrase_bytes.map(|_| own(file_passphrase)),
            passphrase: (!rest.is_empty()).then(|| own(rest)),
        })
    }
}

impl Holder {
    /// Takes a key file in, for the holder: without limits.
    pub(super) fn key_import(
        &mut self,
        name: Option<&str>,
        attached: &Attached,
        step: &mut Step<'_, '_>,
    ) -> Reply {
        let name = match name.map(Name::new).transpose() {
            Ok(name) => name,
            Err(error) => return Reply::failed(error.to_string(), "choose another name"),
        };
        let Some(parts) = attached.parts() else {
            return Reply::failed("the key file did not come whole", "");
        };
        let read = Candidate::of_file(&parts.file, parts.file_passphrase.as_ref(), name);
        let candidate = match read {
            Ok(candidate) => candidate,
            Err(error) => return Reply::failed(error.to_string(), error.hint()),
        };
        let was_locked = self.keys.is_locked();
        if let (true, Some(passphrase)) = (was_locked, &parts.passphrase)
            && let Err(error) = self.keys.unlock(passphrase)
        {
            return Reply::failed(error.to_string(), error.hint());
        }
        let reply = self.import_here(candidate, step);
        if was_locked {
            self.keys.lock();
        }
        reply
    }

    fn import_here(&mut self, candidate: Candidate, step: &mut Step<'_, '_>) -> Reply {
        if let Err(error) = self.keys.may_import(&candidate, None) {
            return Reply::failed(error.to_string(), error.hint());
        }
        let mut entry = Entry::own(step.now.unix_s, "key-import", Outcome::Approve);
        entry.key = Some(candidate.name().to_string());
        entry.fingerprint = Some(candidate.fingerprint());
        if let Err(error) = self.log_own(&entry, step) {
            return log_failed(&error);
        }
        let io = &mut *step.io;
        match self
            .keys
            .import(candidate, None, step.now.unix_s, io.rng, io.disk)
        {
            Ok(entry) => key_line(&entry)
                .map_or_else(|| Reply::failed("the key cannot be shown", ""), Reply::Key),
            Err(error) => Reply::failed(error.to_string(), error.hint()),
        }
    }

    /// Destroys the key that approves for a key server.
    pub(super) fn approval_remove(&mut self, server: &str, step: &mut Step<'_, '_>) -> Reply {
        let mut known = self.keys.approvals();
        let Some(own) = known.find(|it| it.server.as_str() == server) else {
            return Reply::failed(
                "no key here approves for a server of that name",
                "keystead-authenticator key list shows them",
            );
        };
        drop(known);
        let mut entry = Entry::own(step.now.unix_s, "approval-remove", Outcome::Approve);
        entry.server = Some(own.server.to_string());
        if let Err(error) = self.log_own(&entry, step) {
            return log_failed(&error);
        }
        match self.keys.remove_approval(&own.server, step.io.disk) {
            Ok(_) => Reply::done(format!("nothing here approves for {} any more", own.server)),
            Err(error) => Reply::failed(
                format!("the key could not be taken out of the file: {error}"),
                super::replies::DISK_HINT,
            ),
        }
    }

    /// Destroys a key: it was made here, or is forgotten here.
    pub(super) fn key_remove(&mut self, name: &str, step: &mut Step<'_, '_>) -> Reply {
        let named = self
            .keys
            .entries()
            .iter()
            .find(|it| it.name.as_str() == name);
        let Some(key) = named.cloned() else {
            return Reply::failed(
                "there is no key of that name",
                "keystead-authenticator key list shows them",
            );
        };
        let mut entry = Entry::own(step.now.unix_s, "key-remove", Outcome::Approve);
        entry.key = Some(key.name.to_string());
        entry.fingerprint = Some(keystead_formats::ssh::key::fingerprint(&key.public_key));
        if let Err(error) = self.log_own(&entry, step) {
            return log_failed(&error);
        }
        match self.remove_keys(&[key.id], step) {
            Ok(_) => Reply::done(format!("the key {} is gone from here", key.name)),
            Err(error) => Reply::failed(
                format!("the key could not be taken out of the file: {error}"),
                super::replies::DISK_HINT,
            ),
        }
    }
}
