//! The local authenticator: keys that were added on this machine, for one agent alone, in memory.
//!
//! **Invariant**: a private key that came in leaves this process in no message and to no file;
//! a constraint that came with it holds for every use, or the key was not taken. Nobody is
//! asked before a signature unless a constraint says so: whoever adds a key here, as to
//! `ssh-agent`, has decided (`DESIGN.md`, "Private key").
//!
//! [`Local::step`] decides and does no I/O; [`serve`] carries bytes and starts programs.
//! Verdicts are those of OpenSSH's own agent (`ssh-agent.c`), so that this stands in for it.

mod askpass;
mod frames;
mod identity;
mod import;
mod lock;
mod programs;
mod remove;
mod security_key;
mod serve;
mod sign;
mod sk_program;
mod token;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;

use keystead_channel::wire;
use keystead_core::{
    AckResponse, Kind, MeResponse, Name, Outcome, Request, RequestBody, RequestHash, RequestId,
    Response, ResponseBody,
};
use keystead_daemon::Now;
use keystead_vault::{SignOptions, SigningKey};
use rand_core::CryptoRngCore;

use identity::Identities;
use lock::Lock;
use sign::signed;
use waiting::{Waiting, What};

pub use security_key::SecurityKey;
pub use serve::run;
pub use sk_program::Reply as SkReply;
pub use token::{TokenKey, TokenWork};

/// What the child is started with. Nothing secret: it stands in the list of processes.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Libraries of tokens and security keys that may be loaded: patterns, comma between.
    #[arg(long, value_name = "PATTERNS", default_value = DEFAULT_PROVIDERS)]
    pub providers: String,
    /// Applications of security keys that may sign what is no SSH message: patterns, comma
    /// between.
    #[arg(long, value_name = "PATTERNS", default_value = DEFAULT_WEBSAFE)]
    pub websafe_allow: String,
    /// Let security keys of web sites sign what is no SSH message.
    #[arg(long)]
    pub no_restrict_websafe: bool,
    /// Serve one token's library to another local authenticator.
    #[arg(long)]
    pub token: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            providers: DEFAULT_PROVIDERS.to_owned(),
            websafe_allow: DEFAULT_WEBSAFE.to_owned(),
            no_restrict_websafe: false,
            token: false,
        }
    }
}

/// The keys and whoever waits for one of them.
pub struct Local {
    options: Options,
    identities: Identities,
    lock: Lock,
    waiting: Waiting,
}

/// What a step may touch beside its own memory.
pub struct Io<'a> {
    /// Randomness.
    pub rng: &'a mut dyn CryptoRngCore,
    /// A path without links and dots, if there is such a file (`realpath(3)`).
    pub canonical: &'a dyn Fn(&str) -> Option<String>,
}

/// What happens to a [`Local`].
pub enum Event<'a> {
    /// A whole request came. The caller wipes the bytes.
    Request(&'a [u8]),
    /// What an [`Action::Start`] began has ended.
    Done(Job, Done),
    /// Time passed.
    Tick,
}

/// What is to be done about it.
pub enum Action {
    /// A whole response goes out.
    Send(Vec<u8>),
    /// Something that takes its time begins; [`Event::Done`] tells its end.
    Start(Job, Work),
    /// Its end is of no interest any more: a question leaves the screen.
    Stop(Job),
    /// Nothing uses this token's library any more.
    Close(PathBuf),
    /// What came is no message: the agent cannot be understood from here on.
    End,
}

/// Names something that takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job(u64);

/// What takes its time, and so runs beside the step.
pub enum Work {
    /// Ask the person whether a key may be used; [`Done::Answered`].
    Ask(String),
    /// A signature that takes milliseconds; [`Done::Signed`].
    Sign(Slow),
    /// A signature by a security key; [`Done::Signed`].
    SecurityKey {
        /// The key's handle.
        key: Arc<SecurityKey>,
        /// What is signed.
        content: Vec<u8>,
        /// What the person is told while the key blinks.
        notice: String,
    },
    /// Something that a PKCS#11 token does.
    Token {
        /// Its library.
        provider: PathBuf,
        /// What it does.
        work: TokenWork,
    },
}

