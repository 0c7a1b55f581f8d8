//! A passphrase, from a descriptor or the terminal, straight into locked memory.
//!
//! **Invariant:** no byte of it is ever in a `String`, a buffer of the standard library, an
//! argument or a variable of the environment; the terminal does not show it, and echoes again
//! however the typing ends, by a signal too.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use keystead_core::SecretBytes;
use keystead_daemon::terminal::Restored;
use rustix::fd::AsFd;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex};

use crate::failure::{Failure, Status};

/// One line of the descriptor that is named, else typed at the terminal.
pub(crate) fn read(fd: Option<u32>, question: &str) -> Result<SecretBytes, Failure> {
    let passphrase = read_or_empty(fd, question)?;
    if passphrase.is_empty() {
        return Err(Failure::new("no passphrase was given"));
    }
    Ok(passphrase)
}

/// The same, where an empty line says something.
pub(crate) fn read_or_empty(fd: Option<u32>, question: &str) -> Result<SecretBytes, Failure> {
    match fd {
        Some(0) => read_line(rustix::stdio::stdin()),
        Some(fd) => {
            // A descriptor's number alone cannot be read safely; its name in the file system can.
            let file = File::open(format!("/proc/self/fd/{fd}")).map_err(|error| {
                Failure::new(format!("descriptor {fd} cannot be read: {error}"))
                    .hint(format!("open it for the command: {fd}<FILE"))
                    .status(Status::Usage)
            })?;
            read_line(&file)
        }
        None => typed(question),
    }
}

fn typed(question: &str) -> Result<SecretBytes, Failure> {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(|_| {
            Failure::new("a secret is asked for, and there is no terminal")
                .hint("give a passphrase with --passphrase-fd N, a PIN with --pin-fd N")
                .status(Status::Usage)
        })?;
    let quiet = without_echo(&terminal)?;
    (&terminal).write_all(question.as_bytes())?;
    let line = read_line(&terminal);
    drop(quiet);
    (&terminal).write_all(b"\n")?;
    line
}

/// The terminal without echo. ^C does not end the program in it, so that the echo comes back; it
/// ends the typing.
fn without_echo(terminal: &File) -> io::Result<Restored> {
    let mut quiet = termios::tcgetattr(terminal)?;
    quiet
        .local_modes
        .remove(LocalModes::ECHO | LocalModes::ISIG);
    // It ends the line as Enter does, and is not waited for until that comes.
    quiet.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    let restored = Restored::make(
        terminal,
        &quiet,
        OptionalActions::Flush,
        OptionalActions::Now,
    )?;
    Ok(restored.waited_for())
}

/// One line, byte by byte: what stands behind it is somebody else's.
fn read_line(from: impl AsFd) -> Result<SecretBytes, Failure> {
    let mut passphrase = SecretBytes::fill(PASSPHRASE_BYTES_MAX, |_| ());
    let mut len = 0;
    loop {
        let mut byte = [0];
        if rustix::io::read(&from, &mut byte).map_err(io::Error::from)? == 0 {
            break;
        }
        match byte {
            [b'\n'] => break,
            [CTRL_C] => {
                return Err(Failure::new("ended by ^C").status(Status::Interrupted));
            }
            [byte] => {
                let place = passphrase.expose_mut().get_mut(len);
                *place.ok_or_else(|| {
                    Failure::new(format!(
                        "a passphrase has at most {PASSPHRASE_BYTES_MAX} bytes"
                    ))
                })? = byte;
                len += 1;
            }
        }
    }
    passphrase.truncate(len);
    if passphrase.expose().ends_with(b"\r") {
        passphrase.truncate(len.saturating_sub(1));
    }
    Ok(passphrase)
}

/// As the authenticators' passphrases; a request takes up to 4,096 bytes.
const PASSPHRASE_BYTES_MAX: usize = 1_024;

/// ASCII ETX, what ^C types where it is no signal.
const CTRL_C: u8 = 3;
