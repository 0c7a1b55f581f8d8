//! How things stand, for a person who looks: keepers are asked for their keys anew first.
//!
//! **Invariant:** a person waits for keepers that do not answer [`PATIENCE_MS`] at the most, however
//! many there are; who did not answer is said ([`Keeper::silent`](crate::control::Keeper::silent)).
//! Programs never wait: what they list is what is known.

use keystead_keeper::{self as keeper, Refresh};

use crate::agent::{Agent, Turn};
use crate::control::Reply;
use crate::ids::ClientId;

impl Agent {
    /// Asks the keepers, and answers when all have told or the patience is over.
    pub(crate) fn refresh(&mut self, turn: &mut Turn<'_, '_>, client: ClientId) {
        self.tell_keepers(turn, keeper::Event::Refresh(Refresh::ForPerson));
        let ends_ms = turn.now.mono_ms.saturating_add(PATIENCE_MS);
        self.looking.insert(client, ends_ms);
    }

    /// Answers those who have waited long enough.
    pub(crate) fn answer_looking(&mut self, turn: &mut Turn<'_, '_>) {
        if self.looking.is_empty() {
            return;
        }
        let until_ms = self.until_told_ms();
        let now_ms = turn.now.mono_ms;
        let looking = std::mem::take(&mut self.looking);
        for (client, ends_ms) in looking {
            if now_ms >= ends_ms.min(until_ms) {
                let status = self.status();
                turn.reply(client, Reply::Status(status));
            } else {
                self.looking.insert(client, ends_ms);
            }
        }
    }

    /// When [`Agent::answer_looking`] is due.
    pub(crate) fn looking_wake_ms(&self) -> Option<u64> {
        let first_ms = self.looking.values().min()?;
        Some((*first_ms).min(self.until_told_ms()))
    }

    /// Until when it is worth to wait for the keepers; 0: not at all.
    fn until_told_ms(&self) -> u64 {
        let views = self.keepers.pairings().into_iter();
        until_told_ms(views.map(|it| it.unanswered_ms))
    }
}

fn until_told_ms(unanswered_ms: impl Iterator<Item = Option<u64>>) -> u64 {
    let ends_ms = unanswered_ms
        .flatten()
        .map(|it| it.saturating_add(PATIENCE_MS));
    ends_ms.max().unwrap_or(0)
}

/// How long a keeper may take to tell its keys. Why: a phone that is awake answers through a relay
/// within a second; one that sleeps is not waited for.
const PATIENCE_MS: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_owes_an_answer_is_waited_for_and_all_at_once() {
        let check = |unanswered_ms: &[Option<u64>], expected| {
            assert_eq!(until_told_ms(unanswered_ms.iter().copied()), expected);
        };
        check(&[], 0);
        check(&[None, None], 0);
        check(&[None, Some(500)], 500 + PATIENCE_MS);
        check(&[Some(900), Some(500), None], 900 + PATIENCE_MS);
        check(&[Some(u64::MAX)], u64::MAX);
    }
}
