//! The tasks of single connections: bytes in, events out; messages in, bytes out.

use keystead_daemon::frame::{self, FrameReader, write_frame};
use keystead_daemon::line::{self, LineReader, write_line};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::addresses;
use crate::agent::{ClientId, ConnectionId, Event};
use crate::control::Reply;

/// Serves one program at the SSH agent socket.
pub(super) async fn program(
    stream: UnixStream,
    connection: ConnectionId,
    events: mpsc::Sender<Event>,
    mut answers: mpsc::UnboundedReceiver<Vec<u8>>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut frames = FrameReader::new(reader, frame::Limits::SSH_AGENT);
    if read_and_write(&mut frames, &mut writer, connection, &events, &mut answers).await {
        // Nobody listens any more once the agent has ended.
        let _ = events.send(Event::HangUp { connection }).await;
        // What was answered before it hung up still goes out: some only close their sending side.
        while let Some(message) = answers.recv().await {
            if write_frame(&mut writer, &message).await.is_err() {
                break;
            }
        }
    }
}

/// False when the agent closes the connection, true when the program does.
async fn read_and_write<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    frames: &mut FrameReader<R>,
    writer: &mut W,
    connection: ConnectionId,
    events: &mpsc::Sender<Event>,
    answers: &mut mpsc::UnboundedReceiver<Vec<u8>>,
) -> bool {
    loop {
        tokio::select! {
            came = frames.next() => match came {
                Ok(Some(frame)) => {
                    if events.send(Event::Frame { connection, frame }).await.is_err() {
                        return false;
                    }
                }
                Ok(None) => return true,
                Err(error) => {
                    tracing::warn!(%error, connection = connection.0, "closed");
                    return true;
                }
            },
            answer = answers.recv() => match answer {
                Some(message) => {
                    if write_frame(writer, &message).await.is_err() {
                        return true;
                    }
                }
                None => return false,
            },
        }
    }
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
                let addresses = addresses::own();
                let event = Event::Command { client, line, addresses };
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
