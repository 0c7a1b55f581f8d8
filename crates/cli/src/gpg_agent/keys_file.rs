//! The map of keys in `GNUPGHOME`, read again when it has changed.
//!
//! **Invariant:** a map that cannot be read is no map: none of its keys is here, and the ordinary
//! agent's keys stay usable.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use keystead_agent::gpg::{FILE_NAME, KeyMap, KeyMapError, MappedKey};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::commands::file;
use crate::failure::Failure;
use crate::terminal::say;

/// The file.
pub(super) struct KeysFile {
    homedir: PathBuf,
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
            homedir: homedir.to_owned(),
            held: RefCell::default(),
        }
    }

    /// The map as it is now.
    pub(super) fn current(&self) -> Rc<KeyMap> {
        let file = std::fs::metadata(self.path()).ok();
        let now = file.map(|it| (it.ino(), it.size(), it.mtime(), it.mtime_nsec()));
        let mut held = self.held.borrow_mut();
        if held.seen != now {
            held.map = Rc::new(now.and_then(|_| self.read()).unwrap_or_default());
            held.seen = now;
        }
        held.map.clone()
    }

    fn read(&self) -> Option<KeyMap> {
        let path = self.path();
        let read = std::fs::read(&path).ok()?;
        KeyMap::parse(&read)
            .inspect_err(|error| {
                tracing::warn!(%error, "{} cannot be used", path.display());
            })
            .ok()
    }

    /// Keeps room for one more key, on the disk and in the map.
    pub(super) fn room(&self) -> Result<Room, Failure> {
        let _held = lock(&self.homedir)?;
        let map = read(&self.homedir)?;
        map.check_room().map_err(|error| Failure::of(&error))?;
        let json = map.encode().map_err(|error| Failure::of(&error))?;
        let bytes = u64::try_from(json.len()).unwrap_or(u64::MAX);
        Room::of(&self.homedir, bytes.saturating_add(ENTRY_BYTES_MAX))
            .map_err(|error| file::failure(&self.path(), &error))
    }

    /// Puts a key into the file, where room was kept; one that cannot be read stays as it is.
    pub(super) fn put(&self, key: &MappedKey, room: Room) -> Result<(), Failure> {
        // The next file takes its place.
        drop(room);
        change(&self.homedir, |map| map.put(std::slice::from_ref(key)))
    }

    fn path(&self) -> PathBuf {
        self.homedir.join(FILE_NAME)
    }
}

/// So much of the disk that the map with one more key fits: a file without a name, which goes with
/// this process at the latest.
pub(super) struct Room {
    _file: File,
}

impl Room {
    /// Call it while the map is held: the name is there for a moment.
    fn of(folder: &Path, bytes: u64) -> io::Result<Self> {
        let path = folder.join(ROOM_NAME);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?);
        std::fs::remove_file(&path)?;
        // Written, not only named: not every file system gives room by a file's size.
        io::copy(&mut io::repeat(0).take(bytes), &mut file)?;
        file.sync_all()?;
        Ok(Self { _file: file })
    }
}

/// The map in its file, for who changes what is in it; empty where there is none.
pub(crate) fn read(homedir: &Path) -> Result<KeyMap, Failure> {
    let path = homedir.join(FILE_NAME);
    match file::read(&path)? {
        None => Ok(KeyMap::default()),
        Some(json) => KeyMap::parse(&json).map_err(|error| {
            Failure::new(format!("{}: {error}", path.display()))
                .hint("it is written by `keystead gpg init`; move it away to begin anew")
        }),
    }
}

/// Changes the map in its file. Commands and agents that do so at the same time wait for each
/// other, for the time of one write: none writes over what another one has put there.
pub(crate) fn change(
    homedir: &Path,
    change: impl FnOnce(&mut KeyMap) -> Result<(), KeyMapError>,
) -> Result<(), Failure> {
    let _held = lock(homedir)?;
    let mut map = read(homedir)?;
    change(&mut map).map_err(|error| Failure::of(&error))?;
    let json = map.encode().map_err(|error| Failure::of(&error))?;
    file::replace(&homedir.join(FILE_NAME), &json)
}

/// For a command that has gpg change its list of keys: gpg reads a key, and a while later writes
/// over whatever another one has made of it meanwhile. Held until it is dropped.
pub(crate) fn hold_keyring(homedir: &Path) -> Result<File, Failure> {
    held(&homedir.join(KEYRING_LOCK_NAME), || {
        say("waiting for another `keystead gpg` in this home folder");
    })
}

/// A file of its own, since the map's is another one after each change.
fn lock(homedir: &Path) -> Result<File, Failure> {
    held(&homedir.join(LOCK_NAME), || ())
}

/// `waits` is called if another one has it.
fn held(path: &Path, waits: impl FnOnce()) -> Result<File, Failure> {
    let failed = |errno: Errno| file::failure(path, &errno.into());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            waits();
            rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(failed)?;
        }
        outcome => outcome.map_err(failed)?,
    }
    Ok(File::from(file))
}

/// Locks, by their names in `GNUPGHOME`.
const LOCK_NAME: &str = "keystead-keys.lock";
const KEYRING_LOCK_NAME: &str = "keystead-gpg.lock";

/// Its name for a moment, in `GNUPGHOME`.
const ROOM_NAME: &str = "keystead-keys.room";

/// A user id of 1,024 bytes, each of them escaped, and the rest of an entry are less.
const ENTRY_BYTES_MAX: u64 = 16_384;
