//! Copies of secrets on this machine, and secrets that are nowhere else.
//!
//! **Invariant:** a copy lies sealed under a key that is opened without any server: by a
//! passphrase, or by a paired authenticator whose holder says yes. Files are replaced whole; a
//! command that is ended anywhere leaves the old file or the new one.

use std::io;

use keystead_channel::session::KeyId;
use keystead_core::SecretBytes;
use keystead_daemon::{Disk, SystemRng};
use keystead_vault::Cost;
use keystead_vault::client::{AuthenticatorSlot, Copied, LocalCopy, LocalError, LocalKey, Value};

use crate::agent;
use crate::failure::Failure;
use crate::names::Known;
use crate::prompt::Given;
use crate::state::State;
use crate::talk::say;

/// The copies, on disk.
pub(crate) struct LocalStore {
    state: State,
}

impl LocalStore {
    /// In this person's folder.
    pub(crate) fn open() -> Result<Self, Failure> {
        State::open().map(|state| Self { state })
    }

    /// In any folder.
    #[cfg(test)]
    pub(crate) fn at(folder: std::path::PathBuf) -> Self {
        Self {
            state: State::at(folder),
        }
    }

    /// Opens the key, by a passphrase if one came by its descriptor, by the authenticator if one
    /// is set up, else by a passphrase that is typed; sets it up where it is not.
    pub(crate) fn unlock(&self, given: &mut Given) -> Result<LocalKey, Failure> {
        let disk = self.state.disk()?;
        let by_passphrase = disk.read(BY_PASSPHRASE).map_err(of_disk)?;
        let by_authenticator = disk.read(BY_AUTHENTICATOR).map_err(of_disk)?;
        // Where nothing opens by a passphrase, none is set up: it would be of another key.
        let is_asked = by_passphrase.is_none() || !given.has_passphrase();
        if let Some(file) = by_authenticator.filter(|_| is_asked) {
            match open_by_authenticator(&file) {
                Ok(key) => return Ok(key),
                Err(failure) if by_passphrase.is_none() => return Err(failure),
                Err(failure) => say(format_args!("note: {}", failure.message)),
            }
        }
        match by_passphrase {
            Some(file) => {
                let passphrase = given.passphrase(STORE)?;
                LocalKey::open_by_passphrase(&passphrase, &file).map_err(of_local)
            }
            None => {
                say("copies on this machine are sealed under a passphrase of their own");
                self.set_up(&given.first_passphrase(STORE)?, Cost::STANDARD)
            }
        }
    }

    /// Draws the key. Of two commands at once the second finds what the first has drawn: a key
    /// that was replaced would open its copies no more.
    fn set_up(&self, passphrase: &SecretBytes, cost: Cost) -> Result<LocalKey, Failure> {
        let _held = self.state.lock(LOCK_NAME)?;
        if let Some(file) = self.state.disk()?.read(BY_PASSPHRASE).map_err(of_disk)? {
            return LocalKey::open_by_passphrase(passphrase, &file).map_err(of_local);
        }
        let key = LocalKey::draw(&mut SystemRng);
        self.set_passphrase(&key, passphrase, cost)?;
        Ok(key)
    }

    /// Whether anything opens it yet.
    pub(crate) fn is_set_up(&self) -> Result<bool, Failure> {
        let disk = self.state.disk()?;
        let has = |name| Ok::<_, Failure>(disk.read(name).map_err(of_disk)?.is_some());
        Ok(has(BY_PASSPHRASE)? || has(BY_AUTHENTICATOR)?)
    }

    /// From now on this passphrase opens it.
    pub(crate) fn set_passphrase(
        &self,
        key: &LocalKey,
        passphrase: &SecretBytes,
        cost: Cost,
    ) -> Result<(), Failure> {
        let file = key.seal_by_passphrase(passphrase, cost, &mut SystemRng);
        let file = file.map_err(of_local)?;
        self.state
            .disk()?
            .replace(BY_PASSPHRASE, &file)
            .map_err(of_disk)
    }

