//! One device: who waits for it, what it asks the person, when it ends.
//!
//! **Invariant:** one request at a time is with the device; each ends once, at the latest when
//! its time is over; and the cable is open only while something is asked, so that other programs
//! can have the device too. The passphrase is kept in memory for [`PASSPHRASE_LIFE_MS`] after its
//! last use, and the device is told to forget it then.

mod ends;
mod questions;
mod talk;

use std::collections::VecDeque;

use keystead_core::{
    Name, RequestBody, RequestHash, SecretBytes, WalletFingerprint, labelled_hash,
};
use keystead_daemon::Now;

use self::ends::finish;
use super::event::{Action, Event, LinkEvent, LinkFault, Question, QuestionId};
use super::job::{Given, Job};
use super::messages::{self, Features};
use super::report::{Assembler, Message};
use super::words::Fault;
use crate::{Answer, AskId, KeeperError, Progress};

/// One device.
pub struct Machine {
    setup: Setup,
    session: Option<Session>,
    passphrase: Option<SecretBytes>,
    /// When the wallet was opened or used last, or a passphrase typed.
    used_ms: u64,
    queue: VecDeque<Open>,
    running: Option<Running>,
    link: Link,
    /// Something was given up: until when the device may say so.
    ending_ms: Option<u64>,
    last_question: u64,
}

/// What is known of a device before it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Its name here.
    pub name: Name,
    /// The wallet that was added; none while it is.
    pub wallet: Option<WalletFingerprint>,
    /// The passphrase is typed on the device.
    pub is_passphrase_on_device: bool,
}

/// What the device remembers of us.
struct Session {
    /// None of old firmwares, which remember nothing.
    id: Option<Vec<u8>>,
    wallet: WalletFingerprint,
    has_passphrase: bool,
}

/// A request that waits, or is with the device.
struct Open {
    /// None where nobody waits: the passphrase's time is over.
    ask: Option<AskId>,
    task: Task,
    hash: RequestHash,
    ends_ms: u64,
    wait_s: u16,
}

enum Task {
    /// Of [`Event::Ask`].
    Job(Box<Job>),
    /// Of [`Event::Open`].
    Open,
    /// Forget the session, and want the PIN again.
    Lock,
    /// Forget the session.
    End,
}

/// The request that is with the device.
struct Running {
    open: Open,
    stage: Stage,
    features: Features,
    /// The device owes an answer by then; none while it waits for the person.
    answer_by_ms: Option<u64>,
    question: Option<QuestionId>,
    asked_for: Option<Question>,
    is_asking: bool,
    /// `Initialize` went out twice, and one answer may still come.
    is_begun_again: bool,
    /// What the person was told last.
    told: Option<String>,
    wrong_pins: u8,
    /// Messages that it has sent.
    heard: u16,
    /// It asked for a passphrase, here or on its own screen: a locked device does not say in its
    /// features that it will.
    took_passphrase: bool,
}

enum Stage {
    Opening,
    Features,
    /// Which wallet is it?
    Wallet(Box<Job>),
    Asked,
    Ending,
    Locking,
}

enum Link {
    Closed,
    Opening,
    Up(Assembler),
}

/// The moment, and what comes of it.
struct Step {
    now_ms: u64,
    actions: Vec<Action>,
}

