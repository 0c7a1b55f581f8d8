//! Key servers: reached, the pinned ones, with a session and a log that goes on.

use std::time::Duration;

use keystead_keeper::server::control::Server;
use keystead_keeper::server::{Book, Page, Remote};

use super::Check;
use crate::agent_link::block_on;
use crate::commands::server::{Line, pages};
use crate::failure::Failure;
use crate::server_link::{self, ServerLink, of_book};

/// A few lines for each server that this machine knows; none without any.
pub(super) fn checks(agent_runs: bool) -> Result<Vec<Check>, Failure> {
    let book = server_link::book()?;
    let pages = pages(&book, None)?;
    let live = match agent_runs && !pages.is_empty() {
        // What is wrong with the agent is said elsewhere.
        true => block_on(async { ServerLink::open().await?.servers().await }).unwrap_or_default(),
        false => Vec::new(),
    };
    let mut checks = Vec::new();
    for page in &pages {
        checks.push(reached(page)?);
        checks.push(session(&book, page, &live));
    }
    Ok(checks)
}

/// Whether keys may come from a server.
pub(super) fn are_known() -> Result<bool, Failure> {
    let names = server_link::book()?.names();
    names.map(|it| !it.is_empty()).map_err(|it| of_book(&it))
}

fn reached(page: &Page) -> Result<Check, Failure> {
    let name = &page.name;
    let address = &page.address;
    let met = block_on(async {
        let connect = async { Remote::connect(&page.endpoint()?).await };
        Ok(tokio::time::timeout(CONNECT_WAIT, connect).await)
    })?;
    Ok(match met {
        Ok(Ok(_)) => Check::good(
            "server",
            format!("{name}: {address} answers, and is the one"),
        ),
        Ok(Err(error)) => Check::bad(
            "server",
            format!("{name}: {address}: {}", Failure::of(&error).message),
            error.hint(),
        ),
        Err(_) => Check::bad(
            "server",
            format!("{name}: {address} does not answer"),
            "see that it runs, and that no firewall is in the way",
        ),
    })
}

fn session(book: &Book, page: &Page, live: &[Server]) -> Check {
    let (state, next) = Line::of(book, page, live).session();
    let message = format!(
        "{}: session {state}, account {}",
        page.name,
        page.account.as_str()
    );
    match next {
        None => Check::good("session", message),
        Some(next) if state == "stopped" => Check::bad(
            "session",
            format!("{}: its log is not the one that was seen", page.name),
            format!("ask the operator why; then `{next}`"),
        ),
        Some(next) => Check::doubtful("session", message, format!("`{next}`")),
    }
}

/// A person waits for it.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
