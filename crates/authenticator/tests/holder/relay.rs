//! The relay as the only way: mailboxes, items, days.

use std::sync::Arc;

use keystead_authenticator::control::{Command, Reply};
use keystead_authenticator::holder::{Decide, Event};
use keystead_channel::curve::KeyPair;
use keystead_channel::link::{Carrier, ClientLink, ClientLinkSetup, LinkEvent};
use keystead_channel::mailbox::{ConnId, Item, Mailbox, MailboxDirection, day_of};
use keystead_channel::pairing::{Offer, RelayUrl, open_hello};
use keystead_channel::wire::{decode_response, encode_request};
use keystead_core::{Kind, Name, Outcome, Request, RequestBody, RequestId, Secret};
use keystead_transport::{NetAction, NetEvent};

use crate::world::World;

const RELAY: &str = "http://relay.test";

/// A workstation that has nothing but mailboxes.
struct Far {
    link: ClientLink,
    conn: ConnId,
    seq: u32,
    responses: Vec<Vec<u8>>,
    inbox: Mailbox,
    outbox: Mailbox,
}

impl Far {
    fn post(&mut self, world: &mut World, frames: &[Vec<u8>]) {
        for frame in frames {
            let item = Item {
                conn: self.conn,
                seq: self.seq,
                frame,
            }
            .encode();
            self.seq += 1;
            // A relay may repeat.
            for _ in 0..2 {
                world.event(Event::Net(NetEvent::Item {
                    relay: RELAY.parse().unwrap(),
                    mailbox: self.outbox.id().0,
                    item: item.clone(),
                }));
            }
        }
    }

    fn step(&mut self, world: &mut World) {
        loop {
            let items = posted(world, &self.inbox);
            if items.is_empty() {
                return;
            }
            for item in items {
                let item = Item::decode(&item).unwrap();
                assert_eq!(item.conn, self.conn);
                let output = self
                    .link
                    .frame(world.now.mono_ms, item.frame, &mut world.rng);
                for event in output.events {
                    if let LinkEvent::Message(message) = event {
                        self.responses.push(message);
                    }
                }
                self.post(world, &output.frames);
            }
        }
    }

    fn ask(&mut self, world: &mut World, id: u8, body: RequestBody) -> Vec<Outcome> {
        let kind: Kind = body.kind();
        let id = RequestId([id; 16]);
        let unix_s = world.now.unix_s;
        let bytes = encode_request(&Request {
            id,
            unix_s,
            wait_s: 60,
            want_ack: true,
            body,
        });
        let frames = self.link.send(world.now.mono_ms, &bytes).unwrap();
        self.post(world, &frames);
        self.step(world);
        let decode =
            |bytes: &Vec<u8>| decode_response(bytes, |it| (*it == id).then_some(kind)).ok();
        self.responses
            .iter()
            .filter_map(decode)
            .map(|it| it.outcome)
            .collect()
    }
}

/// Takes out what was posted to a mailbox.
fn posted(world: &mut World, mailbox: &Mailbox) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    world.net.retain(|action| match action {
        NetAction::Post {
            mailbox: to,
            write_token,
            item,
            ..
        } if *to == mailbox.id().0 => {
            assert_eq!(write_token, mailbox.write_token());
            items.push(item.clone());
            false
        }
        _ => true,
    });
    items
}

fn subscribed(world: &World) -> Vec<[u8; 16]> {
    let ids = world.net.iter().filter_map(|it| match it {
        NetAction::Subscribe { mailbox, .. } => Some(*mailbox),
        _ => None,
    });
    ids.collect()
}

fn unsubscribed(world: &World) -> usize {
    world
        .net
        .iter()
        .filter(|it| matches!(it, NetAction::Unsubscribe { .. }))
        .count()
}

fn open(
    world: &mut World,
    setup: ClientLinkSetup,
    conn: ConnId,
    inbox: Mailbox,
    outbox: Mailbox,
) -> Far {
    let (link, frames) = ClientLink::start(setup, world.now.mono_ms, &mut world.rng).unwrap();
    let mut far = Far {
        link,
        conn,
        seq: 0,
        responses: Vec::new(),
        inbox,
        outbox,
    };
    far.post(world, &frames);
    far.step(world);
    far
}

