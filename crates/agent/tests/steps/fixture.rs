//! The agent under test and what stands around it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use keystead_agent::audit;
use keystead_agent::control::{Command, Reply};
use keystead_agent::evidence::Seen;
use keystead_agent::keeps::Keeps;
use keystead_agent::log::{self, Entry};
use keystead_agent::settings::Settings;
use keystead_agent::{Action, Agent, ClientId, ConnectionId, Event, Here, Setup};
use keystead_core::{
    KeyEntry, KeyId, Name, Outcome, PairingId, Purpose, RequestHash, RequestId, ResponseBody,
};
use keystead_daemon::{Disk, Io, MemoryDisk, Now};
use keystead_formats::ssh::agent::{Request, Response};
use keystead_formats::ssh::line::KeyLine;
use keystead_keeper::{self as keeper, Answer, AskId, KeeperError, PairingView, Progress, Refresh};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zeroize::Zeroizing;

const CAPTURED: &str = include_str!("../../../formats/tests/messages/openssh-9.2p1.txt");

pub(crate) const PAIRING: PairingId = PairingId([7; 8]);
pub(crate) const KEEPER: &str = "test-phone";
pub(crate) const PROGRAM: ConnectionId = ConnectionId(1);
pub(crate) const CLIENT: ClientId = ClientId(1);
pub(crate) const PID: i32 = 4242;

/// The messages of one captured step, in order, one way.
pub(crate) fn captured(step: &str, way: &str) -> Vec<Vec<u8>> {
    let lines = CAPTURED.lines();
    lines
        .filter_map(|line| {
            line.strip_prefix(step)?
                .strip_prefix(' ')?
                .strip_prefix(way)
        })
        .map(|hex| unhex(hex.trim()))
        .collect()
}

/// A value of the captured file's head.
pub(crate) fn noted(name: &str) -> &'static str {
    let mut lines = CAPTURED.lines();
    lines
        .find_map(|line| {
            line.strip_prefix("# ")?
                .strip_prefix(name)?
                .strip_prefix(": ")
        })
        .unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A keeper that notes what it is told and does what the test has put into `next`.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) told: Vec<keeper::Event>,
    /// Who looked at its keys.
    pub(crate) looks: Vec<Refresh>,
    pub(crate) next: VecDeque<keeper::Action>,
    pub(crate) keys: Vec<KeyEntry>,
    pub(crate) views: Vec<PairingView>,
}

struct Handle(Arc<Mutex<Fake>>);

impl Keeps for Handle {
    fn step(&mut self, _: Now, event: keeper::Event, _: &mut Io<'_>) -> Vec<keeper::Action> {
        let mut fake = self.0.lock().unwrap();
        match &event {
            keeper::Event::Tick => {}
            keeper::Event::Rename { pairing, name } => {
                let view = fake.views.iter_mut().find(|it| it.pairing == *pairing);
                view.unwrap().name = name.clone();
            }
            keeper::Event::Unpair { pairing } => {
                let view = fake.views.iter_mut().find(|it| it.pairing == *pairing);
                view.unwrap().is_unpairing = true;
                fake.keys.clear();
            }
            keeper::Event::Refresh(looks) => fake.looks.push(*looks),
            _ => {}
        }
        if !matches!(event, keeper::Event::Tick | keeper::Event::Refresh(_)) {
            fake.told.push(event);
        }
        fake.next.drain(..).collect()
    }

    fn shut_down(&mut self, _: Now, _: &mut Io<'_>) -> Vec<keeper::Action> {
        self.0.lock().unwrap().next.drain(..).collect()
    }

    fn next_wake_ms(&self) -> Option<u64> {
        None
    }

    fn keys(&self) -> Vec<(PairingId, Name, KeyEntry)> {
        let fake = self.0.lock().unwrap();
        let views = fake.views.iter();
        views
            .flat_map(|view| {
                let keys = fake.keys.iter();
                keys.map(|key| (view.pairing, view.name.clone(), key.clone()))
            })
            .collect()
    }

    fn pairings(&self) -> Vec<PairingView> {
        self.0.lock().unwrap().views.clone()
    }
}

