//! What happens to hardware wallets, and what is to be done about them.
//!
//! **Invariant:** nothing here decides, and nothing secret in it can be shown.

use std::fmt;

use keystead_core::SecretBytes;
use keystead_keeper::trezor::{LinkEvent, Reports, TrezorPath};
use keystead_keeper::{AskId, Progress};

use super::control::Reply;
use crate::ids::ClientId;

/// One opening of a cable; numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkNumber(pub u64);

/// What is to be carried.
#[derive(Debug)]
pub enum Do {
    /// Open a cable.
    Open {
        /// As which.
        link: LinkNumber,
        /// Where.
        path: TrezorPath,
    },
    /// Send on it.
    Send {
        /// On which.
        link: LinkNumber,
        /// What.
        reports: Reports,
    },
    /// Close it.
    Close(LinkNumber),
    /// Ask the person by the program that `SSH_ASKPASS` names, where one may be started.
    AskPass {
        /// By which the answer is known.
        question: u64,
        /// What it shows.
        prompt: String,
    },
    /// End that program.
    AskPassOver(u64),
}

/// What came of it.
pub enum Came {
    /// A cable says something.
    Link {
        /// Which.
        link: LinkNumber,
        /// What.
        event: LinkEvent,
    },
    /// The person has answered a program.
    AskPass {
        /// Which question.
        question: u64,
        /// The answer; none where the program was closed without one.
        answer: Option<SecretBytes>,
    },
}

/// What deciding about hardware wallets gives the agent.
pub(crate) enum Told {
    /// To be carried.
    Do(Do),
    /// News of a question that the agent asked.
    Progress { ask: AskId, progress: Progress },
    /// A line for the person who waits for it.
    Say { ask: AskId, text: String },
    /// For a command.
    Reply { client: ClientId, reply: Reply },
    /// The wallets are others now: to be written.
    Changed,
    /// For the log: what, of whom, how it ended.
    Log {
        kind: &'static str,
        keeper: String,
        end: Result<Option<String>, String>,
    },
}

impl fmt::Debug for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link { link, event } => write!(f, "Link({link:?}, {event:?})"),
            Self::AskPass { question, .. } => write!(f, "AskPass({question})"),
        }
    }
}
