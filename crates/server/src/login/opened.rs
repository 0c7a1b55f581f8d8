//! What a session opens with: where the log stands, for the client to compare.

use keystead_channel::session::requests::{Known, OpenedResult};
use keystead_channel::session::{List, Octets, Status};

use super::status_of_reading;
use crate::ledger::Committed;
use crate::server::Server;
use crate::session::Caller;

/// The result of `opened`, of the commit that opened the session: its last entry is the
/// head of the account's chain.
pub(super) async fn result<A>(
    server: &Server,
    caller: &Caller,
    known: Known,
    committed: &Committed<A>,
) -> Result<OpenedResult, Status> {
    let opened = server.ledger.opened(committed, known).await;
    let opened = opened.map_err(|error| status_of_reading(&error))?;
    Ok(OpenedResult {
        user: caller.user,
        checkpoint: Some(Octets(opened.checkpoint)),
        consistency: opened.consistency.map(List),
        chain_head: opened.chain_head,
        limits: server.settings.limits(),
        pass: None,
        failed_logins: None,
    })
}
