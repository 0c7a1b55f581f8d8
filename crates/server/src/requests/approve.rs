//! Method 13: an approver's signature over the text of a request that waits.
//!
//! **Invariant**: it counts when its own entry is durable and says that it came in time by
//! the database's clock; all that can be wrong with one is the same answer.

use keystead_channel::log::Detail;
use keystead_channel::session::Status;
use keystead_channel::session::requests::{Answer, Approve};

use super::act::{Asking, Decision, Refusal, finish};
use crate::approval::Logged;
use crate::server::Server;
use crate::session::Served;

pub(super) async fn serve(server: &Server, asking: Asking, approve: Approve) -> Served {
    let approvals = asking.caller.approvals.clone();
    let detail = Detail {
        approver: Some(approve.approver),
        ..Detail::NONE
    };
    let Ok(reserved) = approvals.reserve(&approve) else {
        let refusal = Refusal::without_key(Status::Approval).with(detail);
        return asking.refuse(server, refusal).await;
    };
    let detail = Detail {
        approval: Some(reserved.hash),
        ..detail
    };
    let expires_unix_ms = reserved.expires_unix_ms;
    let settled = asking.decide(
        server,
        |_| (),
        move |now, _| match now.ms < expires_unix_ms {
            true => Ok(Decision::done(Answer::of(Status::Done), None, detail)),
            false => Err(Refusal::without_key(Status::Approval).with(detail)),
        },
    );
    let settled = settled.await;
    let logged = match &settled {
        Ok(settled) if settled.outcome.is_ok() => Logged::Yes,
        Ok(_) | Err(_) => Logged::No,
    };
    approvals.settle(&reserved, logged);
    finish(server, settled)
}
