//! Hosts: where keys were used, and which key belongs to which name.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_channel::wire::HOSTS_MAX;
use keystead_core::{Host, Outcome};

use super::replies::{DISK_HINT, log_failed};
use super::{Holder, Step};
use crate::control::Reply;
use crate::entry::Entry;
use crate::pins::Pin;
use crate::show::Safe;

/// At which hosts keys were used, as the log has it: the last login of each account. Kept beside
/// the log, since whoever asks is not to have all of it read each time.
#[derive(Default)]
pub(super) struct Seen {
    logins: BTreeMap<(String, String), (u64, Host)>,
    count: u64,
}

impl Seen {
    /// Takes in what stands in the log.
    pub(super) fn recall(&mut self, entry: &Entry) {
        if entry.decision != Outcome::Approve.as_str() {
            return;
        }
        let Some(host) = host_of(entry) else { return };
        self.count = self.count.saturating_add(1);
        let account = (host.user.clone(), host.host.clone());
        self.logins.insert(account, (self.count, host));
        if self.logins.len() > HOSTS_MAX {
            let first = self.logins.iter().min_by_key(|(_, (number, _))| *number);
            if let Some(account) = first.map(|(account, _)| account.clone()) {
                self.logins.remove(&account);
            }
        }
    }

    /// How many a `hosts_request` would tell of.
    pub(super) fn count(&self) -> usize {
        self.logins.len()
    }

    /// The newest first.
    pub(super) fn hosts(&self) -> Vec<Host> {
        let mut logins: Vec<&(u64, Host)> = self.logins.values().collect();
        logins.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        logins.into_iter().map(|(_, host)| host.clone()).collect()
    }
}

impl Holder {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn login(unix_s: u64, user: &str, decision: Outcome) -> Entry {
        Entry {
            user: Some(user.to_owned()),
            host: Some("db1".to_owned()),
            host_key: Some(format!("SHA256:{}", "A".repeat(43))),
            ..Entry::own(unix_s, "sign", decision)
        }
    }

    #[test]
    fn the_last_login_of_each_account_the_newest_first() {
        let mut seen = Seen::default();
        for (at, user) in [(1, "alex"), (2, "root"), (3, "alex")] {
            seen.recall(&login(at, user, Outcome::Approve));
        }
        seen.recall(&login(4, "root", Outcome::Refuse));
        let hosts = seen.hosts();
        let told: Vec<_> = hosts.iter().map(|it| (it.unix_s, &*it.user)).collect();
        assert_eq!(told, [(3, "alex"), (2, "root")]);
        assert_eq!(seen.count(), 2);
    }

    #[test]
    fn no_number_of_accounts_takes_more_room() {
        let mut seen = Seen::default();
        for at in 0..2_000 {
            seen.recall(&login(at, &format!("user{at}"), Outcome::Approve));
        }
        assert_eq!(seen.count(), HOSTS_MAX);
        assert_eq!(seen.hosts().first().map(|it| it.unix_s), Some(1_999));
    }
}
