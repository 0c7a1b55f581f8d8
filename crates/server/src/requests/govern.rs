//! Methods 14 and 15: policies, approvers, and the recovery when approvers are lost.
//!
//! **Invariant**: what a quorum protects changes with that quorum's agreement alone, or by
//! a recovery in force. Where an account has approvers, adding or removing one, and calling
//! a recovery off, needs the agreement of one of them; a recovery begins with the recovery
//! code, which is used up by that, and a fresh login.

use std::sync::Arc;

use keystead_channel::log::Detail;
use keystead_channel::session::requests::{
    APPROVERS_MAX, Answer, Approver, ApproverChange, Approvers, PolicyChange, Quorum, RecoveryStep,
    Request, recovery_hash,
};
use keystead_channel::session::{ApproverId, List, RequestId, Status, Text};
use keystead_core::Secret;
use keystead_sodium::memory;

use super::act::{Asking, Decision, Refusal, Settled, find, finish};
use super::gate::{self, Approved, Gate, Pass, Wait};
use super::parts;
use crate::policy;
use crate::rows::Approver as ApproverRow;
use crate::rows::{Account, Rows, SERVER_HELD};
use crate::server::Server;
use crate::session::Served;
use crate::store::{Now, Wanted};

/// Method 14.
pub(super) async fn policy(
    server: Arc<Server>,
    asking: Asking,
    id: RequestId,
    change: PolicyChange,
) -> Served {
    let change = Arc::new(change);
    let body = {
        let change = Arc::clone(&change);
        move || Request::Policy(PolicyChange::clone(&change)).encode(id)
    };
    gate::run(server, asking, body, move |server, asking, approved| {
        decide_policy(server, asking, approved, Arc::clone(&change))
    })
    .await
}

/// Method 15.
pub(super) async fn approvers(
    server: Arc<Server>,
    asking: Asking,
    id: RequestId,
    change: ApproverChange,
) -> Served {
    let step = match Step::of(change) {
        Ok(step) => step,
        Err(status) => return asking.refuse(&server, Refusal::without_key(status)).await,
    };
    match step {
        Step::List => list(&server, asking).await,
        Step::Begin(code) => begin(&server, asking, code).await,
        Step::Change(change) => {
            let change = Arc::new(change);
            let body = {
                let change = Arc::clone(&change);
                move || change.request().encode(id)
            };
            gate::run(server, asking, body, move |server, asking, approved| {
                decide_change(server, asking, approved, Arc::clone(&change))
            })
            .await
        }
    }
}

/// What method 15 asks, which is one thing.
enum Step {
    List,
    Change(Change),
    Begin(Secret<16>),
}

/// What approvers agree to.
enum Change {
    Add(Approver),
    Remove(ApproverId),
    CallOff,
}

impl Step {
    fn of(change: ApproverChange) -> Result<Self, Status> {
        let ApproverChange {
            add,
            remove,
            recovery_code,
            recovery,
        } = change;
        match (add, remove, recovery_code, recovery) {
            (None, None, None, None) => Ok(Self::List),
            (Some(add), None, None, None) => Ok(Self::Change(Change::Add(add))),
            (None, Some(remove), None, None) => Ok(Self::Change(Change::Remove(remove))),
            (None, None, Some(code), None) => Ok(Self::Begin(code)),
            (None, None, None, Some(RecoveryStep::Cancel)) => Ok(Self::Change(Change::CallOff)),
            _ => Err(Status::Malformed),
        }
    }
}

impl Change {
    fn request(&self) -> Request {
        let nothing = ApproverChange {
            add: None,
            remove: None,
            recovery_code: None,
            recovery: None,
        };
        Request::Approvers(match self {
            Self::Add(add) => ApproverChange {
                add: Some(add.clone()),
                ..nothing
            },
            Self::Remove(remove) => ApproverChange {
                remove: Some(*remove),
                ..nothing
            },
            Self::CallOff => ApproverChange {
                recovery: Some(RecoveryStep::Cancel),
                ..nothing
            },
        })
    }

    fn detail(&self) -> Detail {
        match self {
            Self::Add(add) => Detail {
                approver: Some(ApproverId::of(&add.public_key)),
                ..gate::said("added")
            },
            Self::Remove(remove) => Detail {
                approver: Some(*remove),
                ..gate::said("removed")
            },
            Self::CallOff => gate::said("recovery called off"),
        }
    }
}

