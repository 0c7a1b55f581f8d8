//! What comes to the holder's state, and what it asks of the edge.

use keystead_core::SecretBytes;
use keystead_transport::{Address, NetAction, NetEvent};

use crate::control::{Command, Reply};
use crate::question::{Answer, PartId, Question, QuestionId};

/// Names a command's connection as long as it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller(pub u64);

/// What happened.
pub enum Event {
    /// At the network.
    Net(NetEvent),
    /// A command came.
    Command {
        /// From whom.
        caller: Caller,
        /// What.
        command: Command,
        /// Its passphrase, if it brought one.
        passphrase: Option<SecretBytes>,
    },
    /// A command's connection ended.
    Gone(Caller),
    /// The holder decided.
    Decide {
        /// About what.
        question: QuestionId,
        /// How.
        answer: Answer,
        /// The last of its requests that was counted on the screen.
        last: PartId,
    },
    /// The holder wants to read what is granted and blocked.
    SayGrants,
    /// Time went on.
    Tick,
}

/// What the edge is to do.
#[derive(Debug)]
pub enum Action {
    /// At the network.
    Net(NetAction),
    /// Answer a command.
    Reply {
        /// Whose.
        caller: Caller,
        /// What.
        reply: Reply,
    },
    /// Show a question to the holder.
    Ask(Question),
    /// A question is about other requests than before: some joined, or ended.
    Update(Question),
    /// Take a question off the screen, shown or not.
    Settle {
        /// Which.
        question: QuestionId,
        /// How it ended, for the person.
        how: String,
    },
    /// Say a line to the person, safe to show.
    Say(String),
    /// All listeners are up, at these addresses.
    Ready(Vec<Address<std::net::SocketAddr>>),
    /// One of them will not be.
    NotReady(String),
}

/// Who decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decide {
    /// A person, at the terminal.
    #[default]
    Ask,
    /// Nobody can be asked: whatever needs a decision is `busy`.
    Nobody,
    /// Every request that could be put to a person is approved.
    Approve,
    /// Every request that could be put to a person is refused.
    Refuse,
}
