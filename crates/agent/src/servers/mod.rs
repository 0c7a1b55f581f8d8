//! Sessions of key servers, and the keys that are held there. Pure.
//!
//! **Invariant:** a session is in memory only, at one place at a time: here, or lent to one
//! command; nothing is asked while it is lent, and at most [`IN_FLIGHT_MAX`] requests are on
//! their way. A server whose log is another than the one seen is asked nothing.

mod approvals;
mod asks;
mod commands;
mod endings;
mod event;
mod keys;
mod lending;
mod open;
mod replies;

use std::collections::{BTreeMap, VecDeque};

use keystead_core::{KeyEntry, Name, PairingId, Secret};
use keystead_daemon::Now;
use keystead_formats::ssh::key::key_id;
use keystead_keeper::server::ServerName;
use keystead_keeper::server::control::State;
use keystead_keeper::server::protocol::KeyId;
use keystead_keeper::server::protocol::requests::{List, PAGE_MAX, Request};
use rand_core::CryptoRngCore;

use crate::ids::ClientId;
use open::{Asker, Open, SessionNumber};

pub use event::{About, Approved, Behind, Came, Do, Errand, Target, Told, Trouble, TroubleKind};
pub use keys::{HeldKey, NoFields};

/// All servers that a session was given for since the agent began.
#[derive(Default)]
pub struct Servers {
    held: BTreeMap<ServerName, Held>,
    errands: BTreeMap<Errand, Open>,
    last_errand: u64,
    last_session: u64,
}

/// One server.
struct Held {
    name: ServerName,
    session: SessionNumber,
    shown: Name,
    about: Option<About>,
    state: State,
    /// As the server listed them last; kept after the session's end, so that who uses one
    /// learns why it does not work.
    keys: Vec<HeldKey>,
    master_key: Option<Secret<32>>,
    since_unix_s: u64,
    trouble: Option<String>,
    /// Requests on their way in this session.
    in_flight: usize,
    /// Those that wait for a place, or for the session to come back.
    queue: VecDeque<Errand>,
    /// Who has the session now.
    lent_to: Option<ClientId>,
    /// Who wants it next.
    borrowers: VecDeque<ClientId>,
    /// Pages of a list that is not whole yet.
    listing: Option<Vec<HeldKey>>,
    /// Behind which key the page is that was asked for last.
    listed_to: Option<KeyId>,
    /// The list that is on its way was asked for too early.
    is_list_stale: bool,
    /// Commands that wait for the list.
    waiting: Vec<ClientId>,
}

/// One event, and what is to be done about it.
pub(crate) struct Step<'a> {
    pub(crate) now: Now,
    pub(crate) rng: &'a mut dyn CryptoRngCore,
    pub(crate) told: Vec<Told>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(now: Now, rng: &'a mut dyn CryptoRngCore) -> Self {
        let told = Vec::new();
        Self { now, rng, told }
    }

    fn carry(&mut self, act: Do) {
        self.told.push(Told::Do(act));
    }
}

impl Servers {
    /// Whether a keeper of this id is one of these servers.
    #[must_use]
    pub fn has(&self, pairing: PairingId) -> bool {
        self.find(pairing).is_some()
    }

    /// Every key of every server, with its keeper's name.
    pub fn keys(&self) -> impl Iterator<Item = (PairingId, &Name, &KeyEntry)> {
        self.held.values().flat_map(|held| {
            let pairing = id_of(&held.name);
            held.keys
                .iter()
                .map(move |key| (pairing, &held.shown, &key.entry))
        })
    }

    fn find(&self, pairing: PairingId) -> Option<&Held> {
        self.held.values().find(|held| id_of(&held.name) == pairing)
    }

    /// Takes what was carried out.
    pub(crate) fn came(&mut self, step: &mut Step<'_>, came: Came) {
        match came {
            Came::Opened { server, about } => {
                let Some(held) = self.held.get_mut(&server) else {
                    return;
                };
                held.about = Some(about);
                held.state = State::Open;
                held.trouble = None;
                self.list(step, &server);
                self.send_waiting(step, &server);
            }
            Came::NotOpened {
                server,
                about,
                trouble,
            } => {
                if let Some(held) = self.held.get_mut(&server) {
                    held.about = about;
                }
                self.not_opened(step, &server, &trouble);
            }
            Came::Answer { errand, answer } => self.answered(step, errand, answer),
            Came::Waiting { errand, text } => self.wants_approval(step, errand, text),
            Came::Lent { server, ticket } => self.lent(step, &server, ticket),
        }
    }

