//! `server status|logout|sessions|accept|forget`: accounts at key servers.

use keystead_daemon::{Clock, SystemClock, utc};
use keystead_keeper::server::control::{Command, Server, State};
use keystead_keeper::server::protocol::SessionId;
use keystead_keeper::server::protocol::requests::{Request, SessionEntry, SessionList, Sessions};
use keystead_keeper::server::{Book, Page, ServerName};
use serde_json::json;

use crate::agent_link::block_on;
use crate::arguments::{Accept, Forget, Logout, ServerReading, Sessions as ListSessions};
use crate::failure::{Failure, Status};
use crate::server_link::{self, REGISTER, ServerLink, of_book};
use crate::terminal::{
    Table, can_ask, forget_typed, harmless, print, print_json, read_line, say, say_raw,
};

/// `server status [--server NAME] [--json]`
pub(crate) fn status(reading: &ServerReading) -> Result<(), Failure> {
    let lines = lines(reading.which.server.as_deref())?;
    if reading.json {
        let servers: Vec<_> = lines.iter().map(Line::json).collect();
        return print_json(&json!({ "version": 1, "servers": servers }));
    }
    if lines.is_empty() {
        say(format_args!("no key server is known here; {REGISTER}"));
    }
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            print("")?;
        }
        line.print()?;
    }
    Ok(())
}

/// `server logout [--server NAME] [--everywhere]`
pub(crate) fn logout(logout: &Logout) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, logout.which.server.as_deref())?;
    let command = Command::ServerLogout {
        server: page.name.to_string(),
        everywhere: logout.everywhere,
    };
    block_on(async { ServerLink::open().await?.done(&command).await })?;
    say(match logout.everywhere {
        true => format!(
            "all sessions of {} at {} are closed",
            page.account.as_str(),
            page.name
        ),
        false => format!("the session at {} is closed", page.name),
    });
    Ok(())
}

/// `server sessions [--server NAME] [--close ID] [--json]`
pub(crate) fn sessions(wanted: &ListSessions) -> Result<(), Failure> {
    let page = server_link::server(
        &server_link::book()?,
        wanted.reading.which.server.as_deref(),
    )?;
    let list = Request::Sessions(Sessions { close: None });
    let (open, closed) = block_on(async {
        let mut link = ServerLink::open().await?;
        let open = link.result(&page.name, &list, SessionList::decode).await?;
        let Some(id) = &wanted.close else {
            return Ok((open.sessions.0, None));
        };
        let session = session_of(&open.sessions.0, id)?;
        let close = Request::Sessions(Sessions {
            close: Some(session),
        });
        link.ask(&page.name, &close).await?;
        Ok((open.sessions.0, Some(session)))
    })?;
    if let Some(closed) = closed {
        say(format_args!("session {closed} is closed"));
        return Ok(());
    }
    if wanted.reading.json {
        let sessions: Vec<_> = open.iter().map(session_json).collect();
        return print_json(
            &json!({ "version": 1, "server": page.name.as_str(), "sessions": sessions }),
        );
    }
    let mut table = Table::default();
    table.row(["SESSION", "MACHINE", "LOGIN", "LAST USED"]);
    for session in &open {
        table.row([
            &session.session.to_string(),
            &session.device.0,
            &minute(session.login_unix_ms),
            &minute(session.last_unix_ms),
        ]);
    }
    table.print()
}

/// A time without its seconds: with them the table is wider than a terminal.
fn minute(unix_ms: u64) -> String {
    let whole = utc(unix_ms / MS);
    let minute = whole
        .rsplit_once(':')
        .map(|(minute, _)| format!("{minute}Z"));
    minute.unwrap_or(whole)
}

