//! One way to a keeper: a relay or an address, with the channel over it.
//!
//! Invariant: a way is opened only when something is to be asked, and at most
//! one channel is on it. Silence, failures and idleness end the channel; the
//! way stays.

use keystead_channel::curve::CloseCode;
use keystead_channel::link::asks::{Patience, SILENCE_MS};
use keystead_channel::link::{LinkEnd, LinkEvent};
use keystead_channel::mailbox::{ConnId, Item, ItemConn};
use keystead_core::RequestId;
use keystead_transport::{Address, LinkId, NetAction, RelayUrl};

use crate::channel::{Carriage, Channel, Ends, Outbox, Taken};
use crate::step::Step;

/// A way to a keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Relay(RelayUrl),
    /// `host:port`, or a Unix socket.
    Direct(Address<String>),
    /// The authenticator dials us: only while pairing.
    Accepted,
}

/// A way and what is on it.
pub(crate) struct Route {
    pub(crate) way: Way,
    state: State,
    patience: Patience,
    /// Failures in a row, and when the next attempt may be.
    failures: usize,
    retry_ms: u64,
    used_ms: u64,
    is_old: bool,
    /// A link that the authenticator dialled and nothing is on yet.
    accepted: Option<LinkId>,
    /// What is wrong with this way, for a person.
    pub(crate) trouble: Option<String>,
}

enum State {
    Closed,
    Dialling(LinkId),
    Open(Box<Channel>),
}

/// One request that is open, in the order in which they were asked.
pub(crate) struct Open<'a> {
    pub(crate) id: RequestId,
    pub(crate) bytes: &'a [u8],
}

/// What a route tells its keeper.
#[derive(Default)]
pub(crate) struct RouteNews {
    /// Whole messages, in order.
    pub(crate) messages: Vec<Vec<u8>>,
    /// Pairing hellos, to be judged.
    pub(crate) hellos: Vec<Vec<u8>>,
    /// The authenticator has ended the pairing.
    pub(crate) is_unpaired: bool,
    /// The authenticator has given the pairing up.
    pub(crate) is_aborted: bool,
    /// The address does not lead to the authenticator any more.
    pub(crate) address_failed: bool,
    /// What the authenticator did that it must not.
    pub(crate) misbehaved: Option<String>,
}

impl Route {
    pub(crate) fn new(way: Way) -> Self {
        Self {
            way,
            state: State::Closed,
            patience: Patience::default(),
            failures: 0,
            retry_ms: 0,
            used_ms: 0,
            is_old: false,
            accepted: None,
            trouble: None,
        }
    }

    /// Starts the channel on what the pairing hello came on.
    pub(crate) fn adopt(&mut self, ends: &Ends, carriage: Carriage, step: &mut Step<'_, '_>) {
        self.used_ms = step.now_ms();
        self.patience.spoke(step.now_ms());
        self.start(ends, carriage, step);
    }

    /// Keeps a link that the authenticator dialled, for when the channel is lost;
    /// gives back the one kept before.
    pub(crate) fn keep_accepted(&mut self, link: LinkId) -> Option<LinkId> {
        self.accepted.replace(link)
    }

