//! The sessions that are open on a connection of this process.
//!
//! **Invariant**: only what makes an end known sooner. What binds is the session's row,
//! which every request's transaction reads; a session that is told of nothing here ends
//! at its next request all the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keystead_channel::session::{SessionId, Status};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::rows::AccountNo;

/// All of them.
#[derive(Default)]
pub struct Live {
    lines: Mutex<HashMap<SessionId, Line>>,
    serials: AtomicU64,
}

struct Line {
    account: AccountNo,
    serial: u64,
    sender: Sender<Status>,
}

/// A session's place; when it is dropped, nobody tells the session anything more.
pub struct Listening {
    live: Arc<Live>,
    session: SessionId,
    serial: u64,
}

impl Live {
    /// From now on `session` is told when it ends, and why. Another connection's that has it
    /// session is over: it went on here.
    pub fn listen(
        self: &Arc<Self>,
        session: SessionId,
        account: AccountNo,
    ) -> (Listening, Receiver<Status>) {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel(ENDS_MAX);
        let line = Line {
            account,
            serial,
            sender,
        };
        let before = self.lines().insert(session, line);
        if let Some(before) = before {
            before.tell(Status::LoginRequired);
        }
        let listening = Listening {
            live: Arc::clone(self),
            session,
            serial,
        };
        (listening, receiver)
    }

    /// These are over.
    pub fn close(&self, sessions: &[SessionId], status: Status) {
        let lines = self.lines();
        for line in sessions.iter().filter_map(|it| lines.get(it)) {
            line.tell(status);
        }
    }

    /// All of an account's are over, but for one that is told otherwise.
    pub fn close_account(&self, account: AccountNo, except: Option<SessionId>, status: Status) {
        for (session, line) in self.lines().iter() {
            if line.account == account && Some(*session) != except {
                line.tell(status);
            }
        }
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// A line that is full has been told.
    fn tell(&self, status: Status) {
        let _ = self.sender.try_send(status);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut lines = self.live.lines();
        if lines
            .get(&self.session)
            .is_some_and(|it| it.serial == self.serial)
        {
            lines.remove(&self.session);
        }
    }
}

/// 1: a session ends once.
const ENDS_MAX: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId([1; 16]);
    const B: SessionId = SessionId([2; 16]);

    fn told(receiver: &mut Receiver<Status>) -> Option<Status> {
        receiver.try_recv().ok()
    }

    #[test]
    fn an_end_reaches_whom_it_concerns() {
        let live = Arc::new(Live::default());
        let (_a, mut at_a) = live.listen(A, AccountNo(1));
        let (_b, mut at_b) = live.listen(B, AccountNo(2));
        live.close_account(AccountNo(1), None, Status::LoginRequired);
        assert_eq!(told(&mut at_a), Some(Status::LoginRequired));
        assert_eq!(told(&mut at_b), None);
        live.close_account(AccountNo(2), Some(B), Status::LoginRequired);
        assert_eq!(told(&mut at_b), None);
        live.close(&[B], Status::Locked);
        assert_eq!(told(&mut at_b), Some(Status::Locked));
    }

    #[test]
    fn a_session_that_went_on_is_over_where_it_was() {
        let live = Arc::new(Live::default());
        let (old, mut at_old) = live.listen(A, AccountNo(1));
        let (_new, mut at_new) = live.listen(A, AccountNo(1));
        assert_eq!(told(&mut at_old), Some(Status::LoginRequired));
        // The old place takes nothing of the new one with it.
        drop(old);
        live.close(&[A], Status::Unavailable);
        assert_eq!(told(&mut at_new), Some(Status::Unavailable));
    }
}
