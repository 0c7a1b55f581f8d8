//! Requests that approvers must agree to.
//!
//! **Invariant**: what is done with an approval is what was asked: the same request decides
//! again, under the lock, and finds the very quorum that was asked, all of them approvers
//! still; another one in the meantime is a *conflict*. A recovery that is in force stands for the approval, except of
//! a signature.

use std::sync::Arc;
use std::time::Duration;

use keystead_channel::log::Detail;
use keystead_channel::session::requests::{Answer, Label, Method, Quorum};
use keystead_channel::session::{Approval, ApprovalTag, ApproverId, KeyId, Octets, Status, Text};
use keystead_daemon::SystemRng;
use rand_core::RngCore;

use super::act::{Asking, Refusal, Settled, finish};
use crate::approval;
use crate::policy::Condition;
use crate::rows::{Account, Rows};
use crate::server::Server;
use crate::session::Served;
use crate::store::Wanted;

/// What a request decides where approvers may be wanted.
pub(super) enum Gate {
    /// It is done.
    Open(Answer),
    /// It is not, before these agree.
    Wait(Box<Wait>),
}

/// What is put to approvers.
pub(super) struct Wait {
    /// Who must agree.
    pub(super) quorum: Quorum,
    /// When the request came.
    pub(super) now_ms: u64,
    /// Of the key that is meant.
    pub(super) key: Option<KeyId>,
    /// Its public half.
    pub(super) public_key: Option<Vec<u8>>,
    /// Its label.
    pub(super) label: Option<Label>,
}

/// They have agreed.
#[derive(Clone)]
pub(super) struct Approved {
    /// Who was asked.
    quorum: Quorum,
    how: How,
}

#[derive(Clone)]
enum How {
    /// By some of those who were asked.
    Signed {
        /// H(text ‖ signatures).
        hash: [u8; 32],
        /// All of them.
        asked: Vec<ApproverId>,
    },
    /// A recovery is in force.
    Recovered,
}

/// Whether a request may go on.
#[expect(
    clippy::large_enum_variant,
    reason = "made once a request, and taken apart at once"
)]
pub(super) enum Pass {
    /// It may; its entry says why.
    Go(Detail),
    /// These must agree first.
    Wait(Quorum),
}

/// Whether a request that needs `quorum`, if any, may go on with what was approved.
///
/// # Errors
/// [`Status::Conflict`]: another quorum was asked, or one of those who were asked is no
/// approver any more. [`Status::Approval`]: the recovery is not
/// in force any more.
pub(super) fn pass(
    quorum: Option<&Quorum>,
    approved: Option<&Approved>,
    rows: &Rows<'_>,
    asking: &Asking,
) -> Result<Pass, Status> {
    let Some(quorum) = quorum else {
        return Ok(Pass::Go(Detail::NONE));
    };
    let Some(approved) = approved else {
        return Ok(Pass::Wait(quorum.clone()));
    };
    if approved.quorum != *quorum {
        return Err(Status::Conflict);
    }
    let account = rows.account(asking.caller.account);
    let account = account.map_err(|_| Status::Corrupt)?;
    let account = account.ok_or(Status::LoginRequired)?;
    match &approved.how {
        How::Signed { hash, asked } => {
            let known = account.approvers.iter().map(|it| ApproverId::of(&it.key));
            let known: Vec<_> = known.collect();
            // One who was removed meanwhile, as one does with what was stolen.
            if !asked.iter().all(|it| known.contains(it)) {
                return Err(Status::Conflict);
            }
            Ok(Pass::Go(Detail {
                approval: Some(*hash),
                ..Detail::NONE
            }))
        }
        How::Recovered => match is_recovered(account, rows.now.ms) {
            true => Ok(Pass::Go(said(RECOVERED))),
            false => Err(Status::Approval),
        },
    }
}

