//! An authenticator for tests: channel's server side, and a holder who does as told.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_channel::curve::{CloseCode, KeyPair, PublicKey};
use keystead_channel::link::answers::{Answers, Verdict};
use keystead_channel::link::{Carrier, LinkEvent, LinkOutput, Listener, ServerLink, Standing};
use keystead_channel::mailbox::{
    ConnId, Conns, Item, ItemConn, Mailbox, MailboxDirection, MailboxId, day_of, days_to_read,
};
use keystead_channel::pairing::{Answered, Approved, Code, Offer, Scanned};
use keystead_channel::wire::{
    decode_request, encode_receipt, encode_response, next_receipt, request_hash,
};
use keystead_core::{
    KeyEntry, KeyId, MeResponse, Name, Outcome, Purpose, ReceiptChain, Request, RequestBody,
    RequestHash, RequestId, Response, ResponseBody, Secret, SignedReceipt, TransportAddress,
};
use keystead_vault::ReceiptKey;
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;

/// What the holder does with a request that asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Holder {
    Approve,
    Refuse,
    /// Never says anything.
    Hold,
}

/// A channel's carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chan {
    Conn(ConnId),
    Tcp(u64),
}

/// What the peer wants sent.
pub(crate) enum Out {
    Item { mailbox: [u8; 16], item: Vec<u8> },
    Tcp { conn: u64, bytes: Vec<u8> },
    Hang { conn: u64 },
}

enum Stage {
    None,
    Scanned(Scanned),
    Answered(Answered),
    Approved(Approved),
}

pub(crate) struct Paired {
    keys: Arc<KeyPair>,
    client: PublicKey,
    pub(crate) pair_key: Secret<32>,
}

pub(crate) struct Peer {
    pub(crate) name: Name,
    pub(crate) holder: Holder,
    /// Whether the holder confirms the code as soon as it is shown.
    pub(crate) confirms: bool,
    pub(crate) online: bool,
    pub(crate) transports: Vec<TransportAddress>,
    /// Where it accepts TCP.
    pub(crate) listens: Option<String>,
    pub(crate) key_name: String,
    /// Keys that the workstation brought.
    pub(crate) brought: Vec<KeyEntry>,
    pub(crate) clock_ahead_s: i64,
    /// Signs receipts that say nothing true.
    pub(crate) lies: bool,
    /// Ids that a person was asked for.
    pub(crate) asked: Vec<RequestId>,
    pub(crate) withdrawn: Vec<RequestId>,
    /// Requests as they arrived, repeats too: kind numbers.
    pub(crate) arrived: Vec<u8>,
    /// Handshakes that were finished.
    pub(crate) channels_opened: usize,
    pub(crate) paired: Option<Paired>,
    pub(crate) standing: Standing,
    pub(crate) code: Option<Code>,
    pub(crate) closes: Vec<CloseCode>,
    stage: Stage,
    offer_boxes: Option<(Mailbox, Mailbox)>,
    hello_conn: Option<ItemConn>,
    hello_tcp: Option<u64>,
    conns: Conns,
    links: BTreeMap<Chan, ServerLink>,
    listener: Option<Listener>,
    receipt_key: ReceiptKey,
    pub(crate) chain: ReceiptChain,
    answers: Answers,
    waiting: BTreeMap<RequestId, (RequestHash, Vec<Chan>)>,
    rng: ChaCha20Rng,
    out: Vec<Out>,
    now_ms: u64,
    unix_s: u64,
}

