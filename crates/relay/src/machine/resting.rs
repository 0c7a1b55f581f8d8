//! Cursors of mailboxes that are empty and unread: remembered for as long as a
//! mailbox is used, so that a reader who comes back with its last cursor does not
//! acknowledge, unseen, items that were counted from 1 again.

use std::collections::{BTreeMap, BTreeSet};

use super::token::MailboxId;
use super::tombstones::REMEMBERED_S;

/// Last cursors of mailboxes at rest; the longest at rest goes first.
#[derive(Default)]
pub(super) struct Resting {
    cursors: BTreeMap<MailboxId, (u64, u64)>,
    order: BTreeSet<(u64, MailboxId)>,
}

impl Resting {
    /// A mailbox goes to rest.
    pub(super) fn put(&mut self, now_ms: u64, id: MailboxId, last: u64) {
        if last == 0 {
            return;
        }
        self.take(&id);
        self.cursors.insert(id, (last, now_ms));
        self.order.insert((now_ms, id));
        if self.cursors.len() > RESTING_MAX {
            self.drop_first();
        }
    }

    /// The last cursor of a mailbox at rest; 0 when it is not known.
    pub(super) fn last(&self, id: &MailboxId) -> u64 {
        self.cursors.get(id).map_or(0, |(last, _)| *last)
    }

    /// A mailbox is used again, or deleted; its last cursor, or 0.
    pub(super) fn take(&mut self, id: &MailboxId) -> u64 {
        let Some((last, since)) = self.cursors.remove(id) else {
            return 0;
        };
        self.order.remove(&(since, *id));
        last
    }

    /// Forgets those that nobody will use again.
    pub(super) fn sweep(&mut self, now_ms: u64) {
        let over = |since: u64| now_ms.saturating_sub(since) >= REMEMBERED_S * 1_000;
        while self.order.first().is_some_and(|(since, _)| over(*since)) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, id)) = self.order.pop_first() {
            self.cursors.remove(&id);
        }
    }
}

/// Mailboxes at rest that are remembered: 16 MiB. A forgotten one counts from 1
/// again, which a reader takes as a relay restarted.
pub const RESTING_MAX: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> MailboxId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        MailboxId::new(bytes)
    }

    #[test]
    fn a_cursor_is_kept_until_taken_or_over() {
        let mut resting = Resting::default();
        resting.put(5, id(1), 7);
        resting.put(6, id(2), 0);
        resting.put(9, id(1), 8);
        assert_eq!((resting.last(&id(1)), resting.last(&id(2))), (8, 0));
        resting.sweep(9 + REMEMBERED_S * 1_000 - 1);
        assert_eq!(resting.take(&id(1)), 8);
        assert_eq!(resting.take(&id(1)), 0);
        resting.put(9, id(1), 8);
        resting.sweep(9 + REMEMBERED_S * 1_000);
        assert_eq!(resting.last(&id(1)), 0);
        assert!(resting.order.is_empty());
    }

    #[test]
    fn the_longest_at_rest_makes_room() {
        let mut resting = Resting::default();
        for number in 0..=u32::try_from(RESTING_MAX).unwrap() {
            resting.put(u64::from(number), id(number), 1);
        }
        assert_eq!((resting.last(&id(0)), resting.last(&id(1))), (0, 1));
        assert_eq!(resting.cursors.len(), RESTING_MAX);
    }
}
