//! When the authenticator is asked for its keys and addresses anew.
//!
//! Invariant: however often somebody looks, few of the ids that an authenticator keeps for a
//! pairing (`spec/pairing.md` section 5.5) go into looking.

use keystead_core::RequestBody;

use super::{Keeper, OWN_WAIT_S, Purpose};
use crate::Refresh;
use crate::route::Route;
use crate::step::Step;

impl Keeper {
    /// The authenticator answers: the pairing works, and may have news.
    pub(super) fn note_use(&mut self, step: &mut Step<'_, '_>) {
        if !self.record.is_used {
            self.record.is_used = true;
            self.save_later(step);
        }
        let age_s = step.now.unix_s.saturating_sub(self.record.me_unix_s);
        let may_ask = step.now_ms() >= self.address_asked_ms.saturating_add(ADDRESS_AGAIN_MS);
        // An authenticator that listens only since it was paired is learned of before a day is over.
        let is_first = !std::mem::replace(&mut self.was_heard, true);
        let is_due = age_s >= REFRESH_S
            || (is_first && age_s.saturating_mul(1_000) >= ADDRESS_AGAIN_MS)
            || (self.address_failed && may_ask);
        if is_due && self.refresh(step) && std::mem::take(&mut self.address_failed) {
            self.address_asked_ms = step.now_ms();
        }
    }

    /// Somebody looks at the keys: they are asked for anew, where that is due.
    pub(crate) fn refresh_for(&mut self, looks: Refresh, step: &mut Step<'_, '_>) {
        let now_ms = step.now_ms();
        if self.is_unpairing() || self.is_ended || !self.pace.allows(looks, now_ms) {
            return;
        }
        match looks {
            Refresh::ForProgram if !self.routes.iter().any(Route::is_heard) => return,
            Refresh::ForProgram => {}
            Refresh::ForPerson => {
                self.pace.person_ms = Some(now_ms);
                // Who types a command may just have woken the authenticator.
                self.routes.iter_mut().for_each(|it| it.retry_now(now_ms));
            }
        }
        if !self.refresh(step) {
            // Asked already, and still asked.
            self.note_refresh(now_ms);
        }
        self.pump(step);
    }

    /// Asks for keys and addresses anew; says whether it did now.
    pub(super) fn refresh(&mut self, step: &mut Step<'_, '_>) -> bool {
        self.refresh_ms = None;
        let now_ms = step.now_ms();
        let mut open = self.questions.values().filter(|it| !it.is_over);
        let asks_already = open.any(|it| {
            it.purpose == Purpose::Refresh && it.ends_ms >= now_ms.saturating_add(LEFT_MS_MIN)
        });
        if asks_already || self.is_unpairing() || self.is_ended {
            return false;
        }
        self.note_refresh(now_ms);
        let body = RequestBody::Me { nonce_c: None };
        // It has no payload, so it is never too long.
        let _ = self.open(Purpose::Refresh, body, OWN_WAIT_S, step);
        true
    }

    fn note_refresh(&mut self, now_ms: u64) {
        self.pace.note(now_ms);
        self.unanswered_ms = Some(now_ms);
    }
}

/// How often keys are asked for: a pause between two times, and so many a day.
#[derive(Default)]
pub(super) struct Pace {
    /// When they were last asked for.
    last_ms: Option<u64>,
    /// When a person last looked. Why apart: a login has a program look, and a person who looks
    /// behind it wants to see what is there now.
    person_ms: Option<u64>,
    /// Each time moves this on by its share of a day, from now at the least.
    spent_ms: u64,
}

impl Pace {
    /// May they be asked for now?
    fn allows(&self, looks: Refresh, now_ms: u64) -> bool {
        let (last_ms, pause_ms) = match looks {
            Refresh::ForPerson => (self.person_ms, PERSON_PAUSE_MS),
            Refresh::ForProgram => (self.last_ms, PROGRAM_PAUSE_MS),
        };
        let has_rested = |last_ms: u64| now_ms >= last_ms.saturating_add(pause_ms);
        last_ms.is_none_or(has_rested) && self.spent_ms <= now_ms.saturating_add(DAY_MS)
    }

    fn note(&mut self, now_ms: u64) {
        self.last_ms = Some(now_ms);
        self.spent_ms = self.spent_ms.max(now_ms).saturating_add(SHARE_MS);
    }
}

/// Keys and addresses are asked for anew when a channel opens and a day has passed, or when
/// it is the first of this process.
const REFRESH_S: u64 = 86_400;

/// After an address failed, or at the first channel, they are not asked for again sooner. Why:
/// away from home an address fails at every login, and its answer is the same.
const ADDRESS_AGAIN_MS: u64 = 10 * 60 * 1_000;

/// A question that is open still is asked on, if it stays open for so long. Why: who asks now
/// waits for no more (the agent's patience).
const LEFT_MS_MIN: u64 = 2_000;

/// Pause between two looks of a person. Why: a `watch` of a list is no reason for more.
const PERSON_PAUSE_MS: u64 = 10_000;

/// Pause between two looks of programs. Why: `ssh` lists the keys at each login.
const PROGRAM_PAUSE_MS: u64 = 60_000;

const DAY_MS: u64 = 86_400_000;

/// A thousandth of a day. Why: 1,000 looks at once, and 1,000 a day, leave four fifths of the
/// 10,000 ids that a pairing has in 24 h to signatures.
const SHARE_MS: u64 = DAY_MS / 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_have_a_pause_between_them() {
        let check = |first, then, since_ms, expected| {
            let mut pace = Pace::default();
            assert!(pace.allows(first, 7));
            look(&mut pace, first, 7);
            assert_eq!(pace.allows(then, 7 + since_ms), expected, "{since_ms}");
        };
        let (person, program) = (Refresh::ForPerson, Refresh::ForProgram);
        check(person, person, 0, false);
        check(person, person, PERSON_PAUSE_MS - 1, false);
        check(person, person, PERSON_PAUSE_MS, true);
        check(person, program, PROGRAM_PAUSE_MS - 1, false);
        check(person, program, PROGRAM_PAUSE_MS, true);
        check(program, program, PROGRAM_PAUSE_MS - 1, false);
        check(program, program, PROGRAM_PAUSE_MS, true);
        check(program, person, 0, true);
    }

    fn look(pace: &mut Pace, looks: Refresh, now_ms: u64) {
        pace.note(now_ms);
        if looks == Refresh::ForPerson {
            pace.person_ms = Some(now_ms);
        }
    }

    #[test]
    fn somebody_who_looks_all_the_time_leaves_ids_for_signatures() {
        let mut pace = Pace::default();
        let mut looks = Vec::new();
        for now_ms in (0..3 * DAY_MS).step_by(1_000) {
            if pace.allows(Refresh::ForPerson, now_ms) {
                look(&mut pace, Refresh::ForPerson, now_ms);
                looks.push(now_ms);
            }
        }
        let in_a_day = |from_ms: u64| {
            let of_it = |at_ms: &&u64| (from_ms..from_ms + DAY_MS).contains(*at_ms);
            looks.iter().filter(of_it).count()
        };
        let most = looks.iter().map(|at_ms| in_a_day(*at_ms)).max();
        assert!((1_990..=2_001).contains(&most.unwrap()), "{most:?}");
        assert!((990..=1_001).contains(&in_a_day(2 * DAY_MS)));
    }
}
