//! `secret retrieve`: a secret to be used here.
//!
//! **Invariant:** what the server gives is opened for the id, context and type that were asked
//! for; nothing is asked for before there is a place to put it.

use keystead_channel::session::requests::{Intent, Request, Retrieve as Ask, Retrieved};
use keystead_vault::client::{Place, StorageKey, Value};
use keystead_vault::held::Kind;

use super::catalogue::{find, find_there, say_sought, still, unknown};
use super::make::{copy, type_of};
use crate::access::{self, Access, Need, result};
use crate::arguments::{Retrieve, Use};
use crate::failure::Failure;
use crate::local::LocalStore;
use crate::names::{Known, Names};
use crate::output;
use crate::prompt::Given;
use crate::servers::Server;
use crate::talk::{harmless, say};

/// Reads one.
pub(crate) fn run(wanted: &Retrieve) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let names = Names::open()?;
    let place = match wanted.intent {
        Use::Null => None,
        Use::Local | Use::Export => Some(output::Place::open(&wanted.output)?),
    };
    let (server, known) = locate(&names, wanted.at.server.as_deref(), &wanted.secret)?;
    let store = LocalStore::open()?;
    let here = match &known {
        Some(known) => is_read_here(&store, known, wanted)?,
        None => false,
    };
    if let (true, Some(known)) = (here, &known) {
        let Some(place) = place else {
            say("it is on this machine alone; nothing was asked of a server");
            return Ok(());
        };
        let local = store.unlock(&mut given)?;
        return place.put(store.read(&local, known)?.bytes());
    }
    let server = server.ok_or_else(|| unknown(&wanted.secret))?;
    let local = match wanted.keep.local_copy {
        true => Some(store.unlock(&mut given)?),
        false => None,
    };
    let intent = match wanted.intent {
        Use::Null => Intent::Null,
        Use::Local => Intent::LocalOnly,
        Use::Export => Intent::Export,
    };
    let (known, value) = from_server(server, &names, known, &wanted.secret, intent, &mut given)?;
    match (value, place) {
        (Some(value), Some(place)) => {
            if let Some(local) = &local {
                store.put(local, &known, &value)?;
            }
            place.put(value.bytes())
        }
        _ => {
            say(format_args!(
                "the server has {}, and has logged that it was asked",
                harmless(&known.name)
            ));
            Ok(())
        }
    }
}

/// Whether the copy here answers: for use here it comes first; what is to leave is logged by
/// its server, and what is nowhere else is read here whatever for.
fn is_read_here(store: &LocalStore, known: &Known, wanted: &Retrieve) -> Result<bool, Failure> {
    if known.home.is_none() {
        return Ok(true);
    }
    match wanted.intent {
        Use::Local if !wanted.from_server => store.has(known.key),
        Use::Local | Use::Null | Use::Export => Ok(false),
    }
}

/// The server that is meant, and what is known of the secret here. A secret of this machine
/// alone has no server.
pub(crate) fn locate(
    names: &Names,
    server: Option<&str>,
    wanted: &str,
) -> Result<(Option<Server>, Option<Known>), Failure> {
    let named = server.map(|name| Server::find(Some(name))).transpose()?;
    let home = named.as_ref().map(Server::home);
    let known = find(names, home, wanted)?;
    if let Some(known) = &known
        && known.home.is_none()
    {
        return Ok((None, Some(known.clone())));
    }
    let server = match (named, known.as_ref().and_then(|it| it.home)) {
        (Some(server), _) => server,
        (None, Some(home)) => Server::of(home)?,
        (None, None) => Server::find(None)?,
    };
    Ok((Some(server), known))
}

/// Asks the server for it; no value for the intent null.
pub(crate) fn from_server(
    server: Server,
    names: &Names,
    known: Option<Known>,
    wanted: &str,
    intent: Intent,
    given: &mut Given,
) -> Result<(Known, Option<Value>), Failure> {
    let need = match (&known, intent) {
        (Some(_), Intent::Null) => Need::Session,
        (Some(it), _) if it.context.is_some() => Need::MasterKey,
        // A key that the server holds leaves only right after a login.
        (Some(it), _) if it.kind != Kind::Arbitrary => Need::FreshLogin,
        (Some(_), _) => Need::Session,
        // Its name must be found among sealed ones.
        (None, _) => Need::MasterKey,
    };
    if known.is_none() {
        say_sought(wanted, &server);
    }
    access::with(server, need, given, async |access| {
        let storage = match need {
            Need::MasterKey => Some(access.storage_key().await?),
            Need::Session | Need::FreshLogin => None,
        };
        let known = match known {
            // The agent's commands rename what the server can read.
            Some(known) if known.context.is_none() => {
                still(access, storage.as_ref(), names, known, wanted).await?
            }
            Some(known) => known,
            None => find_there(access, storage.as_ref(), names, wanted).await?,
        };
        let value = ask(access, storage.as_ref(), &known, intent).await?;
        Ok((known, value))
    })
}

/// One retrieval.
async fn ask(
    access: &Access,
    storage: Option<&StorageKey>,
    known: &Known,
    intent: Intent,
) -> Result<Option<Value>, Failure> {
    let request = Request::Retrieve(Ask {
        key: known.key,
        intent,
        kind: type_of(known.kind),
    });
    let answer = access.ask(&request).await?;
    if intent == Intent::Null {
        return Ok(None);
    }
    let retrieved = result(&answer, Retrieved::decode)?;
    let wrong = || {
        Failure::new(format!(
            "the server's answer is not {}",
            harmless(&known.name)
        ))
        .hint("do not use this server until you know why; see `keystead audit verify`")
    };
    let value = retrieved.value.ok_or_else(wrong)?.0;
    let Some(context) = &known.context else {
        return match retrieved.context {
            None => Value::of(known.kind, copy(&value))
                .map(Some)
                .map_err(|_| wrong()),
            Some(_) => Err(wrong()),
        };
    };
    let user = access.user();
    let place = Place {
        user: &user.0,
        key: &known.key.0,
    };
    let storage = storage.ok_or_else(|| Failure::new("this needs the password"))?;
    let opened = storage.open_value(place, context, known.kind, value.expose());
    opened.map(Some).map_err(|_| wrong())
}
