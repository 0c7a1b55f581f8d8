//! What reaches a conversation, and what it wants done.

use std::fmt;

use keystead_core::{KeyType, SecretBytes};
use keystead_formats::assuan::{ErrorCode, LineTooLong};
use zeroize::Zeroizing;

use super::keys::MappedKey;

/// What happened.
pub enum Event<'a> {
    /// A line of the client, without its end.
    Client(Result<&'a [u8], LineTooLong>),
    /// The client has hung up.
    ClientLeft,
    /// A line of the ordinary agent, without its end.
    Behind(&'a [u8]),
    /// The ordinary agent has hung up, or was never reached.
    BehindLeft,
    /// The answer to [`Action::Ask`].
    Answered(Answer),
}

/// What is to be done, in this order.
pub enum Action {
    /// These bytes, line ends and all, go to the client.
    ToClient(Zeroizing<Vec<u8>>),
    /// These bytes, line ends and all, go to the ordinary agent.
    ToBehind(Zeroizing<Vec<u8>>),
    /// A keeper is asked. One at a time.
    Ask(Box<Ask>),
    /// A key goes to a keeper. Like [`Action::Ask`], one at a time.
    Bring(Box<Bring>),
    /// A line for the person at the client's terminal: gpg shows the code of an error alone.
    Say(String),
    /// What was asked is wanted no more: no answer is expected.
    Withdraw,
    /// The program ends, once the rest of these actions are done: its sockets go at once, so that
    /// who saw the answer finds none.
    KillAgent,
    /// The conversation is over: both ends are hung up.
    HangUp,
}

/// What a keeper is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// With which key.
    pub key: MappedKey,
    /// What for.
    pub job: Job,
    /// What gpg tells a person about it (`SETKEYDESC`), unescaped; it is the workstation's word.
    pub description: Option<String>,
}

/// What a key is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Job {
    /// A signature over a digest.
    Sign {
        /// OpenPGP's number of the hash (RFC 4880 section 9.4).
        hash: u8,
        /// As long as that hash.
        digest: Vec<u8>,
    },
    /// A point shared with whoever made this one: 32 bytes on Curve25519, else `04 ‖ x ‖ y`.
    Agree {
        /// The other side's.
        point: Vec<u8>,
    },
}

/// A key that gpg makes or imports, for a keeper that the person has chosen.
pub enum Bring {
    /// It was made elsewhere.
    Take {
        /// As it will be in the map.
        key: Box<MappedKey>,
        /// PKCS#8, PEM.
        private: SecretBytes,
    },
    /// The keeper makes it.
    Make {
        /// Which keeper.
        keeper: String,
        /// Ed25519 signs, X25519 decrypts.
        key_type: KeyType,
        /// When, as gpg will have it.
        created_unix_s: Option<u32>,
    },
}

/// What a keeper answered.
pub enum Answer {
    /// `r ‖ s`, 64 bytes.
    Signed(Vec<u8>),
    /// The shared point, coded as the one that was sent.
    Agreed(SecretBytes),
    /// The keeper has it, and it is in the map.
    Brought(Box<MappedKey>),
    /// Nothing.
    Failed(Failure),
}

/// Why a keeper did nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// What gpg is told.
    pub code: ErrorCode,
    /// The text behind it, one line.
    pub text: String,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({}, {:?})", self.code.wire(), self.text)
    }
}
