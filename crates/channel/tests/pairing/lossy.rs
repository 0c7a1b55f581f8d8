//! A workstation and an authenticator over a seeded relay that drops, repeats,
//! delays and reorders: every request is asked at most once and, once the relay
//! behaves, answered; no answer is lost or made twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keystead_channel::curve::KeyPair;
use keystead_channel::link::answers::{Answers, Verdict};
use keystead_channel::link::asks::{Arrival, Asks, Patience};
use keystead_channel::link::{
    Carrier, ClientLink, ClientLinkSetup, LinkEvent, LinkOutput, Listener, ServerLink, Standing,
};
use keystead_channel::mailbox::{ConnId, Conns, MailboxId};
use keystead_channel::wire::{decode_request, encode_request, encode_response, request_hash};
use keystead_core::{
    AckResponse, Kind, Outcome, Request, RequestBody, RequestId, Response, ResponseBody,
};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;

use crate::common::{UNIX_S, pair_of_keys, rng};

const TO_SERVER: MailboxId = MailboxId([1; 16]);
const TO_CLIENT: MailboxId = MailboxId([2; 16]);

/// What the relay does to one item in a thousand, before it starts to behave.
struct Faults {
    drop: u32,
    repeat: u32,
    delay_ms_max: u64,
    until_ms: u64,
}

struct Relay {
    faults: Faults,
    /// Items by arrival time and a number that breaks ties.
    way: BTreeMap<(u64, u32), (MailboxId, Vec<u8>)>,
}

impl Relay {
    fn post(&mut self, now_ms: u64, mailbox: MailboxId, item: &[u8], rng: &mut ChaCha20Rng) {
        let faulty = now_ms < self.faults.until_ms;
        let copies = match rng.next_u32() % 1_000 {
            _ if !faulty => 1,
            dice if dice < self.faults.drop => 0,
            dice if dice < self.faults.drop + self.faults.repeat => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let delay_ms = if faulty {
                rng.next_u64() % (self.faults.delay_ms_max + 1)
            } else {
                1
            };
            let at = (now_ms + 1 + delay_ms, rng.next_u32());
            self.way.insert(at, (mailbox, item.to_vec()));
        }
    }

    fn arrived(&mut self, now_ms: u64) -> Vec<(MailboxId, Vec<u8>)> {
        let later = self.way.split_off(&(now_ms + 1, 0));
        std::mem::replace(&mut self.way, later)
            .into_values()
            .collect()
    }
}

struct Workstation {
    keys: Arc<KeyPair>,
    server: keystead_channel::curve::PublicKey,
    conns: Conns,
    link: Option<(ConnId, ClientLink)>,
    asks: Asks,
    patience: Patience,
    answered: BTreeMap<RequestId, u64>,
    acks: u32,
    connections: u32,
}

impl Workstation {
    fn connect(&mut self, now_ms: u64, relay: &mut Relay, rng: &mut ChaCha20Rng) {
        if let Some((old, _)) = self.link.take() {
            self.conns.close(old);
        }
        let setup = ClientLinkSetup {
            keys: Arc::clone(&self.keys),
            server: self.server,
            carrier: Carrier::Items,
            takes_pairing_hellos: false,
        };
        let (link, frames) = ClientLink::start(setup, now_ms, rng).unwrap();
        let conn = self.conns.open(TO_CLIENT, rng);
        self.link = Some((conn, link));
        self.connections += 1;
        self.patience.renewed(now_ms);
        self.post(now_ms, frames, relay, rng);
    }

    fn post(
        &mut self,
        now_ms: u64,
        frames: Vec<Vec<u8>>,
        relay: &mut Relay,
        rng: &mut ChaCha20Rng,
    ) {
        let Some((conn, _)) = self.link else { return };
        for frame in frames {
            let item = self.conns.send(conn, &frame).unwrap();
            relay.post(now_ms, TO_SERVER, &item, rng);
        }
    }

