//! Methods 20 to 22: another password, another recovery code.
//!
//! **Invariant**: a new password comes with a new credential id, in one transaction with
//! the storage key under the new master key; every other session and every device pass
//! ends with the old one.

use std::sync::Arc;

use keystead_channel::session::requests::{
    Answer, PasswordFinish, PasswordResponse, PasswordStart, RecoveryCode,
};
use keystead_channel::session::{AwaitRecord, Status};
use keystead_daemon::SystemRng;

use super::act::{Asking, Did};
use super::sessions::end_all;
use crate::login::status_of;
use crate::rows::RowFault;
use crate::server::Server;
use crate::session::Served;

/// Method 20: evaluates the new password.
pub(super) async fn start(server: &Arc<Server>, asking: Asking, start: &PasswordStart) -> Served {
    let changing = Arc::clone(&asking.caller.changing);
    let asked = asking
        .fresh(server)
        .act(|_| (), |_, _, _| Ok(Did::plain(())));
    match server.ledger.commit(asked).await {
        Ok(committed) => {
            if let Err(status) = committed.answer {
                return Served::status(status);
            }
        }
        Err(error) => return Served::status(status_of(&error)),
    }
    let permit = server.evaluations.acquire().await;
    let started = AwaitRecord::start(&server.opaque, &start.request, &mut SystemRng);
    drop(permit);
    match started {
        Ok((state, response)) => {
            changing.put(state);
            Served::answer(Answer::done(PasswordResponse { response }.encode()))
        }
        Err(error) => Served::status(error.status()),
    }
}

/// Method 21: the new password counts from here on.
pub(super) async fn finish(server: &Arc<Server>, asking: Asking, finish: PasswordFinish) -> Served {
    let (no, own) = (asking.caller.account, asking.caller.session);
    let seed = match asking.caller.changing.take() {
        Some(state) => state.finish(&finish.record).map_err(|it| it.status()),
        None => Err(Status::Conflict),
    };
    let change = asking.fresh(server).act(
        move |wanted| {
            wanted.account(no).sessions_of(no).passes_of(no);
        },
        move |_, rows, _| {
            let seed = seed?;
            // What can fail comes before what changes: all of it happens, or nothing.
            let passes = rows.passes_of(no).map_err(corrupt)?;
            let passes: Vec<_> = passes.into_iter().map(|it| it.hash).collect();
            let account = rows.account(no).map_err(corrupt)?;
            account.ok_or(Status::LoginRequired)?;
            end_all(rows, no, Some(own)).map_err(corrupt)?;
            let account = rows.account_mut(no).map_err(corrupt)?;
            let account = account.ok_or(Status::LoginRequired)?;
            account.record = finish.record;
            account.seed = seed;
            account.profile = finish.profile;
            account.storage_key = Some(finish.storage_key);
            passes.into_iter().for_each(|hash| rows.delete_pass(hash));
            Ok(Did::plain(()))
        },
    );
    match server.ledger.commit(change).await {
        Ok(committed) => match committed.answer {
            Ok(()) => {
                server
                    .live
                    .close_account(no, Some(own), Status::LoginRequired);
                Served::answer(Answer {
                    receipt: committed.receipt(),
                    ..Answer::of(Status::Done)
                })
            }
            Err(status) => Served::status(status),
        },
        Err(error) => Served::status(status_of(&error)),
    }
}

/// Method 22: another code lifts the next lock.
pub(super) async fn recovery_code(
    server: &Arc<Server>,
    asking: Asking,
    code: RecoveryCode,
) -> Served {
    let no = asking.caller.account;
    let replace = asking.fresh(server).act(
        move |wanted| {
            wanted.account(no);
        },
        move |_, rows, _| {
            let account = rows.account_mut(no).map_err(corrupt)?;
            let account = account.ok_or(Status::LoginRequired)?;
            account.recovery = Some(code.recovery_hash);
            Ok(Did::plain(()))
        },
    );
    match server.ledger.commit(replace).await {
        Ok(committed) => Served::status(committed.answer.err().unwrap_or(Status::Done)),
        Err(error) => Served::status(status_of(&error)),
    }
}

fn corrupt(_: RowFault) -> Status {
    Status::Corrupt
}
