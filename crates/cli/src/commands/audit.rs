//! `audit verify`: is the log whole, and did the keepers sign for it?

use keystead_agent::audit::{self, KeeperReport, Report};
use keystead_core::LogTail;
use serde_json::json;

use crate::arguments::Verify;
use crate::commands::{log, server_audit};
use crate::failure::Failure;
use crate::terminal::{print, print_json};

/// `audit verify [--json]`
pub(crate) fn verify(verify: &Verify) -> Result<(), Failure> {
    let reading = &verify.reading;
    if reading.which.server.is_some() {
        return server_audit::verify(reading);
    }
    let report = audit::verify(&log::read()?);
    if reading.json {
        print_json(&json!({
            "version": 1,
            "entries": report.entries,
            "altered_from_line": altered_from(&report),
            "keepers": report.keepers,
            "faults": report.faults,
        }))?;
    } else {
        print_report(&report)?;
    }
    if altered_from(&report).is_none() && report.faults.is_empty() {
        return Ok(());
    }
    Err(Failure::new("the log does not prove itself")
        .hint("compare it with the authenticator's: `keystead-authenticator log --json`"))
}

fn print_report(report: &Report) -> Result<(), Failure> {
    print(format_args!(
        "{} entries that follow from each other",
        report.entries
    ))?;
    for keeper in &report.keepers {
        let KeeperReport { name, receipts, .. } = keeper;
        let s = if *receipts == 1 { "" } else { "s" };
        print(format_args!(
            "{name}: {receipts} receipt{s}, signed and in their chain"
        ))?;
        if !keeper.missing.is_empty() {
            let missing: Vec<String> = keeper.missing.iter().map(numbers).collect();
            print(format_args!(
                "{name}: not in this log: {} (answers that never came here, or that it does not \
                 keep; the authenticator's log has them)",
                missing.join(", ")
            ))?;
        }
    }
    for fault in &report.faults {
        print(format_args!("line {}: {}", fault.line, fault.message))?;
    }
    altered_from(report).map_or(Ok(()), |line| {
        print(format_args!(
            "line {line} does not follow from the one before"
        ))
    })
}

fn numbers(&(first, last): &(u64, u64)) -> String {
    if first == last {
        format!("{first}")
    } else {
        format!("{first} to {last}")
    }
}

fn altered_from(report: &Report) -> Option<u64> {
    match report.tail {
        // A line may be half written while the agent runs.
        LogTail::Whole | LogTail::Cut { .. } => None,
        LogTail::Broken { line } => Some(line),
    }
}
