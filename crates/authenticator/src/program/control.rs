//! The control socket: other commands of this user speak to the running authenticator.
//!
//! **Invariant**: what follows a line as a passphrase goes from the socket into
//! locked memory; a connection that breaks a rule gets one line and is closed.

use std::path::PathBuf;

use keystead_core::SecretBytes;
use keystead_daemon::home::Folders;
use keystead_daemon::line::{self, Limits, LineReader};
use keystead_daemon::socket::Listener;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::control::{Command, Line, Reply};
use crate::holder::Caller;

/// Where the running authenticator listens for commands.
pub(crate) fn socket(folders: &Folders) -> PathBuf {
    folders.runtime.join("control.sock")
}

/// What comes from commands.
pub(crate) enum FromCaller {
    /// A command.
    Command {
        caller: Caller,
        command: Command,
        passphrase: Option<SecretBytes>,
        replies: mpsc::Sender<Reply>,
    },
    /// The command's connection ended.
    Gone(Caller),
}

/// Accepts connections until the program ends.
pub(crate) async fn serve(listener: Listener, to_edge: mpsc::Sender<FromCaller>) {
    let mut next = FIRST_CALLER;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let caller = Caller(next);
                next = next.wrapping_add(1);
                tokio::spawn(converse(stream, caller, to_edge.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "the control socket broke");
                return;
            }
        }
    }
}

async fn converse(stream: UnixStream, caller: Caller, to_edge: mpsc::Sender<FromCaller>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = LineReader::new(reader, Limits::CONTROL);
    let (replies, mut to_write) = mpsc::channel(REPLIES_MAX);
    let writing = async {
        while let Some(reply) = to_write.recv().await {
            if write(&mut writer, &reply).await.is_err() {
                break;
            }
        }
    };
    // Neither is dropped while the other goes on: a line would lose its passphrase,
    // whose bytes were read as the next line then.
    let broken = tokio::select! {
        broken = read_commands(&mut reader, caller, &to_edge, &replies) => broken,
        () = writing => Ok(()),
    };
    if let Err(message) = broken {
        let _ = write(&mut writer, &Reply::failed(message, "")).await;
    }
    let _ = to_edge.send(FromCaller::Gone(caller)).await;
}

/// Hands commands on until the connection, or the program, ends.
async fn read_commands(
    reader: &mut LineReader<tokio::net::unix::OwnedReadHalf>,
    caller: Caller,
    to_edge: &mpsc::Sender<FromCaller>,
    replies: &mpsc::Sender<Reply>,
) -> Result<(), String> {
    while let Some((command, passphrase)) = read_command(reader).await? {
        let sent = FromCaller::Command {
            caller,
            command,
            passphrase,
            replies: replies.clone(),
        };
        if to_edge.send(sent).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// A whole command, with the passphrase that its line announces.
async fn read_command(
    reader: &mut LineReader<tokio::net::unix::OwnedReadHalf>,
) -> Result<Option<(Command, Option<SecretBytes>)>, String> {
    let Some(text) = reader.next().await.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let line: Line = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let passphrase = match line.passphrase_bytes {
        None => None,
        Some(bytes) if bytes <= line.command.secret_bytes_max() => {
            let mut raw = reader
                .bytes(bytes)
                .await
                .map_err(|error| error.to_string())?;
            Some(SecretBytes::take(&mut raw))
        }
        Some(_) => {
            return Err(format!(
                "at most {} bytes may follow this line",
                line.command.secret_bytes_max()
            ));
        }
    };
    Ok(Some((line.command, passphrase)))
}

async fn write(
    writer: &mut tokio::net::unix::OwnedWriteHalf,
    reply: &Reply,
) -> std::io::Result<()> {
    let text = serde_json::to_vec(reply)?;
    line::write_line(writer, &text).await
}

/// Replies that a slow command has not read yet; a command gets a handful.
pub(crate) const REPLIES_MAX: usize = 64;

/// The first one is a command in this very process.
const FIRST_CALLER: u64 = 1;

/// The caller in this very process.
pub(crate) const OWN_CALLER: Caller = Caller(0);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_reply_between_a_line_and_its_passphrase_takes_nothing_away() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (to_edge, mut commands) = mpsc::channel(1);
        tokio::spawn(converse(theirs, Caller(1), to_edge));
        let (reader, mut writer) = ours.into_split();
        let mut reader = LineReader::new(reader, Limits::ANSWERS);
        let line = |command: Command, passphrase_bytes| {
            let line = Line {
                command,
                passphrase_bytes,
            };
            serde_json::to_vec(&line).unwrap()
        };
        line::write_line(&mut writer, &line(Command::Status, None))
            .await
            .unwrap();
        let Some(FromCaller::Command { replies, .. }) = commands.recv().await else {
            panic!("no command");
        };
        line::write_line(&mut writer, &line(Command::Unlock, Some(6)))
            .await
            .unwrap();
        // Until the line is read and its passphrase waited for.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        replies.send(Reply::done("late")).await.unwrap();
        reader.next().await.unwrap().unwrap();
        writer.write_all(b"sesame").await.unwrap();
        let Some(FromCaller::Command { passphrase, .. }) = commands.recv().await else {
            panic!("the line is lost");
        };
        assert_eq!(passphrase.unwrap().expose(), b"sesame");
    }
}
