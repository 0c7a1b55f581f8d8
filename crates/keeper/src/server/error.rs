//! Why a key server gave no answer, and what a person does about it.
//!
//! **Invariant**: every cause that needs another deed is a variant of its own.

use keystead_channel::session::requests::{Answer, Unread};
use keystead_channel::session::{AnswerError, ErrorBody, KeyId, ServerId, SetUpError, Status};
use keystead_transport::{SecureError, TrustError};

use super::seen::SeenError;

/// Why a key server gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Nothing could be trusted there.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No stream.
    #[error(transparent)]
    Secure(#[from] SecureError),
    /// The connection broke, or the server ended it.
    #[error("the connection to the server broke")]
    Broken,
    /// No answer in time.
    #[error("the server did not answer within {wait_s} s")]
    Late {
        /// How long we waited.
        wait_s: u64,
    },
    /// Name or password.
    #[error("the account's name or the password is wrong")]
    WrongPassword,
    /// The server evaluates nothing until then.
    #[error("too many wrong passwords: the server wants {wait_s} s to pass")]
    Wait {
        /// Seconds.
        wait_s: u32,
    },
    /// Too many wrong passwords.
    #[error("the account is locked")]
    Locked,
    /// The password was right, and the operator lets nobody in.
    #[error("the operator has locked the account")]
    LockedByOperator,
    /// Not the pinned one.
    #[error("this is not the server that was registered with: it is {found}")]
    ServerChanged {
        /// The id that its key has.
        found: ServerId,
        /// The key of its log.
        log_key: [u8; 32],
    },
    /// The session cannot go on.
    #[error("the session has ended")]
    LoginRequired,
    /// Registration.
    #[error("the server takes no registration by this invitation, or none at all")]
    NotInvited,
    /// Registration needs its connection's own TLS.
    #[error("registration needs a connection that nobody ends in between")]
    RegistrationUnbound,
    /// A session was set up otherwise than it must.
    #[error(transparent)]
    SetUp(SetUpError),
    /// The log went back, forked, or a receipt proves nothing.
    #[error(transparent)]
    Log(#[from] SeenError),
    /// The server did not prove that it wrote the entry.
    #[error("the server gave no receipt for what it did")]
    NoReceipt,
    /// Refused, with a code.
    #[error("the server {}", said(*.0))]
    Answered(Status),
    /// One entry of the account's list does not open there; the others can be asked for.
    #[error("the server cannot open the entry {key}")]
    Unread {
        /// Which.
        key: KeyId,
    },
    /// 32 requests wait already.
    #[error("too many requests wait for the server's answers")]
    Full,
    /// Not for this kind of session.
    #[error("this request has no place in this session")]
    Misplaced,
    /// Something that no server of this protocol says.
    #[error("the server misbehaved: {0}")]
    Misbehaved(&'static str),
    /// The system gave no thread for Argon2id, or it panicked.
    #[error("the password could not be stretched")]
    Stretch,
}

impl ServerError {
    /// A refusal of set-up; `is_registering` tells what a plain *refused* is about.
    pub(super) fn of_set_up(error: SetUpError, step: Step) -> Self {
        match (error, step) {
            (SetUpError::Server(body), _) => Self::of_body(body, step),
            (SetUpError::ServerChanged { found, log_key }, _) => {
                Self::ServerChanged { found, log_key }
            }
            (SetUpError::Refused, Step::Login | Step::Open) => Self::WrongPassword,
            (error, _) => Self::SetUp(error),
        }
    }

    fn of_body(body: ErrorBody, step: Step) -> Self {
        match (body.code, step) {
            (Status::Wait, _) => Self::Wait {
                wait_s: body.wait_s.unwrap_or(1),
            },
            // What the operator locked answers so only to the right password.
            (Status::Locked, Step::Open) => Self::LockedByOperator,
            (Status::Locked, _) => Self::Locked,
            (Status::Refused, Step::Login | Step::Open) => Self::WrongPassword,
            (Status::Refused, Step::Register) => Self::NotInvited,
            (Status::LoginRequired, _) | (Status::Refused, Step::Resume) => Self::LoginRequired,
            (code, _) => Self::Answered(code),
        }
    }

    /// What an answer says that is not *done*.
    #[must_use]
    pub fn of_answer(answer: &Answer) -> Self {
        let unread = answer.result.as_ref().map(|it| Unread::decode(it.expose()));
        match (answer.status, unread) {
            (Status::Corrupt, Some(Ok(Unread { key }))) => Self::Unread { key },
            (status, _) => Self::Answered(status),
        }
    }

    /// Whether another try, on another connection, may get an answer.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Broken
                | Self::Late { .. }
                | Self::Secure(SecureError::Unreachable(_) | SecureError::Late)
                | Self::Answered(Status::Busy | Status::Unavailable)
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Trust(error) => error.hint(),
            Self::Secure(error) => error.hint(),
            Self::Broken | Self::Late { .. } => "see that the network is up, and try again",
            // One proof covers both: who ends TLS in between fails it as a wrong password does.
            Self::WrongPassword => {
                "check both; if they are right, somebody may end TLS between here and the server"
            }
            Self::Wait { .. } => {
                "wait as long as it says; this machine's device pass skips the wait"
            }
            Self::Locked => {
                "`keystead server unlock` lifts it, by the recovery code or with --approver NAME"
            }
            Self::LockedByOperator => {
                "ask the operator: neither the recovery code nor an approver lifts this lock"
            }
            Self::ServerChanged { .. } => {
                "stop: ask the operator whether the server has new keys before you trust it"
            }
            Self::LoginRequired => "log in again: `keystead server login`",
            Self::NotInvited => "ask the operator for a new invitation link",
            Self::RegistrationUnbound => "connect without a proxy that ends TLS",
            Self::SetUp(error) => error.hint(),
            Self::Log(error) => error.hint(),
            Self::NoReceipt => "do not use what it did; see `keystead audit verify`",
            Self::Answered(status) => status.hint(),
            Self::Unread { .. } => {
                "the others are not touched by it; tell the operator, and see `keystead audit verify`"
            }
            Self::Full => "wait until the others are answered",
            Self::Misplaced => "report it: this should not happen",
            Self::Misbehaved(_) => "do not trust this server until you know why",
            Self::Stretch => "see that the machine has 64 MiB of memory free",
        }
    }
}

