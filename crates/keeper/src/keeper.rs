//! One keeper: a stored pairing, the ways to it and the requests open at it.
//!
//! Invariant: a request goes over every way with the same bytes and its first
//! final answer counts, once, after its receipt was verified. A pairing that
//! has ended asks nothing any more but its own end.

use std::collections::BTreeMap;

use keystead_channel::curve::CloseCode;
use keystead_channel::link::asks::{Arrival, Asks};
use keystead_channel::mailbox::Item;
use keystead_channel::wire::{check_receipt, encode_request, request_hash};
use keystead_core::{Outcome, PairingId, Request, RequestBody, RequestId, Response, ResponseBody};
use keystead_transport::{LinkId, RelayUrl};

use crate::channel::{Ends, Outbox};
use crate::inbox::Inbox;
use crate::me::{self, MeChange};
use crate::receipts::{Place, Receipts};
use crate::record::{Record, Secrets, encode, file_of};
use crate::route::{Open, Route, RouteNews, Way};
use crate::step::Step;
use crate::{Answer, AskId, KeeperError, Notice, PairingView, Progress};

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
    receipts: Receipts,
    /// When the file is to be written, if something in it has changed.
    save_ms: Option<u64>,
    /// An address did not lead to the authenticator: ask for its addresses anew.
    address_failed: bool,
    /// When the authenticator is next told that the pairing has ended.
    unpair_ms: Option<u64>,
    clock_is_told: bool,
    /// When to look again which day it is.
    day_ms: u64,
    is_ended: bool,
}

