//! Asking the person by the program that `SSH_ASKPASS` names, as `ssh-agent` does (ssh-agent(1),
//! ssh-add(1), `SSH_ASKPASS_PROMPT`).
//!
//! **Invariant**: only an answer is a yes: nobody to ask, a program that fails, and one that is
//! stopped are no.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::process::{Child, Command, Stdio};

use keystead_core::SecretBytes;

/// What the program is told about the question (`SSH_ASKPASS_PROMPT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Yes or no.
    Confirm,
    /// Nothing to answer: it stays until it is stopped.
    Notice,
    /// A PIN.
    Secret,
}

/// The environment as far as it decides.
pub(super) struct Environment {
    program: Option<OsString>,
    require: Option<OsString>,
    has_display: bool,
}

impl Environment {
    /// This process's.
    pub(super) fn read() -> Self {
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

    /// Starts the program with a question.
    pub(super) fn start(&self, prompt: Prompt, question: &str) -> Option<Child> {
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

/// What a program says before it ends, up to the end of its first line. Whether it ended well
/// is [`Child::wait`]'s word.
pub(super) fn read_line(mut from: impl Read) -> SecretBytes {
    let mut len = 0;
    let mut line = SecretBytes::fill(LINE_BYTES_MAX, |_| {});
    while let Some(rest) = line.expose_mut().get_mut(len..).filter(|it| !it.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    line.truncate(len);
    let end = line.expose().iter().position(|it| b"\r\n".contains(it));
    line.truncate(end.unwrap_or(len));
    line
}

/// An empty line or `yes` is a yes.
pub(super) fn is_yes(line: &SecretBytes) -> bool {
    line.is_empty() || line.expose().eq_ignore_ascii_case(b"yes")
}

/// As Debian's OpenSSH has it.
const DEFAULT_PROGRAM: &str = "/usr/bin/ssh-askpass";

const HINT: &str = "SSH_ASKPASS_PROMPT";

/// 1,023 bytes of an answer, as OpenSSH takes.
const LINE_BYTES_MAX: usize = 1_023;

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
    fn an_empty_line_or_yes_is_yes() {
        for (said, expected) in [
            ("", true),
            ("\n", true),
            ("yes", true),
            ("YES\r\n", true),
            ("\nno", true),
            ("no\n", false),
            ("yes please\n", false),
            (" yes", false),
            ("y", false),
        ] {
            assert_eq!(is_yes(&read_line(said.as_bytes())), expected, "{said:?}");
        }
        let long = vec![b'a'; 5_000];
        assert_eq!(read_line(long.as_slice()).len(), LINE_BYTES_MAX);
    }
}
