//! Commands at the control socket.

use std::net::SocketAddr;

use keystead_core::{Algorithm, KeyType, MakeKeyRequest, Name, PairingId};
use keystead_keeper::{self as keeper, PairingView};

use crate::agent::{Agent, Turn};
use crate::control::{Command, Failure, Keeper, KeeperState, Key, PROTOCOL, Reply, Status};
use crate::event::Action;
use crate::failures::{failure, usage};
use crate::ids::ClientId;
use crate::key_files;
use crate::log::Entry;

impl Agent {
    /// A line came.
    pub(crate) fn command(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        line: &[u8],
        addresses: Vec<SocketAddr>,
    ) {
        let command = match serde_json::from_slice(line) {
            Ok(command) => command,
            Err(error) => {
                let message = format!("the command is not understood: {error}");
                let hint = "use a keystead of the agent's version, or restart the agent";
                return turn.fail(client, usage(&message, hint));
            }
        };
        match command {
            Command::Version {} => turn.reply(client, version()),
            Command::Status {} => {
                let status = self.status();
                turn.reply(client, Reply::Status(status));
            }
            Command::Refresh {} => self.refresh(turn, client),
            Command::Pair { name, relay } => self.pair(turn, client, name, relay, addresses),
            Command::Confirm { same } => self.confirm(turn, client, same),
            Command::RenameKeeper { keeper, name } => {
                let reply = self.rename_keeper(turn, &keeper, name);
                turn.reply(client, reply.unwrap_or_else(Reply::Failed));
            }
            Command::UnpairKeeper { keeper } => {
                let reply = self.unpair_keeper(turn, &keeper);
                turn.reply(client, reply.unwrap_or_else(Reply::Failed));
            }
            Command::NewKey {
                keeper,
                name,
                algorithm,
            } => {
                if let Err(failure) = self.new_key(turn, client, keeper, name, &algorithm) {
                    turn.fail(client, failure);
                }
            }
            Command::ImportKey { .. } => {
                let hint = "use a keystead of the agent's version";
                turn.fail(client, usage("there is no file behind the command", hint));
            }
            Command::Policy {} => {
                let reply = self.show_policy(turn);
                turn.reply(client, reply.unwrap_or_else(Reply::Failed));
            }
            Command::SetPolicy { key, rule, value } => {
                let reply = self.set_policy(turn, key.as_deref(), &rule, Some(&value));
                turn.reply(client, reply.unwrap_or_else(Reply::Failed));
            }
            Command::UnsetPolicy { key, rule } => {
                let reply = self.set_policy(turn, key.as_deref(), &rule, None);
                turn.reply(client, reply.unwrap_or_else(Reply::Failed));
            }
            Command::Certificates {} => {
                let reply = self.show_certificates(turn);
                turn.reply(client, reply.unwrap_or_else(Reply::Failed));
            }
            Command::AddCertificate { line } => {
                let reply = self.add_certificate(turn, &line);
                turn.reply(client, reply.unwrap_or_else(Reply::Failed));
            }
            Command::RemoveCertificate { certificate } => {
                let reply = self.remove_certificate(turn, &certificate);
                turn.reply(client, reply.unwrap_or_else(Reply::Failed));
            }
            Command::Stop {} => {
                turn.reply(client, Reply::Done {});
                turn.act(Action::Stop);
            }
        }
    }

    /// A command's connection ended: what it wanted is taken back.
    pub(crate) fn leave(&mut self, turn: &mut Turn<'_, '_>, client: ClientId) {
        self.leave_pairing(turn, client);
        self.withdraw_of(turn, client);
        self.tell_servers(turn, |servers, step| servers.leave(step, client));
        self.tell_hardware(turn, |hardware, step| hardware.leave(step, client));
        self.key_uses.remove(&client);
        self.looking.remove(&client);
    }

