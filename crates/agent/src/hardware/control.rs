//! What commands and the running agent say to each other of hardware wallets: one JSON object a
//! line over the agent's `control.sock`.
//!
//! **Invariant:** a PIN's places and a passphrase stand behind a line, never in it. Each
//! [`Command`] but an answer is answered by any number of [`Reply`]s and exactly one that ends
//! it; hanging up takes it back.

use keystead_daemon::line;
use serde::{Deserialize, Serialize};

use crate::control::Failure;

/// What the agent is asked about hardware wallets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "command",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case",
    deny_unknown_fields
)]
pub enum Command {
    /// Takes a device as a keeper. Answered by [`Reply::Question`], [`Reply::Notice`], one
    /// [`Reply::Found`] and at last [`Reply::Opened`]. Nothing is written before the person has
    /// agreed to what was found.
    DeviceAdd {
        /// Where it is: `usb`, `usb:SERIAL`, `udp:127.0.0.1:21324`.
        path: String,
        /// Its name here; else `trezor`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The passphrase is typed on the device.
        #[serde(default)]
        passphrase_on_device: bool,
    },
    /// Has it ask for PIN and passphrase now. Answered as [`Command::DeviceAdd`]. Gets the
    /// questions of requests that wait, too.
    DeviceUnlock {
        /// Which; may be left out when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<String>,
    },
    /// Has it and the agent forget PIN and passphrase. Answered by [`Reply::Done`].
    DeviceLock {
        /// Which; may be left out when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<String>,
    },
    /// Answers a [`Reply::Question`] or [`Reply::Found`]; what follows is the old command's.
    DeviceAnswer {
        /// Which.
        question: u64,
        /// How.
        answer: Answer,
    },
}

/// An answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// So many bytes follow the line.
    Bytes(usize),
    /// It is typed on the device.
    OnDevice,
    /// The wallet that was found is the one that is meant.
    Agree,
    /// The request is given up.
    Cancel,
}

impl Command {
    /// The command that a line holds; none for the agent's other commands.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Result<Self, serde_json::Error>> {
        line::command(line, |name| NAMES.contains(&name))
    }

    /// How many raw bytes follow the line.
    #[must_use]
    pub const fn bytes_behind(&self) -> Option<usize> {
        match self {
            Self::DeviceAnswer {
                answer: Answer::Bytes(count),
                ..
            } => Some(*count),
            Self::DeviceAnswer { .. }
            | Self::DeviceAdd { .. }
            | Self::DeviceUnlock { .. }
            | Self::DeviceLock { .. } => None,
        }
    }
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "reply",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
#[non_exhaustive]
pub enum Reply {
    /// To be asked of the person, and answered by [`Command::DeviceAnswer`].
    Question {
        /// Names it.
        question: u64,
        /// Whose.
        keeper: String,
        /// What.
        what: What,
    },
    /// This wallet would be added: to be agreed to by [`Command::DeviceAnswer`]. Hanging up
    /// leaves everything as it was.
    Found {
        /// Names the question.
        question: u64,
        /// Which.
        opened: Opened,
    },
    /// Something is to be done on the device.
    Notice {
        /// One line.
        text: String,
    },
    /// It is open.
    Opened(Opened),
    /// Done; nothing to tell.
    Done {},
    /// Not done.
    Failed(Failure),
}

impl Reply {
    /// Does this end the answer to a command?
    #[must_use]
    pub const fn is_last(&self) -> bool {
        !matches!(
            self,
            Self::Question { .. } | Self::Found { .. } | Self::Notice { .. }
        )
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum What {
    /// The places of the PIN's digits.
    Pin {
        /// The one before was wrong.
        is_again: bool,
    },
    /// The passphrase.
    Passphrase {
        /// It can be typed on the device instead.
        can_be_on_device: bool,
    },
}

/// A device and the wallet that it has open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its name here.
    pub keeper: String,
    /// Where it is.
    pub path: String,
    /// Which wallet, 8 hex digits.
    pub wallet: String,
    /// What its owner calls it.
    pub label: String,
    /// `1`, `T`, …
    pub model: String,
    /// Of its firmware.
    pub version: String,
    /// The wallet hangs on a passphrase.
    pub has_passphrase: bool,
}

/// Of all [`Command`]s.
const NAMES: [&str; 4] = [
    "device-add",
    "device-unlock",
    "device-lock",
    "device-answer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<Command>, behind: Option<usize>) {
        let read = Command::read(line.as_bytes()).and_then(Result::ok);
        assert_eq!(read, expected, "{line}");
        if let Some(command) = expected {
            assert_eq!(serde_json::to_string(&command).unwrap(), line);
            assert_eq!(command.bytes_behind(), behind);
        }
    }

    #[test]
    fn commands() {
        let add = Command::DeviceAdd {
            path: "usb".to_owned(),
            name: Some("t".to_owned()),
            passphrase_on_device: false,
        };
        let line =
            r#"{"command":"device-add","path":"usb","name":"t","passphrase_on_device":false}"#;
        check(line, Some(add), None);
        let unlock = Command::DeviceUnlock { keeper: None };
        check(r#"{"command":"device-unlock"}"#, Some(unlock), None);
        let lock = Command::DeviceLock {
            keeper: Some("t".to_owned()),
        };
        check(
            r#"{"command":"device-lock","keeper":"t"}"#,
            Some(lock),
            None,
        );
        let answer = |answer| {
            let question = 7;
            Some(Command::DeviceAnswer { question, answer })
        };
        let line = r#"{"command":"device-answer","question":7,"answer":{"bytes":4}}"#;
        check(line, answer(Answer::Bytes(4)), Some(4));
        let line = r#"{"command":"device-answer","question":7,"answer":"on-device"}"#;
        check(line, answer(Answer::OnDevice), None);
        let line = r#"{"command":"device-answer","question":7,"answer":"agree"}"#;
        check(line, answer(Answer::Agree), None);
        let line = r#"{"command":"device-answer","question":7,"answer":"cancel"}"#;
        check(line, answer(Answer::Cancel), None);
        check(r#"{"command":"device-lock","more":1}"#, None, None);
        check(r#"{"command":"status"}"#, None, None);
        check("", None, None);
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let line = r#"{"command":"device-answer","question":7,"answer":"cancel"}"#;
        for length in 0..line.len() {
            check(&line[..length], None, None);
        }
    }
}
