//! An authenticator: the holder's side, its disk, and a person at its screen.
//!
//! **Invariant:** checked after every step: whenever something leaves, the log
//! as it would be after a power cut is the log as it stands; no request is
//! approved twice in it, and none that its person did not approve.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use keystead_authenticator::control::Command;
use keystead_authenticator::entry::Entry;
use keystead_authenticator::holder::{Action, Caller, Decide, Event, Holder, Options};
use keystead_authenticator::journal::Journal;
use keystead_authenticator::keyring::Keyring;
use keystead_authenticator::question::{PartId, Question, QuestionId};
use keystead_authenticator::words::Asked;
use keystead_core::{Decision, KeyEntry, KeyType, Name, Outcome, SecretBytes};
use keystead_daemon::{Disk, Io, MemoryDisk};
use keystead_transport::NetAction;
use keystead_vault::Cost;

use crate::machine::{Death, Machine, Site};
use crate::tcp::address_of;
use crate::world::{Parcel, World};

pub(crate) struct Authenticator {
    pub(crate) machine: Machine,
    pub(crate) holder: Option<Holder>,
    pub(crate) key: KeyEntry,
    pub(crate) person: Person,
    listens: bool,
    log_bytes: usize,
    /// Its edge ticks at least this often, asked or not.
    tick_mono_ms: u64,
    /// When each content was approved durably, by its hash.
    pub(crate) approved_ms: BTreeMap<String, u64>,
}

/// Who decides.
#[derive(Default)]
pub(crate) struct Person {
    pub(crate) mood: Mood,
    /// What is on the screen: the account that is asked for.
    screen: BTreeMap<QuestionId, String>,
    /// In which run of the program an account was last asked for.
    asked: BTreeMap<String, u64>,
    pub(crate) approved: BTreeSet<String>,
    pub(crate) refused: BTreeSet<String>,
}

/// How a person answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Approves,
    Refuses,
    Ignores,
    /// Now this, now that.
    Anyhow,
}

impl Authenticator {
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        let due_ms = self.holder.as_ref()?.next_wake_ms();
        Some(due_ms.map_or(self.tick_mono_ms, |it| it.min(self.tick_mono_ms)))
    }

    /// The log as it would be read after a power cut.
    pub(crate) fn durable_log(&self) -> Vec<Entry> {
        let mut disk = self.machine.disk.clone();
        disk.faults = Default::default();
        disk.crash();
        Journal::read(&disk).unwrap()
    }

    pub(crate) fn unlock(&mut self) {
        if let Some(holder) = &mut self.holder {
            holder.open_keys(&passphrase()).unwrap();
        }
    }

    fn options(&self, at: usize) -> Options {
        let address = address_of(Site::Authenticator(at));
        Options {
            decide: Decide::Ask,
            listen: self
                .listens
                .then_some(SocketAddr::new(address, 7_000).into())
                .into_iter()
                .collect(),
            ..Options::default()
        }
    }
}

impl World {
    pub(crate) fn add_authenticator(&mut self, listens: bool) -> usize {
        let at = self.authenticators.len();
        let mut machine = Machine::new(self.seed(), MemoryDisk::new());
        let name = Name::new(format!("oneplus-{at}")).unwrap();
        let Machine { disk, rng, .. } = &mut machine;
        let mut keys = Keyring::create(name, &passphrase(), Cost::LEAST, rng).unwrap();
        let main = Name::new("main").unwrap();
        keys.make_key(&main, KeyType::Ed25519, rng, disk).unwrap();
        Journal::create(&Entry::own(1, "init", Outcome::Approve), disk).unwrap();
        self.authenticators.push(Authenticator {
            machine,
            holder: None,
            key: keys.entries()[0].clone(),
            person: Person::default(),
            listens,
            log_bytes: 0,
            tick_mono_ms: 0,
            approved_ms: BTreeMap::new(),
        });
        self.start_holder(at);
        at
    }

    pub(crate) fn start_holder(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let it = &mut self.authenticators[at];
        let options = it.options(at);
        let now = it.machine.now(now_ms);
        let mut io = Io {
            rng: &mut it.machine.rng,
            disk: &mut it.machine.disk,
        };
        let (mut holder, actions) = Holder::load(now, options, &mut io).unwrap();
        holder.open_keys(&passphrase()).unwrap();
        it.holder = Some(holder);
        it.tick_mono_ms = now.mono_ms + TICK_MS;
        self.note(Site::Authenticator(at), "starts", &[]);
        self.do_for_holder(at, actions);
    }

    pub(crate) fn kill_holder(&mut self, at: usize, death: Death, away_ms: u64) {
        let site = Site::Authenticator(at);
        self.note(site, &format!("ends: {death:?}"), &[]);
        self.authenticators[at].holder = None;
        self.authenticators[at].person.screen.clear();
        self.answering_gone(at);
        self.die(site, death, away_ms);
        // What a power cut left of the log is what stands.
        self.check_log(at, false);
    }

    pub(crate) fn tick_authenticator(&mut self, at: usize) {
        let it = &mut self.authenticators[at];
        it.tick_mono_ms = it.machine.now(self.now_ms).mono_ms + TICK_MS;
        self.step_holder(at, Event::Tick);
    }

    pub(crate) fn command_holder(&mut self, at: usize, caller: Caller, command: Command) {
        let event = Event::Command {
            caller,
            command,
            passphrase: None,
        };
        self.step_holder(at, event);
    }

