//! `status`: the agent, its keepers, their keys; accounts at key servers.

use keystead_agent::control::{Keeper, KeeperState, Status};
use serde_json::json;

use crate::agent_link;
use crate::arguments::Reading;
use crate::commands::server;
use crate::failure::Failure;
use crate::terminal::{Table, harmless, print, print_json, say};

/// `status [--json]`
pub(crate) fn run(reading: &Reading) -> Result<(), Failure> {
    let status = agent_link::fresh_status()?;
    let servers = server::lines(None)?;
    if reading.json {
        return print_json(&json!({
            "version": 1,
            "agent": {
                "version": status.version,
                "pid": status.pid,
                "ssh_auth_sock": status.ssh_auth_sock,
                "locked": status.locked,
                "wait_s": status.wait_s,
                "relay": status.relay,
            },
            "keepers": status.keepers,
            "servers": servers.iter().map(server::Line::json).collect::<Vec<_>>(),
            "keys": status.keys,
            "notices": status.notices,
        }));
    }
    print_agent(&status)?;
    print("")?;
    if !servers.is_empty() {
        server::print_lines(&servers)?;
        print("")?;
    }
    if servers.is_empty() || !status.keepers.is_empty() {
        print_keepers(&status.keepers)?;
    }
    if !status.keepers.is_empty() {
        print("")?;
    }
    if !status.keepers.is_empty() || !servers.is_empty() {
        print_keys(&status)?;
    }
    for notice in &status.notices {
        say(format_args!("\nnote: {}", harmless(notice)));
    }
    Ok(())
}

fn print_agent(status: &Status) -> Result<(), Failure> {
    let mut table = Table::default();
    let locked = if status.locked {
        ", locked by ssh-add -x"
    } else {
        ""
    };
    table.row(["agent", &format!("process {}{locked}", status.pid)]);
    table.row(["socket", &status.ssh_auth_sock.display().to_string()]);
    table.row(["relay", status.relay.as_deref().unwrap_or("none")]);
    table.print()
}

/// A line for each keeper, or what to do without any.
pub(crate) fn print_keepers(keepers: &[Keeper]) -> Result<(), Failure> {
    if keepers.is_empty() {
        say("no keeper is paired; `keystead pair` pairs one");
        return Ok(());
    }
    let mut table = Table::default();
    if keepers.iter().all(|it| it.wallets.is_empty()) {
        table.row(["KEEPER", "KEYS", "STATE"]);
        for keeper in keepers {
            table.row([&keeper.name, &keeper.keys.to_string(), state(keeper)]);
        }
        return table.print();
    }
    table.row(["KEEPER", "KEYS", "WALLET", "STATE"]);
    for keeper in keepers {
        let wallets = match keeper.wallets.as_slice() {
            [] => "-".to_owned(),
            wallets => wallets.join(" "),
        };
        let keys = keeper.keys.to_string();
        table.row([&keeper.name, &keys, &wallets, state(keeper)]);
    }
    table.print()
}

/// A line for each key.
pub(crate) fn print_keys(status: &Status) -> Result<(), Failure> {
    let keys = &status.keys;
    if keys.is_empty() {
        let has_wallet = status.keepers.iter().any(|it| !it.wallets.is_empty());
        say(if has_wallet {
            "no stored keys; a wallet derives one for each identity: `keystead ssh key user@host`"
        } else {
            "no keys; `keystead key new` has a keeper make one"
        });
        return Ok(());
    }
    let mut table = Table::default();
    table.row(["KEY", "TYPE", "KEEPER", "FINGERPRINT"]);
    for key in keys {
        table.row([&key.name, &key.key_type, &key.keeper, &key.fingerprint]);
    }
    table.print()?;
    for key in keys.iter().filter(|it| it.hidden) {
        say(format_args!(
            "{} is hidden by ssh-add, until the agent is started again",
            harmless(&key.name)
        ));
    }
    Ok(())
}

fn state(keeper: &Keeper) -> &'static str {
    match (keeper.state, keeper.connected) {
        (KeeperState::Unpairing, _) => "unpaired here; it does not know yet",
        _ if keeper.silent => "does not answer",
        (KeeperState::Unused, false) => "paired, never used",
        (_, true) => "connected",
        _ if keeper.hardware => "asked when needed",
        (_, false) => "not connected now",
    }
}