    /// Opens the way if there is something to ask, and asks what was not asked
    /// on its channel. Gives the requests that went out.
    pub(crate) fn pump(
        &mut self,
        ends: &Ends,
        outbox: &Outbox,
        open: &[Open<'_>],
        step: &mut Step<'_, '_>,
    ) -> Vec<RequestId> {
        if open.is_empty() {
            return Vec::new();
        }
        let now_ms = step.now_ms();
        if matches!(self.state, State::Closed) && now_ms >= self.retry_ms {
            self.open(ends, outbox, step);
        }
        let State::Open(channel) = &mut self.state else {
            return Vec::new();
        };
        if !channel.is_established() {
            return Vec::new();
        }
        let mut went_out = Vec::new();
        for ask in open {
            if channel.ask_once(ask.id, ask.bytes, step) {
                self.patience.asked(now_ms, ask.id);
                self.used_ms = now_ms;
                went_out.push(ask.id);
            }
        }
        let repeats = self.patience.repeats(now_ms);
        for ask in open.iter().filter(|ask| repeats.contains(&ask.id)) {
            if channel.ask(ask.id, ask.bytes, step) {
                self.patience.asked(now_ms, ask.id);
            }
        }
        went_out
    }

    fn open(&mut self, ends: &Ends, outbox: &Outbox, step: &mut Step<'_, '_>) {
        self.is_old = false;
        self.used_ms = step.now_ms();
        self.patience.spoke(step.now_ms());
        match &self.way {
            Way::Direct(address) => {
                let link = step.links.next();
                self.state = State::Dialling(link);
                step.net(NetAction::Dial {
                    link,
                    address: address.clone(),
                });
            }
            Way::Relay(relay) => {
                let carriage = Carriage::Items {
                    relay: relay.clone(),
                    conn: ItemConn::new(ConnId::draw(step.io.rng)),
                    outbox: outbox.clone(),
                };
                self.start(ends, carriage, step);
            }
            Way::Accepted => match self.accepted.take() {
                Some(link) => self.start(ends, Carriage::Stream(link), step),
                None => self.fail("the authenticator has hung up".to_owned(), step.now_ms()),
            },
        }
    }

    fn start(&mut self, ends: &Ends, carriage: Carriage, step: &mut Step<'_, '_>) {
        let link = match &carriage {
            Carriage::Stream(link) => Some(*link),
            Carriage::Items { .. } => None,
        };
        match Channel::open(ends, carriage, step) {
            Ok(channel) => self.state = State::Open(Box::new(channel)),
            Err(refusal) => {
                self.fail(refusal.to_string(), step.now_ms());
                if let Some(link) = link {
                    step.net(NetAction::Close { link });
                }
            }
        }
    }

    /// The dial succeeded.
    pub(crate) fn dialled(&mut self, ends: &Ends, link: LinkId, step: &mut Step<'_, '_>) {
        self.start(ends, Carriage::Stream(link), step);
    }

    /// The dial failed.
    pub(crate) fn dial_failed(&mut self, reason: String, now_ms: u64) -> RouteNews {
        self.fail(reason, now_ms);
        RouteNews {
            address_failed: true,
            ..RouteNews::default()
        }
    }

    /// Bytes came on this route's link.
    pub(crate) fn take_bytes(&mut self, bytes: &[u8], step: &mut Step<'_, '_>) -> RouteNews {
        let taken = match &mut self.state {
            State::Open(channel) => channel.take_bytes(bytes, step),
            State::Closed | State::Dialling(_) => return RouteNews::default(),
        };
        self.take(taken, step)
    }

    /// This route's link is no more.
    pub(crate) fn link_closed(&mut self, reason: String, step: &mut Step<'_, '_>) -> RouteNews {
        let taken = match &mut self.state {
            State::Open(channel) => channel.end_of_stream(step),
            State::Closed | State::Dialling(_) => Taken::default(),
        };
        let mut news = self.take(taken, step);
        if !matches!(self.state, State::Closed) {
            self.fail(reason, step.now_ms());
        }
        news.address_failed |= self.failures > 1;
        news
    }

    /// An item came in a mailbox of this route's relay.
    pub(crate) fn take_item(&mut self, item: &Item<'_>, step: &mut Step<'_, '_>) -> RouteNews {
        let taken = match &mut self.state {
            State::Open(channel) => channel.take_item(item, step),
            State::Closed | State::Dialling(_) => return RouteNews::default(),
        };
        self.take(taken, step)
    }

    /// The relay is back after it was away: a handshake that it swallowed begins again.
    pub(crate) fn relay_is_back(
        &mut self,
        has_open: bool,
        ends: &Ends,
        outbox: &Outbox,
        step: &mut Step<'_, '_>,
    ) {
        self.failures = 0;
        self.retry_ms = step.now_ms();
        self.trouble = None;
        let is_halfway = matches!(&self.state, State::Open(channel) if !channel.is_established());
        if is_halfway && has_open {
            self.drop_channel(step);
            self.patience = Patience::default();
            self.open(ends, outbox, step);
        }
    }

    /// The pause after a failure is over: somebody waits.
    pub(crate) fn retry_now(&mut self, now_ms: u64) {
        self.retry_ms = self.retry_ms.min(now_ms);
    }

    /// What the time asks for.
    pub(crate) fn tick(
        &mut self,
        has_open: bool,
        ends: &Ends,
        outbox: &Outbox,
        step: &mut Step<'_, '_>,
    ) -> RouteNews {
        let now_ms = step.now_ms();
        let taken = match &mut self.state {
            State::Open(channel) => channel.tick(step),
            State::Closed | State::Dialling(_) => Taken::default(),
        };
        let mut news = self.take(taken, step);
        let has_gap = matches!(&self.state, State::Open(channel) if channel.has_gap(now_ms));
        let is_lost = self.patience.is_lost(now_ms) && !matches!(self.state, State::Closed);
        if is_lost || has_gap {
            self.drop_channel(step);
            if is_lost {
                self.trouble = Some("no answer".to_owned());
                news.address_failed |= matches!(self.way, Way::Direct(_));
            }
            if has_open {
                self.patience.renewed(now_ms);
                self.open(ends, outbox, step);
            }
        }
        let is_idle = now_ms >= self.idle_ms();
        if !has_open && (is_idle || self.is_old) {
            self.close(CloseCode::Done, step);
        }
        news
    }

    /// When [`Route::tick`] or [`Route::pump`] has something to do.
    pub(crate) fn wake_ms(&self, has_open: bool) -> Option<u64> {
        let own = match &self.state {
            State::Closed => has_open.then_some(self.retry_ms),
            State::Dialling(_) => None,
            State::Open(channel) => channel
                .wake_ms()
                .into_iter()
                .chain((!has_open).then(|| self.idle_ms()))
                .min(),
        };
        let patience = match &self.state {
            State::Closed => None,
            State::Dialling(_) | State::Open(_) => self.patience.wake_ms(),
        };
        own.into_iter().chain(patience).min()
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn forget(&mut self, id: &RequestId) {
        self.patience.closed(id);
        if let State::Open(channel) = &mut self.state {
            channel.forget(id);
        }
    }

    /// Whether the link is this route's.
    pub(crate) fn is_on(&self, link: LinkId) -> bool {
        match &self.state {
            State::Closed => false,
            State::Dialling(dialling) => *dialling == link,
            State::Open(channel) => channel.link() == Some(link),
        }
    }

    /// Whether the channel is in this connection of mailboxes.
    pub(crate) fn has_conn(&self, conn: ConnId) -> bool {
        matches!(&self.state, State::Open(channel) if channel.conn() == Some(conn))
    }

    /// Whether a channel is there, or on its way.
    pub(crate) fn is_in_use(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Whether the authenticator answers on this way now.
    pub(crate) fn is_heard(&self) -> bool {
        matches!(&self.state, State::Open(channel) if channel.is_heard())
    }

    /// Ends the channel, with a word where it is established.
    pub(crate) fn close(&mut self, code: CloseCode, step: &mut Step<'_, '_>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => {}
            State::Dialling(link) => step.net(NetAction::Close { link }),
            State::Open(channel) => channel.close(code, step),
        }
        if let Some(link) = self.accepted.take() {
            step.net(NetAction::Close { link });
        }
        self.patience = Patience::default();
        self.is_old = false;
    }

    fn take(&mut self, taken: Taken, step: &mut Step<'_, '_>) -> RouteNews {
        let mut news = RouteNews::default();
        if taken.is_heard {
            self.patience.heard();
        }
        for event in taken.events {
            match event {
                LinkEvent::Established { .. } => {
                    self.proved(step.now_ms());
                    self.patience.spoke(step.now_ms());
                }
                LinkEvent::Message(message) => {
                    self.proved(step.now_ms());
                    self.used_ms = step.now_ms();
                    news.messages.push(message);
                }
                LinkEvent::Renew => self.is_old = true,
                LinkEvent::PairingHello(hello) => news.hellos.push(hello),
                LinkEvent::Ended(end) => self.ended(end, &mut news, step),
            }
        }
        news
    }

    /// The authenticator itself answered: this way is good.
    fn proved(&mut self, now_ms: u64) {
        self.failures = 0;
        self.retry_ms = now_ms;
        self.trouble = None;
    }

    fn ended(&mut self, end: LinkEnd, news: &mut RouteNews, step: &mut Step<'_, '_>) {
        self.drop_channel(step);
        let reason = match end {
            LinkEnd::Closed(CloseCode::Unpaired) => {
                news.is_unpaired = true;
                "the pairing has ended".to_owned()
            }
            LinkEnd::Closed(CloseCode::Done | CloseCode::GoingAway) => "closed".to_owned(),
            LinkEnd::Closed(CloseCode::PairingAborted) => {
                news.is_aborted = true;
                "the pairing was aborted".to_owned()
            }
            LinkEnd::Closed(code) => {
                let what = format!("it closed the channel with code {}", code.byte());
                news.misbehaved = Some(what.clone());
                what
            }
            LinkEnd::Broken(breach) => {
                news.misbehaved = Some(breach.to_string());
                breach.to_string()
            }
            LinkEnd::Refused(refusal) => refusal.to_string(),
            LinkEnd::Silent => "no sign of life".to_owned(),
            // A client is not told of the rest, nor of what a later version adds.
            LinkEnd::Revoked | LinkEnd::ClosedHere | _ => "ended".to_owned(),
        };
        self.fail(reason, step.now_ms());
    }

    /// A pause before the next attempt, longer with each failure.
    fn fail(&mut self, reason: String, now_ms: u64) {
        self.state = State::Closed;
        let longest = SILENCE_MS.last().copied().unwrap_or_default();
        let pause_ms = match self.failures {
            // A peer that restarts is back at once, or later.
            0 => FIRST_PAUSE_MS,
            n => SILENCE_MS.get(n - 1).copied().unwrap_or(longest),
        };
        self.failures = self.failures.saturating_add(1);
        self.retry_ms = now_ms.saturating_add(pause_ms);
        self.patience = Patience::default();
        self.trouble = Some(reason);
    }

    fn drop_channel(&mut self, step: &mut Step<'_, '_>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => {}
            State::Dialling(link) => step.net(NetAction::Close { link }),
            State::Open(channel) => {
                // What is asked again on the next channel is not repeated before.
                channel.asked().for_each(|id| self.patience.closed(id));
                channel.drop_link(step);
            }
        }
    }

    fn idle_ms(&self) -> u64 {
        self.used_ms.saturating_add(IDLE_MS)
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Relay(relay) => write!(f, "{relay}"),
            Self::Direct(address) => write!(f, "{address}"),
            Self::Accepted => f.write_str("this machine's addresses"),
        }
    }
}

/// A channel with nothing to ask stays open for so long. Why: the next login of a
/// working person pays no handshake, and a sleeping laptop holds no channel.
const IDLE_MS: u64 = 15 * 60 * 1_000;

/// Pause after the first failure. Why: an authenticator that restarts listens again in less.
const FIRST_PAUSE_MS: u64 = 300;
