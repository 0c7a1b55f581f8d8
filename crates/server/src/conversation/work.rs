//! What a conversation has done for it: set-ups and requests, each a future that owns
//! what it needs and gives a [`Done`].
//!
//! **Invariant**: OPAQUE's evaluations wait for a permit and nothing else does, so that
//! open sessions and resumption go first; work that was begun changes the store whole or
//! not at all, whether or not somebody still waits for it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use keystead_channel::session::{
    ErrorBody, Frame, HANDSHAKE_MS_MAX, Handle, Incoming, LoginStart, PENDING_MS_MAX,
    RegisterStart, Resume, ServerSession, SessionId, Status, request_hash,
};
use tokio::sync::mpsc::Receiver;

use super::Done;
use crate::login::{failure, registration, resumption, start, success};
use crate::server::Server;
use crate::session::{Asked, Begun, Caller, Next, Pending, Served, Waiting, Who};
use crate::{account, requests};

/// What work gave.
pub(super) enum Outcome {
    /// A set-up waits for its next frame, or is over.
    Halfway(Result<Box<Halfway>, ErrorBody>),
    /// A session is open, or the set-up is over.
    Opened(Result<Box<Opened>, ErrorBody>),
    /// A request was served.
    Served {
        sub: u64,
        served: Served,
        is_first: bool,
    },
    /// The session is over, or will not be told so any more.
    Ended(Option<Status>),
    /// What a set-up left is gone.
    Cleaned,
}

/// A set-up between two frames of the client.
pub(super) struct Halfway {
    pub(super) waiting: Waiting,
    pub(super) frame: Vec<u8>,
    pub(super) lasts_ms: u64,
}

/// A session that opens with `frame`.
pub(super) struct Opened {
    pub(super) session: ServerSession,
    pub(super) who: Who,
    pub(super) frame: Vec<u8>,
}

/// Frame 10.
pub(super) fn register(
    server: Arc<Server>,
    begun: Begun,
    start: RegisterStart,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let started = registration::start(&server, begun, &start).await;
        let halfway = started.map(|(state, invited, frame)| Halfway {
            waiting: Waiting(Next::Upload(Box::new(state), invited)),
            frame,
            lasts_ms: PENDING_MS_MAX,
        });
        halfway_done(&server, "registration", begun.place.handle, halfway)
    })
}

/// Frame 20.
pub(super) fn log_in(
    server: Arc<Server>,
    begun: Begun,
    start: LoginStart,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let started = start::attempt(&server, begun, &start).await;
        let halfway = started.map(|(state, attempt, frame)| Halfway {
            waiting: Waiting(Next::Finish(Box::new(state), Box::new(attempt))),
            frame,
            lasts_ms: HANDSHAKE_MS_MAX,
        });
        halfway_done(&server, "login", begun.place.handle, halfway)
    })
}

/// Frame 30.
pub(super) fn resume(
    server: Arc<Server>,
    begun: Begun,
    resume: Resume,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let resumed = resumption::resume(&server, begun, resume).await;
        let opened = resumed.map(|(session, caller, frame)| Opened {
            session,
            who: Who::Request(caller),
            frame,
        });
        opened_done(&server, "resumption", begun.place.handle, opened)
    })
}

/// Frames 12 and 22.
pub(super) fn go_on(
    server: Arc<Server>,
    waiting: Waiting,
    frame: &Frame<'_>,
    now_ms: u64,
) -> BoxFuture<'static, Done> {
    let handle = frame.handle;
    match waiting.0 {
        Next::Upload(state, invited) => {
            let uploaded = state.receive(frame, now_ms);
            Box::pin(async move {
                let stored = match uploaded {
                    Ok(uploaded) => registration::store(&server, uploaded, invited, now_ms).await,
                    Err(error) => Err(error.status().into()),
                };
                let halfway = stored.map(|(state, pending, frame)| Halfway {
                    waiting: Waiting(Next::Confirm(Box::new(state), pending)),
                    frame,
                    lasts_ms: HANDSHAKE_MS_MAX,
                });
                halfway_done(&server, "registration", handle, halfway)
            })
        }
        Next::Confirm(state, pending) => {
            let opening = state.receive(frame, now_ms);
            Box::pin(async move {
                let opened = match opening {
                    Ok(opening) => registration::opened(&server, opening, &pending),
                    Err(error) => Err(error.status().into()),
                };
                let opened = match opened {
                    Ok((session, frame)) => Ok(Opened {
                        session,
                        who: Who::Registration(Some(pending)),
                        frame,
                    }),
                    Err(body) => {
                        registration::abandon(&server, pending).await;
                        Err(body)
                    }
                };
                opened_done(&server, "registration", handle, opened)
            })
        }
        Next::Finish(state, attempt) => {
            let opening = state.receive(frame, now_ms);
            Box::pin(async move {
                let opened = match opening {
                    Ok(opening) => success::finish(&server, *attempt, opening).await,
                    Err(error) => Err(failure::write(&server, &attempt, &error).await),
                };
                let opened = opened.map(|(session, caller, frame)| Opened {
                    session,
                    who: Who::Request(caller),
                    frame,
                });
                opened_done(&server, "login", handle, opened)
            })
        }
    }
}

