//! What a person is asked, until when, and what comes of the answer.
//!
//! **Invariant**: a request that is asked about ends once: decided, expired, withdrawn, or with
//! its pairing. An answer decides the requests that were counted on the screen when the key was
//! pressed; what joined later is judged again as if it had just come.

use keystead_core::Outcome;

use super::answers::{NOBODY_ANSWERED, ended};
use super::event::Action;
use super::pending::{By, Pending, Ticket};
use super::{Decide, Holder, Said, Step};
use crate::grants::{Blocked, COUNT_MAX, Scope, block_words, grant_words};
use crate::grouping::Group;
use crate::question::{
    Act, Answer, Choices, Makes, Offer, OfferForm, Part, PartId, Question, QuestionId,
};
use crate::show::Safe;

/// A question, with the requests that it is about; at least one.
pub(super) struct Asking {
    group: Option<Group>,
    /// As the first request said it, and so shown: no later one makes it more.
    act: Option<Act>,
    parts: Vec<Pending>,
}

impl Asking {
    pub(super) fn parts(&self) -> &[Pending] {
        &self.parts
    }

    pub(super) fn tickets_mut(&mut self) -> impl Iterator<Item = &mut Ticket> {
        self.parts.iter_mut().map(|it| &mut it.ticket)
    }

    pub(super) fn deadline_ms(&self) -> Option<u64> {
        self.parts.iter().map(|it| it.deadline_ms).min()
    }

    /// The act, with so many of its requests counted on the screen.
    fn act(&self, counted: usize) -> Option<Act> {
        let Act { what, makes } = self.act.clone()?;
        let counted = u32::try_from(counted).unwrap_or(COUNT_MAX);
        let makes = match makes {
            Makes::Announced(count) => Makes::Announced(count.max(counted)),
            Makes::Unknown | Makes::Told(_) | Makes::Beyond => makes,
        };
        Some(Act { what, makes })
    }
}

impl Holder {
    /// Puts a request to whoever decides: a rule of the holder, a setting, a person.
    pub(super) fn ask(&mut self, mut pending: Pending, step: &mut Step<'_, '_>) {
        if self.keys.is_locked() && pending.work.needs_keys() {
            return self.busy_locked(&pending.ticket, step);
        }
        if self.is_blocked(&pending, step) {
            return;
        }
        let decide = self.options.decide;
        match decide {
            Decide::Approve => {
                let outcome = self.do_work(&mut pending, By::Setting, step);
                self.say_settled(&pending, outcome, step);
            }
            Decide::Refuse => {
                let reason = "by --decide refuse";
                let outcome = self.end_pending(&pending, Outcome::Refuse, reason, step);
                self.say_settled(&pending, outcome, step);
            }
            Decide::Nobody | Decide::Ask if self.fire(&mut pending, step) => {}
            Decide::Nobody => {
                let line = pending.asked.line();
                step.say(format!(
                    "busy: nobody can be asked without a terminal: {line}"
                ));
                self.busy(&pending.ticket, step);
            }
            Decide::Ask if self.is_quiet(&pending, step) => {}
            Decide::Ask => self.ask_person(pending, step),
        }
    }

    pub(super) fn say_locked(&mut self, step: &mut Step<'_, '_>) {
        if self.lock_trouble == Said::NotYet {
            self.lock_trouble = Said::Already;
            step.say("a request was answered busy: the authenticator is locked");
        }
    }

    /// Takes an answer: it covers the parts up to `last`.
    pub(super) fn on_decide(
        &mut self,
        question: QuestionId,
        answer: Answer,
        last: PartId,
        step: &mut Step<'_, '_>,
    ) {
        // It may have expired or been withdrawn in this very moment.
        let Some(asking) = self.questions.remove(&question) else {
            return;
        };
        // What came in the moment of the key raises no count either.
        let counted = asking.parts.iter().filter(|it| it.id <= last).count();
        let announced = asking.act(counted).and_then(|it| it.announced());
        let (mut counted, rest): (Vec<_>, Vec<_>) =
            asking.parts.into_iter().partition(|it| it.id <= last);
        let how = self.answer(&mut counted, answer, announced, step);
        step.actions.push(Action::Settle { question, how });
        for pending in rest {
            self.ask(pending, step);
        }
    }

    pub(super) fn tick_questions(&mut self, step: &mut Step<'_, '_>) {
        let now_ms = step.now.mono_ms;
        let is_over = |pending: &Pending| now_ms >= pending.deadline_ms;
        self.end_questions(is_over, Outcome::Expire, NOBODY_ANSWERED, step);
    }

