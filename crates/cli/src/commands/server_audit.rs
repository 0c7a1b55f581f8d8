//! `audit … --server NAME`: the log that a key server keeps of the account.
//!
//! **Invariant:** what is printed as checked was checked here, against what this machine saw
//! before; a fault names the entry, and both heads stay in the book.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keystead_daemon::{SystemRng, utc};
use keystead_keeper::server::log::export::Line;
use keystead_keeper::server::log::{Action, Leaf};
use keystead_keeper::server::protocol::requests::{
    Audit, AuditPage, Entry, Head, HeadPage, Method, Request, Scope,
};
use keystead_keeper::server::protocol::{KeyId, List, RequestId, Status as Code, request_hash};
use keystead_keeper::server::seen::{Listed, Seen};
use keystead_keeper::server::{Book, Page};
use serde_json::json;

use crate::agent_link::{block_on, unexpected};
use crate::arguments::{AuditOf, Export, Moment, ServerReading, ShowAudit};
use crate::commands::approver::from_hex;
use crate::commands::server_key::label_of;
use crate::commands::server_policy::Rule;
use crate::failure::{Failure, Status};
use crate::server_link::{self, ServerLink, of_book, result_of};
use crate::terminal::{Table, harmless, print, print_json, print_raw, say};

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

/// `audit show [--server NAME] [-n N] [--key KEY]… [--of WHICH] [--after TIME] [--before TIME]`
pub(crate) fn show(wanted: &ShowAudit) -> Result<(), Failure> {
    let (book, page) = place(&wanted.reading)?;
    let seen = book.seen(&page.name).map_err(|it| of_book(&it))?;
    let pages = block_on(async {
        let mut link = ServerLink::open().await?;
        let keys = keys_meant(&mut link, &page, &wanted.key).await?;
        let request = Audit {
            scope: match (&keys, wanted.of) {
                (Some(_), _) | (None, AuditOf::Keys) => Scope::Keys,
                (None, AuditOf::Account) => Scope::System,
                (None, AuditOf::All) => Scope::All,
            },
            keys: keys.map(List),
            // The server leaves out the moment itself.
            after_unix_ms: wanted.after.map(|it| it.unix_ms().saturating_sub(1)),
            before_unix_ms: wanted.before.map(Moment::unix_ms),
            cursor: first_shown(&seen, wanted),
            proofs: false,
        };
        pages(&mut link, &page, request).await
    })?;
    let leaves = leaves(&pages)?;
    let skipped = match wanted.last {
        0 => 0,
        last => leaves.len().saturating_sub(last),
    };
    let shown = leaves.get(skipped..).unwrap_or_default();
    if wanted.reading.json {
        let entries: Vec<_> = shown.iter().map(leaf_json).collect();
        return print_json(&json!({
            "version": 1,
            "server": page.name.as_str(),
            "entries": entries,
        }));
    }
    let mut table = Table::default();
    table.row(["ENTRY", "TIME", "WHAT", "OUTCOME", "KEY", "BY"]);
    for leaf in shown {
        table.row([
            &leaf.user_seq.to_string(),
            &utc(leaf.time_unix_ms / 1_000),
            &action_of(leaf),
            &outcome_of(leaf),
            &key_of(leaf).map_or_else(String::new, |it| short(&it.to_string())),
            &actor_of(leaf),
        ]);
    }
    table.print()
}

/// `audit export FILE [--server NAME]`
pub(crate) fn export(wanted: &Export) -> Result<(), Failure> {
    let book = server_link::book()?;
    let page = server_link::server(&book, wanted.which.server.as_deref())?;
    let lines = block_on(async {
        let mut link = ServerLink::open().await?;
        let request = all_entries();
        let pages = pages(&mut link, &page, request).await?;
        let listing = link.list(&page.name).await?;
        listing.check(&page.name)?;
        let entries = listing.entries;
        let mut lines = vec![
            Line::Title,
            Line::Server(page.server),
            Line::Key(page.log_key),
            Line::User(page.user),
        ];
        push_pages(&mut lines, &pages)?;
        push_heads(&mut lines, &mut link, &page, &pages).await?;
        for entry in &entries {
            lines.push(Line::Listed {
                key: entry.key,
                kind: entry.kind,
                revision: entry.revision,
            });
        }
        Ok(lines)
    })?;
    let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let mut text: String = lines.iter().map(Line::write).collect();
    text.push_str(&Line::End(count).write());
    if wanted.file == Path::new("-") {
        return print_raw(text.as_bytes());
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&wanted.file)
        .map_err(|error| not_made(&wanted.file, &error))?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // It holds nothing that the server does not have.
        let _ = std::fs::remove_file(&wanted.file);
        return Err(not_made(&wanted.file, &error));
    }
    say(format_args!(
        "{} lines in {}",
        count.saturating_add(1),
        wanted.file.display()
    ));
    Ok(())
}

