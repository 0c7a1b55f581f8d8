//! Where programs find a drop-in agent.
//!
//! **Invariant:** the socket is 0600 from its first moment. Its folder is 0700 and nobody else's,
//! unless `-a` named another; whoever connects is checked by uid in any case.

use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::Ended;

/// A listening socket and what is to be removed with it.
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    pub(crate) place: Place,
}

/// What stands in the file system.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// The folder, when it was made for the socket.
    pub(crate) own_folder: Option<PathBuf>,
}

impl Place {
    /// Takes both away. What is gone already needs no taking.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
        if let Some(folder) = &self.own_folder {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl Socket {
    /// Listens at `named`, or at `agent.PID` in a fresh folder. Call it while the process has one
    /// thread: the mask of permissions is the whole process's.
    pub(super) fn open(named: Option<PathBuf>) -> Result<Self, Ended> {
        let place = match named {
            Some(path) => Place {
                path,
                own_folder: None,
            },
            None => fresh_place()
                .map_err(|error| Ended::system("mkdtemp: private socket dir", &error))?,
        };
        if place.path.as_os_str().as_bytes().len() > PATH_BYTES_MAX {
            let shown = place.path.display();
            let line = format!("unix_listener: path \"{shown}\" too long for Unix domain socket");
            // The folder, if it is ours; the path is nobody's.
            place.remove_folder();
            return Err(Ended::logged(line));
        }
        let before = rustix::process::umask(Mode::from_raw_mode(OTHERS_MASK));
        let bound = UnixListener::bind(&place.path);
        rustix::process::umask(before);
        match bound {
            Ok(listener) => Ok(Self { listener, place }),
            Err(error) => {
                let shown = place.path.display();
                let why = super::system_words(&error);
                let line = format!("unix_listener: cannot bind to path {shown}: {why}");
                place.remove_folder();
                Err(Ended::logged(line))
            }
        }
    }
}

impl Place {
    fn remove_folder(&self) {
        if let Some(folder) = &self.own_folder {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// `$TMPDIR/ssh-XXXXXXXXXXXX/agent.PID`, as ssh-agent(1) has it.
fn fresh_place() -> io::Result<Place> {
    let temporary = std::env::var_os("TMPDIR").filter(|it| !it.is_empty());
    let temporary = temporary.unwrap_or_else(|| "/tmp".into());
    let folder = tempfile::Builder::new()
        .prefix("ssh-")
        .rand_bytes(FOLDER_RANDOM_CHARACTERS)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(Path::new(&temporary))
        .map_err(without_path)?
        .keep();
    Ok(Place {
        path: folder.join(format!("agent.{}", std::process::id())),
        own_folder: Some(folder),
    })
}

/// The system's error alone: the library puts the path behind it.
fn without_path(error: io::Error) -> io::Error {
    match error.get_ref().and_then(std::error::Error::source) {
        Some(source) => source
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
            .map_or_else(
                || io::Error::from(error.kind()),
                io::Error::from_raw_os_error,
            ),
        None => error,
    }
}

/// umask(2): nothing for group and others, and no execution.
const OTHERS_MASK: u32 = 0o177;

/// `sun_path` has 108 bytes on Linux, the last one 0 (unix(7)).
const PATH_BYTES_MAX: usize = 107;

/// As many as in OpenSSH's `mktemp_proto`: 62^12 names are not to be guessed.
const FOLDER_RANDOM_CHARACTERS: usize = 12;
