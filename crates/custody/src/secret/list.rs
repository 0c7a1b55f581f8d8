//! `secret list` and `secret show`: what there is, and not the secrets.

use keystead_daemon::utc;
use serde::Serialize;

use super::catalogue::{self, find_there, refresh, say_sought, server_names, unknown};
use super::retrieve::locate;
use crate::access::{self, Need};
use crate::arguments::{List, Show};
use crate::failure::Failure;
use crate::local::LocalStore;
use crate::names::{Home, Known, Names};
use crate::prompt::Given;
use crate::servers::Server;
use crate::talk::{harmless, print, print_json, print_table, say};

/// Lists them: as the agent's session tells, else as this machine knows.
pub(crate) fn run(wanted: &List) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let names = Names::open()?;
    let mut unopened = Vec::new();
    for server in meant(wanted.at.server.as_deref())? {
        let name = server.name().to_owned();
        if wanted.refresh {
            let told = access::with(server, Need::MasterKey, &mut given, async |access| {
                let storage = access.storage_key().await?;
                refresh(access, Some(&storage), &names).await
            })?;
            unopened.push((name, told.unread));
            continue;
        }
        let told = access::with_lent(server, async |access| {
            let storage = match access.has_master() {
                true => Some(access.storage_key().await?),
                false => None,
            };
            refresh(access, storage.as_ref(), &names).await
        });
        match told {
            Ok(Some(told)) => {
                if told.known.iter().any(is_nameless) {
                    say(format_args!(
                        "note: some names at {name} are sealed and not known here yet: \
                         `keystead secret list --refresh` opens them with the password"
                    ));
                }
                unopened.push((name, told.unread));
            }
            Ok(None) => {}
            Err(failure) => say(format_args!(
                "note: {name}: {}; this is what this machine knows",
                failure.message
            )),
        }
    }
    let home = match &wanted.at.server {
        Some(name) => Some(Server::find(Some(name))?.home()),
        None => None,
    };
    let mut list = names.list()?;
    list.retain(|it| home.is_none() || it.home.is_none() || it.home == home);
    list.sort_by(|a, b| (&a.name, a.key).cmp(&(&b.name, b.key)));
    let shown = Shown::of(&list)?;
    match wanted.json {
        true => print_json(&Listed {
            version: VERSION,
            secrets: shown,
        })?,
        false => table(&shown)?,
    }
    match unopened.iter().find(|it| !it.1.is_empty()) {
        Some((server, unread)) => Err(catalogue::unopened(server, unread)),
        None => Ok(()),
    }
}

/// Shows one.
pub(crate) fn show(wanted: &Show) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let names = Names::open()?;
    let (server, known) = locate(&names, wanted.at.server.as_deref(), &wanted.secret)?;
    let known = match (known, server) {
        (Some(known), _) => known,
        (None, Some(server)) => {
            say_sought(&wanted.secret, &server);
            access::with(server, Need::MasterKey, &mut given, async |access| {
                let storage = access.storage_key().await?;
                find_there(access, Some(&storage), &names, &wanted.secret).await
            })?
        }
        (None, None) => return Err(unknown(&wanted.secret)),
    };
    let mut shown = Shown::of(&[known])?;
    let shown = shown.pop().ok_or_else(|| unknown(&wanted.secret))?;
    match wanted.json {
        true => print_json(&Listed {
            version: VERSION,
            secrets: vec![shown],
        }),
        false => lines(&shown),
    }
}

/// Whether its id stands for a name that nothing here could open.
fn is_nameless(known: &Known) -> bool {
    known.context.is_some() && known.name == known.key.to_string()
}

/// The servers that are meant: one, or all.
fn meant(name: Option<&str>) -> Result<Vec<Server>, Failure> {
    if let Some(name) = name {
        return Ok(vec![Server::find(Some(name))?]);
    }
    let names = server_names()?;
    names
        .iter()
        .map(|(_, name)| Server::find(Some(name)))
        .collect()
}

/// `--json`.
#[derive(Serialize)]
struct Listed {
    version: u32,
    secrets: Vec<Shown>,
}

/// A secret as people and programs see it.
#[derive(Serialize)]
struct Shown {
    name: String,
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Who can open it: `account` (sealed by it), `server`, `machine`.
    opened_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    local_copy: bool,
    signs: bool,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
}

impl Shown {
    fn of(list: &[Known]) -> Result<Vec<Self>, Failure> {
        let servers = server_names()?;
        let store = LocalStore::open()?;
        list.iter()
            .map(|it| Self::one(it, &servers, &store))
            .collect()
    }

    fn one(known: &Known, servers: &[(Home, String)], store: &LocalStore) -> Result<Self, Failure> {
        let server = known.home.map(|home| {
            let named = servers.iter().find(|(it, _)| *it == home);
            let name = named.map(|(_, name)| name.clone());
            name.unwrap_or_else(|| home.server.to_string())
        });
        let opened_by = match (known.home.is_some(), known.context.is_some()) {
            (false, _) => "machine",
            (true, true) => "account",
            (true, false) => "server",
        };
        Ok(Self {
            name: known.name.clone(),
            id: known.key.to_string(),
            kind: known.kind.name(),
            opened_by,
            context: known.context.clone(),
            server,
            local_copy: store.has(known.key)?,
            signs: known.signs,
            created: utc(known.created_unix_ms / MS_PER_S),
            replaces: known.replaces.map(|it| it.to_string()),
        })
    }

    const fn copied(&self) -> &'static str {
        if self.local_copy { "copy here" } else { "" }
    }
}

fn table(list: &[Shown]) -> Result<(), Failure> {
    if list.is_empty() {
        say("no secrets are known here");
        return Ok(());
    }
    let row = |it: &Shown| {
        vec![
            harmless(&it.name),
            it.kind.to_owned(),
            it.server
                .as_deref()
                .map_or_else(|| "this machine".to_owned(), harmless),
            it.opened_by.to_owned(),
            it.created.clone(),
            it.copied().to_owned(),
        ]
    };
    let head = HEAD.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(list.iter().map(row)).collect();
    print_table(&rows)
}

fn lines(it: &Shown) -> Result<(), Failure> {
    print(format_args!("name        {}", harmless(&it.name)))?;
    print(format_args!("id          {}", it.id))?;
    print(format_args!("type        {}", it.kind))?;
    print(format_args!("opened by   {}", it.opened_by))?;
    if let Some(context) = &it.context {
        print(format_args!("context     {context}"))?;
    }
    if let Some(server) = &it.server {
        print(format_args!("server      {}", harmless(server)))?;
    }
    if let Some(replaces) = &it.replaces {
        print(format_args!("replaces    {replaces}"))?;
    }
    print(format_args!("made        {}", it.created))?;
    print(format_args!(
        "copy here   {}",
        if it.local_copy { "yes" } else { "no" }
    ))
}

/// Of `--json`.
const VERSION: u32 = 1;

/// Of the table.
const HEAD: [&str; 6] = ["SECRET", "TYPE", "SERVER", "OPENED BY", "MADE", ""];

const MS_PER_S: u64 = 1_000;
