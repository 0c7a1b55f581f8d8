//! Carries one connection: frames to its conversation, and what that wants back.
//!
//! **Invariant**: each wait has an end: for hello, for a login, for a session's next
//! frame, for a slow reader. While frames go out none is read, so nothing piles up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use keystead_channel::session::{Frame, Handle, Status, error_frame};
use keystead_daemon::{Clock, SystemClock};

use super::admission::Place;
use super::frames::{End, Frames};
use super::life::Life;
use crate::conversation::{Conversation, Done, Link, Step};
use crate::server::Server;

/// One connection.
pub(super) struct Carrier<F> {
    frames: F,
    talk: Conversation,
    place: Place,
    life: Life,
    /// What is being done for it.
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    waits: Waits,
    /// What goes out next.
    outbox: Vec<Vec<u8>>,
    state: State,
}

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
struct Waits {
    /// For hello: until then.
    hello_until_ms: u64,
    /// Without a session and without a frame.
    idle_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No frame has come.
    Silent,
    /// Hello was said.
    Greeted,
    /// A session has been open: the place is kept.
    Settled,
    /// Nothing more is sent.
    Closing,
}

/// What happened.
enum Event {
    Frame(Result<Vec<u8>, End>),
    Done(Done),
    Due,
    Evicted,
    Stop,
}

impl<F: Frames> Carrier<F> {
    pub(super) fn new(
        server: &Arc<Server>,
        link: Link,
        frames: F,
        place: Place,
        life: Life,
        hello_until_ms: u64,
    ) -> Self {
        let connections = server.settings.connections;
        Self {
            frames,
            talk: Conversation::new(server.clone(), link),
            place,
            life,
            work: FuturesUnordered::new(),
            waits: Waits {
                hello_until_ms,
                idle_ms: u64::from(connections.idle_s) * 1_000,
            },
            outbox: Vec::new(),
            state: State::Silent,
        }
    }

    /// Until the connection ends; what was begun for it is done to its end.
    pub(super) async fn carry(mut self) {
        let is_closed_by_us = self.talk_on().await;
        let Self {
            frames,
            mut talk,
            work,
            ..
        } = self;
        let last = talk.end();
        drop(talk);
        let last = last.into_iter().filter_map(|step| match step {
            Step::Work(work) => Some(work),
            Step::Send(_) | Step::Close => None,
        });
        for work in work.into_iter().chain(last) {
            tokio::spawn(work);
        }
        if is_closed_by_us {
            frames.close().await;
        }
    }

    /// False: the other side is gone, or made room.
    async fn talk_on(&mut self) -> bool {
        let mut heard_ms = now_ms();
        let mut is_stopping = false;
        while self.state != State::Closing {
            let event = self.wait(heard_ms, is_stopping).await;
            let now_ms = now_ms();
            match event {
                Event::Frame(Ok(rest)) => {
                    heard_ms = now_ms;
                    self.take(&rest, now_ms);
                    self.take_buffered(now_ms);
                }
                Event::Frame(Err(End::Gone)) | Event::Evicted => return false,
                Event::Frame(Err(end)) => self.end(end),
                Event::Done(done) => self.done(done, now_ms),
                Event::Due => self.due(heard_ms, now_ms),
                Event::Stop => {
                    is_stopping = true;
                    let steps = self.talk.stop();
                    self.perform(steps);
                }
            }
            // What else is ready goes out in the same write.
            while let Some(Some(done)) = self.work.next().now_or_never() {
                self.done(done, now_ms);
            }
            if !self.outbox.is_empty() {
                let frames = std::mem::take(&mut self.outbox);
                if self.frames.send(frames).await.is_err() {
                    return false;
                }
            }
        }
        true
    }

    async fn wait(&mut self, heard_ms: u64, is_stopping: bool) -> Event {
        let until_ms = self.deadline_ms(heard_ms);
        let due = async {
            match until_ms {
                None => std::future::pending().await,
                Some(until_ms) => {
                    let wait_ms = until_ms.saturating_sub(now_ms());
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
            }
        };
        let may_be_evicted = self.state != State::Settled;
        tokio::select! {
            frame = self.frames.next() => Event::Frame(frame),
            Some(done) = self.work.next(), if !self.work.is_empty() => Event::Done(done),
            () = due => Event::Due,
            () = self.place.evicted(), if may_be_evicted => Event::Evicted,
            () = self.life.stopped(), if !is_stopping => Event::Stop,
        }
    }

    /// When something is due: at the conversation, or here.
    fn deadline_ms(&self, heard_ms: u64) -> Option<u64> {
        let own = match self.state {
            State::Silent => Some(self.waits.hello_until_ms),
            State::Greeted | State::Settled if self.is_at_rest() => {
                Some(heard_ms.saturating_add(self.waits.idle_ms))
            }
            State::Greeted | State::Settled | State::Closing => None,
        };
        [own, self.talk.deadline_ms()].into_iter().flatten().min()
    }

    /// Nothing is open and nothing is being done.
    fn is_at_rest(&self) -> bool {
        self.talk.sessions() == 0 && self.work.is_empty()
    }

    fn due(&mut self, heard_ms: u64, now_ms: u64) {
        let steps = self.talk.tick(now_ms);
        self.perform(steps);
        let is_late = match self.state {
            State::Silent => now_ms >= self.waits.hello_until_ms,
            State::Greeted | State::Settled => {
                self.is_at_rest() && now_ms >= heard_ms.saturating_add(self.waits.idle_ms)
            }
            State::Closing => false,
        };
        if is_late {
            self.state = State::Closing;
        }
    }

    fn take(&mut self, rest: &[u8], now_ms: u64) {
        let frame = match Frame::decode(rest) {
            Ok(frame) => frame,
            Err(error) => return self.end(End::NoFrame(error)),
        };
        if self.state == State::Silent {
            self.state = State::Greeted;
        }
        let steps = self.talk.receive(&frame, now_ms);
        self.perform(steps);
    }

    /// Frames that came with the last one.
    fn take_buffered(&mut self, now_ms: u64) {
        while self.state != State::Closing {
            match self.frames.buffered() {
                Ok(Some(rest)) => self.take(&rest, now_ms),
                Ok(None) => return,
                Err(end) => return self.end(end),
            }
        }
    }

    fn done(&mut self, done: Done, now_ms: u64) {
        let steps = self.talk.done(done, now_ms);
        self.perform(steps);
    }

    fn perform(&mut self, steps: Vec<Step>) {
        for step in steps {
            if self.state == State::Closing {
                return;
            }
            match step {
                Step::Send(frame) => self.outbox.push(frame),
                Step::Work(work) => self.work.push(work),
                Step::Close => self.state = State::Closing,
            }
        }
        if self.state == State::Greeted && self.talk.is_logged_in() {
            self.frames.admit_long_frames();
            // One that lost its place in this moment hears of it at its next wait.
            if self.place.settle() {
                self.state = State::Settled;
            }
        }
    }

    fn end(&mut self, end: End) {
        if let End::NoFrame(_) = end {
            let body = keystead_channel::session::ErrorBody {
                code: Status::Malformed,
                wait_s: None,
            };
            self.outbox.push(error_frame(Handle::CONNECTION, body));
        }
        self.state = State::Closing;
    }
}

/// Since boot, sleep included: as the buckets and the conversation count.
fn now_ms() -> u64 {
    SystemClock.now().mono_ms
}
