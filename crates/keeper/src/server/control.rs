//! What custody, the command line and the running agent say to each other of servers: one
//! JSON object a line over the agent's `control.sock`, and raw bytes behind those lines
//! that announce them.
//!
//! **Invariant**: what is secret (a ticket, a `master_key`, a local key) stands behind its
//! line, never in it, and goes between processes of one user alone. Each [`Command`] is
//! answered by any number of [`Reply`]s that tell of progress and exactly one that ends it.

use std::io;
use std::path::Path;

use keystead_core::SecretBytes;
use keystead_daemon::line::{self, Limits, LineError, LineReader, write_line};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// What the agent is asked about servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "command",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case",
    deny_unknown_fields
)]
pub enum Command {
    /// A login has made a session: its ticket follows, and `master_key` where the agent is
    /// to keep it. What is pinned stands in the book already. Answered by [`Reply::Done`]
    /// when the session has gone on at the agent and its keys are known.
    ServerGive {
        /// The server's name.
        server: String,
        /// Bytes of the ticket.
        ticket_bytes: usize,
        /// Bytes of `master_key`, if it is to be kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        master_key_bytes: Option<usize>,
    },
    /// Lends the session. Answered by [`Reply::Ticket`]; until it comes back the agent's own
    /// requests there wait, and when the connection ends without it the session is gone.
    ServerLend {
        /// The server's name.
        server: String,
    },
    /// A lent session comes back, on the connection that it was lent on. Answered by
    /// [`Reply::Done`].
    ServerGiveBack {
        /// The server's name.
        server: String,
        /// Bytes of the ticket.
        ticket_bytes: usize,
    },
    /// A request that carries no secret in the clear. Answered by [`Reply::Waiting`] and at
    /// last [`Reply::Answer`].
    ServerAsk {
        /// The server's name.
        server: String,
        /// Its number (`spec/session.md` section 8).
        method: u16,
        /// Bytes of the request's plaintext, its id first.
        body_bytes: usize,
    },
    /// Has a server's text approved by an authenticator. Answered by [`Reply::Reaching`],
    /// [`Reply::Waiting`] and at last [`Reply::Approval`].
    ServerApprove {
        /// The server's name.
        server: String,
        /// Which authenticator; all are asked where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<String>,
        /// Bytes of the text.
        text_bytes: usize,
    },
    /// How things stand. Answered by [`Reply::Servers`].
    ServerStatus {},
    /// Ends the session, or all of the account. Answered by [`Reply::Done`].
    ServerLogout {
        /// The server's name.
        server: String,
        /// All sessions of the account.
        everywhere: bool,
    },
    /// The `master_key` that is kept. Answered by [`Reply::MasterKey`].
    ServerMasterKey {
        /// The server's name.
        server: String,
    },
    /// Its keys, or what is accepted of its log, have changed: look again. Answered by
    /// [`Reply::Done`].
    ServerRefresh {
        /// The server's name.
        server: String,
    },
    /// Has an authenticator make the key that approves for a server. Answered by
    /// [`Reply::Reaching`], [`Reply::Waiting`] and at last [`Reply::ApprovalKey`].
    ServerApprovalKey {
        /// The server's name; it stands in the book.
        server: String,
        /// Which authenticator; may be left out when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<String>,
    },
    /// Has an authenticator open local copies. Answered by [`Reply::Reaching`],
    /// [`Reply::Waiting`] and at last [`Reply::LocalKey`].
    ServerOpenLocal {
        /// Which authenticator; may be left out when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<String>,
        /// 64 hex digits.
        salt: String,
        /// What is opened, for the person.
        what: String,
    },
}

