//! Hardware wallets: which there are, who is asked for PIN and passphrase, who waits. Pure.
//!
//! **Invariant:** a wallet is asked by its own machine ([`Machine`]), one request at a time; what
//! a person types goes to it alone, and only to a question that is open.

mod commands;
pub mod control;
mod event;
mod records;

use std::collections::BTreeMap;

use keystead_core::{Name, PairingId, RequestBody, SecretBytes, SignForm, WalletFingerprint};
use keystead_daemon::Now;
use keystead_formats::ssh::ToBeSigned;
use keystead_formats::ssh::key::key_id;
use keystead_keeper::trezor::{
    Action, Answer, Event, Machine, Opened, Question, QuestionId, Setup,
};
use keystead_keeper::{AskId, KeeperError, PairingView, Progress};

use crate::ids::ClientId;
use crate::kept::WalletView;
use control::{Reply, What};

pub(crate) use event::Told;
pub use event::{Came, Do, LinkNumber};
pub(crate) use records::{FILE_NAME, Record, read, write};

/// All of them.
#[derive(Default)]
pub(crate) struct HardwareWallets {
    held: BTreeMap<PairingId, Held>,
    commands: BTreeMap<AskId, Waiting>,
    questions: BTreeMap<u64, Open>,
    /// Wallets that would be added, by the question whether they are meant.
    found: BTreeMap<u64, (AskId, Opened)>,
    /// Of asks, questions and cables.
    last: u64,
}

/// One wallet.
struct Held {
    record: Record,
    machine: Machine,
    link: Option<LinkNumber>,
    /// Not a keeper yet: which wallet it has is still to be told.
    is_new: bool,
}

/// A command that waits.
struct Waiting {
    client: ClientId,
    wallet: PairingId,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Unlock,
    Lock,
}

/// A question to the person.
struct Open {
    wallet: PairingId,
    id: QuestionId,
    what: Question,
}

/// One event, and what is to be done about it.
pub(crate) struct Step {
    now: Now,
    pub(crate) told: Vec<Told>,
}

impl Step {
    pub(crate) const fn new(now: Now) -> Self {
        let told = Vec::new();
        Self { now, told }
    }

    fn carry(&mut self, act: Do) {
        self.told.push(Told::Do(act));
    }

    fn reply(&mut self, client: ClientId, reply: Reply) {
        self.told.push(Told::Reply { client, reply });
    }
}

impl HardwareWallets {
    /// Those that were there before.
    pub(crate) fn with(records: Vec<Record>) -> Self {
        let held = records.into_iter().map(|record| {
            let wallet = Held::new(record, false);
            (wallet.record.id(), wallet)
        });
        Self {
            held: held.collect(),
            ..Self::default()
        }
    }

    /// Whether a keeper of this id is one of them.
    pub(crate) fn has(&self, pairing: PairingId) -> bool {
        self.held.get(&pairing).is_some_and(|it| !it.is_new)
    }

    /// As lists of keepers show them.
    pub(crate) fn views(&self) -> impl Iterator<Item = PairingView> {
        self.in_use().map(|(pairing, wallet)| PairingView {
            pairing: *pairing,
            name: wallet.record.name.clone(),
            authenticator: wallet.record.name.clone(),
            keys: Vec::new(),
            relays: Vec::new(),
            addresses: vec![wallet.record.path.to_string()],
            paired_unix_s: wallet.record.added_unix_s,
            is_used: true,
            is_unpairing: false,
            is_connected: wallet.machine.is_open(),
            unanswered_ms: None,
            receipt_key: [0; 32],
            wallets: wallet.record.wallet.into_iter().collect(),
        })
    }

    /// Their wallets.
    pub(crate) fn wallets(&self) -> impl Iterator<Item = WalletView> {
        self.in_use().map(|(pairing, wallet)| WalletView {
            pairing: *pairing,
            name: wallet.record.name.clone(),
            fingerprint: wallet.record.wallet,
        })
    }

