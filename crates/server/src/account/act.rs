//! The transaction of a request: admitted, done, logged.
//!
//! **Invariant**: what is done sees only rows of a session that was admitted a moment
//! before, in the same transaction; where it fails, nothing but the admission is written.

use std::marker::PhantomData;
use std::sync::Arc;

use keystead_channel::session::requests::Method;
use keystead_channel::session::{Limits, Status};

use crate::ledger::{Act, Action, Decided, Detail, NO_KEY, NewEntry};
use crate::login::{admit, log_of, wants};
use crate::rows::{AccountNo, Rows};
use crate::server::Server;
use crate::session::Caller;
use crate::store::{Now, Wanted};

/// Who asks what, for its transaction.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) caller: Caller,
    method: Method,
    hash: [u8; 32],
    confirms: bool,
    pub(super) limits: Limits,
    /// How old the login may be; nothing where any is good.
    fresh_s: Option<u32>,
    is_logged: bool,
}

/// What was done.
pub(super) struct Did<T> {
    /// For who asked.
    pub(super) value: T,
    /// For the log.
    pub(super) detail: Detail,
}

impl<T> Did<T> {
    /// Nothing to be told in the log.
    pub(super) fn plain(value: T) -> Self {
        Self {
            value,
            detail: Detail::NONE,
        }
    }
}

impl Asking {
    pub(super) fn new(
        server: &Arc<Server>,
        caller: &Caller,
        method: Method,
        hash: [u8; 32],
        confirms: bool,
    ) -> Self {
        Self {
            caller: caller.clone(),
            method,
            hash,
            confirms,
            limits: server.settings.limits(),
            fresh_s: None,
            is_logged: true,
        }
    }

    /// It needs a password that was shown a moment ago.
    pub(super) fn fresh(mut self, server: &Server) -> Self {
        self.fresh_s = Some(server.settings.sessions.fresh_login_s);
        self
    }

    /// It leaves no entry.
    pub(super) fn unlogged(mut self) -> Self {
        self.is_logged = false;
        self
    }

    /// The transaction: `wants` says which rows beyond the session's, `work` what is done.
    pub(super) fn act<T, W, D>(self, wants: W, work: D) -> InSession<T, W, D>
    where
        T: Send + 'static,
        W: Fn(&mut Wanted) + Send + 'static,
        D: FnOnce(Now, &mut Rows<'_>, &Caller) -> Result<Did<T>, Status> + Send + 'static,
    {
        InSession {
            asking: self,
            wants,
            work,
            value: PhantomData,
        }
    }
}

/// A request's transaction.
pub(super) struct InSession<T, W, D> {
    asking: Asking,
    wants: W,
    work: D,
    value: PhantomData<fn() -> T>,
}

impl<T, W, D> Act for InSession<T, W, D>
where
    T: Send + 'static,
    W: Fn(&mut Wanted) + Send + 'static,
    D: FnOnce(Now, &mut Rows<'_>, &Caller) -> Result<Did<T>, Status> + Send + 'static,
{
    type Answer = Result<T, Status>;

    fn wanted(&self, wanted: &mut Wanted) {
        wants(wanted, &self.asking.caller);
        wanted.chain(AccountNo::SYSTEM);
        (self.wants)(wanted);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let Asking {
            caller,
            method,
            hash,
            confirms,
            limits,
            fresh_s,
            is_logged,
        } = self.asking;
        let log = log_of(rows, &caller);
        let is_fresh = || fresh_s.map_or(Ok(()), |it| caller.require_fresh(now.ms, it));
        let done = admit(rows, now, &caller, method, confirms, &limits)
            .and_then(|()| is_fresh())
            .and_then(|()| (self.work)(now, rows, &caller));
        let (outcome, detail, answer) = match done {
            Ok(did) => (Status::Done, did.detail, Ok(did.value)),
            Err(status) => (status, Detail::NONE, Err(status)),
        };
        let entry = NewEntry {
            log,
            action: Action::Method(method),
            outcome,
            actor: caller.actor(),
            key: NO_KEY,
            request_hash: hash,
            detail,
        };
        Decided {
            entries: is_logged.then_some(entry).into_iter().collect(),
            answer,
        }
    }
}
