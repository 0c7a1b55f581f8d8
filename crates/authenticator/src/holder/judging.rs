//! From a request that may need a person to a question, or to the answer that needs none.

use keystead_core::{Intent, KeyType, MakeKeyRequest, Outcome, SignRequest};

use super::pending::{Pending, Ticket, Work};
use super::{Holder, Step};
use crate::judge::{No, Rules, judge};
use crate::keyring::may_be_for;
use crate::question::PartId;
use crate::show::Safe;
use crate::words::{Asked, MakeKey};

impl Holder {
    /// Kind 2.
    pub(super) fn on_sign(&mut self, ticket: Ticket, sign: SignRequest, step: &mut Step<'_, '_>) {
        let Some(named) = self.named(&ticket, &sign.key, sign.identity.as_ref(), step) else {
            return;
        };
        let constraints = self.keys.custody(&sign.key).map(|it| &it.constraints);
        let rules = Rules {
            key: &named.entry,
            key_words: &named.words,
            constraints,
            pins: &self.pins,
            namespaces: &self.options.namespaces,
            now_unix_s: step.now.unix_s,
        };
        match judge(&sign, rules) {
            Ok(asked) => {
                let wanted = named.wanted(&ticket, &asked, &sign.evidence);
                let work = Work::Sign {
                    id: sign.key,
                    key: named.chosen,
                    form: sign.form,
                    content: sign.content,
                    flags: sign.flags,
                };
                let pending = self.pending(ticket, asked, work, step);
                self.ask(
                    Pending {
                        wanted: Some(wanted),
                        intent: sign.evidence.intent,
                        ..pending
                    },
                    step,
                );
            }
            Err(no) => self.judged_no(&ticket, (no, &named), &sign.content, step),
        }
    }

    /// Kind 9.
    pub(super) fn on_make_key(
        &mut self,
        ticket: Ticket,
        make: MakeKeyRequest,
        step: &mut Step<'_, '_>,
    ) {
        let Ok(key_type) = make.algorithm.parse::<KeyType>() else {
            let reason = format!("unknown key type {}", Safe(&make.algorithm));
            return self.refuse(&ticket, Outcome::Unsupported, &reason, step);
        };
        if !may_be_for(key_type.algorithm(), &make.purposes) {
            let reason = "no key of this type is for that";
            return self.refuse(&ticket, Outcome::Unsupported, reason, step);
        }
        let asked = Asked::MakeKey(MakeKey {
            name: make.name.clone(),
            algorithm: key_type.short_name(),
            purposes: make.purposes.clone(),
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

    pub(super) fn pending(
        &self,
        ticket: Ticket,
        asked: Asked,
        work: Work,
        step: &Step<'_, '_>,
    ) -> Pending {
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
