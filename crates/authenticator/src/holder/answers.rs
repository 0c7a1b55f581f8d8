//! What a person's answer does.
//!
//! **Invariant**: only an answer makes a grant or a block, and only for what the question of
//! that answer was about.

use keystead_core::Outcome;

use super::pending::{By, Pending, Work};
use super::{Holder, Step};
use crate::entry::Entry;
use crate::grants::{Blocked, Wanted, Words, block_words, grant_words, granted_words};
use crate::keyring::Chosen;
use crate::question::{Answer, Term};
use crate::show::Safe;

impl Holder {
    /// Answers the requests that were counted; says how it ended, for the person.
    pub(super) fn answer(
        &mut self,
        counted: &mut [Pending],
        answer: Answer,
        announced: Option<u32>,
        step: &mut Step<'_, '_>,
    ) -> String {
        let outcomes: Vec<Outcome> = match answer {
            Answer::Approve | Answer::ApproveWaiting | Answer::Grant(_) => {
                self.approve(counted, step)
            }
            Answer::Refuse | Answer::Block => self.say_no(counted, step),
        };
        let mut how = ended_all(&outcomes);
        let Some(first) = counted.first() else {
            return how;
        };
        let approved = outcomes.iter().filter(|it| **it == Outcome::Approve);
        let approved = u32::try_from(approved.count()).unwrap_or(u32::MAX);
        let more = match (answer, announced) {
            (Answer::Grant(term), _) if approved > 0 => self.grant(first, term, step),
            (Answer::Approve, Some(count)) if approved > 0 => {
                self.approve_act(first, count.saturating_sub(approved), step)
            }
            (Answer::Block, _) => self.block(first, step),
            _ => None,
        };
        if let Some(more) = more {
            how.push_str("; ");
            how.push_str(&more);
        }
        how
    }

    fn approve(&mut self, counted: &mut [Pending], step: &mut Step<'_, '_>) -> Vec<Outcome> {
        let together = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        let mut outcomes = Vec::with_capacity(counted.len());
        for pending in &mut *counted {
            let outcome = if step.now.mono_ms >= pending.deadline_ms {
                self.end_pending(pending, Outcome::Expire, NOBODY_ANSWERED, step)
            } else {
                self.do_work(pending, By::Person { together }, step)
            };
            outcomes.push(outcome);
        }
        if let Some(origin) = counted.first().and_then(Pending::background) {
            self.quiet.end(origin.0, origin.1);
        }
        outcomes
    }

    fn say_no(&mut self, counted: &[Pending], step: &mut Step<'_, '_>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(counted.len());
        for pending in counted {
            let (outcome, reason) = if step.now.mono_ms >= pending.deadline_ms {
                (Outcome::Expire, NOBODY_ANSWERED)
            } else {
                (Outcome::Refuse, "")
            };
            outcomes.push(self.end_pending(pending, outcome, reason, step));
            self.go_quiet(pending, step);
        }
        outcomes
    }

    /// A program in the background was told no, or nobody answered it.
    pub(super) fn go_quiet(&mut self, pending: &Pending, step: &Step<'_, '_>) {
        if let Some((pairing, program)) = pending.background() {
            self.quiet.begin(pairing, program, step.now.mono_ms);
        }
    }

    /// Makes the grant that was answered.
    fn grant(&mut self, first: &Pending, term: Term, step: &mut Step<'_, '_>) -> Option<String> {
        let wanted = first.wanted.clone()?;
        let scope = wanted.scope.clone()?;
        let words = self.words_of(first, granted_words(&first.asked));
        let what = format!(
            "{} for {}, at most {} times",
            words.what,
            hours(term.lasts_s),
            term.count_max
        );
        Some(self.make_grant((&wanted, scope), term, words, &what, step))
    }

    /// Lets the rest of an announced act go on.
    fn approve_act(
        &mut self,
        first: &Pending,
        left: u32,
        step: &mut Step<'_, '_>,
    ) -> Option<String> {
        if left == 0 {
            return None;
        }
        let wanted = first.wanted.clone()?;
        let act = wanted.act.clone()?;
        let what = first.intent.as_ref().map(|it| Safe(&it.what).to_string())?;
        let words = self.words_of(first, format!("{} of {what}", grant_words(&first.asked)));
        let term = Term {
            lasts_s: ACT_S,
            count_max: left,
        };
        let what = format!("the next {left} of {what}, for {} minutes", ACT_S / 60);
        Some(self.make_grant((&wanted, act), term, words, &what, step))
    }