/// What a set-up that waits no longer leaves: a registration's pending account.
pub(super) fn clean(
    server: Arc<Server>,
    handle: Handle,
    waiting: Waiting,
) -> Option<BoxFuture<'static, Done>> {
    match waiting.0 {
        Next::Confirm(_, pending) => Some(abandon(server, handle, pending)),
        Next::Upload(..) | Next::Finish(..) => None,
    }
}

/// A registration that nobody completes.
pub(super) fn abandon(
    server: Arc<Server>,
    handle: Handle,
    pending: Pending,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        registration::abandon(&server, pending).await;
        Done {
            handle,
            outcome: Outcome::Cleaned,
        }
    })
}

/// The one request of a registration session.
pub(super) fn complete(
    server: Arc<Server>,
    handle: Handle,
    session: SessionId,
    pending: Option<Pending>,
    incoming: Incoming,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let sub = incoming.sub;
        let served = match pending {
            Some(pending) => registration::complete(&server, pending, session, &incoming).await,
            None => Served::status(Status::Method),
        };
        let status = served.answer.status;
        server.metrics.answered(incoming.method, status);
        served_done(handle, sub, served)
    })
}

/// A request of an account's session.
pub(super) fn serve(
    server: Arc<Server>,
    handle: Handle,
    caller: Caller,
    incoming: Incoming,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let (sub, number) = (incoming.sub, incoming.method);
        let hash = request_hash(&caller.user, number, incoming.body());
        let confirms = incoming.confirms;
        let served = match incoming.request {
            Ok((id, request)) => {
                let method = request.method();
                let asked = Asked {
                    sub,
                    method,
                    id,
                    request,
                    hash,
                    confirms,
                };
                match account::serves(method) {
                    true => account::serve(Arc::clone(&server), caller, asked).await,
                    false => requests::serve(Arc::clone(&server), caller, asked).await,
                }
            }
            Err(status) => {
                let unread = account::Unread {
                    method: number,
                    status,
                    hash,
                    confirms,
                };
                account::refuse(&server, &caller, unread).await
            }
        };
        server.metrics.answered(number, served.answer.status);
        served_done(handle, sub, served)
    })
}

/// Waits until a session is told that it is over.
pub(super) fn listen(handle: Handle, mut receiver: Receiver<Status>) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        Done {
            handle,
            outcome: Outcome::Ended(receiver.recv().await),
        }
    })
}

fn halfway_done(
    server: &Server,
    kind: &'static str,
    handle: Handle,
    halfway: Result<Halfway, ErrorBody>,
) -> Done {
    if let Err(body) = &halfway {
        server.metrics.set_up(kind, body.code);
    }
    let outcome = Outcome::Halfway(halfway.map(Box::new));
    Done { handle, outcome }
}

fn opened_done(
    server: &Server,
    kind: &'static str,
    handle: Handle,
    opened: Result<Opened, ErrorBody>,
) -> Done {
    let status = opened
        .as_ref()
        .map_or_else(|body| body.code, |_| Status::Done);
    server.metrics.set_up(kind, status);
    let outcome = Outcome::Opened(opened.map(Box::new));
    Done { handle, outcome }
}

fn served_done(handle: Handle, sub: u64, served: Served) -> Done {
    let outcome = Outcome::Served {
        sub,
        served,
        is_first: true,
    };
    Done { handle, outcome }
}
