//! What an answer or an error frame says, and why a set-up ended.
//!
//! **Invariant**: every failed proof is one code, [`Status::Refused`], on the wire.

use super::fields::{message, numbers};
use super::ids::ServerId;
use crate::wire::Fault;

numbers! {
    /// The status of an answer, the code of an error frame (`spec/session.md` section 9).
    Status {
        /// Done.
        Done = 0,
        /// An approval is awaited; the result follows under the same sub-session id.
        Waiting = 1,
        /// The bytes break a rule.
        Malformed = 2,
        /// Neither version nor suite in common.
        Version = 3,
        /// Wrong password or any other failed proof; registration is not open to this client.
        Refused = 4,
        /// Too many guesses: not before some seconds.
        Wait = 5,
        /// Locked until the recovery code, an approver or the operator lifts it.
        Locked = 6,
        /// The session cannot go on.
        LoginRequired = 7,
        /// The request needs a login of the last minutes.
        FreshLogin = 8,
        /// An account has this name.
        NameTaken = 9,
        /// No such key of this user.
        NotFound = 10,
        /// The key has another type.
        WrongType = 11,
        /// The key is none, or a weak one.
        InvalidKey = 12,
        /// Longer than the limit.
        TooLarge = 13,
        /// More than one user may keep.
        Quota = 14,
        /// Another request came first.
        Conflict = 15,
        /// A policy forbids it.
        Policy = 16,
        /// The approval was refused or came too late.
        Approval = 17,
        /// Too many at once.
        Busy = 18,
        /// The server cannot write now.
        Unavailable = 19,
        /// A row of the server's store failed to open.
        Corrupt = 20,
        /// The method is unknown, or not for this session.
        Method = 21,
        /// The server wants sessions bound to their TLS connection.
        Binding = 22,
    }
}

impl Status {
    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Done => "nothing",
            Self::Waiting => "approve it on the authenticator",
            Self::Malformed | Self::Version | Self::Method => {
                "use programs of the same version at both ends"
            }
            Self::Refused => "check the account's name, the password and the invitation",
            Self::Wait => "wait as long as it says",
            Self::Locked => "unlock the account with the recovery code",
            Self::LoginRequired | Self::FreshLogin => "log in again",
            Self::NameTaken => "choose another name",
            Self::NotFound | Self::WrongType => "list what there is",
            Self::InvalidKey => "import another key",
            Self::TooLarge | Self::Quota => "keep less, or ask the operator for more",
            Self::Conflict => "look at what is there now and try again",
            Self::Policy => "change the key's policy, if it is yours to change",
            Self::Approval => "ask again and approve in time",
            Self::Busy | Self::Unavailable => "try again later",
            Self::Corrupt => "tell the operator; the entry stays in the log",
            Self::Binding => "connect without a proxy that ends TLS",
        }
    }
}

message! {
    /// The body of an error frame.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ErrorBody {
        /// What is wrong.
        0 code: Status,
        /// For [`Status::Wait`]: seconds until a try is looked at.
        1 wait_s: Option<u32>,
    }
}

impl From<Status> for ErrorBody {
    fn from(code: Status) -> Self {
        Self { code, wait_s: None }
    }
}

/// Why a set-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetUpError {
    /// The server said so.
    #[error("the server answers with code {}", .0.code.number())]
    Server(ErrorBody),
    /// A frame that does not come next, or of another session.
    #[error("a frame came out of turn")]
    OutOfTurn,
    /// A frame's body breaks a rule.
    #[error("{0}")]
    Malformed(#[from] Fault),
    /// The server speaks another version.
    #[error("the server speaks version {0}")]
    Version(u64),
    /// The server chose a suite that nobody offered.
    #[error("the server chose suite {0}")]
    Suite(u64),
    /// Not the server that the client registered with.
    #[error("the server has other keys than before")]
    ServerChanged {
        /// The id that its key has.
        found: ServerId,
        /// The log key that it told.
        log_key: [u8; 32],
    },
    /// The server wants a binding that this connection has not got.
    #[error("the server wants a bound connection")]
    Binding,
    /// A stretching profile that is not listed, or not the one chosen at registration.
    #[error("stretching profile {0} is not one to be used")]
    Profile(u8),
    /// Wrong password, or the other side proved nothing.
    #[error("the password is wrong or the other side cannot prove itself")]
    Refused,
    /// The wait for the next frame is over.
    #[error("the other side took too long")]
    Late,
}

impl SetUpError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Server(body) => body.code.hint(),
            Self::OutOfTurn | Self::Malformed(_) => "the server may be another program or version",
            Self::Version(_) | Self::Suite(_) => "use programs of the same version at both ends",
            Self::ServerChanged { .. } => {
                "ask the operator before you trust the new key; it may be another server"
            }
            Self::Binding => "connect without a proxy that ends TLS",
            Self::Profile(_) => {
                "the server asks for a weaker or unknown stretching: ask its operator"
            }
            Self::Refused => "check the account's name and the password",
            Self::Late => "try again",
        }
    }

    /// What a server's error frame says of it.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Server(body) => body.code,
            Self::OutOfTurn | Self::Malformed(_) => Status::Malformed,
            Self::Version(_) | Self::Suite(_) => Status::Version,
            Self::Binding => Status::Binding,
            Self::ServerChanged { .. } | Self::Profile(_) | Self::Refused | Self::Late => {
                Status::Refused
            }
        }
    }
}
