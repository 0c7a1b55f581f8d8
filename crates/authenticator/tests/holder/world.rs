//! A holder on a simulated disk, clock and network, and workstations built on
//! the channel's client side.

use std::sync::Arc;

use keystead_authenticator::control::{Command, Reply};
use keystead_authenticator::entry::Entry;
use keystead_authenticator::holder::{Action, Caller, Decide, Event, Holder, Options};
use keystead_authenticator::journal::Journal;
use keystead_authenticator::keyring::Keyring;
use keystead_authenticator::namespaces::Namespaces;
use keystead_authenticator::question::{Answer, PartId, Question, QuestionId};
use keystead_channel::curve::{CloseCode, KeyPair, PublicKey};
use keystead_channel::link::{
    Carrier, ClientLink, ClientLinkSetup, LinkEnd, LinkEvent, LinkOutput,
};
use keystead_channel::pairing::{LocalAddress, Offer, open_hello};
use keystead_channel::wire::{check_receipt, decode_response, encode_request, receive_response};
use keystead_core::{
    KeyEntry, KeyType, Kind, Name, Outcome, Request, RequestBody, RequestId, Response,
    ResponseBody, Secret, SecretBytes,
};
use keystead_daemon::{Io, MemoryDisk, Now};
use keystead_transport::{Address, LinkId, NetAction, NetEvent};
use keystead_vault::Cost;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRngCore, RngCore, SeedableRng};

pub(crate) const CALLER: Caller = Caller(7);
pub(crate) const PASSPHRASE: &str = "open sesame";

use crate::login::{Host, login};

/// A holder in a simulated world.
pub(crate) struct World {
    pub(crate) holder: Holder,
    pub(crate) disk: MemoryDisk,
    pub(crate) now: Now,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) questions: Vec<Question>,
    pub(crate) settled: Vec<(QuestionId, String)>,
    pub(crate) said: Vec<String>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) net: Vec<NetAction>,
    options: Options,
    link_next: u64,
}

/// A workstation with one channel.
pub(crate) struct Workstation {
    keys: Arc<KeyPair>,
    server: PublicKey,
    pub(crate) receipt_key: [u8; 32],
    link: ClientLink,
    pub(crate) link_id: LinkId,
    responses: Vec<Vec<u8>>,
    pub(crate) ended: Option<LinkEnd>,
}

impl World {
    pub(crate) fn new(decide: Decide) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut disk = MemoryDisk::default();
        let name = Name::new("phone").unwrap();
        let mut keys = Keyring::create(name, &passphrase(), Cost::LEAST, &mut rng).unwrap();
        let main = Name::new("main").unwrap();
        keys.make_key(&main, KeyType::Ed25519, &mut rng, &mut disk)
            .unwrap();
        Journal::create(&Entry::own(1, "init", Outcome::Approve), &mut disk).unwrap();
        let options = Options {
            decide,
            listen: Vec::new(),
            ..Options::default()
        };
        let now = Now {
            mono_ms: 1_000_000,
            unix_s: 1_700_000_000,
        };
        let holder = load(now, &options, &mut rng, &mut disk);
        Self {
            holder,
            disk,
            now,
            rng,
            questions: Vec::new(),
            settled: Vec::new(),
            said: Vec::new(),
            replies: Vec::new(),
            net: Vec::new(),
            options,
            link_next: LinkId::ACCEPTED.0,
        }
    }

    /// A world with one paired workstation.
    pub(crate) fn paired(decide: Decide) -> (Self, Workstation) {
        let mut world = Self::new(decide);
        let workstation = Workstation::pair(&mut world);
        world.replies.clear();
        world.said.clear();
        (world, workstation)
    }

    /// The process ends and starts again on the same disk.
    pub(crate) fn restart(&mut self) {
        self.holder = load(self.now, &self.options, &mut self.rng, &mut self.disk);
        self.questions.clear();
        self.net.clear();
    }

    /// As [`World::restart`], and another decides.
    pub(crate) fn restart_with(&mut self, decide: Decide) {
        self.options.decide = decide;
        self.restart();
    }

    /// As [`World::restart`], and other namespaces are asked for.
    pub(crate) fn restart_in(&mut self, namespaces: Namespaces) {
        self.options.namespaces = namespaces;
        self.restart();
    }

    pub(crate) fn event(&mut self, event: Event) {
        let mut io = Io {
            rng: &mut self.rng,
            disk: &mut self.disk,
        };
        let actions = self.holder.step(self.now, event, &mut io);
        self.take(actions);
    }

    pub(crate) fn command(&mut self, command: Command) -> Option<Reply> {
        self.event(Event::Command {
            caller: CALLER,
            command,
            passphrase: None,
        });
        self.replies.pop()
    }

    pub(crate) fn advance_s(&mut self, seconds: u64) {
        self.now.mono_ms += seconds * 1_000;
        self.now.unix_s += seconds;
        self.event(Event::Tick);
    }

    /// Time goes on as at the edge: a tick comes only when one is asked for.
    pub(crate) fn idle_s(&mut self, seconds: u64) {
        let end_ms = self.now.mono_ms + seconds * 1_000;
        while let Some(at_ms) = self.holder.next_wake_ms().filter(|at| *at <= end_ms) {
            let step_ms = at_ms.saturating_sub(self.now.mono_ms);
            self.now.mono_ms += step_ms;
            self.now.unix_s += step_ms / 1_000;
            self.event(Event::Tick);
        }
        self.now.unix_s += (end_ms - self.now.mono_ms) / 1_000;
        self.now.mono_ms = end_ms;
    }

    /// Answers the first question, as far as it was counted.
    pub(crate) fn answer(&mut self, answer: Answer, last: PartId) {
        let question = self.questions.remove(0).id;
        self.event(Event::Decide {
            question,
            answer,
            last,
        });
    }

    pub(crate) fn decide(&mut self, decision: impl Into<Answer>) {
        let question = self.questions.remove(0).id;
        self.event(Event::Decide {
            question,
            answer: decision.into(),
            last: PartId::LAST,
        });
    }

    pub(crate) fn key(&self) -> KeyEntry {
        self.holder.keys().entries()[0].clone()
    }

    pub(crate) fn log(&self) -> Vec<Entry> {
        Journal::read(&self.disk).unwrap()
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Net(action) => self.net.push(action),
                Action::Reply { reply, .. } => self.replies.push(reply),
                Action::Ask(question) => self.questions.push(question),
                Action::Update(question) => {
                    let own = self.questions.iter_mut().find(|it| it.id == question.id);
                    *own.unwrap() = question;
                }
                Action::Settle { question, how } => {
                    self.questions.retain(|it| it.id != question);
                    self.settled.push((question, how));
                }
                Action::Say(line) => self.said.push(line),
                Action::Ready(_) | Action::NotReady(_) => {}
            }
        }
    }
}

