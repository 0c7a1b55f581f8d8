//! A question that is open at a keeper, and who waits for its answer.

use std::collections::VecDeque;

use keystead_core::{Name, PairingId, Purpose, SignRequest};
use keystead_formats::ssh::PublicKey;
use keystead_keeper::{Answer, KeeperError, local};

use crate::added::{Bringing, Change};
use crate::asked::{AskedIdentity, AskedUse, Then};
use crate::ids::{ClientId, ConnectionId};
use crate::kept::KeptKey;
use crate::log::Entry;

/// One open question.
pub(crate) struct Ask {
    pub(crate) asker: Asker,
    pub(crate) keeper: Name,
    /// Who is asked.
    pub(crate) pairing: PairingId,
    pub(crate) begun_ms: u64,
    pub(crate) wait_s: u16,
    pub(crate) said: Said,
    /// Who is asked in a server's place: an authenticator that approves.
    pub(crate) approver: Option<Name>,
    /// What the log will say of it, but how it ended.
    pub(crate) entry: Entry,
}

impl Ask {
    /// When the person is to be told that nobody has answered yet.
    #[must_use]
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        (self.said == Said::Nothing).then(|| self.begun_ms.saturating_add(REACHING_MS))
    }

    /// Who is being asked, for the person.
    pub(crate) fn asked(&self) -> &Name {
        self.approver.as_ref().unwrap_or(&self.keeper)
    }

    /// Whom to ask next, once.
    pub(crate) fn next(&mut self) -> Option<(KeptKey, SignRequest)> {
        let Asker::Program { others, .. } = &mut self.asker else {
            return None;
        };
        let others = others.as_mut()?;
        Some((others.keepers.pop_front()?, others.sign.clone()))
    }

    pub(crate) fn left_s(&self, now_ms: u64) -> u64 {
        let passed_ms = now_ms.saturating_sub(self.begun_ms);
        u64::from(self.wait_s).saturating_sub(passed_ms / 1_000)
    }
}

/// Who waits for the answer.
pub(crate) enum Asker {
    /// A program, for a signature.
    Program {
        connection: ConnectionId,
        key: PublicKey,
        message: Vec<u8>,
        /// Whom else to ask it of, where the keeper cannot be reached.
        others: Option<Box<Others>>,
    },
    /// A program, for a signature of the local authenticator.
    Local { connection: ConnectionId },
    /// A program, for a key that it brings.
    Import {
        connection: ConnectionId,
        bringing: Box<Bringing>,
    },
    /// A program, for a change to what it brought.
    Change {
        connection: ConnectionId,
        change: Change,
    },
    /// Nobody.
    Nobody,
    /// A command, for a key to be made or taken.
    Command { client: ClientId },
    /// A command about key servers, for a key of an authenticator.
    ServerCommand { client: ClientId },
    /// Somebody, for the public key of an identity.
    Identity(Box<AskedIdentity>),
    /// A command, for a key to be made or taken for these purposes.
    KeyBrought {
        client: ClientId,
        purposes: Vec<Purpose>,
    },
    /// A command, for a use of a key.
    KeyUse {
        client: ClientId,
        asked: Box<AskedUse>,
    },
}

impl Asker {
    /// The program that waits.
    pub(crate) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Program { connection, .. }
            | Self::Local { connection }
            | Self::Import { connection, .. }
            | Self::Change { connection, .. } => Some(*connection),
            Self::Identity(asked) => match asked.then {
                Then::List(connection, _) => Some(connection),
                Then::Tell(_) | Then::Use(..) => None,
            },
            Self::Nobody
            | Self::Command { .. }
            | Self::ServerCommand { .. }
            | Self::KeyBrought { .. }
            | Self::KeyUse { .. } => None,
        }
    }

    /// The command that waits.
    pub(crate) const fn client(&self) -> Option<ClientId> {
        match self {
            Self::Command { client }
            | Self::ServerCommand { client }
            | Self::KeyBrought { client, .. }
            | Self::KeyUse { client, .. } => Some(*client),
            Self::Identity(asked) => match asked.then {
                Then::Tell(client) | Then::Use(client, _) => Some(client),
                Then::List(..) => None,
            },
            Self::Program { .. }
            | Self::Local { .. }
            | Self::Import { .. }
            | Self::Change { .. }
            | Self::Nobody => None,
        }
    }
}

/// A question that others can answer too.
pub(crate) struct Others {
    pub(crate) keepers: VecDeque<KeptKey>,
    pub(crate) sign: SignRequest,
}

/// Who is asked.
pub(crate) struct Whom {
    pub(crate) pairing: PairingId,
    pub(crate) name: Name,
}

impl Whom {
    pub(crate) fn local() -> Self {
        Self {
            pairing: local::ID,
            name: local::name(),
        }
    }
}

/// What the person was told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Nothing,
    Reaching,
    Asking,
}

/// How a question ended.
pub(crate) type End = Result<Answer, KeeperError>;

/// A keeper that nobody has to be asked at answers in milliseconds; after this long a person
/// wonders.
const REACHING_MS: u64 = 2_000;
