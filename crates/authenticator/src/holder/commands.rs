//! What a command at this machine does.
//!
//! **Invariant**: every command gets exactly one last reply.

use std::net::SocketAddr;

use keystead_channel::curve::{CloseCode, IDENTITIES_MAX};
use keystead_channel::pairing::Offer;
use keystead_core::{KeyType, Name, Outcome, PairingId, Purpose, SecretBytes};
use keystead_transport::Address;

use super::event::Caller;
use super::key_commands::Attached;
use super::peer::Stage;
use super::pending::Pending;
use super::replies::{DISK_HINT, key_line, log_failed};
use super::{Holder, Said, Step};
use crate::control::{Command, JSON_VERSION, PairingLine, Reply, Status};
use crate::entry::Entry;
use crate::keyring::UnlockError;
use crate::show::Safe;

impl Holder {
    pub(super) fn on_command(
        &mut self,
        caller: Caller,
        command: Command,
        passphrase: Option<SecretBytes>,
        step: &mut Step<'_, '_>,
    ) {
        let reply = match command {
            Command::Status => Some(Reply::Status(self.status())),
            Command::KeyNew {
                name,
                algorithm,
                purpose,
            } => Some(self.key_new(&name, (&algorithm, purpose), passphrase.as_ref(), step)),
            Command::Wallet { deed } => Some(self.on_wallet(deed, passphrase, step)),
            Command::KeyImport {
                name,
                file_bytes,
                file_passphrase_bytes,
            } => {
                let attached = Attached {
                    secret: passphrase,
                    file_bytes,
                    file_passphrase_bytes,
                };
                Some(self.key_import(name.as_deref(), &attached, step))
            }
            Command::KeyRemove { name } => Some(self.key_remove(&name, step)),
            Command::ApprovalRemove { server } => Some(self.approval_remove(&server, step)),
            Command::Pair { link, yes } => self.pair(caller, &link, yes, step).err(),
            Command::PairDecide { same } => {
                self.on_code_compared(caller, same, step);
                None
            }
            Command::Unpair { workstation } => Some(self.unpair(&workstation, step)),
            Command::Lock => Some(self.lock(step)),
            Command::Unlock => Some(self.unlock(passphrase.as_ref())),
            Command::HostAccept { name, host_key } => {
                Some(self.host_accept(&name, &host_key, step))
            }
            Command::HostForget { name } => Some(self.host_forget(&name, step)),
            Command::GrantList => Some(Reply::Grants(self.grant_list(step))),
            Command::GrantRevoke { which } => Some(self.grant_revoke(which, step)),
        };
        if let Some(reply) = reply {
            step.reply(caller, reply);
        }
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let live = self
            .peers
            .iter()
            .filter(|(_, it)| it.stage() == Stage::Paired);
        let pairings = live.map(|(id, peer)| PairingLine {
            id: id.to_string(),
            workstation: peer.stored.workstation.to_string(),
            relay: peer.stored.relay.as_ref().map(ToString::to_string),
            made: peer.stored.made_unix_s,
            used: peer.stored.used,
            channels: self.channels.of(id).len(),
        });
        Status {
            version: JSON_VERSION,
            name: self.keys.name().to_string(),
            running: true,
            locked: self.keys.is_locked(),
            addresses: self.addresses().iter().map(ToString::to_string).collect(),
            pairings: pairings.collect(),
            waiting: self.questions.values().map(|it| it.parts().len()).sum(),
        }
    }

    /// Where workstations reach the listeners: a Unix socket, which is nearest, first.
    pub(super) fn addresses(&self) -> Vec<Address<SocketAddr>> {
        let reached = self.listening.iter().filter_map(|address| match address {
            Address::Tcp(tcp) if tcp.ip().is_unspecified() => {
                let own = self.options.own_address?;
                Some(Address::Tcp(SocketAddr::new(own, tcp.port())))
            }
            Address::Tcp(_) | Address::Unix(_) => Some(address.clone()),
        });
        let mut reached: Vec<_> = reached.collect();
        reached.sort_by_key(|it| matches!(it, Address::Tcp(_)));
        reached
    }

    fn key_new(
        &mut self,
        name: &str,
        (algorithm, purpose): (&str, Option<u8>),
        passphrase: Option<&SecretBytes>,
        step: &mut Step<'_, '_>,
    ) -> Reply {
        let name = match Name::new(name) {
            Ok(name) => name,
            Err(error) => return Reply::failed(error.to_string(), "choose another name"),
        };
        let algorithm = match algorithm.parse::<KeyType>() {
            Ok(key_type) => key_type,
            Err(error) => return Reply::failed(error.to_string(), "--type ed25519, for example"),
        };
        let purposes: Option<Vec<Purpose>> =
            purpose.iter().map(|it| Purpose::from_number(*it)).collect();
        let Some(purposes) = purposes else {
            return Reply::failed("unknown purpose", "--for age, for example");
        };
        let was_locked = self.keys.is_locked();
        if let (true, Some(passphrase)) = (was_locked, passphrase)
            && let Err(error) = self.keys.unlock(passphrase)
        {
            return Reply::failed(error.to_string(), error.hint());
        }
        let mut entry = Entry::own(step.now.unix_s, "key-new", Outcome::Approve);
        entry.key = Some(name.to_string());
        let logged = self.log_own(&entry, step);
        let reply = match logged {
            Ok(()) => match self.keys.make_key_for(
                &name,
                (algorithm, &purposes),
                step.io.rng,
                step.io.disk,
            ) {
                Ok(entry) => key_line(&entry)
                    .map_or_else(|| Reply::failed("no key could be made", ""), Reply::Key),
                Err(error) => Reply::failed(error.to_string(), error.hint()),
            },
            Err(error) => log_failed(&error),
        };
        if was_locked {
            self.keys.lock();
        }
        reply
    }