    /// To be written.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.in_use().map(|(_, wallet)| &wallet.record)
    }

    /// When [`HardwareWallets::tick`] is due, by the steady clock.
    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        let held = self.held.values();
        held.filter_map(|it| it.machine.next_wake_ms()).min()
    }

    /// The agent asks for a key, a signature or a decryption.
    pub(crate) fn ask(
        &mut self,
        step: &mut Step,
        (ask, pairing): (AskId, PairingId),
        body: RequestBody,
        wait_s: u16,
    ) {
        let Some(wallet) = self.held.get(&pairing) else {
            let progress = Progress::Done(Err(KeeperError::NoSuchKeeper));
            return step.told.push(Told::Progress { ask, progress });
        };
        if let Some(why) = unreadable(&body) {
            let end = Err(KeeperError::Server {
                keeper: wallet.record.name.clone(),
                why: why.to_owned(),
                hint: "sign it with another key",
            });
            let progress = Progress::Done(end);
            return step.told.push(Told::Progress { ask, progress });
        }
        self.tell(step, pairing, Event::Ask { ask, body, wait_s });
    }

    /// The asker is gone.
    pub(crate) fn withdraw(&mut self, step: &mut Step, ask: AskId) {
        for wallet in self.ids() {
            self.tell(step, wallet, Event::Withdraw { ask });
        }
    }

    pub(crate) fn tick(&mut self, step: &mut Step) {
        for wallet in self.ids() {
            self.tell(step, wallet, Event::Tick);
        }
    }

    /// Gives one another name.
    pub(crate) fn rename(&mut self, step: &mut Step, pairing: PairingId, name: Name) {
        if let Some(wallet) = self.held.get_mut(&pairing) {
            wallet.machine.rename(name.clone());
            wallet.record.name = name;
            step.told.push(Told::Changed);
        }
    }

    /// It is a keeper no more.
    pub(crate) fn remove(&mut self, step: &mut Step, pairing: PairingId) {
        let Some(wallet) = self.held.remove(&pairing) else {
            return;
        };
        if let Some(link) = wallet.link {
            step.carry(Do::Close(link));
        }
        let over = self.questions.iter().filter(|(_, it)| it.wallet == pairing);
        let over: Vec<u64> = over.map(|(question, _)| *question).collect();
        for question in over {
            self.questions.remove(&question);
            step.carry(Do::AskPassOver(question));
        }
        if !wallet.is_new {
            step.told.push(Told::Changed);
        }
    }

    /// Takes what was carried out.
    pub(crate) fn came(&mut self, step: &mut Step, came: Came) {
        match came {
            Came::Link { link, event } => {
                // What a cable says that is closed already is nobody's.
                let of_it = self.held.iter().find(|(_, it)| it.link == Some(link));
                if let Some(wallet) = of_it.map(|(id, _)| *id) {
                    self.tell(step, wallet, Event::Link(event));
                }
            }
            Came::AskPass { question, answer } => {
                let answer = answer.map_or(Answer::Cancel, Answer::Text);
                self.answered(step, question, answer);
            }
        }
    }

    fn in_use(&self) -> impl Iterator<Item = (&PairingId, &Held)> {
        self.held.iter().filter(|(_, wallet)| !wallet.is_new)
    }

    fn ids(&self) -> Vec<PairingId> {
        self.held.keys().copied().collect()
    }

    const fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Lets a wallet's machine decide something, and does what it wants done.
    fn tell(&mut self, step: &mut Step, id: PairingId, event: Event) {
        let Some(wallet) = self.held.get_mut(&id) else {
            return;
        };
        let actions = wallet.machine.step(step.now, event);
        for action in actions {
            self.act(step, id, action);
        }
    }

    fn act(&mut self, step: &mut Step, id: PairingId, action: Action) {
        match action {
            Action::OpenLink => {
                let link = LinkNumber(self.next());
                if let Some(wallet) = self.held.get_mut(&id) {
                    wallet.link = Some(link);
                    let path = wallet.record.path.clone();
                    step.carry(Do::Open { link, path });
                }
            }
            Action::Send(reports) => {
                if let Some(link) = self.held.get(&id).and_then(|it| it.link) {
                    step.carry(Do::Send { link, reports });
                }
            }
            Action::CloseLink => {
                let wallet = self.held.get_mut(&id);
                if let Some(link) = wallet.and_then(|it| it.link.take()) {
                    step.carry(Do::Close(link));
                }
            }
            Action::Progress { ask, progress } => {
                step.told.push(Told::Progress { ask, progress });
            }
            Action::Finished { ask, end } => self.finished(step, ask, end),
            Action::Say { ask, text } => self.say(step, ask, text),
            Action::Ask {
                ask,
                question,
                what,
            } => self.question(step, id, (ask, question), what),
            Action::QuestionOver(question) => {
                let its = |it: &Open| it.wallet == id && it.id == question;
                let over = self.questions.iter().find(|(_, it)| its(it));
                if let Some(question) = over.map(|(question, _)| *question) {
                    self.questions.remove(&question);
                    step.carry(Do::AskPassOver(question));
                }
            }
        }
    }

    fn say(&self, step: &mut Step, ask: AskId, text: String) {
        match self.commands.get(&ask) {
            Some(waiting) => step.reply(waiting.client, Reply::Notice { text }),
            None => step.told.push(Told::Say { ask, text }),
        }
    }

    /// The person is to be asked: at the command that waits for this wallet, where there is one;
    /// else by a program, and whoever waits is told what can be done.
    fn question(
        &mut self,
        step: &mut Step,
        wallet: PairingId,
        (ask, id): (AskId, QuestionId),
        what: Question,
    ) {
        let question = self.next();
        self.questions.insert(question, Open { wallet, id, what });
        let mut clients = self.commands.values().filter(|it| it.wallet == wallet);
        if let Some(client) = clients.next().map(|it| it.client) {
            return self.put(step, client, question);
        }
        let name = self.name(wallet);
        let wanted = match what {
            Question::Pin { is_again: false } => "its PIN",
            Question::Pin { is_again: true } => "its PIN again: that one was wrong",
            Question::Passphrase { .. } => "its passphrase",
        };
        let text = format!("{name} wants {wanted}: keystead keeper unlock {name}");
        step.told.push(Told::Say { ask, text });
        let prompt = prompt(&name, what);
        step.carry(Do::AskPass { question, prompt });
    }

    /// Puts a question to a command.
    fn put(&self, step: &mut Step, client: ClientId, question: u64) {
        let Some(open) = self.questions.get(&question) else {
            return;
        };
        let what = match open.what {
            Question::Pin { is_again } => What::Pin { is_again },
            Question::Passphrase { can_be_on_device } => What::Passphrase { can_be_on_device },
        };
        let keeper = self.name(open.wallet);
        let reply = Reply::Question {
            question,
            keeper,
            what,
        };
        step.reply(client, reply);
    }

    /// The person has answered, here or there.
    fn answered(&mut self, step: &mut Step, question: u64, answer: Answer) {
        let Some(open) = self.questions.remove(&question) else {
            return;
        };
        step.carry(Do::AskPassOver(question));
        let question = open.id;
        self.tell(step, open.wallet, Event::Answer { question, answer });
    }

    fn name(&self, wallet: PairingId) -> String {
        let wallet = self.held.get(&wallet);
        wallet.map_or_else(String::new, |it| it.record.name.to_string())
    }
}

