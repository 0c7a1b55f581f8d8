//! What commands about keys ask of keepers: a public key of an identity, a use of a key.

use std::collections::VecDeque;

use keystead_core::{
    DecryptForm, DecryptRequest, Evidence, Identity, KeyEntry, Name, PairingId, RequestBody,
    SignForm, SignRequest, WalletFingerprint,
};

use crate::connection::Listing;
use crate::ids::{ClientId, ConnectionId};
use crate::key_control::{KeyChoice, Shown};

/// A public key that a wallet is asked for.
pub(crate) struct AskedIdentity {
    pub(crate) identity: Identity,
    pub(crate) canonical: bool,
    pub(crate) wallet: Option<WalletFingerprint>,
    pub(crate) then: Then,
}

/// What follows once it is there.
pub(crate) enum Then {
    /// The command is told.
    Tell(ClientId),
    /// It is used.
    Use(ClientId, Box<KeyUse>),
    /// It is listed.
    List(ConnectionId, Box<Listing>),
}

/// A use of a key that a command wants.
pub(crate) struct KeyUse {
    pub(crate) what: What,
    pub(crate) choice: KeyChoice,
    pub(crate) content: Vec<u8>,
    pub(crate) preimage: Option<Vec<u8>>,
    pub(crate) shown: Shown,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Sign { form: SignForm, flags: u32 },
    Decrypt(DecryptForm),
}

impl What {
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Sign { .. } => "sign",
            Self::Decrypt(_) => "decrypt",
        }
    }
}

/// A use that is asked for.
pub(crate) struct AskedUse {
    pub(crate) what: What,
    pub(crate) content: Vec<u8>,
    pub(crate) key: KeyEntry,
    pub(crate) identity: Option<Identity>,
    /// Whose terminal the words go to.
    pub(crate) pid: Option<i32>,
    pub(crate) evidence: Evidence,
    /// Who else holds this key, where the keeper that is asked cannot be reached.
    pub(crate) others: VecDeque<Target>,
}

impl AskedUse {
    /// Whom to ask next, once.
    pub(crate) fn next(&mut self) -> Option<Target> {
        self.others.pop_front()
    }

    pub(crate) fn body(&self) -> RequestBody {
        let (key, content) = (self.key.id, self.content.clone());
        let (identity, evidence) = (self.identity.clone(), self.evidence.clone());
        match self.what {
            What::Sign { form, flags } => RequestBody::Sign(SignRequest {
                key,
                form,
                content,
                flags,
                evidence,
                identity,
            }),
            What::Decrypt(form) => RequestBody::Decrypt(DecryptRequest {
                key,
                form,
                content,
                evidence,
                identity,
            }),
        }
    }
}

/// A key that was found, and where.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) pairing: PairingId,
    pub(crate) keeper: Name,
    pub(crate) key: KeyEntry,
    pub(crate) identity: Option<Identity>,
}
