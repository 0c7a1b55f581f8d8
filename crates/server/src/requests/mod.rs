//! What is asked inside a session (`spec/session.md` section 8): secrets and keys,
//! signatures, policies and approvals.
//!
//! **Invariant**: a request changes what it changes in one transaction with its one entry,
//! by rows found through (account, key id) alone, so that another's key and an unknown one
//! are the same *not found*; no answer leaves before that is durable. A request that waits
//! for approvers has an entry for that too, and one more when it is decided.
//!
//! | module | methods |
//! |---|---|
//! | [`keep`] | 4 put, 5 make, 6 import |
//! | [`retrieve`] | 7 retrieve |
//! | [`look`] | 8 list, 9 show |
//! | [`change`] | 10 label, 11 delete |
//! | [`sign`] | 12 sign |
//! | [`approve`] | 13 approve |
//! | [`govern`] | 14 policy, 15 approvers |
//! | [`read_log`] | 16 audit, 17 head |

mod act;
mod approve;
mod change;
mod gate;
mod govern;
mod keep;
mod look;
mod parts;
mod read_log;
mod retrieve;
mod sign;

use std::sync::Arc;

use keystead_channel::session::Status;
use keystead_channel::session::requests::Request;

use crate::server::Server;
use crate::session::{Asked, Caller, Served};
use act::{Asking, Refusal};

/// Serves one request of methods 4 to 17.
pub async fn serve(server: Arc<Server>, caller: Caller, asked: Asked) -> Served {
    let asking = Asking::new(caller, &asked);
    let mark = keep::mark(&asking.caller.user, &asked.request);
    match asked.request {
        Request::Put(put) => keep::put(&server, asking, put, mark).await,
        Request::Make(make) => keep::make(&server, asking, make, mark).await,
        Request::Import(import) => keep::import(&server, asking, import, mark).await,
        Request::Retrieve(retrieve) => retrieve::serve(server, asking, asked.id, retrieve).await,
        Request::List(list) => look::list(&server, asking, list).await,
        Request::Show(show) => look::show(&server, asking, show).await,
        Request::Label(change) => change::label(&server, asking, change).await,
        Request::Delete(show) => change::delete(&server, asking, show).await,
        Request::Sign(sign) => sign::serve(server, asking, asked.id, sign).await,
        Request::Approve(approve) => approve::serve(&server, asking, approve).await,
        Request::Policy(change) => govern::policy(server, asking, asked.id, change).await,
        Request::Approvers(change) => govern::approvers(server, asking, asked.id, change).await,
        Request::Audit(audit) => read_log::audit(&server, asking, audit).await,
        Request::Head(head) => read_log::head(&server, asking, head).await,
        Request::Open(_)
        | Request::Ping
        | Request::Complete(_)
        | Request::StorageKey
        | Request::Sessions(_)
        | Request::LogOut(_)
        | Request::PasswordStart(_)
        | Request::PasswordFinish(_)
        | Request::RecoveryCode(_)
        | Request::DeleteAccount => {
            let refusal = Refusal::without_key(Status::Method);
            asking.refuse(&server, refusal).await
        }
    }
}
