//! The program that `SSH_ASKPASS` names: how a process without a terminal asks its person, as
//! OpenSSH's do (ssh-agent(1), ssh-add(1), `SSH_ASKPASS_PROMPT`).
//!
//! **Invariant**: what the program says goes from its pipe into the caller's memory and nowhere
//! else.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};

/// What the program is told about the question (`SSH_ASKPASS_PROMPT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Yes or no.
    Confirm,
    /// Nothing to answer: it stays until it is stopped.
    Notice,
    /// A PIN or a passphrase.
    Secret,
}

/// The environment as far as it decides which program asks.
pub struct Environment {
    program: Option<OsString>,
    require: Option<OsString>,
    has_display: bool,
}

impl Environment {
    /// This process's.
    #[must_use]
    pub fn read() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|it| !it.is_empty());
        Self {
            program: std::env::var_os("SSH_ASKPASS"),
            require: std::env::var_os("SSH_ASKPASS_REQUIRE"),
            has_display: is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
        }
    }

    /// The program, if one may be started: `SSH_ASKPASS_REQUIRE` wins over the displays.
    fn program(&self) -> Option<&OsStr> {
        let is = |word: &str| {
            let require = self.require.as_deref();
            require.is_some_and(|it| it.eq_ignore_ascii_case(word))
        };
        let may_ask = is("force") || (self.has_display && !is("never"));
        let program = self.program.as_deref().unwrap_or(DEFAULT_PROGRAM.as_ref());
        (may_ask && !program.is_empty()).then_some(program)
    }

    /// Starts the program with a question; what it answers comes on its standard output.
    #[must_use]
    pub fn start(&self, prompt: Prompt, question: &str) -> Option<Child> {
        let mut command = Command::new(self.program()?);
        command.arg(question).stdin(Stdio::null());
        match prompt {
            Prompt::Confirm => {
                command.env(HINT, "confirm").stdout(Stdio::piped());
            }
            Prompt::Notice => {
                command.env(HINT, "none").stdout(Stdio::null());
            }
            Prompt::Secret => {
                command.env_remove(HINT).stdout(Stdio::piped());
            }
        }
        let started = command.spawn();
        if let Err(error) = &started {
            tracing::warn!("{:?} cannot be started: {error}", command.get_program());
        }
        started.ok()
    }
}

/// What a program says before it ends, up to the end of its first line, as far as it fits into
/// `place`; returns its length. Whether the program ended well is [`Child::wait`]'s word.
///
/// # Errors
/// The pipe's: then nothing was answered.
pub fn read_line(mut from: impl Read, place: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = place.get_mut(len..).filter(|it| !it.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let said = place.get(..len).unwrap_or_default();
    let end = said.iter().position(|it| b"\r\n".contains(it));
    Ok(end.unwrap_or(len))
}

/// 1,023 bytes of an answer, as OpenSSH takes.
pub const LINE_BYTES_MAX: usize = 1_023;

/// As Debian's OpenSSH has it.
const DEFAULT_PROGRAM: &str = "/usr/bin/ssh-askpass";

const HINT: &str = "SSH_ASKPASS_PROMPT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_asked() {
        let check = |program: Option<&str>, require: Option<&str>, has_display, expected| {
            let environment = Environment {
                program: program.map(OsString::from),
                require: require.map(OsString::from),
                has_display,
            };
            let found = environment.program().and_then(OsStr::to_str);
            assert_eq!(found, expected, "{program:?} {require:?} {has_display}");
        };
        let default = Some(DEFAULT_PROGRAM);
        check(None, None, false, None);
        check(None, None, true, default);
        check(Some("ask"), None, true, Some("ask"));
        check(Some(""), None, true, None);
        check(Some("ask"), None, false, None);
        check(Some("ask"), Some("force"), false, Some("ask"));
        check(Some("ask"), Some("FORCE"), false, Some("ask"));
        check(Some("ask"), Some("prefer"), false, None);
        check(Some("ask"), Some("prefer"), true, Some("ask"));
        check(Some("ask"), Some("never"), true, None);
        check(Some("ask"), Some("other"), true, Some("ask"));
    }

    #[test]
    fn the_first_line_is_the_answer() {
        let check = |said: &[u8], expected: &[u8]| {
            let mut place = [0xff; LINE_BYTES_MAX];
            let len = read_line(said, &mut place).unwrap();
            assert_eq!(&place[..len], expected);
        };
        check(b"", b"");
        check(b"\nno", b"");
        check(b"yes", b"yes");
        check(b"a b\r\nc", b"a b");
        check(&[b'a'; 5_000], &[b'a'; LINE_BYTES_MAX]);
        assert_eq!(read_line(&b"abc"[..], &mut []).unwrap(), 0);
    }

    /// A program that cannot be heard has not said yes.
    #[test]
    fn a_broken_pipe_is_no_answer() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        assert!(read_line(Broken, &mut [0; 8]).is_err());
    }
}
