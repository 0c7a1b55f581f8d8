//! The local link: what its one end may send to the other, and both ends together.

use std::collections::BTreeSet;

use keystead_authenticator::local as authenticator;

use keystead_core::{
    Constraints, Evidence, ImportRequest, KeyForm, KeyId, LockRequest, RequestBody, ResponseBody,
    SecretBytes, SignForm, SignRequest,
};
use keystead_daemon::Now;
use keystead_formats::ssh::key::key_id;
use keystead_keeper::local::{Local, Turn};
use keystead_keeper::{Answer, AskId, Progress};
use keystead_vault::SigningKey;

use crate::random::Counter;

/// The real local authenticator at the other end: each byte is an act of the agent, and after
/// each the agent lists what the authenticator holds.
pub(crate) fn pair(bytes: &[u8]) {
    let mut pair = Pair::default();
    for byte in bytes.iter().take(ACTS_MAX) {
        pair.act(*byte);
        let told = pair.me();
        let listed = pair.agent.keys(pair.now).map(|key| key.id).collect();
        assert_eq!(told, listed, "after {byte} in {bytes:?}");
    }
}

/// Bytes that are no request, or any: the authenticator answers or ends.
pub(crate) fn requests(bytes: &[u8]) {
    let mut pair = Pair::default();
    pair.act(0);
    for message in bytes.split(|byte| *byte == 0xff) {
        pair.carry(message);
    }
    pair.carry(bytes);
}

/// Both ends in one thread.
struct Pair {
    agent: Local,
    authenticator: authenticator::Local,
    rng: Counter,
    now: Now,
    asked: u64,
    /// What came for the last ask.
    answers: Vec<Answer>,
}

impl Default for Pair {
    fn default() -> Self {
        Self {
            agent: Local::default(),
            authenticator: authenticator::Local::new(authenticator::Options::default()),
            rng: Counter(7),
            now: NOW,
            asked: 0,
            answers: Vec::new(),
        }
    }
}

impl Pair {
    fn act(&mut self, byte: u8) {
        let [first, second] = KEYS;
        let body = match byte % 12 {
            0 => import(first, None),
            1 => import(second, None),
            2 => import(first, Some(u32::from(byte / 12))),
            3 => import(second, Some(3)),
            4 => sign(first),
            5 => sign(second),
            6 => RequestBody::Remove { keys: Vec::new() },
            7 => match self.agent.keys(self.now).next() {
                Some(key) => RequestBody::Remove { keys: vec![key.id] },
                None => RequestBody::Hosts,
            },
            8 => lock(true, b"one"),
            9 => lock(false, b"one"),
            10 => lock(false, b"two"),
            _ => {
                self.now.mono_ms += 700;
                self.now.unix_s += 1;
                return self.tick();
            }
        };
        self.ask(body);
        assert_eq!(self.answers.len(), 1, "each ask ends once");
    }

    /// The ids that the authenticator names.
    fn me(&mut self) -> BTreeSet<KeyId> {
        self.ask(RequestBody::Me { nonce_c: None });
        match self.answers.first().and_then(|it| it.body.as_ref()) {
            Some(ResponseBody::Me(me)) => me.keys.iter().map(|key| key.id).collect(),
            Some(_) | None => BTreeSet::new(),
        }
    }

    /// Asks, and lets time pass until the answer is there: a wrong passphrase takes its time.
    fn ask(&mut self, body: RequestBody) {
        self.answers.clear();
        self.asked += 1;
        let ask = AskId(self.asked);
        let turn = self.agent.ask(self.now, ask, body, WAIT_S, &mut self.rng);
        self.take(&turn);
        self.carry(turn.send.get(4..).unwrap_or_default());
        while self.answers.is_empty() {
            let Some(at_ms) = self.authenticator.next_wake_ms() else {
                return;
            };
            self.now.mono_ms = self.now.mono_ms.max(at_ms);
            self.tick();
        }
    }

