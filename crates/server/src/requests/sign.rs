//! Method 12: a signature by a key that the server holds.
//!
//! **Invariant**: the signature is made before the lock, by what of a key's row never
//! changes: its value and its purposes. Under the lock the row must be there still, and its
//! policy is asked as it then stands. The signature leaves when its entry is durable, and is
//! dropped when that fails.

use std::sync::Arc;

use keystead_channel::log::Detail;
use keystead_channel::session::requests::{Answer, KeyType, Request, Sign, Signed};
use keystead_channel::session::{Octets, RequestId, Status};

use super::act::{Asking, Decision, Refusal, Settled, find};
use super::gate::{self, Approved, Gate, Pass, Wait};
use super::parts;
use crate::policy::{self, Condition};
use crate::rows::{Rows, SERVER_HELD};
use crate::server::Server;
use crate::session::Served;
use crate::signing;
use crate::store::{Now, Wanted};

pub(super) async fn serve(
    server: Arc<Server>,
    asking: Asking,
    id: RequestId,
    sign: Sign,
) -> Served {
    let sign = Arc::new(sign);
    let body = {
        let sign = Arc::clone(&sign);
        move || Request::Sign(Sign::clone(&sign)).encode(id)
    };
    gate::run(server, asking, body, move |server, asking, approved| {
        decide(server, asking, approved, Arc::clone(&sign))
    })
    .await
}

/// What was made before the lock.
struct Prepared {
    /// Tells the row from another that was made under the same nonce after it was deleted.
    made: [u8; 16],
    /// None where approvers must agree first.
    signature: Option<Vec<u8>>,
}

async fn decide(
    server: Arc<Server>,
    asking: Asking,
    approved: Option<Approved>,
    sign: Arc<Sign>,
) -> Result<Settled<Gate>, Status> {
    let prepared = prepare(&server, &asking, approved.is_some(), &sign).await?;
    let (account, key) = (asking.caller.account, sign.key);
    let asked = (asking.clone(), approved.clone());
    let wanted = move |wanted: &mut Wanted| {
        wanted.secret(account, key);
        gate::want(wanted, asked.1.as_ref(), &asked.0);
    };
    let under = asking.clone();
    let under_lock = move |now, rows: &mut Rows<'_>| match prepared {
        Ok(prepared) => under_lock(now, rows, &under, approved.as_ref(), &sign, prepared),
        Err(refusal) => Err(refusal),
    };
    asking.decide(&server, wanted, under_lock).await
}