async fn decide_policy(
    server: Arc<Server>,
    asking: Asking,
    approved: Option<Approved>,
    change: Arc<PolicyChange>,
) -> Result<Settled<Gate>, Status> {
    let (account, key) = (asking.caller.account, change.key);
    let wanted = move |wanted: &mut Wanted| {
        wanted.secret(account, key).account(account);
    };
    let under = asking.clone();
    let under_lock = move |now, rows: &mut Rows<'_>| {
        policy_under_lock(now, rows, &under, approved.as_ref(), &change)
    };
    asking.decide(&server, wanted, under_lock).await
}

fn policy_under_lock(
    now: Now,
    rows: &mut Rows<'_>,
    asking: &Asking,
    approved: Option<&Approved>,
    change: &PolicyChange,
) -> Result<Decision<Gate>, Refusal> {
    let (account, key) = (asking.caller.account, change.key);
    let refuse = |status| Refusal::of(status, key);
    let secret = find(rows, &asking.caller, key)?;
    if secret.context != SERVER_HELD {
        return Err(refuse(Status::WrongType));
    }
    let owner = rows.account(account)?;
    let known = owner.map(approver_ids).unwrap_or_default();
    policy::check(&change.policy, &known).map_err(refuse)?;
    let standing = parts::policy(secret).map_err(refuse)?;
    let quorum = standing.and_then(|policy| policy.quorum);
    let detail = match gate::pass(quorum.as_ref(), approved, rows, asking).map_err(refuse)? {
        Pass::Go(detail) => detail,
        Pass::Wait(quorum) => {
            let wait = Gate::Wait(Box::new(Wait {
                quorum,
                now_ms: now.ms,
                key: Some(key),
                public_key: Some(secret.public_key.clone()).filter(|it| !it.is_empty()),
                label: Some(parts::label(secret).map_err(refuse)?),
            }));
            return Ok(Decision {
                status: Status::Waiting,
                ..Decision::done(wait, Some(key), Detail::NONE)
            });
        }
    };
    if let Some(secret) = rows.secret_mut(account, key)? {
        secret.policy = Some(change.policy.encode());
    }
    let answer = Gate::Open(Answer::of(Status::Done));
    let detail = Detail {
        policy: Some(Detail::policy_hash(&change.policy)),
        ..detail
    };
    Ok(Decision::done(answer, Some(key), detail))
}

async fn decide_change(
    server: Arc<Server>,
    asking: Asking,
    approved: Option<Approved>,
    change: Arc<Change>,
) -> Result<Settled<Gate>, Status> {
    let account = asking.caller.account;
    let fresh_s = server.settings.sessions.fresh_login_s;
    let wanted = move |wanted: &mut Wanted| {
        wanted.account(account);
    };
    let under = asking.clone();
    let under_lock = move |now: Now, rows: &mut Rows<'_>| {
        let refuse = |status| Refusal::without_key(status).with(change.detail());
        // Who calls a recovery off may be one whose password somebody else knows.
        if !matches!(*change, Change::CallOff) && approved.is_none() {
            under
                .caller
                .require_fresh(now.ms, fresh_s)
                .map_err(refuse)?;
        }
        change_under_lock(now, rows, &under, approved.as_ref(), &change)
    };
    asking.decide(&server, wanted, under_lock).await
}

