//! What is kept of servers on this machine's disk: a folder each, `servers/NAME/`.
//!
//! **Invariant**: a file is the old one or the new one whole, 0600 in a 0700 folder; who
//! changes what stands there holds its lock; what was seen of a log never goes back by a
//! slower process. No file holds a password, a key, a ticket or a session.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use keystead_core::{Secret, hex};
use keystead_daemon::home::private_folder;
use keystead_daemon::{Disk, FolderDisk};
use rustix::fs::{FlockOperation, Mode, OFlags};
use zeroize::Zeroizing;

use super::name::{ServerName, ServerNameError};
use super::page::Page;
use super::seen::Seen;

/// The servers that this machine knows.
#[derive(Clone, Debug)]
pub struct Book {
    folder: PathBuf,
}

impl Book {
    /// The servers under a program's state folder. Who only looks makes nothing: the folder
    /// comes with the first server.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn open(state: &Path) -> Result<Self, BookError> {
        let book = Self {
            folder: state.join(FOLDER),
        };
        if book.folder.exists() {
            book.make()?;
        }
        Ok(book)
    }

    /// All names, in order.
    ///
    /// # Errors
    /// [`BookError::System`].
    pub fn names(&self) -> Result<Vec<ServerName>, BookError> {
        let mut names = Vec::new();
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            Err(error) => return Err(self.broken(error)),
        };
        for entry in entries {
            let entry = entry.map_err(|it| self.broken(it))?;
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.parse().ok());
            if entry.path().join(PIN).exists() {
                names.extend(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// What is known of one.
    ///
    /// # Errors
    /// [`BookError::Unknown`], [`BookError::Damaged`], [`BookError::System`].
    pub fn page(&self, name: &ServerName) -> Result<Page, BookError> {
        let disk = self.disk(name)?;
        let bytes = disk.read(PIN).map_err(|it| self.broken(it))?;
        let bytes = bytes.ok_or_else(|| BookError::Unknown(name.clone()))?;
        let damaged = || BookError::Damaged(self.path(name).join(PIN));
        Page::read(name.clone(), &bytes).ok_or_else(damaged)
    }

    /// Adds a server, or changes what is known of it.
    ///
    /// # Errors
    /// [`BookError::Other`] if another server or account has the name; the system's.
    pub fn add(&self, page: &Page, seen: &Seen) -> Result<(), BookError> {
        let name = &page.name;
        self.make_page(name)?;
        let _lock = self.lock(name)?;
        match self.page(name) {
            Ok(known) if (known.server, known.user) != (page.server, page.user) => {
                return Err(BookError::Other(name.clone()));
            }
            Ok(_) | Err(BookError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        let mut disk = self.disk(name)?;
        // The pin last: a server without one is none.
        disk.replace(SEEN, seen.to_json().as_bytes())
            .map_err(|it| self.broken(it))?;
        let pinned = page.written();
        let pinned = pinned.map_err(|error| self.broken(io::Error::other(error)))?;
        disk.replace(PIN, &pinned).map_err(|it| self.broken(it))
    }

    /// Forgets a server: pin, log and pass.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn forget(&self, name: &ServerName) -> Result<(), BookError> {
        let _lock = self.lock(name)?;
        let mut disk = self.disk(name)?;
        for file in [PIN, SEEN, PASS] {
            disk.remove(file).map_err(|it| self.broken(it))?;
        }
        Ok(())
    }

    /// What was seen of its log.
    ///
    /// # Errors
    /// [`BookError`]: without it a log that went back would not be noticed, so it is not
    /// begun anew unasked.
    pub fn seen(&self, name: &ServerName) -> Result<Seen, BookError> {
        let bytes = self.disk(name)?.read(SEEN).map_err(|it| self.broken(it))?;
        let bytes = bytes.ok_or_else(|| BookError::Unknown(name.clone()))?;
        let text = String::from_utf8(bytes).ok();
        let seen = text.and_then(|text| Seen::from_json(&text).ok());
        seen.ok_or_else(|| BookError::Damaged(self.path(name).join(SEEN)))
    }

    /// Keeps what was seen; where another process has seen more, what that one did not see of
    /// receipts. A dispute is kept in any case: it stops all of them.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn keep_seen(&self, name: &ServerName, seen: &Seen) -> Result<(), BookError> {
        let _lock = self.lock(name)?;
        let kept = self.seen(name)?;
        if is_newer(&kept, seen) {
            let mut both = kept.clone();
            both.also_shown(seen);
            return match both == kept {
                true => Ok(()),
                false => self.write_seen(name, &both),
            };
        }
        let mut both = seen.clone();
        both.also_shown(&kept);
        self.write_seen(name, &both)
    }

    /// What another process has seen of the log beyond `ours`, with what receipts showed us
    /// alone; or what the person has accepted of it.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn seen_beyond(&self, name: &ServerName, ours: &Seen) -> Result<Option<Seen>, BookError> {
        let kept = self.seen(name)?;
        let is_settled = ours.disputed().is_some() && kept.disputed().is_none();
        if is_settled {
            return Ok(Some(kept));
        }
        let mut both = kept;
        if !is_newer(&both, ours) {
            return Ok(None);
        }
        both.also_shown(ours);
        Ok(Some(both))
    }

    /// Goes on with the log that the server showed last, by the person's word: both heads
    /// stay in the file. Says whether there was a dispute.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn accept(&self, name: &ServerName) -> Result<bool, BookError> {
        let _lock = self.lock(name)?;
        let mut seen = self.seen(name)?;
        let is_disputed = seen.disputed().is_some();
        seen.accept();
        self.write_seen(name, &seen)?;
        Ok(is_disputed)
    }

    /// This machine's device pass there.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn pass(&self, name: &ServerName) -> Result<Option<Secret<32>>, BookError> {
        let bytes = self.disk(name)?.read(PASS).map_err(|it| self.broken(it))?;
        let Some(bytes) = bytes.map(Zeroizing::new) else {
            return Ok(None);
        };
        let read = Secret::try_fill(|place| match hex::decode_into(&bytes, place) {
            true => Ok(()),
            false => Err(()),
        });
        let damaged = |()| BookError::Damaged(self.path(name).join(PASS));
        read.map(Some).map_err(damaged)
    }

    /// Keeps a device pass, or none.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn keep_pass(&self, name: &ServerName, pass: Option<&Secret<32>>) -> Result<(), BookError> {
        let _lock = self.lock(name)?;
        let mut disk = self.disk(name)?;
        let done = match pass {
            Some(pass) => {
                let digits = Zeroizing::new(hex::encode(pass.expose()));
                disk.replace(PASS, digits.as_bytes())
            }
            None => disk.remove(PASS),
        };
        done.map_err(|it| self.broken(it))
    }

    fn write_seen(&self, name: &ServerName, seen: &Seen) -> Result<(), BookError> {
        let mut disk = self.disk(name)?;
        disk.replace(SEEN, seen.to_json().as_bytes())
            .map_err(|it| self.broken(it))
    }

    fn path(&self, name: &ServerName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    /// Makes the folder, or sees that it is private.
    fn make(&self) -> Result<(), BookError> {
        let made = private_folder(&self.folder);
        made.map(drop)
            .map_err(|error| BookError::Folder(error.to_string()))
    }

    fn make_page(&self, name: &ServerName) -> Result<(), BookError> {
        self.make()?;
        let made = private_folder(&self.path(name));
        made.map(drop)
            .map_err(|error| BookError::Folder(error.to_string()))
    }

    fn disk(&self, name: &ServerName) -> Result<FolderDisk, BookError> {
        let path = self.path(name);
        if !path.is_dir() {
            return Err(BookError::Unknown(name.clone()));
        }
        FolderDisk::open(&path).map_err(|error| BookError::Folder(error.to_string()))
    }

    /// Held for one change, so nobody waits for long.
    fn lock(&self, name: &ServerName) -> Result<File, BookError> {
        let path = self.path(name);
        if !path.is_dir() {
            return Err(BookError::Unknown(name.clone()));
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path.join(LOCK), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| self.broken(errno.into()))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)
            .map_err(|errno| self.broken(errno.into()))?;
        Ok(File::from(file))
    }

    fn broken(&self, source: io::Error) -> BookError {
        let folder = self.folder.clone();
        BookError::System { folder, source }
    }
}

