//! An open session: asks, and gives answers out when their receipts are checked.
//!
//! **Invariant**: what is sealed leaves in that order; an answer that must bring a
//! receipt is given out only with one that the log's key has signed for this very
//! request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_channel::session::requests::{Answer, HeadPage, Method, Request};
use keystead_channel::session::{
    ClientSession, ErrorBody, Event, Frame, FrameType, Limits, Notice, NoticeKind, RequestId,
    SessionId, Status, Ticket, UserId, request_hash,
};
use keystead_daemon::{Clock, SystemClock, SystemRng};
use tokio::sync::mpsc;

use super::error::ServerError;
use super::line::{End, Hears, Line};
use super::plan;
use super::seen::Expected;
use super::watch::Watch;

/// An open session at a key server. Clones are the same session.
#[derive(Clone)]
pub struct Session {
    core: Arc<Core>,
    line: Arc<Line>,
}

impl Session {
    pub(super) fn new(core: Arc<Core>, line: Arc<Line>) -> Self {
        Self { core, line }
    }

    /// Its id, the same on every connection.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.core.id
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.core.user
    }

    /// What the server keeps to.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.core.limits
    }

    /// What was seen of the account's log.
    #[must_use]
    pub fn watch(&self) -> &Arc<Watch> {
        &self.core.watch
    }

    /// Whether nothing more can be asked here; a ticket may resume it elsewhere.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.core.lock().end.is_some() || self.line.is_gone()
    }

    /// Asks, and waits for the final answer. A request that waits for an approval is
    /// answered with [`Status::Waiting`] first; who may bring one uses [`Session::begin`].
    ///
    /// # Errors
    /// No answer, or one that proves nothing. A refusal is an answer.
    pub async fn ask(&self, request: &Request) -> Result<Answer, ServerError> {
        self.look_at_log().await?;
        let mut asked = self.begin(request, draw()).await?;
        loop {
            let answer = asked.next().await?;
            if answer.status != Status::Waiting {
                return Ok(answer);
            }
        }
    }

    /// As [`Session::ask`], where anything but *done* is an error.
    ///
    /// # Errors
    /// As [`Session::ask`]; [`ServerError::Answered`] for a refusal.
    pub async fn done(&self, request: &Request) -> Result<Answer, ServerError> {
        let answer = self.ask(request).await?;
        if answer.status == Status::Done {
            Ok(answer)
        } else {
            Err(ServerError::of_answer(&answer))
        }
    }

    /// Sends a request; its answers come by [`Asked::next`].
    ///
    /// # Errors
    /// The session is over, or 32 requests wait.
    pub async fn begin(&self, request: &Request, id: RequestId) -> Result<Asked, ServerError> {
        let method = request.method();
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let hash = has_receipt(method)
            .then(|| request_hash(&self.core.user, method.number(), &request.encode(id)));
        // Room for the frame first: what is sealed must leave, in its order.
        let room = self.line.out().reserve().await;
        let room = room.map_err(|_| ServerError::Broken)?;
        let mut state = self.core.lock();
        if let Some(end) = state.end {
            return Err(end.error());
        }
        let session = state.session.as_mut().ok_or(ServerError::Broken)?;
        let sent = session.ask(request, id)?;
        room.send(sent.frame);
        state.waiting.insert(sent.sub, sender);
        let now_ms = SystemClock.now().mono_ms;
        let silent_ms = now_ms.saturating_sub(state.heard_ms);
        let wait = plan::first_wait(silent_ms).min(self.core.answer_wait);
        drop(state);
        Ok(Asked {
            core: Arc::clone(&self.core),
            _line: Arc::clone(&self.line),
            sub: sent.sub,
            method,
            hash,
            answers,
            wait,
        })
    }

    /// Asks for the log's head where it is time to: at the latest after 1,000 receipts or 10
    /// minutes (`spec/audit.md` section 7).
    ///
    /// # Errors
    /// [`ServerError::Log`] if it does not continue what was seen; no answer.
    pub async fn look_at_log(&self) -> Result<(), ServerError> {
        let now_ms = SystemClock.now().mono_ms;
        match self.core.watch.due(now_ms) {
            Some(_turn) => self.ask_head().await,
            None => Ok(()),
        }
    }

    /// As the session opens: a head that holds what receipts showed. The one that it opened
    /// with continues ours, which is older than they are.
    ///
    /// # Errors
    /// As [`Session::look_at_log`].
    pub(super) async fn confirm_receipts(&self) -> Result<(), ServerError> {
        let watch = &self.core.watch;
        let _turn = watch.turn().await;
        for _ in 0..CONFIRMING_HEADS_MAX {
            if !watch.with(|seen| seen.is_unconfirmed()) {
                break;
            }
            self.ask_head().await?;
        }
        Ok(())
    }

    async fn ask_head(&self) -> Result<(), ServerError> {
        let watch = &self.core.watch;
        let head = watch.with(|seen| seen.head_request());
        let mut asked = self.begin(&Request::Head(head.clone()), draw()).await?;
        let answer = asked.next().await?;
        let Some(result) = answer.result.filter(|_| answer.status == Status::Done) else {
            return Err(ServerError::Answered(answer.status));
        };
        let page = HeadPage::decode(result.expose());
        let page = page.map_err(|_| ServerError::Misbehaved("its log's head cannot be read"))?;
        watch.with(|seen| seen.take_head(&head, &page))?;
        Ok(())
    }

    /// Whether both are one session on one connection.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }

    /// Leaves the session here; the ticket resumes it elsewhere. Who still waits for an
    /// answer gets none. None if it was taken before.
    #[must_use]
    pub fn into_ticket(self) -> Option<Ticket> {
        let mut state = self.core.lock();
        state.end.get_or_insert(End::Broken);
        state.waiting.clear();
        let session = state.session.take()?;
        self.line.routes().forget(session.handle());
        Some(session.into_ticket())
    }

    /// Why it is over, if it is.
    #[must_use]
    pub fn why_over(&self) -> Option<ServerError> {
        self.core.lock().end.map(End::error)
    }
}