    fn tick(&mut self) {
        let turn = self.agent.tick(self.now, &mut self.rng);
        self.take(&turn);
        self.step(authenticator::Event::Tick);
    }

    fn carry(&mut self, request: &[u8]) {
        self.step(authenticator::Event::Request(request));
    }

    fn step(&mut self, event: authenticator::Event<'_>) {
        let mut io = authenticator::Io {
            rng: &mut self.rng,
            canonical: &|_| None,
        };
        for action in self.authenticator.step(self.now, event, &mut io) {
            if let authenticator::Action::Send(response) = action {
                let len = u32::try_from(response.len()).unwrap_or(u32::MAX);
                let turn = self.agent.bytes(self.now, &len.to_be_bytes());
                self.take(&turn);
                let turn = self.agent.bytes(self.now, &response);
                self.take(&turn);
            }
        }
        assert!(!self.agent.is_broken(), "the two understand each other");
    }

    fn take(&mut self, turn: &Turn) {
        for (ask, progress) in &turn.progress {
            if let Progress::Done(Ok(answer)) = progress
                && ask.0 == self.asked
            {
                self.answers.push(answer.clone());
            }
        }
    }
}

fn import(key: &[u8], lifetime_s: Option<u32>) -> RequestBody {
    RequestBody::Import(ImportRequest {
        form: KeyForm::Agent,
        key: SecretBytes::fill(key.len(), |bytes| bytes.copy_from_slice(key)),
        passphrase: None,
        name: None,
        constraints: Constraints {
            lifetime_s,
            ..Constraints::default()
        },
        purposes: Vec::new(),
    })
}

/// By a key that may be there or not.
fn sign(key: &[u8]) -> RequestBody {
    let id = match SigningKey::import_agent(key) {
        Ok(imported) => key_id(&imported.key.public().to_blob()),
        Err(_) => KeyId([1; 32]),
    };
    RequestBody::Sign(SignRequest {
        key: id,
        form: SignForm::Ssh,
        content: b"blob".to_vec(),
        flags: 0,
        evidence: Evidence::default(),
        identity: None,
    })
}

fn lock(lock: bool, passphrase: &[u8]) -> RequestBody {
    let passphrase = SecretBytes::fill(passphrase.len(), |it| it.copy_from_slice(passphrase));
    RequestBody::Lock(LockRequest { lock, passphrase })
}

/// Keys that ssh-add brought; they protect nothing.
const KEYS: [&[u8]; 2] = [
    include_bytes!("../../corpus/key_agent_form/ed25519"),
    include_bytes!("../../corpus/key_agent_form/p256"),
];

/// Acts in one input: a wrong passphrase each costs milliseconds of the fuzzer's time.
const ACTS_MAX: usize = 24;

/// Whatever comes, in whatever pieces: each ask ends at most once, and all of them by the end
/// of the socket.
pub(crate) fn link(bytes: &[u8]) {
    let mut local = Local::default();
    let mut open = BTreeSet::new();
    let rng = &mut Counter(7);
    for (ask, body) in (0..).map(AskId).zip(bodies()) {
        open.insert(ask);
        take(&local.ask(NOW, ask, body, WAIT_S, rng), &mut open);
    }
    for chunk in bytes.chunks(97) {
        take(&local.bytes(NOW, chunk), &mut open);
    }
    take(&local.ended(), &mut open);
    assert_eq!(open.len(), 0);
    assert_eq!(local.next_wake_ms(), None);
}

fn take(turn: &Turn, open: &mut BTreeSet<AskId>) {
    for (ask, progress) in &turn.progress {
        assert!(open.contains(ask));
        if matches!(progress, Progress::Done(_)) {
            open.remove(ask);
        }
    }
}

fn bodies() -> [RequestBody; 4] {
    [
        RequestBody::Me { nonce_c: None },
        sign(&[]),
        import(&[3; 8], None),
        RequestBody::Remove { keys: Vec::new() },
    ]
}

const NOW: Now = Now {
    mono_ms: 1_000,
    unix_s: 1_700_000_000,
};

const WAIT_S: u16 = 60;
