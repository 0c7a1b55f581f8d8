//! `keeper add|unlock|lock`: hardware wallets.

use keystead_agent::hardware::control::Command;
use keystead_core::Name;
use serde_json::json;

use crate::agent_link::{block_on, unexpected};
use crate::arguments::{AddTrezor, Unlock};
use crate::failure::Failure;
use crate::hardware_link::{Sources, converse, show};
use crate::terminal::{harmless, print_json, say};

/// `keeper add trezor [--path PATH] [--name NAME] …`
pub(crate) fn add(add: &AddTrezor) -> Result<(), Failure> {
    let command = Command::DeviceAdd {
        path: add.path.clone(),
        name: add.name.as_ref().map(ToString::to_string),
        passphrase_on_device: add.passphrase_on_device,
    };
    let sources = Sources {
        pin_fd: add.pin_fd,
        passphrase_fd: add.passphrase_fd,
        yes: add.yes,
    };
    let opened = block_on(converse(&command, sources))?.ok_or_else(unexpected)?;
    if add.reading.json {
        return print_json(&json!({ "version": 1, "keepers": [opened] }));
    }
    let name = harmless(&opened.keeper);
    say(format_args!("{name} is a keeper now"));
    say("next: `keystead ssh connect USER@HOST` logs in by it,");
    say(format_args!(
        "`keystead ssh key --keeper {name} USER@HOST` prints its key"
    ));
    Ok(())
}

/// `keeper unlock [NAME] …`
pub(crate) fn unlock(unlock: &Unlock) -> Result<(), Failure> {
    let command = Command::DeviceUnlock {
        keeper: unlock.name.as_ref().map(ToString::to_string),
    };
    let sources = Sources {
        pin_fd: unlock.pin_fd,
        passphrase_fd: unlock.passphrase_fd,
        yes: false,
    };
    let opened = block_on(converse(&command, sources))?.ok_or_else(unexpected)?;
    if unlock.reading.json {
        return print_json(&json!({ "version": 1, "keepers": [opened] }));
    }
    show(&opened);
    Ok(())
}

/// `keeper lock [NAME]`
pub(crate) fn lock(name: Option<&Name>) -> Result<(), Failure> {
    let command = Command::DeviceLock {
        keeper: name.map(ToString::to_string),
    };
    block_on(converse(&command, Sources::default()))?;
    say("locked: PIN and passphrase are forgotten on both sides");
    Ok(())
}
