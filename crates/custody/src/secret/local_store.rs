//! `secret local-store`: how copies on this machine are opened.

use keystead_vault::Cost;

use crate::arguments::LocalStore as Wanted;
use crate::failure::Failure;
use crate::local::LocalStore;
use crate::prompt::Given;
use crate::talk::{harmless, say};

/// Sets it up, or changes it.
pub(crate) fn run(wanted: &Wanted) -> Result<(), Failure> {
    let mut given = Given::read_passphrases(wanted.passphrase_fd, wanted.new_passphrase_fd)?;
    let store = LocalStore::open()?;
    let was_set_up = store.is_set_up()?;
    if was_set_up && !wanted.change && wanted.authenticator.is_none() {
        say("the local store is set up; --change and --authenticator change how it is opened");
        return Ok(());
    }
    let key = store.unlock(&mut given)?;
    if !was_set_up {
        say("the local store opens with this passphrase from now on");
    }
    if wanted.change && was_set_up {
        let passphrase = given.new_passphrase("the local store")?;
        store.set_passphrase(&key, &passphrase, Cost::STANDARD)?;
        say("the local store opens with the new passphrase from now on");
    }
    if let Some(keeper) = &wanted.authenticator {
        store.set_authenticator(&key, keeper)?;
        say(format_args!(
            "the holder at {} can open the local store from now on; keep the passphrase as the other way in",
            harmless(keeper)
        ));
    }
    Ok(())
}
