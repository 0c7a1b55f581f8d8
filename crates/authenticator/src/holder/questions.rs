//! What a person is asked, until when, and what comes of the answer.
//!
//! **Invariant**: a question ends once: decided, expired, withdrawn, or with
//! its pairing. Nothing is signed unless it ended approved.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_core::{Algorithm, Decision, Host, KeyId, MakeKeyRequest, Outcome, ResponseBody};

use super::event::Action;
use super::requests::Ticket;
use super::{Decide, Holder, Said, Step};
use crate::entry::{Entry, to_hex};
use crate::journal::Journal;
use crate::pins::Pin;
use crate::screen::{Question, QuestionId};
use crate::words::Asked;

/// A request that waits for the holder.
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    pub(super) asked: Asked,
    pub(super) work: Work,
    pub(super) deadline_ms: u64,
}

/// What is done once the holder approves.
pub(super) enum Work {
    /// Sign these bytes.
    Sign { key: KeyId, content: Vec<u8> },
    /// Make a key.
    MakeKey(MakeKeyRequest, Algorithm),
    /// Tell at which hosts keys were used.
    Hosts,
}

impl Holder {
    /// Puts a question to whoever decides.
    pub(super) fn ask(&mut self, pending: Pending, step: &mut Step<'_, '_>) {
        if self.keys.is_locked() && !matches!(pending.work, Work::Hosts) {
            if self.lock_trouble == Said::NotYet {
                self.lock_trouble = Said::Already;
                step.say("a request was answered busy: the authenticator is locked");
            }
            return self.busy(&pending.ticket, step);
        }
        match self.options.decide {
            Decide::Approve => self.settle(pending, Decision::Approve(()), step),
            Decide::Refuse => self.settle(pending, Decision::Refuse, step),
            Decide::Nobody => {
                let line = pending.asked.line();
                step.say(format!(
                    "busy: nobody can be asked without a terminal: {line}"
                ));
                self.busy(&pending.ticket, step);
            }
            Decide::Ask => self.ask_person(pending, step),
        }
    }

    pub(super) fn on_decide(
        &mut self,
        question: QuestionId,
        decision: Decision<()>,
        step: &mut Step<'_, '_>,
    ) {
        // It may have expired or been withdrawn in this very moment.
        let Some(pending) = self.questions.remove(&question) else {
            return;
        };
        let how = match decision {
            _ if step.now.mono_ms >= pending.deadline_ms => {
                let outcome =
                    self.end_question(&pending, Outcome::Expire, "nobody answered in time", step);
                ended(outcome)
            }
            Decision::Approve(()) => ended(self.do_work(&pending, step)),
            Decision::Refuse => ended(self.end_question(&pending, Outcome::Refuse, "", step)),
        };
        step.actions.push(Action::Settle {
            question,
            how: how.to_owned(),
        });
    }

    pub(super) fn tick_questions(&mut self, step: &mut Step<'_, '_>) {
        let now_ms = step.now.mono_ms;
        let is_over = |pending: &Pending| now_ms >= pending.deadline_ms;
        self.end_questions(is_over, Outcome::Expire, "nobody answered in time", step);
    }

    /// Ends the questions that `which` names, all with one outcome.
    pub(super) fn end_questions(
        &mut self,
        which: impl Fn(&Pending) -> bool,
        outcome: Outcome,
        reason: &str,
        step: &mut Step<'_, '_>,
    ) {
        let own = self.questions.iter().filter(|(_, it)| which(it));
        let ids: Vec<QuestionId> = own.map(|(id, _)| *id).collect();
        for question in ids {
            let Some(pending) = self.questions.remove(&question) else {
                continue;
            };
            let workstation = self.name_of(&pending.ticket.peer);
            let outcome = self.end_question(&pending, outcome, reason, step);
            let by = if outcome == Outcome::Withdraw {
                format!(" by {workstation}")
            } else {
                String::new()
            };
            let how = format!("{}{by}", ended(outcome));
            step.actions.push(Action::Settle { question, how });
        }
    }

    fn ask_person(&mut self, pending: Pending, step: &mut Step<'_, '_>) {
        let id = QuestionId(self.question_next);
        self.question_next = self.question_next.saturating_add(1);
        self.ack(&pending.ticket, step);
        step.actions.push(Action::Ask(Question {
            id,
            workstation: self.name_of(&pending.ticket.peer),
            asked: pending.asked.clone(),
            deadline_ms: pending.deadline_ms,
        }));
        self.questions.insert(id, pending);
    }

