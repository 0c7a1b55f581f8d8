//! The tasks of single connections: bytes in, events out; messages in, bytes out.

use keystead_daemon::frame::{self, FrameReader};
use keystead_daemon::line::{self, LineError, LineReader, write_line};
use tokio::io::AsyncRead;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;

use super::answers::Flow;
use crate::addresses;
use crate::control::{Command, Reply};
use crate::event::{Attached, ClientId, ConnectionId, Event};

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
    mut replies: mpsc::UnboundedReceiver<Reply>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = LineReader::new(reader, line::Limits::CONTROL);
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
                let attached = match attached(&mut lines, &line).await {
                    Ok(attached) => attached,
                    Err(error) => {
                        tracing::warn!(%error, client = client.0, "closed");
                        break;
                    }
                };
                let addresses = addresses::own();
                let event = Event::Command { client, line, attached, addresses };
                if events.send(event).await.is_err() {
                    return;
                }
            }
            reply = replies.recv() => {
                let Some(reply) = reply else { return };
                let written = match serde_json::to_vec(&reply) {
                    Ok(line) => write_line(&mut writer, &line).await,
                    Err(error) => Err(error.into()),
                };
                if written.is_err() {
                    break;
                }
            }
        }
    }
    let _ = events.send(Event::Leave { client }).await;
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
