//! `secret rename`: another name, in the form that the first one had.

use keystead_channel::session::requests::{Entry, Label, LabelChange, Request, Show};
use keystead_channel::session::{Octets, Text};
use keystead_daemon::SystemRng;
use keystead_vault::client::Place;

use super::catalogue::{check_free, find_there, say_sought, still, unknown};
use super::retrieve::locate;
use crate::access::{self, Access, Need, result};
use crate::arguments::Rename;
use crate::failure::Failure;
use crate::names::{Known, Names};
use crate::prompt::Given;
use crate::talk::{harmless, say};

/// Renames one.
pub(crate) fn run(wanted: &Rename) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let names = Names::open()?;
    let (server, known) = locate(&names, wanted.at.server.as_deref(), &wanted.secret)?;
    let home = match (&known, &server) {
        (Some(known), _) => known.home,
        (None, server) => server.as_ref().map(crate::servers::Server::home),
    };
    check_free(&names, home, &wanted.to)?;
    let known = match (server, known) {
        (None, None) => return Err(unknown(&wanted.secret)),
        (None, Some(known)) => known,
        (Some(server), known) => {
            let is_open = known.as_ref().is_some_and(|it| it.context.is_none());
            if known.is_none() {
                say_sought(&wanted.secret, &server);
            }
            let need = if is_open {
                Need::Session
            } else {
                Need::MasterKey
            };
            access::with(server, need, &mut given, async |access| {
                there(access, &names, known, wanted).await
            })?
        }
    };
    names.put(Known {
        name: wanted.to.clone(),
        ..known
    })?;
    say(format_args!(
        "{} is called {} from now on",
        harmless(&wanted.secret),
        harmless(&wanted.to)
    ));
    Ok(())
}

/// Changes the label at the server, behind whatever revision it has by now.
async fn there(
    access: &Access,
    names: &Names,
    known: Option<Known>,
    wanted: &Rename,
) -> Result<Known, Failure> {
    let storage = match access.has_master() {
        true => Some(access.storage_key().await?),
        false => None,
    };
    let known = match known {
        Some(known) => still(access, storage.as_ref(), names, known, &wanted.secret).await?,
        None => find_there(access, storage.as_ref(), names, &wanted.secret).await?,
    };
    let request = Request::Show(Show { key: known.key });
    let entry = result(&access.ask(&request).await?, Entry::decode)?;
    let revision = entry.revision.saturating_add(1);
    let label = match (&entry.label, &storage) {
        (Label::Open(_), _) => Label::Open(Text(wanted.to.clone())),
        (Label::Sealed(_), Some(storage)) => {
            let user = access.user();
            let place = Place {
                user: &user.0,
                key: &known.key.0,
            };
            let sealed = storage.seal_label(place, revision, &wanted.to, &mut SystemRng);
            Label::Sealed(Octets(sealed))
        }
        (Label::Sealed(_), None) => return Err(Failure::new("this needs the password")),
    };
    let request = Request::Label(LabelChange {
        key: known.key,
        revision,
        label,
    });
    access.ask(&request).await?;
    Ok(Known { revision, ..known })
}