    pub(crate) fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: self.setup.pid,
            ssh_auth_sock: self.setup.ssh_auth_sock.clone(),
            locked: self.lock.is_closed(),
            wait_s: self.setup.settings.wait_s,
            relay: self.relay.as_ref().map(ToString::to_string),
            keys_folder: self.setup.state_folder.join(key_files::FOLDER),
            keepers: self.keeper_views(),
            keys: self.key_views(),
            notices: self.notices.clone(),
        }
    }

    pub(crate) fn keeper_views(&self) -> Vec<Keeper> {
        let views = self.keepers.pairings().into_iter();
        let keeper = |it: PairingView| Keeper {
            id: it.pairing.to_string(),
            name: it.name.to_string(),
            state: match (it.is_unpairing, it.is_used) {
                (true, _) => KeeperState::Unpairing,
                (false, true) => KeeperState::Paired,
                (false, false) => KeeperState::Unused,
            },
            connected: it.is_connected,
            silent: it.unanswered_ms.is_some(),
            keys: it.keys.len(),
            wallets: it.wallets.iter().map(ToString::to_string).collect(),
            hardware: self.keepers.hardware.has(it.pairing),
        };
        views.map(keeper).collect()
    }

    pub(crate) fn key_views(&self) -> Vec<Key> {
        let keys = self.kept_keys();
        let names = key_files::names(&keys);
        let folder = self.setup.state_folder.join(key_files::FOLDER);
        let views = keys.iter().zip(names).map(|(kept, file)| Key {
            name: kept.name.to_string(),
            key_type: typed(kept.key.type_name()),
            public_key: kept.key.line(&kept.comment()),
            fingerprint: kept.key.fingerprint(),
            keeper: kept.keeper.to_string(),
            file: folder.join(file),
            hidden: self.is_hidden(kept.key.blob()),
        });
        views.collect()
    }

    fn rename_keeper(
        &mut self,
        turn: &mut Turn<'_, '_>,
        keeper: &str,
        name: String,
    ) -> Result<Reply, Failure> {
        let found = self.find_keeper(Some(keeper))?;
        let name =
            Name::new(name).map_err(|error| usage(&error.to_string(), "choose another name"))?;
        let others = self.keepers.pairings();
        if others
            .iter()
            .any(|it| it.name == name && it.pairing != found.pairing)
        {
            let message = format!("another keeper is called {name}");
            return Err(usage(&message, "choose another name"));
        }
        let pairing = found.pairing;
        let event = keeper::Event::Rename {
            pairing,
            name: name.clone(),
        };
        self.tell_keepers(turn, event);
        let renamed = self.keepers.pairings();
        if !renamed
            .iter()
            .any(|it| it.pairing == pairing && it.name == name)
        {
            return Err(self.not_done());
        }
        self.write_key_files(turn);
        let entry = Entry {
            keeper: Some(name.to_string()),
            reason: Some(format!("was {}", found.name)),
            ..turn.entry("rename", "approve")
        };
        self.record(turn, &entry);
        Ok(Reply::Done {})
    }

    fn unpair_keeper(&mut self, turn: &mut Turn<'_, '_>, keeper: &str) -> Result<Reply, Failure> {
        let found = self.find_keeper(Some(keeper))?;
        let pairing = found.pairing;
        self.tell_keepers(turn, keeper::Event::Unpair { pairing });
        let left = self.keepers.pairings();
        if left
            .iter()
            .any(|it| it.pairing == pairing && !it.is_unpairing)
        {
            return Err(self.not_done());
        }
        self.forget_records(turn, pairing);
        self.write_key_files(turn);
        let entry = Entry {
            keeper: Some(found.name.to_string()),
            ..turn.entry("unpair", "approve")
        };
        self.record(turn, &entry);
        Ok(Reply::Done {})
    }

    fn new_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        keeper: Option<String>,
        name: String,
        algorithm: &str,
    ) -> Result<(), Failure> {
        let found = self.find_keeper(keeper.as_deref())?;
        let name =
            Name::new(name).map_err(|error| usage(&error.to_string(), "choose another name"))?;
        let key_type: KeyType = algorithm
            .parse()
            .map_err(|error| usage(&format!("{error}"), "see `keystead key new --help`"))?;
        let made = MakeKeyRequest {
            name,
            algorithm: key_type.as_str().to_owned(),
            purposes: Vec::new(),
        };
        self.ask_key(turn, client, (found.pairing, found.name), made);
        Ok(())
    }

    /// The keeper of this name or id; the only one when none is named.
    pub(crate) fn find_keeper(&self, named: Option<&str>) -> Result<PairingView, Failure> {
        let mut keepers = self.keepers.pairings();
        keepers.retain(|it| !it.is_unpairing);
        let Some(named) = named else {
            let mut keepers = keepers.into_iter();
            return match (keepers.next(), keepers.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(failure("no keeper is paired", "pair with `keystead pair`")),
                (Some(_), Some(_)) => Err(usage(
                    "which keeper? there are several",
                    "name it with --keeper",
                )),
            };
        };
        let id: Option<PairingId> = named.parse().ok();
        let is_named = |it: &PairingView| it.name.as_str() == named || Some(it.pairing) == id;
        keepers.into_iter().find(is_named).ok_or_else(|| {
            let message = format!("no keeper is called {named:?}");
            failure(
                &message,
                "see `keystead keeper list`, and `keystead server status` for key servers",
            )
        })
    }

    /// The last notice says why.
    fn not_done(&self) -> Failure {
        let why = self.notices.last().cloned();
        let message = why.unwrap_or_else(|| "the change was not made".to_owned());
        failure(&message, "see `keystead doctor`")
    }
}

fn version() -> Reply {
    Reply::Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
    }
}

/// A key's type as `key new --type` takes it; the standard's name where that has none.
fn typed(name: &str) -> String {
    match name.parse::<Algorithm>() {
        Ok(algorithm) => algorithm.short_name().to_owned(),
        Err(_) => name.to_owned(),
    }
}
