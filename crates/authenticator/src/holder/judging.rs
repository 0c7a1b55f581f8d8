//! From a request that may need a person to a question, or to the answer that needs none.

use keystead_core::{Intent, KeyType, MakeKeyRequest, Outcome, SignForm, SignRequest};

use super::questions::Pending;
use super::requests::Ticket;
use super::standing::key_use;
use super::work::Work;
use super::{Holder, Step};
use crate::entry::{Entry, to_hex};
use crate::grants::{Scope, Wanted};
use crate::judge::{No, Rules, judge};
use crate::question::PartId;
use crate::show::Safe;
use crate::words::{Asked, MakeKey};

impl Holder {
    /// Kind 2.
    pub(super) fn on_sign(&mut self, ticket: Ticket, sign: SignRequest, step: &mut Step<'_, '_>) {
        if sign.form != SignForm::Ssh || sign.identity.is_some() {
            return self.refuse(&ticket, Outcome::Unsupported, "unknown form", step);
        }
        let is_over = self.is_over(&sign.key, step.now);
        let Some(key) = self.keys.entry(&sign.key).filter(|_| !is_over) else {
            return self.refuse(&ticket, Outcome::UnknownKey, "no such key here", step);
        };
        let constraints = self.keys.custody(&sign.key).map(|it| &it.constraints);
        let rules = Rules {
            key,
            constraints,
            pins: &self.pins,
            namespaces: &self.options.namespaces,
            now_unix_s: step.now.unix_s,
        };
        match judge(&sign, rules) {
            Ok(asked) => {
                let key_use = key_use(key, constraints.is_some_and(|it| it.confirm));
                let intent = sign.evidence.intent;
                let wanted = Wanted {
                    pairing: ticket.peer,
                    key: sign.key,
                    is_background: sign.evidence.is_background,
                    scope: Scope::of(&asked, key_use),
                    act: intent
                        .as_ref()
                        .and_then(|it| Scope::of_act(&asked, key_use, it)),
                };
                let work = Work::Sign {
                    key: sign.key,
                    content: sign.content,
                    flags: sign.flags,
                };
                let pending = self.pending(ticket, asked, work, step);
                self.ask(
                    Pending {
                        wanted: Some(wanted),
                        intent,
                        ..pending
                    },
                    step,
                );
            }
            Err(no) => {
                self.say_no_to(&ticket, &no, step);
                let mut entry = Entry {
                    unix_s: step.now.unix_s,
                    ..Entry::default()
                };
                entry.key = self.keys.entry(&sign.key).map(|it| it.name.to_string());
                entry.content_sha256 =
                    Some(to_hex(&keystead_formats::ssh::key::key_id(&sign.content).0));
                entry.reason = Some(no.reason);
                self.finish(&ticket, no.outcome, None, entry, step);
            }
        }
    }

    /// Kind 9.
    pub(super) fn on_make_key(
        &mut self,
        ticket: Ticket,
        make: MakeKeyRequest,
        step: &mut Step<'_, '_>,
    ) {
        let known = make.algorithm.parse::<KeyType>().ok();
        let Some(key_type) = known.filter(|it| KeyType::SSH.contains(it)) else {
            let reason = format!("unknown key type {}", Safe(&make.algorithm));
            return self.refuse(&ticket, Outcome::Unsupported, &reason, step);
        };
        if !make.purposes.is_empty() {
            return self.refuse(&ticket, Outcome::Unsupported, "unknown purposes", step);
        }
        let asked = Asked::MakeKey(MakeKey {
            name: make.name.clone(),
            algorithm: key_type.short_name(),
        });
        self.question(ticket, asked, Work::MakeKey(make, key_type), step);
    }

    /// Asks for what is no signature.
    pub(super) fn question(
        &mut self,
        ticket: Ticket,
        asked: Asked,
        work: Work,
        step: &mut Step<'_, '_>,
    ) {
        let pending = self.pending(ticket, asked, work, step);
        self.ask(pending, step);
    }

    fn pending(&self, ticket: Ticket, asked: Asked, work: Work, step: &Step<'_, '_>) -> Pending {
        let wait_ms = u64::from(ticket.wait_s).saturating_mul(1_000);
        Pending {
            id: PartId::LAST,
            ticket,
            asked,
            work,
            deadline_ms: step.now.mono_ms.saturating_add(wait_ms),
            wanted: None,
            intent: None::<Intent>,
            is_acked: false,
            is_beyond: false,
        }
    }

    /// Says why nobody is asked.
    pub(super) fn say_no_to(&self, ticket: &Ticket, no: &No, step: &mut Step<'_, '_>) {
        let workstation = self.name_of(&ticket.peer);
        step.say(format!(
            "{}: {workstation}: {}",
            no.outcome.as_str(),
            no.reason
        ));
        if let Some(hint) = &no.hint {
            step.say(format!("  if the host really changed its key: {hint}"));
        }
    }
}