    fn ask(&mut self, now_ms: u64, id: RequestId, relay: &mut Relay, rng: &mut ChaCha20Rng) {
        let Some((_, link)) = &mut self.link else {
            return;
        };
        let bytes = self.asks.bytes(&id).unwrap().to_vec();
        if let Ok(frames) = link.send(now_ms, &bytes) {
            self.patience.asked(now_ms, id);
            self.post(now_ms, frames, relay, rng);
        }
    }

    fn receive(&mut self, now_ms: u64, item: &[u8], relay: &mut Relay, rng: &mut ChaCha20Rng) {
        let Ok(received) = self.conns.receive(now_ms, TO_CLIENT, item, |_| false) else {
            return;
        };
        for frame in received.frames {
            let Some((_, link)) = &mut self.link else {
                return;
            };
            let LinkOutput { frames, events } = link.frame(now_ms, &frame, rng);
            self.post(now_ms, frames, relay, rng);
            self.patience.heard();
            for event in events {
                match event {
                    LinkEvent::Established { .. } => {
                        let open: Vec<_> = self.asks.ids().collect();
                        for id in open {
                            self.ask(now_ms, id, relay, rng);
                        }
                    }
                    LinkEvent::Message(bytes) => self.answer(now_ms, &bytes),
                    other @ (LinkEvent::PairingHello(_)
                    | LinkEvent::Renew
                    | LinkEvent::Ended(_)) => {
                        panic!("{other:?}")
                    }
                }
            }
        }
    }

    fn answer(&mut self, now_ms: u64, response: &[u8]) {
        match self.asks.receive(response) {
            Arrival::Ack(_) => self.acks += 1,
            Arrival::Final(received) => {
                let response = received.response;
                assert_eq!(response.outcome, Outcome::Busy);
                self.patience.closed(&response.id);
                assert_eq!(
                    self.answered.insert(response.id, now_ms),
                    None,
                    "answered twice"
                );
            }
            Arrival::NotAsked => {}
            Arrival::Misbehaved(error) => panic!("{error}"),
        }
    }

    fn tick(&mut self, now_ms: u64, relay: &mut Relay, rng: &mut ChaCha20Rng) {
        for lost in self.conns.drop_gaps(now_ms) {
            if self.link.as_ref().is_some_and(|(conn, _)| *conn == lost) {
                self.link = None;
            }
        }
        if self.asks.is_empty() {
            return;
        }
        if self.link.is_none() || self.patience.is_lost(now_ms) {
            self.connect(now_ms, relay, rng);
        }
        for id in self.patience.repeats(now_ms) {
            self.ask(now_ms, id, relay, rng);
        }
    }
}

struct Authenticator {
    listener: Listener,
    conns: Conns,
    links: BTreeMap<ConnId, ServerLink>,
    answers: Answers,
    questions: BTreeMap<RequestId, u64>,
    asked_of: BTreeMap<RequestId, BTreeSet<ConnId>>,
    twice: Vec<RequestId>,
    ever: BTreeSet<RequestId>,
}

impl Authenticator {
    fn receive(&mut self, now_ms: u64, item: &[u8], relay: &mut Relay, rng: &mut ChaCha20Rng) {
        let Ok(received) = self.conns.receive(now_ms, TO_SERVER, item, |it| it == 1) else {
            return;
        };
        if let Some(displaced) = received.displaced {
            self.links.remove(&displaced);
        }
        let conn = received.conn;
        if received.is_new {
            let link = ServerLink::start(&self.listener, Carrier::Items, now_ms);
            self.links.insert(conn, link);
        }
        for frame in received.frames {
            let Some(link) = self.links.get_mut(&conn) else {
                return;
            };
            let LinkOutput { frames, events } = link.frame(now_ms, &frame, rng);
            self.post(now_ms, conn, frames, relay, rng);
            for event in events {
                match event {
                    LinkEvent::Established { .. } => self.conns.prove(conn),
                    LinkEvent::Message(bytes) => self.judge(now_ms, conn, &bytes, relay, rng),
                    other @ (LinkEvent::PairingHello(_)
                    | LinkEvent::Renew
                    | LinkEvent::Ended(_)) => {
                        panic!("{other:?}")
                    }
                }
            }
        }
    }

