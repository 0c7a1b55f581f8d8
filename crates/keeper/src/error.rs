//! Why a question or a pairing came to nothing.

use keystead_channel::pairing::OfferError;
use keystead_core::Name;

/// Why no answer came of an ask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeeperError {
    /// No such pairing, or it has ended here.
    #[error("no such keeper")]
    NoSuchKeeper,
    /// Nothing at all came back.
    #[error("keeper {keeper} cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        keeper: Name,
        /// What was tried.
        reason: String,
    },
    /// A device that is asked over a cable is not there, or not to be had.
    #[error("{keeper}: {why}")]
    DeviceAway {
        /// Which.
        keeper: Name,
        /// In words.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// It was reached, and nobody answered in time.
    #[error("no answer from {keeper} within {wait_s} s")]
    NoAnswer {
        /// Which.
        keeper: Name,
        /// How long we waited.
        wait_s: u16,
    },
    /// The holder ended the pairing.
    #[error("{keeper} has ended the pairing")]
    Unpaired {
        /// Which.
        keeper: Name,
    },
    /// Its answer proves nothing.
    #[error("{keeper} misbehaved: {what}")]
    PeerMisbehaved {
        /// Which.
        keeper: Name,
        /// In what way.
        what: String,
    },
    /// More than a keeper takes.
    #[error("the request has {bytes} bytes, more than a keeper takes")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// Too many asks are open at this keeper.
    #[error("too many requests wait for {keeper}")]
    TooMany {
        /// Which.
        keeper: Name,
    },
    /// The session of a key server has ended.
    #[error(
        "the session at {keeper} has ended; log in again: keystead server login --server {keeper}"
    )]
    LoginRequired {
        /// Which.
        keeper: Name,
    },
    /// The key's policy at a key server forbids it.
    #[error("forbidden by the key's policy at {keeper}{}", condition_words(*.condition))]
    Forbidden {
        /// Which.
        keeper: Name,
        /// The number of the condition (`spec/session.md` section 8), if it was told.
        condition: Option<u32>,
    },
    /// A key server wanted an approval, and none came.
    #[error("{keeper} wants an approval: {why}")]
    NotApproved {
        /// Which.
        keeper: Name,
        /// Why none came.
        why: String,
    },
    /// A key server could not do it.
    #[error("{keeper}: {why}")]
    Server {
        /// Which.
        keeper: Name,
        /// In words.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
}

/// A condition of a key's policy, in words.
#[must_use]
pub fn condition_words(condition: Option<u32>) -> &'static str {
    match condition {
        Some(1) => " (the user is not among those allowed)",
        Some(2) => " (the host's key is not among those allowed)",
        Some(3) => " (the namespace is not among those allowed)",
        Some(4) => " (the login does not prove its destination)",
        Some(5) => " (not at this hour)",
        Some(6) => " (no more signatures this hour)",
        Some(7) => " (it wants approvers that it has not got)",
        _ => "",
    }
}

impl KeeperError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSuchKeeper => "see `keystead keeper list`, or pair with `keystead pair`",
            Self::Unreachable { .. } => {
                "see that keystead-authenticator runs there and that the relay or the network is up"
            }
            Self::NoAnswer { .. } => "answer on its screen, and try again",
            Self::Unpaired { .. } => "pair again with `keystead pair`",
            Self::PeerMisbehaved { .. } => {
                "do not trust it until you know why; `keystead log` has the details"
            }
            Self::TooLong { .. } => "sign something shorter",
            Self::TooMany { .. } => "wait until the others are answered",
            Self::LoginRequired { .. } => "log in again: `keystead server login`",
            Self::Forbidden { .. } => "change the key's policy, if it is yours to change",
            Self::NotApproved { .. } => "answer on the authenticator's screen, and try again",
            Self::DeviceAway { hint, .. } | Self::Server { hint, .. } => hint,
        }
    }
}

/// Why a pairing came to nothing. Nothing is stored then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// The offer could not be made.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// No address could be listened on, and no relay is given.
    #[error("no address to be answered at: {reason}")]
    NoAddress {
        /// Why the last one failed.
        reason: String,
    },
    /// The protocol of pairing ended it.
    #[error(transparent)]
    Protocol(#[from] keystead_channel::pairing::PairError),
    /// The holder said no.
    #[error("the holder refused")]
    Refused,
    /// The authenticator answered with this outcome.
    #[error("the authenticator answered \"{}\"", outcome.as_str())]
    Outcome {
        /// What it said.
        outcome: keystead_core::Outcome,
    },
    /// It said hello and nothing more.
    #[error("the authenticator fell silent")]
    Silent,
    /// The channel to the authenticator was ended by it.
    #[error("the authenticator ended the pairing")]
    Aborted,
    /// Its answer proves nothing.
    #[error("the authenticator misbehaved: {what}")]
    PeerMisbehaved {
        /// In what way.
        what: String,
    },
    /// The person gave up.
    #[error("cancelled")]
    Cancelled,
    /// The pairing could not be stored.
    #[error("the pairing could not be stored in {file}")]
    NotStored {
        /// Where; a [`Notice::NotSaved`](crate::Notice::NotSaved) says why.
        file: String,
    },
}

impl PairError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        use keystead_channel::pairing::PairError as Protocol;
        match self {
            Self::Offer(_) => "give a relay by --relay, or see that this machine has an address",
            Self::NoAddress { .. } => "give a relay by --relay",
            Self::Protocol(Protocol::Race) => {
                "somebody else saw the code; pair again where nobody looks on"
            }
            Self::Protocol(Protocol::Commitment | Protocol::NonceChanged)
            | Self::PeerMisbehaved { .. } => {
                "somebody may stand between the two machines; pair again, on another network"
            }
            Self::Protocol(_) => "run `keystead pair` again",
            Self::Refused
            | Self::Outcome { .. }
            | Self::Silent
            | Self::Aborted
            | Self::Cancelled => "run `keystead pair` again when both sides are ready",
            Self::NotStored { .. } => {
                "make room on the disk, unpair on the authenticator, then run `keystead pair` again"
            }
        }
    }
}

/// Why the pairings could not be loaded at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The folder cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// Which, within the state folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl LoadError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "see that the state folder belongs to you and is readable",
        }
    }
}