/// A request on its way.
pub struct Asked {
    core: Arc<Core>,
    /// The connection stays as long as somebody waits.
    _line: Arc<Line>,
    sub: u64,
    method: Method,
    hash: Option<[u8; 32]>,
    answers: mpsc::Receiver<Answer>,
    wait: Duration,
}

impl Asked {
    /// Its sub-session, which an approval names.
    #[must_use]
    pub fn sub(&self) -> u64 {
        self.sub
    }

    /// The next answer: after one with [`Status::Waiting`] another follows.
    ///
    /// # Errors
    /// The connection broke, nothing came in time, or the answer proves nothing.
    pub async fn next(&mut self) -> Result<Answer, ServerError> {
        let came = tokio::time::timeout(self.wait, self.answers.recv()).await;
        let came = came.map_err(|_| ServerError::Late {
            wait_s: self.wait.as_secs(),
        })?;
        let Some(answer) = came else {
            let end = self.core.lock().end;
            return Err(end.map_or(ServerError::Broken, End::error));
        };
        if answer.status == Status::Waiting {
            self.wait = APPROVAL_WAIT;
            return Ok(answer);
        }
        self.check(&answer)?;
        Ok(answer)
    }

    fn check(&self, answer: &Answer) -> Result<(), ServerError> {
        let Some(hash) = &self.hash else {
            return Ok(());
        };
        let Some(receipt) = &answer.receipt else {
            return if answer.status == Status::Done {
                Err(ServerError::NoReceipt)
            } else {
                Ok(())
            };
        };
        let expected = Expected {
            user: &self.core.user,
            method: self.method,
            status: answer.status,
            request_hash: hash,
        };
        let now_ms = SystemClock.now().mono_ms;
        let watch = &self.core.watch;
        watch.with(|seen| seen.receipt(&expected, receipt, now_ms))?;
        Ok(())
    }
}

