//! `log`: what was asked and how it was decided.

use std::path::PathBuf;

use keystead_agent::log::{self, Entry};
use keystead_core::LogTail;
use serde_json::json;

use crate::agent_link::folders;
use crate::arguments::Log;
use crate::failure::Failure;
use crate::terminal::{Table, print_json, say, utc};

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
    let target = entry.host_names.first().cloned().or_else(|| {
        let hop = entry.path.last()?;
        Some(hop.host_key.clone())
    });
    let key = entry
        .key
        .as_deref()
        .map(|key| format!(" with {key}"))
        .unwrap_or_default();
    let why = entry
        .reason
        .as_deref()
        .map(|why| format!(" ({why})"))
        .unwrap_or_default();
    let what = match (&entry.user, target, &entry.namespace) {
        (Some(user), Some(host), _) => format!("log in as {user}@{host}"),
        (Some(user), None, _) => format!("log in as {user}, destination not proved"),
        (None, _, Some(namespace)) => format!("sign for {namespace}"),
        (None, _, None) => entry.kind.clone(),
    };
    format!("{what}{key}{why}")
}
