//! Why a command did not do what it was asked: for the person, with a hint.

use std::error::Error;

use keystead_daemon::home::FolderError;
use keystead_daemon::process::LockError;
use keystead_daemon::socket::{ConnectError, ListenError};

use crate::edge::ListenerError;
use crate::edge::pki::PkiError;
use crate::edge::tls::TlsError;
use crate::sealing::{MasterKeyFault, SealingError};
use crate::settings::SettingsError;
use crate::store::StoreError;

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

    /// The server does not run, or does not answer.
    pub(crate) fn not_reached(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            status: STATUS_NOT_REACHED,
            ..Self::new(message, hint)
        }
    }

    /// The same, behind what it is about.
    pub(crate) fn about(self, what: &str) -> Self {
        let message = format!("{what}: {}", self.message);
        Self { message, ..self }
    }

    /// Whether the server does not run or does not answer.
    pub(crate) fn is_not_reached(&self) -> bool {
        self.status == STATUS_NOT_REACHED
    }

    /// Whoever read standard output had enough: nothing is wrong, and nobody to be told.
    pub(crate) fn hung_up() -> Self {
        Self {
            status: STATUS_PIPE,
            ..Self::new("", "")
        }
    }

    /// An error with all its causes in one line.
    pub(crate) fn of(error: &dyn Error, hint: impl Into<String>) -> Self {
        Self::new(in_one_line(error), hint)
    }
}

/// An error with all its causes.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries tell their cause themselves.
        if !message.ends_with(&cause_text) {
            message.push_str(": ");
            message.push_str(&cause_text);
        }
        source = cause.source();
    }
    message
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
    StoreError,
    ListenerError,
    FolderError,
    ListenError,
    SettingsError,
    TlsError,
    PkiError
);

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        // This program's folder has an option of its own.
        let hint = error.hint().replace("KEYSTEAD_HOME", "--dir");
        Self::of(&error, hint)
    }
}

impl From<SealingError> for Failure {
    fn from(error: SealingError) -> Self {
        let hint = sealing_hint(&error);
        Self::of(&error, hint)
    }
}

/// What the operator can do when rows do not open.
pub(crate) fn sealing_hint(error: &SealingError) -> &'static str {
    match error {
        SealingError::MasterKey(MasterKeyFault::Open { .. }) => "chmod 600 it",
        SealingError::MasterKey(_) => "put it back from where you keep it",
        SealingError::OtherMasterKey => {
            "put back the master key that belongs to this database; without it all is lost"
        }
        SealingError::Store(error) => error.hint(),
        SealingError::Corrupt => "restore a backup",
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let not_running = matches!(error, ConnectError::NobodyListens { .. });
        let failure = Self::of(&error, "see which process has the socket, and stop it");
        if not_running {
            let hint = "start it with `keystead-server run`, or name its folder with --dir";
            return Self::not_reached("the server does not run", hint);
        }
        failure
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error, "")
    }
}

/// 1: it was not done (STYLE, "Commands people type").
const STATUS_ERROR: u8 = 1;
/// 4: not reached, or no answer.
const STATUS_NOT_REACHED: u8 = 4;
/// 128 and the number of SIGPIPE, as of a program that it ended.
const STATUS_PIPE: u8 = 141;