/// A signature of a key in memory that takes its time.
pub struct Slow {
    /// The key.
    pub key: Arc<SigningKey>,
    /// What is signed.
    pub content: Vec<u8>,
    /// How.
    pub options: SignOptions,
}

/// How it ended.
pub enum Done {
    /// What the person said; no answer, and nobody to ask, is no.
    Answered(bool),
    /// The signature as on the SSH wire, if there is one.
    Signed(Option<Vec<u8>>),
    /// The token's keys, if it could be opened.
    Opened(Option<Vec<TokenKey>>),
}

/// A request that wants its answer.
#[derive(Clone, Copy, Debug)]
struct Asked {
    id: RequestId,
    hash: RequestHash,
}

impl Local {
    /// No keys, not locked.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            identities: Identities::default(),
            lock: Lock::default(),
            waiting: Waiting::default(),
        }
    }

    /// Takes one event; the actions are done in their order.
    pub fn step(&mut self, now: Now, event: Event<'_>, io: &mut Io<'_>) -> Vec<Action> {
        let mut actions = self.expire(now);
        match event {
            Event::Request(bytes) => self.request(now, bytes, io, &mut actions),
            Event::Done(job, done) => self.done(now, job, done, &mut actions),
            Event::Tick => {}
        }
        actions
    }

    /// When a [`Event::Tick`] has something to do, if ever.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        [
            self.identities.next_end_ms(),
            self.waiting.next_end_ms(),
            self.lock.next_check_ms(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What time alone changes.
    fn expire(&mut self, now: Now) -> Vec<Action> {
        let mut actions = self.drop_identities(|it| it.is_over(now));
        for (job, asked, what) in self.waiting.take_over(now) {
            actions.push(respond(now, asked, Outcome::Expire, None));
            actions.push(Action::Stop(job));
            actions.extend(self.close_unused(what.provider()));
        }
        for (asked, outcome) in self.lock.due(now) {
            actions.push(answer_lock(now, asked, outcome));
        }
        actions
    }

    fn request(&mut self, now: Now, bytes: &[u8], io: &mut Io<'_>, actions: &mut Vec<Action>) {
        let request = match wire::decode_request(bytes) {
            Ok(request) => request,
            Err(error) => {
                let Some(id) = error.id else {
                    actions.push(Action::End);
                    return;
                };
                let hash = wire::request_hash(bytes);
                actions.push(respond(now, Asked { id, hash }, error.outcome(), None));
                return;
            }
        };
        let asked = Asked {
            id: request.id,
            hash: wire::request_hash(bytes),
        };
        if self.waiting.is_open(&asked.id) {
            actions.push(respond(now, asked, Outcome::Malformed, None));
            return;
        }
        if self.lock.is_locked() && !is_answered_locked(&request.body) {
            actions.push(respond(now, asked, Outcome::Busy, None));
            return;
        }
        self.body(now, asked, request, io, actions);
    }

    fn body(
        &mut self,
        now: Now,
        asked: Asked,
        request: Request,
        io: &mut Io<'_>,
        actions: &mut Vec<Action>,
    ) {
        let wait = Wait::of(now, &request);
        match request.body {
            RequestBody::Me { nonce_c: None } => actions.push(self.me(now, asked)),
            RequestBody::Sign(sign) => self.sign(now, asked, wait, sign, actions),
            RequestBody::Cancel { target } => self.cancel(now, asked, target, actions),
            RequestBody::Import(import) => self.import(now, asked, wait, import, io, actions),
            RequestBody::Remove { keys } => self.remove(now, asked, &keys, actions),
            RequestBody::Lock(request) => {
                if let Some(outcome) = self.lock.ask(now, asked, request, io.rng) {
                    actions.push(answer_lock(now, asked, outcome));
                }
            }
            // Between a workstation and a person's authenticator.
            RequestBody::Me { .. }
            | RequestBody::Hosts
            | RequestBody::Unpair
            | RequestBody::Confirm { .. }
            | RequestBody::MakeKey(_)
            | RequestBody::ApproveServer(_)
            | RequestBody::MakeApprovalKey(_)
            | RequestBody::OpenLocal(_)
            | _ => actions.push(respond(now, asked, Outcome::Unsupported, None)),
        }
    }

    fn me(&self, now: Now, asked: Asked) -> Action {
        let Ok(name) = Name::new(NAME) else {
            return respond(now, asked, Outcome::Unsupported, None);
        };
        let keys = match self.lock.is_locked() {
            true => Vec::new(),
            false => self.identities.entries(),
        };
        let me = MeResponse {
            name,
            keys,
            transports: Vec::new(),
            push_url: None,
            // The local link has no receipts.
            receipt_key: [0; 32],
            wallets: Vec::new(),
        };
        respond(now, asked, Outcome::Approve, Some(ResponseBody::Me(me)))
    }

    fn cancel(&mut self, now: Now, asked: Asked, target: RequestId, actions: &mut Vec<Action>) {
        if let Some((job, withdrawn, what)) = self.waiting.take(&target) {
            actions.push(Action::Stop(job));
            actions.push(respond(now, withdrawn, Outcome::Withdraw, None));
            actions.extend(self.close_unused(what.provider()));
        }
        let done = Some(ResponseBody::Empty);
        actions.push(respond(now, asked, Outcome::Approve, done));
    }

    fn done(&mut self, now: Now, job: Job, done: Done, actions: &mut Vec<Action>) {
        // Withdrawn or expired meanwhile: nobody wants to know.
        let Some((asked, wait, what)) = self.waiting.end(job) else {
            return;
        };
        match (what, done) {
            (What::Confirm(request), Done::Answered(true)) => {
                self.confirmed(now, asked, wait, *request, actions);
            }
            (What::Own, Done::Signed(signature)) => actions.push(signed(now, asked, signature)),
            (What::Foreign(expected), Done::Signed(signature)) => {
                let signature = signature.filter(|it| expected.is_met_by(it));
                actions.push(signed(now, asked, signature));
            }
            (What::Token(import), Done::Opened(keys)) => {
                self.opened(now, asked, *import, keys, actions);
            }
            _ => actions.push(respond(now, asked, Outcome::Refuse, None)),
        }
    }
}

