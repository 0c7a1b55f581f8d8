//! The holder's side of everything, as one pure step.
//!
//! **Invariant**: [`Holder::step`] reads no clock, opens no socket and draws
//! no randomness of its own. An answer that needs a log entry leaves only in a
//! step that made the entry durable.
//!
//! | module | decides |
//! |---|---|
//! | `channels` | which bytes belong to which channel, and how its answers go back |
//! | `mailboxes` | which mailboxes are read, day by day |
//! | `pending` | a request that waits, what is done then, by whose yes |
//! | `requests`, `finish` | what a request is answered, and that it is answered once |
//! | `judging` | what of it a person is asked |
//! | `standing`, `quiet` | what is decided without a question: blocks, grants, pauses |
//! | `questions`, `answers` | what a person is asked, until when, and what an answer does |
//! | `work` | what is done once it is approved |
//! | `custody`, `hosts`, `granted` | keys that come and go; names of hosts; lists |
//! | `derived` | the public key of an identity, decryption, a wallet's record |
//! | `key_server`, `spent` | what a key server wants approved, once; keys for it; local copies |
//! | `pairing`, `confirm` | an offer that is being answered; what is stored in the end |
//! | `commands`, `key_commands`, `replies` | what a command at this machine does |

mod answers;
mod channels;
mod commands;
mod confirm;
mod custody;
mod derived;
mod event;
mod finish;
mod granted;
mod hosts;
mod judging;
mod key_commands;
mod key_server;
mod lifetimes;
mod mailboxes;
mod opening;
mod pairing;
mod peer;
mod pending;
mod questions;
mod quiet;
mod replies;
mod requests;
mod spent;
mod standing;
mod wallet_commands;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use keystead_channel::link::{Listener, Standing};
use keystead_core::PairingId;
use keystead_daemon::{Io, Now};
use keystead_transport::{Address, NetAction, NetEvent, RelayUrl};

use crate::LoadError;
use crate::entry::Entry;
use crate::grants::Grants;
use crate::identities::Records;
use crate::journal::Journal;
use crate::keyring::Keyring;
use crate::namespaces::Namespaces;
use crate::pairing_file::StoredPairing;
use crate::pins::Pins;
use crate::question::QuestionId;

use channels::Channels;
pub use event::{Action, Caller, Decide, Event};
use hosts::Seen;
use lifetimes::Lifetimes;
use mailboxes::Inboxes;
use pairing::Attempt;
use peer::Peer;
use questions::Asking;
use quiet::Quiet;
pub use replies::key_line;
use spent::Spent;

/// All that an authenticator knows.
pub struct Holder {
    options: Options,
    keys: Keyring,
    pins: Pins,
    journal: Journal,
    peers: BTreeMap<PairingId, Peer>,
    attempt: Option<Attempt>,
    listener: Listener,
    channels: Channels,
    inboxes: Inboxes,
    questions: BTreeMap<QuestionId, Asking>,
    question_next: u64,
    part_next: u64,
    grants: Grants,
    /// What wallets were used for, as long as the keys are open.
    records: Records,
    quiet: Quiet,
    lifetimes: Lifetimes,
    spent: Spent,
    seen: Seen,
    /// The next link that we dial; below those that are accepted.
    link_next: u64,
    listening: Vec<Address<SocketAddr>>,
    /// Relays that are away and were said to be.
    relays_away: BTreeSet<RelayUrl>,
    /// Relays that did not take an answer, and were said not to.
    relays_full: BTreeSet<RelayUrl>,
    /// Said once, until an entry can be written again.
    log_trouble: Said,
    lock_trouble: Said,
    day: u64,
    /// When to look again which day it is.
    day_check_ms: u64,
}

/// How an authenticator runs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who decides.
    pub decide: Decide,
    /// Where to accept connections; none of them twice.
    pub listen: Vec<Address<SocketAddr>>,
    /// The address to tell workstations where `listen` names none of its own (`0.0.0.0`).
    pub own_address: Option<std::net::IpAddr>,
    /// Which signatures are asked for.
    pub namespaces: Namespaces,
}

/// Whether something was said to the person already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    NotYet,
    Already,
}

/// One step under way.
struct Step<'a, 'b> {
    now: Now,
    io: &'a mut Io<'b>,
    actions: Vec<Action>,
}

