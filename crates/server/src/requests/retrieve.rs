//! Method 7: a value leaves, or is asked after.
//!
//! **Invariant**: the type must be the one that the client takes it for; the intent *null*
//! is logged and gives nothing; a key that the server signs with leaves only after a fresh
//! login, and with the approval that its policy wants. What left is marked in its row.

use std::sync::Arc;

use keystead_channel::log::Detail;
use keystead_channel::session::requests::{Answer, Intent, Request, Retrieve, Retrieved};
use keystead_channel::session::{RequestId, SecretOctets, Status};
use keystead_core::SecretBytes;

use super::act::{Asking, Decision, Refusal, Settled, find};
use super::gate::{self, Approved, Gate, Pass, Wait};
use super::parts;
use crate::rows::{HeldSecret, Rows};
use crate::server::Server;
use crate::session::Served;
use crate::store::Now;

pub(super) async fn serve(
    server: Arc<Server>,
    asking: Asking,
    id: RequestId,
    retrieve: Retrieve,
) -> Served {
    let body = move || Request::Retrieve(retrieve).encode(id);
    gate::run(server, asking, body, move |server, asking, approved| {
        decide(server, asking, approved, retrieve)
    })
    .await
}

async fn decide(
    server: Arc<Server>,
    asking: Asking,
    approved: Option<Approved>,
    retrieve: Retrieve,
) -> Result<Settled<Gate>, Status> {
    let account = asking.caller.account;
    let fresh_s = server.settings.sessions.fresh_login_s;
    let asked = (asking.clone(), approved.clone());
    asking
        .decide(
            &server,
            move |wanted| {
                wanted.secret(account, retrieve.key);
                gate::want(wanted, asked.1.as_ref(), &asked.0);
            },
            {
                let asking = asking.clone();
                move |now, rows| {
                    under_lock(now, rows, &asking, approved.as_ref(), retrieve, fresh_s)
                }
            },
        )
        .await
}

fn under_lock(
    now: Now,
    rows: &mut Rows<'_>,
    asking: &Asking,
    approved: Option<&Approved>,
    retrieve: Retrieve,
    fresh_s: u32,
) -> Result<Decision<Gate>, Refusal> {
    let intent = Detail {
        intent: Some(retrieve.intent),
        ..Detail::NONE
    };
    let key = retrieve.key;
    let refuse = |status| Refusal::of(status, key).with(intent.clone());
    let secret = find(rows, &asking.caller, key)?;
    if parts::kind(secret).map_err(refuse)? != retrieve.kind {
        return Err(refuse(Status::WrongType));
    }
    if retrieve.intent == Intent::Null {
        let answer = Gate::Open(answer_of(None));
        return Ok(Decision::done(answer, Some(key), intent));
    }
    if parts::is_held_key(secret).map_err(refuse)? {
        let caller = &asking.caller;
        caller.require_fresh(now.ms, fresh_s).map_err(refuse)?;
    }
    let policy = parts::policy(secret).map_err(refuse)?;
    let quorum = policy.and_then(|policy| policy.quorum);
    let passed = gate::pass(quorum.as_ref(), approved, rows, asking).map_err(refuse)?;
    let passed = match passed {
        Pass::Go(detail) => detail,
        Pass::Wait(quorum) => {
            let answer = Gate::Wait(Box::new(Wait {
                quorum,
                now_ms: now.ms,
                key: Some(key),
                public_key: Some(secret.public_key.clone()).filter(|it| !it.is_empty()),
                label: Some(parts::label(secret).map_err(refuse)?),
            }));
            return Ok(Decision {
                status: Status::Waiting,
                ..Decision::done(answer, Some(key), intent)
            });
        }
    };
    let answer = Gate::Open(answer_of(Some(value_of(secret).map_err(refuse)?)));
    mark(rows, asking, retrieve)?;
    let detail = Detail {
        intent: intent.intent,
        ..passed
    };
    Ok(Decision::done(answer, Some(key), detail))
}

/// Marks the row the first time that its value leaves for this intent: later ones change
/// nothing.
fn mark(rows: &mut Rows<'_>, asking: &Asking, retrieve: Retrieve) -> Result<(), Refusal> {
    let account = asking.caller.account;
    let bit = match retrieve.intent {
        Intent::Null => 0,
        Intent::LocalOnly => 1,
        Intent::Export => 2,
    };
    let marked = find(rows, &asking.caller, retrieve.key)?.retrieved;
    if marked & bit == bit {
        return Ok(());
    }
    if let Some(secret) = rows.secret_mut(account, retrieve.key)? {
        secret.retrieved = marked | bit;
    }
    Ok(())
}

fn value_of(secret: &HeldSecret) -> Result<Retrieved, Status> {
    let bytes = secret.value.expose();
    let copy = |place: &mut [u8]| place.copy_from_slice(bytes);
    Ok(Retrieved {
        context: parts::context(secret)?,
        value: Some(SecretOctets(SecretBytes::fill(bytes.len(), copy))),
    })
}

fn answer_of(retrieved: Option<Retrieved>) -> Answer {
    let nothing = Retrieved {
        context: None,
        value: None,
    };
    Answer::done(retrieved.unwrap_or(nothing).encode())
}
