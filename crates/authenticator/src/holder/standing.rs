//! What is decided without a question: by a block, by a grant, by a pause.
//!
//! **Invariant**: a block comes before a grant, and a grant is used up by an answer whose log
//! entry names it and is durable; an answer that could not be logged uses nothing.

use keystead_core::{KeyEntry, Outcome};

use super::answers::ended;
use super::pending::{By, Pending};
use super::quiet::Verdict;
use super::{Holder, Step};
use crate::grants::{Blocked, KeyUse};
use crate::judge::algorithm_of;
use crate::keyring::Chosen;

impl Holder {
    /// Refuses what a block covers.
    pub(super) fn is_blocked(&mut self, pending: &Pending, step: &mut Step<'_, '_>) -> bool {
        let blocked = Blocked::of(&pending.asked);
        let Some(block) = self.grants.block_of(&pending.ticket.peer, &blocked) else {
            return false;
        };
        let id = block.id;
        let reason = format!("blocked by the holder: block {id}, {}", block.words.what);
        let workstation = self.name_of(&pending.ticket.peer);
        step.say(format!(
            "refused: {workstation}: {} (block {id})",
            pending.asked.line()
        ));
        self.end_pending(pending, Outcome::Refuse, &reason, step);
        true
    }

    /// Approves what a grant covers.
    pub(super) fn fire(&mut self, pending: &mut Pending, step: &mut Step<'_, '_>) -> bool {
        let wanted = pending.wanted.as_ref();
        let Some(grant) = wanted.and_then(|it| self.grants.find(it, step.now)) else {
            return false;
        };
        let (id, count_max) = (grant.id, grant.count_max);
        let used = grant.used.saturating_add(1);
        let outcome = self.do_work(pending, By::Grant { id, used }, step);
        if outcome == Outcome::Approve {
            self.grants.note_use(id, used, step.now);
        }
        let workstation = self.name_of(&pending.ticket.peer);
        step.say(format!(
            "{}: {workstation}: {} (grant {id}: {used} of {count_max})",
            ended(outcome),
            pending.asked.line()
        ));
        true
    }

    /// Refuses what a program asks in the background too soon after a no.
    pub(super) fn is_quiet(&mut self, pending: &Pending, step: &mut Step<'_, '_>) -> bool {
        let Some((pairing, program)) = pending.background() else {
            return false;
        };
        let verdict = self.quiet.judge(pairing, program, step.now.mono_ms);
        let left_s = match verdict {
            Verdict::Ask => return false,
            Verdict::RefuseAndSay { left_s } | Verdict::Refuse { left_s } => left_s,
        };
        let reason = format!(
            "it asks in the background again after a no: not asked about for another {left_s} s"
        );
        if matches!(verdict, Verdict::RefuseAndSay { .. }) {
            let workstation = self.name_of(&pairing);
            step.say(format!(
                "refused: {workstation}: {} ({reason})",
                pending.asked.line()
            ));
        }
        self.end_pending(pending, Outcome::Refuse, &reason, step);
        true
    }

    /// How a key may be used; one of a type that is not known here is asked for each time.
    pub(super) fn key_use(&self, chosen: &Chosen, entry: &KeyEntry) -> KeyUse {
        let limits = match chosen {
            Chosen::Stored(id) => self.keys.custody(id).map(|it| &it.constraints),
            Chosen::Derived { .. } => None,
        };
        match algorithm_of(entry) {
            Some(it) if !it.has_presence() && limits.is_none_or(|it| !it.confirm) => KeyUse::Free,
            Some(_) | None => KeyUse::AskEachTime,
        }
    }

    /// Says which grants are over, with how often they were used.
    pub(super) fn tick_grants(&mut self, step: &mut Step<'_, '_>) {
        for grant in self.grants.end(step.now, step.io.disk) {
            step.say(format!(
                "grant {} is over: {}, used {} of {} times",
                grant.id, grant.words.what, grant.used, grant.count_max
            ));
        }
    }
}
