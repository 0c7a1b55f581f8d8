//! A program's own folder as a small interface: real, or in memory with faults.
//!
//! **Invariant:** a file that [`Disk::replace`] wrote is the old one or the new
//! one whole, whenever the machine stops; a name never leads out of the folder.

mod folder;
mod memory;

use std::io;

pub use folder::FolderDisk;
pub use memory::{Faults, MemoryDisk};

/// When an appended record must be on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before the call returns.
    Now,
    /// Whenever [`Disk::sync`] is called next, or the system likes.
    Later,
}

/// Files by relative names, `a` or `a/b`: no empty part, no `.` or `..`.
///
/// Folders in a name are made (0700) when a file is written in them; files are
/// 0600. A name that is not of this form is `InvalidInput`.
pub trait Disk: Send {
    /// The whole file, or `None` when there is none.
    ///
    /// # Errors
    /// The system's; `InvalidInput` for a bad name; `FileTooLarge` above
    /// [`FILE_BYTES_MAX`].
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Writes the whole file, or leaves the old one: temporary file, fsync,
    /// rename, fsync of the folder.
    ///
    /// # Errors
    /// The system's; the old content is then what a reader finds, except that
    /// when the last fsync (of the folder) fails it may be either.
    fn replace(&mut self, name: &str, content: &[u8]) -> io::Result<()>;

    /// Adds a record at the end, making the file if need be.
    ///
    /// # Errors
    /// The system's. The file is cut back to its former length then, so that a
    /// full disk leaves no half record; a power cut may leave one.
    fn append(&mut self, name: &str, record: &[u8], sync: Sync) -> io::Result<()>;

    /// Makes what was appended durable. No such file is no error.
    ///
    /// # Errors
    /// The system's: what was appended may be lost.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Cuts the file to `len_bytes`; never makes it longer. No such file is
    /// `NotFound`. Durable when it returns.
    ///
    /// # Errors
    /// The system's.
    fn truncate(&mut self, name: &str, len_bytes: u64) -> io::Result<()>;

    /// Removes the file; one that is not there is no error. Durable when it
    /// returns.
    ///
    /// # Errors
    /// The system's.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// The plain names of the files in `folder` (`""`: the top), sorted, without
    /// subfolders and temporary files. A folder that is not there is empty.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
}

/// A state file above 256 MiB is not one of ours: it would not fit in the memory
/// we promise, and reading it whole would stop the program for seconds.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// Splits a name into folders and file name.
fn parts(name: &str) -> io::Result<(Vec<&str>, &str)> {
    let mut parts: Vec<&str> = name.split('/').collect();
    if parts.iter().any(|part| !is_plain(part)) {
        return Err(bad_name(name));
    }
    let file = parts.pop().ok_or_else(|| bad_name(name))?;
    Ok((parts, file))
}

fn folders(name: &str) -> io::Result<Vec<&str>> {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = name.split('/').collect();
    if parts.iter().all(|part| is_plain(part)) {
        Ok(parts)
    } else {
        Err(bad_name(name))
    }
}

fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.len() <= NAME_BYTES_MAX
        && !part.ends_with(TEMPORARY)
        && !part.contains('\0')
}

fn bad_name(name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("not a name of a state file: {name:?}"),
    )
}

/// The end of a file that is being written; one left by a crash is never read.
const TEMPORARY: &str = ".tmp~";

/// `NAME_MAX` of Linux file systems is 255; the temporary ending must fit too.
const NAME_BYTES_MAX: usize = 200;

#[cfg(test)]
mod tests;
