//! A command's side of a conversation: with the running authenticator, or with
//! one in this process.

use std::path::Path;

use keystead_core::SecretBytes;
use keystead_daemon::line::{self, Limits, LineReader};
use keystead_daemon::socket::{self, ConnectError};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::control::{FromCaller, OWN_CALLER, REPLIES_MAX};
use super::failure::Failure;
use crate::control::{Command, Line, Reply};

/// Commands go out, replies come in.
pub(crate) enum Conversation {
    /// With the running one.
    Socket {
        reader: LineReader<OwnedReadHalf>,
        writer: OwnedWriteHalf,
    },
    /// With the one in this process.
    Local {
        to_edge: mpsc::Sender<FromCaller>,
        replies: mpsc::Sender<Reply>,
        to_read: mpsc::Receiver<Reply>,
    },
}

impl Conversation {
    /// With the running one; none when none is running.
    pub(crate) async fn connect(socket: &Path) -> Result<Option<Self>, Failure> {
        match socket::connect(socket).await {
            Ok(stream) => {
                let (reader, writer) = stream.into_split();
                let reader = LineReader::new(reader, Limits::ANSWERS);
                Ok(Some(Self::Socket { reader, writer }))
            }
            Err(ConnectError::NobodyListens { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// With one in this process.
    pub(crate) fn local(to_edge: mpsc::Sender<FromCaller>) -> Self {
        let (replies, to_read) = mpsc::channel(REPLIES_MAX);
        Self::Local {
            to_edge,
            replies,
            to_read,
        }
    }

    /// Sends a command.
    pub(crate) async fn say(
        &mut self,
        command: Command,
        passphrase: Option<SecretBytes>,
    ) -> Result<(), Failure> {
        match self {
            Self::Socket { writer, .. } => {
                let passphrase_bytes = passphrase.as_ref().map(SecretBytes::len);
                let text = serde_json::to_vec(&Line {
                    command,
                    passphrase_bytes,
                })
                .map_err(std::io::Error::other)?;
                line::write_line(writer, &text).await?;
                if let Some(passphrase) = passphrase {
                    writer.write_all(passphrase.expose()).await?;
                    writer.flush().await?;
                }
                Ok(())
            }
            Self::Local {
                to_edge, replies, ..
            } => {
                let replies = replies.clone();
                let sent = FromCaller::Command {
                    caller: OWN_CALLER,
                    command,
                    passphrase,
                    replies,
                };
                to_edge.send(sent).await.map_err(|_| hung_up())
            }
        }
    }

    /// The next reply.
    pub(crate) async fn next(&mut self) -> Result<Reply, Failure> {
        match self {
            Self::Socket { reader, .. } => {
                let text = reader
                    .next()
                    .await
                    .map_err(|_| hung_up())?
                    .ok_or_else(hung_up)?;
                serde_json::from_slice(&text).map_err(|error| {
                    let message = format!("the running authenticator answers strangely: {error}");
                    Failure::new(message, "restart it: it may be of another version")
                })
            }
            Self::Local { to_read, .. } => to_read.recv().await.ok_or_else(hung_up),
        }
    }
}

fn hung_up() -> Failure {
    Failure::new(
        "the running authenticator hung up",
        "see what it said, and start it again",
    )
}
