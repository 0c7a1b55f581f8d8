//! Which mailboxes are read, and where answers are posted.
//!
//! **Invariant**: of a pairing yesterday's, today's and tomorrow's mailbox are
//! read, and today's is written (`spec/pairing.md` section 2); a relay that no
//! pairing uses is let go.

use std::collections::{BTreeMap, BTreeSet};

use keystead_channel::mailbox::{ConnId, Mailbox, MailboxDirection, day_of, days_to_read};
use keystead_core::PairingId;
use keystead_transport::{NetAction, RelayUrl};

use super::channels::Mailboxes;
use super::peer::Stage;
use super::{Holder, Step};

/// A mailbox that is read.
pub(super) struct Inbox {
    peer: PairingId,
    mailboxes: Mailboxes,
    relay: RelayUrl,
    mailbox: Mailbox,
}

/// All mailboxes that are read, by the id that the relay knows them by.
#[derive(Default)]
pub(super) struct Inboxes {
    all: BTreeMap<[u8; 16], Inbox>,
    relays: BTreeSet<RelayUrl>,
}

impl Holder {
    /// Reads what is to be read now, and no more.
    pub(super) fn read_mailboxes(&mut self, step: &mut Step<'_, '_>) {
        self.day = day_of(step.now.unix_s);
        let wanted = self.wanted_inboxes(step.now.unix_s);
        let relays: BTreeSet<RelayUrl> = wanted.values().map(|it| it.relay.clone()).collect();
        for relay in relays.difference(&self.inboxes.relays) {
            step.net(NetAction::RelayOpen {
                relay: relay.clone(),
            });
        }
        for (id, inbox) in &self.inboxes.all {
            if !wanted.contains_key(id) {
                step.net(NetAction::Unsubscribe {
                    relay: inbox.relay.clone(),
                    mailbox: *id,
                });
            }
        }
        for (id, inbox) in &wanted {
            if !self.inboxes.all.contains_key(id) {
                step.net(NetAction::Subscribe {
                    relay: inbox.relay.clone(),
                    mailbox: *id,
                    read_token: *inbox.mailbox.read_token(),
                });
            }
        }
        for relay in self.inboxes.relays.difference(&relays) {
            step.net(NetAction::RelayClose {
                relay: relay.clone(),
            });
            self.relays_away.remove(relay);
        }
        self.inboxes = Inboxes {
            all: wanted,
            relays,
        };
    }

    /// Whose mailbox an item came in.
    pub(super) fn whose_mailbox(&self, mailbox: [u8; 16]) -> Option<(PairingId, Mailboxes)> {
        self.inboxes
            .all
            .get(&mailbox)
            .map(|it| (it.peer, it.mailboxes))
    }

    /// Puts a frame into the mailbox that the workstation reads.
    pub(super) fn post(
        &mut self,
        id: &PairingId,
        conn: ConnId,
        mailboxes: Mailboxes,
        frame: &[u8],
        step: &mut Step<'_, '_>,
    ) {
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        let Some(item) = peer.conns.send(conn, frame) else {
            return;
        };
        let Some(relay) = peer.stored.relay.clone() else {
            return;
        };
        let direction = MailboxDirection::ServerToClient;
        let outbox = match mailboxes {
            Mailboxes::Offer => self.attempt.as_ref().and_then(|it| it.outbox()),
            Mailboxes::Pairing => {
                let pair_key = peer.stored.pair_key.as_ref();
                pair_key.map(|key| Mailbox::of_pairing(key, direction, day_of(step.now.unix_s)))
            }
        };
        let Some(outbox) = outbox else { return };
        step.net(NetAction::Post {
            relay,
            mailbox: outbox.id().0,
            write_token: *outbox.write_token(),
            item,
        });
    }

    /// The pairing is over: what lies in the mailboxes that we read is deleted.
    pub(super) fn delete_mailboxes(
        &self,
        id: &PairingId,
        which: Mailboxes,
        step: &mut Step<'_, '_>,
    ) {
        let own = |inbox: &Inbox| inbox.peer == *id && inbox.mailboxes == which;
        for (mailbox, inbox) in self.inboxes.all.iter().filter(|(_, it)| own(it)) {
            step.net(NetAction::Delete {
                relay: inbox.relay.clone(),
                mailbox: *mailbox,
                read_token: *inbox.mailbox.read_token(),
            });
        }
    }

    fn wanted_inboxes(&self, unix_s: u64) -> BTreeMap<[u8; 16], Inbox> {
        let direction = MailboxDirection::ClientToServer;
        let mut wanted = BTreeMap::new();
        let mut want = |peer: &PairingId, mailboxes, relay: &RelayUrl, mailbox: Mailbox| {
            let inbox = Inbox {
                peer: *peer,
                mailboxes,
                relay: relay.clone(),
                mailbox,
            };
            wanted.insert(inbox.mailbox.id().0, inbox);
        };
        for (id, peer) in &self.peers {
            let Some(relay) = &peer.stored.relay else {
                continue;
            };
            // A revoked pairing is read too: its workstation learns the end there.
            if let (Some(pair_key), Stage::Paired | Stage::Revoked) =
                (&peer.stored.pair_key, peer.stage())
            {
                for day in days_to_read(unix_s) {
                    want(
                        id,
                        Mailboxes::Pairing,
                        relay,
                        Mailbox::of_pairing(pair_key, direction, day),
                    );
                }
            }
        }
        if let Some(attempt) = &self.attempt
            && let Some(relay) = self
                .peers
                .get(&attempt.peer)
                .and_then(|it| it.stored.relay.as_ref())
            && let Some(inbox) = attempt.inbox()
        {
            want(&attempt.peer, Mailboxes::Offer, relay, inbox);
        }
        wanted
    }
}
