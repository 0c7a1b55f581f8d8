//! The one relay behind all connections, and where its actions go.
//!
//! **Invariant:** a step is short and never waits for a peer, so one lock is enough.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_daemon::{Clock, FolderDisk, Io, SystemRng};
use tokio::sync::{Notify, mpsc, oneshot};

use super::Admitted;
use crate::machine::{
    Action, Answer, CallId, Event, Limits, MailboxId, Pause, Record, Records, Relay, Request,
    SocketId, Source, TombstoneError,
};

/// The relay, its disk, and who waits for its answers.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    clock: Arc<dyn Clock>,
    next_id: AtomicU64,
    /// The next tick may be due earlier than was thought.
    sooner: Notify,
}

struct Inner {
    relay: Relay,
    disk: FolderDisk,
    calls: HashMap<CallId, oneshot::Sender<Answer>>,
    sockets: HashMap<SocketId, mpsc::Sender<Vec<u8>>>,
}

impl Shared {
    pub(super) fn load(
        limits: Limits,
        mut disk: FolderDisk,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TombstoneError> {
        let mut io = Io {
            rng: &mut SystemRng,
            disk: &mut disk,
        };
        let relay = Relay::load(clock.now(), limits, &mut io)?;
        let inner = Inner {
            relay,
            disk,
            calls: HashMap::new(),
            sockets: HashMap::new(),
        };
        Ok(Self {
            inner: Mutex::new(inner),
            clock,
            next_id: AtomicU64::new(0),
            sooner: Notify::new(),
        })
    }

    /// Takes one event; its actions go where they belong.
    pub(super) fn step(&self, event: Event) {
        let _ = self.step_in(&mut self.lock(), event);
    }

    /// Counts a connection in, until what it returns is dropped.
    pub(super) fn connect(self: &Arc<Self>, source: Source) -> Result<Admitted, Pause> {
        match self.step_in(&mut self.lock(), Event::Connect { source }) {
            Some(Action::TurnAway(pause)) => Err(pause),
            _ => Ok(Admitted {
                shared: self.clone(),
                source,
            }),
        }
    }

    /// Asks, and waits for the answer. Dropping the future hangs up.
    pub(super) async fn call(
        self: &Arc<Self>,
        source: Source,
        mailbox: MailboxId,
        request: Request,
    ) -> Answer {
        let call = CallId(self.fresh_id());
        let (send, receive) = oneshot::channel();
        let _hang_up = HangUp { shared: self, call };
        {
            let mut inner = self.lock();
            inner.calls.insert(call, send);
            let event = Event::Call {
                call,
                source,
                mailbox,
                request,
            };
            let _ = self.step_in(&mut inner, event);
        }
        self.sooner.notify_one();
        // The sender goes only with its answer.
        receive.await.unwrap_or(Answer::Done)
    }

    /// A WebSocket comes up; its frames.
    pub(super) fn open(&self, source: Source) -> (SocketId, mpsc::Receiver<Vec<u8>>) {
        let socket = SocketId(self.fresh_id());
        // The relay sends the next frame when the last went out.
        let (send, receive) = mpsc::channel(1);
        let mut inner = self.lock();
        inner.sockets.insert(socket, send);
        let _ = self.step_in(&mut inner, Event::Open { socket, source });
        (socket, receive)
    }

    /// A WebSocket went down.
    pub(super) fn close(&self, socket: SocketId) {
        let mut inner = self.lock();
        inner.sockets.remove(&socket);
        let _ = self.step_in(&mut inner, Event::Close { socket });
    }

    /// The next item of an answer.
    pub(super) fn record(&self, records: Records) -> Option<Record> {
        self.lock().relay.record(self.clock.now(), records)
    }

    /// Tells the relay the time whenever it wants to know.
    pub(super) async fn tick(self: Arc<Self>) {
        loop {
            let due_ms = self.lock().relay.next_wake_ms();
            let wait_ms = due_ms.saturating_sub(self.clock.now().mono_ms);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {
                    self.step(Event::Tick);
                }
                () = self.sooner.notified() => {}
            }
        }
    }

    /// The answer to a connection is returned; all others are sent on.
    fn step_in(&self, inner: &mut Inner, event: Event) -> Option<Action> {
        let now = self.clock.now();
        let mut io = Io {
            rng: &mut SystemRng,
            disk: &mut inner.disk,
        };
        let mut admission = None;
        for action in inner.relay.step(now, event, &mut io) {
            match action {
                Action::Admit | Action::TurnAway(_) => admission = Some(action),
                Action::Answer { call, answer } => {
                    if let Some(waiting) = inner.calls.remove(&call) {
                        // Who hung up in this moment misses nothing: items stay.
                        let _ = waiting.send(answer);
                    }
                }
                Action::Send { socket, frame } => {
                    if let Some(outbox) = inner.sockets.get(&socket) {
                        let _ = outbox.try_send(frame);
                    }
                }
            }
        }
        admission
    }

    fn fresh_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A step does not panic; were it to, its state is still whole enough to
    /// answer, and a relay holds nothing that cannot be sent again.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a call whose caller went away.
struct HangUp<'a> {
    shared: &'a Shared,
    call: CallId,
}

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        let call = self.call;
        let mut inner = self.shared.lock();
        // Answered calls are gone already.
        if inner.calls.remove(&call).is_some() {
            let _ = self.shared.step_in(&mut inner, Event::HangUp { call });
        }
    }
}
