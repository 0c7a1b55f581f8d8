//! Methods 16 and 17: the caller reads the log.
//!
//! **Invariant**: that the log was read is in the log before the answer leaves; the page is
//! of the time before.

use keystead_channel::log::Detail;
use keystead_channel::session::Status;
use keystead_channel::session::requests::{Answer, Audit, Head};

use super::act::{Asking, Decision, Refusal, finish};
use crate::ledger::ReadError;
use crate::rows::Rows;
use crate::server::Server;
use crate::session::Served;

/// Method 16.
pub(super) async fn audit(server: &Server, asking: Asking, audit: Audit) -> Served {
    let caller = &asking.caller;
    let page = server
        .ledger
        .audit(caller.account, &caller.user, &audit)
        .await;
    match page {
        Ok(page) => {
            let count = u64::try_from(page.leaves.0.len()).ok();
            answer(server, asking, page.encode(), count).await
        }
        Err(error) => fail(server, asking, &error).await,
    }
}

/// Method 17.
pub(super) async fn head(server: &Server, asking: Asking, head: Head) -> Served {
    match server.ledger.head(&head).await {
        Ok(page) => answer(server, asking, page.encode(), None).await,
        Err(error) => fail(server, asking, &error).await,
    }
}

async fn answer(server: &Server, asking: Asking, result: Vec<u8>, count: Option<u64>) -> Served {
    let detail = Detail {
        count,
        ..Detail::NONE
    };
    let answer = Answer::done(result);
    let decide = move |_, _: &mut Rows<'_>| Ok(Decision::done(answer, None, detail));
    finish(server, asking.decide(server, |_| (), decide).await)
}

async fn fail(server: &Server, asking: Asking, error: &ReadError) -> Served {
    match error {
        ReadError::Store(_) => Served::status(Status::Unavailable),
        ReadError::Corrupt(corrupt) => {
            tracing::error!(%corrupt, "the log");
            asking
                .refuse(server, Refusal::without_key(Status::Corrupt))
                .await
        }
    }
}