    /// From now on this authenticator opens it, too.
    pub(crate) fn set_authenticator(&self, key: &LocalKey, keeper: &str) -> Result<(), Failure> {
        let (slot, derived) = agent::derive_first(keeper, &mut SystemRng)?;
        let file = slot.seal(key, &derived, &mut SystemRng);
        self.state
            .disk()?
            .replace(BY_AUTHENTICATOR, &file)
            .map_err(of_disk)
    }

    /// Writes a copy.
    pub(crate) fn put(&self, key: &LocalKey, of: &Known, value: &Value) -> Result<(), Failure> {
        let copy = LocalCopy::seal(key, copied(of), value, &mut SystemRng);
        self.state
            .disk()?
            .replace(&name_of(of.key), &copy.encode())
            .map_err(of_disk)
    }

    /// Whether there is a copy of it.
    pub(crate) fn has(&self, key: KeyId) -> Result<bool, Failure> {
        Ok(self
            .state
            .disk()?
            .read(&name_of(key))
            .map_err(of_disk)?
            .is_some())
    }

    /// Reads a copy of what was asked for.
    pub(crate) fn read(&self, key: &LocalKey, of: &Known) -> Result<Value, Failure> {
        let damaged = || {
            Failure::new("the copy on this machine is damaged, or of another secret")
                .hint("`--from-server` asks the server; `secret delete --local-copy` removes it")
        };
        let file = self.state.disk()?.read(&name_of(of.key)).map_err(of_disk)?;
        let file = file.ok_or_else(|| Failure::new("there is no copy of it on this machine"))?;
        let copy = LocalCopy::decode(&file).ok_or_else(damaged)?;
        copy.open(key, &copied(of)).map_err(|_| damaged())
    }

    /// Removes a copy; one that is not there is no error.
    pub(crate) fn remove(&self, key: KeyId) -> Result<(), Failure> {
        self.state.disk()?.remove(&name_of(key)).map_err(of_disk)
    }
}

fn open_by_authenticator(file: &[u8]) -> Result<LocalKey, Failure> {
    let slot = AuthenticatorSlot::of_file(file).map_err(of_local)?;
    let derived = agent::derive_again(&slot)?;
    AuthenticatorSlot::open(file, &derived).map_err(of_local)
}

/// What a copy of it is associated with.
fn copied(of: &Known) -> Copied {
    Copied {
        server: of.home.map_or([0; 16], |home| home.server.0),
        user: of.home.map_or([0; 32], |home| home.user.0),
        key: of.key.0,
        context: of.context.clone().unwrap_or_default(),
        kind: of.kind,
    }
}

fn name_of(key: KeyId) -> String {
    format!("copies/{key}")
}

fn of_disk(error: io::Error) -> Failure {
    Failure::new(format!("the local store: {error}"))
        .hint("check that there is room and that the folder is yours")
}

fn of_local(error: LocalError) -> Failure {
    let hint = match error {
        LocalError::WrongKey => "try again; there is no way around a forgotten passphrase",
        LocalError::Damaged | LocalError::Cost(_) | _ => "bring custody/state back from a copy",
    };
    Failure::of(&error).hint(hint)
}

/// What a person is asked the passphrase of.
const STORE: &str = "the local store";

