//! Keys that a workstation brings and takes away: kinds 10 and 11.
//!
//! **Invariant**: a key is read whole before anybody is asked, comes in by a person's yes alone,
//! and is forgotten when its time is over by either clock: a clock that is set back keeps none.

use keystead_core::{Constraints, ImportRequest, KeyEntry, KeyId, Outcome, PairingId};
use keystead_formats::ssh::constraint::{Destinations, Hop};

use super::requests::Ticket;
use super::work::Work;
use super::{Holder, Step};
use crate::keyring::{Candidate, ImportKeyError};
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
        let candidate = match Candidate::of_request(request) {
            Ok(candidate) => candidate,
            Err(error) => return self.refuse(&ticket, Outcome::Refuse, &error.to_string(), step),
        };
        let asked = Asked::Import(words_of(&candidate));
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
        self.lifetimes.retain(|(id, _)| *id != entry.id);
        if let Some(lifetime_s) = lifetime_s {
            let lifetime_ms = u64::from(lifetime_s).saturating_mul(1_000);
            let ends_ms = step.now.mono_ms.saturating_add(lifetime_ms);
            self.lifetimes.push((entry.id, ends_ms));
        }
        Ok(entry)
    }

    /// Forgets the keys whose time is over.
    pub(super) fn tick_custody(&mut self, step: &mut Step<'_, '_>) {
        let now_ms = step.now.mono_ms;
        let over = self.lifetimes.iter().filter(|(_, at)| now_ms >= *at);
        let over: Vec<KeyId> = over.map(|(id, _)| *id).collect();
        let by_steady_clock = self.keys.remove(&over, step.io.disk);
        let by_calendar = self.keys.forget_expired(step.now.unix_s, step.io.disk);
        for forgotten in [by_steady_clock, by_calendar] {
            match forgotten {
                Ok(entries) => {
                    for entry in entries {
                        self.lifetimes.retain(|(id, _)| *id != entry.id);
                        step.say(format!(
                            "the key {} is forgotten: its time is over",
                            entry.name
                        ));
                    }
                }
                Err(error) => {
                    step.say(format!(
                        "a key whose time is over could not be removed: {error}"
                    ));
                }
            }
        }
    }

    /// When the next key's time is over, on the clock that does not jump.
    pub(super) fn custody_wake_ms(&self) -> Option<u64> {
        self.lifetimes.iter().map(|(_, at)| *at).min()
    }

    /// Whether a key's time is over though no tick has come yet.
    pub(super) fn is_over(&self, key: &KeyId, step: &Step<'_, '_>) -> bool {
        let custody = self.keys.custody(key);
        let by_calendar = custody.and_then(|it| it.expires_unix_s);
        by_calendar.is_some_and(|at| step.now.unix_s >= at)
            || self
                .lifetimes
                .iter()
                .any(|(id, at)| id == key && step.now.mono_ms >= *at)
    }
}

fn words_of(candidate: &Candidate) -> Import {
    let public = candidate.public();
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
        name: candidate.name().clone(),
        algorithm: public.without_certificate().type_name().to_owned(),
        fingerprint: public.fingerprint(),
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
