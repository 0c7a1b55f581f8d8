//! Keys that a workstation brings and takes away: kinds 10 and 11.
//!
//! **Invariant**: a key is read whole before anybody is asked, comes in by a person's yes alone,
//! and is forgotten when its time is over by either clock: a clock that is set back keeps none.

use keystead_core::{Constraints, ImportRequest, KeyEntry, KeyId, Outcome, PairingId};
use keystead_daemon::Now;
use keystead_formats::ssh::constraint::{Destinations, Hop};

use super::pending::{Ticket, Work};
use super::{Holder, Step};
use crate::keyring::{Candidate, CandidateError, ImportKeyError};
use crate::words::{Asked, Import, Remove};

impl Holder {
    /// Kind 10.
    pub(super) fn on_import(
        &mut self,
        ticket: Ticket,
        request: ImportRequest,
        step: &mut Step<'_, '_>,
    ) {
        if request.form == keystead_core::KeyForm::Token {
            let reason = "the keys of a token stay in it";
            return self.refuse(&ticket, Outcome::Unsupported, reason, step);
        }
        let opening = self.peers.get_mut(&ticket.peer).map(|it| &mut it.opening);
        if request.passphrase.is_some() && !opening.is_some_and(|it| it.take(step.now.mono_ms)) {
            let name = self.name_of(&ticket.peer);
            step.say(format!("busy: {name} brings encrypted key files too fast"));
            return self.busy(&ticket, step);
        }
        let candidate = match Candidate::of_request(request) {
            Ok(candidate) => candidate,
            Err(error) => {
                let outcome = match error {
                    CandidateError::Purposes => Outcome::Unsupported,
                    CandidateError::Key(_)
                    | CandidateError::Token
                    | CandidateError::Destinations
                    | CandidateError::NoLogin => Outcome::Refuse,
                };
                return self.refuse(&ticket, outcome, &error.to_string(), step);
            }
        };
        if self.keys.is_locked() {
            return self.busy(&ticket, step);
        }
        if let Err(error) = self.keys.may_import(&candidate, Some(&ticket.peer)) {
            return self.refuse(&ticket, Outcome::Refuse, &error.to_string(), step);
        }
        let known = self.keys.entry(&candidate.id());
        let asked = Asked::Import(words_of(&candidate, known));
        let work = Work::Import(Some(Box::new(candidate)));
        self.question(ticket, asked, work, step);
    }

    /// Kind 11: keys that came over this pairing, and no others.
    pub(super) fn on_remove(&mut self, ticket: Ticket, keys: Vec<KeyId>, step: &mut Step<'_, '_>) {
        let brought = self.keys.brought_by(&ticket.peer);
        let named: Vec<KeyId> = match keys.as_slice() {
            [] => brought,
            _ => brought.into_iter().filter(|it| keys.contains(it)).collect(),
        };
        if named.is_empty() && keys.is_empty() {
            // All of none are forgotten already.
            self.finish_empty(&ticket, step);
            return;
        }
        if named.is_empty() {
            let reason = "no key of these was brought by this workstation";
            return self.refuse(&ticket, Outcome::UnknownKey, reason, step);
        }
        let names = named.iter().filter_map(|id| self.keys.entry(id));
        let asked = Asked::Remove(Remove {
            names: names.map(|it| it.name.clone()).collect(),
        });
        self.question(ticket, asked, Work::Remove(named), step);
    }

    /// Takes a key in, and its time with it.
    pub(super) fn import(
        &mut self,
        candidate: Candidate,
        peer: PairingId,
        step: &mut Step<'_, '_>,
    ) -> Result<KeyEntry, ImportKeyError> {
        let lifetime_s = candidate.constraints().lifetime_s;
        let entry = self.keys.import(
            candidate,
            Some(peer),
            step.now.unix_s,
            step.io.rng,
            step.io.disk,
        )?;
        self.lifetimes.forget(&entry.id);
        if let Some(lifetime_s) = lifetime_s {
            self.lifetimes
                .add(entry.id, u64::from(lifetime_s), step.now.mono_ms);
        }
        Ok(entry)
    }

