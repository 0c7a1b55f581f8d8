//! What is wanted of one relay: subscriptions, and the items to post.
//!
//! Invariant: the desk outlives every connection to its relay. A connection reads
//! from it what to do and writes back only what the relay confirmed; so a lost
//! connection loses nothing, and the next one repeats at most what was not confirmed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::event::{MailboxId, ReadToken, WriteToken};

/// The desk, shared by [`Net`](crate::Net) and the task that serves the relay.
#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<DeskState>,
    /// Told whenever something is wanted anew.
    pub(crate) changed: Notify,
}

impl Desk {
    /// The state; never held across an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is wanted and tells the task.
    pub(crate) fn change(&self, change: impl FnOnce(&mut DeskState)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }
}

/// What is wanted of the relay.
#[derive(Default)]
pub(crate) struct DeskState {
    subscriptions: BTreeMap<MailboxId, ReadToken>,
    pub(crate) outbox: Outbox,
    /// The relay is to be let go of.
    pub(crate) closing: bool,
}

impl DeskState {
    /// Wants a mailbox.
    pub(crate) fn subscribe(&mut self, mailbox: MailboxId, read_token: ReadToken) {
        let full = self.subscriptions.len() >= SUBSCRIPTIONS_MAX;
        if full && !self.subscriptions.contains_key(&mailbox) {
            tracing::warn!("too many mailboxes at one relay");
            return;
        }
        self.subscriptions.insert(mailbox, read_token);
    }

    pub(crate) fn unsubscribe(&mut self, mailbox: &MailboxId) -> bool {
        self.subscriptions.remove(mailbox).is_some()
    }

    /// The token of a mailbox that is wanted.
    pub(crate) fn read_token(&self, mailbox: &MailboxId) -> Option<ReadToken> {
        self.subscriptions.get(mailbox).copied()
    }

    pub(crate) fn mailboxes(&self) -> impl Iterator<Item = (&MailboxId, &ReadToken)> {
        self.subscriptions.iter()
    }
}

/// One call that waits for the relay.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) mailbox: MailboxId,
    pub(crate) call: Call,
    queued: Instant,
}

/// What the call does.
#[derive(Clone)]
pub(crate) enum Call {
    Post {
        write_token: WriteToken,
        item: bytes::Bytes,
    },
    Delete {
        read_token: ReadToken,
    },
}

impl Job {
    pub(crate) fn new(mailbox: MailboxId, call: Call) -> Self {
        Self {
            mailbox,
            call,
            queued: Instant::now(),
        }
    }

    fn bytes(&self) -> usize {
        match &self.call {
            Call::Post { item, .. } => item.len(),
            Call::Delete { .. } => 0,
        }
    }
}

/// Calls in order, the first `sent` of them on their way and not yet confirmed.
#[derive(Default)]
pub(crate) struct Outbox {
    jobs: VecDeque<Job>,
    sent: usize,
    bytes: usize,
}

impl Outbox {
    /// Queues a call. At the bound the oldest that is not on its way is dropped: what a
    /// peer repeats is the newest, and the oldest is nearest to being of no use.
    pub(crate) fn push(&mut self, job: Job) {
        while self.jobs.len() >= OUTBOX_JOBS_MAX
            || self.bytes.saturating_add(job.bytes()) > OUTBOX_BYTES_MAX
        {
            let Some(dropped) = self.jobs.remove(self.sent) else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(dropped.bytes());
        }
        self.bytes = self.bytes.saturating_add(job.bytes());
        self.jobs.push_back(job);
    }

    /// A new connection: what was not confirmed is to be sent again, unless nobody waits for it now.
    pub(crate) fn rewind(&mut self, now: Instant) {
        self.sent = 0;
        self.jobs.retain(|job| {
            matches!(job.call, Call::Delete { .. }) || now.duration_since(job.queued) < ITEM_AGE_MAX
        });
        self.bytes = self.jobs.iter().map(Job::bytes).sum();
    }

