//! The map of keys in `GNUPGHOME`, read again when it has changed.
//!
//! **Invariant:** a map that cannot be read is no map: none of its keys is here, and the ordinary
//! agent's keys stay usable.

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use keystead_agent::gpg::{FILE_NAME, KeyMap, MappedKey};

use crate::commands::file;
use crate::failure::Failure;

/// The file.
pub(super) struct KeysFile {
    path: PathBuf,
    held: RefCell<Held>,
}

#[derive(Default)]
struct Held {
    /// What the file was when it was read: inode, size, time of its last change.
    seen: Option<(u64, u64, i64, i64)>,
    map: Rc<KeyMap>,
}

impl KeysFile {
    pub(super) fn of(homedir: &Path) -> Self {
        Self {
            path: homedir.join(FILE_NAME),
            held: RefCell::default(),
        }
    }

    /// The map as it is now.
    pub(super) fn current(&self) -> Rc<KeyMap> {
        let file = std::fs::metadata(&self.path).ok();
        let now = file.map(|it| (it.ino(), it.size(), it.mtime(), it.mtime_nsec()));
        let mut held = self.held.borrow_mut();
        if held.seen != now {
            held.map = Rc::new(now.and_then(|_| self.read()).unwrap_or_default());
            held.seen = now;
        }
        held.map.clone()
    }

    /// Puts a key into the file; one that cannot be read stays as it is.
    pub(super) fn put(&self, key: &MappedKey) -> Result<(), Failure> {
        let mut map = match file::read(&self.path)? {
            Some(json) => KeyMap::parse(&json).map_err(|error| Failure::of(&error))?,
            None => KeyMap::default(),
        };
        let put = map.put(std::slice::from_ref(key));
        put.map_err(|error| Failure::of(&error))?;
        let json = map.encode().map_err(|error| Failure::of(&error))?;
        file::replace(&self.path, &json)
    }

    fn read(&self) -> Option<KeyMap> {
        let read = std::fs::read(&self.path).ok()?;
        KeyMap::parse(&read)
            .inspect_err(|error| {
                tracing::warn!(%error, "{} cannot be used", self.path.display());
            })
            .ok()
    }
}