/// Reads the key and signs; a refusal is logged like what is decided later.
async fn prepare(
    server: &Server,
    asking: &Asking,
    is_approved: bool,
    sign: &Arc<Sign>,
) -> Result<Result<Prepared, Refusal>, Status> {
    let mut wanted = Wanted::new();
    wanted.secret(asking.caller.account, sign.key);
    let loaded = server.store.read(wanted).await;
    let loaded = loaded.map_err(|_| Status::Unavailable)?;
    let (signs, prepared) = {
        let rows = Rows::new(loaded, &server.sealing);
        match read(&rows, asking, is_approved, sign) {
            Ok(read) => read,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
    let Some(signs) = signs else {
        return Ok(Ok(prepared));
    };
    let signature = match signs.kind {
        // Milliseconds of one processor, which would hold up other sessions.
        KeyType::Rsa => {
            let sign = Arc::clone(sign);
            let made = tokio::task::spawn_blocking(move || signs.sign(&sign));
            made.await.unwrap_or(Err(Status::Unavailable))
        }
        KeyType::Arbitrary | KeyType::Ed25519 | KeyType::P256 | KeyType::Secp256k1 => {
            signs.sign(sign)
        }
    };
    Ok(match signature {
        Ok(signature) => Ok(Prepared {
            signature: Some(signature),
            ..prepared
        }),
        Err(status) => Err(refusal(status, sign)),
    })
}

/// What signs.
struct Signs {
    kind: KeyType,
    key: keystead_vault::held::HeldKey,
    purposes: Vec<keystead_channel::session::requests::KeyPurpose>,
}

impl Signs {
    fn sign(&self, sign: &Sign) -> Result<Vec<u8>, Status> {
        signing::sign(&self.key, &self.purposes, &sign.fields)
    }
}

/// What the key's row says; nothing signs where its policy forbids it, or approvers must
/// agree first.
fn read(
    rows: &Rows<'_>,
    asking: &Asking,
    is_approved: bool,
    sign: &Sign,
) -> Result<(Option<Signs>, Prepared), Refusal> {
    let refuse = |status| refusal(status, sign);
    let secret = find(rows, &asking.caller, sign.key)?;
    if secret.context != SERVER_HELD {
        return Err(refuse(Status::WrongType));
    }
    let policy = parts::policy(secret).map_err(refuse)?;
    policy::check_fields(policy.as_ref(), &sign.fields).map_err(|it| forbidden(it, sign))?;
    let prepared = Prepared {
        made: secret.made,
        signature: None,
    };
    if policy.is_some_and(|it| it.quorum.is_some()) && !is_approved {
        return Ok((None, prepared));
    }
    let signs = Signs {
        kind: parts::kind(secret).map_err(refuse)?,
        key: parts::held(secret).map_err(refuse)?,
        purposes: parts::purposes(secret),
    };
    Ok((Some(signs), prepared))
}

fn under_lock(
    now: Now,
    rows: &mut Rows<'_>,
    asking: &Asking,
    approved: Option<&Approved>,
    sign: &Sign,
    prepared: Prepared,
) -> Result<Decision<Gate>, Refusal> {
    let refuse = |status| refusal(status, sign);
    let secret = find(rows, &asking.caller, sign.key)?;
    if secret.made != prepared.made {
        return Err(refuse(Status::Conflict));
    }
    let policy = parts::policy(secret).map_err(refuse)?;
    let forbid = |condition| forbidden(condition, sign);
    policy::check_fields(policy.as_ref(), &sign.fields).map_err(forbid)?;
    let (account, hour) = (asking.caller.account, hour(now));
    let counts = policy.as_ref().is_some_and(|it| it.hourly_max.is_some());
    let corrupt = |_| refuse(Status::Corrupt);
    let n = rows.count(account, sign.key, hour).map_err(corrupt)?;
    policy::check_time(policy.as_ref(), now.ms, n).map_err(forbid)?;
    let quorum = policy.and_then(|policy| policy.quorum);
    let detail = match gate::pass(quorum.as_ref(), approved, rows, asking).map_err(refuse)? {
        Pass::Go(detail) => detail,
        Pass::Wait(quorum) => {
            let wait = Gate::Wait(Box::new(Wait {
                quorum,
                now_ms: now.ms,
                key: Some(sign.key),
                public_key: Some(secret.public_key.clone()),
                label: Some(parts::label(secret).map_err(refuse)?),
            }));
            return Ok(Decision {
                status: Status::Waiting,
                ..Decision::done(wait, Some(sign.key), detail_of(sign))
            });
        }
    };
    // A quorum that was lifted in between: nothing was signed.
    let signature = prepared.signature.ok_or_else(|| refuse(Status::Conflict))?;
    if counts {
        let counted = rows.count_one(account, sign.key, hour);
        counted.map_err(corrupt)?;
    }
    let signed = Signed {
        signature: Octets(signature),
    };
    let answer = Gate::Open(Answer::done(signed.encode()));
    let detail = Detail {
        purpose: Some(sign.fields.purpose()),
        ..detail
    };
    Ok(Decision::done(answer, Some(sign.key), detail))
}

fn hour(now: Now) -> u32 {
    u32::try_from(policy::hour_of(now.ms)).unwrap_or(u32::MAX)
}

fn detail_of(sign: &Sign) -> Detail {
    Detail {
        purpose: Some(sign.fields.purpose()),
        ..Detail::NONE
    }
}

fn refusal(status: Status, sign: &Sign) -> Refusal {
    Refusal::of(status, sign.key).with(detail_of(sign))
}

fn forbidden(condition: Condition, sign: &Sign) -> Refusal {
    let detail = Detail {
        condition: Some(condition.number()),
        ..detail_of(sign)
    };
    Refusal::of(Status::Policy, sign.key).with(detail)
}
