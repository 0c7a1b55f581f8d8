//! `ssh setup`: the `IdentityAgent` lines in ssh's configuration.

use std::fs;
use std::path::Path;

use keystead_agent::control::SSH_SOCKET_NAME;
use keystead_agent::serve;
use keystead_agent::settings::OnRefusal;
use keystead_formats::ssh::client_config::{
    self, Change, ConfigError, KeyFiles, WithBlock, WithoutBlock,
};

use crate::agent_link::folders;
use crate::arguments::SshSetup;
use crate::commands::file;
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
    let before = file::read(&config)?;
    let key_files = key_files()?;
    let with = client_config::with_block(before.as_deref(), &socket(setup)?, key_files);
    let with = with.map_err(|error| of_config(&error))?;
    if !setup.print {
        write(&config, &with)?;
    }
    print_raw(with.block.as_bytes())?;
    if key_files == KeyFiles::Ignore {
        say("note: ssh tries no key file by itself now, as on_refusal = \"abort\" needs");
    }
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
    file::replace(config, &with.config)?;
    say(format_args!("written to {shown}:"));
    Ok(())
}

fn undo(config: &Path) -> Result<(), Failure> {
    let shown = config.display();
    let Some(before) = file::read(config)? else {
        say(format_args!("{shown} does not exist; nothing to undo"));
        return Ok(());
    };
    match client_config::without_block(&before).map_err(|error| of_config(&error))? {
        WithoutBlock::Same => say(format_args!(
            "{shown} has no lines of keystead; nothing to undo"
        )),
        WithoutBlock::Config(after) => {
            file::replace(config, &after)?;
            say(format_args!("{shown} is as it was"));
        }
        WithoutBlock::NoFile => {
            fs::remove_file(config).map_err(|error| file::failure(config, &error))?;
            say(format_args!(
                "{shown} removed: it was made by `keystead ssh setup`"
            ));
        }
    }
    Ok(())
}

/// A refusal that is to end a login ends it only where ssh has no key files of its own.
fn key_files() -> Result<KeyFiles, Failure> {
    let settings = serve::read_settings(&folders()?)
        .map_err(|error| Failure::of(&error).hint(error.hint()))?;
    Ok(match settings.on_refusal {
        OnRefusal::Abort => KeyFiles::Ignore,
        OnRefusal::Fallback => KeyFiles::Offer,
    })
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

fn of_config(error: &ConfigError) -> Failure {
    Failure::of(error).hint(error.hint())
}
