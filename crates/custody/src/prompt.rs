//! Passwords, passphrases and codes: from descriptors, else from the terminal, straight into
//! locked memory.
//!
//! **Invariant:** no byte of one is ever in a `String`, a buffer of the standard library, an
//! argument or a variable of the environment; what came by a descriptor is not asked for again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;

use keystead_channel::session::Password;
use keystead_core::SecretBytes;

use crate::arguments::Answers;
use crate::failure::Failure;
use crate::strength;
use crate::talk::say;
use crate::terminal::{read_line, typed};

/// What the descriptors gave; what they did not give is typed when it is needed.
#[derive(Default)]
pub(crate) struct Given {
    descriptors: Descriptors,
    password: Option<SecretBytes>,
    new_password: Option<SecretBytes>,
    passphrase: Option<SecretBytes>,
    new_passphrase: Option<SecretBytes>,
    recovery_code: Option<SecretBytes>,
}

impl Given {
    /// Reads all descriptors that were named, in the one order: password, passphrase, recovery
    /// code. A command reads them before it does anything else.
    pub(crate) fn read(answers: Answers, recovery_code_fd: Option<u32>) -> Result<Self, Failure> {
        let mut open = Descriptors::default();
        Ok(Self {
            password: open.line(answers.password_fd, "password")?,
            passphrase: open.line(answers.passphrase_fd, "passphrase")?,
            recovery_code: open.line(recovery_code_fd, "recovery code")?,
            descriptors: open,
            ..Self::default()
        })
    }

    /// The same where the password is changed: the one there is, then the new one.
    pub(crate) fn read_passwords(
        answers: Answers,
        new_password_fd: Option<u32>,
    ) -> Result<Self, Failure> {
        let mut given = Self::read(answers, None)?;
        given.new_password = given.descriptors.line(new_password_fd, "new password")?;
        Ok(given)
    }

    /// The same for a command that takes passphrases alone: the one there is, then the new one.
    pub(crate) fn read_passphrases(
        passphrase_fd: Option<u32>,
        new_passphrase_fd: Option<u32>,
    ) -> Result<Self, Failure> {
        let mut open = Descriptors::default();
        Ok(Self {
            passphrase: open.line(passphrase_fd, "passphrase")?,
            new_passphrase: open.line(new_passphrase_fd, "new passphrase")?,
            descriptors: open,
            ..Self::default()
        })
    }

    /// What stands in a descriptor behind the lines that were read from it.
    pub(crate) fn rest_of(&mut self, fd: u32) -> Result<&File, Failure> {
        self.descriptors.open(fd)
    }

    /// The password of an account that there is.
    pub(crate) fn password(&mut self, account: &str, server: &str) -> Result<Password, Failure> {
        let line = match self.password.take() {
            Some(line) => line,
            None => typed(
                &format!("password of {account} at {server}: "),
                "--password-fd",
            )?,
        };
        password(&line)
    }

    /// The password of an account that is to be: typed twice, with a word on how it will last.
    pub(crate) fn first_password(&mut self) -> Result<Password, Failure> {
        let given = self.password.take();
        let line = chosen(given, "new password", "--password-fd")?;
        password(&line)
    }

    /// The password that is to replace the one there is.
    pub(crate) fn new_password(&mut self) -> Result<Password, Failure> {
        let given = self.new_password.take();
        let line = chosen(given, "new password", "--new-password-fd")?;
        password(&line)
    }

    /// Whether a passphrase came by its descriptor.
    pub(crate) fn has_passphrase(&self) -> bool {
        self.passphrase.is_some()
    }

    /// A passphrase that there is.
    pub(crate) fn passphrase(&mut self, of: &str) -> Result<SecretBytes, Failure> {
        match self.passphrase.take() {
            Some(line) => Ok(line),
            None => typed(&format!("passphrase of {of}: "), "--passphrase-fd"),
        }
    }

    /// The passphrase of a store that is to be.
    pub(crate) fn first_passphrase(&mut self, of: &str) -> Result<SecretBytes, Failure> {
        let given = self.passphrase.take();
        chosen(given, &format!("new passphrase of {of}"), "--passphrase-fd")
    }

    /// The passphrase that is to replace the one there is.
    pub(crate) fn new_passphrase(&mut self, of: &str) -> Result<SecretBytes, Failure> {
        let given = self.new_passphrase.take();
        chosen(
            given,
            &format!("new passphrase of {of}"),
            "--new-passphrase-fd",
        )
    }

    /// A recovery code, as it was written down.
    pub(crate) fn recovery_code(&mut self) -> Result<SecretBytes, Failure> {
        match self.recovery_code.take() {
            Some(line) => Ok(line),
            None => typed("recovery code: ", "--recovery-code-fd"),
        }
    }
}

fn password(line: &SecretBytes) -> Result<Password, Failure> {
    let text = std::str::from_utf8(line.expose());
    let text = text.map_err(|_| Failure::usage("a password is UTF-8 text"))?;
    Password::new(text).map_err(|_| Failure::usage("a password has 1 to 1,024 bytes"))
}

/// What a person chooses: told how well it will last, and typed twice at the terminal.
fn chosen(given: Option<SecretBytes>, what: &str, option: &str) -> Result<SecretBytes, Failure> {
    if let Some(line) = given {
        return Ok(line);
    }
    for _ in 0..TRIES_MAX {
        let first = typed(&format!("{what}: "), option)?;
        if let Some(advice) = strength::advice(first.expose()) {
            say(format_args!("note: {advice}"));
        }
        let second = typed("the same again: ", option)?;
        if first.ct_eq(&second) {
            return Ok(first);
        }
        say("they differ; once more");
    }
    Err(Failure::usage(format!(
        "{what}: two that differ, three times"
    )))
}

/// Descriptors that were named, each opened once: two that read from one go on where the other
/// stopped.
#[derive(Default)]
struct Descriptors(BTreeMap<u32, File>);

impl Descriptors {
    /// The next line of the one that is named, if one is.
    fn line(&mut self, fd: Option<u32>, what: &str) -> Result<Option<SecretBytes>, Failure> {
        let Some(fd) = fd else {
            return Ok(None);
        };
        let line = read_line(self.open(fd)?, what)?;
        match line.is_empty() {
            true => Err(Failure::usage(format!("descriptor {fd} gives no {what}"))),
            false => Ok(Some(line)),
        }
    }

    /// Opens one by its name in the file system: its number alone cannot be read safely.
    fn open(&mut self, fd: u32) -> Result<&File, Failure> {
        let file = match self.0.entry(fd) {
            Entry::Occupied(there) => return Ok(there.into_mut()),
            Entry::Vacant(room) => match fd {
                0 => rustix::io::dup(rustix::stdio::stdin())
                    .map(|own| room.insert(File::from(own)))
                    .map_err(io::Error::from),
                _ => File::open(format!("/proc/self/fd/{fd}")).map(|file| room.insert(file)),
            },
        };
        file.map(|file| &*file).map_err(|error| {
            Failure::usage(format!("descriptor {fd} cannot be read: {error}"))
                .hint(format!("open it for the command: {fd}<FILE"))
        })
    }
}

/// How often two that differ are asked for again.
const TRIES_MAX: usize = 3;
