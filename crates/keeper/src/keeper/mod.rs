//! One keeper: a stored pairing, the ways to it and the requests open at it.
//!
//! Invariant: a request goes over every way with the same bytes and its first
//! final answer counts, once, after its receipt was verified. A pairing that
//! has ended asks nothing any more but its own end.

mod answering;
mod asking;
mod ending;
mod refreshing;
mod stamp;

use std::collections::BTreeMap;

use keystead_channel::curve::CloseCode;
use keystead_channel::link::asks::Asks;
use keystead_channel::mailbox::Item;
use keystead_core::{Kind, Name, PairingId, RequestId};
use keystead_transport::{Address, LinkId, RelayUrl};

use crate::channel::{Ends, Outbox};
use crate::effect::Effect;
use crate::inbox::Inbox;
use crate::receipts::Receipts;
use crate::record::{Record, Secrets, encode, file_of};
use crate::route::{Route, RouteNews, Way};
use crate::step::Step;
use crate::{AskId, Notice, PairingView};
use refreshing::Pace;
use stamp::Stamp;

/// A pairing in use, or one that is being ended.
pub(crate) struct Keeper {
    pub(crate) id: PairingId,
    pub(crate) record: Record,
    secrets: Secrets,
    ends: Ends,
    outbox: Outbox,
    inbox: Inbox,
    routes: Vec<Route>,
    asks: Asks,
    questions: BTreeMap<RequestId, Question>,
    asked: u64,
    stamp: Stamp,
    receipts: Receipts,
    /// When the file is to be written, if something in it has changed.
    save_ms: Option<u64>,
    /// Whether a channel of this process was heard.
    was_heard: bool,
    /// An address did not lead to the authenticator: ask for its addresses anew.
    address_failed: bool,
    /// When that was last done.
    address_asked_ms: u64,
    /// When a key that was brought there with a lifetime is gone: its keys are asked for anew.
    refresh_ms: Option<u64>,
    /// How often its keys were asked for.
    pace: Pace,
    /// Since when it owes an answer about its keys.
    unanswered_ms: Option<u64>,
    /// When the authenticator is next told that the pairing has ended.
    unpair_ms: Option<u64>,
    clock_is_told: bool,
    /// When to look again which day it is.
    day_ms: u64,
    is_ended: bool,
    /// When the file of the pairing that has ended is to be removed again.
    remove_ms: Option<u64>,
}

/// What the agent, or the keeper itself, wants to know.
struct Question {
    purpose: Purpose,
    kind: Kind,
    effect: Effect,
    /// In the order of asking.
    order: u64,
    wait_s: u16,
    ends_ms: u64,
    is_sent: bool,
    asking_is_told: bool,
    /// Nobody waits any more; the answer is only taken for its receipt.
    is_over: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    Agent(AskId),
    Refresh,
    Unpair,
    Cancel,
}

impl Keeper {
    pub(crate) fn new(record: Record, secrets: Secrets) -> Self {
        let id = secrets.id();
        let mut keeper = Self {
            id,
            ends: Ends {
                keys: secrets.keys.clone(),
                server: secrets.server,
                is_pairing: false,
            },
            outbox: Outbox::Pairing(secrets.pair_key.clone()),
            inbox: Inbox::new(secrets.pair_key.clone()),
            routes: Vec::new(),
            asks: Asks::default(),
            questions: BTreeMap::new(),
            asked: 0,
            stamp: Stamp::default(),
            receipts: Receipts::resume(record.receipts),
            save_ms: None,
            was_heard: false,
            address_failed: false,
            address_asked_ms: 0,
            refresh_ms: None,
            pace: Pace::default(),
            unanswered_ms: None,
            unpair_ms: record.unpaired_unix_s.map(|_| 0),
            clock_is_told: false,
            day_ms: 0,
            is_ended: false,
            remove_ms: None,
            record,
            secrets,
        };
        keeper.make_routes();
        keeper
    }

