//! What is done when no answer came: again on a new connection, or nothing. Pure.
//!
//! **Invariant**: a request is repeated with its own request_id, and only one whose
//! repetition changes nothing (`spec/session.md` section 9); tries and pauses end.

use std::time::Duration;

use keystead_channel::session::requests::Method;

use super::error::ServerError;

/// How often a request was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    failed: u32,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same request again, after a pause.
    Again {
        /// How long nothing is tried.
        pause: Duration,
    },
    /// The failure is told.
    GiveUp,
}

impl Tries {
    /// Takes a failure of `method`.
    pub fn after(&mut self, method: Method, error: &ServerError) -> Next {
        self.failed = self.failed.saturating_add(1);
        if !error.is_passing() || !may_repeat(method) || self.failed >= TRIES_MAX {
            return Next::GiveUp;
        }
        // The first repetition is at once: most often the connection was dead, not the server.
        let doublings = self.failed.saturating_sub(1);
        let pause = match doublings {
            0 => Duration::ZERO,
            doublings => PAUSE.saturating_mul(1 << doublings.min(DOUBLINGS_MAX)),
        };
        Next::Again { pause }
    }
}

/// Whether an unanswered request may be asked again: what stores is the same under its
/// nonce, what deletes finds nothing the second time, what signs signs and logs again.
#[must_use]
pub const fn may_repeat(method: Method) -> bool {
    match method {
        Method::Ping
        | Method::StorageKey
        | Method::Put
        | Method::Make
        | Method::Import
        | Method::Retrieve
        | Method::List
        | Method::Show
        | Method::Label
        | Method::Delete
        | Method::Sign
        | Method::Policy
        | Method::Approvers
        | Method::Audit
        | Method::Head
        | Method::Sessions => true,
        // They end the session that they are asked in, or name something of this one
        // connection.
        Method::Open
        | Method::Complete
        | Method::Approve
        | Method::LogOut
        | Method::PasswordStart
        | Method::PasswordFinish
        | Method::RecoveryCode
        | Method::DeleteAccount => false,
    }
}

/// How long the first answer is waited for: not long where nothing was heard for a while,
/// since the machine may have slept or changed its network.
#[must_use]
pub const fn first_wait(silent_ms: u64) -> Duration {
    if silent_ms >= SILENT_MS {
        QUICK_WAIT
    } else {
        ANSWER_WAIT
    }
}

/// 4 tries: the dead connection, the new one, and two for a server that restarts.
const TRIES_MAX: u32 = 4;

/// Half a second, then twice and four times that: a restart takes so long.
const PAUSE: Duration = Duration::from_millis(250);

/// Pauses grow to a second.
const DOUBLINGS_MAX: u32 = 2;

/// 30 s of silence: after them a connection may be dead without anybody knowing.
const SILENT_MS: u64 = 30_000;

/// 5 s for a connection that may be dead.
const QUICK_WAIT: Duration = Duration::from_secs(5);

/// A server that is alive answers in milliseconds, after Argon2id of others at the worst.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use keystead_channel::session::Status;

    use super::*;

    #[track_caller]
    fn check(method: Method, error: ServerError, expected: &[Option<u64>]) {
        let mut tries = Tries::default();
        let came: Vec<_> = expected
            .iter()
            .map(|_| match tries.after(method, &error) {
                Next::Again { pause } => Some(u64::try_from(pause.as_millis()).unwrap()),
                Next::GiveUp => None,
            })
            .collect();
        assert_eq!(came, expected, "{method:?} after {error}");
    }

    #[test]
    fn what_passes_is_tried_again_and_not_for_ever() {
        let broken = || ServerError::Broken;
        check(
            Method::Sign,
            broken(),
            &[Some(0), Some(500), Some(1_000), None],
        );
        let busy = ServerError::Answered(Status::Busy);
        check(
            Method::Retrieve,
            busy,
            &[Some(0), Some(500), Some(1_000), None],
        );
        check(Method::Sign, ServerError::Late { wait_s: 5 }, &[Some(0)]);
    }

    #[test]
    fn what_does_not_pass_is_told_at_once() {
        check(Method::Sign, ServerError::LoginRequired, &[None]);
        check(Method::Sign, ServerError::NoReceipt, &[None]);
        check(Method::Sign, ServerError::Answered(Status::Policy), &[None]);
        check(Method::Sign, ServerError::Misbehaved("…"), &[None]);
    }

    #[test]
    fn what_ends_the_session_is_never_repeated() {
        for method in [
            Method::LogOut,
            Method::PasswordFinish,
            Method::Complete,
            Method::Approve,
            Method::DeleteAccount,
        ] {
            check(method, ServerError::Broken, &[None]);
        }
    }

    #[test]
    fn a_silent_connection_gets_little_time() {
        assert_eq!(first_wait(0), ANSWER_WAIT);
        assert_eq!(first_wait(SILENT_MS - 1), ANSWER_WAIT);
        assert_eq!(first_wait(SILENT_MS), QUICK_WAIT);
    }
}
