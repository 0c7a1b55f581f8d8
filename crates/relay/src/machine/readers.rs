//! Who waits for items gets them: long polls once, WebSockets one frame at a time.
//!
//! **Invariant:** a call leaves `calls`, `deadlines` and its mailbox's readers
//! together, when it is answered or hung up.

use keystead_daemon::Now;

use super::mailbox::{Mailbox, Reader};
use super::relay::{Relay, Waiting};
use super::token::MailboxId;
use super::{Action, Answer, CallId, Records, Refusal, SocketId, message};

impl Relay {
    /// What a reader at `after` gets now, if anything.
    pub(super) fn records(&self, now: Now, mailbox: MailboxId, after: u64) -> Option<Records> {
        let found = self.mailboxes.get(&mailbox)?;
        let upto = found.last();
        found.next(now.mono_ms, after, upto)?;
        Some(Records {
            mailbox,
            after,
            upto,
        })
    }

    /// An item came: whoever waits gets it.
    pub(super) fn wake_readers(&mut self, now: Now, id: MailboxId, actions: &mut Vec<Action>) {
        let readers = self.mailboxes.get(&id).map(Mailbox::readers);
        for reader in readers.unwrap_or_default() {
            match reader {
                Reader::Call(call) => {
                    let after = self.calls.get(&call).map_or(0, |waiting| waiting.after);
                    let Some(records) = self.records(now, id, after) else {
                        continue;
                    };
                    self.end_wait(now, call);
                    let answer = Answer::Items(records);
                    actions.push(Action::Answer { call, answer });
                }
                Reader::Socket(socket) => {
                    if let Some(open) = self.sockets.get_mut(&socket) {
                        open.make_ready(id);
                    }
                    self.pump(now, socket, actions);
                }
            }
        }
    }

    /// Sends the next frame, if the last one went out.
    pub(super) fn pump(&mut self, now: Now, socket: SocketId, actions: &mut Vec<Action>) {
        let Some(open) = self.sockets.get_mut(&socket) else {
            return;
        };
        if let Some(frame) = open.next_frame(now, &self.mailboxes) {
            actions.push(Action::Send { socket, frame });
        }
    }

    /// The mailbox of a reader was deleted.
    pub(super) fn end_reader(
        &mut self,
        now: Now,
        id: MailboxId,
        reader: Reader,
        told: bool,
        actions: &mut Vec<Action>,
    ) {
        match reader {
            Reader::Call(call) => {
                self.forget_call(call);
                let answer = Answer::Refuse(Refusal::Deleted);
                actions.push(Action::Answer { call, answer });
            }
            Reader::Socket(socket) => {
                if let Some(open) = self.sockets.get_mut(&socket) {
                    open.subscriptions.remove(&id);
                    if told {
                        let gone = message::refused(&id, Refusal::Deleted);
                        open.replies.push_back(gone);
                    }
                }
                self.pump(now, socket, actions);
            }
        }
    }

    /// Ends the long polls that are due with nothing.
    pub(super) fn end_waits(&mut self, now: Now, due_ms: u64, actions: &mut Vec<Action>) {
        while let Some(&(at_ms, call)) = self.deadlines.first() {
            if at_ms > due_ms {
                return;
            }
            self.end_wait(now, call);
            let answer = Answer::Done;
            actions.push(Action::Answer { call, answer });
        }
    }

    /// A long poll waits no more.
    pub(super) fn end_wait(&mut self, now: Now, call: CallId) {
        let Some(waiting) = self.forget_call(call) else {
            return;
        };
        if let Some(mailbox) = self.mailboxes.get_mut(&waiting.mailbox) {
            mailbox.remove_reader(Reader::Call(call));
        }
        self.rest(now, waiting.mailbox);
    }

    /// A WebSocket is gone.
    pub(super) fn close(&mut self, now: Now, socket: SocketId) {
        let Some(open) = self.sockets.remove(&socket) else {
            return;
        };
        for id in open.subscriptions.into_keys() {
            if let Some(mailbox) = self.mailboxes.get_mut(&id) {
                mailbox.remove_reader(Reader::Socket(socket));
            }
            self.rest(now, id);
        }
    }

    fn forget_call(&mut self, call: CallId) -> Option<Waiting> {
        let waiting = self.calls.remove(&call)?;
        self.deadlines.remove(&(waiting.until_ms, call));
        Some(waiting)
    }
}