/// The agent, the fake keeper, the disk and the time.
pub(crate) struct Bench {
    pub(crate) agent: Agent,
    pub(crate) keeper: Arc<Mutex<Fake>>,
    pub(crate) disk: MemoryDisk,
    pub(crate) now: Now,
    rng: ChaCha20Rng,
}

impl Bench {
    /// With the captured Ed25519 key at one keeper, and one program connected.
    pub(crate) fn new() -> Self {
        Self::on(MemoryDisk::new())
    }

    pub(crate) fn on(disk: MemoryDisk) -> Self {
        Self::set(disk, Settings::default(), Here::default())
    }

    /// With these settings.
    pub(crate) fn set(mut disk: MemoryDisk, settings: Settings, here: Here) -> Self {
        let keeper = Arc::new(Mutex::new(Fake::default()));
        let entry = key_entry("main", noted("ed25519"));
        let view = view(KEEPER, &entry);
        keeper.lock().unwrap().keys.push(entry);
        keeper.lock().unwrap().views.push(view);
        let now = Now {
            mono_ms: 1_000_000,
            unix_s: 1_700_000_000,
        };
        let setup = Setup {
            settings,
            host_name: Name::new("laptop").unwrap(),
            ssh_auth_sock: "/run/ssh.sock".into(),
            state_folder: "/state".into(),
            pid: 1,
            here,
        };
        let mut rng = ChaCha20Rng::from_seed([0; 32]);
        let mut io = Io {
            rng: &mut rng,
            disk: &mut disk,
        };
        let handle = Box::new(Handle(Arc::clone(&keeper)));
        let agent = Agent::with(now, setup, handle, &mut io).unwrap();
        let mut bench = Self {
            agent,
            keeper,
            disk,
            now,
            rng,
        };
        bench.connect(PROGRAM);
        bench
    }

    pub(crate) fn connect(&mut self, connection: ConnectionId) {
        let pid = Some(PID);
        assert!(self.step(Event::Connect { connection, pid }).is_empty());
    }

    pub(crate) fn step(&mut self, event: Event) -> Vec<Action> {
        let mut io = Io {
            rng: &mut self.rng,
            disk: &mut self.disk,
        };
        self.agent.step(self.now, event, &mut io)
    }

    /// The process ends.
    pub(crate) fn close(&mut self) -> Vec<Action> {
        let mut io = Io {
            rng: &mut self.rng,
            disk: &mut self.disk,
        };
        self.agent.close(self.now, &mut io)
    }

    pub(crate) fn frame(&mut self, message: &[u8]) -> Vec<Action> {
        let frame = Zeroizing::new(message.to_vec());
        self.step(Event::Frame {
            connection: PROGRAM,
            frame,
        })
    }

    /// Sends a request and reads the one answer.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Response {
        let actions = self.frame(&request.encode());
        one_answer(&actions)
    }

    pub(crate) fn looked(&mut self, seen: Seen) -> Vec<Action> {
        self.step(Event::Look {
            connection: PROGRAM,
            seen,
        })
    }

    pub(crate) fn wait(&mut self, ms: u64) -> Vec<Action> {
        self.now.mono_ms += ms;
        self.now.unix_s += ms / 1_000;
        self.step(Event::Tick)
    }

    /// Lets the keeper say something.
    pub(crate) fn says(&mut self, action: keeper::Action) -> Vec<Action> {
        self.keeper.lock().unwrap().next.push_back(action);
        self.step(Event::Tick)
    }

    pub(crate) fn progress(&mut self, progress: Progress) -> Vec<Action> {
        let ask = self.last_ask().0;
        self.says(keeper::Action::Progress { ask, progress })
    }

    /// The last question that the keeper got.
    pub(crate) fn last_ask(&self) -> (AskId, u16) {
        let fake = self.keeper.lock().unwrap();
        let asks = fake.told.iter().rev();
        let mut asks = asks.filter_map(|event| match event {
            keeper::Event::Ask { ask, wait_s, .. } => Some((*ask, *wait_s)),
            _ => None,
        });
        asks.next().unwrap()
    }

    /// Goes on until the keeper is asked for the captured login's signature.
    pub(crate) fn ask_for_login(&mut self, step: &str) {
        let messages = captured(step, ">");
        for message in &messages {
            self.frame(message);
        }
        self.looked(Seen::default());
    }

    pub(crate) fn command(&mut self, command: &Command) -> Vec<Action> {
        let line = serde_json::to_vec(command).unwrap();
        self.line(&line)
    }

    pub(crate) fn line(&mut self, line: &[u8]) -> Vec<Action> {
        let addresses: Vec<SocketAddr> = vec!["192.0.2.7:0".parse().unwrap()];
        self.step(Event::Command {
            client: CLIENT,
            line: line.to_vec(),
            attached: None,
            addresses,
        })
    }

    pub(crate) fn log(&self) -> Vec<Entry> {
        log::entries(&self.log_file()).0
    }

    /// What `keystead audit verify` finds in it.
    pub(crate) fn audited(&self) -> audit::Report {
        audit::verify(&self.log_file())
    }

    fn log_file(&self) -> Vec<u8> {
        self.disk.read(log::FILE_NAME).unwrap().unwrap_or_default()
    }

    pub(crate) fn last_entry(&self) -> Entry {
        self.log().pop().unwrap()
    }
}

