//! `delete-account`: an account ends, with everything in it.
//!
//! **Invariant:** nothing is forgotten here before the server has said that the account is gone.

use keystead_channel::session::requests::Request;

use crate::access::{self, Need};
use crate::agent;
use crate::arguments::DeleteAccount;
use crate::failure::{Failure, Status};
use crate::local::LocalStore;
use crate::names::Names;
use crate::prompt::Given;
use crate::servers::{self, Server};
use crate::talk::{harmless, say};
use crate::terminal;

/// Deletes the account at one server, and what this machine keeps of it.
pub(crate) fn delete(wanted: &DeleteAccount) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let server = Server::find(wanted.at.server.as_deref())?;
    let (home, name) = (server.home(), server.page.name.clone());
    let account = harmless(server.account());
    if !wanted.yes {
        say(format_args!(
            "All secrets and keys of {account} at {name} go with it; its backups lose them when \
             they expire."
        ));
        let typed = terminal::answer("Delete the account for good? Type its name: ")?;
        if typed != server.account() {
            return Err(Failure::new("nothing was deleted").status(Status::Refused));
        }
    }
    access::with(server, Need::FreshLogin, &mut given, async |access| {
        access.ask(&Request::DeleteAccount).await.map(drop)
    })?;
    say(format_args!("the account {account} at {name} is deleted"));
    let (names, store) = (Names::open()?, LocalStore::open()?);
    let list = names.list()?;
    for of_it in list.iter().filter(|it| it.home == Some(home)) {
        store.remove(of_it.key)?;
    }
    names.take_over(home, Vec::new())?;
    // Its session ended with the account; the agent forgets the keys.
    drop(agent::log_out(name.as_str()));
    servers::book()?.forget(&name).map_err(servers::of_book)
}