impl Machine {
    /// A device that nothing was asked of yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            session: None,
            passphrase: None,
            used_ms: 0,
            queue: VecDeque::new(),
            running: None,
            link: Link::Closed,
            ending_ms: None,
            last_question: 0,
        }
    }

    /// Its name here is another now.
    pub fn rename(&mut self, name: Name) {
        self.setup.name = name;
    }

    /// The wallet that was added is this one.
    pub fn expect(&mut self, wallet: WalletFingerprint) {
        self.setup.wallet = Some(wallet);
    }

    /// Whether a wallet of it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Takes one event.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut step = Step {
            now_ms: now.mono_ms,
            actions: Vec::new(),
        };
        match event {
            Event::Ask { ask, body, wait_s } => self.ask(&mut step, ask, &body, wait_s),
            Event::Open { ask, wait_s } => {
                let open = open(&step, ask, Task::Open, wait_s);
                self.enqueue(&mut step, open);
            }
            Event::Lock { ask } => {
                self.passphrase = None;
                let open = open(&step, ask, Task::Lock, LOCK_WAIT_S);
                self.enqueue(&mut step, open);
            }
            Event::Withdraw { ask } => self.withdraw(&mut step, ask),
            Event::Link(LinkEvent::Up) => self.up(&mut step),
            Event::Link(LinkEvent::Report(report)) => self.report(&mut step, &report.0),
            Event::Link(LinkEvent::Down(fault)) => self.down(&mut step, fault),
            Event::Answer { question, answer } => self.answer(&mut step, question, answer),
            Event::Tick => self.tick(&mut step),
        }
        step.actions
    }

    /// When [`Event::Tick`] is due, by the steady clock.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        let running = self.running.as_ref();
        let answer = running.and_then(|it| it.answer_by_ms);
        let ends = running.map(|it| it.open.ends_ms);
        let queue = self.queue.iter().map(|it| it.ends_ms).min();
        let all = [answer, ends, queue, self.ending_ms, self.forget_at_ms()];
        all.into_iter().flatten().min()
    }

    fn ask(&mut self, step: &mut Step, ask: AskId, body: &RequestBody, wait_s: u16) {
        match Job::of(body) {
            Ok(job) => {
                let task = Task::Job(Box::new(job));
                let hash = hash_of(body);
                let open = Open {
                    hash,
                    ..open(step, ask, task, wait_s)
                };
                self.enqueue(step, open);
            }
            Err(fault) => {
                let end = Err(fault.into_error(self.setup.name.clone()));
                step.done(ask, end);
            }
        }
    }

    fn enqueue(&mut self, step: &mut Step, open: Open) {
        if self.queue.len() >= QUEUE_MAX {
            let keeper = self.setup.name.clone();
            return finish(step, &open, Err(KeeperError::TooMany { keeper }));
        }
        self.queue.push_back(open);
        self.next(step);
    }

    /// The next request goes to the device, once nothing else is there.
    fn next(&mut self, step: &mut Step) {
        if self.running.is_some() || self.ending_ms.is_some() {
            return;
        }
        let Some(open) = self.queue.pop_front() else {
            return self.close(step);
        };
        self.running = Some(Running {
            open,
            stage: Stage::Opening,
            features: Features::default(),
            answer_by_ms: Some(step.now_ms.saturating_add(OPEN_WAIT_MS)),
            question: None,
            asked_for: None,
            is_asking: false,
            is_begun_again: false,
            told: None,
            wrong_pins: 0,
            heard: 0,
            took_passphrase: false,
        });
        match self.link {
            Link::Closed => {
                self.link = Link::Opening;
                step.act(Action::OpenLink);
            }
            Link::Opening => {}
            Link::Up(_) => self.initialize(step),
        }
    }

    fn close(&mut self, step: &mut Step) {
        if !matches!(self.link, Link::Closed) {
            self.link = Link::Closed;
            step.act(Action::CloseLink);
        }
    }

    fn up(&mut self, step: &mut Step) {
        if !matches!(self.link, Link::Opening) {
            return;
        }
        self.link = Link::Up(Assembler::default());
        if self.running.is_some() {
            self.initialize(step);
        } else {
            self.next(step);
        }
    }

    fn down(&mut self, step: &mut Step, fault: LinkFault) {
        let was_up = matches!(self.link, Link::Up(_));
        self.link = Link::Closed;
        self.ending_ms = None;
        // A port where nobody listens is up until something is said to it.
        let has_spoken = self
            .running
            .as_ref()
            .is_some_and(|it| !matches!(it.stage, Stage::Opening | Stage::Features));
        let fault = match fault {
            LinkFault::Away(why) if has_spoken => Fault::Gone { why },
            LinkFault::Away(why) => Fault::NotThere { why },
            LinkFault::Busy => Fault::Busy,
            LinkFault::Forbidden(why) => Fault::Forbidden { why },
        };
        if was_up {
            // What comes back may be another device.
            self.session = None;
        }
        if let Some(running) = self.running.take() {
            self.end_with(step, running, fault);
        }
        self.next(step);
    }

    fn withdraw(&mut self, step: &mut Step, ask: AskId) {
        self.queue.retain(|open| open.ask != Some(ask));
        if self
            .running
            .as_ref()
            .is_some_and(|it| it.open.ask == Some(ask))
        {
            self.give_up(step);
        }
    }

    /// The running request ends here; the device is told, where it may be waiting for a person.
    fn give_up(&mut self, step: &mut Step) -> Option<Open> {
        let running = self.running.take()?;
        if let Some(question) = running.question {
            step.act(Action::QuestionOver(question));
        }
        if matches!(self.link, Link::Up(_)) {
            self.say_last(step, &messages::cancel());
        } else {
            self.next(step);
        }
        Some(running.open)
    }

    /// Something that the device may answer, and nobody waits for.
    fn say_last(&mut self, step: &mut Step, message: &Message) {
        step.act(Action::Send(message.reports()));
        self.ending_ms = Some(step.now_ms.saturating_add(ENDING_MS));
    }

    fn tick(&mut self, step: &mut Step) {
        let now_ms = step.now_ms;
        self.tick_queue(step);
        if self.ending_ms.is_some_and(|at| at <= now_ms) {
            self.ending_ms = None;
            self.next(step);
        }
        let due = self.running.as_ref().map(|it| {
            let is_late = it.open.ends_ms <= now_ms;
            let is_silent = it.answer_by_ms.is_some_and(|at| at <= now_ms);
            (is_late, is_silent, it.open.wait_s)
        });
        match due {
            Some((true, _, wait_s)) => {
                let late = Fault::Late { wait_s };
                if let Some(open) = self.give_up(step) {
                    finish(step, &open, Err(late.into_error(self.setup.name.clone())));
                }
            }
            // The first model ends a question for its passphrase by this message, and says
            // nothing to it.
            Some((_, true, _)) if self.may_begin_again() => self.initialize(step),
            Some((_, true, _)) => {
                self.close(step);
                if let Some(running) = self.running.take() {
                    self.end_with(step, running, Fault::Silent);
                }
                self.next(step);
            }
            _ => {}
        }
        if self.forget_at_ms().is_some_and(|at| at <= now_ms) {
            self.forget(step);
        }
    }

    fn may_begin_again(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|it| matches!(it.stage, Stage::Features) && !it.is_begun_again)
    }

    fn tick_queue(&mut self, step: &mut Step) {
        let now_ms = step.now_ms;
        let (due, left) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|open| open.ends_ms <= now_ms);
        self.queue = left;
        let due: VecDeque<Open> = due;
        for open in due {
            let wait_s = open.wait_s;
            let late = Fault::Late { wait_s };
            finish(step, &open, Err(late.into_error(self.setup.name.clone())));
        }
    }

    /// When the passphrase's time is over; not while something is asked.
    fn forget_at_ms(&self) -> Option<u64> {
        // What was typed is kept where the session is lost: a cable that was pulled.
        let is_kept =
            self.passphrase.is_some() || self.session.as_ref().is_some_and(|it| it.has_passphrase);
        let is_idle = self.running.is_none() && self.queue.is_empty();
        (is_kept && is_idle).then(|| self.used_ms.saturating_add(PASSPHRASE_LIFE_MS))
    }

    fn forget(&mut self, step: &mut Step) {
        self.passphrase = None;
        let has_id = self.session.as_ref().is_some_and(|it| it.id.is_some());
        if !has_id {
            self.session = None;
            return;
        }
        self.queue.push_back(Open {
            ask: None,
            task: Task::End,
            hash: RequestHash([0; 32]),
            ends_ms: step.now_ms.saturating_add(u64::from(LOCK_WAIT_S) * 1_000),
            wait_s: LOCK_WAIT_S,
        });
        self.next(step);
    }
}