/// What an approved request wants to see besides.
pub(super) fn want(wanted: &mut Wanted, approved: Option<&Approved>, asking: &Asking) {
    if approved.is_some() {
        wanted.account(asking.caller.account);
    }
}

/// Decides a request, asks its approvers if it must, and decides it again with their
/// agreement. `body` makes its plaintext, which only they see.
pub(super) async fn run<B, F, R>(server: Arc<Server>, asking: Asking, body: B, decide: F) -> Served
where
    B: FnOnce() -> Vec<u8>,
    F: Fn(Arc<Server>, Asking, Option<Approved>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Settled<Gate>, Status>> + Send + 'static,
{
    let first = decide(Arc::clone(&server), asking.clone(), None).await;
    let wait = match opened(first) {
        Ok(settled) => return finish(&server, settled),
        Err(wait) => wait,
    };
    let again = asking.again();
    let people = match find_approvers(&server, &again, &wait).await {
        Ok(Found::People(people)) => people,
        Ok(Found::Recovered) => {
            let approved = Approved {
                quorum: wait.quorum.clone(),
                how: How::Recovered,
            };
            return decided(
                &server,
                decide(Arc::clone(&server), again, Some(approved)).await,
            );
        }
        Err(refusal) => return again.refuse(&server, refusal).await,
    };
    let settings = server.settings.sessions;
    let wait_s = u64::from(settings.approval_s);
    let expires_unix_ms = wait.now_ms.saturating_add(wait_s.saturating_mul(1_000));
    let text = text(&server, &asking, body(), &wait, expires_unix_ms).encode();
    let asked = people.approvers.iter().map(|(id, _)| *id).collect();
    let approvals = Arc::clone(&asking.caller.approvals);
    let waits = approval::take_room(&server.approval_room, &text).and_then(|room| {
        let (text, max) = (text.clone(), settings.approvals_max);
        let told = approvals.begin(asking.sub, text, people, expires_unix_ms, max)?;
        Ok((told, room))
    });
    let Ok((told, room)) = waits else {
        let refusal = refusal(Status::Busy, wait.key);
        return again.refuse(&server, refusal).await;
    };
    let later = async move {
        // Given back with the last answer, or with the session.
        let _room = room;
        let told = tokio::time::timeout(Duration::from_secs(wait_s), told).await;
        let Ok(Ok(granted)) = told else {
            approvals.forget(again.sub);
            let refusal = refusal(Status::Approval, wait.key);
            return again.refuse(&server, refusal).await;
        };
        let approved = Approved {
            quorum: wait.quorum.clone(),
            how: How::Signed {
                hash: granted.hash,
                asked,
            },
        };
        decided(
            &server,
            decide(Arc::clone(&server), again, Some(approved)).await,
        )
    };
    let mut served = Served::answer(waiting(text));
    served.later = Some(Box::pin(later));
    served
}

/// From when on a recovery that was begun stands for approvals.
pub(super) fn recovery_from_ms(account: &Account) -> Option<u64> {
    let started_ms = account.recovery_started_ms?;
    Some(started_ms.saturating_add(RECOVERY_WAIT_MS))
}

/// Whether a recovery stands for approvals now.
pub(super) fn is_recovered(account: &Account, now_ms: u64) -> bool {
    recovery_from_ms(account).is_some_and(|from_ms| {
        let until_ms = from_ms.saturating_add(RECOVERY_LASTS_MS);
        (from_ms..until_ms).contains(&now_ms)
    })
}

/// Whether a recovery was begun and is not over.
pub(super) fn is_recovering(account: &Account, now_ms: u64) -> bool {
    recovery_from_ms(account).is_some_and(|it| now_ms < it.saturating_add(RECOVERY_LASTS_MS))
}

/// A detail that is a word.
pub(super) fn said(word: &str) -> Detail {
    Detail {
        verb: Some(Text(word.to_owned())),
        ..Detail::NONE
    }
}

enum Found {
    People(approval::Quorum),
    Recovered,
}

/// The keys of those who must agree, from the account's own list.
async fn find_approvers(server: &Server, asking: &Asking, wait: &Wait) -> Result<Found, Refusal> {
    let refuse = |status| refusal(status, wait.key);
    let mut wanted = Wanted::new();
    wanted.account(asking.caller.account);
    let loaded = server.store.read(wanted).await;
    let loaded = loaded.map_err(|_| refuse(Status::Unavailable))?;
    let rows = Rows::new(loaded, &server.sealing);
    let account = rows.account(asking.caller.account)?;
    let account = account.ok_or_else(|| refuse(Status::LoginRequired))?;
    if asking.method != Method::Sign && is_recovered(account, rows.now.ms) {
        return Ok(Found::Recovered);
    }
    let known = account.approvers.iter().map(|it| it.key);
    let named = known
        .map(|key| (ApproverId::of(&key), key))
        .filter(|(id, _)| wait.quorum.approvers.0.contains(id));
    let approvers: Vec<_> = named.collect();
    let count = usize::try_from(wait.quorum.count).unwrap_or(usize::MAX);
    if approvers.len() < count {
        let detail = Detail {
            condition: Some(Condition::Quorum.number()),
            ..Detail::NONE
        };
        return Err(refuse(Status::Policy).with(detail));
    }
    Ok(Found::People(approval::Quorum { approvers, count }))
}

fn text(
    server: &Server,
    asking: &Asking,
    body: Vec<u8>,
    wait: &Wait,
    expires_unix_ms: u64,
) -> Approval {
    let mut nonce = [0; 16];
    SystemRng.fill_bytes(&mut nonce);
    Approval {
        tag: ApprovalTag,
        server: server.server_id,
        user: asking.caller.user,
        session: asking.caller.session,
        method: asking.method,
        body: Octets(body),
        request_hash: asking.hash,
        nonce,
        expires_unix_ms,
        public_key: wait.public_key.clone().map(Octets),
        label: wait.label.clone(),
    }
}

/// What was decided, or what is waited for.
fn opened(
    settled: Result<Settled<Gate>, Status>,
) -> Result<Result<Settled<Answer>, Status>, Box<Wait>> {
    let Settled { outcome, receipt } = match settled {
        Ok(settled) => settled,
        Err(status) => return Ok(Err(status)),
    };
    let outcome = match outcome {
        Ok(Gate::Wait(wait)) => return Err(wait),
        Ok(Gate::Open(answer)) => Ok(answer),
        Err(status) => Err(status),
    };
    Ok(Ok(Settled { outcome, receipt }))
}

/// What was decided with an agreement, which is wanted once.
fn decided(server: &Server, settled: Result<Settled<Gate>, Status>) -> Served {
    match opened(settled) {
        Ok(settled) => finish(server, settled),
        Err(_) => Served::status(Status::Conflict),
    }
}

fn waiting(text: Vec<u8>) -> Answer {
    Answer {
        status: Status::Waiting,
        ..Answer::done(encoded(&text))
    }
}

/// The text as a byte string (RFC 8949 section 3.1): the result of an answer is CBOR.
fn encoded(text: &[u8]) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    // Memory refuses nothing.
    let _ = encoder.bytes(text);
    encoder.into_writer()
}

fn refusal(status: Status, key: Option<KeyId>) -> Refusal {
    match key {
        Some(key) => Refusal::of(status, key),
        None => Refusal::without_key(status),
    }
}

/// 72 h from the beginning of a recovery until it stands for approvals (section 8.3): time for
/// an approver who was not lost to call it off.
const RECOVERY_WAIT_MS: u64 = 72 * 3_600_000;

/// 7 days that it then lasts: what is not put right in a week is begun again.
const RECOVERY_LASTS_MS: u64 = 7 * 24 * 3_600_000;

/// What the entry of a request says that a recovery let pass.
const RECOVERED: &str = "recovered";