impl Command {
    /// The command that a line holds; none for the agent's other commands, which have other
    /// names.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Result<Self, serde_json::Error>> {
        line::command(line, |name| name.starts_with(PREFIX))
    }

    /// How many raw bytes follow the line, part by part.
    #[must_use]
    pub fn bytes_behind(&self) -> Vec<usize> {
        match self {
            Self::ServerGive {
                ticket_bytes,
                master_key_bytes,
                ..
            } => [Some(*ticket_bytes), *master_key_bytes]
                .into_iter()
                .flatten()
                .collect(),
            Self::ServerGiveBack { ticket_bytes, .. } => vec![*ticket_bytes],
            Self::ServerAsk { body_bytes, .. } => vec![*body_bytes],
            Self::ServerApprove { text_bytes, .. } => vec![*text_bytes],
            Self::ServerLend { .. }
            | Self::ServerStatus {}
            | Self::ServerLogout { .. }
            | Self::ServerMasterKey { .. }
            | Self::ServerRefresh { .. }
            | Self::ServerApprovalKey { .. }
            | Self::ServerOpenLocal { .. } => Vec::new(),
        }
    }
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "reply",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
#[non_exhaustive]
pub enum Reply {
    /// Done; nothing to tell.
    Done {},
    /// Asked, and nobody has answered yet.
    Reaching {
        /// Where.
        keeper: String,
        /// Time left.
        left_s: u64,
    },
    /// A person is being asked.
    Waiting {
        /// Where.
        keeper: String,
        /// Time left.
        left_s: u64,
    },
    /// The session; its ticket follows.
    Ticket {
        /// Bytes of the ticket.
        ticket_bytes: usize,
    },
    /// The server's answer follows, as its plaintext; its receipt has been checked.
    Answer {
        /// Bytes of the answer.
        answer_bytes: usize,
    },
    /// All servers that the agent has, or had, a session of.
    Servers {
        /// By name.
        servers: Vec<Server>,
    },
    /// It follows.
    MasterKey {
        /// 32.
        master_key_bytes: usize,
    },
    /// The authenticator's word.
    Approval {
        /// 32 hex digits.
        approver: String,
        /// 128 hex digits.
        signature: String,
        /// Who said it.
        keeper: String,
    },
    /// The key that approves.
    ApprovalKey {
        /// 64 hex digits.
        public_key: String,
        /// Who made it.
        keeper: String,
    },
    /// The key of local copies follows.
    LocalKey {
        /// 32.
        key_bytes: usize,
        /// Who opened it.
        keeper: String,
    },
    /// Not done.
    Failed(Failure),
}

impl Reply {
    /// Does this end the answer to a command?
    #[must_use]
    pub const fn is_last(&self) -> bool {
        !matches!(self, Self::Reaching { .. } | Self::Waiting { .. })
    }

    /// How many raw bytes follow the line.
    #[must_use]
    pub const fn bytes_behind(&self) -> Option<usize> {
        match self {
            Self::Ticket { ticket_bytes } => Some(*ticket_bytes),
            Self::Answer { answer_bytes } => Some(*answer_bytes),
            Self::MasterKey { master_key_bytes } => Some(*master_key_bytes),
            Self::LocalKey { key_bytes, .. } => Some(*key_bytes),
            Self::Done {}
            | Self::Reaching { .. }
            | Self::Waiting { .. }
            | Self::Servers { .. }
            | Self::Approval { .. }
            | Self::ApprovalKey { .. }
            | Self::Failed(_) => None,
        }
    }
}

/// A server as the agent has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name on this machine.
    pub name: String,
    /// `https://HOST:PORT`.
    pub address: String,
    /// The account there.
    pub account: String,
    /// How far its session is.
    pub state: State,
    /// Keys there that sign for ssh.
    pub keys: usize,
    /// Is `master_key` kept, by the person's choice?
    pub has_master_key: bool,
    /// When the session was given to the agent.
    pub since_unix_s: u64,
    /// When it ends at the latest, as the server keeps it.
    pub until_unix_s: u64,
    /// What is in the way, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// Its ticket is being tried.
    Opening,
    /// It can be asked; it goes on by itself where its connection breaks.
    Open,
    /// Lent to a command.
    Lent,
    /// Only a login helps.
    Ended,
    /// The server's log is not the one that was seen: nothing is asked.
    Stopped,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The exit status of a command that ends so.
    pub status: u8,
    /// One line for a person.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A command's side of the control socket.
