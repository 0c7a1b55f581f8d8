//! Names, and the ids behind them: what this machine knows, and what the server lists.
//!
//! **Invariant:** a name that the account sealed is believed only when it opens for the id that
//! the server put it with; one that does not open is an error that names the id.

use std::collections::BTreeMap;

use keystead_channel::session::KeyId;
use keystead_channel::session::requests::{self, Entry, Label, List, PAGE_MAX, Request, Show};
use keystead_vault::client::{Place, StorageKey};
use keystead_vault::held::Kind;

use crate::access::{Access, result};
use crate::failure::Failure;
use crate::names::{Home, Id, Known, Names};
use crate::servers;
use crate::talk::{harmless, say};

/// The one that is meant, among those of `home` and of this machine alone.
pub(crate) fn find(
    names: &Names,
    home: Option<Home>,
    wanted: &str,
) -> Result<Option<Known>, Failure> {
    let list = names.list()?;
    let here = list
        .into_iter()
        .filter(|it| it.home.is_none() || home.is_none() || it.home == home);
    pick(here, wanted)
}

/// Whether a name is free for a new secret of `home`.
pub(crate) fn check_free(names: &Names, home: Option<Home>, name: &str) -> Result<(), Failure> {
    check_name(name)?;
    let list = names.list()?;
    let is_taken = |it: &Known| it.home == home && it.name == name;
    match list.iter().any(is_taken) {
        true => Err(
            Failure::usage(format!("there is a secret {} already", harmless(name)))
                .hint("choose another name, or rename that one: keystead secret rename"),
        ),
        false => Ok(()),
    }
}

/// The same for one that replaces another, which may leave it its name.
pub(crate) fn check_new(
    names: &Names,
    home: Home,
    name: &str,
    replaces: Option<&str>,
) -> Result<(), Failure> {
    let is_successor = match replaces {
        Some(old) => find(names, Some(home), old)?.is_some_and(|old| old.name == name),
        None => false,
    };
    match is_successor {
        true => check_name(name),
        false => check_free(names, Some(home), name),
    }
}

/// What a server lists.
pub(crate) struct Listing {
    /// Of those that it cannot open, what this machine knew.
    pub(crate) known: Vec<Known>,
    /// Those that it cannot open.
    pub(crate) unread: Vec<KeyId>,
}

/// What the server lists, taken over into what this machine knows.
pub(crate) async fn refresh(
    access: &Access,
    storage: Option<&StorageKey>,
    names: &Names,
) -> Result<Listing, Failure> {
    let home = access.server().home();
    let before: BTreeMap<KeyId, Known> = names
        .list()?
        .into_iter()
        .filter(|it| it.home == Some(home))
        .map(|it| (it.key, it))
        .collect();
    let (mut listed, mut unread) = (Vec::new(), Vec::new());
    let mut after = None;
    // A server that repeats itself would never end.
    let is_behind = |key: KeyId, after: Option<KeyId>| match after {
        Some(after) if key <= after => {
            Err(Failure::new("the server lists its entries out of order"))
        }
        Some(_) | None => Ok(Some(key)),
    };
    loop {
        let limit = u32::try_from(PAGE_MAX).unwrap_or(u32::MAX);
        let page = match access.page(List { after, limit }).await? {
            Ok(page) => page,
            Err(key) => {
                after = is_behind(key, after)?;
                listed.extend(before.get(&key).cloned());
                unread.push(key);
                continue;
            }
        };
        for entry in page.entries.0 {
            after = is_behind(entry.key, after)?;
            listed.push(known(home, &entry, storage, &before)?);
        }
        if !page.more {
            break;
        }
    }
    names.take_over(home, listed.clone())?;
    Ok(Listing {
        known: listed,
        unread,
    })
}

/// That a server cannot open some entries of its own; the others were told.
pub(crate) fn unopened(server: &str, unread: &[KeyId]) -> Failure {
    let ids: Vec<String> = unread.iter().map(KeyId::to_string).collect();
    let entries = if ids.len() == 1 { "entry" } else { "entries" };
    let ids = ids.join(", ");
    Failure::new(format!(
        "{server} cannot open its {entries} {ids}; the others are listed"
    ))
    .hint("tell the operator; a copy here still opens, and so do all others")
}

/// The one that is meant: this machine's word, else the server's.
pub(crate) async fn find_there(
    access: &Access,
    storage: Option<&StorageKey>,
    names: &Names,
    wanted: &str,
) -> Result<Known, Failure> {
    let home = access.server().home();
    if let Some(known) = find(names, Some(home), wanted)? {
        return Ok(known);
    }
    let listed = refresh(access, storage, names).await?;
    pick(listed.known.into_iter(), wanted)?.ok_or_else(|| unknown(wanted))
}