    /// Logs it, makes it durable, and says what came of it.
    fn make_grant(
        &mut self,
        wanted: (&Wanted, crate::grants::Scope),
        term: Term,
        words: Words,
        what: &str,
        step: &mut Step<'_, '_>,
    ) -> String {
        let id = self.grants.next_id();
        let mut entry = Entry::own(step.now.unix_s, "grant", Outcome::Approve);
        entry.words = Some(what.to_owned());
        entry.key.clone_from(&words.key);
        entry.workstation = Some(words.workstation.clone());
        entry.pairing = Some(wanted.0.pairing.to_string());
        entry.grant = Some(id);
        if self.log_own(&entry, step).is_err() {
            return "no grant: it could not be logged".to_owned();
        }
        match self
            .grants
            .grant(wanted, term, words, step.now, step.io.disk)
        {
            Ok(id) => format!("grant {id}: {what}"),
            Err(error) => format!("no grant: {error}"),
        }
    }

    /// Blocks what was answered so.
    fn block(&mut self, first: &Pending, step: &mut Step<'_, '_>) -> Option<String> {
        let what = block_words(&first.asked);
        let mut words = self.words_of(first, what.clone());
        words.key = None;
        let mut entry = Entry::own(step.now.unix_s, "block", Outcome::Approve);
        entry.words = Some(what.clone());
        entry.workstation = Some(words.workstation.clone());
        entry.pairing = Some(first.ticket.peer.to_string());
        entry.grant = Some(self.grants.next_id());
        if self.log_own(&entry, step).is_err() {
            return Some("not blocked: it could not be logged".to_owned());
        }
        let blocked = Blocked::of(&first.asked);
        let made = self
            .grants
            .block(first.ticket.peer, blocked, words, step.now, step.io.disk);
        Some(match made {
            Ok(id) => {
                format!("block {id}: {what}; keystead-authenticator grant revoke {id} ends it")
            }
            Err(error) => format!("not blocked: {error}"),
        })
    }

    fn words_of(&self, pending: &Pending, what: String) -> Words {
        let key = match &pending.work {
            Work::Sign { key, .. } | Work::Decrypt { key, .. } => match key {
                Chosen::Stored(id) => self.keys.entry(id).map(|it| it.name.to_string()),
                Chosen::Derived { identity, .. } => Some(identity.to_string()),
            },
            Work::MakeKey(..)
            | Work::Import(_)
            | Work::Remove(_)
            | Work::Hosts
            | Work::Approve(_)
            | Work::MakeApproval { .. }
            | Work::OpenLocal { .. } => None,
        };
        Words {
            workstation: self.name_of(&pending.ticket.peer).to_string(),
            key,
            what,
        }
    }
}

/// How a question ended, in words that a person reads.
pub(super) const fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Approve => "approved",
        Outcome::Refuse => "refused",
        Outcome::Expire => "expired: nobody answered in time",
        Outcome::Withdraw => "withdrawn",
        Outcome::Unpair => "ended with its pairing",
        Outcome::Busy => "answered busy: it could not be done or logged",
        Outcome::Block => "blocked: the host's key changed meanwhile",
        Outcome::Ack | Outcome::UnknownKey | Outcome::Unsupported | Outcome::Malformed | _ => {
            outcome.as_str()
        }
    }
}

/// How several ended.
fn ended_all(outcomes: &[Outcome]) -> String {
    match outcomes {
        [] => "asked again: it came as the key was pressed".to_owned(),
        [one] => ended(*one).to_owned(),
        [first, ..] if outcomes.iter().all(|it| it == first) => {
            format!("{} (all {})", ended(*first), outcomes.len())
        }
        all => {
            let mut counts: Vec<(Outcome, usize)> = Vec::new();
            for outcome in all {
                match counts.iter_mut().find(|(it, _)| it == outcome) {
                    Some((_, count)) => *count = count.saturating_add(1),
                    None => counts.push((*outcome, 1)),
                }
            }
            let words: Vec<String> = counts
                .iter()
                .map(|(outcome, count)| format!("{count} {}", ended(*outcome)))
                .collect();
            words.join(", ")
        }
    }
}

fn hours(seconds: u64) -> String {
    match seconds / 3_600 {
        1 => "1 hour".to_owned(),
        hours => format!("{hours} hours"),
    }
}

/// Why a request expired that a person was asked about.
pub(super) const NOBODY_ANSWERED: &str = "nobody answered in time";

/// 10 minutes: a rebase with conflicts to solve takes longer, and then asks again.
const ACT_S: u64 = 600;
