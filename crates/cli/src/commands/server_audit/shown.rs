//! `audit show`: entries of the log, in words.
//!
//! **Invariant:** what stands in an entry is shown, known here or not; whether it stands in the
//! log for good is what `audit verify` says.

use keystead_core::hex;
use keystead_daemon::utc;
use keystead_keeper::server::Page;
use keystead_keeper::server::log::{Action, Leaf};
use keystead_keeper::server::protocol::requests::{Audit, AuditPage, Entry, Method, Scope};
use keystead_keeper::server::protocol::{KeyId, List, Status as Code};
use keystead_keeper::server::seen::Seen;
use serde_json::json;

use super::{pages, place};
use crate::agent_link::{block_on, unexpected};
use crate::arguments::{AuditOf, Moment, ShowAudit};
use crate::commands::server_entry::label_of;
use crate::commands::server_policy::Rule;
use crate::failure::{Failure, Status};
use crate::server_link::{ServerLink, of_book};
use crate::terminal::{Table, harmless, print_json};

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
    let ids: Vec<Option<KeyId>> = named
        .iter()
        .map(|it| hex::typed_array(it).map(KeyId))
        .collect();
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
        actor => short(&hex::encode(&actor)),
    }
}

fn key_of(leaf: &Leaf) -> Option<KeyId> {
    (leaf.key != [0; 16]).then_some(KeyId(leaf.key))
}

/// The first 8 hex digits: enough to tell one from another.
fn short(digits: &str) -> String {
    digits.chars().take(SHORT_CHARS).collect()
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

/// Digits of an id that tell one from another.
const SHORT_CHARS: usize = 8;