impl Peer {
    pub(crate) fn new(name: &str, mut rng: ChaCha20Rng) -> Self {
        let receipt_key = ReceiptKey::generate(&mut rng).unwrap();
        Self {
            name: Name::new(name).unwrap(),
            holder: Holder::Approve,
            confirms: true,
            online: true,
            transports: Vec::new(),
            listens: None,
            key_name: "main".to_owned(),
            brought: Vec::new(),
            clock_ahead_s: 0,
            lies: false,
            asked: Vec::new(),
            withdrawn: Vec::new(),
            arrived: Vec::new(),
            channels_opened: 0,
            paired: None,
            standing: Standing::Pairing,
            code: None,
            closes: Vec::new(),
            stage: Stage::None,
            offer_boxes: None,
            hello_conn: None,
            hello_tcp: None,
            conns: Conns::default(),
            links: BTreeMap::new(),
            listener: None,
            receipt_key,
            chain: ReceiptChain::default(),
            answers: Answers::default(),
            waiting: BTreeMap::new(),
            rng,
            out: Vec::new(),
            now_ms: 0,
            unix_s: 0,
        }
    }

    pub(crate) fn at(&mut self, now_ms: u64, unix_s: u64) -> &mut Self {
        self.now_ms = now_ms;
        self.unix_s = unix_s.saturating_add_signed(self.clock_ahead_s);
        self
    }

