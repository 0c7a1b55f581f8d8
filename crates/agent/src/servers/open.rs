//! A request that is open at a key server, and who waits for its answer.

use keystead_core::{Name, RequestHash};
use keystead_keeper::AskId;
use keystead_keeper::server::ServerName;
use keystead_keeper::server::protocol::RequestId;
use keystead_keeper::server::protocol::requests::{Method, Request, SignFields};

use super::HeldKey;
use crate::ids::ClientId;

/// A request that is open.
pub(super) struct Open {
    pub(super) server: ServerName,
    pub(super) asker: Asker,
    /// Until it is sent.
    pub(super) request: Option<Box<Request>>,
    pub(super) id: RequestId,
    pub(super) hash: RequestHash,
    pub(super) ends_ms: u64,
    pub(super) wait_s: u16,
    /// It is on its way, in this session.
    pub(super) sent_in: Option<SessionNumber>,
    /// Authenticators are being asked for it.
    pub(super) is_approving: bool,
    /// Who said no to it.
    pub(super) refused_by: Option<Name>,
}

/// Sessions that were given, in order: what an earlier one says is nothing of the one that is here.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SessionNumber(pub(super) u64);

/// Who waits for the answer.
pub(super) enum Asker {
    /// The agent, for a program's signature.
    Sign {
        ask: AskId,
        key: Box<HeldKey>,
        fields: Box<SignFields>,
    },
    /// A command, which gets the answer as it is.
    Command { client: ClientId, method: Method },
    /// Ourselves, for the list of keys.
    List,
    /// A command, to end the session.
    LogOut { client: ClientId },
}

/// 60 s: the server's own wait for an approval (`spec/session.md` section 8).
pub(super) const APPROVAL_WAIT_S: u16 = 60;
