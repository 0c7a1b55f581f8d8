//! One WebSocket: its answers, its subscriptions, and whose turn it is.
//!
//! **Invariant:** at most one frame is on its way; items wait in their mailboxes,
//! not here.

use std::collections::{BTreeMap, VecDeque};

use keystead_daemon::Now;

use super::limits::Source;
use super::mailbox::Mailbox;
use super::message;
use super::token::MailboxId;

/// A WebSocket.
pub(super) struct Socket {
    pub(super) source: Source,
    /// Whether a frame may be sent: the last one went out.
    pub(super) has_room: bool,
    /// Answers, in the order of the messages. The carrier reads no message while
    /// a frame is on its way, so they are few.
    pub(super) replies: VecDeque<Vec<u8>>,
    pub(super) subscriptions: BTreeMap<MailboxId, Subscription>,
    /// Subscriptions with something to send, each once: all have their turn.
    ready: VecDeque<MailboxId>,
}

/// How far one mailbox was read here.
pub(super) struct Subscription {
    /// The last cursor that was sent.
    sent: u64,
    is_ready: bool,
}

impl Socket {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            has_room: true,
            replies: VecDeque::new(),
            subscriptions: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// Reads on after a cursor. An acknowledgement behind what was sent does not
    /// send it again.
    pub(super) fn subscribe(&mut self, id: MailboxId, after: u64) {
        let fresh = Subscription {
            sent: after,
            is_ready: false,
        };
        let subscription = self.subscriptions.entry(id).or_insert(fresh);
        subscription.sent = subscription.sent.max(after);
        self.make_ready(id);
    }

    /// There may be something to send of this mailbox.
    pub(super) fn make_ready(&mut self, id: MailboxId) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if !subscription.is_ready {
            subscription.is_ready = true;
            self.ready.push_back(id);
        }
    }

    /// The next frame, if one may be sent: answers first, then an item of each
    /// subscription in turn.
    pub(super) fn next_frame(
        &mut self,
        now: Now,
        mailboxes: &BTreeMap<MailboxId, Mailbox>,
    ) -> Option<Vec<u8>> {
        if !self.has_room {
            return None;
        }
        let reply = self.replies.pop_front();
        let frame = reply.or_else(|| self.next_item(now, mailboxes))?;
        self.has_room = false;
        Some(frame)
    }

    fn next_item(&mut self, now: Now, mailboxes: &BTreeMap<MailboxId, Mailbox>) -> Option<Vec<u8>> {
        while let Some(id) = self.ready.pop_front() {
            let Some(subscription) = self.subscriptions.get_mut(&id) else {
                continue;
            };
            let sent = subscription.sent;
            let mailbox = mailboxes.get(&id);
            let next = mailbox.and_then(|found| found.next(now.mono_ms, sent, u64::MAX));
            let Some(item) = next else {
                subscription.is_ready = false;
                continue;
            };
            subscription.sent = item.cursor;
            self.ready.push_back(id);
            return Some(message::item(&id, item.cursor, &item.bytes));
        }
        None
    }
}
