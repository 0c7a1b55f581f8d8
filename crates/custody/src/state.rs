//! This person's folder for what custody keeps between commands.
//!
//! **Invariant:** files are replaced whole; who reads one to change it holds its lock meanwhile.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use keystead_daemon::FolderDisk;
use keystead_daemon::home::{self, Folders};
use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::failure::Failure;

/// The folder.
pub(crate) struct State(PathBuf);

impl State {
    /// This person's.
    pub(crate) fn open() -> Result<Self, Failure> {
        let folders = Folders::of(home::Program::Custody);
        let folders = folders.map_err(|error| Failure::of(&error).hint(error.hint()))?;
        Ok(Self(folders.state))
    }

    /// Any folder.
    #[cfg(test)]
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Its files.
    pub(crate) fn disk(&self) -> Result<FolderDisk, Failure> {
        FolderDisk::open(&self.0).map_err(|error| Failure::of(&error).hint(error.hint()))
    }

    /// Waits for the other command: it holds the lock for the time of one write.
    pub(crate) fn lock(&self, name: &str) -> Result<File, Failure> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.0.join(name), flags, Mode::RUSR | Mode::WUSR);
        let file = file.map_err(io::Error::from)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(io::Error::from)?;
        Ok(File::from(file))
    }
}