    fn judge(
        &mut self,
        now_ms: u64,
        conn: ConnId,
        bytes: &[u8],
        relay: &mut Relay,
        rng: &mut ChaCha20Rng,
    ) {
        let request = decode_request(bytes).unwrap();
        let hash = request_hash(bytes);
        let verdict = self
            .answers
            .arrive(now_ms, request.id, hash, request.wait_s);
        let message = match verdict {
            Verdict::New | Verdict::Join => {
                if verdict == Verdict::New {
                    if !self.ever.insert(request.id) {
                        self.twice.push(request.id);
                    }
                    self.questions.insert(request.id, now_ms + 3_000);
                }
                self.asked_of.entry(request.id).or_default().insert(conn);
                response(request.id, hash, Outcome::Ack)
            }
            Verdict::Again(bytes) => bytes,
            other @ (Verdict::Expired | Verdict::Malformed | Verdict::Busy) => panic!("{other:?}"),
        };
        self.send(now_ms, conn, &message, relay, rng);
    }

    fn send(
        &mut self,
        now_ms: u64,
        conn: ConnId,
        message: &[u8],
        relay: &mut Relay,
        rng: &mut ChaCha20Rng,
    ) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let frames = link.send(now_ms, message).unwrap();
        self.post(now_ms, conn, frames, relay, rng);
    }

    fn post(
        &mut self,
        now_ms: u64,
        conn: ConnId,
        frames: Vec<Vec<u8>>,
        relay: &mut Relay,
        rng: &mut ChaCha20Rng,
    ) {
        for frame in frames {
            if let Some(item) = self.conns.send(conn, &frame) {
                relay.post(now_ms, TO_CLIENT, &item, rng);
            }
        }
    }

    fn tick(&mut self, now_ms: u64, relay: &mut Relay, rng: &mut ChaCha20Rng) {
        for lost in self.conns.drop_gaps(now_ms) {
            self.links.remove(&lost);
        }
        let due = |at: &u64| *at <= now_ms;
        let decided: Vec<_> = self
            .questions
            .iter()
            .filter(|(_, at)| due(at))
            .map(|(id, _)| *id)
            .collect();
        for id in decided {
            self.questions.remove(&id);
            let hash = self.answers.hash(&id).unwrap();
            let message = response(id, hash, Outcome::Busy);
            assert!(
                self.answers.answer(now_ms, id, &message),
                "one answer an id"
            );
            for conn in self.asked_of.remove(&id).unwrap() {
                self.send(now_ms, conn, &message, relay, rng);
            }
        }
    }
}

fn response(id: RequestId, request_hash: keystead_core::RequestHash, outcome: Outcome) -> Vec<u8> {
    let ack = (outcome == Outcome::Ack).then(|| ResponseBody::Ack(AckResponse::default()));
    encode_response(&Response {
        id,
        unix_s: UNIX_S,
        request_hash,
        outcome,
        body: ack,
        receipt: None,
    })
}

struct Ran {
    answered_ms: Vec<u64>,
    acks: u32,
    connections: u32,
}

