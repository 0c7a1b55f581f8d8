//! The tasks of single connections: bytes in, events out; messages in, bytes out.

use std::io;
use std::net::SocketAddr;

use keystead_core::SecretBytes;
use keystead_daemon::frame::{self, FrameReader};
use keystead_daemon::line::{self, LineError, LineReader, write_line};
use keystead_keeper::server::control;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;

use super::answers::Flow;
use crate::addresses;
use crate::control::{Command, Reply};
use crate::event::{Attached, Event};
use crate::hardware;
use crate::ids::{ClientId, ConnectionId};
use crate::key_control;
use crate::servers::Behind;

/// Reads one program's requests at the SSH agent socket; answers go out elsewhere.
pub(super) async fn program(
    reader: OwnedReadHalf,
    connection: ConnectionId,
    events: mpsc::Sender<Event>,
    mut flow: Flow,
) {
    let mut frames = FrameReader::new(reader, frame::Limits::SSH_AGENT);
    loop {
        flow.is_free().await;
        match frames.next().await {
            Ok(Some(frame)) => {
                // Nobody listens any more once the agent has ended.
                if events
                    .send(Event::Frame { connection, frame })
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, connection = connection.0, "closed");
                break;
            }
        }
    }
    let _ = events.send(Event::HangUp { connection }).await;
}