/// What the connection's reader and who asks share.
pub(super) struct Core {
    id: SessionId,
    user: UserId,
    limits: Limits,
    watch: Arc<Watch>,
    answer_wait: Duration,
    state: Mutex<State>,
}

struct State {
    session: Option<ClientSession>,
    waiting: HashMap<u64, mpsc::Sender<Answer>>,
    end: Option<End>,
    /// When a frame came last, by the steady clock.
    heard_ms: u64,
}

impl Core {
    pub(super) fn new(
        session: ClientSession,
        user: UserId,
        limits: Limits,
        (watch, answer_wait): (Arc<Watch>, Duration),
    ) -> Self {
        Self {
            id: session.id(),
            user,
            limits,
            watch,
            answer_wait,
            state: Mutex::new(State {
                session: Some(session),
                waiting: HashMap::new(),
                end: None,
                heard_ms: SystemClock.now().mono_ms,
            }),
        }
    }

    fn notice(&self, state: &mut State, notice: &Notice) -> bool {
        match notice.kind {
            NoticeKind::Closed => {
                state.close(End::Closed(notice.code.unwrap_or(Status::LoginRequired)));
                true
            }
            NoticeKind::LogKey => {
                let taken = self.watch.with(|seen| seen.take_key(notice));
                if taken.is_err() {
                    state.close(End::Misbehaved(
                        "its log has a key that the old one does not vouch for",
                    ));
                }
                taken.is_err()
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hears for Core {
    fn take(&self, rest: &[u8]) -> bool {
        let Ok(frame) = Frame::decode(rest) else {
            return false;
        };
        let mut state = self.lock();
        if frame.kind == FrameType::Error {
            let code = ErrorBody::decode(frame.body).map_or(Status::Malformed, |body| body.code);
            state.close(End::Closed(code));
            return true;
        }
        state.heard_ms = SystemClock.now().mono_ms;
        let Some(session) = state.session.as_mut() else {
            return true;
        };
        match session.receive(&frame) {
            Ok(Event::Answer { sub, answer, .. }) => state.answer(sub, answer),
            Ok(Event::Notice(notice)) => return self.notice(&mut state, &notice),
            Err(_) => {
                let what = "a frame does not belong to the session";
                state.close(End::Misbehaved(what));
                return true;
            }
        }
        false
    }

    fn end(&self, end: End) {
        self.lock().close(end);
    }
}

impl State {
    fn answer(&mut self, sub: u64, answer: Answer) {
        let is_last = answer.status != Status::Waiting;
        if let Some(waiting) = self.waiting.get(&sub) {
            // Who waits no more, or gets more than one word before the last, misses it.
            let _ = waiting.try_send(answer);
        }
        if is_last {
            self.waiting.remove(&sub);
        }
    }

    /// Who waits learns it by the end of its channel. The ticket stays.
    fn close(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.waiting.clear();
    }
}

/// A new request's id.
pub(super) fn draw() -> RequestId {
    RequestId::draw(&mut SystemRng)
}

/// Whether the method's success brings a receipt (`spec/session.md` section 8.1).
const fn has_receipt(method: Method) -> bool {
    matches!(
        method,
        Method::Complete
            | Method::Sign
            | Method::Delete
            | Method::PasswordFinish
            | Method::Approvers
    )
}

/// 2 answers: *waiting*, and the last.
const ANSWERS_MAX: usize = 2;

/// 4 heads of 256 entries each: all that a client has open before it asks by itself. What others
/// sign meanwhile is theirs to ask for.
const CONFIRMING_HEADS_MAX: usize = 4;

/// An approval is awaited for 60 s by the server (`spec/session.md` section 8), which then says so.
const APPROVAL_WAIT: Duration = Duration::from_secs(75);