    pub(crate) fn step_holder(&mut self, at: usize, event: Event) {
        let now_ms = self.now_ms;
        let it = &mut self.authenticators[at];
        let Some(holder) = &mut it.holder else { return };
        let now = it.machine.now(now_ms);
        let mut io = Io {
            rng: &mut it.machine.rng,
            disk: &mut it.machine.disk,
        };
        let actions = holder.step(now, event, &mut io);
        let leaves = |it: &Action| {
            matches!(
                it,
                Action::Net(NetAction::Send { .. } | NetAction::Post { .. })
            )
        };
        self.check_log(at, actions.iter().any(leaves));
        self.do_for_holder(at, actions);
    }

    fn check_log(&mut self, at: usize, something_leaves: bool) {
        let now_ms = self.now_ms;
        let it = &mut self.authenticators[at];
        let log = it.machine.disk.read("log").unwrap().unwrap_or_default();
        if !something_leaves && log.len() == it.log_bytes {
            return;
        }
        it.log_bytes = log.len();
        let mut after_power_cut = it.machine.disk.clone();
        after_power_cut.crash();
        let durable = after_power_cut.read("log").unwrap().unwrap_or_default();
        assert!(
            !something_leaves || durable == log,
            "something left before its entry was durable"
        );
        let mut approved = BTreeSet::new();
        for entry in it.durable_log() {
            if entry.kind != "sign" || entry.decision != Outcome::Approve.as_str() {
                continue;
            }
            let hash = entry.content_sha256.unwrap();
            let user = entry.user.unwrap();
            assert!(approved.insert(hash.clone()), "{user} was signed twice");
            assert!(it.person.approved.contains(&user), "nobody approved {user}");
            it.approved_ms.entry(hash).or_insert(now_ms);
        }
        let lost = it.approved_ms.keys().find(|hash| !approved.contains(*hash));
        assert_eq!(lost, None, "an approval was durable and is gone");
    }

    fn do_for_holder(&mut self, at: usize, actions: Vec<Action>) {
        let site = Site::Authenticator(at);
        for action in actions {
            let carried: &[u8] = match &action {
                Action::Net(NetAction::Post { item, .. }) => item,
                Action::Net(NetAction::Send { bytes, .. }) => bytes,
                _ => &[],
            };
            self.note(site, &format!("{action:?}"), carried);
            match action {
                Action::Net(action) => self.net(site, action),
                Action::Reply { caller, reply } => self.answering_goes_on(caller, reply),
                Action::Ask(question) => self.ask_person(at, &question),
                Action::Settle { question, .. } => {
                    self.authenticators[at].person.screen.remove(&question);
                }
                // Every login here is as another user: none is one question with another.
                Action::Update(question) => panic!("{question:?} was put together"),
                Action::NotReady(why) => panic!("{why}"),
                Action::Say(_) | Action::Ready(_) => {}
            }
        }
    }

    fn ask_person(&mut self, at: usize, question: &Question) {
        let Asked::Login(login) = question.asked() else {
            panic!("{:?} was not asked for", question.asked())
        };
        let roll = self.below(10);
        // Who is in two minds may answer after a wait of 5 s is over.
        let thinking_ms = match self.authenticators[at].person.mood {
            Mood::Anyhow => self.between_ms(200, 8_000),
            _ => self.between_ms(200, 2_000),
        };
        let it = &mut self.authenticators[at];
        let run = it.machine.run;
        let user = login.user.clone();
        let earlier = it.person.asked.insert(user.clone(), run);
        assert_ne!(earlier, Some(run), "asked twice for {user}");
        let is_decided = it.person.approved.contains(&user) || it.person.refused.contains(&user);
        let is_logged = it
            .durable_log()
            .iter()
            .any(|it| it.user.as_deref() == Some(user.as_str()) && it.content_sha256.is_some());
        assert!(!(is_decided && is_logged), "asked anew for {user}");
        it.person.screen.insert(question.id, user);
        let decision = match (it.person.mood, roll) {
            (Mood::Approves, _) | (Mood::Anyhow, 0..=5) => Decision::Approve(()),
            (Mood::Refuses, _) | (Mood::Anyhow, 6..=7) => Decision::Refuse,
            (Mood::Ignores, _) | (Mood::Anyhow, _) => return,
        };
        let parcel = Parcel::Decide {
            authenticator: at,
            run,
            question: question.id,
            decision,
        };
        self.later(thinking_ms, parcel);
    }

    /// A key is pressed, if the question is still on the screen.
    pub(crate) fn decide(
        &mut self,
        at: usize,
        run: u64,
        question: QuestionId,
        decision: Decision<()>,
    ) {
        let it = &mut self.authenticators[at];
        if it.machine.run != run {
            return;
        }
        let Some(user) = it.person.screen.remove(&question) else {
            return;
        };
        // Asked anew, after a no that a full disk and a restart lost, the last word counts.
        let Person {
            approved, refused, ..
        } = &mut it.person;
        let (said, unsaid) = match decision {
            Decision::Approve(()) => (approved, refused),
            Decision::Refuse => (refused, approved),
        };
        unsaid.remove(&user);
        said.insert(user);
        let event = Event::Decide {
            question,
            answer: decision.into(),
            last: PartId::LAST,
        };
        self.step_holder(at, event);
    }
}

fn passphrase() -> SecretBytes {
    SecretBytes::take(&mut b"open sesame".to_vec())
}

/// As the program's edge does, for a new day or a machine that slept.
const TICK_MS: u64 = 30_000;
