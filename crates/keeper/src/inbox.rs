//! The mailboxes that a pairing is read from: yesterday's, today's and
//! tomorrow's, at each of its relays.
//!
//! Invariant: what is subscribed to is what these days and relays ask for, and no more.

use std::sync::Arc;

use keystead_channel::mailbox::{Mailbox, MailboxDirection, days_to_read};
use keystead_core::Secret;
use keystead_transport::{NetAction, RelayUrl};

use crate::step::Step;

pub(crate) struct Inbox {
    pair_key: Arc<Secret<32>>,
    read: Vec<Read>,
    /// What `read` was made for.
    days: [u64; 3],
    relays: Vec<RelayUrl>,
}

struct Read {
    relay: RelayUrl,
    mailbox: [u8; 16],
}

impl Inbox {
    pub(crate) fn new(pair_key: Arc<Secret<32>>) -> Self {
        Self {
            pair_key,
            read: Vec::new(),
            days: [0; 3],
            relays: Vec::new(),
        }
    }

    /// Reads at these relays; days go by.
    pub(crate) fn read(&mut self, relays: &[RelayUrl], unix_s: u64, step: &mut Step<'_, '_>) {
        let days = days_to_read(unix_s);
        if self.days == days && self.relays == relays {
            return;
        }
        self.days = days;
        self.relays = relays.to_vec();
        let before = std::mem::take(&mut self.read);
        for day in days {
            let mailbox = self.mailbox(MailboxDirection::ServerToClient, day);
            let id = mailbox.id().0;
            for relay in relays {
                if !before.iter().any(|it| it.is(relay, &id)) {
                    step.net(NetAction::Subscribe {
                        relay: relay.clone(),
                        mailbox: id,
                        read_token: *mailbox.read_token(),
                    });
                }
                let relay = relay.clone();
                self.read.push(Read { relay, mailbox: id });
            }
        }
        for old in before {
            if !self.holds(&old.relay, &old.mailbox) {
                step.net(old.unsubscribe());
            }
        }
    }

    pub(crate) fn holds(&self, relay: &RelayUrl, mailbox: &[u8; 16]) -> bool {
        self.read.iter().any(|it| it.is(relay, mailbox))
    }

    /// Reads no more, and has the pairing's mailboxes deleted.
    pub(crate) fn delete(&mut self, step: &mut Step<'_, '_>) {
        for read in std::mem::take(&mut self.read) {
            step.net(read.unsubscribe());
        }
        let directions = [
            MailboxDirection::ServerToClient,
            MailboxDirection::ClientToServer,
        ];
        for relay in std::mem::take(&mut self.relays) {
            for day in self.days {
                for direction in directions {
                    let mailbox = self.mailbox(direction, day);
                    step.net(NetAction::Delete {
                        relay: relay.clone(),
                        mailbox: mailbox.id().0,
                        read_token: *mailbox.read_token(),
                    });
                }
            }
        }
    }

    fn mailbox(&self, direction: MailboxDirection, day: u64) -> Mailbox {
        Mailbox::of_pairing(&self.pair_key, direction, day)
    }
}

impl Read {
    fn is(&self, relay: &RelayUrl, mailbox: &[u8; 16]) -> bool {
        self.mailbox == *mailbox && self.relay == *relay
    }

    fn unsubscribe(self) -> NetAction {
        NetAction::Unsubscribe {
            relay: self.relay,
            mailbox: self.mailbox,
        }
    }
}