/// Whether what is kept goes further than what is to be kept.
fn is_newer(kept: &Seen, new: &Seen) -> bool {
    if new.disputed().is_some() {
        return false;
    }
    let place = |seen: &Seen| {
        let head = seen.head().map(|head| &head.checkpoint);
        head.map(|it| (it.epoch, it.size))
    };
    kept.disputed().is_some() || place(kept) > place(new)
}

/// Why the book cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// No such server.
    #[error("no server is called {0}")]
    Unknown(ServerName),
    /// No name of a server.
    #[error(transparent)]
    Name(#[from] ServerNameError),
    /// The name is another's.
    #[error("another server or account is called {0} here")]
    Other(ServerName),
    /// Not what was written.
    #[error("{0} is damaged")]
    Damaged(PathBuf),
    /// The folder cannot be made private.
    #[error("{0}")]
    Folder(String),
    /// The system's.
    #[error("{folder} cannot be read or written")]
    System {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BookError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "see `keystead server status`, or register",
            Self::Name(error) => error.hint(),
            Self::Other(_) => "choose another name with --name",
            Self::Damaged(_) => {
                "put back the file from a backup; without it a server's log cannot be compared"
            }
            Self::Folder(_) | Self::System { .. } => "see that the disk is not full and is yours",
        }
    }
}

