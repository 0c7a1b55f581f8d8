//! `key …`: keys that live with a keeper.

use keystead_agent::control::{Command, Key, Reply};
use keystead_core::{KeyType, Name, UnknownKeyType};
use serde_json::json;

use crate::agent_link::{self, AgentLink, block_on, unexpected};
use crate::arguments::{ListKeys, NewKey, ServerKeyNew, ShowKey};
use crate::commands::server_key;
use crate::commands::status::print_keys;
use crate::failure::{Failure, Status};
use crate::server_link;
use crate::terminal::{Countdown, print, print_json, say};

/// `key new --name NAME [--type TYPE] [--keeper NAME]`
pub(crate) fn new(wanted: &NewKey) -> Result<(), Failure> {
    let name = wanted.name.to_string();
    if let Some(server) = server_of(wanted.keeper.as_ref())? {
        let wanted = ServerKeyNew {
            name: &name,
            key_type: &wanted.key_type,
            purposes: &wanted.purpose,
        };
        return server_key::new(server, &wanted);
    }
    let key_type: KeyType = wanted.key_type.parse().map_err(|error: UnknownKeyType| {
        Failure::new(error.to_string())
            .hint("--type ed25519, for example")
            .status(Status::Usage)
    })?;
    let command = Command::NewKey {
        keeper: wanted.keeper.as_ref().map(Name::to_string),
        name,
        algorithm: key_type.as_str().to_owned(),
    };
    let key = block_on(async {
        let mut link = AgentLink::open().await?;
        link.send(&command).await?;
        let Reply::Key(key) = held(&mut link).await? else {
            return Err(unexpected());
        };
        Ok(key)
    })?;
    say(format_args!(
        "{} made {}; its public half:",
        key.keeper, key.name
    ));
    print(&key.public_key)
}

/// The key server of this name, if one has it here.
pub(crate) fn server_of(keeper: Option<&Name>) -> Result<Option<&str>, Failure> {
    match keeper {
        Some(name) if server_link::is_server(name.as_str())? => Ok(Some(name.as_str())),
        Some(_) | None => Ok(None),
    }
}

/// Waits for the holder; returns the reply that ends the command.
pub(crate) async fn held(link: &mut AgentLink) -> Result<Reply, Failure> {
    let mut countdown = Countdown::default();
    loop {
        let reply = tokio::select! {
            reply = link.next() => reply?,
            () = countdown.tick() => continue,
        };
        let (what, left_s) = if let Reply::Reaching { keeper, left_s } = &reply {
            (format!("no answer from {keeper} yet"), *left_s)
        } else if let Reply::Waiting { keeper, left_s } = &reply {
            (format!("approve on {keeper}"), *left_s)
        } else if reply.is_last() {
            return Ok(reply);
        } else {
            return Err(unexpected());
        };
        countdown.stop();
        countdown.start(what, left_s.saturating_mul(1000));
    }
}

/// `key list [--json]`
pub(crate) fn list(wanted: &ListKeys) -> Result<(), Failure> {
    if let Some(server) = &wanted.keeper {
        return server_key::list(server.as_str(), wanted.json);
    }
    let status = agent_link::fresh_status()?;
    if wanted.json {
        let silent = status.keepers.iter().filter(|it| it.silent);
        let silent: Vec<&str> = silent.map(|it| it.name.as_str()).collect();
        return print_json(&json!({ "version": 1, "keys": status.keys, "silent": silent }));
    }
    print_keys(&status.keys)
}

/// `key show KEY [--json]`
pub(crate) fn show(wanted: &ShowKey) -> Result<(), Failure> {
    if let Some(server) = &wanted.keeper {
        return server_key::show(server.as_str(), &wanted.key, wanted.json);
    }
    let status = agent_link::fresh_status()?;
    let key = one_of(&status.keys, Some(&wanted.key))?;
    if wanted.json {
        return print_json(&json!({ "version": 1, "keys": [key] }));
    }
    print(&key.public_key)
}

/// The key of this name or fingerprint; the only one when none is named.
pub(crate) fn one_of<'a>(keys: &'a [Key], wanted: Option<&str>) -> Result<&'a Key, Failure> {
    let is_wanted =
        |key: &&Key| wanted.is_none_or(|wanted| key.name == wanted || key.fingerprint == wanted);
    let found: Vec<&Key> = keys.iter().filter(is_wanted).collect();
    match (found.as_slice(), wanted) {
        ([key], _) => Ok(key),
        ([], Some(wanted)) => Err(Failure::new(format!("no key is called {wanted:?}"))
            .hint("`keystead key list` lists all")),
        ([], None) => Err(Failure::new("there is no key")
            .hint("`keystead pair` pairs an authenticator, `keystead key new` has it make a key")),
        (_, Some(wanted)) => Err(Failure::new(format!(
            "{} keys are called {wanted:?}",
            found.len()
        ))
        .hint("name it by its fingerprint (`keystead key list`)")
        .status(Status::Usage)),
        (_, None) => Err(Failure::new("which key? there are several")
            .hint("name it with --key (`keystead key list`)")
            .status(Status::Usage)),
    }
}
