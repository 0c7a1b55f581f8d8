//! Why a command did not do what it was asked: for the person, with a hint.

use std::error::Error;

use keystead_daemon::home::FolderError;
use keystead_daemon::process::LockError;
use keystead_daemon::socket::{ConnectError, ListenError};
use keystead_transport::StartError;

use crate::LoadError;
use crate::settings::SettingsError;

/// What is said, and the exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) status: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
            status: STATUS_ERROR,
        }
    }

    /// The holder said no.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self {
            status: STATUS_REFUSED,
            ..Self::new(message, "")
        }
    }

    /// Whoever read standard output had enough: nothing is wrong, and nobody to be told.
    pub(crate) fn hung_up() -> Self {
        Self {
            status: STATUS_PIPE,
            ..Self::new("", "")
        }
    }

    /// ^C at a question, where the terminal hands it over as a key.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self {
            status: STATUS_INTERRUPTED,
            ..Self::new(message, "")
        }
    }

    /// ^C, or another signal that ends a program.
    pub(crate) fn given_up(signal: &str) -> Self {
        let (by, status) = match signal {
            "SIGINT" => ("^C", STATUS_INTERRUPTED),
            other => (other, STATUS_ERROR),
        };
        Self {
            status,
            ..Self::new(
                format!("ended by {by}"),
                "keystead-authenticator status lists what is paired",
            )
        }
    }

    /// An error with all its causes in one line.
    fn of(error: &dyn Error, hint: impl Into<String>) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(message, hint)
    }
}

macro_rules! from_error_with_hint {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let hint = error.hint();
                Self::of(&error, hint)
            }
        })*
    };
}

from_error_with_hint!(
    LoadError,
    FolderError,
    LockError,
    ListenError,
    SettingsError,
    StartError
);

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::of(&error, "see which process has the socket, and stop it")
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error, "")
    }
}

/// 1: it was not done (STYLE, "Commands people type").
const STATUS_ERROR: u8 = 1;
/// 3: the holder said no.
const STATUS_REFUSED: u8 = 3;
/// 128 and the number of SIGPIPE, as of a program that it ended.
const STATUS_PIPE: u8 = 141;
/// ^C: 128 and the signal's number, as shells have it.
const STATUS_INTERRUPTED: u8 = 130;
