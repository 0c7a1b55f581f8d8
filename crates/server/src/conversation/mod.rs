//! One connection of a client: frames in, frames out (`spec/session.md` sections 3, 5, 7).
//!
//! **Invariant**: a handle is in one state, and each state takes one type of frame; what
//! comes out of turn ends that handle and nothing else. No I/O and no clock: frames and
//! `now_ms` (the process's own, which never jumps) come in; frames, work and the end go
//! out. What work gives comes back as [`Done`], and changes only the handle it is of.

mod open;
mod replays;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use keystead_channel::session::{
    ErrorBody, Frame, FrameType, Handle, Handles, Hellos, LoginStart, Place, RegisterStart, Resume,
    Status, error_frame,
};
use keystead_daemon::SystemRng;

use open::Open;
use replays::Replays;
use work::{Halfway, Opened, Outcome};

use crate::server::Server;
use crate::session::{Begun, Pending, Served, Waiting, Who, shelf};

/// What a connection is, as far as its sessions care.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// What its TLS gives to bind sessions to; nothing where TLS ends elsewhere.
    pub exporter: Option<[u8; 32]>,
    /// Who is at its other end.
    pub source: IpAddr,
}

/// What is to be done for a connection, in this order.
pub enum Step {
    /// To be sent.
    Send(Vec<u8>),
    /// To be run to its end, whatever becomes of the connection; what it gives goes to
    /// [`Conversation::done`], if that is still there.
    Work(BoxFuture<'static, Done>),
    /// To be closed when what was to be sent is sent.
    Close,
}

/// What work gave.
pub struct Done {
    handle: Handle,
    outcome: Outcome,
}

/// One connection.
pub struct Conversation {
    server: Arc<Server>,
    link: Link,
    stage: Stage,
    handles: Handles,
    replays: Replays,
    slots: BTreeMap<Handle, Slot>,
    /// Those of [`Slot::Waits`], the oldest first.
    waiting: VecDeque<Handle>,
    /// Set-ups that are being worked on: of handles that died meanwhile, too.
    works: usize,
    has_logged_in: bool,
}

enum Stage {
    /// Nothing was said.
    New,
    /// Hello was.
    Greeted(Hellos),
    /// It ends when nothing is outstanding.
    Stopping,
    /// It has ended.
    Over,
}

enum Slot {
    /// The client's next frame is awaited.
    Waits { place: shelf::Place, until_ms: u64 },
    /// Work is under way.
    Works,
    /// A session.
    Open(Box<Open>),
}

impl Conversation {
    /// A connection on which nothing was said.
    #[must_use]
    pub fn new(server: Arc<Server>, link: Link) -> Self {
        Self {
            server,
            link,
            stage: Stage::New,
            handles: Handles::default(),
            replays: Replays::default(),
            slots: BTreeMap::new(),
            waiting: VecDeque::new(),
            works: 0,
            has_logged_in: false,
        }
    }

    /// Takes a frame.
    pub fn receive(&mut self, frame: &Frame<'_>, now_ms: u64) -> Vec<Step> {
        match self.stage {
            Stage::New => self.greet(frame),
            Stage::Greeted(hellos) => self.take(frame, hellos, now_ms),
            Stage::Stopping => self.take_last(frame, now_ms),
            Stage::Over => Vec::new(),
        }
    }

    /// Takes what work gave.
    pub fn done(&mut self, done: Done, now_ms: u64) -> Vec<Step> {
        let Done { handle, outcome } = done;
        if matches!(outcome, Outcome::Halfway(_) | Outcome::Opened(_)) {
            self.works = self.works.saturating_sub(1);
        }
        let mut steps = match outcome {
            Outcome::Halfway(Ok(halfway)) => self.halfway(handle, *halfway, now_ms),
            Outcome::Opened(Ok(opened)) => self.opened(handle, *opened, now_ms),
            Outcome::Halfway(Err(body)) | Outcome::Opened(Err(body)) => {
                self.replays.was_refused(handle, body.code);
                self.failed(handle, body)
            }
            Outcome::Served {
                sub,
                served,
                is_first,
            } => self.served(handle, sub, served, is_first),
            Outcome::Ended(Some(status)) => self.ended(handle, status),
            Outcome::Ended(None) | Outcome::Cleaned => Vec::new(),
        };
        if matches!(self.stage, Stage::Stopping) {
            steps.extend(self.close_if_idle());
        }
        steps
    }

