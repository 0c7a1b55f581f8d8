//! The channel of a pairing: the me request and the confirm request over it.
//!
//! Invariant: as between paired sides, a request is repeated with the same
//! bytes, on a new channel if need be, and its first final answer counts.

use std::sync::Arc;

use keystead_channel::curve::{CloseCode, KeyPair, PublicKey};
use keystead_channel::link::asks::{Arrival, Asks};
use keystead_channel::mailbox::{Item, Mailbox};
use keystead_channel::wire::{Received, check_receipt, encode_request};
use keystead_core::{
    AckResponse, Kind, Outcome, ReceiptChain, Request, RequestBody, RequestHash, RequestId,
    ResponseBody, SignedReceipt,
};
use keystead_transport::{LinkId, NetAction, RelayUrl};

use super::HelloFrom;
use crate::channel::{Ends, Outbox};
use crate::receipts::Receipts;
use crate::route::{Open, Route, RouteNews, Way};
use crate::step::Step;

pub(crate) struct Talk {
    ends: Ends,
    outbox: Outbox,
    /// The offer's relay first, if it has one, then the link that was dialled.
    routes: Vec<Route>,
    asks: Asks,
    receipts: Receipts,
    receipt_key: Option<[u8; 32]>,
    /// The authenticator's answers so far, for the log.
    answered: Vec<Answered>,
}

/// A verified answer.
pub(crate) struct Answered {
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
    pub(crate) request_hash: RequestHash,
    pub(crate) receipt: SignedReceipt,
}

/// What the authenticator said.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) acks: Vec<AckResponse>,
    pub(crate) answers: Vec<Received>,
    pub(crate) hellos: Vec<Vec<u8>>,
    pub(crate) misbehaved: Option<String>,
    pub(crate) is_aborted: bool,
}

impl Talk {
    pub(crate) fn start(
        (keys, server): (Arc<KeyPair>, PublicKey),
        relay: Option<&RelayUrl>,
        outbox: Mailbox,
    ) -> Self {
        let relay = relay.cloned().map(Way::Relay);
        Self {
            ends: Ends {
                keys,
                server,
                is_pairing: true,
            },
            outbox: Outbox::Offer(Arc::new(outbox)),
            routes: relay
                .into_iter()
                .chain([Way::Accepted])
                .map(Route::new)
                .collect(),
            asks: Asks::default(),
            receipts: Receipts::default(),
            receipt_key: None,
            answered: Vec::new(),
        }
    }

    /// Starts the channel where the hello came from.
    pub(crate) fn begin(&mut self, from: HelloFrom, step: &mut Step<'_, '_>) {
        let is_link = matches!(from, HelloFrom::Link(_));
        let carriage = from.carriage(self.outbox.clone());
        let mut routes = self.routes.iter_mut();
        let fits = |route: &&mut Route| matches!(route.way, Way::Accepted) == is_link;
        if let Some(route) = routes.find(fits) {
            route.adopt(&self.ends, carriage, step);
        }
    }

    /// Asks, from now on.
    pub(crate) fn open(&mut self, body: RequestBody, wait_s: u16, step: &mut Step<'_, '_>) {
        let mut id = [0; 16];
        step.io.rng.fill_bytes(&mut id);
        let id = RequestId(id);
        let kind = body.kind();
        let bytes = encode_request(&Request {
            id,
            unix_s: step.now.unix_s,
            wait_s,
            want_ack: true,
            body,
        });
        let wait_ms = u64::from(wait_s) * 1_000;
        self.asks.open(step.now_ms(), id, kind, bytes, wait_ms);
    }

    /// Sends what is open. A way that has no channel is opened only when no other has one:
    /// the authenticator needs one channel, and repeats of its hello are ignored.
    pub(crate) fn pump(&mut self, step: &mut Step<'_, '_>) {
        let open: Vec<Open<'_>> = self
            .asks
            .ids()
            .filter_map(|id| {
                let bytes = self.asks.bytes(&id)?;
                Some(Open { id, bytes })
            })
            .collect();
        let in_use = self.routes.iter().position(Route::is_in_use);
        for (at, route) in self.routes.iter_mut().enumerate() {
            if in_use.is_none_or(|used| used == at) {
                route.pump(&self.ends, &self.outbox, &open, step);
                if in_use.is_none() && route.is_in_use() {
                    break;
                }
            }
        }
    }

    pub(crate) fn take_bytes(
        &mut self,
        link: LinkId,
        bytes: &[u8],
        step: &mut Step<'_, '_>,
    ) -> Heard {
        self.on_link(link, step, |route, step| route.take_bytes(bytes, step))
    }

    pub(crate) fn link_closed(&mut self, link: LinkId, step: &mut Step<'_, '_>) -> Heard {
        let reason = "the authenticator has hung up".to_owned();
        self.on_link(link, step, |route, step| route.link_closed(reason, step))
    }

    /// Whether the item is of the connection that the channel is in.
    pub(crate) fn has_conn(&self, item: &Item<'_>) -> bool {
        self.routes.iter().any(|route| route.has_conn(item.conn))
    }

