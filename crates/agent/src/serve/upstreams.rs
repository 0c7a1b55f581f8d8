//! Connections to the agent that was there before, one for each program that needs it.
//!
//! **Invariant:** it is never ourselves, and never another user's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keystead_daemon::frame::{FrameReader, Limits, write_frame};
use keystead_daemon::socket::{connect, peer};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::event::Event;
use crate::frame::Frame;
use crate::ids::ConnectionId;
use crate::upstream::Door;

/// All that are open.
pub(super) struct Upstreams {
    path: Option<PathBuf>,
    events: mpsc::Sender<Event>,
    open: BTreeMap<ConnectionId, mpsc::UnboundedSender<Frame>>,
}

impl Upstreams {
    pub(super) const fn new(path: Option<PathBuf>, events: mpsc::Sender<Event>) -> Self {
        let open = BTreeMap::new();
        Self { path, events, open }
    }

    pub(super) fn act(&mut self, connection: ConnectionId, door: Door) {
        match door {
            Door::Open => {
                let (frames, to_send) = mpsc::unbounded_channel();
                self.open.insert(connection, frames);
                let (path, events) = (self.path.clone(), self.events.clone());
                tokio::spawn(carry(path, connection, events, to_send));
            }
            Door::Send(message) => {
                // One that has ended says so by an event.
                if let Some(frames) = self.open.get(&connection) {
                    let _ = frames.send(message.0);
                }
            }
            Door::Close => {
                self.open.remove(&connection);
            }
        }
    }
}

async fn carry(
    path: Option<PathBuf>,
    connection: ConnectionId,
    events: mpsc::Sender<Event>,
    mut to_send: mpsc::UnboundedReceiver<Frame>,
) {
    let stream = match path {
        Some(path) => reach(&path).await,
        None => None,
    };
    if let Some(stream) = stream {
        let (reader, mut writer) = stream.into_split();
        let mut frames = FrameReader::new(reader, Limits::SSH_AGENT);
        loop {
            tokio::select! {
                came = frames.next() => match came {
                    Ok(Some(frame)) => {
                        let message = Some(frame);
                        let event = Event::Upstream { connection, message };
                        if events.send(event).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "the agent that was there before");
                        break;
                    }
                },
                frame = to_send.recv() => match frame {
                    Some(frame) if write_frame(&mut writer, &frame).await.is_err() => break,
                    Some(_) => {}
                    // Nobody needs it any more.
                    None => return,
                },
            }
        }
    }
    let message = None;
    let _ = events
        .send(Event::Upstream {
            connection,
            message,
        })
        .await;
}

async fn reach(path: &Path) -> Option<UnixStream> {
    let stream = connect(path)
        .await
        .inspect_err(|error| tracing::debug!(%error, "the agent that was there before"))
        .ok()?;
    let own_pid = i32::try_from(std::process::id()).ok();
    let listener = peer(&stream).ok()?.pid;
    if listener.is_some() && listener == own_pid {
        tracing::warn!("the agent that was there before is this one");
        return None;
    }
    Some(stream)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use keystead_formats::ssh::agent::Response;

    use super::*;
    use crate::errand::list_request;
    use crate::frame::Message;

    const PROGRAM: ConnectionId = ConnectionId(1);

    fn place(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("keystead-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir(&place).unwrap();
        place
    }

    /// What comes of a list that is asked for there.
    async fn list(path: &Path) -> Option<Frame> {
        let (events, mut came) = mpsc::channel(8);
        let mut upstreams = Upstreams::new(Some(path.to_owned()), events);
        upstreams.act(PROGRAM, Door::Open);
        upstreams.act(PROGRAM, Door::Send(Message(list_request())));
        match came.recv().await {
            Some(Event::Upstream {
                connection: PROGRAM,
                message,
            }) => message,
            _ => panic!("another event"),
        }
    }

    fn ssh_agent(path: &Path) -> Child {
        let mut agent = Command::new("ssh-agent");
        let agent = agent.arg("-D").arg("-a").arg(path).stdout(Stdio::null());
        agent.spawn().unwrap()
    }

    #[tokio::test]
    async fn a_real_agent_answers_through_it() {
        let place = place("upstream");
        let path = place.join("socket");
        let mut agent = ssh_agent(&path);
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let answer = list(&path).await.unwrap();
        assert_eq!(
            Response::parse(&answer),
            Ok(Response::Identities(Vec::new()))
        );
        agent.kill().unwrap();
        agent.wait().unwrap();
        assert!(list(&path).await.is_none(), "nobody listens");
        std::fs::remove_dir_all(&place).unwrap();
    }

    #[tokio::test]
    async fn we_are_not_our_own_upstream() {
        let place = place("ourselves");
        let path = place.join("socket");
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        assert!(list(&path).await.is_none());
        std::fs::remove_dir_all(&place).unwrap();
    }
}
