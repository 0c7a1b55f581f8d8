//! `ssh setup`: the `IdentityAgent` lines in ssh's configuration.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use keystead_agent::control::SSH_SOCKET_NAME;
use keystead_formats::ssh::client_config::{self, Change, ConfigError, WithBlock, WithoutBlock};

use crate::agent_link::folders;
use crate::arguments::SshSetup;
use crate::failure::{Failure, Status};
use crate::terminal::{print_raw, say};

/// `ssh setup [--print|--undo] [--config FILE] [--socket PATH]`
pub(crate) fn setup(setup: &SshSetup) -> Result<(), Failure> {
    let config = match &setup.config {
        Some(file) => file.clone(),
        None => std::env::home_dir()
            .ok_or_else(|| {
                Failure::new("no home folder is known").hint("name the file with --config")
            })?
            .join(".ssh/config"),
    };
    if setup.undo {
        return undo(&config);
    }
    let before = read(&config)?;
    let with = client_config::with_block(before.as_deref(), &socket(setup)?);
    let with = with.map_err(|error| of_config(&error))?;
    if !setup.print {
        write(&config, &with)?;
    }
    print_raw(with.block.as_bytes())?;
    for line in with.other_agents {
        say(format_args!(
            "note: line {line} names another agent, which stays in force for its hosts"
        ));
    }
    Ok(())
}

fn write(config: &Path, with: &WithBlock) -> Result<(), Failure> {
    let shown = config.display();
    if with.change == Change::Keep {
        say(format_args!("{shown} has these lines already:"));
        return Ok(());
    }
    replace(config, &with.config)?;
    say(format_args!("written to {shown}:"));
    Ok(())
}

fn undo(config: &Path) -> Result<(), Failure> {
    let shown = config.display();
    let Some(before) = read(config)? else {
        say(format_args!("{shown} does not exist; nothing to undo"));
        return Ok(());
    };
    match client_config::without_block(&before).map_err(|error| of_config(&error))? {
        WithoutBlock::Same => say(format_args!(
            "{shown} has no lines of keystead; nothing to undo"
        )),
        WithoutBlock::Config(after) => {
            replace(config, &after)?;
            say(format_args!("{shown} is as it was"));
        }
        WithoutBlock::NoFile => {
            fs::remove_file(config).map_err(|error| of_file(config, &error))?;
            say(format_args!(
                "{shown} removed: it was made by `keystead ssh setup`"
            ));
        }
    }
    Ok(())
}

/// The agent's socket as text.
fn socket(setup: &SshSetup) -> Result<String, Failure> {
    let path = match &setup.socket {
        Some(path) => std::path::absolute(path)?,
        None => folders()?.runtime.join(SSH_SOCKET_NAME),
    };
    let shown = path.display().to_string();
    path.into_os_string().into_string().map_err(|_| {
        Failure::new(format!("the socket's path is not UTF-8: {shown}")).status(Status::Usage)
    })
}

fn read(config: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(config) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(of_file(config, &error)),
    }
}

/// Writes the file whole or not at all, with the permissions that it had. A
/// symbolic link stays one: what it points to is replaced.
fn replace(config: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let target = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    let replaced = replace_target(&target, bytes);
    replaced.map_err(|error| of_file(&target, &error))
}

fn replace_target(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = target
        .parent()
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mode = fs::metadata(target).map_or(NEW_FILE_MODE, |found| found.permissions().mode());
    let fresh: PathBuf = folder.join(format!(".keystead-{}.tmp", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(NEW_FILE_MODE)
        .open(&fresh)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, target));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&fresh);
    }
    written?;
    fs::File::open(folder)?.sync_all()
}

fn of_file(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

fn of_config(error: &ConfigError) -> Failure {
    Failure::of(error).hint(error.hint())
}

/// Permissions of a configuration that was not there before.
const NEW_FILE_MODE: u32 = 0o600;