    fn not_opened(&mut self, step: &mut Step<'_>, server: &ServerName, trouble: &Trouble) {
        let Some(held) = self.held.get_mut(server) else {
            return;
        };
        held.trouble = Some(trouble.message.clone());
        match trouble.kind {
            // The ticket is still good; whoever asks next tries it again.
            TroubleKind::Away | TroubleKind::Late => held.state = State::Open,
            TroubleKind::Other => held.state = State::Ended,
            TroubleKind::LoginRequired | TroubleKind::Stop => held.fall(trouble),
        }
        let waiting = std::mem::take(&mut held.waiting);
        for client in waiting {
            replies::fail(step, client, &failure(trouble));
        }
        self.send_waiting(step, server);
    }

    /// Asks for the list of keys, from its beginning.
    fn list(&mut self, step: &mut Step<'_>, server: &ServerName) {
        let Some(held) = self.held.get_mut(server) else {
            return;
        };
        if held.listing.is_some() {
            held.is_list_stale = true;
            return;
        }
        held.listing = Some(Vec::new());
        self.list_page(step, server, None);
    }

    fn list_page(&mut self, step: &mut Step<'_>, server: &ServerName, after: Option<KeyId>) {
        if let Some(held) = self.held.get_mut(server) {
            held.listed_to = after;
        }
        let limit = u32::try_from(PAGE_MAX).unwrap_or(u32::MAX);
        let request = Request::List(List { after, limit });
        let wait_s = COMMAND_WAIT_S;
        self.begin(step, server, Asker::List, request, wait_s);
    }

    /// The list is whole, or there is none.
    fn listed(&mut self, step: &mut Step<'_>, server: &ServerName, keys: Option<Vec<HeldKey>>) {
        let Some(held) = self.held.get_mut(server) else {
            return;
        };
        held.listing = None;
        if let Some(keys) = keys
            && held.keys != keys
        {
            held.keys = keys;
            step.told.push(Told::KeysChanged);
        }
        if std::mem::take(&mut held.is_list_stale) && held.state == State::Open {
            return self.list(step, server);
        }
        for client in std::mem::take(&mut held.waiting) {
            replies::done(step, client);
        }
    }

    /// When [`Servers::tick`] is due, by the steady clock.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.errands.values().map(|open| open.ends_ms).min()
    }
}

impl Held {
    fn new(name: ServerName, now: Now) -> Self {
        Self {
            shown: shown(&name),
            name,
            session: SessionNumber::default(),
            about: None,
            state: State::Opening,
            keys: Vec::new(),
            master_key: None,
            since_unix_s: now.unix_s,
            trouble: None,
            in_flight: 0,
            queue: VecDeque::new(),
            lent_to: None,
            borrowers: VecDeque::new(),
            listing: None,
            listed_to: None,
            is_list_stale: false,
            waiting: Vec::new(),
        }
    }

    /// Whether an answer is of the session that is here; a request that was never sent is of any.
    fn is_of(&self, open: &Open) -> bool {
        open.sent_in.is_none_or(|session| session == self.session)
    }

    /// One that was sent is on its way no more.
    fn note_end(&mut self, open: &Open) {
        let was_sent = usize::from(open.sent_in == Some(self.session));
        self.in_flight = self.in_flight.saturating_sub(was_sent);
    }

    /// What a trouble does to the session.
    fn fall(&mut self, trouble: &Trouble) {
        let state = match trouble.kind {
            TroubleKind::LoginRequired => State::Ended,
            TroubleKind::Stop => State::Stopped,
            TroubleKind::Away | TroubleKind::Late | TroubleKind::Other => return,
        };
        self.state = state;
        self.trouble = Some(trouble.message.clone());
        // It lives as long as the session does.
        self.master_key = None;
    }
}

/// The name as people read it.
fn shown(name: &ServerName) -> Name {
    match Name::new(name.as_str()) {
        Ok(shown) => shown,
        Err(_) => unreachable!("what a server is called can be shown"),
    }
}

/// By which the log and the router know a server: of its name here.
fn id_of(name: &ServerName) -> PairingId {
    let label = key_id(b"keystead key server");
    PairingId::of(
        label.as_bytes(),
        key_id(name.as_str().as_bytes()).as_bytes(),
    )
}

fn failure(trouble: &Trouble) -> keystead_keeper::server::control::Failure {
    let status = match trouble.kind {
        TroubleKind::Away | TroubleKind::Late => STATUS_NO_ANSWER,
        TroubleKind::LoginRequired | TroubleKind::Stop | TroubleKind::Other => STATUS_ERROR,
    };
    keystead_keeper::server::control::Failure {
        status,
        message: trouble.message.clone(),
        hint: Some(trouble.hint.to_owned()),
    }
}

/// The exit statuses of `DESIGN.md`.
const STATUS_ERROR: u8 = 1;
const STATUS_USAGE: u8 = 2;
const STATUS_REFUSED: u8 = 3;
const STATUS_NO_ANSWER: u8 = 4;

/// What a command waits for: an approval (60 s) and a server that restarts.
const COMMAND_WAIT_S: u16 = 90;

/// 31 requests: a server answers 32 at once, and an approval for one of them must still fit.
const IN_FLIGHT_MAX: usize = 31;
