//! What happens to sessions of key servers, and what is to be done about them.
//!
//! **Invariant:** nothing here decides, and nothing secret in it can be shown.

use std::fmt;

use keystead_core::{Name, SecretBytes};
use keystead_keeper::server::protocol::requests::{Answer, Request};
use keystead_keeper::server::protocol::{ApproverId, RequestId, ServerId, Ticket, UserId};
use keystead_keeper::server::{ServerError, ServerName, control};

use crate::ids::ClientId;

/// One request at a server; numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errand(pub u64);

/// What is to be done with sessions.
pub enum Do {
    /// Go on with the session of this ticket, by what the book says of the server; one
    /// that is there already is logged out.
    Open {
        /// Where.
        server: ServerName,
        /// Of which session.
        ticket: Ticket,
    },
    /// Ask.
    Ask {
        /// Where.
        server: ServerName,
        /// Which.
        errand: Errand,
        /// What.
        request: Box<Request>,
        /// Repeated with the request.
        id: RequestId,
    },
    /// Nobody waits for the answer any more.
    Forget(Errand),
    /// Bring an approval to what waits for one.
    Approve {
        /// What waits.
        errand: Errand,
        /// Who approves.
        approver: ApproverId,
        /// The text, signed.
        signature: [u8; 64],
    },
    /// Take the session away; [`Came::Lent`] brings its ticket.
    Lend {
        /// Which.
        server: ServerName,
    },
    /// The session comes back.
    GiveBack {
        /// Where.
        server: ServerName,
        /// Of which session.
        ticket: Ticket,
    },
    /// Read anew what was seen of the log: the person has accepted it.
    Reload(ServerName),
    /// Let go of the session.
    Close(ServerName),
}

impl fmt::Debug for Do {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { server, .. } => write!(f, "Open({server})"),
            Self::Ask {
                server,
                errand,
                request,
                ..
            } => {
                let method = request.method();
                write!(f, "Ask({server}, {errand:?}, {method:?})")
            }
            Self::Forget(errand) => write!(f, "Forget({errand:?})"),
            Self::Approve { errand, .. } => write!(f, "Approve({errand:?})"),
            Self::Lend { server } => write!(f, "Lend({server})"),
            Self::GiveBack { server, .. } => write!(f, "GiveBack({server})"),
            Self::Reload(server) => write!(f, "Reload({server})"),
            Self::Close(server) => write!(f, "Close({server})"),
        }
    }
}

/// What came of it.
pub enum Came {
    /// A session goes on here.
    Opened {
        /// Where.
        server: ServerName,
        /// What is known of it.
        about: About,
    },
    /// It does not.
    NotOpened {
        /// Where.
        server: ServerName,
        /// What the book says of it, if it could be read.
        about: Option<About>,
        /// Why.
        trouble: Trouble,
    },
    /// The last word on a request.
    Answer {
        /// Which.
        errand: Errand,
        /// The answer, with its receipt checked; a refusal is one.
        answer: Result<Answer, Trouble>,
    },
    /// A request waits for an approval.
    Waiting {
        /// Which.
        errand: Errand,
        /// What is to be signed.
        text: Vec<u8>,
    },
    /// The session was taken away.
    Lent {
        /// Which.
        server: ServerName,
        /// What resumes it.
        ticket: Result<SecretBytes, Trouble>,
    },
}

/// A server and the account there, as the book and the session say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// `https://HOST:PORT`.
    pub address: String,
    /// The account's name.
    pub account: String,
    /// Its id.
    pub user: UserId,
    /// The server's.
    pub server: ServerId,
    /// The session ends at the latest so long after login.
    pub life_s: u32,
}

/// Why a server gave no answer, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What follows from it.
    pub kind: TroubleKind,
    /// One line.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// What follows from a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// Only a login helps.
    LoginRequired,
    /// It is not the pinned server, or its log is another: nothing is asked any more.
    Stop,
    /// Nobody was reached, or the connection broke.
    Away,
    /// No answer came in time.
    Late,
    /// Anything else.
    Other,
}

impl From<&ServerError> for Trouble {
    fn from(error: &ServerError) -> Self {
        let kind = if error.is_passing() {
            TroubleKind::Away
        } else {
            TroubleKind::Other
        };
        let kind = match error {
            ServerError::LoginRequired => TroubleKind::LoginRequired,
            ServerError::ServerChanged { .. } | ServerError::Log(_) => TroubleKind::Stop,
            ServerError::Late { .. } => TroubleKind::Late,
            ServerError::Trust(_) | ServerError::Secure(_) | _ => kind,
        };
        let cause = innermost(error).filter(|_| kind == TroubleKind::Away);
        let unreached = cause.map(|cause| format!("{UNREACHED}{cause}"));
        Self {
            kind,
            message: unreached.unwrap_or_else(|| error.to_string()),
            hint: error.hint(),
        }
    }
}

impl Trouble {
    /// Why a server is away, behind words that say that it is.
    pub(super) fn why_away(self) -> String {
        let why = self.message.strip_prefix(UNREACHED).map(str::to_owned);
        why.unwrap_or(self.message)
    }
}

/// What is said before the cause, where there was no connection.
const UNREACHED: &str = "the server cannot be reached: ";

fn innermost(error: &ServerError) -> Option<String> {
    let mut source = std::error::Error::source(error)?;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    Some(source.to_string())
}

/// What deciding about servers gives the agent.
#[derive(Debug)]
pub enum Told {
    /// To be carried.
    Do(Do),
    /// News of a question that the agent asked.
    Progress {
        /// Which.
        ask: keystead_keeper::AskId,
        /// What.
        progress: keystead_keeper::Progress,
    },
    /// For a command.
    Reply {
        /// Whose.
        client: ClientId,
        /// What.
        reply: control::Reply,
        /// What follows its line.
        behind: Option<Behind>,
    },
    /// A text is to be approved by the paired authenticators.
    Approve {
        /// For what.
        target: Target,
        /// The one that is asked; without a name all are.
        by: Option<String>,
        /// What is to be signed.
        text: Vec<u8>,
        /// Time left.
        wait_s: u16,
    },
    /// The approval is not wanted any more.
    ApprovalOver(Target),
    /// The keys of a server are others now.
    KeysChanged,
    /// Something a person should know.
    Notice(String),
}

/// Bytes behind a reply's line.
pub struct Behind(pub SecretBytes);

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Behind({} bytes)", self.0.len())
    }
}

/// What an approval is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A request of the agent's own session.
    Errand(Errand),
    /// A command that has a session of its own.
    Client(ClientId),
}

/// How an approval ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approved {
    /// One authenticator's yes.
    Yes {
        /// Which of the account's approvers it is.
        approver: [u8; 16],
        /// The text, signed.
        signature: [u8; 64],
        /// Its name here.
        by: Name,
    },
    /// A person was asked, and said no.
    No {
        /// Where.
        by: Name,
    },
    /// Nobody answered.
    Nobody {
        /// In words.
        why: String,
    },
}
