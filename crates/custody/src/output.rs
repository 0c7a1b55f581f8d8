//! Where a secret goes: a new file, a descriptor, the clipboard, and the terminal if told so.
//!
//! **Invariant:** the place is opened before anything is asked for, so that nothing is retrieved
//! for nothing; a file appears whole, 0600, under its name, or not at all; a terminal shows no
//! secret that it was not told to show.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use keystead_core::SecretBytes;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

use crate::arguments::Output;
use crate::clipboard::Clipboard;
use crate::failure::Failure;
use crate::talk::say;

/// A place that waits for a secret.
pub(crate) enum Place {
    /// A file that nobody sees yet.
    File(NewFile),
    /// A descriptor that is no terminal.
    Open(File),
    /// The clipboard, and for how many seconds.
    Clipboard(Clipboard, u16),
    /// The person's screen.
    Terminal(File),
}

impl Place {
    /// Opens what the options name.
    pub(crate) fn open(output: &Output) -> Result<Self, Failure> {
        if let Some(path) = &output.to_file {
            return NewFile::make(path).map(Self::File);
        }
        if let Some(seconds) = output.to_clipboard {
            return Ok(Self::Clipboard(Clipboard::find()?, seconds));
        }
        if output.to_terminal {
            let terminal = OpenOptions::new().write(true).open("/dev/tty");
            let terminal = terminal.map_err(|_| Failure::usage("there is no terminal"))?;
            return Ok(Self::Terminal(terminal));
        }
        let open = descriptor(output.to_fd.unwrap_or(1))?;
        if open.is_terminal() {
            return Err(
                Failure::usage("a secret is not shown on a terminal unasked").hint(
                    "--to-terminal shows it; --to-clipboard, --to-file FILE and --to-fd N do not",
                ),
            );
        }
        Ok(Self::Open(open))
    }

    /// Puts the secret there, as it is.
    pub(crate) fn put(self, secret: &SecretBytes) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.finish(secret),
            Self::Open(mut open) => {
                open.write_all(secret.expose())?;
                Ok(open.flush()?)
            }
            Self::Clipboard(clipboard, seconds) => {
                clipboard.hold(shown(secret).as_ref().unwrap_or(secret), seconds)
            }
            Self::Terminal(mut terminal) => {
                terminal.write_all(shown(secret).as_ref().unwrap_or(secret).expose())?;
                Ok(terminal.write_all(b"\n")?)
            }
        }
    }
}

/// What is put in place of bytes that are no text that may be shown: hexadecimal digits.
fn shown(secret: &SecretBytes) -> Option<SecretBytes> {
    let bytes = secret.expose();
    let is_text = std::str::from_utf8(bytes).is_ok_and(|text| {
        let may_stand = |it: char| it == '\n' || !keystead_core::is_unsafe_to_show(it);
        text.chars().all(may_stand)
    });
    if is_text {
        return None;
    }
    say("note: it is no text; these are its bytes in hexadecimal");
    Some(SecretBytes::fill(2 * bytes.len(), |out| {
        for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
            for (place, digit) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *place = HEX.get(usize::from(digit)).copied().unwrap_or(b'?');
            }
        }
    }))
}

/// Opens a descriptor by its name in the file system, to write behind what stands there.
fn descriptor(fd: u32) -> Result<File, Failure> {
    let own = match fd {
        1 => rustix::io::dup(rustix::stdio::stdout()),
        2 => rustix::io::dup(rustix::stdio::stderr()),
        _ => {
            let path = format!("/proc/self/fd/{fd}");
            let open = OpenOptions::new().append(true).open(path);
            return open.map_err(|error| {
                Failure::usage(format!("descriptor {fd} cannot be written: {error}"))
                    .hint(format!("open it for the command: {fd}>FILE"))
            });
        }
    };
    let own: OwnedFd = own.map_err(io::Error::from)?;
    Ok(File::from(own))
}

/// A file that has no content yet, beside the place where it will stand.
pub(crate) struct NewFile {
    path: PathBuf,
    beside: PathBuf,
    file: File,
    is_done: bool,
}

impl NewFile {
    fn make(path: &Path) -> Result<Self, Failure> {
        let name = path
            .file_name()
            .ok_or_else(|| Failure::usage(format!("{} is no name of a file", path.display())))?;
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let mut beside = OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}~", std::process::id()));
        let beside = path.with_file_name(beside);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = rustix::fs::open(&beside, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let file = file.map_err(|errno| {
            let error = io::Error::from(errno);
            Failure::new(format!("{} cannot be made: {error}", path.display()))
        })?;
        Ok(Self {
            path: path.to_owned(),
            beside,
            file: File::from(file),
            is_done: false,
        })
    }

    fn finish(mut self, secret: &SecretBytes) -> Result<(), Failure> {
        let written = self.file.write_all(secret.expose());
        written
            .and_then(|()| self.file.sync_all())
            .map_err(|error| not_written(&self.path, &error))?;
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(CWD, &self.beside, CWD, &self.path, flags) {
            Ok(()) => {
                self.is_done = true;
                Ok(())
            }
            Err(rustix::io::Errno::EXIST) => Err(exists(&self.path)),
            Err(errno) => Err(not_written(&self.path, &io::Error::from(errno))),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_done {
            // It holds nothing that is not elsewhere; one that stays has a name that says so.
            let _ = rustix::fs::unlinkat(CWD, &self.beside, AtFlags::empty());
        }
    }
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", path.display()))
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!("{} is there already", path.display()))
        .hint("a secret goes into a new file; name another one")
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secret(bytes: &[u8]) -> SecretBytes {
        SecretBytes::take(&mut bytes.to_vec())
    }

    fn to_file(path: &Path) -> Output {
        Output {
            to_file: Some(path.to_owned()),
            to_fd: None,
            to_clipboard: None,
            to_terminal: false,
        }
    }

    #[test]
    fn a_file_appears_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let place = Place::open(&to_file(&path)).ok().unwrap();
        assert!(!path.exists());
        place.put(&secret(b"abc")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_stays_and_what_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        drop(Place::open(&to_file(&path)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let place = Place::open(&to_file(&path)).ok().unwrap();
        std::fs::write(&path, b"other").unwrap();
        assert!(place.put(&secret(b"abc")).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let failure = Place::open(&to_file(&path)).err().unwrap();
        assert!(failure.message.contains("is there already"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        assert!(Place::open(&to_file(&link)).is_err());
    }

    #[test]
    fn what_is_no_text_is_shown_in_hexadecimal() {
        assert!(shown(&secret(b"a word\n")).is_none());
        assert!(shown(&secret("é".as_bytes())).is_none());
        for (bytes, expected) in [
            (&b"\x00\xff"[..], "00ff"),
            (b"\x1b[2J", "1b5b324a"),
            ("\u{202e}".as_bytes(), "e280ae"),
        ] {
            let shown = shown(&secret(bytes)).unwrap();
            assert_eq!(shown.expose(), expected.as_bytes());
        }
    }
}
