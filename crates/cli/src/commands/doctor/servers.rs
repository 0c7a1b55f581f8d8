//! Key servers: reached, the pinned ones, with a session and a log that goes on.

use std::time::Duration;

use keystead_daemon::{Clock, SystemClock};
use keystead_keeper::server::control::Server;
use keystead_keeper::server::{Book, Page, Remote};

use super::Check;
use crate::agent_link::block_on;
use crate::commands::server::{Line, pages};
use crate::failure::Failure;
use crate::server_link::{self, ServerLink};

/// A few lines for each server that this machine knows; none without any.
pub(super) fn checks(agent_runs: bool) -> Vec<Check> {
    look(agent_runs).unwrap_or_else(|failure| {
        let hint = failure.hint.as_deref();
        let hint = hint.unwrap_or("see what stands there, and whose it is");
        vec![Check::bad("server", &failure.message, hint)]
    })
}

fn look(agent_runs: bool) -> Result<Vec<Check>, Failure> {
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
pub(super) fn are_known() -> bool {
    let names = server_link::book().map(|book| book.names());
    // One that cannot be read is told with the servers.
    names.is_ok_and(|names| names.is_ok_and(|it| !it.is_empty()))
}

fn reached(page: &Page) -> Result<Check, Failure> {
    let name = &page.name;
    let address = &page.address;
    let reached = block_on(async {
        let connect = async { Remote::connect(&page.endpoint()?).await };
        Ok(tokio::time::timeout(CONNECT_WAIT, connect).await)
    })?;
    Ok(match reached {
        Ok(Ok(remote)) => certificate(
            format!("{name}: {address} answers, and is the one"),
            remote.certificate_ends_unix_s(),
            SystemClock.now().unix_s,
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

/// What is left of the certificate of a server that is the one.
fn certificate(message: String, ends_unix_s: Option<u64>, now_unix_s: u64) -> Check {
    let Some(days) = ends_unix_s.map(|it| it.saturating_sub(now_unix_s) / DAY_S) else {
        return Check::good("server", message);
    };
    let message = format!("{message}; its certificate has {days} days left");
    match days < CERTIFICATE_DAYS_MIN {
        true => Check::doubtful(
            "server",
            message,
            "tell the operator: `keystead-server renew-certificate`",
        ),
        false => Check::good("server", message),
    }
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

const DAY_S: u64 = 86_400;

/// Below it a person is told. Why: whoever renews it should have, and two weeks are time enough
/// to find an operator.
const CERTIFICATE_DAYS_MIN: u64 = 14;

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::{DAY_S, certificate};

    #[track_caller]
    fn check(left_s: u64, state: State, words: &str) {
        let check = certificate("lab".to_owned(), Some(1_000 + left_s), 1_000);
        assert_eq!(check.state, state);
        assert!(check.message.ends_with(words), "{}", check.message);
    }

    #[test]
    fn a_certificate_that_ends_soon_is_told() {
        check(90 * DAY_S, State::Good, "90 days left");
        check(14 * DAY_S, State::Good, "14 days left");
        check(14 * DAY_S - 1, State::Doubtful, "13 days left");
        check(0, State::Doubtful, "0 days left");
        let unknown = certificate("lab".to_owned(), None, 1_000);
        assert_eq!(unknown.message, "lab");
    }
}
