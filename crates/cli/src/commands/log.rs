//! `log`: what was asked and how it was decided.

use std::path::PathBuf;

use keystead_agent::log::{self, Entry};
use keystead_core::LogTail;
use keystead_daemon::utc;
use serde_json::json;

use crate::agent_link::folders;
use crate::arguments::Log;
use crate::failure::Failure;
use crate::terminal::{Table, print_json, say};

/// `log [--json] [-n N]`
pub(crate) fn run(log: &Log) -> Result<(), Failure> {
    let (entries, tail) = log::entries(&read()?);
    let skipped = match log.last {
        0 => 0,
        last => entries.len().saturating_sub(last),
    };
    let shown = entries.get(skipped..).unwrap_or_default();
    if log.json {
        print_json(&json!({ "version": 1, "entries": shown }))?;
    } else {
        print_entries(shown)?;
        if skipped > 0 {
            say(format_args!(
                "{skipped} earlier; `keystead log -n 0` shows all"
            ));
        }
    }
    match tail {
        // A line may be half written while the agent runs; it is whole next time.
        LogTail::Whole | LogTail::Cut { .. } => Ok(()),
        LogTail::Broken { line } => Err(Failure::new(format!(
            "line {line} of the log does not follow from the one before"
        ))
        .hint("`keystead audit verify` says more")),
    }
}

/// The log's bytes; none when nothing was asked yet.
pub(crate) fn read() -> Result<Vec<u8>, Failure> {
    let path: PathBuf = folders()?.state.join(log::FILE_NAME);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::new(format!("{}: {error}", path.display()))),
    }
}

fn print_entries(entries: &[Entry]) -> Result<(), Failure> {
    if entries.is_empty() {
        say("nothing was asked yet");
        return Ok(());
    }
    let mut table = Table::default();
    for entry in entries {
        let keeper = entry.keeper.as_deref().unwrap_or("");
        table.row([&utc(entry.unix_s), &entry.decision, keeper, &what(entry)]);
    }
    table.print()
}

/// What was asked, in a few words.
fn what(entry: &Entry) -> String {
    let key = entry.key.as_deref().unwrap_or_default();
    let asked = match (entry.kind.as_str(), &entry.user, &entry.namespace) {
        (_, Some(user), _) => match destination(entry) {
            Some(host) => format!("log in as {user}@{host} with {key}"),
            None => format!("log in as {user} with {key}, destination not proved"),
        },
        (_, None, Some(namespace)) => format!("sign for {namespace} with {key}"),
        ("sign", None, None) if entry.purpose.as_deref() == Some("opaque") => {
            format!("sign something that nobody can read, with {key}")
        }
        ("sign", None, None) => "its receipt for what was taken back or came too late".to_owned(),
        ("cancel", None, None) => "take back what was asked".to_owned(),
        ("unpair", None, None) => "end the pairing".to_owned(),
        ("make-key", None, None) => format!("make the key {key}"),
        ("me", None, None) => "tell its keys and addresses".to_owned(),
        ("confirm", None, None) => "confirm the pairing".to_owned(),
        (kind, None, None) => kind.to_owned(),
    };
    match &entry.reason {
        Some(why) => format!("{asked} ({why})"),
        None => asked,
    }
}

/// The last host that proved itself, by name where one is known.
fn destination(entry: &Entry) -> Option<&str> {
    let hop = entry.path.last()?;
    let name = entry.host_names.first();
    Some(name.map_or(hop.host_key.as_str(), String::as_str))
}
