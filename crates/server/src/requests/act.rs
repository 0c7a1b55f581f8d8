//! What every request has in common: one entry, written with what it changed.
//!
//! **Invariant**: a request is admitted, decided and logged in one transaction; a refusal
//! is logged like a success, and no field of the entry is what the client says it is.

use keystead_channel::log::{Action, Detail};
use keystead_channel::session::requests::{Answer, Method, Receipt};
use keystead_channel::session::{KeyId, Limits, Status};

use crate::ledger::{Act, Decided, NewEntry};
use crate::login::{admit, log_of, wants};
use crate::rows::{AccountNo, HeldSecret, RowFault, Rows};
use crate::server::Server;
use crate::session::{Asked, Caller, Served};
use crate::store::{Now, Wanted};

/// A request, as its transaction sees it.
#[derive(Clone)]
pub(super) struct Asking {
    /// Who asks.
    pub(super) caller: Caller,
    /// What the entry names.
    pub(super) method: Method,
    /// Likewise.
    pub(super) hash: [u8; 32],
    /// Its sub-session.
    pub(super) sub: u64,
    confirms: bool,
}

impl Asking {
    pub(super) fn new(caller: Caller, asked: &Asked) -> Self {
        Self {
            caller,
            method: asked.method,
            hash: asked.hash,
            sub: asked.sub,
            confirms: asked.confirms,
        }
    }

    /// Decides the request under the lock and logs it; the answer leaves when that is
    /// durable.
    pub(super) async fn decide<W, D, T>(
        &self,
        server: &Server,
        wanted: W,
        decide: D,
    ) -> Result<Settled<T>, Status>
    where
        W: Fn(&mut Wanted) + Send + 'static,
        D: FnOnce(Now, &mut Rows<'_>) -> Result<Decision<T>, Refusal> + Send + 'static,
        T: Send + 'static,
    {
        let act = Request {
            asking: self.clone(),
            limits: server.settings.limits(),
            wanted,
            decide,
        };
        match server.ledger.commit(act).await {
            Ok(committed) => {
                let receipt = match has_receipt(self.method) {
                    true => committed.receipt(),
                    false => None,
                };
                let outcome = committed.answer;
                Ok(Settled { outcome, receipt })
            }
            Err(error) => {
                tracing::warn!(%error, "a request was not served");
                Err(Status::Unavailable)
            }
        }
    }

    /// Logs a refusal that was decided before the lock.
    pub(super) async fn refuse(&self, server: &Server, refusal: Refusal) -> Served {
        let settled = self.decide(server, |_| (), |_, _| Err(refusal));
        finish(server, settled.await)
    }

    /// The same request, decided a second time: its first frame is noted already.
    pub(super) fn again(&self) -> Self {
        Self {
            confirms: false,
            ..self.clone()
        }
    }
}

/// What is decided of a request that goes well.
pub(super) struct Decision<T> {
    /// For who asked.
    pub(super) answer: T,
    /// Done, or waiting.
    pub(super) status: Status,
    /// The key that the entry names.
    pub(super) key: Option<KeyId>,
    /// What else the entry says.
    pub(super) detail: Detail,
}

impl<T> Decision<T> {
    /// Done.
    pub(super) fn done(answer: T, key: Option<KeyId>, detail: Detail) -> Self {
        Self {
            answer,
            status: Status::Done,
            key,
            detail,
        }
    }
}

/// Why a request is not done; logged all the same.
pub(super) struct Refusal {
    status: Status,
    key: Option<KeyId>,
    /// Apart, so that what goes well carries no room for it.
    detail: Box<Detail>,
}

impl Refusal {
    /// About one key.
    pub(super) fn of(status: Status, key: KeyId) -> Self {
        Self {
            status,
            key: Some(key),
            detail: Box::default(),
        }
    }

    /// About no key.
    pub(super) fn without_key(status: Status) -> Self {
        Self {
            status,
            key: None,
            detail: Box::default(),
        }
    }

    /// With what else the entry says.
    pub(super) fn with(mut self, detail: Detail) -> Self {
        *self.detail = detail;
        self
    }
}

impl From<RowFault> for Refusal {
    fn from(fault: RowFault) -> Self {
        tracing::error!(%fault, "a row of the database");
        Self::without_key(Status::Corrupt)
    }
}

/// What was decided, now that it is durable.
pub(super) struct Settled<T> {
    pub(super) outcome: Result<T, Status>,
    pub(super) receipt: Option<Receipt>,
}

/// What leaves: the answer, with the receipt of its entry.
pub(super) fn finish(server: &Server, settled: Result<Settled<Answer>, Status>) -> Served {
    let Settled { outcome, receipt } = match settled {
        Ok(settled) => settled,
        Err(status) => return Served::status(status),
    };
    let mut served = match outcome {
        Ok(answer) => Served::answer(answer),
        Err(status) => {
            if status == Status::Corrupt {
                server.metrics.corrupt_rows.inc();
            }
            Served::status(status)
        }
    };
    served.answer.receipt = receipt;
    served
}

/// A secret of the caller, by its key id alone.
pub(super) fn find<'r>(
    rows: &'r Rows<'_>,
    caller: &Caller,
    key: KeyId,
) -> Result<&'r HeldSecret, Refusal> {
    match rows.secret(caller.account, key) {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => Err(Refusal::of(Status::NotFound, key)),
        Err(fault) => Err(Refusal {
            key: Some(key),
            ..Refusal::from(fault)
        }),
    }
}

/// Whether the answer brings the receipt of its entry (section 8.1): where something went
/// that does not come back.
fn has_receipt(method: Method) -> bool {
    matches!(method, Method::Sign | Method::Delete | Method::Approvers)
}

struct Request<W, D> {
    asking: Asking,
    limits: Limits,
    wanted: W,
    decide: D,
}

impl<W, D, T> Act for Request<W, D>
where
    W: Fn(&mut Wanted) + Send + 'static,
    D: FnOnce(Now, &mut Rows<'_>) -> Result<Decision<T>, Refusal> + Send + 'static,
    T: Send + 'static,
{
    type Answer = Result<T, Status>;

    fn wanted(&self, wanted: &mut Wanted) {
        wants(wanted, &self.asking.caller);
        wanted.chain(AccountNo::SYSTEM);
        (self.wanted)(wanted);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let Self {
            asking,
            limits,
            decide,
            ..
        } = self;
        let caller = &asking.caller;
        let admitted = admit(rows, now, caller, asking.method, asking.confirms, &limits);
        let decision = match admitted {
            Ok(()) => decide(now, rows),
            Err(status) => Err(Refusal::without_key(status)),
        };
        let (answer, outcome, key, detail) = match decision {
            Ok(it) => (Ok(it.answer), it.status, it.key, it.detail),
            Err(it) => (Err(it.status), it.status, it.key, *it.detail),
        };
        let entry = NewEntry {
            log: log_of(rows, caller),
            action: Action::Method(asking.method),
            outcome,
            actor: caller.actor(),
            key: key.map_or([0; 16], |key| key.0),
            request_hash: asking.hash,
            detail,
        };
        Decided {
            entries: vec![entry],
            answer,
        }
    }
}
