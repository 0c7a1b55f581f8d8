//! `keeper …`: paired authenticators.

use keystead_agent::control::{Command, Reply};
use keystead_core::Name;
use serde_json::json;

use crate::agent_link::{self, unexpected};
use crate::arguments::Reading;
use crate::commands::status::print_keepers;
use crate::failure::Failure;
use crate::terminal::{print_json, say};

/// `keeper list [--json]`
pub(crate) fn list(reading: &Reading) -> Result<(), Failure> {
    let keepers = agent_link::fresh_status()?.keepers;
    if reading.json {
        return print_json(&json!({ "version": 1, "keepers": keepers }));
    }
    print_keepers(&keepers)
}

/// `keeper rename NAME TO`
pub(crate) fn rename(name: &Name, to: &Name) -> Result<(), Failure> {
    let command = Command::RenameKeeper {
        keeper: name.to_string(),
        name: to.to_string(),
    };
    done(&command)?;
    say(format_args!("{name} is now {to} here"));
    Ok(())
}

/// `keeper unpair NAME`
pub(crate) fn unpair(name: &Name) -> Result<(), Failure> {
    done(&Command::UnpairKeeper {
        keeper: name.to_string(),
    })?;
    say(format_args!(
        "{name} is unpaired: nothing from here reaches its keys any more"
    ));
    Ok(())
}

fn done(command: &Command) -> Result<(), Failure> {
    let Reply::Done {} = agent_link::ask(command)? else {
        return Err(unexpected());
    };
    Ok(())
}
