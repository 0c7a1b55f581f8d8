//! How connections learn that the server stops, and the server that they ended.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// A connection's end of it.
#[derive(Clone)]
pub(super) struct Life {
    stopping: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

/// The server's end.
pub(super) struct Lives {
    life: Life,
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

impl Life {
    /// Waits until the server stops.
    pub(super) async fn stopped(&mut self) {
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }
}

impl Lives {
    pub(super) fn new() -> Self {
        let (stop, stopping) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let life = Life {
            stopping,
            _alive: alive,
        };
        Self { life, stop, ended }
    }

    /// For a new connection.
    pub(super) fn life(&self) -> Life {
        self.life.clone()
    }

    /// Tells all, and waits until they have ended, or for `wait`. True: all have.
    pub(super) async fn end(self, wait: Duration) -> bool {
        let Self {
            life,
            stop,
            mut ended,
        } = self;
        drop(life);
        let _ = stop.send(true);
        // Nothing is sent: it ends when the last connection drops its end.
        tokio::time::timeout(wait, ended.recv()).await.is_ok()
    }
}