/// What the agent, or the keeper itself, wants to know.
struct Question {
    purpose: Purpose,
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
            receipts: Receipts::resume(record.receipts),
            save_ms: None,
            address_failed: false,
            unpair_ms: record.unpaired_unix_s.map(|_| 0),
            clock_is_told: false,
            day_ms: 0,
            is_ended: false,
            record,
            secrets,
        };
        keeper.make_routes();
        keeper
    }

    /// Whether nothing is left to do for it: it can be forgotten.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
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
            relays: self.record.relays.clone(),
            addresses: self.record.addresses.clone(),
            paired_unix_s: self.record.paired_unix_s,
            is_used: self.record.is_used,
            is_unpairing: self.is_unpairing(),
            is_connected: self.routes.iter().any(Route::is_heard),
            receipt_key: self.record.receipt_key,
        }
    }

    /// Asks for the agent.
    pub(crate) fn ask(
        &mut self,
        ask: AskId,
        body: RequestBody,
        wait_s: u16,
        step: &mut Step<'_, '_>,
    ) {
        let refusal = if self.is_unpairing() || self.is_ended {
            Some(KeeperError::NoSuchKeeper)
        } else if self.questions.len() >= QUESTIONS_MAX {
            let keeper = self.record.name.clone();
            Some(KeeperError::TooMany { keeper })
        } else {
            self.open(Purpose::Agent(ask), body, wait_s, step).err()
        };
        if let Some(error) = refusal {
            step.progress(ask, Progress::Done(Err(error)));
        }
        self.pump(step);
    }

    /// The agent does not want the answer any more.
    pub(crate) fn withdraw(&mut self, ask: AskId, step: &mut Step<'_, '_>) {
        let is_it = |question: &Question| question.purpose == Purpose::Agent(ask);
        let found = self.questions.iter().find(|(_, it)| is_it(it));
        if let Some((id, _)) = found {
            self.give_up(*id, step);
            self.pump(step);
        }
    }

    /// The person ends the pairing. From now on it is only told so.
    pub(crate) fn unpair(&mut self, step: &mut Step<'_, '_>) {
        if self.is_unpairing() {
            return;
        }
        self.record.unpaired_unix_s = Some(step.now.unix_s);
        self.unpair_ms = Some(step.now_ms());
        self.fail_all(step, |_| KeeperError::NoSuchKeeper);
        self.save(step);
        self.tick(step);
    }

    pub(crate) fn rename(&mut self, name: keystead_core::Name, step: &mut Step<'_, '_>) {
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

    /// A relay is there, perhaps again.
    pub(crate) fn relay_up(&mut self, relay: &RelayUrl, step: &mut Step<'_, '_>) {
        for route in &mut self.routes {
            if matches!(&route.way, Way::Relay(it) if it == relay) {
                route.relay_up(step.now_ms());
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
        self.inbox.read(&self.record.relays, step.now.unix_s, step);
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
        self.pump(step);
        if self.save_ms.is_some_and(|save_ms| step.now_ms() >= save_ms) {
            self.save(step);
        }
    }

    /// When [`Keeper::tick`] is due.
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        let has_open = self.has_open();
        let routes = self.routes.iter().filter_map(|it| it.wake_ms(has_open));
        let questions = self.questions.values();
        let waits = questions.filter(|it| !it.is_over).map(|it| it.ends_ms);
        routes
            .chain(waits)
            .chain(self.asks.wake_ms())
            .chain(self.receipts.wake_ms())
            .chain(self.save_ms)
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
        let addresses = self.record.addresses.iter().cloned().map(Way::Tcp);
        let ways: Vec<Way> = addresses.chain(relays).collect();
        self.routes.retain(|route| ways.contains(&route.way));
        for way in ways {
            if !self.routes.iter().any(|route| route.way == way) {
                self.routes.push(Route::new(way));
            }
        }
    }

    fn open(
        &mut self,
        purpose: Purpose,
        body: RequestBody,
        wait_s: u16,
        step: &mut Step<'_, '_>,
    ) -> Result<(), KeeperError> {
        let mut id = [0; 16];
        step.io.rng.fill_bytes(&mut id);
        let id = RequestId(id);
        let kind = body.kind();
        let wait_s = wait_s.clamp(1, Request::WAIT_S_MAX);
        let bytes = encode_request(&Request {
            id,
            unix_s: step.now.unix_s,
            wait_s,
            want_ack: matches!(purpose, Purpose::Agent(_)),
            body,
        });
        if bytes.len() > Request::BYTES_MAX {
            return Err(KeeperError::TooLong { bytes: bytes.len() });
        }
        let wait_ms = u64::from(wait_s) * 1_000 + ANSWER_ON_ITS_WAY_MS;
        // The answer is still good for its receipt after nobody waits for it.
        let open_ms = wait_ms.saturating_add(LATE_ANSWER_MS);
        self.asks.open(step.now_ms(), id, kind, bytes, open_ms);
        self.asked = self.asked.saturating_add(1);
        let question = Question {
            purpose,
            order: self.asked,
            wait_s,
            ends_ms: step.now_ms().saturating_add(wait_ms),
            is_sent: false,
            asking_is_told: false,
            is_over: false,
        };
        self.questions.insert(id, question);
        Ok(())
    }

    /// Whether anything is to be asked.
    fn has_open(&self) -> bool {
        self.questions.values().any(|question| !question.is_over)
    }

    /// Sends what is open over every way that is there, and opens the ways that are not.
    fn pump(&mut self, step: &mut Step<'_, '_>) {
        if self.is_ended {
            return;
        }
        self.inbox.read(&self.record.relays, step.now.unix_s, step);
        let mut open: Vec<(u64, Open<'_>)> = self
            .questions
            .iter()
            .filter(|(_, question)| !question.is_over)
            .filter_map(|(id, question)| {
                let bytes = self.asks.bytes(id)?;
                Some((question.order, Open { id: *id, bytes }))
            })
            .collect();
        open.sort_by_key(|(order, _)| *order);
        let open: Vec<Open<'_>> = open.into_iter().map(|(_, ask)| ask).collect();
        let mut went_out = Vec::new();
        for route in &mut self.routes {
            went_out.extend(route.pump(&self.ends, &self.outbox, &open, step));
        }
        for id in went_out {
            let hash = self.asks.bytes(&id).map(request_hash);
            if let (Some(question), Some(hash)) = (self.questions.get_mut(&id), hash)
                && !std::mem::replace(&mut question.is_sent, true)
                && let Purpose::Agent(ask) = question.purpose
            {
                step.progress(ask, Progress::Sent { request: id, hash });
            }
        }
    }

    fn on_link(
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

    fn take_news(&mut self, news: RouteNews, step: &mut Step<'_, '_>) {
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

    /// The authenticator answers: the pairing works, and may have news.
    fn note_use(&mut self, step: &mut Step<'_, '_>) {
        if !self.record.is_used {
            self.record.is_used = true;
            self.save_later(step);
        }
        let age_s = step.now.unix_s.saturating_sub(self.record.me_unix_s);
        let asks_already = self
            .questions
            .values()
            .any(|it| it.purpose == Purpose::Refresh);
        let is_due = age_s >= REFRESH_S || self.address_failed;
        if is_due && !asks_already && !self.is_unpairing() && !self.is_ended {
            self.address_failed = false;
            let body = RequestBody::Me { nonce_c: None };
            // It has no payload, so it is never too long.
            let _ = self.open(Purpose::Refresh, body, OWN_WAIT_S, step);
        }
    }

    fn take_message(&mut self, message: &[u8], step: &mut Step<'_, '_>) {
        match self.asks.receive(message) {
            Arrival::NotAsked => {}
            Arrival::Ack(response) => {
                if let Some(question) = self.questions.get_mut(&response.id)
                    && !question.is_over
                    && let Purpose::Agent(ask) = question.purpose
                    && !std::mem::replace(&mut question.asking_is_told, true)
                {
                    let authenticator = self.record.authenticator.clone();
                    step.progress(ask, Progress::Asking { authenticator });
                }
            }
            Arrival::Final(response) => self.take_answer(response, step),
            Arrival::Misbehaved(error) => {
                let what = format!("its answer is no answer: {error}");
                if let Some(id) = error.id
                    && self.asks.kind(&id).is_some()
                    && error.fault != keystead_channel::wire::Fault::NotAsked
                {
                    self.asks.close(&id);
                    self.fail(id, &what, step);
                }
                let pairing = self.id;
                step.notice(Notice::Misbehaved { pairing, what });
            }
        }
    }

    fn take_answer(&mut self, response: Response, step: &mut Step<'_, '_>) {
        self.tell_clock(response.unix_s, step);
        if response.outcome.has_receipt()
            && let Err(what) = self.take_receipt(&response, step)
        {
            self.fail(response.id, &what, step);
            let pairing = self.id;
            step.notice(Notice::Misbehaved { pairing, what });
            return;
        }
        let id = response.id;
        let is_unpaired = response.outcome == Outcome::Unpair;
        self.forget(id);
        if let Some(question) = self.questions.remove(&id) {
            self.settle(question, response, step);
        }
        if is_unpaired && !self.is_ended {
            self.unpaired(step);
        }
    }

    fn settle(&mut self, question: Question, response: Response, step: &mut Step<'_, '_>) {
        match question.purpose {
            Purpose::Agent(ask) if !question.is_over => {
                let answer = Answer {
                    outcome: response.outcome,
                    body: response.body,
                    receipt: response.receipt,
                    request_hash: response.request_hash,
                    authenticator: self.record.authenticator.clone(),
                };
                step.progress(ask, Progress::Done(Ok(answer)));
            }
            Purpose::Refresh => {
                if let (Outcome::Approve, Some(ResponseBody::Me(me))) =
                    (response.outcome, response.body)
                {
                    self.take_me(me, step);
                }
            }
            Purpose::Unpair if response.outcome == Outcome::Approve => self.end(step),
            Purpose::Agent(_) | Purpose::Unpair | Purpose::Cancel => {}
        }
    }

    /// Checks the receipt and notes its place; gives what is wrong with it.
    fn take_receipt(&mut self, response: &Response, step: &mut Step<'_, '_>) -> Result<(), String> {
        let receipt =
            check_receipt(response, &self.record.receipt_key).map_err(|fault| fault.to_string())?;
        let bytes = response.receipt.as_ref().map(|it| it.bytes.as_slice());
        let place = self
            .receipts
            .take(&receipt, bytes.unwrap_or_default(), step.now_ms());
        self.save_later(step);
        let what = match place {
            Place::Fits => return Ok(()),
            Place::OtherChain => "its receipts do not follow one another",
            Place::Twice => "it numbered two receipts alike",
        };
        // The answer itself is signed and to this request; the person is told of the rest.
        step.notice(Notice::Misbehaved {
            pairing: self.id,
            what: what.to_owned(),
        });
        Ok(())
    }

    fn take_me(&mut self, me: keystead_core::MeResponse, step: &mut Step<'_, '_>) {
        self.record.me_unix_s = step.now.unix_s;
        match me::apply(&mut self.record, me) {
            MeChange::Nothing => {}
            MeChange::Ways => self.make_routes(),
            MeChange::Keys => {
                self.make_routes();
                step.notice(Notice::KeysChanged {
                    pairing: self.id,
                    keys: self.record.keys.clone(),
                });
            }
            MeChange::OtherReceiptKey => step.notice(Notice::Misbehaved {
                pairing: self.id,
                what: "it names another receipt key than before".to_owned(),
            }),
        }
        self.inbox.read(&self.record.relays, step.now.unix_s, step);
        self.save(step);
    }

    fn tell_clock(&mut self, unix_s: u64, step: &mut Step<'_, '_>) {
        let ahead = i128::from(unix_s) - i128::from(step.now.unix_s);
        let Ok(ahead_s) = i64::try_from(ahead) else {
            return;
        };
        let is_off = ahead_s.unsigned_abs() > CLOCK_S;
        if is_off && !self.clock_is_told {
            let pairing = self.id;
            step.notice(Notice::ClockDiffers { pairing, ahead_s });
        }
        self.clock_is_told = is_off;
    }

    /// Ends the waits whose time is up.
    fn end_waits(&mut self, step: &mut Step<'_, '_>) {
        let now_ms = step.now_ms();
        let due = |it: &Question| !it.is_over && now_ms >= it.ends_ms;
        let questions = self.questions.iter();
        let ended: Vec<RequestId> = questions
            .filter_map(|(id, it)| due(it).then_some(*id))
            .collect();
        for id in ended {
            if let Some(question) = self.questions.get(&id)
                && let Purpose::Agent(ask) = question.purpose
            {
                let error = self.no_answer(question);
                step.progress(ask, Progress::Done(Err(error)));
            }
            self.give_up(id, step);
        }
        for id in self.asks.expire(now_ms) {
            self.forget(id);
            self.questions.remove(&id);
        }
    }

    fn no_answer(&self, question: &Question) -> KeeperError {
        let keeper = self.record.name.clone();
        if question.asking_is_told || self.routes.iter().any(Route::is_heard) {
            let wait_s = question.wait_s;
            return KeeperError::NoAnswer { keeper, wait_s };
        }
        let troubles = self.routes.iter().map(|route| {
            let trouble = route.trouble.as_deref().unwrap_or("no answer");
            format!("{}: {trouble}", route.way)
        });
        let reason = troubles.collect::<Vec<_>>().join("; ");
        KeeperError::Unreachable { keeper, reason }
    }

    /// Nobody waits for it any more. Where it was asked it is withdrawn.
    fn give_up(&mut self, id: RequestId, step: &mut Step<'_, '_>) {
        let was_asked = self.routes.iter().any(|route| route.has_asked(&id));
        let is_agents = match self.questions.get_mut(&id) {
            Some(question) => {
                question.is_over = true;
                matches!(question.purpose, Purpose::Agent(_)) && question.is_sent
            }
            None => return,
        };
        if !is_agents {
            self.asks.close(&id);
            self.questions.remove(&id);
        }
        self.forget(id);
        if is_agents && was_asked && !self.is_ended {
            let body = RequestBody::Cancel { target: id };
            // It has 16 bytes of payload, so it is never too long.
            let _ = self.open(Purpose::Cancel, body, OWN_WAIT_S, step);
        }
    }

    /// Takes the request off the ways: it is not repeated there.
    fn forget(&mut self, id: RequestId) {
        for route in &mut self.routes {
            route.forget(&id);
        }
    }

    fn fail(&mut self, id: RequestId, what: &str, step: &mut Step<'_, '_>) {
        self.forget(id);
        if let Some(question) = self.questions.remove(&id)
            && !question.is_over
            && let Purpose::Agent(ask) = question.purpose
        {
            let keeper = self.record.name.clone();
            let what = what.to_owned();
            let error = KeeperError::PeerMisbehaved { keeper, what };
            step.progress(ask, Progress::Done(Err(error)));
        }
    }

    /// Every open ask ends with this error.
    fn fail_all(
        &mut self,
        step: &mut Step<'_, '_>,
        error: impl Fn(keystead_core::Name) -> KeeperError,
    ) {
        let questions = std::mem::take(&mut self.questions);
        for (id, question) in questions {
            self.asks.close(&id);
            self.forget(id);
            if let Purpose::Agent(ask) = question.purpose
                && !question.is_over
            {
                let error = error(self.record.name.clone());
                step.progress(ask, Progress::Done(Err(error)));
            }
        }
    }

    fn asks_unpair(&self) -> bool {
        self.questions
            .values()
            .any(|it| it.purpose == Purpose::Unpair && !it.is_over)
    }

    /// Tells the authenticator that the pairing has ended here, until it knows or 30 days are over.
    fn tell_unpair(&mut self, step: &mut Step<'_, '_>) {
        let (Some(since_unix_s), Some(at_ms)) = (self.record.unpaired_unix_s, self.unpair_ms)
        else {
            return;
        };
        if step.now.unix_s.saturating_sub(since_unix_s) >= UNPAIR_S_MAX {
            self.end(step);
        } else if step.now_ms() >= at_ms && !self.asks_unpair() {
            self.unpair_ms = Some(step.now_ms().saturating_add(UNPAIR_AGAIN_MS));
            // It has no payload, so it is never too long.
            let _ = self.open(Purpose::Unpair, RequestBody::Unpair, OWN_WAIT_S, step);
        }
    }

    /// The authenticator has ended the pairing, or knows that we have.
    fn unpaired(&mut self, step: &mut Step<'_, '_>) {
        if !self.is_unpairing() {
            step.notice(Notice::Unpaired {
                pairing: self.id,
                name: self.record.name.clone(),
            });
        }
        self.fail_all(step, |keeper| KeeperError::Unpaired { keeper });
        self.end(step);
    }

    /// Both sides know: keys are wiped, mailboxes deleted.
    fn end(&mut self, step: &mut Step<'_, '_>) {
        self.is_ended = true;
        for route in &mut self.routes {
            route.close(CloseCode::Done, step);
        }
        self.inbox.delete(step);
        self.save_ms = None;
        let file = file_of(self.id);
        if let Err(error) = step.io.disk.remove(&file) {
            let reason = error.to_string();
            step.notice(Notice::NotSaved { file, reason });
        }
    }

    fn save_later(&mut self, step: &Step<'_, '_>) {
        let save_ms = step.now_ms().saturating_add(SAVE_LATER_MS);
        self.save_ms.get_or_insert(save_ms);
    }
}

/// Requests open at one keeper. Why: an authenticator takes 64 at once
/// (`spec/pairing.md` section 3); a few more are only waiting for their receipts.
const QUESTIONS_MAX: usize = 80;

/// How much longer than wait_s we wait. Why: the authenticator counts from the request's
/// arrival, and its signed `expired` is worth more than our own guess.
const ANSWER_ON_ITS_WAY_MS: u64 = 1_000;

/// How long an answer that nobody waits for is still taken. Why: its receipt closes the chain.
const LATE_ANSWER_MS: u64 = 15_000;

/// Wait of requests that the keeper itself makes; nobody is asked for them.
const OWN_WAIT_S: u16 = 30;

/// Keys and addresses are asked for anew when a channel opens and a day has passed.
const REFRESH_S: u64 = 86_400;

/// A new day's mailbox is read within this. Why: tomorrow's is read since yesterday, so
/// nothing is missed, whichever way the wall clock is moved.
const DAY_CHECK_MS: u64 = 60 * 60 * 1_000;

/// Clocks that differ by more are reported (`spec/pairing.md` section 3).
const CLOCK_S: u64 = 90;

/// Receipts and the first use are written with this delay. Why: off the way of an answer,
/// and one write for many.
const SAVE_LATER_MS: u64 = 5_000;

/// A write that failed is tried again after this. Why: somebody must make room first.
const SAVE_AGAIN_MS: u64 = 60_000;

/// An authenticator that was away when its pairing ended is tried again. Why: it costs a
/// handshake, and nobody waits for it.
const UNPAIR_AGAIN_MS: u64 = 60 * 60 * 1_000;

/// 30 days (`spec/pairing.md` section 1).
const UNPAIR_S_MAX: u64 = 30 * 86_400;