/// The folder of all servers in the state folder.
const FOLDER: &str = "servers";

const PIN: &str = "pin.json";
const SEEN: &str = "seen.json";
const PASS: &str = "pass";
const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use keystead_channel::session::{AccountName, ServerId, UserId};

    use super::*;
    use crate::server::endpoint::Binds;
    use crate::server::page::Authority;

    #[test]
    fn who_only_looks_makes_nothing() {
        let state = tempfile::tempdir().unwrap();
        let book = Book::open(state.path()).unwrap();
        assert_eq!(book.names().unwrap(), []);
        let name: ServerName = "lab".parse().unwrap();
        assert!(matches!(book.page(&name), Err(BookError::Unknown(it)) if it == name));
        assert!(matches!(book.pass(&name), Err(BookError::Unknown(_))));
        assert!(matches!(book.accept(&name), Err(BookError::Unknown(_))));
        assert!(matches!(book.forget(&name), Err(BookError::Unknown(_))));
        assert!(!state.path().join(FOLDER).exists());
    }

    #[test]
    fn both_folders_are_private() {
        let state = tempfile::tempdir().unwrap();
        let book = Book::open(state.path()).unwrap();
        let page = Page {
            name: "lab".parse().unwrap(),
            address: "https://lab.example".to_owned(),
            authority: Authority::System,
            server: ServerId([1; 16]),
            log_key: [2; 32],
            account: AccountName::parse("alex").unwrap(),
            user: UserId([3; 32]),
            binds: Binds::Always,
        };
        let seen = Seen::new(page.server, page.log_key);
        book.add(&page, &seen).unwrap();
        for folder in [book.folder.clone(), book.path(&page.name)] {
            let mode = folder.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        }
        let book = Book::open(state.path()).unwrap();
        assert_eq!(book.names().unwrap(), std::slice::from_ref(&page.name));
        assert_eq!(book.page(&page.name).unwrap(), page);
        assert_eq!(book.seen(&page.name).unwrap(), seen);
    }
}