    fn pair(
        &mut self,
        caller: Caller,
        link: &str,
        yes: bool,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Reply> {
        if self
            .attempt
            .as_ref()
            .is_some_and(super::pairing::Attempt::is_open)
        {
            let hint = "wait until it is done; one offer is answered at a time";
            return Err(Reply::failed("another pairing is under way", hint));
        }
        let offer = Offer::parse(link).map_err(|error| {
            Reply::failed(
                error.to_string(),
                "copy the whole link that keystead pair --link prints",
            )
        })?;
        // The offer before may still be read for a lost Close: it had its time.
        self.fail_attempt("", step);
        self.make_room(step)?;
        let name = Safe(offer.name().as_str()).to_string();
        step.reply(
            caller,
            Reply::Say {
                line: format!("answering the offer of {name}"),
            },
        );
        self.begin_pairing(caller, offer, yes, step)
            .map_err(|error| Reply::failed(error, "run keystead pair again and use its new link"))
    }

    /// 64 pairings; ended ones make way, the oldest first.
    fn make_room(&mut self, step: &mut Step<'_, '_>) -> Result<(), Reply> {
        while self.peers.len() >= IDENTITIES_MAX {
            let revoked = self
                .peers
                .iter()
                .filter_map(|(id, it)| Some((it.stored.revoked_unix_s?, *id)));
            let Some((_, oldest)) = revoked.min() else {
                let message = format!("there are {IDENTITIES_MAX} pairings already");
                return Err(Reply::failed(
                    message,
                    "keystead-authenticator unpair WORKSTATION",
                ));
            };
            self.forget(&oldest, step);
        }
        Ok(())
    }

    fn unpair(&mut self, workstation: &str, step: &mut Step<'_, '_>) -> Reply {
        let live = self
            .peers
            .iter()
            .filter(|(_, it)| it.stage() == Stage::Paired);
        let named: Vec<PairingId> = live
            .filter(|(id, it)| {
                it.stored.workstation.as_str() == workstation || id.to_string() == workstation
            })
            .map(|(id, _)| *id)
            .collect();
        let id = match named.as_slice() {
            [id] => *id,
            [] => {
                let message = format!("there is no pairing with {}", Safe(workstation));
                return Reply::failed(message, "keystead-authenticator status lists them");
            }
            [_, _, ..] => {
                let message = format!("there is more than one pairing with {}", Safe(workstation));
                return Reply::failed(
                    message,
                    "name it by the id that keystead-authenticator status shows",
                );
            }
        };
        let name = self.name_of(&id);
        let mut entry = Entry::own(step.now.unix_s, "unpair", Outcome::Unpair);
        entry.pairing = Some(id.to_string());
        entry.workstation = Some(name.to_string());
        if let Err(error) = self.log_own(&entry, step) {
            return log_failed(&error);
        }
        if let Err(error) = self.revoke(&id, step) {
            return Reply::failed(format!("the end could not be written: {error}"), DISK_HINT);
        }
        self.drop_channels_of(&id, CloseCode::Unpaired, step);
        Reply::done(format!(
            "the pairing with {name} has ended; it is told so for 30 days"
        ))
    }

    fn lock(&mut self, step: &mut Step<'_, '_>) -> Reply {
        self.keys.lock();
        self.records.clear();
        self.lock_trouble = Said::NotYet;
        let needs_keys = |it: &Pending| it.work.needs_keys();
        self.end_questions(needs_keys, Outcome::Busy, "locked", step);
        Reply::done("locked: every request for a key is answered busy")
    }

    /// Opens the keys before anything else happens.
    ///
    /// # Errors
    /// [`UnlockError`]; it stays locked then.
    pub fn open_keys(&mut self, passphrase: &SecretBytes) -> Result<(), UnlockError> {
        self.keys.unlock(passphrase)
    }

    /// Whether an offer is being answered, or its last Close awaited.
    #[must_use]
    pub fn is_pairing(&self) -> bool {
        self.attempt.is_some()
    }

    fn unlock(&mut self, passphrase: Option<&SecretBytes>) -> Reply {
        let Some(passphrase) = passphrase else {
            return Reply::failed(
                "a passphrase is needed",
                "type it, or give --passphrase-fd N",
            );
        };
        match self.keys.unlock(passphrase) {
            Ok(()) => {
                self.lock_trouble = Said::NotYet;
                Reply::done("unlocked")
            }
            Err(error) => Reply::failed(error.to_string(), error.hint()),
        }
    }
}