/// `server accept NAME [--yes]`
pub(crate) fn accept(wanted: &Accept) -> Result<(), Failure> {
    let book = server_link::book()?;
    let page = server_link::server(&book, Some(&wanted.name))?;
    let seen = book.seen(&page.name).map_err(|it| of_book(&it))?;
    let Some(trouble) = seen.disputed() else {
        say(format_args!(
            "the log of {} is the one that was seen: nothing to accept",
            page.name
        ));
        return Ok(());
    };
    say(format_args!(
        "{}: {}",
        page.name,
        harmless(&trouble.to_string())
    ));
    if let Some(head) = seen.head() {
        let at = &head.checkpoint;
        say(format_args!(
            "  seen before: epoch {}, {} entries",
            at.epoch, at.size
        ));
    }
    if let Some(head) = seen.others().last() {
        let at = &head.checkpoint;
        say(format_args!(
            "  told now: epoch {}, {} entries",
            at.epoch, at.size
        ));
    }
    say("Ask the operator why, over another way. Both heads stay in this machine's files.");
    if !wanted.yes && !agrees("Go on with what the server tells now?")? {
        return Err(Failure::new("nothing was accepted").status(Status::Refused));
    }
    book.accept(&page.name).map_err(|it| of_book(&it))?;
    let refresh = Command::ServerRefresh {
        server: page.name.to_string(),
    };
    // Without a session there is nothing to look at again.
    let refreshed = block_on(async { ServerLink::open().await?.done(&refresh).await });
    if refreshed.is_err() {
        say(format_args!(
            "then log in: `keystead server login --server {}`",
            page.name
        ));
    }
    say(format_args!(
        "goes on with the log of {} as it is told now",
        page.name
    ));
    Ok(())
}

/// `server forget NAME [--yes]`
pub(crate) fn forget(wanted: &Forget) -> Result<(), Failure> {
    let book = server_link::book()?;
    let page = server_link::server(&book, Some(&wanted.name))?;
    say(format_args!(
        "The account {} at {} stays; this machine forgets the server's keys and what it saw of its log.",
        page.account.as_str(),
        page.address
    ));
    if !wanted.yes && !agrees("Forget it here?")? {
        return Err(Failure::new("nothing was forgotten").status(Status::Refused));
    }
    let command = Command::ServerLogout {
        server: page.name.to_string(),
        everywhere: false,
    };
    // Where there is no session there is none to end.
    let _ended = block_on(async { ServerLink::open().await?.done(&command).await });
    book.forget(&page.name).map_err(|it| of_book(&it))?;
    say(format_args!("{} is forgotten here", page.name));
    Ok(())
}

