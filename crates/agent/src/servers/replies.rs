//! What commands about key servers are answered.

use keystead_core::{Name, SecretBytes, hex};
use keystead_keeper::server::control::{Failure, Reply};
use keystead_keeper::server::protocol::requests::Answer;

use super::event::{Approved, Behind, Told};
use super::{STATUS_NO_ANSWER, STATUS_REFUSED, Step};
use crate::ids::ClientId;

pub(super) fn answer(step: &mut Step<'_>, client: ClientId, answer: &Answer) {
    let mut bytes = answer.encode();
    let behind = SecretBytes::take(&mut bytes);
    step.told.push(Told::Reply {
        client,
        reply: Reply::Answer {
            answer_bytes: behind.len(),
        },
        behind: Some(Behind(behind)),
    });
}

/// A person is being asked for a command.
pub(super) fn waiting(step: &mut Step<'_>, client: ClientId, by: &Name, left_s: u64) {
    let keeper = by.to_string();
    reply(step, client, Reply::Waiting { keeper, left_s });
}

/// What became of the approval that a command wanted.
pub(super) fn approved(step: &mut Step<'_>, client: ClientId, end: Approved) {
    match end {
        Approved::Yes {
            approver,
            signature,
            by,
        } => {
            let approval = Reply::Approval {
                approver: hex::encode(&approver),
                signature: hex::encode(&signature),
                keeper: by.to_string(),
            };
            reply(step, client, approval);
        }
        Approved::No { by } => not_approved(step, client, format!("refused by {by}"), true),
        Approved::Nobody { why } => not_approved(step, client, why, false),
    }
}

pub(super) fn not_approved(step: &mut Step<'_>, client: ClientId, message: String, is_no: bool) {
    let failure = Failure {
        status: if is_no {
            STATUS_REFUSED
        } else {
            STATUS_NO_ANSWER
        },
        message,
        hint: (!is_no).then(|| "answer on the authenticator's screen, and try again".to_owned()),
    };
    fail(step, client, &failure);
}

pub(super) fn done(step: &mut Step<'_>, client: ClientId) {
    reply(step, client, Reply::Done {});
}

pub(super) fn fail(step: &mut Step<'_>, client: ClientId, failure: &Failure) {
    reply(step, client, Reply::Failed(failure.clone()));
}

pub(super) fn reply(step: &mut Step<'_>, client: ClientId, reply: Reply) {
    let behind = None;
    step.told.push(Told::Reply {
        client,
        reply,
        behind,
    });
}