#[test]
fn paired_and_asked_through_mailboxes_alone() {
    let mut world = World::new(Decide::Approve);
    let keys = Arc::new(KeyPair::generate(&mut world.rng));
    let name = Name::new("laptop").unwrap();
    let secret = Secret::fill(|bytes| bytes.fill(6));
    let relay = RelayUrl::new(RELAY).unwrap();
    let offer = Offer::new(keys.public(), secret, name, Some(relay), vec![]).unwrap();
    world.command(Command::Pair {
        link: offer.link(),
        yes: true,
    });
    let c2s = || Mailbox::of_offer(offer.secret(), MailboxDirection::ClientToServer);
    let s2c = || Mailbox::of_offer(offer.secret(), MailboxDirection::ServerToClient);
    assert_eq!(subscribed(&world), [c2s().id().0]);
    // The hello is repeated byte for byte: same conn, same number.
    let hello = posted(&mut world, &s2c()).pop().unwrap();
    world.advance_s(5);
    assert_eq!(posted(&mut world, &s2c()), std::slice::from_ref(&hello));
    let item = Item::decode(&hello).unwrap();
    let server = open_hello(item.frame, &keys, offer.secret())
        .unwrap()
        .server;
    let setup = || ClientLinkSetup {
        keys: Arc::clone(&keys),
        server,
        carrier: Carrier::Items,
        takes_pairing_hellos: true,
    };
    let mut far = open(&mut world, setup(), item.conn, s2c(), c2s());
    let me = RequestBody::Me {
        nonce_c: Some([9; 16]),
    };
    assert_eq!(far.ask(&mut world, 1, me), [Outcome::Ack, Outcome::Approve]);
    let pair_key = || Secret::<32>::fill(|bytes| bytes.fill(5));
    world.net.clear();
    assert_eq!(
        far.ask(
            &mut world,
            2,
            RequestBody::Confirm {
                pair_key: pair_key()
            }
        ),
        [Outcome::Approve]
    );
    assert!(!matches!(world.replies.last(), Some(Reply::Done { .. })));

    // From now on three days' mailboxes are read, and the offer's a little longer.
    let today = day_of(world.now.unix_s);
    let of_day = |direction, day| Mailbox::of_pairing(&pair_key(), direction, day);
    let inbox = |day| of_day(MailboxDirection::ClientToServer, day).id().0;
    let mut expected = vec![inbox(today - 1), inbox(today), inbox(today + 1)];
    expected.sort_unstable();
    assert_eq!(subscribed(&world), expected);
    world.net.clear();
    world.advance_s(60);
    assert_eq!(unsubscribed(&world), 1, "the offer's");
    assert!(!world.holder.is_pairing());
    // Its Close never came; it has stored the pairing, or did not hear the answer.
    assert!(matches!(world.replies.last(), Some(Reply::Done { .. })));

    // A channel in today's mailboxes.
    let s2c = of_day(MailboxDirection::ServerToClient, today);
    let c2s = of_day(MailboxDirection::ClientToServer, today);
    let mut far = open(&mut world, setup(), ConnId([3; 8]), s2c, c2s);
    let me = RequestBody::Me { nonce_c: None };
    assert_eq!(far.ask(&mut world, 3, me), [Outcome::Approve]);

    // The next day one is read no more, and one more is, although nobody asks for anything.
    world.restart();
    world.idle_s(86_400 + 3_600);
    assert_eq!(subscribed(&world), [inbox(today + 2)]);
    assert_eq!(unsubscribed(&world), 1);
}

#[test]
fn a_relay_that_is_away_is_said_once() {
    let mut world = World::new(Decide::Ask);
    let relay: keystead_transport::RelayUrl = RELAY.parse().unwrap();
    for _ in 0..3 {
        let reason = "refused\x1b[2J".to_owned();
        world.event(Event::Net(NetEvent::RelayDown {
            relay: relay.clone(),
            reason,
        }));
    }
    world.event(Event::Net(NetEvent::RelayUp {
        relay: relay.clone(),
    }));
    world.event(Event::Net(NetEvent::RelayUp { relay }));
    assert_eq!(
        world.said,
        [
            "relay http://relay.test is away (refused\\u{1b}[2J); it is tried again",
            "relay http://relay.test is back",
        ]
    );
}