    pub(crate) fn take_item(&mut self, item: &Item<'_>, step: &mut Step<'_, '_>) -> Heard {
        let mut routes = self.routes.iter_mut();
        let Some(route) = routes.find(|route| route.has_conn(item.conn)) else {
            return Heard::default();
        };
        let news = route.take_item(item, step);
        self.take_news(news, step)
    }

    pub(crate) fn relay_is_back(&mut self, step: &mut Step<'_, '_>) {
        let has_open = !self.asks.is_empty();
        for route in &mut self.routes {
            if matches!(route.way, Way::Relay(_)) {
                route.relay_is_back(has_open, &self.ends, &self.outbox, step);
            }
        }
        self.pump(step);
    }

    pub(crate) fn is_on(&self, link: LinkId) -> bool {
        self.routes.iter().any(|route| route.is_on(link))
    }

    /// The authenticator dialled again: kept for when the channel is lost.
    pub(crate) fn keep_accepted(&mut self, link: LinkId, step: &mut Step<'_, '_>) {
        for route in &mut self.routes {
            if matches!(route.way, Way::Accepted)
                && let Some(link) = route.keep_accepted(link)
            {
                step.net(NetAction::Close { link });
            }
        }
        self.pump(step);
    }

    pub(crate) fn tick(&mut self, step: &mut Step<'_, '_>) -> Heard {
        let mut heard = Heard::default();
        let has_open = !self.asks.is_empty();
        for at in 0..self.routes.len() {
            let Some(route) = self.routes.get_mut(at) else {
                break;
            };
            let news = route.tick(has_open, &self.ends, &self.outbox, step);
            heard.join(self.take_news(news, step));
        }
        self.pump(step);
        heard
    }

    pub(crate) fn wake_ms(&self) -> Option<u64> {
        let is_in_use = self.routes.iter().any(Route::is_in_use);
        let has_open = !self.asks.is_empty();
        // A closed way is not waited for while another one is in use.
        let routes = self.routes.iter();
        routes
            .filter(|route| !is_in_use || route.is_in_use())
            .filter_map(|route| route.wake_ms(has_open))
            .min()
    }

    /// Checks the receipt of the me response, by the key in it.
    pub(crate) fn take_me_receipt(
        &mut self,
        received: &Received,
        receipt_key: &[u8; 32],
        step: &Step<'_, '_>,
    ) -> Result<(), String> {
        self.receipt_key = Some(*receipt_key);
        self.take_receipt(Kind::Me, received, step)
    }

    /// Checks a receipt, by the key of the me response.
    pub(crate) fn take_receipt(
        &mut self,
        kind: Kind,
        received: &Received,
        step: &Step<'_, '_>,
    ) -> Result<(), String> {
        let Some(receipt_key) = self.receipt_key else {
            return Err("it has named no receipt key".to_owned());
        };
        let receipt = check_receipt(received, &receipt_key).map_err(|fault| fault.to_string())?;
        let response = &received.response;
        if let Some(signed) = &response.receipt {
            self.receipts.take(&receipt, &signed.bytes, step.now_ms());
            self.answered.push(Answered {
                kind,
                outcome: response.outcome,
                request_hash: response.request_hash,
                receipt: signed.clone(),
            });
        }
        Ok(())
    }

    pub(crate) fn take_answered(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.answered)
    }

    pub(crate) fn receipt_chain(&self) -> ReceiptChain {
        self.receipts.chain
    }

    pub(crate) fn close(&mut self, code: CloseCode, step: &mut Step<'_, '_>) {
        for route in &mut self.routes {
            route.close(code, step);
        }
    }

    fn on_link(
        &mut self,
        link: LinkId,
        step: &mut Step<'_, '_>,
        take: impl FnOnce(&mut Route, &mut Step<'_, '_>) -> RouteNews,
    ) -> Heard {
        let mut routes = self.routes.iter_mut();
        let Some(route) = routes.find(|route| route.is_on(link)) else {
            return Heard::default();
        };
        let news = take(route, step);
        self.take_news(news, step)
    }

    fn take_news(&mut self, news: RouteNews, step: &mut Step<'_, '_>) -> Heard {
        let mut heard = Heard {
            hellos: news.hellos,
            is_aborted: news.is_aborted || news.is_unpaired,
            misbehaved: news.misbehaved,
            ..Heard::default()
        };
        for message in news.messages {
            match self.asks.receive(&message) {
                Arrival::NotAsked => {}
                Arrival::Ack(response) => {
                    if let Some(ResponseBody::Ack(ack)) = response.body {
                        heard.acks.push(ack);
                    }
                }
                Arrival::Final(received) => {
                    for route in &mut self.routes {
                        route.forget(&received.response.id);
                    }
                    heard.answers.push(received);
                }
                Arrival::Misbehaved(error) => {
                    heard.misbehaved = Some(format!("its answer is no answer: {error}"));
                }
            }
        }
        self.pump(step);
        heard
    }
}

impl Heard {
    fn join(&mut self, other: Self) {
        self.acks.extend(other.acks);
        self.answers.extend(other.answers);
        self.hellos.extend(other.hellos);
        self.is_aborted |= other.is_aborted;
        self.misbehaved = self.misbehaved.take().or(other.misbehaved);
    }
}
