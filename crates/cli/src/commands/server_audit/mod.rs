//! `audit … --server NAME`: the log that a key server keeps of the account.
//!
//! **Invariant:** what is printed as checked was checked here, against what this machine saw
//! before; a fault names the entry, and both heads stay in the book.

mod export;
mod shown;

use keystead_daemon::SystemRng;
use keystead_keeper::server::protocol::requests::{
    Audit, AuditPage, Entry, HeadPage, Method, Request, Scope,
};
use keystead_keeper::server::protocol::{RequestId, request_hash};
use keystead_keeper::server::seen::{Listed, Seen};
use keystead_keeper::server::{Book, Page};
use serde_json::json;

use crate::agent_link::{block_on, unexpected};
use crate::arguments::ServerReading;
use crate::failure::{Failure, Status};
use crate::server_link::{self, ServerLink, of_book, result_of};
use crate::terminal::{print, print_json, print_raw};

pub(crate) use export::export;
pub(crate) use shown::show;

/// `audit verify --server NAME [--json]`
pub(crate) fn verify(reading: &ServerReading) -> Result<(), Failure> {
    let (book, page) = place(reading)?;
    let mut seen = book.seen(&page.name).map_err(|it| of_book(&it))?;
    let read = block_on(async {
        let mut link = ServerLink::open().await?;
        Whole::read(&mut link, &page).await
    })?;
    let listed = Listed {
        entries: &read.entries,
        request_hash: Some(&read.listed),
    };
    let verdict = seen.audit(&page.user, &read.pages, listed);
    let proved = match &verdict {
        Ok(_) => block_on(async { proved(&mut ServerLink::open().await?, &page, &mut seen).await }),
        Err(_) => Ok(()),
    };
    book.keep_seen(&page.name, &seen)
        .map_err(|it| of_book(&it))?;
    let head = seen.head().map(|it| &it.checkpoint);
    let fault = match (&verdict, proved) {
        (Err(fault), _) => Some(fault.to_string()),
        (Ok(_), Err(failure)) => Some(failure.message),
        (Ok(_), Ok(())) => None,
    };
    let entries = verdict.as_ref().map_or(0, |it| it.leaves.len());
    if reading.json {
        print_json(&json!({
            "version": 1,
            "server": page.name.as_str(),
            "entries": entries,
            "keys": read.entries.len(),
            "epoch": head.map(|it| it.epoch),
            "size": head.map(|it| it.size),
            "fault": fault,
        }))?;
    } else if fault.is_none() {
        print(format_args!(
            "{entries} entries of {}, in their chain and in the tree",
            page.account.as_str()
        ))?;
        print(format_args!(
            "{} keys and secrets, as the log says they were made",
            read.entries.len()
        ))?;
        if let Some(head) = head {
            print(format_args!(
                "head: epoch {}, {} entries of all accounts",
                head.epoch, head.size
            ))?;
        }
    }
    match fault {
        None => Ok(()),
        Some(fault) => Err(Failure::new(format!("the log of {} is not whole: {fault}", page.name))
            .hint("both heads are kept; ask the operator, and compare `keystead audit head` with others")),
    }
}

/// `audit head [--server NAME] [--json]`
pub(crate) fn head(reading: &ServerReading) -> Result<(), Failure> {
    let (book, page) = place(reading)?;
    let mut seen = book.seen(&page.name).map_err(|it| of_book(&it))?;
    block_on(async { proved(&mut ServerLink::open().await?, &page, &mut seen).await })?;
    book.keep_seen(&page.name, &seen)
        .map_err(|it| of_book(&it))?;
    let Some(head) = seen.head() else {
        return Err(unexpected());
    };
    let note = String::from_utf8_lossy(&head.note).into_owned();
    if reading.json {
        return print_json(&json!({
            "version": 1,
            "server": page.name.as_str(),
            "heads": [{
                "epoch": head.checkpoint.epoch,
                "size": head.checkpoint.size,
                "note": note,
            }],
        }));
    }
    print_raw(note.as_bytes())
}

/// All that the server logged and lists.
struct Whole {
    pages: Vec<AuditPage>,
    entries: Vec<Entry>,
    /// Hash of the last request of the list.
    listed: [u8; 32],
}

impl Whole {
    async fn read(link: &mut ServerLink, page: &Page) -> Result<Self, Failure> {
        let listing = link.list(&page.name).await?;
        listing.check(&page.name)?;
        let (entries, body) = (listing.entries, listing.body);
        let method = Method::List.number();
        Ok(Self {
            pages: pages(link, page, all_entries()).await?,
            entries,
            listed: request_hash(&page.user, method, &body),
        })
    }
}

/// Asks for a head that continues ours and holds what was shown; checks it.
async fn proved(link: &mut ServerLink, page: &Page, seen: &mut Seen) -> Result<(), Failure> {
    let asked = seen.head_request();
    let request = Request::Head(asked.clone());
    let told = link.result(&page.name, &request, HeadPage::decode).await?;
    seen.take_head(&asked, &told)
        .map_err(|error| Failure::new(error.to_string()).status(Status::Error))
}

async fn pages(
    link: &mut ServerLink,
    page: &Page,
    mut wanted: Audit,
) -> Result<Vec<AuditPage>, Failure> {
    let mut pages = Vec::new();
    loop {
        let request = Request::Audit(wanted.clone());
        let body = request.encode(RequestId::draw(&mut SystemRng));
        let answer = link.ask_with(&page.name, &request, &body).await?;
        let told = result_of(&answer, AuditPage::decode)?;
        let next = behind(wanted.cursor, told.next)?;
        pages.push(told);
        if next.is_none() {
            return Ok(pages);
        }
        wanted.cursor = next;
    }
}

/// Where the next page begins. One without any entry is not the last: a server looks at so many
/// of them for a page, whether they are wanted or not.
fn behind(cursor: Option<u64>, next: Option<u64>) -> Result<Option<u64>, Failure> {
    match next {
        // A server that repeats itself would never end.
        Some(next) if cursor.is_some_and(|cursor| next <= cursor) => Err(unexpected()),
        next => Ok(next),
    }
}

const fn all_entries() -> Audit {
    Audit {
        scope: Scope::All,
        keys: None,
        after_unix_ms: None,
        before_unix_ms: None,
        cursor: Some(0),
        proofs: true,
    }
}

fn place(reading: &ServerReading) -> Result<(Book, Page), Failure> {
    let book = server_link::book()?;
    let page = server_link::server(&book, reading.which.server.as_deref())?;
    Ok((book, page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_until_there_is_no_next_and_never_back() {
        for (cursor, next, expected) in [
            (None, None, Some(None)),
            (None, Some(0), Some(Some(0))),
            (Some(0), Some(512), Some(Some(512))),
            (Some(512), None, Some(None)),
            (Some(512), Some(512), None),
            (Some(512), Some(0), None),
        ] {
            assert_eq!(behind(cursor, next).ok(), expected, "{cursor:?} {next:?}");
        }
    }
}