impl Holder {
    /// Reads the state folder; keys are locked. Beside the holder: what is to
    /// be done at once, and said.
    ///
    /// # Errors
    /// [`LoadError`] names the file; nothing is overwritten then.
    pub fn load(
        now: Now,
        options: Options,
        io: &mut Io<'_>,
    ) -> Result<(Self, Vec<Action>), LoadError> {
        let keys = Keyring::load(io.disk)?;
        let pins = Pins::load(io.disk)?;
        let stored = StoredPairing::load_all(io.disk)?;
        let opened = Journal::open(io.disk)?;
        let mut peers: BTreeMap<PairingId, Peer> = stored
            .into_iter()
            .map(|it| (it.id(), Peer::new(it)))
            .collect();
        let mut grants = Grants::load(now, io.disk)?;
        let mut spent = Spent::default();
        let mut seen = Seen::default();
        for entry in &opened.entries {
            spent.recall(entry);
            seen.recall(entry);
            grants.recall(entry);
            if let Some(peer) = entry.pairing_id().and_then(|id| peers.get_mut(&id)) {
                peer.recall(entry, now);
            }
        }
        let listener = listener_of(&peers, io)?;
        let mut holder = Self {
            options,
            keys,
            pins,
            journal: opened.journal,
            peers,
            attempt: None,
            listener,
            channels: Channels::default(),
            inboxes: Inboxes::default(),
            questions: BTreeMap::new(),
            question_next: 0,
            part_next: 0,
            grants,
            records: Records::default(),
            quiet: Quiet::default(),
            lifetimes: Lifetimes::default(),
            spent,
            seen,
            link_next: 0,
            listening: Vec::new(),
            relays_away: BTreeSet::new(),
            relays_full: BTreeSet::new(),
            log_trouble: Said::NotYet,
            lock_trouble: Said::NotYet,
            day: 0,
            day_check_ms: now.mono_ms.saturating_add(DAY_CHECK_MS),
        };
        let mut step = Step {
            now,
            io,
            actions: Vec::new(),
        };
        if opened.cut_bytes > 0 {
            let cut_bytes = opened.cut_bytes;
            step.say(format!(
                "the log ended in the middle of a line: {cut_bytes} bytes taken off"
            ));
        }
        for address in &holder.options.listen {
            let address = address.clone();
            step.net(NetAction::Listen { address });
        }
        holder.recall_lifetimes(&step);
        holder.tick_custody(&mut step);
        holder.forget_revoked(&mut step);
        holder.read_mailboxes(&mut step);
        Ok((holder, step.actions))
    }

    /// Takes one event in.
    pub fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Action> {
        let mut step = Step {
            now,
            io,
            actions: Vec::new(),
        };
        self.tick_custody(&mut step);
        match event {
            Event::Net(event) => self.on_net(event, &mut step),
            Event::Command {
                caller,
                command,
                passphrase,
            } => {
                self.on_command(caller, command, passphrase, &mut step);
            }
            Event::Gone(caller) => self.on_gone(caller, &mut step),
            Event::Decide {
                question,
                answer,
                last,
            } => self.on_decide(question, answer, last, &mut step),
            Event::SayGrants => self.say_grants(&mut step),
            Event::Tick => self.on_tick(&mut step),
        }
        step.actions
    }

