//! One process a state folder.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::home::{self, FolderError};

/// Held while a process works on a state folder. The system lets go of it when
/// the process ends, however it ends; the file stays.
#[derive(Debug)]
pub struct Lock {
    _held: File,
}

impl Lock {
    /// Takes the lock of `folder`, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        // Whoever works in it has made it as private as it must be.
        let open = home::named_folder(folder)?;
        let broken = |source| LockError::System {
            folder: folder.to_owned(),
            source,
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&open, FILE_NAME, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| broken(errno.into()))?;
        let mut file = File::from(file);
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN) => {
                return Err(LockError::Held {
                    folder: folder.to_owned(),
                    pid: pid_in(&mut file),
                });
            }
            Err(errno) => return Err(broken(errno.into())),
        }
        write_pid(&mut file).map_err(broken)?;
        Ok(Self { _held: file })
    }
}

/// Why a state folder cannot be worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process works on it.
    #[error("{} is in use{}", folder.display(), pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The process, if it could be read.
        pid: Option<u32>,
    },
    /// The folder is not private.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The system's error.
    #[error("no lock in {}", folder.display())]
    System {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LockError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Held { pid: Some(pid), .. } => {
                format!("stop process {pid} first, or name another folder with KEYSTEAD_HOME")
            }
            Self::Held { pid: None, .. } => {
                "stop the other one first, or name another folder with KEYSTEAD_HOME".to_owned()
            }
            Self::Folder(error) => error.hint(),
            Self::System { folder, .. } => {
                format!("check that files can be made in {}", folder.display())
            }
        }
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The holder may be between taking the lock and writing its number.
fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const FILE_NAME: &str = "lock";

/// A process number has at most ten digits; anything longer is not one.
const PID_BYTES_MAX: u64 = 16;