/// What is called so at the server by now: a command of the agent, or another machine, may have
/// given the name to another one since this machine heard of it. An id is always its own.
pub(crate) async fn still(
    access: &Access,
    storage: Option<&StorageKey>,
    names: &Names,
    known: Known,
    wanted: &str,
) -> Result<Known, Failure> {
    if KeyId::of_hex(wanted) == Some(known.key) {
        return Ok(known);
    }
    let request = Request::Show(Show { key: known.key });
    if let Ok(answer) = access.ask(&request).await
        && result(&answer, Entry::decode)?.revision == known.revision
    {
        return Ok(known);
    }
    let listed = refresh(access, storage, names).await?;
    pick(listed.known.into_iter(), wanted)?.ok_or_else(|| unknown(wanted))
}

/// Says why a server is asked, and perhaps a password: the name is none that is known here.
pub(crate) fn say_sought(wanted: &str, server: &servers::Server) {
    say(format_args!(
        "note: {} is not known on this machine; {} is asked for it",
        harmless(wanted),
        server.name()
    ));
}

/// The accounts of this machine, each with its server's name here, for people: two of them may be
/// at one server.
pub(crate) fn server_names() -> Result<Vec<(Home, String)>, Failure> {
    let book = servers::book()?;
    let mut names = Vec::new();
    for name in book.names().map_err(servers::of_book)? {
        // One whose file is damaged has no name; the others have.
        if let Ok(page) = book.page(&name) {
            let home = Home {
                server: page.server,
                user: page.user,
            };
            names.push((home, name.as_str().to_owned()));
        }
    }
    Ok(names)
}

/// Nothing of that name.
pub(crate) fn unknown(wanted: &str) -> Failure {
    Failure::new(format!("there is no secret {}", harmless(wanted)))
        .hint("see `keystead secret list --refresh`")
}

/// Whether a secret can be called so.
fn check_name(name: &str) -> Result<(), Failure> {
    let fits = (1..=requests::LABEL_BYTES_MAX).contains(&name.len());
    match fits && !name.chars().any(keystead_core::is_unsafe_to_show) {
        true => Ok(()),
        false => Err(Failure::usage(
            "a name has 1 to 256 bytes of printable text",
        )),
    }
}

/// By the id, else by the name, of which there must be one.
fn pick(list: impl Iterator<Item = Known>, wanted: &str) -> Result<Option<Known>, Failure> {
    let id = KeyId::of_hex(wanted);
    let is_meant = |it: &Known| Some(it.key) == id || it.name == wanted;
    let mut found: Vec<Known> = list.filter(is_meant).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(
            Failure::usage(format!("several secrets are called {}", harmless(wanted)))
                .hint("name the server (--server) or the id, as `keystead secret list` shows it"),
        ),
    }
}

fn known(
    home: Home,
    entry: &Entry,
    storage: Option<&StorageKey>,
    before: &BTreeMap<KeyId, Known>,
) -> Result<Known, Failure> {
    let kind = Kind::from_number(entry.kind.number());
    let kind = kind.ok_or_else(|| Failure::new("the server lists a type that is not known"))?;
    let name = match (&entry.label, storage) {
        (Label::Open(text), _) => text.0.clone(),
        (Label::Sealed(sealed), Some(storage)) => {
            let place = Place {
                user: &home.user.0,
                key: &entry.key.0,
            };
            let opened = storage.open_label(place, entry.revision, &sealed.0);
            let opened = opened.ok().map(|it| it.expose().to_vec());
            let text = opened.and_then(|it| String::from_utf8(it).ok());
            text.ok_or_else(|| {
                Failure::new(format!("the name of {} does not open", entry.key))
                    .hint("the server gave another one; see `keystead audit verify`")
            })?
        }
        // Without the key: what was known of this very name, else its id.
        (Label::Sealed(_), None) => before
            .get(&entry.key)
            .filter(|it| it.revision == entry.revision)
            .map_or_else(|| entry.key.to_string(), |it| it.name.clone()),
    };
    Ok(Known {
        home: Some(home),
        key: entry.key,
        name,
        kind,
        context: entry.context.map(|it| it.text().to_owned()),
        revision: entry.revision,
        created_unix_ms: entry.created_unix_ms,
        replaces: entry.replaces,
        signs: !entry.purposes.0.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use keystead_channel::session::{ServerId, UserId};

    use super::*;
    use crate::secret::make::new_entry;

    #[test]
    fn what_is_replaced_may_leave_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::at(folder.path().join("state"));
        let home = Home {
            server: ServerId([1; 16]),
            user: UserId([2; 32]),
        };
        for (byte, name) in [(3, "old"), (4, "other")] {
            let known = new_entry(Some(home), KeyId([byte; 16]), name, Kind::Arbitrary);
            names.put(known).unwrap();
        }
        for (name, replaces, expected) in [
            ("new", None, true),
            ("new", Some("old"), true),
            ("old", Some("old"), true),
            ("old", None, false),
            ("other", Some("old"), false),
            ("a\u{1b}[2J", Some("old"), false),
        ] {
            let checked = check_new(&names, home, name, replaces);
            assert_eq!(checked.is_ok(), expected, "{name} for {replaces:?}");
        }
    }
}
