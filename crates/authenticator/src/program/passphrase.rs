//! A passphrase, from the terminal or a descriptor, straight into locked memory.
//!
//! **Invariant**: no byte of it is ever in a `String`, a buffer of the
//! standard library or an argument.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use keystead_core::SecretBytes;
use rustix::fd::AsFd;

use super::failure::Failure;
use super::terminal::{Keys, Terminal};
use crate::control::PASSPHRASE_BYTES_MAX;

/// Where a passphrase comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// The descriptor that was named, if one was.
    pub(crate) fd: Option<u32>,
}

impl Source {
    /// Reads it: one line of the descriptor, or typed.
    pub(crate) fn read(self, question: &str) -> Result<SecretBytes, Failure> {
        let passphrase = match self.fd {
            Some(fd) => read_descriptor(fd)?,
            None => type_it(question)?,
        };
        if passphrase.is_empty() {
            return Err(Failure::new(
                "the passphrase is empty",
                "give one of a few words",
            ));
        }
        Ok(passphrase)
    }

    /// As [`Source::read`], but for 0 at a terminal, where it is typed and not shown; it may be
    /// empty.
    pub(crate) fn read_or_type(self, question: &str) -> Result<SecretBytes, Failure> {
        match self.fd {
            Some(fd) if !self.is_terminal() => read_descriptor(fd),
            Some(_) | None => type_it(question),
        }
    }

    /// Whether somebody types it.
    pub(crate) fn is_terminal(self) -> bool {
        match self.fd {
            Some(0) => rustix::termios::isatty(rustix::stdio::stdin()),
            Some(_) => false,
            None => true,
        }
    }

    /// A new one: typed twice, so that a slip does not lock its owner out.
    pub(crate) fn read_new(self) -> Result<SecretBytes, Failure> {
        let first = self.read("New passphrase, for what is kept here: ")?;
        if self.fd.is_some() {
            return Ok(first);
        }
        let second = self.read("The same again: ")?;
        if first.ct_eq(&second) {
            return Ok(first);
        }
        Err(Failure::new(
            "the two passphrases are not the same",
            "try again",
        ))
    }

    /// Whether there is one to be had, without anybody being asked in vain.
    pub(crate) fn is_there(self) -> bool {
        self.fd.is_some() || Terminal::open(Keys::Single).is_ok()
    }
}

/// The next line of a descriptor. Each is opened once, so that who names it again reads on.
fn read_descriptor(fd: u32) -> Result<SecretBytes, Failure> {
    if fd == 0 {
        return read_line(rustix::stdio::stdin());
    }
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let file = match opened.entry(fd) {
        Entry::Occupied(there) => there.into_mut(),
        Entry::Vacant(room) => {
            // A descriptor's number alone cannot be read safely; its name in the file system can.
            let file = File::open(format!("/proc/self/fd/{fd}")).map_err(|error| {
                Failure::new(
                    format!("descriptor {fd} cannot be read: {error}"),
                    format!("open it for the command: {fd}<FILE"),
                )
            })?;
            room.insert(file)
        }
    };
    read_line(&*file)
}

/// The descriptors that were read, by their numbers.
static OPENED: Mutex<BTreeMap<u32, File>> = Mutex::new(BTreeMap::new());

/// One line, byte by byte: what stands behind it is somebody else's.
fn read_line(from: impl AsFd) -> Result<SecretBytes, Failure> {
    let mut passphrase = SecretBytes::fill(PASSPHRASE_BYTES_MAX, |_| ());
    let mut len = 0;
    loop {
        let mut byte = [0];
        if rustix::io::read(&from, &mut byte).map_err(io::Error::from)? == 0 {
            break;
        }
        let [byte] = byte;
        if byte == b'\n' {
            break;
        }
        *passphrase.expose_mut().get_mut(len).ok_or_else(too_long)? = byte;
        len += 1;
    }
    if passphrase
        .expose()
        .get(..len)
        .is_some_and(|it| it.ends_with(b"\r"))
    {
        len -= 1;
    }
    passphrase.truncate(len);
    Ok(passphrase)
}

fn type_it(question: &str) -> Result<SecretBytes, Failure> {
    let mut terminal = Terminal::open(Keys::Secret).map_err(|error| {
        Failure::new(
            format!("no terminal to type the passphrase at: {error}"),
            "give it with --passphrase-fd N",
        )
    })?;
    type_secret(&mut terminal, question)
}

/// A line that is typed and not shown.
pub(crate) fn type_secret(terminal: &mut Terminal, question: &str) -> Result<SecretBytes, Failure> {
    terminal.write(question);
    let mut passphrase = SecretBytes::fill(PASSPHRASE_BYTES_MAX, |_| ());
    let mut len = 0;
    loop {
        match terminal.key()? {
            Some(b'\r' | b'\n') => break,
            None => {
                terminal.write("\n");
                return Err(Failure::new("no passphrase was given", ""));
            }
            Some(CTRL_C) => {
                terminal.write("\n");
                return Err(Failure::interrupted("no passphrase was given: ended by ^C"));
            }
            Some(CTRL_D) if len == 0 => break,
            Some(CTRL_U) => len = 0,
            Some(BACKSPACE | DELETE) => len = one_character_less(passphrase.expose(), len),
            Some(byte) => {
                *passphrase.expose_mut().get_mut(len).ok_or_else(too_long)? = byte;
                len += 1;
            }
        }
    }
    terminal.write("\n");
    passphrase.truncate(len);
    Ok(passphrase)
}

/// A character of UTF-8 is taken back whole.
fn one_character_less(typed: &[u8], len: usize) -> usize {
    let mut len = len;
    while len > 0 {
        len -= 1;
        let is_continuation = typed.get(len).is_some_and(|byte| byte & 0xc0 == 0x80);
        if !is_continuation {
            break;
        }
    }
    len
}

fn too_long() -> Failure {
    Failure::new(
        format!("a passphrase has at most {PASSPHRASE_BYTES_MAX} bytes"),
        "give a shorter one",
    )
}

/// Keys of a terminal that does not edit lines itself (ASCII control characters).
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check(piped: &[u8], expected: &[u8], left: &[u8]) {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(piped).unwrap();
        drop(writer);
        let Ok(passphrase) = read_line(&reader) else {
            panic!("{piped:?}")
        };
        assert_eq!(passphrase.expose(), expected);
        let mut rest = Vec::new();
        io::Read::read_to_end(&mut reader, &mut rest).unwrap();
        assert_eq!(rest, left);
    }

    #[test]
    fn one_line_and_not_a_byte_more() {
        check(b"open sesame\nnext", b"open sesame", b"next");
        check(b"open sesame", b"open sesame", b"");
        check(b"open\r\n", b"open", b"");
        check(b"\n", b"", b"");
        check("pässwörd\n".as_bytes(), "pässwörd".as_bytes(), b"");
    }

    #[test]
    fn too_long_is_said() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&[b'x'; PASSPHRASE_BYTES_MAX + 1]).unwrap();
        drop(writer);
        assert!(read_line(&reader).is_err_and(|it| it.message.contains("at most")));
    }

    #[test]
    fn backspace_takes_a_whole_character() {
        assert_eq!(one_character_less("aé".as_bytes(), 3), 1);
        assert_eq!(one_character_less(b"ab", 2), 1);
        assert_eq!(one_character_less(b"", 0), 0);
    }
}
