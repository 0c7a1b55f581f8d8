//! Methods 8 and 9: what there is, without any value.
//!
//! **Invariant**: a page is in the order of key ids and fits one frame; a row that does not
//! open is told, never left out.

use keystead_channel::log::Detail;
use keystead_channel::session::requests::{Answer, Entries, Entry, List as Page, PAGE_MAX, Show};
use keystead_channel::session::{List, Status};

use super::act::{Asking, Decision, Refusal, find, finish};
use super::parts;
use crate::conversation::Served;
use crate::rows::Rows;
use crate::server::Server;

/// Method 8.
pub(super) async fn list(server: &Server, asking: Asking, page: Page) -> Served {
    let entries = match entries(server, &asking, page).await {
        Ok(entries) => entries,
        Err(Status::Unavailable) => return Served::status(Status::Unavailable),
        Err(status) => return asking.refuse(server, Refusal::without_key(status)).await,
    };
    let detail = Detail {
        count: u64::try_from(entries.entries.0.len()).ok(),
        ..Detail::NONE
    };
    let answer = Answer::done(entries.encode());
    let decide = move |_, _: &mut Rows<'_>| Ok(Decision::done(answer, None, detail));
    finish(server, asking.decide(server, |_| (), decide).await)
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

async fn entries(server: &Server, asking: &Asking, page: Page) -> Result<Entries, Status> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let limit = limit.min(PAGE_MAX);
    if limit == 0 {
        return Err(Status::Malformed);
    }
    // One more tells whether there is one.
    let secrets = server.store.secrets(
        &server.sealing,
        asking.caller.account,
        page.after,
        limit.saturating_add(1),
    );
    let secrets = secrets.await.map_err(|_| Status::Unavailable)?;
    let found = secrets.len();
    let mut entries = Vec::new();
    let mut bytes = 0_usize;
    for secret in secrets.into_iter().take(limit) {
        let entry: Entry = parts::entry(&secret.map_err(|_| Status::Corrupt)?)?;
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

/// 98,304 bytes of entries: a frame holds 131,072, and one entry has 40,000 at the most.
const PAGE_BYTES_MAX: usize = 98_304;