    pub(crate) fn take_out(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.out)
    }

    /// Scans the offer and says hello in its mailbox, and on a TCP link where one is up.
    pub(crate) fn scan(&mut self, link: &str) -> Vec<String> {
        let offer = Offer::parse(link).unwrap();
        let addresses = offer.addresses().iter().map(ToString::to_string).collect();
        let has_relay = offer.relay().is_some();
        let scanned = Scanned::answer(offer, self.now_ms, &mut self.rng).unwrap();
        let inbox = scanned.mailbox(MailboxDirection::ClientToServer);
        let outbox = scanned.mailbox(MailboxDirection::ServerToClient);
        self.offer_boxes = Some((inbox, outbox));
        let (keys, client) = scanned.channel_keys();
        self.listener =
            Some(Listener::new(vec![(keys, client, Standing::Pairing)], &mut self.rng).unwrap());
        self.standing = Standing::Pairing;
        if has_relay {
            self.hello_conn = Some(ItemConn::new(ConnId::draw(&mut self.rng)));
        }
        let hello = scanned.hello().to_vec();
        self.stage = Stage::Scanned(scanned);
        self.say_hello(&hello, true);
        addresses
    }

    /// A second scan by somebody who saw the code: another S.
    pub(crate) fn hello_again_on(&mut self, conn: u64) {
        self.hello_tcp = Some(conn);
        if let Stage::Scanned(scanned) = &self.stage {
            let bytes = scanned.hello().to_vec();
            self.start_link(Chan::Tcp(conn));
            self.out.push(Out::Tcp { conn, bytes });
        }
    }

    fn say_hello(&mut self, hello: &[u8], is_first: bool) {
        if let (Some(conn), Some((_, outbox))) = (&mut self.hello_conn, &self.offer_boxes) {
            let item = if is_first {
                let id = conn.id();
                let item = conn.send(hello).unwrap();
                let mailbox = MailboxId(outbox.id().0);
                // The same connection goes on with the agent's frames.
                self.links.insert(
                    Chan::Conn(id),
                    ServerLink::start(self.listener.as_ref().unwrap(), Carrier::Items, self.now_ms),
                );
                let _ = mailbox;
                item
            } else {
                Item {
                    conn: conn.id(),
                    seq: 0,
                    frame: hello,
                }
                .encode()
            };
            self.out.push(Out::Item {
                mailbox: outbox.id().0,
                item,
            });
        }
        if let (Some(conn), false) = (self.hello_tcp, is_first) {
            let bytes = hello.to_vec();
            self.out.push(Out::Tcp { conn, bytes });
        }
    }

    /// Whether it reads this mailbox now.
    pub(crate) fn reads(&self, mailbox: &[u8; 16], unix_s: u64) -> bool {
        if !self.online {
            return false;
        }
        let offers = self.offer_boxes.as_ref();
        if offers.is_some_and(|(inbox, _)| inbox.id().0 == *mailbox) {
            return true;
        }
        self.paired.as_ref().is_some_and(|paired| {
            days_to_read(unix_s).iter().any(|day| {
                let direction = MailboxDirection::ClientToServer;
                Mailbox::of_pairing(&paired.pair_key, direction, *day)
                    .id()
                    .0
                    == *mailbox
            })
        })
    }

    pub(crate) fn take_item(&mut self, mailbox: [u8; 16], item: &[u8]) {
        let Ok(read) = Item::decode(item) else {
            return;
        };
        if let Some(conn) = &mut self.hello_conn
            && conn.id() == read.conn
        {
            let frames = conn.receive(self.now_ms, read.seq, read.frame);
            for frame in frames {
                self.frame(Chan::Conn(read.conn), &frame);
            }
            return;
        }
        let mailbox = MailboxId(mailbox);
        let received = self
            .conns
            .receive(self.now_ms, mailbox, item, |first| first == 1);
        let Ok(received) = received else {
            return;
        };
        let chan = Chan::Conn(received.conn);
        if received.is_new {
            self.start_link(chan);
        }
        for frame in received.frames {
            self.frame(chan, &frame);
        }
    }

    pub(crate) fn tcp_opened(&mut self, conn: u64) {
        self.start_link(Chan::Tcp(conn));
    }

    pub(crate) fn tcp_bytes(&mut self, conn: u64, bytes: &[u8]) {
        let chan = Chan::Tcp(conn);
        if let Some(mut link) = self.links.remove(&chan) {
            let output = link.bytes(self.now_ms, bytes, &mut self.rng);
            self.links.insert(chan, link);
            self.carry_out(chan, output);
        }
    }

    pub(crate) fn tcp_closed(&mut self, conn: u64) {
        self.links.remove(&Chan::Tcp(conn));
    }

    /// The process ends and starts anew: channels and questions are gone, pairing and log stay.
    pub(crate) fn restart(&mut self) {
        for chan in std::mem::take(&mut self.links).into_keys() {
            if let Chan::Tcp(conn) = chan {
                self.out.push(Out::Hang { conn });
            }
        }
        self.conns = Conns::default();
        self.waiting.clear();
        self.answers = Answers::default();
    }

    /// The holder ends the pairing.
    pub(crate) fn unpair(&mut self) {
        for id in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.answer(id, Outcome::Unpair, None);
        }
        self.revoke();
    }

    fn revoke(&mut self) {
        self.standing = Standing::Revoked;
        let paired = self.paired.as_ref().unwrap();
        let entry = (paired.keys.clone(), paired.client, Standing::Revoked);
        self.listener = Some(Listener::new(vec![entry], &mut self.rng).unwrap());
        for (chan, mut link) in std::mem::take(&mut self.links) {
            let output = link.close(self.now_ms, CloseCode::Unpaired);
            self.links.insert(chan, link);
            self.carry_out(chan, output);
        }
    }

    /// The holder answers what was held.
    pub(crate) fn decide(&mut self, outcome: Outcome) {
        for id in self.waiting.keys().copied().collect::<Vec<_>>() {
            let body = (outcome == Outcome::Approve).then(|| ResponseBody::Signature(vec![5; 64]));
            self.answer(id, outcome, body);
        }
    }

    pub(crate) fn tick(&mut self) {
        let mut hello = None;
        if let Stage::Scanned(scanned) = &mut self.stage {
            match scanned.repeat(self.now_ms) {
                Ok(repeat) => hello = repeat.map(<[u8]>::to_vec),
                Err(_) => self.stage = Stage::None,
            }
        }
        if let Some(hello) = hello {
            self.say_hello(&hello, false);
        }
        for chan in self.links.keys().copied().collect::<Vec<_>>() {
            let Some(mut link) = self.links.remove(&chan) else {
                continue;
            };
            let output = link.tick(self.now_ms);
            self.links.insert(chan, link);
            self.carry_out(chan, output);
        }
        self.conns.drop_gaps(self.now_ms);
    }

    pub(crate) fn wake_ms(&self) -> Option<u64> {
        let stage = match &self.stage {
            Stage::Scanned(scanned) => Some(scanned.wake_ms()),
            _ => None,
        };
        let links = self.links.values().filter_map(ServerLink::wake_ms);
        links.chain(stage).chain(self.conns.wake_ms()).min()
    }

    fn start_link(&mut self, chan: Chan) {
        let carrier = match chan {
            Chan::Conn(_) => Carrier::Items,
            Chan::Tcp(_) => Carrier::Stream,
        };
        if let Some(listener) = &self.listener {
            let link = ServerLink::start(listener, carrier, self.now_ms);
            self.links.insert(chan, link);
        }
    }

    fn frame(&mut self, chan: Chan, frame: &[u8]) {
        if let Some(mut link) = self.links.remove(&chan) {
            let output = link.frame(self.now_ms, frame, &mut self.rng);
            self.links.insert(chan, link);
            self.carry_out(chan, output);
        }
    }

    fn carry_out(&mut self, chan: Chan, output: LinkOutput) {
        self.send_frames(chan, output.frames);
        for event in output.events {
            match event {
                LinkEvent::Established { .. } => {
                    self.channels_opened += 1;
                    if let Chan::Conn(conn) = chan {
                        self.conns.prove(conn);
                    }
                }
                LinkEvent::Message(message) => self.message(chan, &message),
                LinkEvent::Ended(end) => {
                    if let keystead_channel::link::LinkEnd::Closed(code) = end {
                        self.closes.push(code);
                        if code == CloseCode::PairingAborted {
                            self.stage = Stage::None;
                        }
                    }
                    self.links.remove(&chan);
                    if let Chan::Tcp(conn) = chan {
                        self.out.push(Out::Hang { conn });
                    }
                }
                _ => {}
            }
        }
    }

    fn send_frames(&mut self, chan: Chan, frames: Vec<Vec<u8>>) {
        for frame in frames {
            match chan {
                Chan::Tcp(conn) => self.out.push(Out::Tcp { conn, bytes: frame }),
                Chan::Conn(id) => {
                    let hello = self.hello_conn.as_mut().filter(|it| it.id() == id);
                    let item = match hello {
                        Some(conn) => conn.send(&frame),
                        None => self.conns.send(id, &frame),
                    };
                    let Some(item) = item else {
                        continue;
                    };
                    let mailbox = match (&self.paired, &self.offer_boxes) {
                        (_, Some((_, outbox))) => outbox.id().0,
                        (Some(paired), None) => {
                            let day = day_of(self.unix_s);
                            let direction = MailboxDirection::ServerToClient;
                            Mailbox::of_pairing(&paired.pair_key, direction, day).id().0
                        }
                        (None, None) => continue,
                    };
                    self.out.push(Out::Item { mailbox, item });
                }
            }
        }
    }

    /// Pairing is over: from now on its own mailboxes.
    pub(crate) fn leave_offer(&mut self) {
        self.offer_boxes = None;
        self.hello_conn = None;
        self.hello_tcp = None;
    }

    fn message(&mut self, chan: Chan, bytes: &[u8]) {
        let request = decode_request(bytes).unwrap();
        let hash = request_hash(bytes);
        self.arrived.push(request.body.kind().number());
        let id = request.id;
        match self.answers.arrive(self.now_ms, id, hash, request.wait_s) {
            Verdict::New => {
                self.waiting.insert(id, (hash, vec![chan]));
                self.decide_new(chan, request);
            }
            Verdict::Join => {
                if let Some((_, chans)) = self.waiting.get_mut(&id)
                    && !chans.contains(&chan)
                {
                    chans.push(chan);
                }
                self.ack(chan, &request, hash);
            }
            Verdict::Again(response) => {
                if let RequestBody::Me { nonce_c: Some(_) } = &request.body {
                    self.ack(chan, &request, hash);
                }
                self.send(chan, &response);
            }
            other => panic!("{other:?}"),
        }
    }

    fn decide_new(&mut self, chan: Chan, request: Request) {
        let id = request.id;
        let hash = self.waiting[&id].0;
        match &request.body {
            RequestBody::Me {
                nonce_c: Some(nonce),
            } => {
                self.stage = match std::mem::replace(&mut self.stage, Stage::None) {
                    Stage::Scanned(scanned) => {
                        let answered = scanned.receive_me(self.now_ms, *nonce);
                        self.code = Some(answered.code());
                        Stage::Answered(answered)
                    }
                    other => other,
                };
                self.ack(chan, &request, hash);
                if self.confirms {
                    self.confirm();
                }
            }
            RequestBody::Me { nonce_c: None } => {
                let me = ResponseBody::Me(self.me());
                self.answer(id, Outcome::Approve, Some(me));
            }
            RequestBody::Sign(sign) if sign.key != key_id() => {
                self.answer(id, Outcome::UnknownKey, None);
            }
            RequestBody::Import(_) | RequestBody::Remove { .. } => {
                let body = self.change_keys(&request.body);
                self.answer(id, Outcome::Approve, Some(body));
            }
            RequestBody::Sign(_) | RequestBody::MakeKey(_) | RequestBody::Hosts => {
                self.asked.push(id);
                let signature = match &request.body {
                    RequestBody::MakeKey(wanted) => {
                        ResponseBody::Key(key_entry(wanted.name.clone(), &[9; 51]))
                    }
                    _ => ResponseBody::Signature(vec![5; 64]),
                };
                match self.holder {
                    Holder::Approve => self.answer(id, Outcome::Approve, Some(signature)),
                    Holder::Refuse => self.answer(id, Outcome::Refuse, None),
                    Holder::Hold => self.ack(chan, &request, hash),
                }
            }
            RequestBody::Confirm { pair_key } => {
                self.store(pair_key);
                self.answer(id, Outcome::Approve, Some(ResponseBody::Empty));
            }
            RequestBody::Cancel { target } => {
                self.withdrawn.push(*target);
                self.answer(*target, Outcome::Withdraw, None);
                self.answer(id, Outcome::Approve, Some(ResponseBody::Empty));
            }
            RequestBody::Unpair => {
                self.answer(id, Outcome::Approve, Some(ResponseBody::Empty));
                self.revoke();
            }
            _ => self.answer(id, Outcome::Unsupported, None),
        }
    }

    fn store(&mut self, pair_key: &Secret<32>) {
        if let Stage::Approved(approved) = std::mem::replace(&mut self.stage, Stage::None) {
            let pair_key = Secret::fill(|to| *to = *pair_key.expose());
            let paired = approved.confirm(self.now_ms, pair_key).unwrap();
            self.paired = Some(Paired {
                keys: paired.own,
                client: paired.peer,
                pair_key: paired.pair_key,
            });
            self.standing = Standing::Paired;
            let paired = self.paired.as_ref().unwrap();
            let entry = (paired.keys.clone(), paired.client, Standing::Paired);
            self.listener = Some(Listener::new(vec![entry], &mut self.rng).unwrap());
        }
    }

    fn change_keys(&mut self, body: &RequestBody) -> ResponseBody {
        match body {
            RequestBody::Import(import) => {
                let key = key_entry(import.name.clone().unwrap(), import.key.expose());
                self.brought.push(key.clone());
                ResponseBody::Keys(vec![key])
            }
            RequestBody::Remove { keys } => {
                let stays = |it: &KeyEntry| !keys.is_empty() && !keys.contains(&it.id);
                self.brought.retain(stays);
                ResponseBody::Empty
            }
            _ => panic!("another kind"),
        }
    }

    /// The holder says that the codes are the same.
    pub(crate) fn confirm(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::None) {
            Stage::Answered(answered) => {
                self.stage = Stage::Approved(answered.approve(self.now_ms).unwrap());
            }
            other => self.stage = other,
        }
        let me = ResponseBody::Me(self.me());
        for id in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.answer(id, Outcome::Approve, Some(me.clone()));
        }
    }

    fn me(&self) -> MeResponse {
        MeResponse {
            name: self.name.clone(),
            keys: [key_entry(
                Name::new(self.key_name.as_str()).unwrap(),
                &PUBLIC_KEY,
            )]
            .into_iter()
            .chain(self.brought.iter().cloned())
            .collect(),
            transports: self.transports.clone(),
            push_url: None,
            receipt_key: *self.receipt_key.public(),
            wallets: Vec::new(),
        }
    }

    fn ack(&mut self, chan: Chan, request: &Request, hash: RequestHash) {
        if !request.want_ack {
            return;
        }
        let ack = match (&self.stage, &request.body) {
            (Stage::Answered(answered), RequestBody::Me { nonce_c: Some(n) }) => {
                answered.ack(n, self.name.clone()).unwrap()
            }
            _ => Default::default(),
        };
        let response = encode_response(&Response {
            id: request.id,
            unix_s: self.unix_s,
            request_hash: hash,
            outcome: Outcome::Ack,
            body: Some(ResponseBody::Ack(ack)),
            receipt: None,
        });
        self.send(chan, &response);
    }

    fn answer(&mut self, id: RequestId, outcome: Outcome, body: Option<ResponseBody>) {
        let Some((hash, chans)) = self.waiting.remove(&id) else {
            return;
        };
        let receipt = outcome.has_receipt().then(|| {
            let receipt = next_receipt(&self.chain, hash, outcome, body.as_ref(), self.unix_s);
            let bytes = encode_receipt(&receipt);
            self.chain = ReceiptChain::after(self.chain.seq, &bytes);
            let mut signature = self.receipt_key.sign(&bytes).unwrap();
            signature[0] ^= u8::from(self.lies);
            SignedReceipt { bytes, signature }
        });
        let response = encode_response(&Response {
            id,
            unix_s: self.unix_s,
            request_hash: hash,
            outcome,
            body,
            receipt,
        });
        self.answers.answer(self.now_ms, id, &response);
        for chan in chans {
            self.send(chan, &response);
        }
    }

    /// Makes a receipt that never leaves: an answer that was lost for good.
    pub(crate) fn lose_an_answer(&mut self) {
        let hash = RequestHash([self.rng.next_u32().to_le_bytes()[0]; 32]);
        let receipt = next_receipt(&self.chain, hash, Outcome::Refuse, None, self.unix_s);
        self.chain = ReceiptChain::after(self.chain.seq, &encode_receipt(&receipt));
    }

    fn send(&mut self, chan: Chan, message: &[u8]) {
        if let Some(link) = self.links.get_mut(&chan)
            && let Ok(frames) = link.send(self.now_ms, message)
        {
            self.send_frames(chan, frames);
        }
    }
}

fn key_entry(name: Name, public_key: &[u8]) -> KeyEntry {
    KeyEntry {
        id: id_of(public_key),
        algorithm: "ssh-ed25519".to_owned(),
        public_key: public_key.to_vec(),
        name,
        purposes: vec![Purpose::SshLogin],
    }
}

/// The first key's id.
pub(crate) fn key_id() -> KeyId {
    id_of(&PUBLIC_KEY)
}

fn id_of(public_key: &[u8]) -> KeyId {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public_key);
    KeyId(hash.as_ref().try_into().unwrap())
}

/// As long as an Ed25519 key's blob; nobody here reads it.
const PUBLIC_KEY: [u8; 51] = [1; 51];
