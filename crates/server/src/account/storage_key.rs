//! Method 3: the storage key as the client sealed it.

use std::sync::Arc;

use keystead_channel::session::Status;
use keystead_channel::session::requests::{Answer, StorageKey};

use super::act::{Asking, Did};
use crate::login::status_of;
use crate::server::Server;
use crate::session::Served;

pub(super) async fn give(server: &Arc<Server>, asking: Asking) -> Served {
    let no = asking.caller.account;
    let give = asking.act(
        move |wanted| {
            wanted.account(no);
        },
        move |_, rows, _| {
            let account = rows.account(no).map_err(|_| Status::Corrupt)?;
            let sealed = account.and_then(|it| it.storage_key);
            sealed.map(Did::plain).ok_or(Status::Corrupt)
        },
    );
    match server.ledger.commit(give).await {
        Ok(committed) => match committed.answer {
            Ok(storage_key) => Served::answer(Answer::done(StorageKey { storage_key }.encode())),
            Err(status) => Served::status(status),
        },
        Err(error) => Served::status(status_of(&error)),
    }
}
