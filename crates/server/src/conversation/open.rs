//! A session that is open on a connection.
//!
//! **Invariant**: what a frame asks is answered under its own number, once; when a
//! session is told to end, nothing of it is answered after the notice.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use keystead_channel::session::{Closed, Frame, Notice, ServerSession, Status};
use tokio::sync::mpsc::Receiver;

use super::work::{self, Opened, Outcome};
use super::{Done, Step};
use crate::server::Server;
use crate::session::{Listening, Pending, Served, Then, Who};

/// An open session.
pub(super) struct Open {
    server: Arc<Server>,
    session: ServerSession,
    who: Who,
    /// When its last frame came.
    last_ms: u64,
    /// Requests that are being served.
    busy: usize,
    _listening: Option<Listening>,
}

impl Open {
    /// The session, its first frame, and what it listens to.
    pub(super) fn new(
        server: &Arc<Server>,
        opened: Opened,
        now_ms: u64,
    ) -> (Self, Vec<u8>, Option<Receiver<Status>>) {
        let Opened {
            session,
            who,
            frame,
        } = opened;
        let (listening, receiver) = match &who {
            Who::Registration(_) => (None, None),
            Who::Request(caller) => {
                let (listening, receiver) = server.live.listen(caller.session, caller.account);
                (Some(listening), Some(receiver))
            }
        };
        server.metrics.sessions.inc();
        let open = Self {
            server: Arc::clone(server),
            session,
            who,
            last_ms: now_ms,
            busy: 0,
            _listening: listening,
        };
        (open, frame, receiver)
    }

    /// Takes a sealed frame; what it asks is to be worked on.
    pub(super) fn receive(
        &mut self,
        frame: &Frame<'_>,
        now_ms: u64,
    ) -> Result<BoxFuture<'static, Done>, Closed> {
        let incoming = self.session.receive(frame)?;
        self.last_ms = now_ms;
        self.busy += 1;
        let server = Arc::clone(&self.server);
        let handle = self.session.handle();
        Ok(match &mut self.who {
            Who::Registration(pending) => {
                let session = self.session.id();
                work::complete(server, handle, session, pending.take(), incoming)
            }
            Who::Request(caller) => work::serve(server, handle, caller.clone(), incoming),
        })
    }

    /// Sends what came of a request.
    pub(super) fn answer(&mut self, sub: u64, served: Served, is_first: bool) -> Vec<Step> {
        let Served {
            answer,
            then,
            later,
        } = served;
        if is_first {
            self.busy = self.busy.saturating_sub(1);
        }
        let mut steps = Vec::new();
        // Nobody waits for the answer only where the session is closed.
        if let Ok(frame) = self.session.answer(sub, &answer) {
            steps.push(Step::Send(frame));
        }
        if let Some(later) = later {
            let handle = self.session.handle();
            steps.push(Step::Work(Box::pin(async move {
                let outcome = Outcome::Served {
                    sub,
                    served: later.await,
                    is_first: false,
                };
                Done { handle, outcome }
            })));
        }
        if then == Then::Close {
            steps.extend(self.close(Status::LoginRequired));
        }
        steps
    }

    /// Ends it; the client is told why.
    pub(super) fn close(&mut self, status: Status) -> Vec<Step> {
        let sealed = self.session.notice(&Notice::closed(status));
        sealed.map(Step::Send).into_iter().collect()
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Whether a request is being served.
    pub(super) fn is_busy(&self) -> bool {
        self.busy > 0
    }

    /// When it has been idle for too long: its traffic keys are dropped then.
    pub(super) fn until_ms(&self) -> u64 {
        let idle_s = self.server.settings.sessions.idle_s;
        let idle_ms = u64::from(idle_s).saturating_mul(1_000);
        self.last_ms.saturating_add(idle_ms)
    }

    /// What its end leaves in the store: of a registration that was not completed.
    pub(super) fn take_pending(&mut self) -> Option<Pending> {
        match &mut self.who {
            Who::Registration(pending) => pending.take(),
            Who::Request(_) => None,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.server.metrics.sessions.dec();
    }
}