    /// Ends what has waited for too long.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Step> {
        let late = |(handle, slot): (&Handle, &Slot)| {
            let is_late = slot.until_ms().is_some_and(|it| it <= now_ms);
            is_late.then_some(*handle)
        };
        let late: Vec<Handle> = self.slots.iter().filter_map(late).collect();
        let mut steps = Vec::new();
        for handle in late {
            steps.extend(match self.slots.get_mut(&handle) {
                Some(Slot::Open(open)) => {
                    let closing = open.close(Status::LoginRequired);
                    self.slots.remove(&handle);
                    closing
                }
                Some(Slot::Waits { .. }) => self.refuse(handle, Status::Refused.into()),
                Some(Slot::Works) | None => Vec::new(),
            });
        }
        steps
    }

    /// When [`Conversation::tick`] has something to do.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        let until = self.slots.values();
        until.filter_map(Slot::until_ms).min()
    }

    /// The server stops: nothing new begins; it ends when every request is answered.
    pub fn stop(&mut self) -> Vec<Step> {
        match self.stage {
            Stage::Over | Stage::Stopping => Vec::new(),
            Stage::New | Stage::Greeted(_) => {
                self.stage = Stage::Stopping;
                self.close_if_idle()
            }
        }
    }

    /// The connection is gone: what is left to be done, to be run to its end.
    pub fn end(&mut self) -> Vec<Step> {
        self.stage = Stage::Over;
        let handles: Vec<Handle> = self.slots.keys().copied().collect();
        let mut steps = Vec::new();
        for handle in handles {
            steps.extend(self.forget(handle));
        }
        steps
    }

    /// Whether long frames are taken: somebody has logged in.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.has_logged_in
    }

    /// Sessions that are open on it.
    #[must_use]
    pub fn sessions(&self) -> usize {
        let is_open = |it: &&Slot| matches!(it, Slot::Open(_));
        self.slots.values().filter(is_open).count()
    }

    fn greet(&mut self, frame: &Frame<'_>) -> Vec<Step> {
        let introduction = self.server.introduction();
        match introduction.answer(frame, &mut SystemRng) {
            Ok((hellos, answer)) => {
                self.stage = Stage::Greeted(hellos);
                vec![Step::Send(answer)]
            }
            Err(status) => self.break_off(status),
        }
    }

    fn take(&mut self, frame: &Frame<'_>, hellos: Hellos, now_ms: u64) -> Vec<Step> {
        let handle = frame.handle;
        match frame.kind {
            FrameType::RegisterStart | FrameType::LoginStart | FrameType::Resume => {
                if !self.handles.take(handle) {
                    return self.refuse(handle, Status::Malformed.into());
                }
                if self.works >= WORKS_MAX {
                    return self.refuse(handle, Status::Busy.into());
                }
                self.begin(frame, hellos, now_ms)
            }
            FrameType::RegisterUpload | FrameType::LoginFinish => self.go_on(frame, now_ms),
            FrameType::Sealed => self.sealed(frame, now_ms),
            FrameType::Hello
            | FrameType::RegisterResponse
            | FrameType::LoginResponse
            | FrameType::Resumed
            | FrameType::Error => self.break_off(Status::Malformed),
        }
    }

    /// While the server stops, what is open is answered and nothing begins.
    fn take_last(&mut self, frame: &Frame<'_>, now_ms: u64) -> Vec<Step> {
        match frame.kind {
            FrameType::RegisterUpload | FrameType::LoginFinish => self.go_on(frame, now_ms),
            FrameType::Sealed => self.sealed(frame, now_ms),
            FrameType::Hello
            | FrameType::RegisterStart
            | FrameType::RegisterResponse
            | FrameType::LoginStart
            | FrameType::LoginResponse
            | FrameType::Resume
            | FrameType::Resumed
            | FrameType::Error => {
                vec![Step::Send(error_frame(
                    frame.handle,
                    Status::Unavailable.into(),
                ))]
            }
        }
    }

    /// Frames 10, 20 and 30.
    fn begin(&mut self, frame: &Frame<'_>, hellos: Hellos, now_ms: u64) -> Vec<Step> {
        let handle = frame.handle;
        let place = Place {
            server: self.server.server_id,
            hellos,
            handle,
            exporter: self.link.exporter,
            lowest_binding: self.server.settings.lowest_binding(),
        };
        let server = Arc::clone(&self.server);
        let begun = Begun {
            place,
            source: self.link.source,
            now_ms,
        };
        let work = if frame.kind == FrameType::RegisterStart {
            RegisterStart::decode(frame.body).map(|start| work::register(server, begun, start))
        } else if frame.kind == FrameType::LoginStart {
            LoginStart::decode(frame.body).map(|start| work::log_in(server, begun, start))
        } else {
            let resume = Resume::decode(frame.body);
            if let Ok(resume) = &resume
                && !self.replays.take(handle, &resume.proof)
            {
                return self.refuse(handle, Status::LoginRequired.into());
            }
            resume.map(|resume| work::resume(server, begun, resume))
        };
        match work {
            Ok(work) => vec![self.work(handle, work)],
            Err(_) => self.refuse(handle, Status::Malformed.into()),
        }
    }

    /// A set-up is worked on.
    fn work(&mut self, handle: Handle, work: BoxFuture<'static, Done>) -> Step {
        self.slots.insert(handle, Slot::Works);
        self.works = self.works.saturating_add(1);
        Step::Work(work)
    }

    /// Frames 12 and 22.
    fn go_on(&mut self, frame: &Frame<'_>, now_ms: u64) -> Vec<Step> {
        let handle = frame.handle;
        let Some(Slot::Waits { place, .. }) = self.slots.get(&handle) else {
            return self.refuse(handle, Status::Malformed.into());
        };
        let Some(waiting) = self.server.half_open.take(*place) else {
            // It made room for others.
            return self.refuse(handle, Status::Busy.into());
        };
        self.server.metrics.half_open.dec();
        self.waiting.retain(|it| *it != handle);
        let server = Arc::clone(&self.server);
        let work = work::go_on(server, waiting, frame, now_ms);
        vec![self.work(handle, work)]
    }

    /// A set-up waits for its next frame.
    fn halfway(&mut self, handle: Handle, halfway: Halfway, now_ms: u64) -> Vec<Step> {
        let Halfway {
            waiting,
            frame,
            lasts_ms,
        } = halfway;
        if !matches!(self.slots.get(&handle), Some(Slot::Works)) {
            return self.clean(handle, waiting);
        }
        let mut steps = self.make_room();
        let (place, dropped) = self.server.half_open.put(waiting);
        match dropped {
            Some(oldest) => steps.extend(self.clean(handle, oldest)),
            None => {
                self.server.metrics.half_open.inc();
            }
        }
        let until_ms = now_ms.saturating_add(lasts_ms);
        self.slots.insert(handle, Slot::Waits { place, until_ms });
        self.waiting.push_back(handle);
        steps.push(Step::Send(frame));
        steps
    }

    /// The oldest set-ups of this connection go until there is room for one more.
    fn make_room(&mut self) -> Vec<Step> {
        let each_max = self.server.settings.connections.half_open_each;
        let each_max = usize::try_from(each_max).unwrap_or(usize::MAX);
        let mut steps = Vec::new();
        while self.waiting.len() >= each_max {
            let Some(oldest) = self.waiting.front().copied() else {
                break;
            };
            steps.extend(self.refuse(oldest, Status::Busy.into()));
        }
        steps
    }

    fn opened(&mut self, handle: Handle, opened: Opened, now_ms: u64) -> Vec<Step> {
        self.replays.was_good(handle);
        if !matches!(self.slots.get(&handle), Some(Slot::Works)) {
            // The handle died meanwhile; the session stays resumable, as if its answer
            // had been lost.
            return match opened.who {
                Who::Registration(Some(pending)) => self.abandon(handle, pending),
                Who::Registration(None) | Who::Request(_) => Vec::new(),
            };
        }
        self.has_logged_in = true;
        let (open, frame, listening) = Open::new(&self.server, opened, now_ms);
        self.slots.insert(handle, Slot::Open(Box::new(open)));
        let mut steps = vec![Step::Send(frame)];
        steps.extend(listening.map(|it| Step::Work(work::listen(handle, it))));
        steps
    }

    fn sealed(&mut self, frame: &Frame<'_>, now_ms: u64) -> Vec<Step> {
        let handle = frame.handle;
        let Some(Slot::Open(open)) = self.slots.get_mut(&handle) else {
            return self.refuse(handle, Status::Malformed.into());
        };
        match open.receive(frame, now_ms) {
            Ok(work) => vec![Step::Work(work)],
            // Inside a session nothing is said about a frame that does not fit.
            Err(_) => self.forget(handle),
        }
    }

    fn served(&mut self, handle: Handle, sub: u64, served: Served, is_first: bool) -> Vec<Step> {
        let Some(Slot::Open(open)) = self.slots.get_mut(&handle) else {
            return Vec::new();
        };
        let steps = open.answer(sub, served, is_first);
        if open.is_closed() {
            self.slots.remove(&handle);
        }
        steps
    }

    fn ended(&mut self, handle: Handle, status: Status) -> Vec<Step> {
        let Some(Slot::Open(open)) = self.slots.get_mut(&handle) else {
            return Vec::new();
        };
        let steps = open.close(status);
        self.slots.remove(&handle);
        steps
    }

    /// A set-up came to nothing.
    fn failed(&mut self, handle: Handle, body: ErrorBody) -> Vec<Step> {
        match self.slots.get(&handle) {
            Some(Slot::Works) => self.refuse(handle, body),
            // The client was told something else meanwhile.
            Some(Slot::Waits { .. } | Slot::Open(_)) | None => Vec::new(),
        }
    }

    /// The handle is dead, and the client is told why. A session's is not: what does not
    /// fit into a session ends it without a word.
    fn refuse(&mut self, handle: Handle, body: ErrorBody) -> Vec<Step> {
        let is_open = matches!(self.slots.get(&handle), Some(Slot::Open(_)));
        let mut steps = self.forget(handle);
        if !is_open {
            steps.push(Step::Send(error_frame(handle, body)));
        }
        steps
    }

    /// Drops what a handle was, with what it left in the store.
    fn forget(&mut self, handle: Handle) -> Vec<Step> {
        match self.slots.remove(&handle) {
            Some(Slot::Waits { place, .. }) => {
                self.waiting.retain(|it| *it != handle);
                let Some(waiting) = self.server.half_open.take(place) else {
                    return Vec::new();
                };
                self.server.metrics.half_open.dec();
                self.clean(handle, waiting)
            }
            Some(Slot::Open(mut open)) => match open.take_pending() {
                Some(pending) => self.abandon(handle, pending),
                None => Vec::new(),
            },
            Some(Slot::Works) | None => Vec::new(),
        }
    }

    fn clean(&self, handle: Handle, waiting: Waiting) -> Vec<Step> {
        let work = work::clean(Arc::clone(&self.server), handle, waiting);
        work.map(Step::Work).into_iter().collect()
    }

    fn abandon(&self, handle: Handle, pending: Pending) -> Vec<Step> {
        let server = Arc::clone(&self.server);
        vec![Step::Work(work::abandon(server, handle, pending))]
    }

    /// The connection ends.
    fn break_off(&mut self, status: Status) -> Vec<Step> {
        let mut steps = self.end();
        steps.push(Step::Send(error_frame(Handle::CONNECTION, status.into())));
        steps.push(Step::Close);
        steps
    }

    /// While the server stops: whether all is answered.
    fn close_if_idle(&mut self) -> Vec<Step> {
        let is_busy = |it: &Slot| match it {
            Slot::Works => true,
            Slot::Waits { .. } => false,
            Slot::Open(open) => open.is_busy(),
        };
        if self.slots.values().any(is_busy) {
            return Vec::new();
        }
        let mut steps = Vec::new();
        for slot in self.slots.values_mut() {
            if let Slot::Open(open) = slot {
                steps.extend(open.close(Status::Unavailable));
            }
        }
        steps.extend(self.end());
        steps.push(Step::Close);
        steps
    }
}

impl Slot {
    fn until_ms(&self) -> Option<u64> {
        match self {
            Self::Waits { until_ms, .. } => Some(*until_ms),
            Self::Works => None,
            Self::Open(open) => Some(open.until_ms()),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // What waits here waits nowhere else.
        for slot in self.slots.values() {
            if let Slot::Waits { place, .. } = slot
                && self.server.half_open.take(*place).is_some()
            {
                self.server.metrics.half_open.dec();
            }
        }
    }
}

/// 256 set-ups of one connection that are worked on at once: more than wait for their next
/// frame, so that a connection with many sessions may open them together.
const WORKS_MAX: usize = 256;