const BY_PASSPHRASE: &str = "local.passphrase";
const BY_AUTHENTICATOR: &str = "local.authenticator";
const LOCK_NAME: &str = "local.lock";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use keystead_channel::session::{ServerId, UserId};
    use keystead_vault::held::{Kind, New};

    use super::*;
    use crate::names::Home;

    fn known(context: Option<&str>) -> Known {
        Known {
            home: Some(Home {
                server: ServerId([1; 16]),
                user: UserId([2; 32]),
            }),
            key: KeyId([3; 16]),
            name: "mail".to_owned(),
            kind: Kind::Ed25519,
            context: context.map(str::to_owned),
            revision: 0,
            created_unix_ms: 0,
            replaces: None,
            signs: false,
        }
    }

    fn passphrase(text: &str) -> SecretBytes {
        SecretBytes::take(&mut text.as_bytes().to_vec())
    }

    /// A store with one copy, opened by "sesame" at the least cost.
    fn with_copy(folder: PathBuf) -> (LocalStore, LocalKey, Value) {
        let store = LocalStore::at(folder);
        assert!(!store.is_set_up().unwrap());
        let key = LocalKey::draw(&mut SystemRng);
        store
            .set_passphrase(&key, &passphrase("sesame"), Cost::LEAST)
            .unwrap();
        assert!(store.is_set_up().unwrap());
        let value = Value::generate(New::Ed25519, &mut SystemRng).ok().unwrap();
        store.put(&key, &known(Some("stored")), &value).unwrap();
        (store, key, value)
    }

    /// Two commands that found nothing there: each typed a passphrase, the second too late.
    #[test]
    fn a_store_is_set_up_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::at(folder.path().join("state"));
        store.state.disk().unwrap();
        let first = store.set_up(&passphrase("sesame"), Cost::LEAST);
        let value = Value::generate(New::Ed25519, &mut SystemRng).ok().unwrap();
        let of = known(Some("stored"));
        store.put(&first.ok().unwrap(), &of, &value).unwrap();
        let second = store.set_up(&passphrase("sesame"), Cost::LEAST);
        assert!(store.read(&second.ok().unwrap(), &of).is_ok());
        let other = store.set_up(&passphrase("another"), Cost::LEAST);
        assert!(other.is_err());
    }

    #[test]
    fn a_copy_is_read_as_what_it_was_made_for() {
        let folder = tempfile::tempdir().unwrap();
        let (store, key, value) = with_copy(folder.path().join("state"));
        let of = known(Some("stored"));
        assert!(store.has(of.key).unwrap());
        let read = store.read(&key, &of).unwrap();
        assert!(read.bytes().ct_eq(value.bytes()));
        // Under another name it is the same secret; in another role it is none.
        let renamed = Known {
            name: "other".to_owned(),
            ..of.clone()
        };
        assert!(store.read(&key, &renamed).is_ok());
        for other in [
            known(None),
            known(Some("imported key")),
            Known {
                home: None,
                ..of.clone()
            },
            Known {
                kind: Kind::P256,
                ..of.clone()
            },
        ] {
            assert!(store.read(&key, &other).is_err(), "{other:?}");
        }
        assert!(store.read(&LocalKey::draw(&mut SystemRng), &of).is_err());
        for path in ["local.passphrase", &format!("copies/{}", of.key)] {
            let path = folder.path().join("state").join(path);
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        store.remove(of.key).unwrap();
        store.remove(of.key).unwrap();
        assert!(!store.has(of.key).unwrap());
    }

    /// A file that was cut anywhere is told, never read as another one.
    #[test]
    fn a_cut_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (store, key, _) = with_copy(folder.path().to_owned());
        let of = known(Some("stored"));
        let path = folder.path().join(name_of(of.key));
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let failure = store.read(&key, &of).err().unwrap();
            assert!(failure.message.contains("damaged"), "{len}");
        }
        let path = folder.path().join(BY_PASSPHRASE);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            let opened = LocalKey::open_by_passphrase(&passphrase("sesame"), &whole[..len]);
            assert_eq!(opened.err(), Some(LocalError::Damaged), "{len}");
        }
    }

    /// A write that was ended before its rename leaves the old file, and the next one succeeds.
    #[test]
    fn a_write_that_was_ended_half_way_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (store, key, value) = with_copy(folder.path().to_owned());
        let of = known(Some("stored"));
        let half = folder.path().join(format!("{}.tmp~", name_of(of.key)));
        std::fs::write(&half, b"half").unwrap();
        let read = store.read(&key, &of).unwrap();
        assert!(read.bytes().ct_eq(value.bytes()));
        store.put(&key, &of, &value).unwrap();
        assert!(!half.exists());
    }
}
