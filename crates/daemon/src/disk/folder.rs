//! The real disk: one folder, 0700, walked by descriptors and never through links.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Disk, FILE_BYTES_MAX, Sync, TEMPORARY, folders, parts};
use crate::home::{self, FolderError};

/// Files in one folder of ours.
///
/// Every open is `O_NOFOLLOW` from the folder's own descriptor, so a link
/// planted in it is an error, and renaming the folder moves nothing of ours
/// elsewhere.
#[derive(Debug)]
pub struct FolderDisk {
    top: OwnedFd,
}

impl FolderDisk {
    /// Opens the folder, making it (and what lacks above it) with mode 0700.
    ///
    /// A folder of ours with wider permissions is mended.
    ///
    /// # Errors
    /// [`FolderError`]: not a folder, someone else's, or the system's error.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let top = home::private_folder(path)?;
        Ok(Self { top })
    }

    /// Opens a folder that a person named, for files that hold no secret: others
    /// may look into it, but not write.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open_named(path: &Path) -> Result<Self, FolderError> {
        let top = home::named_folder(path)?;
        Ok(Self { top })
    }

    /// Opens the folder that holds `name`; makes what lacks when `make`.
    fn walk(&self, folders: &[&str], make: Make) -> io::Result<OwnedFd> {
        let mut at = self.top.try_clone()?;
        for folder in folders {
            at = match open_folder(&at, folder) {
                Err(Errno::NOENT) if make == Make::Missing => {
                    match fs::mkdirat(&at, *folder, Mode::RWXU) {
                        Ok(()) => fs::fsync(&at)?,
                        Err(Errno::EXIST) => {}
                        Err(other) => return Err(other.into()),
                    }
                    open_folder(&at, folder)?
                }
                other => other?,
            };
        }
        Ok(at)
    }

    /// Opens an existing plain file; `None` when there is none.
    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<Option<File>> {
        let (folders, file) = parts(name)?;
        let folder = match self.walk(&folders, Make::Nothing) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match open_plain(&folder, file, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }
}

impl Disk for FolderDisk {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open_file(name, OFlags::RDONLY)? else {
            return Ok(None);
        };
        let len_bytes = file.metadata()?.len();
        if len_bytes > FILE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{name} has {len_bytes} bytes; at most {FILE_BYTES_MAX} are read"),
            ));
        }
        let mut content = Vec::with_capacity(usize::try_from(len_bytes).unwrap_or(0));
        file.take(FILE_BYTES_MAX).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    fn replace(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let (folders, file) = parts(name)?;
        let folder = self.walk(&folders, Make::Missing)?;
        let temporary = format!("{file}{TEMPORARY}");
        // A leftover of a crash would make the exclusive open fail.
        remove_if_there(&folder, &temporary)?;
        let written = write_new(&folder, &temporary, content)
            .and_then(|()| Ok(fs::renameat(&folder, &temporary, &folder, file)?));
        if let Err(error) = written {
            let _ = remove_if_there(&folder, &temporary);
            return Err(error);
        }
        Ok(fs::fsync(&folder)?)
    }

    fn append(&mut self, name: &str, record: &[u8], sync: Sync) -> io::Result<()> {
        let (folders, file) = parts(name)?;
        let folder = self.walk(&folders, Make::Missing)?;
        let mut open = open_plain(
            &folder,
            file,
            OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
        )?;
        let len_before = open.metadata()?.len();
        let written = open.write_all(record).and_then(|()| match sync {
            Sync::Now => open.sync_data(),
            Sync::Later => Ok(()),
        });
        if let Err(error) = written {
            // Best effort: the first error is the one to report.
            let _ = open.set_len(len_before);
            return Err(error);
        }
        if len_before == 0 && sync == Sync::Now {
            // The name of a new file is durable only with its folder.
            fs::fsync(&folder)?;
        }
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let Some(file) = self.open_file(name, OFlags::WRONLY)? else {
            return Ok(());
        };
        file.sync_all()?;
        let (folders, _) = parts(name)?;
        Ok(fs::fsync(self.walk(&folders, Make::Nothing)?)?)
    }

    fn truncate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        let Some(file) = self.open_file(name, OFlags::WRONLY)? else {
            return Err(Errno::NOENT.into());
        };
        if file.metadata()?.len() > len_bytes {
            file.set_len(len_bytes)?;
            file.sync_all()?;
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let (folders, file) = parts(name)?;
        match self.walk(&folders, Make::Nothing) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(folder) => {
                remove_if_there(&folder, file)?;
                Ok(fs::fsync(&folder)?)
            }
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let folder = match self.walk(&folders(folder)?, Make::Nothing) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if !name.ends_with(TEMPORARY) && is_plain_file(&folder, name)? {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Make {
    Nothing,
    Missing,
}

fn open_folder(at: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(at, name, flags, Mode::empty())
}

/// Opens a file that must be a plain one. A fifo planted in its place does not
/// stop the program: it is opened without waiting, and refused.
fn open_plain(folder: &OwnedFd, name: &str, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    let found = FileType::from_raw_mode(fs::fstat(&file)?.st_mode);
    if found != FileType::RegularFile {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name} is not a plain file"),
        ));
    }
    Ok(File::from(file))
}

fn write_new(folder: &OwnedFd, name: &str, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = open_plain(folder, name, flags)?;
    file.write_all(content)?;
    file.sync_all()
}

fn remove_if_there(folder: &OwnedFd, name: &str) -> io::Result<()> {
    match fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_plain_file(folder: impl AsFd, name: &str) -> io::Result<bool> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile),
        // Removed between the listing and the look.
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