    /// Decides without a person, and says what was decided.
    fn settle(&mut self, pending: Pending, decision: Decision<()>, step: &mut Step<'_, '_>) {
        let outcome = match decision {
            Decision::Approve(()) => self.do_work(&pending, step),
            Decision::Refuse => {
                self.end_question(&pending, Outcome::Refuse, "by --decide refuse", step)
            }
        };
        let workstation = self.name_of(&pending.ticket.peer);
        step.say(format!(
            "{}: {workstation}: {}",
            ended(outcome),
            pending.asked.line()
        ));
    }

    /// Does what was approved; says how it really ended.
    fn do_work(&mut self, pending: &Pending, step: &mut Step<'_, '_>) -> Outcome {
        let body = match &pending.work {
            Work::Sign { key, content } => {
                self.keys.sign(key, content).map(ResponseBody::Signature)
            }
            Work::MakeKey(request, algorithm) => {
                let made = self
                    .keys
                    .make_key(&request.name, *algorithm, step.io.rng, step.io.disk);
                match made {
                    Ok(entry) => Some(ResponseBody::Key(entry)),
                    Err(error) => {
                        return self.end_question(
                            pending,
                            Outcome::Refuse,
                            &error.to_string(),
                            step,
                        );
                    }
                }
            }
            Work::Hosts => self.hosts(step).map(ResponseBody::Hosts),
        };
        let Some(body) = body else {
            self.busy(&pending.ticket, step);
            return Outcome::Busy;
        };
        let entry = self.entry_of(pending, step);
        let outcome = self.finish(&pending.ticket, Outcome::Approve, Some(body), entry, step);
        if outcome == Outcome::Approve {
            self.pin(pending, step);
        }
        outcome
    }

    fn end_question(
        &mut self,
        pending: &Pending,
        outcome: Outcome,
        reason: &str,
        step: &mut Step<'_, '_>,
    ) -> Outcome {
        let mut entry = self.entry_of(pending, step);
        entry.reason = Some(reason.to_owned()).filter(|it| !it.is_empty());
        self.finish(&pending.ticket, outcome, None, entry, step)
    }

    fn entry_of(&self, pending: &Pending, step: &Step<'_, '_>) -> Entry {
        let mut entry = Entry {
            unix_s: step.now.unix_s,
            ..Entry::default()
        };
        pending.asked.describe(&mut entry);
        if let Work::Sign { key, content } = &pending.work {
            entry.content_sha256 = Some(to_hex(&keystead_formats::ssh::key::key_id(content).0));
            let own = self.keys.entry(key);
            entry.fingerprint =
                own.map(|it| keystead_formats::ssh::key::fingerprint(&it.public_key));
        }
        entry
    }

    /// The first approval of a host's key under a name pins it.
    fn pin(&mut self, pending: &Pending, step: &mut Step<'_, '_>) {
        let Some((name, host_key)) = pending.asked.to_pin() else {
            return;
        };
        let pin = Pin {
            host_key: host_key.to_owned(),
            time: step.now.unix_s,
            workstation: self.name_of(&pending.ticket.peer).to_string(),
        };
        match self.pins.pin(name, pin, step.io.disk) {
            Ok(()) => step.say(format!("the key {host_key} is now pinned to {name}")),
            Err(error) => step.say(format!("{name} could not be pinned: {error}")),
        }
    }

    /// At which hosts keys were used, as the log has it: the last login of each account.
    fn hosts(&self, step: &Step<'_, '_>) -> Option<Vec<Host>> {
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

/// How a question ended, in a word that a person reads.
const fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Approve => "approved",
        Outcome::Refuse => "refused",
        Outcome::Expire => "expired: nobody answered in time",
        Outcome::Withdraw => "withdrawn",
        Outcome::Unpair => "ended with its pairing",
        Outcome::Busy => "answered busy: it could not be done or logged",
        Outcome::Ack
        | Outcome::UnknownKey
        | Outcome::Unsupported
        | Outcome::Malformed
        | Outcome::Block
        | _ => outcome.as_str(),
    }
}
