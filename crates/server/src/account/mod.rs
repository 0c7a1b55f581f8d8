//! What a session asks about its own account: methods 1, 3 and 18 to 23
//! (`spec/session.md` section 8).
//!
//! **Invariant**: each is one transaction that asks first whether the session may
//! ([`login::admit`]), writes one entry whatever comes of it, and answers when both are
//! durable. What ends sessions ends them in that transaction.
//!
//! [`login::admit`]: crate::login::admit

mod act;
mod erase;
mod password;
mod sessions;
mod storage_key;

use std::sync::Arc;

use keystead_channel::session::Status;
use keystead_channel::session::requests::{Answer, Method, Request};

pub use erase::{erase, finish, want_erased};
pub use sessions::end_all;

use act::{Asking, Did};

use crate::login::status_of;
use crate::server::Server;
use crate::session::{Asked, Caller, Served, Then};

/// Whether a method is served here.
#[must_use]
pub fn serves(method: Method) -> bool {
    match method {
        Method::Ping
        | Method::StorageKey
        | Method::Sessions
        | Method::LogOut
        | Method::PasswordStart
        | Method::PasswordFinish
        | Method::RecoveryCode
        | Method::DeleteAccount => true,
        Method::Open
        | Method::Complete
        | Method::Put
        | Method::Make
        | Method::Import
        | Method::Retrieve
        | Method::List
        | Method::Show
        | Method::Label
        | Method::Delete
        | Method::Sign
        | Method::Approve
        | Method::Policy
        | Method::Approvers
        | Method::Audit
        | Method::Head => false,
    }
}

/// Serves a request of which [`serves`] is true.
pub async fn serve(server: Arc<Server>, caller: Caller, asked: Asked) -> Served {
    let asking = Asking::new(&server, &caller, asked.method, asked.hash, asked.confirms);
    match asked.request {
        Request::Ping => ping(&server, asking).await,
        Request::StorageKey => storage_key::give(&server, asking).await,
        Request::Sessions(sessions) => match sessions.close {
            Some(session) => sessions::close(&server, asking, session).await,
            None => sessions::list(&server, asking).await,
        },
        Request::LogOut(log_out) => sessions::log_out(&server, asking, log_out.everywhere).await,
        Request::PasswordStart(start) => password::start(&server, asking, &start).await,
        Request::PasswordFinish(finish) => password::finish(&server, asking, finish).await,
        Request::RecoveryCode(code) => password::recovery_code(&server, asking, code).await,
        Request::DeleteAccount => erase::delete(&server, asking).await,
        Request::Open(_)
        | Request::Complete(_)
        | Request::Put(_)
        | Request::Make(_)
        | Request::Import(_)
        | Request::Retrieve(_)
        | Request::List(_)
        | Request::Show(_)
        | Request::Label(_)
        | Request::Delete(_)
        | Request::Sign(_)
        | Request::Approve(_)
        | Request::Policy(_)
        | Request::Approvers(_)
        | Request::Audit(_)
        | Request::Head(_) => Served::status(Status::Method),
    }
}

/// A request that could not be read.
pub struct Unread {
    /// As the frame's head says; it may stand for nothing.
    pub method: u16,
    /// What answers it.
    pub status: Status,
    /// Of its bytes.
    pub hash: [u8; 32],
    /// As [`Asked::confirms`].
    pub confirms: bool,
}

/// Logs and answers a request that could not be read. A method that is none stands in the
/// log as 0, which no session asks.
pub async fn refuse(server: &Arc<Server>, caller: &Caller, unread: Unread) -> Served {
    let method = Method::from_number(u64::from(unread.method)).unwrap_or(Method::Open);
    let asking = Asking::new(server, caller, method, unread.hash, unread.confirms);
    let status = unread.status;
    let refused = asking.act(|_| (), move |_, _, _| Err::<Did<()>, _>(status));
    match server.ledger.commit(refused).await {
        Ok(committed) => Served::status(committed.answer.err().unwrap_or(status)),
        Err(error) => Served::status(status_of(&error)),
    }
}

/// Keeps the session alive, and writes nothing but that.
async fn ping(server: &Arc<Server>, asking: Asking) -> Served {
    let asking = asking.unlogged();
    let ping = asking.act(|_| (), |_, _, _| Ok(Did::plain(())));
    match server.ledger.commit(ping).await {
        Ok(committed) => Served::status(committed.answer.err().unwrap_or(Status::Done)),
        Err(error) => Served::status(status_of(&error)),
    }
}

/// An answer, and the end of its session.
fn closing(answer: Answer) -> Served {
    Served {
        answer,
        then: Then::Close,
        later: None,
    }
}