    /// After a start: the keys' times, on the clock that does not jump.
    pub(super) fn recall_lifetimes(&mut self, step: &Step<'_, '_>) {
        for id in self.keys.entries().iter().map(|it| it.id) {
            let custody = self.keys.custody(&id);
            if let Some(ends_unix_s) = custody.and_then(|it| it.expires_unix_s) {
                let left_s = ends_unix_s.saturating_sub(step.now.unix_s);
                self.lifetimes.add(id, left_s, step.now.mono_ms);
            }
        }
    }

    /// Whether a key's time is over: then it signs no more, removed already or not.
    pub(super) fn is_over(&self, id: &KeyId, now: Now) -> bool {
        let custody = self.keys.custody(id);
        let ends_unix_s = custody.and_then(|it| it.expires_unix_s);
        ends_unix_s.is_some_and(|at| now.unix_s >= at) || self.lifetimes.is_over(id, now.mono_ms)
    }

    /// Forgets keys, and with them their times and what was granted for them: a key that
    /// comes again comes without either.
    pub(super) fn remove_keys(
        &mut self,
        ids: &[KeyId],
        step: &mut Step<'_, '_>,
    ) -> std::io::Result<Vec<KeyEntry>> {
        let removed = self.keys.remove(ids, step.io.disk)?;
        for key in &removed {
            self.lifetimes.forget(&key.id);
        }
        let gone: Vec<KeyId> = removed.iter().map(|it| it.id).collect();
        self.grants
            .forget_keys(|key| gone.contains(key), step.io.disk);
        Ok(removed)
    }

    /// Removes the keys whose time is over.
    pub(super) fn tick_custody(&mut self, step: &mut Step<'_, '_>) {
        let now = step.now;
        let calendar = self.keys.next_expiry_unix_s();
        let is_due = calendar.is_some_and(|at| now.unix_s >= at)
            || self.lifetimes.wake_ms().is_some_and(|at| now.mono_ms >= at);
        if !is_due || !self.lifetimes.may_try(now.mono_ms) {
            return;
        }
        let ids = self.keys.entries().iter().map(|it| it.id);
        let over: Vec<KeyId> = ids.filter(|it| self.is_over(it, now)).collect();
        match self.remove_keys(&over, step) {
            Ok(removed) => {
                self.lifetimes.end(now.mono_ms);
                for entry in removed {
                    let name = entry.name;
                    step.say(format!("the key {name} is forgotten: its time is over"));
                }
            }
            Err(error) => {
                self.lifetimes.try_later(now.mono_ms);
                step.say(format!(
                    "a key whose time is over could not be removed: {error}"
                ));
            }
        }
    }
}

/// A key that is here already keeps its name.
fn words_of(candidate: &Candidate, known: Option<&KeyEntry>) -> Import {
    let Constraints {
        lifetime_s,
        confirm,
        destinations,
        ..
    } = candidate.constraints();
    let destinations = destinations
        .as_ref()
        .and_then(|it| Destinations::parse(it).ok());
    Import {
        name: known.map_or_else(|| candidate.name().clone(), |it| it.name.clone()),
        is_known: known.is_some(),
        algorithm: candidate.algorithm().as_str().to_owned(),
        fingerprint: candidate.fingerprint(),
        purposes: candidate.purposes().to_vec(),
        lifetime_s: *lifetime_s,
        confirm: *confirm,
        destinations: destinations
            .map_or_else(Vec::new, |it| it.hops().iter().map(hop_words).collect()),
    }
}

/// `user@host`, with the host before it.
fn hop_words(hop: &Hop) -> String {
    let user = hop
        .user
        .as_ref()
        .map_or(String::new(), |it| format!("{it}@"));
    let to = format!("{user}{}", hop.to.host);
    match &hop.from {
        Some(from) => format!("{} → {to}", from.host),
        None => to,
    }
}
