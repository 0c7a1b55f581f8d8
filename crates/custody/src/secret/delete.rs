//! `secret delete`: at the server, and the copy that is here.

use keystead_channel::session::requests::{Request, Show};

use super::catalogue::{find_there, say_sought, still, unknown};
use super::retrieve::locate;
use crate::access::{self, Need};
use crate::arguments::Delete;
use crate::failure::{Failure, Status};
use crate::local::LocalStore;
use crate::names::{Known, Names};
use crate::prompt::Given;
use crate::talk::{harmless, say};
use crate::terminal;

/// Deletes one.
pub(crate) fn run(wanted: &Delete) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let names = Names::open()?;
    let store = LocalStore::open()?;
    let (server, known) = locate(&names, wanted.at.server.as_deref(), &wanted.secret)?;
    let shown = harmless(&wanted.secret);
    if wanted.local_copy {
        let known = known.ok_or_else(|| unknown(&wanted.secret))?;
        if known.home.is_none() {
            return Err(Failure::usage(format!("{shown} is on this machine alone"))
                .hint("leave --local-copy out to delete it"));
        }
        store.remove(known.key)?;
        say(format_args!("there is no copy of {shown} here any more"));
        return Ok(());
    }
    confirm(wanted, &shown)?;
    let known = match (server, known) {
        (None, None) => return Err(unknown(&wanted.secret)),
        (None, Some(known)) => known,
        (Some(server), Some(known)) => {
            access::with(server, Need::Session, &mut given, async |access| {
                let known = still(access, None, &names, known, &wanted.secret).await?;
                ask(access, &known).await?;
                Ok(known)
            })?
        }
        (Some(server), None) => {
            say_sought(&wanted.secret, &server);
            access::with(server, Need::MasterKey, &mut given, async |access| {
                let storage = access.storage_key().await?;
                let secret = &wanted.secret;
                let known = find_there(access, Some(&storage), &names, secret).await?;
                ask(access, &known).await?;
                Ok(known)
            })?
        }
    };
    // The list first: what it does not name is never looked for.
    names.remove(known.key)?;
    store.remove(known.key)?;
    say(format_args!("{shown} is deleted"));
    Ok(())
}

async fn ask(access: &access::Access, known: &Known) -> Result<(), Failure> {
    let request = Request::Delete(Show { key: known.key });
    access.ask(&request).await.map(drop)
}

fn confirm(wanted: &Delete, shown: &str) -> Result<(), Failure> {
    if wanted.yes {
        return Ok(());
    }
    let typed = terminal::answer(&format!("Delete {shown} for good? Type its name: "))?;
    match typed == wanted.secret {
        true => Ok(()),
        false => Err(Failure::new("nothing was deleted").status(Status::Refused)),
    }
}