impl Held {
    fn new(record: Record, is_new: bool) -> Self {
        let setup = Setup {
            name: record.name.clone(),
            wallet: record.wallet,
            is_passphrase_on_device: record.passphrase_on_device,
        };
        Self {
            machine: Machine::new(setup),
            record,
            link: None,
            is_new,
        }
    }
}

impl Record {
    /// By which the log and the router know it: of its wallet, so that it keeps its identities
    /// when it is added again.
    pub(crate) fn id(&self) -> PairingId {
        let wallet = self.wallet.map_or([0; 4], |WalletFingerprint(it)| it);
        id_of(&wallet)
    }
}

fn id_of(text: &[u8]) -> PairingId {
    let label = key_id(b"keystead trezor");
    PairingId::of(label.as_bytes(), key_id(text).as_bytes())
}

/// What a Trezor would sign without anybody having read it.
fn unreadable(body: &RequestBody) -> Option<&'static str> {
    let RequestBody::Sign(sign) = body else {
        return None;
    };
    if sign.form != SignForm::Ssh {
        return None;
    }
    match ToBeSigned::parse(&sign.content) {
        ToBeSigned::UserAuth(_) | ToBeSigned::SshSig(_) => None,
        ToBeSigned::Certificate(_) => Some("a Trezor's ssh identity signs no certificates"),
        ToBeSigned::Opaque => Some("this is neither a login nor an SSHSIG: nobody can read it"),
    }
}

fn prompt(name: &str, what: Question) -> String {
    match what {
        Question::Pin { is_again } => {
            let again = if is_again { "That PIN was wrong. " } else { "" };
            format!(
                "{again}{name} shows the digits 1 to 9, mixed. For each digit of its PIN type the \
                 key at its place.\n7 8 9\n4 5 6\n1 2 3"
            )
        }
        Question::Passphrase { .. } => {
            format!("Passphrase of {name} (empty: the wallet without one)")
        }
    }
}

/// Bytes of an answer: none is longer than a passphrase of 128 characters of four bytes.
const ANSWER_BYTES_MAX: usize = 512;

/// An answer of a command.
fn answer_of(answer: control::Answer, behind: Option<SecretBytes>) -> Option<Answer> {
    match (answer, behind) {
        (control::Answer::Bytes(_), Some(text)) if text.len() <= ANSWER_BYTES_MAX => {
            Some(Answer::Text(text))
        }
        (control::Answer::Bytes(_), _) => None,
        (control::Answer::OnDevice, _) => Some(Answer::OnDevice),
        (control::Answer::Agree | control::Answer::Cancel, _) => Some(Answer::Cancel),
    }
}