fn not_made(file: &Path, error: &std::io::Error) -> Failure {
    let file = file.display();
    if error.kind() == ErrorKind::AlreadyExists {
        return Failure::new(format!("{file} is there already"))
            .hint("an export goes into a new file; name another one");
    }
    Failure::new(format!("{file} cannot be written: {error}"))
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
        let method = keystead_keeper::server::protocol::requests::Method::List.number();
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

/// Each page's head, entries and their paths in it.
fn push_pages(lines: &mut Vec<Line>, pages: &[AuditPage]) -> Result<(), Failure> {
    for (at, page) in pages.iter().enumerate() {
        let checkpoint = u64::try_from(at).unwrap_or(u64::MAX);
        lines.push(Line::Checkpoint(page.checkpoint.0.clone()));
        let proofs = page.proofs.as_ref().ok_or_else(unexpected)?;
        for (leaf, proof) in page.leaves.0.iter().zip(&proofs.0) {
            lines.push(Line::Leaf {
                index: proof.index,
                leaf: leaf.0.clone(),
            });
            lines.push(Line::Path {
                checkpoint,
                path: proof.path.0.clone(),
            });
        }
    }
    Ok(())
}

/// That each page's head is continued by one that was asked for after it.
async fn push_heads(
    lines: &mut Vec<Line>,
    link: &mut ServerLink,
    page: &Page,
    pages: &[AuditPage],
) -> Result<(), Failure> {
    for (at, told) in pages.iter().enumerate() {
        let size = size_of(&told.checkpoint.0).ok_or_else(unexpected)?;
        let request = Request::Head(Head {
            from_size: Some(size),
            indices: List(Vec::new()),
        });
        let head = link.result(&page.name, &request, HeadPage::decode).await?;
        lines.push(Line::Checkpoint(head.checkpoint.0.clone()));
        let from = u64::try_from(at).unwrap_or(u64::MAX);
        let to = u64::try_from(pages.len().saturating_add(at)).unwrap_or(u64::MAX);
        lines.push(Line::Consistency {
            from,
            to,
            proof: head.consistency.map(|it| it.0).unwrap_or_default(),
        });
    }
    Ok(())
}

/// The second line of a checkpoint (C2SP tlog-checkpoint).
fn size_of(note: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(note).ok()?;
    text.lines().nth(1)?.parse().ok()
}

fn place(reading: &ServerReading) -> Result<(Book, Page), Failure> {
    let book = server_link::book()?;
    let page = server_link::server(&book, reading.which.server.as_deref())?;
    Ok((book, page))
}

/// From which entry on there are about so many, by what was seen last.
fn first_shown(seen: &Seen, wanted: &ShowAudit) -> Option<u64> {
    let (last, _) = seen.last_own()?;
    let count = u64::try_from(wanted.last).ok()?;
    // How many of the last ones are among those that are wanted, nobody knows.
    let is_chosen = !wanted.key.is_empty()
        || wanted.of != AuditOf::All
        || wanted.after.is_some()
        || wanted.before.is_some();
    let all = wanted.last == 0 || is_chosen;
    Some(if all { 0 } else { last.saturating_sub(count) })
}

/// The keys and secrets that are named. An id may be of one that was deleted; names and
/// beginnings of ids are looked for among those that are there.
async fn keys_meant(
    link: &mut ServerLink,
    page: &Page,
    named: &[String],
) -> Result<Option<Vec<KeyId>>, Failure> {
    if named.is_empty() {
        return Ok(None);
    }
    let ids: Vec<Option<KeyId>> = named.iter().map(|it| from_hex(it).map(KeyId)).collect();
    let listed = match ids.iter().all(Option::is_some) {
        true => Vec::new(),
        false => link.list(&page.name).await?.entries,
    };
    let meant = named.iter().zip(ids).map(|(name, id)| match id {
        Some(id) => Ok(id),
        None => one_of(&listed, name),
    });
    meant.collect::<Result<_, _>>().map(Some)
}

fn one_of(listed: &[Entry], name: &str) -> Result<KeyId, Failure> {
    let is_begun = name.len() >= SHORT_CHARS;
    let is_meant = |it: &&Entry| {
        label_of(it) == Some(name) || is_begun && it.key.to_string().starts_with(name)
    };
    let found: Vec<&Entry> = listed.iter().filter(is_meant).collect();
    match found.as_slice() {
        [one] => Ok(one.key),
        [] => Err(Failure::new(format!("no key there is called {name:?}"))
            .hint("give its id: `keystead key list --keeper SERVER`, `keystead secret show NAME`")),
        _ => Err(
            Failure::new(format!("several keys there are called {name:?}"))
                .hint("give the whole id")
                .status(Status::Usage),
        ),
    }
}

fn leaves(pages: &[AuditPage]) -> Result<Vec<Leaf>, Failure> {
    let bytes = pages.iter().flat_map(|it| &it.leaves.0);
    let leaves = bytes.map(|it| Leaf::decode(&it.0).map_err(|_| unexpected()));
    leaves.collect()
}

fn action_of(leaf: &Leaf) -> String {
    let action = Action::from_number(leaf.action);
    if let (Some(Action::Method(Method::Approvers)), Some(verb)) = (action, verb_of(leaf)) {
        return match verb.as_str() {
            "added" | "removed" => format!("approver {verb}"),
            _ => verb,
        };
    }
    if let (Some(Action::OperatorAct), Some(verb)) = (action, verb_of(leaf)) {
        return format!("operator: {verb}");
    }
    action.map_or_else(
        || format!("action {}", leaf.action),
        |it| it.word().to_owned(),
    )
}

fn outcome_of(leaf: &Leaf) -> String {
    match Code::from_number(u64::from(leaf.outcome)) {
        Some(Code::Done) => "done".to_owned(),
        Some(Code::Waiting) => "waits".to_owned(),
        Some(Code::Policy) => rule_of(leaf).map_or_else(
            || "policy".to_owned(),
            |rule| format!("policy: {}", rule.name()),
        ),
        Some(code) => format!("{code:?}").to_lowercase(),
        None => format!("code {}", leaf.outcome),
    }
}

/// What became of approvers and recoveries, in the server's word.
fn verb_of(leaf: &Leaf) -> Option<String> {
    leaf.detail().ok()?.verb.map(|it| harmless(&it.0))
}

/// The rule that forbade it.
fn rule_of(leaf: &Leaf) -> Option<Rule> {
    Rule::of_condition(leaf.detail().ok()?.condition?)
}

fn actor_of(leaf: &Leaf) -> String {
    match leaf.actor {
        [0, 0, 0, 0, 0, 0, 0, 0] => "before login".to_owned(),
        [0, 0, 0, 0, 0, 0, 0, 1] => "operator".to_owned(),
        actor => {
            let hex: String = actor.iter().map(|byte| format!("{byte:02x}")).collect();
            short(&hex)
        }
    }
}

fn key_of(leaf: &Leaf) -> Option<KeyId> {
    (leaf.key != [0; 16]).then_some(KeyId(leaf.key))
}

/// The first 8 hex digits: enough to tell one from another.
fn short(hex: &str) -> String {
    hex.chars().take(SHORT_CHARS).collect()
}

fn leaf_json(leaf: &Leaf) -> serde_json::Value {
    json!({
        "entry": leaf.user_seq,
        "unix_ms": leaf.time_unix_ms,
        "action": action_of(leaf),
        "verb": verb_of(leaf),
        "outcome": outcome_of(leaf),
        "key": key_of(leaf).map(|it| it.to_string()),
        "by": actor_of(leaf),
        "condition": leaf.detail().ok().and_then(|it| it.condition),
        "rule": rule_of(leaf).map(Rule::name),
    })
}

const SHORT_CHARS: usize = 8;

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