    /// Ends the requests that `which` names, all with one outcome, and their questions with them
    /// where nothing else waits there.
    pub(super) fn end_questions(
        &mut self,
        which: impl Fn(&Pending) -> bool,
        outcome: Outcome,
        reason: &str,
        step: &mut Step<'_, '_>,
    ) {
        let own = self.questions.iter();
        let ids: Vec<QuestionId> = own
            .filter(|(_, it)| it.parts.iter().any(&which))
            .map(|(id, _)| *id)
            .collect();
        for question in ids {
            let Some(mut asking) = self.questions.remove(&question) else {
                continue;
            };
            let parts = std::mem::take(&mut asking.parts);
            let (ended, rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(&which);
            let mut how = String::new();
            for pending in &ended {
                how = self.end_one(pending, outcome, reason, step);
            }
            if rest.is_empty() {
                step.actions.push(Action::Settle { question, how });
            } else {
                let asking = Asking {
                    parts: rest,
                    ..asking
                };
                self.show(question, asking, step);
            }
        }
    }

    fn end_one(
        &mut self,
        pending: &Pending,
        outcome: Outcome,
        reason: &str,
        step: &mut Step<'_, '_>,
    ) -> String {
        let workstation = self.name_of(&pending.ticket.peer);
        let outcome = self.end_pending(pending, outcome, reason, step);
        if outcome == Outcome::Expire {
            self.go_quiet(pending, step);
        }
        if outcome == Outcome::Withdraw {
            return format!("{} by {workstation}", ended(outcome));
        }
        ended(outcome).to_owned()
    }

    /// A question that has other parts now.
    fn show(&mut self, id: QuestionId, asking: Asking, step: &mut Step<'_, '_>) {
        if let Some(question) = self.question_of(id, &asking) {
            step.actions.push(Action::Update(question));
        }
        self.questions.insert(id, asking);
    }

    fn ask_person(&mut self, mut pending: Pending, step: &mut Step<'_, '_>) {
        if !pending.is_acked {
            self.ack(&pending.ticket, step);
            pending.is_acked = true;
        }
        let now = step.now;
        pending.is_beyond = pending
            .wanted
            .as_ref()
            .is_some_and(|it| self.grants.is_act_over(it, now));
        pending.id = PartId(self.part_next);
        self.part_next = self.part_next.saturating_add(1);
        let group = pending.wanted.as_ref().and_then(|it| {
            let intent = pending.intent.as_ref();
            Group::of(it.pairing, it.key, &pending.asked, intent)
        });
        let mut open = self.questions.iter();
        let same = open.find(|(_, it)| group.is_some() && it.group == group);
        if let Some((id, mut asking)) = same
            .map(|(id, _)| *id)
            .and_then(|id| Some((id, self.questions.remove(&id)?)))
        {
            asking.parts.push(pending);
            return self.show(id, asking, step);
        }
        let id = QuestionId(self.question_next);
        self.question_next = self.question_next.saturating_add(1);
        let asking = Asking {
            group,
            act: act_of(&pending),
            parts: vec![pending],
        };
        if let Some(question) = self.question_of(id, &asking) {
            step.actions.push(Action::Ask(question));
        }
        self.questions.insert(id, asking);
    }

    /// A question as it is shown.
    fn question_of(&self, id: QuestionId, asking: &Asking) -> Option<Question> {
        let part = |it: &Pending| Part {
            id: it.id,
            asked: it.asked.clone(),
            deadline_ms: it.deadline_ms,
        };
        let (first, others) = asking.parts.split_first()?;
        Some(Question {
            id,
            workstation: self.name_of(&first.ticket.peer),
            first: part(first),
            others: others.iter().map(part).collect(),
            act: asking.act(asking.parts.len()),
            choices: choices_of(&asking.parts),
        })
    }

    fn say_settled(&mut self, pending: &Pending, outcome: Outcome, step: &mut Step<'_, '_>) {
        let workstation = self.name_of(&pending.ticket.peer);
        step.say(format!(
            "{}: {workstation}: {}",
            ended(outcome),
            pending.asked.line()
        ));
    }
}

/// The act that a request is part of, as it says itself.
fn act_of(first: &Pending) -> Option<Act> {
    let intent = first.intent.as_ref()?;
    let wanted = first.wanted.as_ref()?;
    let makes = match intent.count {
        _ if first.is_beyond => Makes::Beyond,
        Some(count) if !(2..=COUNT_MAX).contains(&count) => Makes::Unknown,
        Some(count) if wanted.act.is_some() => Makes::Announced(count),
        Some(count) => Makes::Told(count),
        None => Makes::Unknown,
    };
    Some(Act {
        what: Safe(&intent.what).to_string(),
        makes,
    })
}

/// What may be answered beside yes and no to all of these.
fn choices_of(parts: &[Pending]) -> Choices {
    let scope_of = |it: &Pending| it.wanted.as_ref().and_then(|it| it.scope.clone());
    let Some(first) = parts.first() else {
        return Choices::default();
    };
    let scope =
        scope_of(first).filter(|scope| parts.iter().all(|it| scope_of(it).as_ref() == Some(scope)));
    let form = scope.and_then(|it| match it {
        Scope::Login { .. } => Some(OfferForm::Host),
        Scope::Git { .. } | Scope::Purpose { .. } => Some(OfferForm::Kind),
        Scope::Act { .. } => None,
    });
    let blocked = Blocked::of(&first.asked);
    let is_one_block = parts.iter().all(|it| Blocked::of(&it.asked) == blocked);
    Choices {
        grant: form.map(|form| Offer {
            form,
            what: grant_words(&first.asked),
        }),
        block: is_one_block.then(|| block_words(&first.asked)),
    }
}
