//! Hosts: where keys were used, and which key belongs to which name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_core::{Host, Outcome};

use super::replies::{DISK_HINT, log_failed};
use super::{Holder, Step};
use crate::control::Reply;
use crate::entry::Entry;
use crate::journal::Journal;
use crate::pins::Pin;
use crate::show::Safe;

impl Holder {
    /// At which hosts keys were used, as the log has it: the last login of each account.
    pub(super) fn hosts(&self, step: &Step<'_, '_>) -> Option<Vec<Host>> {
        let entries = Journal::read(step.io.disk).ok()?;
        let mut hosts: Vec<Host> = Vec::new();
        for entry in entries
            .iter()
            .rev()
            .filter(|it| it.decision == Outcome::Approve.as_str())
        {
            let Some(host) = host_of(entry) else { continue };
            let is_known = hosts
                .iter()
                .any(|it| it.user == host.user && it.host == host.host);
            if !is_known && hosts.len() < keystead_channel::wire::HOSTS_MAX {
                hosts.push(host);
            }
        }
        Some(hosts)
    }

    /// How many hosts a `hosts_request` would tell of.
    pub(super) fn hosts_count(&self, step: &Step<'_, '_>) -> usize {
        self.hosts(step).map_or(0, |it| it.len())
    }

    /// `host accept`: another key for a name.
    pub(super) fn host_accept(
        &mut self,
        name: &str,
        host_key: &str,
        step: &mut Step<'_, '_>,
    ) -> Reply {
        if !host_key.starts_with("SHA256:") || host_key.len() != FINGERPRINT_CHARS {
            let hint = "give it as it is shown: SHA256: and 43 characters";
            return Reply::failed("this is no fingerprint of a host key", hint);
        }
        let mut entry = Entry::own(step.now.unix_s, "host-accept", Outcome::Approve);
        entry.host = Some(name.to_owned());
        entry.host_key = Some(host_key.to_owned());
        if let Err(error) = self.log_own(&entry, step) {
            return log_failed(&error);
        }
        let pin = Pin {
            host_key: host_key.to_owned(),
            time: step.now.unix_s,
            workstation: self.keys.name().to_string(),
        };
        match self.pins.pin(name, pin, step.io.disk) {
            Ok(()) => Reply::done(format!("the key {host_key} is pinned to {}", Safe(name))),
            Err(error) => Reply::failed(format!("it could not be pinned: {error}"), DISK_HINT),
        }
    }

    /// `host forget`: the next login there is as the first one.
    pub(super) fn host_forget(&mut self, name: &str, step: &mut Step<'_, '_>) -> Reply {
        let Some(host_key) = self.pins.of(name).map(|it| it.host_key.clone()) else {
            let message = format!("no key is pinned to {}", Safe(name));
            return Reply::failed(message, "keystead-authenticator host list shows them");
        };
        let mut entry = Entry::own(step.now.unix_s, "host-forget", Outcome::Approve);
        entry.host = Some(name.to_owned());
        entry.host_key = Some(host_key);
        if let Err(error) = self.log_own(&entry, step) {
            return log_failed(&error);
        }
        match self.pins.forget(name, step.io.disk) {
            Ok(()) => Reply::done(format!("no key is pinned to {} any more", Safe(name))),
            Err(error) => Reply::failed(format!("it could not be written: {error}"), DISK_HINT),
        }
    }
}

fn host_of(entry: &Entry) -> Option<Host> {
    let fingerprint = entry.host_key.as_ref()?.strip_prefix("SHA256:")?;
    let hash = STANDARD_NO_PAD.decode(fingerprint).ok()?;
    Some(Host {
        user: entry.user.clone()?,
        host: entry.host.clone()?,
        host_key: hash.try_into().ok()?,
        unix_s: entry.unix_s,
    })
}

/// `SHA256:` and the base64 of 32 bytes without padding.
const FINGERPRINT_CHARS: usize = 7 + 43;