    /// Whether nothing is left to do for it: it can be forgotten.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended && self.remove_ms.is_none()
    }

    pub(crate) fn is_unpairing(&self) -> bool {
        self.record.unpaired_unix_s.is_some()
    }

    pub(crate) fn relays(&self) -> impl Iterator<Item = &RelayUrl> {
        self.record.relays.iter()
    }

    pub(crate) fn view(&self) -> PairingView {
        PairingView {
            pairing: self.id,
            name: self.record.name.clone(),
            authenticator: self.record.authenticator.clone(),
            keys: self.record.keys.clone(),
            wallets: self.record.wallets.clone(),
            relays: self.record.relays.clone(),
            addresses: self.record.addresses.clone(),
            paired_unix_s: self.record.paired_unix_s,
            is_used: self.record.is_used,
            is_unpairing: self.is_unpairing(),
            is_connected: self.routes.iter().any(Route::is_heard),
            unanswered_ms: self.unanswered_ms.filter(|_| !self.is_unpairing()),
            receipt_key: self.record.receipt_key,
        }
    }

    pub(crate) fn rename(&mut self, name: Name, step: &mut Step<'_, '_>) {
        self.record.name = name;
        self.save(step);
    }

    /// Whether the link is one of this keeper's.
    pub(crate) fn is_on(&self, link: LinkId) -> bool {
        self.routes.iter().any(|route| route.is_on(link))
    }

    pub(crate) fn dialled(&mut self, link: LinkId, step: &mut Step<'_, '_>) {
        if let Some(route) = self.routes.iter_mut().find(|route| route.is_on(link)) {
            route.dialled(&self.ends, link, step);
        }
    }

    pub(crate) fn dial_failed(&mut self, link: LinkId, reason: String, step: &mut Step<'_, '_>) {
        self.on_link(link, step, |route, step| {
            route.dial_failed(reason, step.now_ms())
        });
    }

    pub(crate) fn take_bytes(&mut self, link: LinkId, bytes: &[u8], step: &mut Step<'_, '_>) {
        self.on_link(link, step, |route, step| route.take_bytes(bytes, step));
    }

    pub(crate) fn link_closed(&mut self, link: LinkId, reason: String, step: &mut Step<'_, '_>) {
        self.on_link(link, step, |route, step| route.link_closed(reason, step));
    }

    /// Takes an item, if the mailbox is this keeper's.
    pub(crate) fn take_item(
        &mut self,
        relay: &RelayUrl,
        mailbox: &[u8; 16],
        item: &[u8],
        step: &mut Step<'_, '_>,
    ) -> bool {
        if !self.inbox.holds(relay, mailbox) {
            return false;
        }
        // What is no item, or belongs to no channel here, changes nothing.
        if let Ok(item) = Item::decode(item) {
            let on = |route: &&mut Route| matches!(&route.way, Way::Relay(it) if it == relay);
            if let Some(route) = self.routes.iter_mut().find(on) {
                let news = route.take_item(&item, step);
                self.take_news(news, step);
                self.pump(step);
            }
        }
        true
    }

    /// A relay is back after it was away.
    pub(crate) fn relay_is_back(&mut self, relay: &RelayUrl, step: &mut Step<'_, '_>) {
        let has_open = self.has_open();
        for route in &mut self.routes {
            if matches!(&route.way, Way::Relay(it) if it == relay) {
                route.relay_is_back(has_open, &self.ends, &self.outbox, step);
            }
        }
        self.pump(step);
    }

    /// A relay is away.
    pub(crate) fn relay_down(&mut self, relay: &RelayUrl, reason: &str) {
        for route in &mut self.routes {
            if matches!(&route.way, Way::Relay(it) if it == relay) {
                route.trouble = Some(reason.to_owned());
            }
        }
    }

    /// What the time asks for.
    pub(crate) fn tick(&mut self, step: &mut Step<'_, '_>) {
        if self.is_ended {
            if self.remove_ms.is_some_and(|at| step.now_ms() >= at) {
                self.remove_file(step);
            }
            return;
        }
        self.day_ms = step.now_ms().saturating_add(DAY_CHECK_MS);
        self.end_waits(step);
        self.tell_unpair(step);
        let has_open = self.has_open();
        for at in 0..self.routes.len() {
            let Some(route) = self.routes.get_mut(at) else {
                break;
            };
            let news = route.tick(has_open, &self.ends, &self.outbox, step);
            self.take_news(news, step);
        }
        for (first, last) in self.receipts.named(step.now_ms()) {
            step.notice(Notice::ReceiptGap {
                pairing: self.id,
                first,
                last,
            });
        }
        if self.refresh_ms.is_some_and(|at| step.now_ms() >= at) {
            self.refresh(step);
        }
        self.pump(step);
        if self.save_ms.is_some_and(|save_ms| step.now_ms() >= save_ms) {
            self.save(step);
        }
    }

    /// When [`Keeper::tick`] is due.
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        if self.is_ended {
            return self.remove_ms;
        }
        let has_open = self.has_open();
        let routes = self.routes.iter().filter_map(|it| it.wake_ms(has_open));
        let questions = self.questions.values();
        let waits = questions.filter(|it| !it.is_over).map(|it| it.ends_ms);
        routes
            .chain(waits)
            .chain(self.asks.wake_ms())
            .chain(self.receipts.wake_ms())
            .chain(self.save_ms)
            .chain(self.refresh_ms)
            .chain([self.day_ms])
            .chain(self.unpair_ms.filter(|_| !self.asks_unpair()))
            .min()
    }

    /// The process ends: says goodbye and writes what is not written yet.
    pub(crate) fn shut_down(&mut self, step: &mut Step<'_, '_>) {
        for route in &mut self.routes {
            route.close(CloseCode::GoingAway, step);
        }
        if self.save_ms.is_some() {
            self.save(step);
        }
    }

    /// Writes the file now. A failure is told, and tried again later.
    pub(crate) fn save(&mut self, step: &mut Step<'_, '_>) -> bool {
        self.record.receipts = self.receipts.chain;
        let file = file_of(self.id);
        let content = encode(&self.record, &self.secrets);
        match step.io.disk.replace(&file, content.expose()) {
            Ok(()) => {
                self.save_ms = None;
                true
            }
            Err(error) => {
                let reason = error.to_string();
                step.notice(Notice::NotSaved { file, reason });
                self.save_ms = Some(step.now_ms().saturating_add(SAVE_AGAIN_MS));
                false
            }
        }
    }

    fn make_routes(&mut self) {
        let relays = self.record.relays.iter().cloned().map(Way::Relay);
        let addresses = self.record.addresses.iter();
        let addresses = addresses.map(|text| Way::Direct(Address::of(text)));
        let ways: Vec<Way> = addresses.chain(relays).collect();
        self.routes.retain(|route| ways.contains(&route.way));
        for way in ways {
            if !self.routes.iter().any(|route| route.way == way) {
                self.routes.push(Route::new(way));
            }
        }
    }

    pub(super) fn on_link(
        &mut self,
        link: LinkId,
        step: &mut Step<'_, '_>,
        take: impl FnOnce(&mut Route, &mut Step<'_, '_>) -> RouteNews,
    ) {
        if let Some(route) = self.routes.iter_mut().find(|route| route.is_on(link)) {
            let news = take(route, step);
            self.take_news(news, step);
            self.pump(step);
        }
    }

    pub(super) fn take_news(&mut self, news: RouteNews, step: &mut Step<'_, '_>) {
        self.address_failed |= news.address_failed;
        for message in news.messages {
            self.take_message(&message, step);
        }
        if let Some(what) = news.misbehaved {
            step.notice(Notice::Misbehaved {
                pairing: self.id,
                what,
            });
        }
        if news.is_unpaired && !self.is_ended {
            self.unpaired(step);
        } else if self.routes.iter().any(Route::is_heard) {
            self.note_use(step);
        }
    }

    fn save_later(&mut self, step: &Step<'_, '_>) {
        let save_ms = step.now_ms().saturating_add(SAVE_LATER_MS);
        self.save_ms.get_or_insert(save_ms);
    }
}

/// Wait of requests that the keeper itself makes; nobody is asked for them.
const OWN_WAIT_S: u16 = 30;

/// A new day's mailbox is read within this. Why: tomorrow's is read since yesterday, so
/// nothing is missed, whichever way the wall clock is moved.
const DAY_CHECK_MS: u64 = 60 * 60 * 1_000;

/// Receipts and the first use are written with this delay. Why: off the way of an answer,
/// and one write for many.
const SAVE_LATER_MS: u64 = 5_000;

/// A write that failed is tried again after this. Why: somebody must make room first.
const SAVE_AGAIN_MS: u64 = 60_000;
