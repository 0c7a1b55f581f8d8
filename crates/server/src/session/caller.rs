//! Who asks inside a session, what is asked, and what comes of it: the seam between a
//! conversation and those who serve requests.
//!
//! **Invariant**: everything here was authenticated by the session's frames; nothing of
//! it was said by the client about itself.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use keystead_channel::session::requests::{Answer, Method, Request};
use keystead_channel::session::{BindingKind, RequestId, SessionId, SessionMark, Status, UserId};

use super::changing::Changing;
use crate::approval::Approvals;
use crate::rows::AccountNo;

/// An open session, as those who serve its requests see it.
#[derive(Clone)]
pub struct Caller {
    /// The account's number in the tables.
    pub account: AccountNo,
    /// The account's id.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// What its row is told by, under the lock.
    pub mark: Arc<SessionMark>,
    /// When it was opened by a password, by the database's clock.
    pub login_ms: u64,
    /// Whether it went on by resumption; then it is never fresh.
    pub is_resumed: bool,
    /// Whether it is bound to this connection's TLS.
    pub binding: BindingKind,
    /// Approvals that it waits for.
    pub approvals: Arc<Approvals>,
    /// A change of its account's password that has begun.
    pub changing: Arc<Changing>,
}

impl Caller {
    /// Whether the password was shown a moment ago, on this connection (section 8.1: not by
    /// resumption).
    ///
    /// # Errors
    /// [`Status::FreshLogin`].
    pub fn require_fresh(&self, now_ms: u64, fresh_s: u32) -> Result<(), Status> {
        match is_fresh(self.login_ms, self.is_resumed, now_ms, fresh_s) {
            true => Ok(()),
            false => Err(Status::FreshLogin),
        }
    }

    /// The actor of its entries: the session's id, cut.
    #[must_use]
    pub fn actor(&self) -> [u8; 8] {
        self.session.0.first_chunk().copied().unwrap_or_default()
    }
}

/// A request that was opened and read.
pub struct Asked {
    /// Its sub-session: the answer's too.
    pub sub: u64,
    /// Which it is.
    pub method: Method,
    /// Drawn by the client.
    pub id: RequestId,
    /// What it asks.
    pub request: Request,
    /// What its entry names it by.
    pub hash: [u8; 32],
    /// Whether it is the first frame of a generation, which its transaction notes.
    pub confirms: bool,
}

/// What comes of a request.
pub struct Served {
    /// The answer, to the request's own sub-session.
    pub answer: Answer,
    /// What becomes of the session when the answer is sent.
    pub then: Then,
    /// After an answer with [`Status::Waiting`]: the one that follows under the same
    /// sub-session.
    pub later: Option<BoxFuture<'static, Served>>,
}

impl Served {
    /// An answer, and the session goes on.
    #[must_use]
    pub fn answer(answer: Answer) -> Self {
        Self {
            answer,
            then: Then::Go,
            later: None,
        }
    }

    /// A status alone. Where the session is over, it is closed with it.
    #[must_use]
    pub fn status(status: Status) -> Self {
        let then = match status == Status::LoginRequired {
            true => Then::Close,
            false => Then::Go,
        };
        Self {
            answer: Answer::of(status),
            then,
            later: None,
        }
    }
}

/// What becomes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    Go,
    /// It ends; the client is told so by a notice.
    Close,
}

fn is_fresh(login_ms: u64, is_resumed: bool, now_ms: u64, fresh_s: u32) -> bool {
    let age_ms = now_ms.checked_sub(login_ms);
    !is_resumed && age_ms.is_some_and(|age| age < u64::from(fresh_s).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fresh_login_is_young_and_no_resumption() {
        let check = |login_ms, is_resumed, now_ms, expected| {
            let is_fresh = super::is_fresh(login_ms, is_resumed, now_ms, 300);
            assert_eq!(is_fresh, expected, "{login_ms} {is_resumed} {now_ms}");
        };
        check(1_000, false, 1_000, true);
        check(1_000, false, 300_999, true);
        check(1_000, false, 301_000, false);
        check(1_000, true, 1_000, false);
        // A clock that went back proves nothing.
        check(1_000, false, 999, false);
    }
}
