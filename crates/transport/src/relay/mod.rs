//! Serves one relay: WebSocket first, long poll where that is refused, and
//! again after growing pauses when the relay is away.
//!
//! Invariant: an outage is said once, and its end once; what is wanted of the
//! relay stands on the [`Desk`] and is not lost with a connection.

mod desk;
mod http;
mod poll;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::connect::Connector;
use crate::event::MailboxId;
use crate::pause::Pauses;
use crate::{NetEvent, RelayUrl};

pub(crate) use desk::{Call, Desk, Job};

/// Serves the relay until the desk closes or nobody reads events any more.
pub(crate) async fn serve(mut line: Line) {
    let mut pauses = Pauses::new(PAUSE_FIRST, PAUSE_LONGEST);
    let mut way = Way::WebSocket;
    while !line.is_closing() {
        line.site.desk.lock().outbox.rewind(Instant::now());
        let ended = match way {
            Way::WebSocket => websocket::run(&mut line).await,
            Way::LongPoll => poll::run(&mut line).await,
        };
        tracing::debug!(relay = %line.site.relay, ?way, ?ended, "connection to relay ended");
        way = Way::WebSocket;
        match ended {
            Ended::Done => return,
            Ended::Renew => continue,
            Ended::Refused => {
                way = Way::LongPoll;
                continue;
            }
            // One loss is no outage yet: the next attempt decides.
            Ended::Lost => pauses.reset(),
            Ended::Away(reason) => line.down(reason).await,
        }
        line.pause(pauses.grow()).await;
    }
}

/// One relay: where it is, what is wanted of it, and how to reach it.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) relay: RelayUrl,
    pub(crate) desk: Arc<Desk>,
    pub(crate) connector: Connector,
}

/// One relay, and whom to tell about it.
pub(crate) struct Line {
    site: Site,
    events: mpsc::Sender<NetEvent>,
    said: Said,
}

impl Line {
    pub(crate) fn new(site: Site, events: mpsc::Sender<NetEvent>) -> Self {
        Self {
            site,
            events,
            said: Said::Nothing,
        }
    }

    fn is_closing(&self) -> bool {
        self.events.is_closed() || self.site.desk.lock().closing
    }

    async fn up(&mut self) {
        if self.said != Said::Up {
            self.said = Said::Up;
            let relay = self.site.relay.clone();
            self.tell(NetEvent::RelayUp { relay }).await;
        }
    }

    async fn down(&mut self, reason: String) {
        if self.said != Said::Down {
            self.said = Said::Down;
            let relay = self.site.relay.clone();
            self.tell(NetEvent::RelayDown { relay, reason }).await;
        }
    }

    /// Delivers an item, if its mailbox is still wanted.
    async fn deliver(&self, mailbox: MailboxId, item: Vec<u8>) -> bool {
        let wanted = self.site.desk.lock().read_token(&mailbox).is_some();
        if wanted {
            let relay = self.site.relay.clone();
            self.tell(NetEvent::Item {
                relay,
                mailbox,
                item,
            })
            .await;
        }
        wanted
    }

    /// The relay says that a wanted mailbox is deleted: nothing more will come of it.
    async fn gone(&self, mailbox: MailboxId) {
        if self.site.desk.lock().unsubscribe(&mailbox) {
            let relay = self.site.relay.clone();
            self.tell(NetEvent::Gone { relay, mailbox }).await;
        }
    }

    /// The oldest call on its way was refused.
    async fn refused(&self, status: u16) {
        let job = self.site.desk.lock().outbox.confirm();
        if let Some(Job {
            mailbox,
            call: Call::Post { .. },
            ..
        }) = job
        {
            let relay = self.site.relay.clone();
            self.tell(NetEvent::PostRefused {
                relay,
                mailbox,
                status,
            })
            .await;
        }
    }

    /// Waits for the reader, so that who does not read is not flooded. After the close nothing is told.
    async fn tell(&self, event: NetEvent) {
        if !self.is_closing() {
            // A reader that is gone ends `serve` by `is_closing`.
            let _ = self.events.send(event).await;
        }
    }

    /// Waits before the next attempt; something new to do shortens it, since a person may be waiting.
    async fn pause(&self, pause: Duration) {
        let wanted = async {
            sleep(PAUSE_SHORTEST).await;
            self.site.desk.changed.notified().await;
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = wanted => {}
        }
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The desk closes.
    Done,
    /// All is well, but it is time to try the better way again.
    Renew,
    /// No WebSocket here: long poll may do.
    Refused,
    /// It worked for a while and broke.
    Lost,
    /// It never worked.
    Away(String),
}

#[derive(Clone, Copy, Debug)]
enum Way {
    WebSocket,
    LongPoll,
}

#[derive(PartialEq)]
enum Said {
    Nothing,
    Up,
    Down,
}

/// First pause after a failure. Why: a restarted relay is back in less.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// Bound of the pauses. Why: a relay that returns is used again within a minute,
/// and a thousand waiting clients cost it a few dozen connections a second.
const PAUSE_LONGEST: Duration = Duration::from_secs(30);

/// Least pause when something new is to be done. Why: a program that asks in a loop
/// must not become a connection flood.
const PAUSE_SHORTEST: Duration = Duration::from_secs(1);
