//! An open session at the server.
//!
//! **Invariant**: each request gets one answer, under its number; a registration
//! session takes `complete` alone and is over with its first answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_core::Secret;

use super::OUTSTANDING_MAX;
use super::binding::SessionKind;
use super::frame::{Frame, FrameType, Handle};
use super::ids::{RequestId, SessionId};
use super::keys::{self, SessionKeys, ToClient, ToServer};
use super::notice::{Notice, NoticeKind};
use super::requests::{Answer, Method, OpenedResult, Request};
use super::row::SessionRow;
use super::sealed::{Closed, Direct, Epoch, Label, Opened, Plain, Sub};
use super::status::Status;
use crate::wire::Fault;

/// An open session.
pub struct ServerSession {
    handle: Handle,
    kind: SessionKind,
    epoch: Epoch,
    to_server: Direct<ToServer>,
    to_client: Direct<ToClient>,
    waiting: BTreeMap<u64, u16>,
    /// Whether this generation's first frame is still to come.
    is_unconfirmed: bool,
    mark: Arc<SessionMark>,
}

impl ServerSession {
    /// `first` is the number of the first frame from the client.
    pub(super) fn new(
        handle: Handle,
        kind: SessionKind,
        epoch: Epoch,
        keys: &SessionKeys,
        first: u64,
    ) -> Self {
        Self {
            handle,
            kind,
            epoch,
            to_server: Direct::new(&keys.to_server, epoch, first),
            to_client: Direct::new(&keys.to_client, epoch, 0),
            waiting: BTreeMap::new(),
            is_unconfirmed: epoch.generation > 0,
            mark: Arc::new(SessionMark {
                session: epoch.session,
                mark: keys.mark(),
            }),
        }
    }

    /// Its handle on this connection.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.epoch.session
    }

    /// What a request's transaction tells this session's row by.
    #[must_use]
    pub fn mark(&self) -> Arc<SessionMark> {
        Arc::clone(&self.mark)
    }

    /// See [`SessionMark::is_of`].
    #[must_use]
    pub fn is_of(&self, row: &SessionRow) -> bool {
        self.mark.is_of(row)
    }

    /// Takes a sealed frame.
    ///
    /// # Errors
    /// It does not fit, or 32 requests wait already: the session is closed, without
    /// a reply.
    pub fn receive(&mut self, frame: &Frame<'_>) -> Result<Incoming, Closed> {
        let incoming = self.try_receive(frame);
        if incoming.is_err() {
            self.close();
        }
        incoming
    }

    /// Seals the answer to the request `sub`.
    ///
    /// # Errors
    /// Nobody waits for it, or the session is closed.
    pub fn answer(&mut self, sub: u64, answer: &Answer) -> Result<Vec<u8>, AnswerError> {
        let method = *self.waiting.get(&sub).ok_or(AnswerError::Misplaced)?;
        let label = Label {
            sub: Sub::Of(sub),
            method,
        };
        let body = self.to_client.seal(label, answer.encode())?;
        if answer.status != Status::Waiting {
            self.waiting.remove(&sub);
            if self.kind == SessionKind::Registration {
                self.close();
            }
        }
        Ok(self.frame(&body))
    }

    /// Seals what is said unasked; after [`NoticeKind::Closed`] the session is closed.
    ///
    /// # Errors
    /// The session is closed.
    pub fn notice(&mut self, notice: &Notice) -> Result<Vec<u8>, Closed> {
        let label = Label {
            sub: Sub::Of(0),
            method: 0,
        };
        let body = self.to_client.seal(label, notice.encode())?;
        if notice.kind == NoticeKind::Closed {
            self.close();
        }
        Ok(self.frame(&body))
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.to_client.is_closed()
    }

    fn try_receive(&mut self, frame: &Frame<'_>) -> Result<Incoming, Closed> {
        if frame.kind != FrameType::Sealed || frame.handle != self.handle {
            return Err(Closed);
        }
        let opened = self.to_server.open(frame.body)?;
        if opened.sub != opened.n || self.waiting.len() >= OUTSTANDING_MAX {
            return Err(Closed);
        }
        self.waiting.insert(opened.sub, opened.method);
        Ok(Incoming {
            sub: opened.sub,
            method: opened.method,
            request: self.read(&opened),
            confirms: std::mem::take(&mut self.is_unconfirmed),
            plain: opened.plain,
        })
    }

    fn read(&self, opened: &Opened) -> Result<(RequestId, Request), Status> {
        let method = Method::from_number(u64::from(opened.method)).ok_or(Status::Method)?;
        let fits = match self.kind {
            SessionKind::Registration => method == Method::Complete,
            SessionKind::Request => method != Method::Open && method != Method::Complete,
        };
        if !fits {
            return Err(Status::Method);
        }
        let read = Request::decode(method, opened.plain.bytes());
        read.map_err(|fault| status_of(method, &fault))
    }

    pub(super) fn open_first(&mut self, body: &[u8]) -> Result<Opened, Closed> {
        self.to_server.open(body)
    }

    /// `opened`, for frame 31 or the first sealed one.
    pub(super) fn seal_opened(&mut self, result: &OpenedResult) -> Result<Vec<u8>, Closed> {
        let label = Label {
            sub: Sub::Of(0),
            method: Method::Open.number(),
        };
        let answer = Answer::done(result.encode());
        self.to_client.seal(label, answer.encode())
    }

    fn frame(&self, body: &[u8]) -> Vec<u8> {
        let frame = Frame {
            kind: FrameType::Sealed,
            handle: self.handle,
            body,
        };
        frame.encode()
    }

    fn close(&mut self) {
        self.to_server.close();
        self.to_client.close();
    }
}

/// A value or a label that is longer than any may be is told from a malformed request.
fn status_of(method: Method, fault: &Fault) -> Status {
    let has_value = matches!(method, Method::Put | Method::Import);
    if has_value && matches!(fault, Fault::StringLength(_)) {
        Status::TooLarge
    } else {
        Status::Malformed
    }
}

/// Tells one draw of one generation of a session from every other.
///
/// It holds no key: what it was made of does not follow from it.
pub struct SessionMark {
    session: SessionId,
    mark: Secret<32>,
}

impl SessionMark {
    /// Which session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whether `row` is still this session's: of the same generation, and of the same
    /// draw of it. Each request's transaction asks; when not, the session went on
    /// elsewhere or frame 31 was drawn again, and this one is closed.
    #[must_use]
    pub fn is_of(&self, row: &SessionRow) -> bool {
        row.id == self.session && keys::mark(&row.secret).ct_eq(&self.mark)
    }
}

/// A request that was opened.
pub struct Incoming {
    /// Its sub-session: [`ServerSession::answer`] takes it.
    pub sub: u64,
    /// As its head says; a log entry names it even if it is none.
    pub method: u16,
    /// What it asks, or the status that answers it.
    pub request: Result<(RequestId, Request), Status>,
    /// The first frame under a new generation: to be noted in the row, in this
    /// request's transaction ([`super::SessionRow::confirm`]).
    pub confirms: bool,
    plain: Plain,
}

impl Incoming {
    /// The plaintext, for [`super::request_hash`].
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.plain.bytes()
    }
}

/// Why nothing is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The session has ended.
    #[error("the session is closed")]
    Closed,
    /// 32 requests wait for their answers.
    #[error("too many requests wait for an answer")]
    Full,
    /// Not asked, or not to be asked in this kind of session.
    #[error("it has no place in this session")]
    Misplaced,
}

impl From<Closed> for AnswerError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}
