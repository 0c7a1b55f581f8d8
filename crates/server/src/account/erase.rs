//! Method 23: the account and all that it kept.
//!
//! **Invariant**: one transaction takes the account, its sessions, passes and guesses, frees
//! the name and writes the log's last entry: from then on nobody logs in, and no request finds
//! a secret. The secrets go behind it, some hundreds a transaction; who is cut off there leaves
//! rows that nothing leads to, and the next sweep of any process goes on ([`finish`]).

use std::sync::Arc;

use keystead_channel::session::Status;
use keystead_channel::session::requests::Answer;

use super::act::{Asking, Did};
use super::closing;
use crate::login::status_of;
use crate::rows::{AccountNo, Gone, NameTag, RowFault, Rows};
use crate::server::Server;
use crate::session::Served;
use crate::store::{StoreError, Wanted};

pub(super) async fn delete(server: &Arc<Server>, asking: Asking) -> Served {
    let (no, own) = (asking.caller.account, asking.caller.session);
    let tag = match tag_of(server, no).await {
        Ok(tag) => tag,
        Err(status) => return Served::status(status),
    };
    let delete = asking.fresh(server).act(
        move |wanted| want_erased(wanted, no, tag),
        move |now, rows, _| {
            erase(rows, no, now.ms).map_err(|_| Status::Corrupt)?;
            Ok(Did::plain(()))
        },
    );
    match server.ledger.commit(delete).await {
        Ok(committed) => match committed.answer {
            Ok(()) => {
                if let Err(error) = server.store.delete_secrets_of(no).await {
                    // The account is gone, and that is what was asked.
                    tracing::warn!(%error, "secrets of a deleted account are left for later");
                    server.met(&error);
                }
                let status = Status::LoginRequired;
                server.live.close_account(no, Some(own), status);
                closing(Answer {
                    receipt: committed.receipt(),
                    ..Answer::of(Status::Done)
                })
            }
            Err(status) => Served::status(status),
        },
        Err(error) => Served::status(status_of(&error)),
    }
}

/// A name's tag never changes, so it may be read before.
async fn tag_of(server: &Server, no: AccountNo) -> Result<NameTag, Status> {
    let mut wanted = Wanted::new();
    wanted.account(no);
    let loaded = server.store.read(wanted).await;
    let loaded = loaded.map_err(|error| status_of(&error))?;
    let rows = Rows::new(loaded, &server.sealing);
    let account = rows.account(no).map_err(|_| Status::Corrupt)?;
    account.map(|it| it.tag).ok_or(Status::LoginRequired)
}

/// The rows that [`erase`] looks at.
pub fn want_erased(wanted: &mut Wanted, no: AccountNo, tag: NameTag) {
    wanted.account(no).sessions_of(no);
    wanted.passes_of(no).guess(tag);
}

/// Deletes an account, if there is one, and all that it has but its secrets, which
/// [`Store::delete_secrets_of`] deletes.
///
/// [`Store::delete_secrets_of`]: crate::store::Store::delete_secrets_of
///
/// # Errors
/// [`RowFault`]; nothing is changed then.
pub fn erase(rows: &mut Rows<'_>, no: AccountNo, now_ms: u64) -> Result<(), RowFault> {
    let Some(account) = rows.account(no)? else {
        return Ok(());
    };
    let (user, tag) = (account.user, account.tag);
    let sessions: Vec<_> = rows.sessions_of(no)?.iter().map(|it| it.row.id).collect();
    let passes: Vec<_> = rows.passes_of(no)?.iter().map(|it| it.hash).collect();
    sessions.into_iter().for_each(|it| rows.delete_session(it));
    passes.into_iter().for_each(|it| rows.delete_pass(it));
    rows.delete_guess(tag);
    rows.delete_account(no);
    rows.put_gone(Gone {
        account: no,
        at_ms: now_ms,
        user,
    });
    Ok(())
}

/// Goes on with deletions that a process was cut off in.
///
/// # Errors
/// [`StoreError`]; the next sweep goes on.
pub async fn finish(server: &Server) -> Result<(), StoreError> {
    loop {
        let unfinished = server.store.unfinished(UNFINISHED_AT_ONCE).await?;
        for no in &unfinished {
            server.store.delete_secrets_of(*no).await?;
        }
        if unfinished.len() < UNFINISHED_AT_ONCE {
            return Ok(());
        }
    }
}

/// 16 accounts a look: there is rarely one.
const UNFINISHED_AT_ONCE: usize = 16;
