//! An open session at the client.
//!
//! **Invariant**: an answer is taken once, for a request that waits, with the method
//! that was asked; the first frame that does not fit ends the session.

use std::collections::BTreeMap;

use keystead_core::Secret;

use super::binding::SessionKind;
use super::client::read_opened;
use super::frame::{Frame, FrameType, Handle};
use super::ids::{RequestId, ServerId, SessionId};
use super::keys::{SessionKeys, ToClient, ToServer};
use super::notice::{Notice, NoticeKind};
use super::requests::{Answer, Method, OpenedResult, Request};
use super::resume::Ticket;
use super::sealed::{Closed, Direct, Epoch, Label, Sub};
use super::status::{SetUpError, Status};
use super::{OUTSTANDING_MAX, server_session::AnswerError};

/// An open session.
pub struct ClientSession {
    handle: Handle,
    kind: SessionKind,
    server: ServerId,
    epoch: Epoch,
    to_server: Direct<ToServer>,
    to_client: Direct<ToClient>,
    waiting: BTreeMap<u64, (Method, RequestId)>,
    resume: Secret<32>,
}

impl ClientSession {
    /// `first` is the number of the first frame to the server.
    pub(super) fn new(
        handle: Handle,
        kind: SessionKind,
        server: ServerId,
        epoch: Epoch,
        keys: SessionKeys,
        first: u64,
    ) -> Self {
        Self {
            handle,
            kind,
            server,
            epoch,
            to_server: Direct::new(&keys.to_server, epoch, first),
            to_client: Direct::new(&keys.to_client, epoch, 0),
            waiting: BTreeMap::new(),
            resume: keys.resume,
        }
    }

    /// Its handle on this connection.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Its id, the same on every connection.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.epoch.session
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> SessionKind {
        self.kind
    }

    /// Seals a request; keep `id` to repeat it in another connection of the session.
    ///
    /// # Errors
    /// The session is closed, 32 requests wait, or the request has no place in it.
    pub fn ask(&mut self, request: &Request, id: RequestId) -> Result<Sent, AnswerError> {
        let method = request.method();
        let fits = match self.kind {
            SessionKind::Registration => method == Method::Complete,
            SessionKind::Request => method != Method::Open && method != Method::Complete,
        };
        if !fits {
            return Err(AnswerError::Misplaced);
        }
        if self.waiting.len() >= OUTSTANDING_MAX {
            return Err(AnswerError::Full);
        }
        let sub = self.to_server.next();
        let label = Label {
            sub: Sub::Own,
            method: method.number(),
        };
        let body = self.to_server.seal(label, request.encode(id))?;
        self.waiting.insert(sub, (method, id));
        let frame = Frame {
            kind: FrameType::Sealed,
            handle: self.handle,
            body: &body,
        };
        let frame = frame.encode();
        Ok(Sent { sub, frame })
    }

    /// Takes a sealed frame.
    ///
    /// # Errors
    /// It does not fit: the session is closed, without a reply.
    pub fn receive(&mut self, frame: &Frame<'_>) -> Result<Event, Closed> {
        let event = self.try_receive(frame);
        if event.is_err() {
            self.close();
        }
        event
    }

    /// What resumes it elsewhere; its traffic keys are gone.
    #[must_use]
    pub fn into_ticket(self) -> Ticket {
        Ticket {
            session: self.epoch.session,
            generation: self.epoch.generation,
            server: self.server,
            secret: self.resume,
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.to_server.is_closed()
    }

    fn try_receive(&mut self, frame: &Frame<'_>) -> Result<Event, Closed> {
        if frame.kind != FrameType::Sealed || frame.handle != self.handle {
            return Err(Closed);
        }
        let opened = self.to_client.open(frame.body)?;
        if opened.sub == 0 {
            let notice = Notice::decode(opened.plain.bytes()).map_err(|_| Closed)?;
            if opened.method != 0 {
                return Err(Closed);
            }
            if notice.kind == NoticeKind::Closed {
                self.close();
            }
            return Ok(Event::Notice(notice));
        }
        let (method, id) = *self.waiting.get(&opened.sub).ok_or(Closed)?;
        if opened.method != method.number() {
            return Err(Closed);
        }
        let answer = Answer::decode(method, opened.plain.bytes()).map_err(|_| Closed)?;
        if answer.status != Status::Waiting {
            self.waiting.remove(&opened.sub);
        }
        Ok(Event::Answer {
            sub: opened.sub,
            id,
            answer,
        })
    }

    /// `open`, for frame 22.
    pub(super) fn seal_first(
        &mut self,
        request: &Request,
        id: RequestId,
    ) -> Result<Vec<u8>, Closed> {
        let label = Label {
            sub: Sub::Own,
            method: request.method().number(),
        };
        self.to_server.seal(label, request.encode(id))
    }

    /// `opened`, of frame 31 or the first sealed one.
    pub(super) fn open_first(&mut self, body: &[u8]) -> Result<OpenedResult, SetUpError> {
        let opened = self.to_client.open(body).map_err(|_| SetUpError::Refused)?;
        if (opened.sub, opened.method) != (0, Method::Open.number()) {
            return Err(SetUpError::OutOfTurn);
        }
        read_opened(opened.plain.bytes())
    }

    fn close(&mut self) {
        self.to_server.close();
        self.to_client.close();
    }
}

/// A request on its way.
#[derive(Debug)]
pub struct Sent {
    /// Its sub-session: the answer names it.
    pub sub: u64,
    /// The frame.
    pub frame: Vec<u8>,
}

/// What a session received.
pub enum Event {
    /// An answer; with status *waiting*, another follows.
    Answer {
        /// To which request.
        sub: u64,
        /// Its id.
        id: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// Said unasked.
    Notice(Notice),
}