    /// When the next [`Event::Tick`] is due.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        let channels = self.channels.wake_ms();
        let conns = self
            .peers
            .values()
            .filter_map(|it| it.conns.wake_ms())
            .min();
        let questions = self
            .questions
            .values()
            .filter_map(Asking::deadline_ms)
            .min();
        let grants = self.grants.wake_ms();
        let custody = self.lifetimes.wake_ms();
        let attempt = self.attempt.as_ref().map(Attempt::wake_ms);
        let day = Some(self.day_check_ms);
        [channels, conns, questions, grants, custody, attempt, day]
            .into_iter()
            .flatten()
            .min()
    }

    /// The keys, for what only reads.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Ends every channel, as the process is about to end.
    pub fn end(&mut self, now: Now, io: &mut Io<'_>) -> Vec<Action> {
        let mut step = Step {
            now,
            io,
            actions: Vec::new(),
        };
        self.fail_attempt("the authenticator ended", &mut step);
        self.close_all(&mut step);
        step.actions
    }

    fn on_net(&mut self, event: NetEvent, step: &mut Step<'_, '_>) {
        match event {
            NetEvent::RelayUp { relay } => {
                self.relays_full.remove(&relay);
                if self.relays_away.remove(&relay) {
                    step.say(format!("relay {relay} is back"));
                }
                self.read_mailboxes(step);
            }
            NetEvent::RelayDown { relay, reason } => {
                let reason = crate::show::Safe(&reason).to_string();
                if self.relays_away.insert(relay.clone()) {
                    step.say(format!(
                        "relay {relay} is away ({reason}); it is tried again"
                    ));
                }
            }
            NetEvent::Item { mailbox, item, .. } => self.on_item(mailbox, &item, step),
            // A hint, not a fact: the channel says what is true.
            NetEvent::Gone { .. } => {}
            NetEvent::PostRefused { relay, status, .. } => {
                if self.relays_full.insert(relay.clone()) {
                    // What a relay says of a mailbox is a hint; the silence behind it is the fact.
                    step.say(match status {
                        GONE => format!("relay {relay} says that this offer or pairing is over"),
                        _ => format!("relay {relay} did not take an answer (status {status})"),
                    });
                }
            }
            NetEvent::Listening { address, .. } => {
                self.listening.push(address);
                if self.listening.len() == self.options.listen.len() {
                    step.actions.push(Action::Ready(self.listening.clone()));
                }
            }
            NetEvent::ListenFailed { asked, reason } => {
                step.actions.push(Action::NotReady(format!(
                    "cannot listen at {asked}: {reason}"
                )));
            }
            NetEvent::Accepted { link, peer } => self.on_accepted(link, &peer, step),
            NetEvent::Dialled { link } => self.on_dialled(link, step),
            NetEvent::DialFailed { link, .. } => self.on_dial_failed(link),
            NetEvent::Bytes { link, bytes } => self.on_bytes(link, &bytes, step),
            NetEvent::Closed { link, .. } => self.on_closed(link),
        }
    }

    fn on_tick(&mut self, step: &mut Step<'_, '_>) {
        self.tick_channels(step);
        self.tick_questions(step);
        self.tick_grants(step);
        self.tick_attempt(step);
        if step.now.mono_ms >= self.day_check_ms {
            self.day_check_ms = step.now.mono_ms.saturating_add(DAY_CHECK_MS);
        }
        if keystead_channel::mailbox::day_of(step.now.unix_s) != self.day {
            self.forget_revoked(step);
            self.read_mailboxes(step);
        }
    }

    /// What channels are started from, after the set of pairings changed.
    fn renew_listener(&mut self, step: &mut Step<'_, '_>) {
        // More than 64 cannot be: `commands` makes room before a pairing begins.
        if let Ok(listener) = listener_of(&self.peers, step.io) {
            self.listener = listener;
        }
    }

    /// Pairings revoked 30 days ago are wiped, and their mailboxes deleted.
    fn forget_revoked(&mut self, step: &mut Step<'_, '_>) {
        let old: Vec<PairingId> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.stored
                    .revoked_unix_s
                    .is_some_and(|at| step.now.unix_s >= at.saturating_add(REVOKED_S))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in &old {
            self.forget(id, step);
        }
    }

    /// Wipes a pairing: file, keys, mailboxes.
    fn forget(&mut self, id: &PairingId, step: &mut Step<'_, '_>) {
        self.drop_channels_of(id, keystead_channel::curve::CloseCode::Unpaired, step);
        self.delete_mailboxes(id, channels::Mailboxes::Pairing, step);
        let Some(mut peer) = self.peers.remove(id) else {
            return;
        };
        if let Err(error) = peer.stored.remove(step.now.unix_s, step.io.disk) {
            step.say(format!(
                "the file of the ended pairing {id} could not be removed: {error}"
            ));
        }
        self.renew_listener(step);
    }

    /// Writes an entry that answers nobody.
    fn log_own(&mut self, entry: &Entry, step: &mut Step<'_, '_>) -> Result<(), std::io::Error> {
        let written = self.journal.append(entry, step.io.disk);
        if let Some(file) = self.journal.went_on() {
            step.say(format!(
                "the log is long and goes on in a new file; {file} in the state folder holds what was before, and may be moved away or removed"
            ));
        }
        self.note_log(written.as_ref().err(), step);
        if written.is_ok() && entry.host.is_some() {
            // As a restart recalls it.
            self.seen.recall(&entry.clone().clipped());
        }
        written
    }

    /// Says once that the log cannot be written, and once that it can be again.
    fn note_log(&mut self, error: Option<&std::io::Error>, step: &mut Step<'_, '_>) {
        match (error, self.log_trouble) {
            (Some(error), Said::NotYet) => {
                self.log_trouble = Said::Already;
                step.say(format!(
                    "the log cannot be written ({error}): every request is answered busy"
                ));
            }
            (None, Said::Already) => {
                self.log_trouble = Said::NotYet;
                step.say("the log can be written again");
            }
            (Some(_), Said::Already) | (None, Said::NotYet) => {}
        }
    }
}

impl Step<'_, '_> {
    fn net(&mut self, action: NetAction) {
        self.actions.push(Action::Net(action));
    }

    fn say(&mut self, line: impl Into<String>) {
        self.actions.push(Action::Say(line.into()));
    }

    fn reply(&mut self, caller: Caller, reply: crate::control::Reply) {
        self.actions.push(Action::Reply { caller, reply });
    }
}

fn listener_of(peers: &BTreeMap<PairingId, Peer>, io: &mut Io<'_>) -> Result<Listener, LoadError> {
    let pairings = peers.values().map(|peer| {
        let standing = match (&peer.stored.pair_key, peer.stored.revoked_unix_s) {
            (_, Some(_)) => Standing::Revoked,
            (Some(_), None) => Standing::Paired,
            (None, None) => Standing::Pairing,
        };
        (
            std::sync::Arc::clone(&peer.stored.keys),
            peer.stored.client,
            standing,
        )
    });
    Listener::new(pairings.collect(), io.rng)
        .map_err(|error| LoadError::damaged("pairings", error.to_string()))
}

/// 30 days: so long an ended pairing tells its workstation so (`spec/pairing.md` section 1).
const REVOKED_S: u64 = 30 * 24 * 60 * 60;

/// An hour: a new day's mailbox is read within it, whichever way the wall clock is moved.
/// Tomorrow's is read since yesterday, so nothing is missed.
const DAY_CHECK_MS: u64 = 60 * 60 * 1_000;

/// A relay's word for a mailbox that its reader has deleted (`spec/pairing.md`, section 2).
const GONE: u16 = 410;
