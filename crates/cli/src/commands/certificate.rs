//! `ssh certificate …`: user certificates that are offered beside their key.

use std::io::Read;
use std::path::Path;

use keystead_agent::control::{Certificate, Command, Reply};
use keystead_daemon::utc;
use serde_json::json;

use crate::agent_link::{self, unexpected};
use crate::arguments::Reading;
use crate::commands::file;
use crate::failure::{Failure, Status};
use crate::terminal::{Table, print_json, say};

/// `ssh certificate add FILE|-`
pub(crate) fn add(path: &Path) -> Result<(), Failure> {
    let text = read(path)?;
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let line = line.ok_or_else(|| {
        Failure::new(format!("{}: no certificate in it", path.display()))
            .hint("name the file that ssh-keygen wrote: NAME-cert.pub")
            .status(Status::Usage)
    })?;
    let command = Command::AddCertificate {
        line: line.to_owned(),
    };
    let Reply::Certificates { certificates } = agent_link::ask(&command)? else {
        return Err(unexpected());
    };
    say("offered from now on:");
    print_certificates(&certificates)
}

/// `ssh certificate remove CERTIFICATE`
pub(crate) fn remove(certificate: &str) -> Result<(), Failure> {
    let command = Command::RemoveCertificate {
        certificate: certificate.to_owned(),
    };
    let Reply::Done {} = agent_link::ask(&command)? else {
        return Err(unexpected());
    };
    say("it is offered no longer");
    Ok(())
}

/// `ssh certificate list [--json]`
pub(crate) fn list(reading: &Reading) -> Result<(), Failure> {
    let Reply::Certificates { certificates } = agent_link::ask(&Command::Certificates {})? else {
        return Err(unexpected());
    };
    if reading.json {
        return print_json(&json!({ "version": 1, "certificates": certificates }));
    }
    if certificates.is_empty() {
        say("no certificate; `keystead ssh certificate add FILE` adds one");
        return Ok(());
    }
    print_certificates(&certificates)
}

fn print_certificates(certificates: &[Certificate]) -> Result<(), Failure> {
    let mut table = Table::default();
    table.row(["CERTIFICATE", "KEY", "LOGS IN AS", "UNTIL", "OFFERED"]);
    for it in certificates {
        let key = it.key_name.as_deref().unwrap_or(&it.key);
        let principals = match it.principals.as_slice() {
            [] => "anybody".to_owned(),
            some => some.join(","),
        };
        let until = it.valid_to_unix_s.map_or_else(|| "ever".to_owned(), utc);
        let offered = if it.is_offered { "yes" } else { "no" };
        table.row([&it.key_id, key, &principals, &until, offered]);
    }
    table.print()
}

fn read(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        let mut stdin = std::io::stdin().take(CERTIFICATE_BYTES_MAX);
        stdin.read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|error| file::failure(path, &error))
}

/// A command's line has at most 64 KiB.
const CERTIFICATE_BYTES_MAX: u64 = 64 << 10;