/// Asks `requests` requests, one every 700 ms.
fn run(seed: u64, faults: Faults, requests: u8) -> Ran {
    let mut rng = rng(seed);
    let (client, server) = (pair_of_keys(1), pair_of_keys(2));
    let pairings = vec![(Arc::clone(&server), client.public(), Standing::Paired)];
    let until_ms = faults.until_ms;
    let mut relay = Relay {
        faults,
        way: BTreeMap::new(),
    };
    let mut workstation = Workstation {
        keys: client,
        server: server.public(),
        conns: Conns::default(),
        link: None,
        asks: Asks::default(),
        patience: Patience::default(),
        answered: BTreeMap::new(),
        acks: 0,
        connections: 0,
    };
    let mut authenticator = Authenticator {
        listener: Listener::new(pairings, &mut rng).unwrap(),
        conns: Conns::default(),
        links: BTreeMap::new(),
        answers: Answers::default(),
        questions: BTreeMap::new(),
        asked_of: BTreeMap::new(),
        twice: Vec::new(),
        ever: BTreeSet::new(),
    };
    for now_ms in (0..until_ms + 120_000).step_by(50) {
        if now_ms % 700 == 0 && now_ms / 700 < u64::from(requests) {
            let id = RequestId([u8::try_from(now_ms / 700).unwrap(); 16]);
            let body = RequestBody::Unpair;
            let request = Request {
                id,
                unix_s: UNIX_S,
                wait_s: 300,
                want_ack: true,
                body,
            };
            let bytes = encode_request(&request);
            workstation
                .asks
                .open(now_ms, id, Kind::Unpair, bytes, 600_000);
            workstation.ask(now_ms, id, &mut relay, &mut rng);
        }
        for (mailbox, item) in relay.arrived(now_ms) {
            if mailbox == TO_SERVER {
                authenticator.receive(now_ms, &item, &mut relay, &mut rng);
            } else {
                workstation.receive(now_ms, &item, &mut relay, &mut rng);
            }
        }
        authenticator.tick(now_ms, &mut relay, &mut rng);
        workstation.tick(now_ms, &mut relay, &mut rng);
        if workstation.answered.len() == usize::from(requests) {
            break;
        }
    }
    assert_eq!(authenticator.twice, [], "a question was asked twice");
    assert!(
        workstation.asks.is_empty(),
        "seed {seed}: {} unanswered",
        workstation.asks.len()
    );
    Ran {
        answered_ms: workstation.answered.into_values().collect(),
        acks: workstation.acks,
        connections: workstation.connections,
    }
}

#[test]
fn a_good_relay_needs_one_connection() {
    let faults = Faults {
        drop: 0,
        repeat: 0,
        delay_ms_max: 0,
        until_ms: 0,
    };
    let ran = run(1, faults, 5);
    assert_eq!(
        (ran.answered_ms.len(), ran.acks, ran.connections),
        (5, 5, 1)
    );
    // Each question takes 3 s.
    assert!(
        ran.answered_ms.iter().all(|ms| *ms < 7_000),
        "{:?}",
        ran.answered_ms
    );
}

#[test]
fn repeats_and_disorder_alone_cost_no_connection() {
    for seed in 0..20 {
        let faults = Faults {
            drop: 0,
            repeat: 300,
            delay_ms_max: 400,
            until_ms: 60_000,
        };
        let ran = run(seed, faults, 8);
        let got = (ran.answered_ms.len(), ran.acks, ran.connections);
        assert_eq!(got, (8, 8, 1), "seed {seed}");
    }
}

#[test]
fn a_relay_that_drops_a_quarter_delays_and_changes_nothing() {
    for seed in 0..40 {
        let faults = Faults {
            drop: 250,
            repeat: 100,
            delay_ms_max: 1_500,
            until_ms: 60_000,
        };
        let ran = run(seed, faults, 12);
        assert_eq!(ran.answered_ms.len(), 12, "seed {seed}");
    }
}

#[test]
fn a_relay_that_drops_all_for_a_minute_is_outlived() {
    for seed in 0..5 {
        let faults = Faults {
            drop: 1_000,
            repeat: 0,
            delay_ms_max: 0,
            until_ms: 60_000,
        };
        let ran = run(seed, faults, 3);
        assert!(
            ran.answered_ms.iter().all(|ms| *ms < 90_000),
            "{:?}",
            ran.answered_ms
        );
        // 2, 5, 10, then every 20 s.
        assert!((4..=7).contains(&ran.connections), "{}", ran.connections);
    }
}
