//! The person's terminal: what is typed there unseen, and what is shown there and nowhere else.
//!
//! **Invariant:** what is typed unseen goes byte by byte into locked memory; the terminal echoes
//! again however the typing ends, by a signal too, and ^C ends it at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use keystead_core::SecretBytes;
use keystead_daemon::terminal::Restored;
use rustix::fd::AsFd;
use rustix::termios::{self, LocalModes, OptionalActions};

use crate::failure::Failure;

/// Asks for one line, which is not shown; `option` is what answers where there is no terminal.
pub(crate) fn typed(question: &str, option: &str) -> Result<SecretBytes, Failure> {
    let terminal = open(option)?;
    let quiet = quiet(&terminal)?;
    (&terminal).write_all(question.as_bytes())?;
    let line = edit(&terminal);
    drop(quiet);
    (&terminal).write_all(b"\n")?;
    let line = line?;
    if line.is_empty() {
        return Err(Failure::usage("nothing was typed"));
    }
    Ok(line)
}

/// Asks for one line, which is shown: for what is no secret, and for parts of what the screen
/// shows anyway.
pub(crate) fn answer(question: &str) -> Result<String, Failure> {
    let terminal = open("--yes")?;
    (&terminal).write_all(question.as_bytes())?;
    let line = read_line(&terminal, "answer")?;
    Ok(String::from_utf8_lossy(line.expose()).trim().to_owned())
}

/// Shows something to the person, and nowhere else.
pub(crate) fn show(text: &[u8]) -> Result<(), Failure> {
    Ok((&open("--yes")?).write_all(text)?)
}

/// Whether there is somebody to ask.
pub(crate) fn is_there() -> bool {
    OpenOptions::new().write(true).open(PATH).is_ok()
}

/// One line of anything, byte by byte: what stands behind it is somebody else's.
pub(crate) fn read_line(from: impl AsFd, what: &str) -> Result<SecretBytes, Failure> {
    let mut line = Line::new(what);
    loop {
        match next(&from)? {
            None | Some(b'\n') => break,
            Some(byte) => line.push(byte)?,
        }
    }
    Ok(line.finish())
}

/// A line at a terminal that does not edit lines itself.
fn edit(terminal: impl AsFd) -> Result<SecretBytes, Failure> {
    let mut line = Line::new("answer");
    loop {
        match next(&terminal)? {
            None | Some(b'\n' | b'\r') => break,
            Some(CTRL_C) => return Err(Failure::interrupted("^C")),
            Some(CTRL_D) if line.len == 0 => break,
            Some(CTRL_U) => line.len = 0,
            Some(BACKSPACE | DELETE) => line.drop_character(),
            Some(byte) => line.push(byte)?,
        }
    }
    Ok(line.finish())
}

/// The next byte; a signal that was handled is no end.
fn next(from: impl AsFd) -> Result<Option<u8>, Failure> {
    let mut byte = [0];
    loop {
        match rustix::io::read(&from, &mut byte).map_err(io::Error::from) {
            Ok(0) => return Ok(None),
            Ok(_) => {
                let [byte] = byte;
                return Ok(Some(byte));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A line as it grows, in one place.
struct Line<'a> {
    bytes: SecretBytes,
    len: usize,
    what: &'a str,
}

impl<'a> Line<'a> {
    fn new(what: &'a str) -> Self {
        Self {
            bytes: SecretBytes::fill(LINE_BYTES_MAX, |_| ()),
            len: 0,
            what,
        }
    }

    fn push(&mut self, byte: u8) -> Result<(), Failure> {
        let what = self.what;
        let place = self.bytes.expose_mut().get_mut(self.len);
        *place
            .ok_or_else(|| Failure::usage(format!("{what}: more than {LINE_BYTES_MAX} bytes")))? =
            byte;
        self.len += 1;
        Ok(())
    }

    /// A character of UTF-8 is taken back whole.
    fn drop_character(&mut self) {
        while self.len > 0 {
            self.len -= 1;
            let byte = self.bytes.expose().get(self.len);
            if byte.is_none_or(|byte| byte & 0xc0 != 0x80) {
                break;
            }
        }
    }

    fn finish(mut self) -> SecretBytes {
        self.bytes.truncate(self.len);
        if self.bytes.expose().ends_with(b"\r") {
            self.bytes.truncate(self.len.saturating_sub(1));
        }
        self.bytes
    }
}

fn open(option: &str) -> Result<File, Failure> {
    let opened = OpenOptions::new().read(true).write(true).open(PATH);
    opened.map_err(|_| {
        Failure::usage("there is no terminal to ask at").hint(format!("answer by {option}"))
    })
}

/// The terminal without echo and without its own editing, so that ^C is a key like another: the
/// echo comes back before the program ends.
fn quiet(terminal: &File) -> io::Result<Restored> {
    let mut mode = termios::tcgetattr(terminal)?;
    let off = LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON;
    mode.local_modes.remove(off);
    let restored = Restored::make(
        terminal,
        &mode,
        OptionalActions::Flush,
        OptionalActions::Now,
    )?;
    Ok(restored.waited_for())
}

/// The terminal of this session, whatever the streams are.
const PATH: &str = "/dev/tty";

/// 4,096 bytes: four times a password's most, as much as a terminal gives in one line.
const LINE_BYTES_MAX: usize = 4_096;

/// Keys of a terminal that does not edit lines itself (ASCII control characters).
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use super::*;

    /// By a pipe in the terminal's place.
    #[track_caller]
    fn check(keys: &[u8], expected: Option<&[u8]>) {
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(keys).unwrap();
        drop(write);
        let line = edit(read);
        assert_eq!(line.ok().as_ref().map(SecretBytes::expose), expected);
    }

    #[test]
    fn keys_make_a_line() {
        check(b"abc\nmore", Some(b"abc"));
        check(b"abc\rmore", Some(b"abc"));
        check(b"abc", Some(b"abc"));
        check(b"ab\x7fc\n", Some(b"ac"));
        check("a\u{e9}\u{8}b\n".as_bytes(), Some(b"ab"));
        check(b"\x7f\x7fa\n", Some(b"a"));
        check(b"abc\x15d\n", Some(b"d"));
        check(b"abc\x03", None);
        check(b"\x04", Some(b""));
        check(&[b'a'; LINE_BYTES_MAX], Some(&[b'a'; LINE_BYTES_MAX]));
        check(&[b'a'; LINE_BYTES_MAX + 1], None);
    }
}
