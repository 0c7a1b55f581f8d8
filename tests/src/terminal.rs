//! A real terminal for one program: what it shows is kept, what is typed
//! reaches the program.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::failure::{About, Result};
use crate::program::Stream;

/// The end of the terminal that the person sits at.
pub struct Terminal {
    person: File,
    path: PathBuf,
    /// What the person has seen.
    pub(crate) shown: Arc<Stream>,
}

impl Terminal {
    /// Opens a terminal of 80 × 24.
    ///
    /// # Errors
    /// The system has none left.
    pub fn open() -> Result<Self> {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .about("a terminal")?;
        grantpt(&person).about("a terminal")?;
        unlockpt(&person).about("a terminal")?;
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&person, size).about("a terminal")?;
        let name = ptsname(&person, Vec::new()).about("a terminal")?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        let person = File::from(person);
        let shown = Stream::follow(person.try_clone().about("a terminal")?);
        Ok(Self {
            person,
            path,
            shown,
        })
    }

    /// The program's end. Opening it takes nobody's controlling terminal away.
    ///
    /// # Errors
    /// The terminal is closed.
    pub fn program_end(&self) -> Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(NOCTTY)
            .open(&self.path)
            .about(self.path.display())
    }

    /// Types.
    ///
    /// # Errors
    /// Nobody has the terminal open any more.
    pub fn type_in(&self, text: &str) -> Result<()> {
        (&self.person).write_all(text.as_bytes()).about("typing")
    }
}

/// `O_NOCTTY` of Linux (asm-generic/fcntl.h).
const NOCTTY: i32 = 0o400;