fn load(now: Now, options: &Options, rng: &mut ChaCha20Rng, disk: &mut MemoryDisk) -> Holder {
    let mut io = Io { rng, disk };
    let (mut holder, _) = Holder::load(now, options.clone(), &mut io).unwrap();
    holder.open_keys(&passphrase()).unwrap();
    holder
}

pub(crate) fn passphrase() -> SecretBytes {
    SecretBytes::take(&mut PASSPHRASE.as_bytes().to_vec())
}

/// An offer of a new workstation, reached at one address.
pub(crate) fn offer(rng: &mut dyn CryptoRngCore) -> (Arc<KeyPair>, Offer) {
    let keys = Arc::new(KeyPair::generate(rng));
    let secret = Secret::fill(|bytes| rng.fill_bytes(bytes));
    let name = Name::new("laptop").unwrap();
    let address = LocalAddress::new("127.0.0.1:7").unwrap();
    let offer = Offer::new(keys.public(), secret, name, None, vec![address]).unwrap();
    (keys, offer)
}

impl Workstation {
    /// Scans, greets and opens the pairing channel.
    pub(crate) fn greet(world: &mut World, yes: bool) -> Self {
        let (keys, offer) = offer(&mut world.rng);
        assert!(matches!(
            world.command(Command::Pair {
                link: offer.link(),
                yes
            }),
            Some(Reply::Say { .. })
        ));
        let dial = world.net.iter().rev().find_map(|it| match it {
            NetAction::Dial { link, .. } => Some(*link),
            _ => None,
        });
        let link_id = dial.unwrap();
        world.event(Event::Net(NetEvent::Dialled { link: link_id }));
        let hello = sent(world, link_id);
        let server = open_hello(&hello, &keys, offer.secret()).unwrap().server;
        Self::open(world, keys, server, link_id)
    }

    /// Pairs, `--yes` at the holder.
    pub(crate) fn pair(world: &mut World) -> Self {
        let mut it = Self::greet(world, true);
        let me = it.ask(
            world,
            RequestBody::Me {
                nonce_c: Some([9; 16]),
            },
        );
        it.step(world);
        let response = it.final_response(&me).unwrap();
        let Some(ResponseBody::Me(body)) = &response.body else {
            panic!("no me response")
        };
        it.receipt_key = body.receipt_key;
        let pair_key = Secret::fill(|bytes| bytes.fill(5));
        let confirm = it.ask(world, RequestBody::Confirm { pair_key });
        assert_eq!(it.outcome(world, &confirm), Some(Outcome::Approve));
        it
    }

    /// Opens another channel.
    pub(crate) fn connect(&self, world: &mut World) -> Self {
        let link_id = LinkId(world.link_next);
        world.link_next += 1;
        let peer = "127.0.0.1:9".parse::<Address<_>>().unwrap();
        world.event(Event::Net(NetEvent::Accepted {
            link: link_id,
            peer,
        }));
        let mut it = Self::open(world, Arc::clone(&self.keys), self.server, link_id);
        it.receipt_key = self.receipt_key;
        it
    }

    fn open(world: &mut World, keys: Arc<KeyPair>, server: PublicKey, link_id: LinkId) -> Self {
        let setup = ClientLinkSetup {
            keys: Arc::clone(&keys),
            server,
            carrier: Carrier::Stream,
            takes_pairing_hellos: true,
        };
        let (link, frames) = ClientLink::start(setup, world.now.mono_ms, &mut world.rng).unwrap();
        let mut it = Self {
            keys,
            server,
            receipt_key: [0; 32],
            link,
            link_id,
            responses: Vec::new(),
            ended: None,
        };
        it.send_frames(world, &frames);
        it.step(world);
        it
    }

