//! Sockets where gpg looks for its agent.
//!
//! **Invariant:** each is 0600 from its first moment, and whoever connects is checked by uid. Their
//! folder is GnuPG's: this program changes nothing about it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};

/// A socket that gpg finds.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    pub(super) place: Place,
}

/// Where it is, and which file was made.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    file: (u64, u64),
    /// While it is held, no other file is given its number.
    _held: Rc<OwnedFd>,
}

impl Socket {
    /// Makes it, in the place of one at which nobody listens.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`]: somebody does.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = redirected(path)?;
        let listener = match bind(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if UnixStream::connect(&path).is_ok() {
                    return Err(error);
                }
                bind_anew(&path)?
            }
            bound => bound?,
        };
        let place = Place::of(path)?;
        Ok(Self { listener, place })
    }

    /// Makes it, in the place of whatever is there.
    pub(super) fn replace(path: &Path) -> io::Result<Self> {
        let path = redirected(path)?;
        let listener = bind_anew(&path)?;
        let place = Place::of(path)?;
        Ok(Self { listener, place })
    }
}

impl Place {
    /// The file that is there now.
    pub(super) fn of(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = rustix::fs::open(&path, flags, Mode::empty())?;
        let file = rustix::fs::fstat(&held)?;
        Ok(Self {
            path,
            file: (file.st_dev, file.st_ino),
            _held: Rc::new(held),
        })
    }

    /// Is it still the file that was made?
    pub(super) fn is_ours(&self) -> bool {
        file_id(&self.path).is_ok_and(|it| it == self.file)
    }

    /// Takes it away, if it is.
    pub(super) fn remove(&self) {
        if self.is_ours() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds in the place of whatever is there.
pub(super) fn bind_anew(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    bind(path)
}

/// Call it while the process has one thread: the mask of permissions is the whole process's.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let before = rustix::process::umask(Mode::from_raw_mode(OTHERS_MASK));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound
}

/// A file in a socket's place may name another: for file systems without sockets (libassuan,
/// "Socket wrappers"). `${NAME}` stands for a variable of the environment.
pub(super) fn redirected(path: &Path) -> io::Result<PathBuf> {
    if !std::fs::symlink_metadata(path).is_ok_and(|it| it.is_file()) {
        return Ok(path.to_owned());
    }
    let text = std::fs::read_to_string(path)?;
    let Some(named) = redirection(&text, |name| std::env::var(name).ok()) else {
        return Ok(path.to_owned());
    };
    Ok(PathBuf::from(named))
}

fn redirection(text: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let line = text.strip_prefix("%Assuan%\n")?;
    let named = line.lines().find_map(|it| it.strip_prefix("socket="))?;
    let mut path = String::new();
    let mut rest = named.trim_end();
    while let Some((before, behind)) = rest.split_once("${") {
        let (name, behind) = behind.split_once('}')?;
        path.push_str(before);
        path.push_str(&variable(name)?);
        rest = behind;
    }
    path.push_str(rest);
    Some(path).filter(|it| it.starts_with('/'))
}

/// Which file it is.
pub(super) fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// umask(2): nothing for group and others, and no execution.
const OTHERS_MASK: u32 = 0o177;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("S.gpg-agent");
        let first = Socket::open(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = Socket::open(&path).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        // One that belongs to another is taken over even so.
        let taken = Socket::replace(&path).unwrap();
        assert!(!first.place.is_ours() && taken.place.is_ours());
        drop(first.listener);
        drop(taken.listener);
        let second = Socket::open(&path).unwrap();
        assert!(!first.place.is_ours());
        first.place.remove();
        assert!(second.place.is_ours());
        second.place.remove();
        assert!(!path.exists());
        assert!(!second.place.is_ours());
    }

    #[test]
    fn a_file_may_name_another_place() {
        let variable = |name: &str| (name == "RUN").then(|| "/run/user/7".to_owned());
        let check = |text: &str, expected: Option<&str>| {
            let named = redirection(text, variable);
            assert_eq!(named.as_deref(), expected, "{text}");
        };
        check("%Assuan%\nsocket=/x/S\n", Some("/x/S"));
        check(
            "%Assuan%\nsocket=${RUN}/S.gpg-agent\n",
            Some("/run/user/7/S.gpg-agent"),
        );
        check("%Assuan%\nsocket=${NONE}/S\n", None);
        check("%Assuan%\nsocket=${RUN\n", None);
        check("%Assuan%\nsocket=S\n", None);
        check("%Assuan%\n", None);
        check("socket=/x\n", None);
    }
}
