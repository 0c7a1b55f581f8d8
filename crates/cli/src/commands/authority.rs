//! `pair --ca FILE`: whose certificates the agent trusts for relays, a setting
//! of its own.

use std::fs;
use std::io;
use std::path::Path;

use keystead_agent::settings::{self, Settings};
use keystead_daemon::{Disk, FolderDisk};

use crate::agent_link::folders;
use crate::commands::agent;
use crate::failure::{Failure, Status};
use crate::terminal::say;

/// Writes the setting, prints it, and ends an agent that runs without it.
pub(crate) fn remember(file: &Path) -> Result<(), Failure> {
    let of_file = |error: &io::Error| Failure::new(format!("{}: {error}", file.display()));
    let file = fs::canonicalize(file).map_err(|error| of_file(&error))?;
    let pem = fs::read(&file).map_err(|error| of_file(&error))?;
    // Whether it is a certificate is the agent's business; but what is remembered
    // and cannot be read would keep every agent from starting.
    if !pem.windows(BEGIN.len()).any(|it| it == BEGIN) {
        let message = format!("{}: no certificate in it", file.display());
        return Err(Failure::new(message).hint("name a PEM file: it says BEGIN CERTIFICATE"));
    }
    let path = folders()?.config.join(settings::FILE_NAME);
    let of_settings = |error: &dyn std::error::Error| {
        Failure::new(format!("{}: {error}", path.display())).hint("correct the file")
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(of_settings(&error)),
    };
    let now = Settings::parse(&text).map_err(|error| of_settings(&error))?;
    match now.ca_file {
        Some(known) if known == file => return Ok(()),
        Some(known) => {
            let message = format!("{} trusts {} already", path.display(), known.display());
            let hint = "put both certificates into one file, and name it there";
            return Err(Failure::new(message).hint(hint).status(Status::Usage));
        }
        None => {}
    }
    // First, so that it stands before any table; a JSON string is a TOML one.
    let quoted = serde_json::to_string(&file).map_err(|error| Failure::of(&error))?;
    let line = format!("ca_file = {quoted}\n");
    Settings::parse(&format!("{line}{text}")).map_err(|error| of_settings(&error))?;
    folders()?
        .make()
        .map_err(|error| Failure::of(&error).hint(error.hint()))?;
    let mut disk = FolderDisk::open(&folders()?.config).map_err(|error| Failure::of(&error))?;
    disk.replace(settings::FILE_NAME, format!("{line}{text}").as_bytes())
        .map_err(|error| of_settings(&error))?;
    say(format_args!(
        "written to {}:\n{}",
        path.display(),
        line.trim_end()
    ));
    agent::stop()
}

/// How a certificate begins (RFC 7468, section 5.1).
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