/// Serves one command at the control socket.
pub(super) async fn client(
    stream: UnixStream,
    client: ClientId,
    events: mpsc::Sender<Event>,
    mut replies: mpsc::UnboundedReceiver<Out>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = LineReader::new(reader, LIMITS);
    loop {
        tokio::select! {
            came = lines.next() => {
                let line = match came {
                    Ok(Some(line)) => line.to_vec(),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, client = client.0, "closed");
                        break;
                    }
                };
                let event = match event(&mut lines, client, line).await {
                    Ok(event) => event,
                    Err(error) => {
                        tracing::warn!(%error, client = client.0, "closed");
                        break;
                    }
                };
                let is_understood = is_understood(&event);
                if events.send(event).await.is_err() {
                    return;
                }
                if !is_understood {
                    last_word(&mut writer, &mut replies).await;
                    break;
                }
            }
            reply = replies.recv() => {
                let Some(reply) = reply else { return };
                if write(&mut writer, &reply).await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = events.send(Event::Leave { client }).await;
}

/// Bytes may follow a line that only a later version understands, and nobody knows how many: a
/// message that is to be signed must not be read as commands.
fn is_understood(event: &Event) -> bool {
    let Event::Command { line, .. } = event else {
        return true;
    };
    serde_json::from_slice::<Command>(line).is_ok()
}

/// Says why a line was not understood, behind what was to be said before.
async fn last_word<W: AsyncWrite + Unpin>(
    writer: &mut W,
    replies: &mut mpsc::UnboundedReceiver<Out>,
) {
    while let Some(reply) = replies.recv().await {
        let is_it = matches!(reply, Out::Line(Reply::Failed(_)));
        if write(writer, &reply).await.is_err() || is_it {
            return;
        }
    }
}

/// As any control socket, but that what is signed, and what its hash is of, is as long as a request.
const LIMITS: line::Limits = line::Limits {
    bytes_max: keystead_core::Request::BYTES_MAX,
    ..line::Limits::CONTROL
};

/// What goes back to a command.
pub(super) enum Out {
    /// A line.
    Line(Reply),
    /// A line about key servers, and what follows it.
    Server(control::Reply, Option<Behind>),
    /// A line about keys, and what follows it.
    Key(key_control::Reply, Option<Behind>),
    /// A line about hardware wallets.
    Device(hardware::control::Reply),
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, out: &Out) -> io::Result<()> {
    let (line, behind) = match out {
        Out::Line(reply) => (serde_json::to_vec(reply)?, None),
        Out::Server(reply, behind) => (serde_json::to_vec(reply)?, behind.as_ref()),
        Out::Key(reply, behind) => (serde_json::to_vec(reply)?, behind.as_ref()),
        Out::Device(reply) => (serde_json::to_vec(reply)?, None),
    };
    write_line(writer, &line).await?;
    if let Some(behind) = behind {
        writer.write_all(behind.0.expose()).await?;
        writer.flush().await?;
    }
    Ok(())
}

/// A command with what follows its line.
async fn event<R: AsyncRead + Unpin>(
    lines: &mut LineReader<R>,
    client: ClientId,
    line: Vec<u8>,
) -> Result<Event, LineError> {
    if let Some(Ok(command)) = control::Command::read(&line) {
        let mut behind = Vec::new();
        for count in command.bytes_behind() {
            behind.push(SecretBytes::take(&mut lines.bytes(count).await?));
        }
        return Ok(Event::ServerCommand {
            client,
            command,
            behind,
        });
    }
    if let Some(Ok(command)) = key_control::Command::read(&line) {
        let mut behind = Vec::new();
        for count in command.bytes_behind() {
            behind.push(SecretBytes::take(&mut lines.bytes(count).await?));
        }
        return Ok(Event::KeyCommand {
            client,
            command,
            behind,
        });
    }
    if let Some(Ok(command)) = hardware::control::Command::read(&line) {
        let behind = match command.bytes_behind() {
            Some(count) => Some(SecretBytes::take(&mut lines.bytes(count).await?)),
            None => None,
        };
        return Ok(Event::DeviceCommand {
            client,
            command,
            behind,
        });
    }
    Ok(Event::Command {
        client,
        attached: attached(lines, &line).await?,
        addresses: addresses_for(&line),
        line,
    })
}

/// This machine's addresses, which a pairing names; to list them takes longer than most commands.
fn addresses_for(line: &[u8]) -> Vec<SocketAddr> {
    match serde_json::from_slice(line) {
        Ok(Command::Pair { .. }) => addresses::own(),
        _ => Vec::new(),
    }
}

/// The bytes that a line announces, and that come behind it.
async fn attached<R: AsyncRead + Unpin>(
    lines: &mut LineReader<R>,
    line: &[u8],
) -> Result<Option<Attached>, LineError> {
    let Ok(Command::ImportKey {
        key_bytes,
        passphrase_bytes,
        ..
    }) = serde_json::from_slice(line)
    else {
        return Ok(None);
    };
    let key = lines.bytes(key_bytes).await?;
    let passphrase = match passphrase_bytes {
        Some(count) => Some(lines.bytes(count).await?),
        None => None,
    };
    Ok(Some(Attached { key, passphrase }))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::failures::usage;

    const CLIENT: ClientId = ClientId(1);

    /// What of a client's bytes reaches the agent, which answers the first command by a failure.
    async fn check(sent: &[u8], lines_expected: &[&str]) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (events, mut came) = mpsc::channel(8);
        let (replies, to_write) = mpsc::unbounded_channel();
        let task = tokio::spawn(client(ours, CLIENT, events, to_write));
        theirs.write_all(sent).await.unwrap();
        let mut lines = Vec::new();
        while lines.len() < lines_expected.len() {
            let Some(Event::Command { line, .. }) = came.recv().await else {
                panic!("another event");
            };
            lines.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(lines, lines_expected);
        let failure = Reply::Failed(usage("no", "try again"));
        replies.send(Out::Line(failure)).unwrap();
        drop(replies);
        task.await.unwrap();
        let mut said = String::new();
        theirs.read_to_string(&mut said).await.unwrap();
        assert!(said.contains(r#""message":"no""#), "{said}");
        while let Some(event) = came.recv().await {
            assert!(matches!(event, Event::Leave { client: CLIENT }));
        }
    }

    #[tokio::test]
    async fn what_follows_a_line_that_is_not_understood_is_no_command() {
        let stop = r#"{"command":"stop"}"#;
        let status = r#"{"command":"status"}"#;
        check(format!("{status}\n{stop}\n").as_bytes(), &[status, stop]).await;
        for later in [
            r#"{"command":"key-sign","key":{},"form":1,"content_bytes":19,"later":1}"#,
            r#"{"command":"key-later","content_bytes":19}"#,
            r#"{"command":"import-key","key_bytes":19,"confirm":false,"later":1}"#,
            "",
        ] {
            check(format!("{later}\n{stop}\n").as_bytes(), &[later]).await;
        }
    }
}