/// Until when an answer is waited for, and whether an ack is.
#[derive(Clone, Copy, Debug)]
struct Wait {
    until_ms: u64,
    want_ack: bool,
}

impl Wait {
    fn of(now: Now, request: &Request) -> Self {
        let wait_ms = u64::from(request.wait_s).saturating_mul(MS_PER_S);
        Self {
            until_ms: now.mono_ms.saturating_add(wait_ms),
            want_ack: request.want_ack,
        }
    }
}

/// As OpenSSH's agent: locked, it lists nothing, and unlocks. A withdrawal frees what it names.
fn is_answered_locked(body: &RequestBody) -> bool {
    matches!(body.kind(), Kind::Me | Kind::Lock | Kind::Cancel)
}

fn answer_lock(now: Now, asked: Asked, outcome: Outcome) -> Action {
    let body = (outcome == Outcome::Approve).then_some(ResponseBody::Empty);
    respond(now, asked, outcome, body)
}

fn acknowledge(now: Now, asked: Asked) -> Action {
    let ack = ResponseBody::Ack(AckResponse::default());
    respond(now, asked, Outcome::Ack, Some(ack))
}

fn respond(now: Now, asked: Asked, outcome: Outcome, body: Option<ResponseBody>) -> Action {
    Action::Send(wire::encode_response(&Response {
        id: asked.id,
        unix_s: now.unix_s,
        request_hash: asked.hash,
        outcome,
        body,
        receipt: None,
    }))
}

/// What the agent's log calls it.
const NAME: &str = "local";

/// As OpenSSH's (`DEFAULT_ALLOWED_PROVIDERS`): libraries that the system's owner installed.
pub const DEFAULT_PROVIDERS: &str = "/usr/lib*/*,/usr/local/lib*/*";

/// As OpenSSH's (`websafe_allowlist`): what was made for SSH.
pub const DEFAULT_WEBSAFE: &str = "ssh:*";

const MS_PER_S: u64 = 1_000;

#[cfg(test)]
mod tests;
