//! What ends a command early, and the exit status that says so.

use std::error::Error;
use std::io;
use std::path::Path;

/// A command that did not do what was asked: one line, perhaps one more that
/// says what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Exit statuses that scripts rely on (the help of `keystead` lists them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Whoever read our output stopped reading: nothing to say.
    NobodyReads,
    /// Anything that has no status of its own.
    Error,
    /// Asked for something that does not exist or makes no sense.
    Usage,
    /// The holder said no.
    Refused,
    /// No keeper, or no answer.
    NotReached,
    /// A rule forbids it.
    Forbidden,
    /// The keeper has no such key, or what was to be decrypted is not for it.
    UnknownKey,
    /// `run`, `ssh connect`: the program is there and cannot be run, as env(1) has it.
    NotRun,
    /// The same: there is no such program.
    NotFound,
    /// ^C: 128 and the signal's number, as shells have it.
    Interrupted,
}

impl Status {
    /// The one of this number, where another program gave it.
    pub(crate) fn of_code(code: u8) -> Self {
        let known = [
            Self::Usage,
            Self::Refused,
            Self::NotReached,
            Self::Forbidden,
        ];
        let mut known = known.into_iter();
        known.find(|it| it.code() == code).unwrap_or(Self::Error)
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::NobodyReads => 0,
            Self::Error | Self::UnknownKey => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotReached => 4,
            Self::Forbidden => 5,
            Self::NotRun => 126,
            Self::NotFound => 127,
            Self::Interrupted => 130,
        }
    }
}

impl Failure {
    /// A failure without a status of its own.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            status: Status::Error,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure with the message of `error` and of all that caused it.
    pub(crate) fn of(error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their cause in their own message.
            if !message.ends_with(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Self::new(message)
    }

    /// Another program that could not take this one's place, as env(1) says it.
    pub(crate) fn not_run(program: &Path, error: &io::Error) -> Self {
        let status = if error.kind() == io::ErrorKind::NotFound {
            Status::NotFound
        } else {
            Status::NotRun
        };
        Self::new(format!("{}: {error}", program.display())).status(status)
    }

    /// The same with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with another exit status.
    pub(crate) fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }
}

/// For output: a closed pipe is no failure of ours.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let nobody_reads = error.kind() == io::ErrorKind::BrokenPipe;
        let status = if nobody_reads {
            Status::NobodyReads
        } else {
            Status::Error
        };
        Self::of(&error).status(status)
    }
}
