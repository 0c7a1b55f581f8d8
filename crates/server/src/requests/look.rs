//! Methods 8 and 9: what there is, without any value.
//!
//! **Invariant**: a page is in the order of key ids and fits one frame; a row that does not
//! open is told by its key id, never left out: the page before ends in front of it, and the
//! list from there on is *corrupt* and names it.

use keystead_channel::log::Detail;
use keystead_channel::session::requests::{
    Answer, Entries, Entry, List as Page, PAGE_MAX, Show, Unread,
};
use keystead_channel::session::{KeyId, List, Status};

use super::act::{Asking, Decision, Refusal, find, finish};
use super::parts;
use crate::rows::{AccountNo, HeldSecret, RowFault, Rows, Table};
use crate::server::Server;
use crate::session::Served;
use crate::store::Unopened;

/// Method 8.
pub(super) async fn list(server: &Server, asking: Asking, page: Page) -> Served {
    let entries = match entries(server, &asking, page).await {
        Ok(entries) => entries,
        Err(Untold::Away) => return Served::status(Status::Unavailable),
        Err(Untold::Refused(status)) => {
            return asking.refuse(server, Refusal::without_key(status)).await;
        }
        Err(Untold::Unread(key)) => return unread(server, &asking, key).await,
    };
    let detail = Detail {
        count: u64::try_from(entries.entries.0.len()).ok(),
        ..Detail::NONE
    };
    let answer = Answer::done(entries.encode());
    let decide = move |_, _: &mut Rows<'_>| Ok(Decision::done(answer, None, detail));
    finish(server, asking.decide(server, |_| (), decide).await)
}

/// Why there is no page.
enum Untold {
    Away,
    Refused(Status),
    /// The first entry of it does not open.
    Unread(KeyId),
}

/// Names the entry that does not open, in the log and in the answer.
async fn unread(server: &Server, asking: &Asking, key: KeyId) -> Served {
    let refusal = Refusal::of(Status::Corrupt, key);
    let mut served = asking.refuse(server, refusal).await;
    if served.answer.status == Status::Corrupt {
        served.answer.result = Answer::done(Unread { key }.encode()).result;
    }
    served
}

/// Method 9.
pub(super) async fn show(server: &Server, asking: Asking, show: Show) -> Served {
    let (caller, key) = (asking.caller.clone(), show.key);
    let account = caller.account;
    let settled = asking.decide(
        server,
        move |wanted| {
            wanted.secret(account, key);
        },
        move |_, rows| {
            let entry = parts::entry(find(rows, &caller, key)?);
            let entry = entry.map_err(|status| Refusal::of(status, key))?;
            let answer = Answer::done(entry.encode());
            Ok(Decision::done(answer, Some(key), Detail::NONE))
        },
    );
    finish(server, settled.await)
}

async fn entries(server: &Server, asking: &Asking, page: Page) -> Result<Entries, Untold> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let limit = limit.min(PAGE_MAX);
    if limit == 0 {
        return Err(Untold::Refused(Status::Malformed));
    }
    let account = asking.caller.account;
    // One more tells whether there is one.
    let secrets = server.store.secrets(
        &server.sealing,
        account,
        page.after,
        limit.saturating_add(1),
    );
    let secrets = secrets.await.map_err(|_| Untold::Away)?;
    let found = secrets.len();
    let mut entries = Vec::new();
    let mut bytes = 0_usize;
    for secret in secrets.into_iter().take(limit) {
        let entry = match opened(account, secret) {
            Ok(entry) => entry,
            Err(untold) if entries.is_empty() => return Err(untold),
            Err(_) => break,
        };
        bytes = bytes.saturating_add(entry.encode().len());
        if bytes > PAGE_BYTES_MAX && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(Entries {
        more: entries.len() < found,
        entries: List(entries),
    })
}

/// What is said of a row, if it opens.
fn opened(account: AccountNo, secret: Result<HeldSecret, Unopened>) -> Result<Entry, Untold> {
    let (key, why) = match secret {
        Ok(secret) => match parts::entry(&secret) {
            Ok(entry) => return Ok(entry),
            Err(_) => (Some(secret.key), RowFault::Corrupt(Table::Secret)),
        },
        Err(Unopened { key, fault }) => (key, fault),
    };
    match key {
        Some(key) => {
            tracing::error!(account = account.0, %key, fault = %why, "a row of the database");
            Err(Untold::Unread(key))
        }
        // Whoever changed the id itself has made a row that no request finds.
        None => {
            tracing::error!(account = account.0, fault = %why, "a row of the database");
            Err(Untold::Refused(Status::Corrupt))
        }
    }
}

/// 98,304 bytes of entries: a frame holds 131,072, and one entry has 40,000 at the most.
const PAGE_BYTES_MAX: usize = 98_304;