    /// The next call to send, which is then on its way.
    pub(crate) fn next_to_send(&mut self) -> Option<Job> {
        let job = self.jobs.get(self.sent).cloned()?;
        self.sent = self.sent.saturating_add(1);
        Some(job)
    }

    /// Whether the relay's next confirmation is for this mailbox.
    pub(crate) fn awaits(&self, mailbox: &MailboxId) -> bool {
        self.sent > 0 && self.jobs.front().is_some_and(|job| &job.mailbox == mailbox)
    }

    /// Whether anything is on its way.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent > 0
    }

    /// The oldest call on its way is done with.
    pub(crate) fn confirm(&mut self) -> Option<Job> {
        if self.sent == 0 {
            return None;
        }
        let job = self.jobs.pop_front()?;
        self.sent -= 1;
        self.bytes = self.bytes.saturating_sub(job.bytes());
        Some(job)
    }
}

/// Mailboxes read at one relay. Why: three days for each of 341 pairings.
const SUBSCRIPTIONS_MAX: usize = 1_024;

/// Calls that wait for one relay. Why: a relay takes no more into one mailbox.
const OUTBOX_JOBS_MAX: usize = 256;

/// Their bytes. Why: as above.
const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Age at which an item that was never sent is of no use. Why: a handshake over
/// a relay has 60 s (`spec/pairing.md` section 3.2), and no message waits longer.
const ITEM_AGE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn post(mailbox: u8, bytes: usize) -> Job {
        Job::new(
            [mailbox; 16],
            Call::Post {
                write_token: [0; 32],
                item: vec![mailbox; bytes].into(),
            },
        )
    }

    fn order(outbox: &Outbox) -> Vec<u8> {
        outbox.jobs.iter().map(|job| job.mailbox[0]).collect()
    }

    #[tokio::test]
    async fn what_was_not_confirmed_is_sent_again_in_order() {
        let mut outbox = Outbox::default();
        (1..=3).for_each(|n| outbox.push(post(n, 1)));
        assert_eq!(outbox.next_to_send().unwrap().mailbox[0], 1);
        assert_eq!(outbox.next_to_send().unwrap().mailbox[0], 2);
        assert!(outbox.awaits(&[1; 16]) && !outbox.awaits(&[2; 16]));
        assert_eq!(outbox.confirm().unwrap().mailbox[0], 1);
        outbox.rewind(Instant::now());
        assert!(!outbox.has_sent());
        assert!(outbox.confirm().is_none(), "nothing is on its way");
        assert_eq!(outbox.next_to_send().unwrap().mailbox[0], 2);
        assert_eq!(outbox.next_to_send().unwrap().mailbox[0], 3);
        assert!(outbox.next_to_send().is_none());
    }

    #[tokio::test]
    async fn the_bounds_drop_the_oldest_that_is_not_on_its_way() {
        let mut outbox = Outbox::default();
        for n in 0..4 {
            outbox.push(post(n, OUTBOX_BYTES_MAX / 4));
        }
        outbox.next_to_send();
        outbox.push(post(9, 1));
        assert_eq!(order(&outbox), [0, 2, 3, 9]);

        let mut outbox = Outbox::default();
        (0..OUTBOX_JOBS_MAX + 10).for_each(|_| outbox.push(post(7, 0)));
        assert_eq!(outbox.jobs.len(), OUTBOX_JOBS_MAX);
        while outbox.next_to_send().is_some() {}
        outbox.push(post(8, 0));
        assert!(!order(&outbox).contains(&8), "all others are on their way");
    }

    #[tokio::test]
    async fn an_old_item_is_not_sent_but_a_deletion_is() {
        let mut outbox = Outbox::default();
        outbox.push(post(1, 1));
        outbox.push(Job::new(
            [2; 16],
            Call::Delete {
                read_token: [0; 32],
            },
        ));
        let later = Instant::now() + ITEM_AGE_MAX;
        let mut young = post(3, 1);
        young.queued = later;
        outbox.push(young);
        outbox.rewind(later);
        assert_eq!((order(&outbox), outbox.bytes), (vec![2, 3], 1));
    }
}