impl Step {
    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn say(&mut self, open: &Open, text: String) {
        if let Some(ask) = open.ask {
            self.act(Action::Say { ask, text });
        }
    }

    fn done(&mut self, ask: AskId, end: Result<Answer, KeeperError>) {
        let progress = Progress::Done(end);
        self.act(Action::Progress { ask, progress });
    }
}

fn open(step: &Step, ask: AskId, task: Task, wait_s: u16) -> Open {
    let wait_ms = u64::from(wait_s).saturating_mul(1_000);
    Open {
        ask: Some(ask),
        task,
        hash: RequestHash([0; 32]),
        ends_ms: step.now_ms.saturating_add(wait_ms),
        wait_s,
    }
}

/// For the log: of what is signed or decrypted, or of the identity's text.
fn hash_of(body: &RequestBody) -> RequestHash {
    let content = if let RequestBody::Sign(asked) = body {
        asked.content.as_slice()
    } else if let RequestBody::Decrypt(asked) = body {
        asked.content.as_slice()
    } else if let RequestBody::PublicKey(asked) = body {
        asked.identity.uri().as_bytes()
    } else {
        &[]
    };
    RequestHash(labelled_hash("keystead-trezor-request-1", content))
}

/// 10 minutes: as long as a Trezor stays unlocked by itself.
pub const PASSPHRASE_LIFE_MS: u64 = 600_000;

/// 32 requests wait behind one: each is pressed by hand.
const QUEUE_MAX: usize = 32;

/// 5 s for a cable to open, and for a device to say what it is.
const OPEN_WAIT_MS: u64 = 5_000;

/// 2 s of them for the first `Initialize`; then it is said again.
const BEGIN_WAIT_MS: u64 = 2_000;

/// 30 s: opening a wallet of a Shamir backup takes a device more than 10.
const ANSWER_WAIT_MS: u64 = 30_000;

/// 1 s for a device to say that something is cancelled.
const ENDING_MS: u64 = 1_000;

/// 10 s to lock a device, which asks nobody.
const LOCK_WAIT_S: u16 = 10;

#[cfg(test)]
mod tests;