pub(crate) fn key_entry(name: &str, line: &str) -> KeyEntry {
    let key = KeyLine::parse(line).unwrap().key;
    KeyEntry {
        id: KeyId(*key.id().as_bytes()),
        algorithm: key.type_name().to_owned(),
        public_key: key.blob().to_vec(),
        name: Name::new(name).unwrap(),
        purposes: vec![Purpose::SshLogin, Purpose::SshSig, Purpose::GitCommit],
    }
}

fn view(name: &str, key: &KeyEntry) -> PairingView {
    PairingView {
        pairing: PAIRING,
        name: Name::new(name).unwrap(),
        authenticator: Name::new(name).unwrap(),
        keys: vec![key.clone()],
        wallets: Vec::new(),
        relays: Vec::new(),
        addresses: Vec::new(),
        paired_unix_s: 0,
        is_used: true,
        is_unpairing: false,
        is_connected: true,
        unanswered_ms: None,
        receipt_key: [0; 32],
    }
}

pub(crate) fn answer(outcome: Outcome, body: Option<ResponseBody>) -> Progress {
    Progress::Done(Ok(Answer {
        outcome,
        body,
        receipt: None,
        request_hash: RequestHash([3; 32]),
        authenticator: Name::new(KEEPER).unwrap(),
    }))
}

/// The captured signature of a step.
pub(crate) fn approve(step: &str) -> Progress {
    let Ok(Response::Signature(signature)) = Response::parse(captured(step, "<").last().unwrap())
    else {
        panic!("{step} has no signature");
    };
    answer(Outcome::Approve, Some(ResponseBody::Signature(signature)))
}

pub(crate) fn fail(error: KeeperError) -> Progress {
    Progress::Done(Err(error))
}

pub(crate) fn sent() -> Progress {
    Progress::Sent {
        request: RequestId([1; 16]),
        hash: RequestHash([2; 32]),
    }
}

pub(crate) fn asking() -> Progress {
    let authenticator = Name::new(KEEPER).unwrap();
    Progress::Asking { authenticator }
}

pub(crate) fn keeper_name() -> Name {
    Name::new(KEEPER).unwrap()
}

pub(crate) fn answers(actions: &[Action]) -> Vec<Response> {
    let answers = actions.iter().filter_map(|action| match action {
        Action::Answer { message, .. } => Some(Response::parse(message).unwrap()),
        _ => None,
    });
    answers.collect()
}

#[track_caller]
pub(crate) fn one_answer(actions: &[Action]) -> Response {
    let answers = answers(actions);
    assert_eq!(answers.len(), 1, "{actions:?}");
    answers.into_iter().next().unwrap()
}

pub(crate) fn lines(actions: &[Action]) -> Vec<&str> {
    let lines = actions.iter().filter_map(|action| match action {
        Action::Say { pid, line, .. } => {
            assert_eq!(*pid, PID);
            Some(line.as_str())
        }
        _ => None,
    });
    lines.collect()
}

pub(crate) fn replies(actions: Vec<Action>) -> Vec<Reply> {
    let replies = actions.into_iter().filter_map(|action| match action {
        Action::Reply { client, reply } => {
            assert_eq!(client, CLIENT);
            Some(reply)
        }
        _ => None,
    });
    replies.collect()
}
