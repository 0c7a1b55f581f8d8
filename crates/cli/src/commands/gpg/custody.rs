//! `gpg custody`: where goes what gpg makes or imports.

use keystead_agent::control::KeeperState;

use crate::agent_link;
use crate::arguments::GpgCustody;
use crate::failure::{Failure, Status};
use crate::server_link;
use crate::terminal::{harmless, print, say};

use super::home::Home;

/// `gpg custody [KEEPER|off]`
pub(crate) fn custody(wanted: &GpgCustody) -> Result<(), Failure> {
    let home = Home::of(wanted.homedir.as_deref())?;
    let Some(keeper) = &wanted.keeper else {
        return print(home.map()?.custody().unwrap_or(OFF));
    };
    if keeper == OFF {
        home.set_custody(None)?;
        say("what gpg makes or imports stays with the ordinary gpg-agent");
        return Ok(());
    }
    check(keeper)?;
    home.check_sockets()?;
    home.set_custody(Some(keeper.clone()))?;
    home.use_agent()?;
    say(format_args!(
        "what gpg makes or imports goes to {} from now on; keys that gpg has already stay where \
         they are",
        harmless(keeper)
    ));
    say(format_args!(
        "`{}` ends that, `{}` gives gpg.conf back",
        home.ending(),
        home.undoing()
    ));
    Ok(())
}

/// It has to store keys.
fn check(name: &str) -> Result<(), Failure> {
    if server_link::is_server(name)? {
        say(format_args!(
            "note: the key server {} takes keys that sign alone",
            harmless(name)
        ));
        return Ok(());
    }
    let keepers = agent_link::status()?.keepers;
    let mut known = keepers
        .iter()
        .filter(|it| it.state != KeeperState::Unpairing);
    match known.find(|it| it.name == name) {
        Some(keeper) if keeper.hardware => Err(Failure::new(format!(
            "{} derives keys, and stores none",
            harmless(name)
        ))
        .hint("choose an authenticator or a key server")
        .status(Status::Usage)),
        Some(_) => Ok(()),
        None => Err(
            Failure::new(format!("no keeper is called {}", harmless(name)))
                .hint("see `keystead keeper list`, and `keystead server status` for key servers")
                .status(Status::Usage),
        ),
    }
}

/// No keeper: as without this program.
const OFF: &str = "off";