/// A question that ends with y or n; no terminal is no.
pub(crate) fn agrees(question: &str) -> Result<bool, Failure> {
    if !can_ask() {
        return Err(Failure::new("nobody can be asked: there is no terminal")
            .hint("give --yes")
            .status(Status::Usage));
    }
    forget_typed();
    say_raw(&format!("{question} [y/N] "));
    let answer = read_line()?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The pages of all servers, or of the one that is named.
pub(crate) fn pages(book: &Book, wanted: Option<&str>) -> Result<Vec<Page>, Failure> {
    if wanted.is_some() {
        return Ok(vec![server_link::server(book, wanted)?]);
    }
    let names = book.names().map_err(|it| of_book(&it))?;
    let page = |name: &ServerName| book.page(name).map_err(|it| of_book(&it));
    names.iter().map(page).collect()
}

/// All servers that this machine knows, or the one that is named, with their sessions.
pub(crate) fn lines(wanted: Option<&str>) -> Result<Vec<Line>, Failure> {
    let book = server_link::book()?;
    let pages = pages(&book, wanted)?;
    if pages.is_empty() {
        return Ok(Vec::new());
    }
    let live = block_on(async { ServerLink::open().await?.servers().await })?;
    Ok(pages.iter().map(|it| Line::of(&book, it, &live)).collect())
}

/// A line for each server.
pub(crate) fn print_lines(lines: &[Line]) -> Result<(), Failure> {
    let mut table = Table::default();
    table.row(["KEY SERVER", "ACCOUNT", "SESSION"]);
    for line in lines {
        let left = line.left_s().map(|it| format!(", {} left", span(it)));
        let session = format!("{}{}", line.session().0, left.unwrap_or_default());
        table.row([
            line.page.name.as_str(),
            line.page.account.as_str(),
            &session,
        ]);
    }
    table.print()
}

/// One server, as this machine has it.
pub(crate) struct Line {
    page: Page,
    live: Option<Server>,
    /// Why its log is not trusted.
    dispute: Option<String>,
    has_pass: bool,
}

impl Line {
    pub(crate) fn of(book: &Book, page: &Page, live: &[Server]) -> Self {
        let seen = book.seen(&page.name);
        let dispute = match &seen {
            Ok(seen) => seen.disputed().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        Self {
            page: page.clone(),
            live: live
                .iter()
                .find(|it| it.name == page.name.as_str())
                .cloned(),
            dispute,
            has_pass: matches!(book.pass(&page.name), Ok(Some(_))),
        }
    }

    /// The word of the session's state, and what to do next.
    pub(crate) fn session(&self) -> (&'static str, Option<String>) {
        let name = &self.page.name;
        let login = Some(format!("keystead server login --server {name}"));
        if self.dispute.is_some() {
            return ("stopped", Some(format!("keystead server accept {name}")));
        }
        match self.live.as_ref().map(|it| it.state) {
            Some(State::Open) => ("open", None),
            Some(State::Opening) => ("opening", None),
            Some(State::Lent) => ("open, lent to a command", None),
            Some(State::Stopped) => ("stopped", Some(format!("keystead server accept {name}"))),
            Some(State::Ended | _) => ("ended", login),
            None => ("none", login),
        }
    }

    fn left_s(&self) -> Option<u64> {
        let live = self.live.as_ref()?;
        let is_open = matches!(live.state, State::Open | State::Opening | State::Lent);
        let left_s = live.until_unix_s.saturating_sub(SystemClock.now().unix_s);
        is_open.then_some(left_s)
    }

    fn print(&self) -> Result<(), Failure> {
        let (state, next) = self.session();
        let mut table = Table::default();
        table.row(["server", self.page.name.as_str()]);
        table.row(["address", &self.page.address]);
        table.row(["account", self.page.account.as_str()]);
        let left = self.left_s().map(|it| format!(", {} left", span(it)));
        table.row(["session", &format!("{state}{}", left.unwrap_or_default())]);
        if let Some(live) = &self.live {
            let kept = match live.has_master_key {
                true => "kept by the agent until the session ends (login --keep)",
                false => "not kept: what needs it asks for the password",
            };
            table.row(["master key", kept]);
            table.row(["keys", &format!("{} for ssh", live.keys)]);
        }
        let pass = if self.has_pass { "kept here" } else { "none" };
        table.row(["device pass", pass]);
        table.print()?;
        if let Some(dispute) = &self.dispute {
            say(format_args!("its log: {}", harmless(dispute)));
        }
        let trouble = self.live.as_ref().and_then(|it| it.trouble.as_deref());
        if let Some(trouble) = trouble {
            say(format_args!("note: {}", harmless(trouble)));
        }
        if let Some(next) = next {
            say(format_args!("next: {next}"));
        }
        Ok(())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let (state, next) = self.session();
        let live = self.live.as_ref();
        json!({
            "name": self.page.name.as_str(),
            "address": self.page.address,
            "account": self.page.account.as_str(),
            "server_id": self.page.server.to_string(),
            "session": state,
            "left_s": self.left_s(),
            "until_unix_s": live.map(|it| it.until_unix_s),
            "master_key_kept": live.is_some_and(|it| it.has_master_key),
            "device_pass": self.has_pass,
            "keys": live.map(|it| it.keys),
            "dispute": self.dispute,
            "trouble": live.and_then(|it| it.trouble.as_deref()),
            "next": next,
        })
    }
}

/// The session with this id, or the only one that begins so.
fn session_of(open: &[SessionEntry], wanted: &str) -> Result<SessionId, Failure> {
    let mut found = open
        .iter()
        .filter(|it| it.session.to_string().starts_with(wanted));
    match (found.next(), found.next()) {
        (Some(one), None) if !wanted.is_empty() => Ok(one.session),
        _ => Err(
            Failure::new(format!("no session, or several, are called {wanted:?}"))
                .hint("`keystead server sessions` lists them")
                .status(Status::Usage),
        ),
    }
}

fn session_json(session: &SessionEntry) -> serde_json::Value {
    json!({
        "id": session.session.to_string(),
        "machine": session.device.0,
        "login_unix_s": session.login_unix_ms / MS,
        "last_unix_s": session.last_unix_ms / MS,
    })
}

/// A time left, as people say it.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

const MS: u64 = 1_000;
