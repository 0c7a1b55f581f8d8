//! `key …`: keys that live with a keeper.

use keystead_agent::control::{Command, Key, Reply};
use keystead_core::{Algorithm, Name};
use serde_json::json;

use crate::agent_link::{self, AgentLink, block_on, unexpected};
use crate::arguments::Reading;
use crate::commands::status::print_keys;
use crate::failure::{Failure, Status};
use crate::terminal::{Countdown, print, print_json, say};

/// `key new --name NAME [--type TYPE] [--keeper NAME]`
pub(crate) fn new(name: &Name, algorithm: Algorithm, keeper: Option<&Name>) -> Result<(), Failure> {
    let command = Command::NewKey {
        keeper: keeper.map(Name::to_string),
        name: name.to_string(),
        algorithm: algorithm.short_name().to_owned(),
    };
    let key = block_on(async {
        let mut link = AgentLink::open().await?;
        link.send(&command).await?;
        made(&mut link).await
    })?;
    say(format_args!(
        "{} made {}; its public half:",
        key.keeper, key.name
    ));
    print(&key.public_key)
}

/// Waits for the holder.
async fn made(link: &mut AgentLink) -> Result<Key, Failure> {
    let mut countdown = Countdown::default();
    loop {
        let reply = tokio::select! {
            reply = link.next() => reply?,
            () = countdown.tick() => continue,
        };
        let (what, left_s) = match reply {
            Reply::Key(key) => return Ok(key),
            Reply::Reaching { keeper, left_s } => (format!("no answer from {keeper} yet"), left_s),
            Reply::Waiting { keeper, left_s } => (format!("approve on {keeper}"), left_s),
            Reply::Version { .. }
            | Reply::Status(_)
            | Reply::Offer { .. }
            | Reply::HelloSeen {}
            | Reply::Code { .. }
            | Reply::Notice { .. }
            | Reply::WaitingForHolder {}
            | Reply::Paired { .. }
            | Reply::Done {}
            | Reply::Failed(_)
            | _ => return Err(unexpected()),
        };
        countdown.stop();
        countdown.start(what, left_s.saturating_mul(1000));
    }
}

/// `key list [--json]`
pub(crate) fn list(reading: &Reading) -> Result<(), Failure> {
    let keys = agent_link::status()?.keys;
    if reading.json {
        return print_json(&json!({ "version": 1, "keys": keys }));
    }
    print_keys(&keys)
}

/// `key show KEY [--json]`
pub(crate) fn show(wanted: &str, as_json: bool) -> Result<(), Failure> {
    let keys = agent_link::status()?.keys;
    let is_wanted = |key: &&Key| key.name == wanted || key.fingerprint == wanted;
    let found: Vec<&Key> = keys.iter().filter(is_wanted).collect();
    let key = match found.as_slice() {
        [key] => key,
        [] => {
            return Err(Failure::new(format!("no key is called {wanted:?}"))
                .hint("`keystead key list` lists all"));
        }
        _ => {
            return Err(
                Failure::new(format!("{} keys are called {wanted:?}", found.len()))
                    .hint("name it by its fingerprint (`keystead key list`)")
                    .status(Status::Usage),
            );
        }
    };
    if as_json {
        return print_json(&json!({ "version": 1, "keys": [key] }));
    }
    print(&key.public_key)
}