fn change_under_lock(
    now: Now,
    rows: &mut Rows<'_>,
    asking: &Asking,
    approved: Option<&Approved>,
    change: &Change,
) -> Result<Decision<Gate>, Refusal> {
    let refuse = |status| Refusal::without_key(status).with(change.detail());
    let account = rows.account(asking.caller.account)?;
    let account = account.ok_or_else(|| refuse(Status::LoginRequired))?;
    judge(account, change, now).map_err(refuse)?;
    let quorum = any_of(account);
    let passed = gate::pass(quorum.as_ref(), approved, rows, asking).map_err(refuse)?;
    let passed = match passed {
        Pass::Go(detail) => detail,
        Pass::Wait(quorum) => {
            let wait = Gate::Wait(Box::new(Wait {
                quorum,
                now_ms: now.ms,
                key: None,
                public_key: None,
                label: None,
            }));
            return Ok(Decision {
                status: Status::Waiting,
                ..Decision::done(wait, None, change.detail())
            });
        }
    };
    let Some(account) = rows.account_mut(asking.caller.account)? else {
        return Err(refuse(Status::LoginRequired));
    };
    match change {
        Change::Add(add) => account.approvers.push(ApproverRow {
            key: add.public_key,
            name: add.label.0.clone(),
            added_ms: now.ms,
        }),
        Change::Remove(remove) => account
            .approvers
            .retain(|it| ApproverId::of(&it.key) != *remove),
        Change::CallOff => account.recovery_started_ms = None,
    }
    let answer = Gate::Open(list_of(account, now));
    let detail = Detail {
        approval: passed.approval,
        ..change.detail()
    };
    Ok(Decision::done(answer, None, detail))
}

/// Whether there is anything to change.
fn judge(account: &Account, change: &Change, now: Now) -> Result<(), Status> {
    let known = approver_ids(account);
    match change {
        Change::Add(add) if known.contains(&ApproverId::of(&add.public_key)) => {
            Err(Status::Conflict)
        }
        Change::Add(_) if known.len() >= APPROVERS_MAX => Err(Status::Quota),
        Change::Remove(remove) if !known.contains(remove) => Err(Status::NotFound),
        Change::CallOff if !gate::is_recovering(account, now.ms) => Err(Status::NotFound),
        Change::Add(_) | Change::Remove(_) | Change::CallOff => Ok(()),
    }
}

/// One of all of them; none has to agree where there is none.
fn any_of(account: &Account) -> Option<Quorum> {
    let approvers = approver_ids(account);
    (!approvers.is_empty()).then_some(Quorum {
        approvers: List(approvers),
        count: 1,
    })
}

async fn list(server: &Server, asking: Asking) -> Served {
    let account = asking.caller.account;
    let settled = asking.decide(
        server,
        move |wanted| {
            wanted.account(account);
        },
        move |now, rows| {
            let owner = rows.account(account)?;
            let owner = owner.ok_or(Refusal::without_key(Status::LoginRequired))?;
            Ok(Decision::done(list_of(owner, now), None, Detail::NONE))
        },
    );
    finish(server, settled.await)
}

/// A recovery begins.
async fn begin(server: &Server, asking: Asking, code: Secret<16>) -> Served {
    let account = asking.caller.account;
    let fresh_s = server.settings.sessions.fresh_login_s;
    let caller = asking.caller.clone();
    let settled = asking.decide(
        server,
        move |wanted| {
            wanted.account(account);
        },
        move |now, rows| {
            let refuse = |status| Refusal::without_key(status).with(gate::said("recovery begun"));
            caller.require_fresh(now.ms, fresh_s).map_err(refuse)?;
            let owner = rows.account(account)?;
            let owner = owner.ok_or_else(|| refuse(Status::LoginRequired))?;
            let hash = recovery_hash(&code);
            let is_right = owner.recovery.is_some_and(|it| memory::equal(&it, &hash));
            if !is_right {
                return Err(refuse(Status::Refused));
            }
            if gate::is_recovering(owner, now.ms) {
                return Err(refuse(Status::Conflict));
            }
            let Some(owner) = rows.account_mut(account)? else {
                return Err(refuse(Status::LoginRequired));
            };
            owner.recovery = None;
            owner.recovery_started_ms = Some(now.ms);
            let detail = gate::said("recovery begun");
            Ok(Decision::done(list_of(owner, now), None, detail))
        },
    );
    finish(server, settled.await)
}

fn list_of(account: &Account, now: Now) -> Answer {
    let approvers = account.approvers.iter().map(|it| Approver {
        public_key: it.key,
        label: Text(it.name.clone()),
    });
    let recovery = gate::recovery_from_ms(account);
    let list = Approvers {
        approvers: List(approvers.collect()),
        recovery_unix_ms: recovery.filter(|_| gate::is_recovering(account, now.ms)),
    };
    Answer::done(list.encode())
}

fn approver_ids(account: &Account) -> Vec<ApproverId> {
    let keys = account.approvers.iter().map(|it| &it.key);
    keys.map(ApproverId::of).collect()
}