pub struct Door {
    lines: LineReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Door {
    /// Connects to the agent's control socket.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(socket: &Path) -> Result<Self, DoorError> {
        let stream = UnixStream::connect(socket).await.map_err(DoorError::Away)?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            lines: LineReader::new(reader, Limits::ANSWERS),
            writer,
        })
    }

    /// Says a command, with what follows its line.
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn say(&mut self, command: &Command, behind: &[&[u8]]) -> Result<(), DoorError> {
        let line = serde_json::to_vec(command).map_err(|_| DoorError::Strange)?;
        let written = async {
            write_line(&mut self.writer, &line).await?;
            for part in behind {
                self.writer.write_all(part).await?;
            }
            self.writer.flush().await
        };
        written.await.map_err(DoorError::Away)
    }

    /// The next reply, with what follows its line.
    ///
    /// # Errors
    /// The agent is gone, or says what is no reply.
    pub async fn next(&mut self) -> Result<(Reply, Option<SecretBytes>), DoorError> {
        let line = self.lines.next().await?.ok_or(DoorError::Ended)?;
        let reply: Reply = serde_json::from_slice(&line).map_err(|_| DoorError::Strange)?;
        let behind = match reply.bytes_behind() {
            Some(count) => {
                let mut bytes = self.lines.bytes(count).await?;
                Some(SecretBytes::take(&mut bytes))
            }
            None => None,
        };
        Ok((reply, behind))
    }
}

/// Why the agent gave no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// Nobody listens, or no more.
    #[error("the agent cannot be reached")]
    Away(#[source] io::Error),
    /// It hung up.
    #[error("the agent hung up")]
    Ended,
    /// Another program or version.
    #[error("the agent says what is not understood")]
    Strange,
    /// The line broke a rule.
    #[error(transparent)]
    Line(#[from] LineError),
}

impl DoorError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Away(_) | Self::Ended => "start it: `keystead agent start`",
            Self::Strange | Self::Line(_) => "restart the agent: it may be of another version",
        }
    }
}

/// What all names of these commands begin with, and no other's.
const PREFIX: &str = "server-";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<Command>, behind: &[usize]) {
        let read = Command::read(line.as_bytes()).and_then(Result::ok);
        assert_eq!(read, expected, "{line}");
        if let Some(command) = expected {
            assert_eq!(serde_json::to_string(&command).unwrap(), line);
            assert_eq!(command.bytes_behind(), behind);
        }
    }

    #[test]
    fn commands_and_what_follows_them() {
        let server = || "lab".to_owned();
        check(
            r#"{"command":"server-give","server":"lab","ticket_bytes":68,"master_key_bytes":32}"#,
            Some(Command::ServerGive {
                server: server(),
                ticket_bytes: 68,
                master_key_bytes: Some(32),
            }),
            &[68, 32],
        );
        check(
            r#"{"command":"server-ask","server":"lab","method":8,"body_bytes":20}"#,
            Some(Command::ServerAsk {
                server: server(),
                method: 8,
                body_bytes: 20,
            }),
            &[20],
        );
        check(
            r#"{"command":"server-status"}"#,
            Some(Command::ServerStatus {}),
            &[],
        );
        check(r#"{"command":"server-status","more":1}"#, None, &[]);
        check(r#"{"command":"status"}"#, None, &[]);
        check("", None, &[]);
    }

    #[test]
    fn another_command_is_none_of_ours_and_a_wrong_one_is_told() {
        assert!(Command::read(br#"{"command":"status"}"#).is_none());
        assert!(
            Command::read(br#"{"command":"server-later"}"#)
                .unwrap()
                .is_err()
        );
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let line = r#"{"command":"server-lend","server":"lab"}"#;
        for len in 0..line.len() {
            check(&line[..len], None, &[]);
        }
    }

    #[test]
    fn a_reply_says_what_follows_it() {
        let reply = Reply::Ticket { ticket_bytes: 68 };
        let line = serde_json::to_string(&reply).unwrap();
        assert_eq!(line, r#"{"reply":"ticket","ticket_bytes":68}"#);
        assert_eq!(reply.bytes_behind(), Some(68));
        assert!(reply.is_last());
    }
}
