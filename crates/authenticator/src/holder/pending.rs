//! A request on its way to its one answer: whose it is, what waits for the holder, what is done
//! then, and by whose yes.
//!
//! **Invariant**: a presence key states a person for an answer that a person or the holder's own
//! setting gave, never for one that a grant gave.

use keystead_core::{
    DecryptForm, Intent, KeyId, KeyType, MakeKeyRequest, Name, PairingId, RequestHash, RequestId,
    SignForm,
};
use keystead_vault::Presence;

use super::channels::ChannelId;
use super::spent::ToApprove;
use crate::grants::Wanted;
use crate::keyring::{Candidate, Chosen};
use crate::question::PartId;
use crate::words::Asked;

/// A request that is to be answered.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) peer: PairingId,
    pub(super) id: RequestId,
    pub(super) hash: RequestHash,
    pub(super) kind: &'static str,
    pub(super) wait_s: u16,
    pub(super) want_ack: bool,
    /// Where it came from; the answer goes to all of them.
    pub(super) channels: Vec<ChannelId>,
}

/// A request that waits for the holder.
pub(super) struct Pending {
    pub(super) id: PartId,
    pub(super) ticket: Ticket,
    pub(super) asked: Asked,
    pub(super) work: Work,
    pub(super) deadline_ms: u64,
    /// What of it may be granted; none for what is no signature.
    pub(super) wanted: Option<Wanted>,
    pub(super) intent: Option<Intent>,
    /// Whether the workstation knows that a person is asked.
    pub(super) is_acked: bool,
    /// Whether its act made all that it announced already.
    pub(super) is_beyond: bool,
}

impl Pending {
    /// Pairing and program of a request in the background.
    pub(super) fn background(&self) -> Option<(PairingId, Option<&str>)> {
        let origin = self.asked.origin().filter(|it| it.is_background)?;
        Some((self.ticket.peer, origin.program.as_deref()))
    }
}

/// What is done once the holder approves.
pub(super) enum Work {
    /// Sign these bytes.
    Sign {
        id: KeyId,
        key: Chosen,
        form: SignForm,
        content: Vec<u8>,
        /// Of the SSH agent protocol; judged to fit the key.
        flags: u32,
    },
    /// Decrypt these.
    Decrypt {
        id: KeyId,
        key: Chosen,
        form: DecryptForm,
        content: Vec<u8>,
    },
    /// Make a key.
    MakeKey(MakeKeyRequest, KeyType),
    /// Take a key into custody; none once it was taken.
    Import(Option<Box<Candidate>>),
    /// Forget keys that this workstation brought.
    Remove(Vec<KeyId>),
    /// Tell at which hosts keys were used.
    Hosts,
    /// Sign a key server's text.
    Approve(ToApprove),
    /// Make the key that approves for a key server.
    MakeApproval { server_id: [u8; 16], server: Name },
    /// Give the key of local copies.
    OpenLocal { salt: [u8; 32] },
}

impl Work {
    /// Whether it needs an open store.
    pub(super) const fn needs_keys(&self) -> bool {
        match self {
            Self::Sign { .. }
            | Self::Decrypt { .. }
            | Self::MakeKey(..)
            | Self::Import(_)
            | Self::Approve(_)
            | Self::MakeApproval { .. }
            | Self::OpenLocal { .. } => true,
            Self::Remove(_) | Self::Hosts => false,
        }
    }
}

/// Who approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A person, with one key for so many requests.
    Person { together: u32 },
    /// `--decide approve`.
    Setting,
    /// A grant.
    Grant {
        id: u64,
        /// How often it has been used, this time counted in.
        used: u32,
    },
}

impl By {
    /// What a presence key states: never by a grant. A setting that approves everything is the
    /// holder's own, typed at this machine, for scripts.
    pub(super) const fn presence(self) -> Option<u8> {
        match self {
            Self::Person { .. } | Self::Setting => Some(Presence::USER),
            Self::Grant { .. } => None,
        }
    }
}