    /// Sends a request; its bytes, to be sent again.
    pub(crate) fn ask(&mut self, world: &mut World, body: RequestBody) -> Asked {
        let unix_s = world.now.unix_s;
        self.ask_at(world, body, unix_s)
    }

    /// Asks for a login at a host called `db1`, proved.
    pub(crate) fn log_in(&mut self, world: &mut World, host: &Host) -> Asked {
        let key = world.key();
        self.ask(world, login(&key, host, "db1"))
    }

    /// As [`Workstation::ask`], with another clock.
    pub(crate) fn ask_at(&mut self, world: &mut World, body: RequestBody, unix_s: u64) -> Asked {
        let mut id = [0; 16];
        world.rng.fill_bytes(&mut id);
        let id = RequestId(id);
        let kind = body.kind();
        let bytes = encode_request(&Request {
            id,
            unix_s,
            wait_s: 60,
            want_ack: true,
            body,
        });
        let asked = Asked { id, kind, bytes };
        self.send(world, &asked.bytes);
        asked
    }

    /// Sends bytes as one message.
    pub(crate) fn send(&mut self, world: &mut World, message: &[u8]) {
        let frames = self.link.send(world.now.mono_ms, message).unwrap();
        self.send_frames(world, &frames);
    }

    /// Closes the channel.
    pub(crate) fn close(&mut self, world: &mut World, code: CloseCode) {
        let output = self.link.close(world.now.mono_ms, code);
        self.send_frames(world, &output.frames);
    }

    fn send_frames(&mut self, world: &mut World, frames: &[Vec<u8>]) {
        if !frames.is_empty() {
            let bytes = frames.concat();
            world.event(Event::Net(NetEvent::Bytes {
                link: self.link_id,
                bytes,
            }));
        }
    }

    /// Takes in what the holder sent, until it is quiet.
    pub(crate) fn step(&mut self, world: &mut World) {
        loop {
            let bytes = sent(world, self.link_id);
            if bytes.is_empty() {
                return;
            }
            let output = self.link.bytes(world.now.mono_ms, &bytes, &mut world.rng);
            self.take(world, output);
        }
    }

    fn take(&mut self, world: &mut World, output: LinkOutput) {
        for event in output.events {
            match event {
                LinkEvent::Message(message) => self.responses.push(message),
                LinkEvent::Ended(end) => self.ended = Some(end),
                _ => {}
            }
        }
        self.send_frames(world, &output.frames);
    }

    /// The outcomes that came for a request, oldest first.
    pub(crate) fn outcomes(&mut self, world: &mut World, asked: &Asked) -> Vec<Outcome> {
        self.step(world);
        self.all(asked).iter().map(|it| it.outcome).collect()
    }

    /// The final outcome of a request, its receipt checked.
    pub(crate) fn outcome(&mut self, world: &mut World, asked: &Asked) -> Option<Outcome> {
        self.step(world);
        let response = self.final_response(asked)?;
        if response.outcome.has_receipt() {
            let bytes = *self.final_bytes(asked).last()?;
            let received = receive_response(bytes, |_| Some(asked.kind)).unwrap();
            check_receipt(&received, &self.receipt_key).unwrap();
        }
        Some(response.outcome)
    }

    pub(crate) fn final_response(&self, asked: &Asked) -> Option<Response> {
        self.all(asked)
            .into_iter()
            .rfind(|it| it.outcome != Outcome::Ack)
    }

    /// The bytes of every final answer to a request.
    pub(crate) fn final_bytes(&self, asked: &Asked) -> Vec<&[u8]> {
        let is_final = |bytes: &&Vec<u8>| {
            let decoded = decode_response(bytes, |id| (*id == asked.id).then_some(asked.kind));
            decoded.is_ok_and(|it| it.outcome != Outcome::Ack)
        };
        self.responses
            .iter()
            .filter(is_final)
            .map(Vec::as_slice)
            .collect()
    }

    /// The body of the first answer to a request.
    pub(crate) fn first_bytes(&self, asked: &Asked) -> Option<ResponseBody> {
        self.all(asked).into_iter().next()?.body
    }

    fn all(&self, asked: &Asked) -> Vec<Response> {
        let decode = |bytes: &Vec<u8>| {
            decode_response(bytes, |id| (*id == asked.id).then_some(asked.kind)).ok()
        };
        self.responses.iter().filter_map(decode).collect()
    }
}

/// A request that was sent.
pub(crate) struct Asked {
    pub(crate) id: RequestId,
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// Takes out what the holder sent on a link.
fn sent(world: &mut World, link_id: LinkId) -> Vec<u8> {
    let mut bytes = Vec::new();
    world.net.retain(|action| match action {
        NetAction::Send { link, bytes: more } if *link == link_id => {
            bytes.extend_from_slice(more);
            false
        }
        _ => true,
    });
    bytes
}
