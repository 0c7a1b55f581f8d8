//! How a signature ended at a server, as the agent's router knows it.
//!
//! **Invariant:** an approval is one only with a signature; why there is none is told apart.

use keystead_core::{Name, Outcome, RequestHash, ResponseBody, SecretBytes};
use keystead_keeper::server::log::Leaf;
use keystead_keeper::server::protocol::Status;
use keystead_keeper::server::protocol::requests::{Answer, Signed};
use keystead_keeper::server::refusal;
use keystead_keeper::{self as keeper, AskId, KeeperError, Progress};

use super::event::{Told, Trouble, TroubleKind};
use super::open::{Asker, Open};
use super::{Held, Step};

/// How a signature ended, as the agent's router knows it.
pub(super) fn ending(held: &Held, open: &Open, answer: Result<Answer, Trouble>) -> End {
    let keeper = held.shown.clone();
    let Asker::Sign { key, fields, .. } = &open.asker else {
        return Err(KeeperError::NoSuchKeeper);
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(trouble) => return Err(keeper_error(keeper, open, trouble)),
    };
    if answer.status == Status::Policy {
        let condition = condition(&answer);
        return Err(KeeperError::Forbidden { keeper, condition });
    }
    if answer.status == Status::Approval {
        return match open.refused_by.clone() {
            Some(by) => Ok(keeper_answer(Outcome::Refuse, None, open.hash, by)),
            None => Err(KeeperError::NotApproved {
                keeper,
                why: NO_APPROVAL.to_owned(),
            }),
        };
    }
    if answer.status != Status::Done {
        return Err(KeeperError::Server {
            keeper,
            why: format!("the server {}", refusal(answer.status)),
            hint: answer.status.hint(),
        });
    }
    let signed = answer.result.as_ref().map(SecretBytes::expose);
    let signed = signed.and_then(|it| Signed::decode(it).ok());
    let blob = signed.and_then(|it| key.signature(fields, &it.signature.0));
    let Some(blob) = blob else {
        return Err(KeeperError::PeerMisbehaved {
            keeper,
            what: "its signature has the wrong length".to_owned(),
        });
    };
    let body = Some(ResponseBody::Signature(blob));
    Ok(keeper_answer(Outcome::Approve, body, open.hash, keeper))
}

fn keeper_error(keeper: Name, open: &Open, trouble: Trouble) -> KeeperError {
    match trouble.kind {
        TroubleKind::LoginRequired => KeeperError::LoginRequired { keeper },
        TroubleKind::Away => KeeperError::Unreachable {
            keeper,
            reason: trouble.why_away(),
        },
        TroubleKind::Late => KeeperError::NoAnswer {
            keeper,
            wait_s: open.wait_s,
        },
        TroubleKind::Stop | TroubleKind::Other => KeeperError::Server {
            keeper,
            why: trouble.message,
            hint: trouble.hint,
        },
    }
}

type End = Result<keeper::Answer, KeeperError>;

pub(super) fn end(step: &mut Step<'_>, ask: AskId, end: End) {
    let progress = Progress::Done(end);
    step.told.push(Told::Progress { ask, progress });
}

pub(super) fn keeper_answer(
    outcome: Outcome,
    body: Option<ResponseBody>,
    request_hash: RequestHash,
    authenticator: Name,
) -> keeper::Answer {
    keeper::Answer {
        outcome,
        body,
        receipt: None,
        request_hash,
        authenticator,
    }
}

/// The condition of the key's policy that was not met, if the entry says so.
fn condition(answer: &Answer) -> Option<u32> {
    let receipt = answer.receipt.as_ref()?;
    let leaf = Leaf::decode(&receipt.leaf.0).ok()?;
    leaf.detail().ok()?.condition
}

/// Why a request that waited for an approval did not get one.
pub(super) const NO_APPROVAL: &str = "no paired authenticator approved it in time";