impl From<AnswerError> for ServerError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Closed => Self::Broken,
            AnswerError::Full => Self::Full,
            AnswerError::Misplaced | _ => Self::Misplaced,
        }
    }
}

/// A code in words that follow "the server" (`spec/session.md` section 9).
#[must_use]
pub const fn said(status: Status) -> &'static str {
    match status {
        Status::Done => "is done",
        Status::Waiting => "waits for an approval",
        Status::Malformed => "does not understand the request",
        Status::Version => "speaks another version",
        Status::Refused => "refuses it",
        Status::Wait => "wants some time to pass",
        Status::Locked => "has locked the account",
        Status::LoginRequired => "wants a login",
        Status::FreshLogin => "wants a login of the last 5 minutes",
        Status::NameTaken => "has an account of this name already",
        Status::NotFound => "has no such key of this account",
        Status::WrongType => "says that the key is of another type",
        Status::InvalidKey => "says that this is no key, or a weak one",
        Status::TooLarge => "takes nothing so large",
        Status::Quota => "keeps no more for this account",
        Status::Conflict => "says that another change came first",
        Status::Policy => "forbids it by the key's policy",
        Status::Approval => "got no approval in time, or a no",
        Status::Busy => "has too much to do",
        Status::Unavailable => "cannot write now",
        Status::Corrupt => "cannot open what it has stored",
        Status::Method => "does not know the request",
        Status::Binding => "wants sessions that are bound to their TLS connection",
    }
}

/// What a set-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Hello,
    Register,
    /// Up to the server's proof that it knows the account.
    Login,
    /// From the client's proof on.
    Open,
    Resume,
}
