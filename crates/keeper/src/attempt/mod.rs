//! A pairing under way (`spec/pairing.md` section 1).
//!
//! Invariant: nothing is stored before the authenticator has answered the
//! confirm request, and whatever the outcome, the one-time secret, the nonces
//! and the offer's mailbox end with the attempt.

mod door;
mod talk;

use std::net::SocketAddr;

use keystead_channel::curve::CloseCode;
use keystead_channel::mailbox::{Item, ItemConn, MailboxDirection};
use keystead_channel::pairing::{
    Compared, Confirming, Greeted, LocalAddress, Offered, OtherHello, PairError as Protocol,
    Receive, RelayUrl as OfferRelay,
};
use keystead_core::{AckResponse, MeResponse, Name, Outcome, Response, ResponseBody};
use keystead_transport::{LinkId, RelayUrl};

use crate::channel::Carriage;
use crate::me::ways;
use crate::record::{Record, Secrets};
use crate::step::Step;
use crate::{PairError, PairingProgress};

use door::Door;
use talk::{Heard, Talk};

/// One attempt, from the offer to its end.
pub(crate) struct Attempt {
    relay: Option<RelayUrl>,
    door: Door,
    stage: Stage,
}

/// What is waited for.
enum Stage {
    /// The addresses that the offer shall name.
    Listening { own_name: Name, until_ms: u64 },
    /// A hello.
    Offered(Box<Offered>),
    /// The authenticator's nonce.
    Greeted {
        pairing: Box<Greeted>,
        talk: Box<Talk>,
        until_ms: u64,
    },
    /// Both persons.
    Compared {
        pairing: Box<Compared>,
        talk: Box<Talk>,
    },
    /// The authenticator, which stores the pairing first.
    Confirming {
        pairing: Box<Confirming>,
        talk: Box<Talk>,
    },
    /// Nothing more.
    Over,
}

/// How an attempt ended.
pub(crate) enum Ended {
    /// To be stored.
    Paired(Box<(Record, Secrets)>),
    /// Nothing came of it.
    Failed(PairError),
}

/// None while it goes on.
pub(crate) type Going = Option<Ended>;

/// Where a hello came from, to go on there.
pub(crate) enum HelloFrom {
    Conn(RelayUrl, ItemConn),
    Link(LinkId),
}

impl Attempt {
    /// Listens, then offers.
    pub(crate) fn start(
        own_name: Name,
        relay: Option<RelayUrl>,
        addresses: &[SocketAddr],
        step: &mut Step<'_, '_>,
    ) -> (Self, Going) {
        let door = Door::open(addresses, step);
        let until_ms = step.now_ms().saturating_add(LISTEN_MS);
        let mut attempt = Self {
            relay,
            door,
            stage: Stage::Listening { own_name, until_ms },
        };
        let going = attempt.offer_when_ready(step);
        (attempt, going)
    }

    pub(crate) fn relay(&self) -> Option<&RelayUrl> {
        self.relay.as_ref()
    }

    pub(crate) fn listening(
        &mut self,
        asked: SocketAddr,
        address: Result<SocketAddr, String>,
        step: &mut Step<'_, '_>,
    ) -> Going {
        self.door.listening(asked, address);
        self.offer_when_ready(step)
    }

    pub(crate) fn accepted(&mut self, link: LinkId, step: &mut Step<'_, '_>) {
        self.door.accepted(link, step);
    }

    pub(crate) fn take_bytes(
        &mut self,
        link: LinkId,
        bytes: &[u8],
        step: &mut Step<'_, '_>,
    ) -> Going {
        if let Some(talk) = self.talk()
            && talk.is_on(link)
        {
            let heard = talk.take_bytes(link, bytes, step);
            return self.take_heard(heard, step);
        }
        let (hello, rest) = self.door.take_bytes(link, bytes, step)?;
        let going = self.take_hello(&hello, HelloFrom::Link(link), step);
        if going.is_some() || rest.is_empty() {
            return going;
        }
        self.take_bytes(link, &rest, step)
    }

    pub(crate) fn link_closed(&mut self, link: LinkId, step: &mut Step<'_, '_>) -> Going {
        self.door.closed(link);
        let heard = self.talk()?.link_closed(link, step);
        self.take_heard(heard, step)
    }

    /// Takes an item, if the mailbox is the offer's.
    pub(crate) fn take_item(
        &mut self,
        relay: &RelayUrl,
        mailbox: &[u8; 16],
        item: &[u8],
        step: &mut Step<'_, '_>,
    ) -> Going {
        if self.relay.as_ref() != Some(relay) || !self.door.reads(mailbox) {
            return None;
        }
        // What is no item changes nothing.
        let item = Item::decode(item).ok()?;
        if let Some(talk) = self.talk()
            && talk.has_conn(&item)
        {
            let heard = talk.take_item(&item, step);
            return self.take_heard(heard, step);
        }
        let is_first = item.seq == 0 && item.frame_type() == Some(HELLO_TYPE);
        if !is_first {
            return None;
        }
        // The agent's Hello goes on in the hello's conn, behind its number 0.
        let mut conn = ItemConn::new(item.conn);
        conn.receive(step.now_ms(), item.seq, item.frame);
        let from = HelloFrom::Conn(relay.clone(), conn);
        self.take_hello(item.frame, from, step)
    }

    pub(crate) fn relay_up(&mut self, step: &mut Step<'_, '_>) {
        if let Some(talk) = self.talk() {
            talk.relay_up(step);
        }
    }

    /// The person here says that the codes are the same.
    pub(crate) fn confirm(&mut self, step: &mut Step<'_, '_>) -> Going {
        if let Stage::Compared { pairing, .. } = &mut self.stage {
            pairing.confirm_here();
            if pairing.waits_for_holder() {
                step.pairing(PairingProgress::WaitingForHolder);
            }
        }
        self.go_on(step)
    }

    /// The person gives up, or another attempt begins.
    pub(crate) fn cancel(&mut self, step: &mut Step<'_, '_>) -> Going {
        self.fail(PairError::Cancelled, step)
    }

    /// What the time asks for.
    pub(crate) fn tick(&mut self, step: &mut Step<'_, '_>) -> Going {
        let now_ms = step.now_ms();
        self.door.tick(step);
        match &self.stage {
            Stage::Listening { .. } => return self.offer_when_ready(step),
            Stage::Offered(offered) if now_ms >= offered.expires_ms() => {
                return self.fail(Protocol::OfferExpired.into(), step);
            }
            Stage::Greeted { until_ms, .. } if now_ms >= *until_ms => {
                return self.fail(PairError::Silent, step);
            }
            Stage::Confirming { pairing, .. } if now_ms >= pairing.gives_up_ms() => {
                return self.fail(Protocol::ConfirmExpired.into(), step);
            }
            _ => {}
        }
        if let Some(talk) = self.talk() {
            let heard = talk.tick(step);
            let going = self.take_heard(heard, step);
            if going.is_some() {
                return going;
            }
        }
        self.go_on(step)
    }

    /// When [`Attempt::tick`] is due.
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        let own = match &self.stage {
            Stage::Listening { until_ms, .. } | Stage::Greeted { until_ms, .. } => Some(*until_ms),
            Stage::Offered(offered) => Some(offered.expires_ms()),
            Stage::Compared { pairing, .. } => Some(pairing.expires_ms()),
            Stage::Confirming { pairing, .. } => Some(pairing.gives_up_ms()),
            Stage::Over => None,
        };
        let talk = match &self.stage {
            Stage::Greeted { talk, .. }
            | Stage::Compared { talk, .. }
            | Stage::Confirming { talk, .. } => talk.wake_ms(),
            Stage::Listening { .. } | Stage::Offered(_) | Stage::Over => None,
        };
        own.into_iter().chain(talk).chain(self.door.wake_ms()).min()
    }

    fn talk(&mut self) -> Option<&mut Talk> {
        match &mut self.stage {
            Stage::Greeted { talk, .. }
            | Stage::Compared { talk, .. }
            | Stage::Confirming { talk, .. } => Some(talk),
            Stage::Listening { .. } | Stage::Offered(_) | Stage::Over => None,
        }
    }

    /// Makes the offer once it is known where we listen.
    fn offer_when_ready(&mut self, step: &mut Step<'_, '_>) -> Going {
        let Stage::Listening { own_name, until_ms } = &self.stage else {
            return None;
        };
        if !self.door.is_ready() && step.now_ms() < *until_ms {
            return None;
        }
        let addresses = self.door.addresses();
        if self.relay.is_none() && addresses.is_empty() {
            let reason = self.door.trouble();
            return self.fail(PairError::NoAddress { reason }, step);
        }
        let made = make_offer(own_name, self.relay.as_ref(), &addresses, step);
        let offered = match made {
            Ok(offered) => offered,
            Err(error) => return self.fail(error, step),
        };
        if let Some(relay) = &self.relay {
            let inbox = offered.mailbox(MailboxDirection::ServerToClient);
            self.door.read(relay, &inbox, step);
        }
        let offer = offered.offer();
        step.pairing(PairingProgress::Offer {
            link: offer.link(),
            qr_text: offer.qr_text().ok(),
            relay: self.relay.clone(),
            addresses,
            expires_in_ms: offered.expires_ms().saturating_sub(step.now_ms()),
        });
        self.stage = Stage::Offered(Box::new(offered));
        None
    }

    /// A frame that may be a pairing hello.
    fn take_hello(&mut self, frame: &[u8], from: HelloFrom, step: &mut Step<'_, '_>) -> Going {
        let verdict = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Offered(offered) => return self.greet(*offered, frame, from, step),
            other => {
                self.stage = other;
                self.judge(frame)
            }
        };
        match (verdict, from) {
            (OtherHello::Race, _) => return self.fail(Protocol::Race.into(), step),
            (OtherHello::Repeat, HelloFrom::Link(link)) => {
                if let Some(talk) = self.talk() {
                    talk.keep_accepted(link, step);
                }
            }
            (OtherHello::Invalid, HelloFrom::Link(link)) => Door::hang_up(link, step),
            (OtherHello::Repeat | OtherHello::Invalid, HelloFrom::Conn(..)) => {}
        }
        None
    }

    fn judge(&self, frame: &[u8]) -> OtherHello {
        match &self.stage {
            Stage::Greeted { pairing, .. } => pairing.other_hello(frame),
            Stage::Compared { pairing, .. } => pairing.other_hello(frame),
            Stage::Confirming { pairing, .. } => pairing.other_hello(frame),
            Stage::Listening { .. } | Stage::Offered(_) | Stage::Over => OtherHello::Invalid,
        }
    }

    /// The first valid hello takes the offer; the channel starts at once.
    fn greet(
        &mut self,
        offered: Offered,
        frame: &[u8],
        from: HelloFrom,
        step: &mut Step<'_, '_>,
    ) -> Going {
        let outbox = offered.mailbox(MailboxDirection::ClientToServer);
        match offered.receive(step.now_ms(), frame, step.io.rng) {
            Receive::Ended(error) => return self.fail(error.into(), step),
            Receive::Ignored(offered, error) => {
                tracing::debug!(%error, "hello ignored");
                self.stage = Stage::Offered(Box::new(offered));
                if let HelloFrom::Link(link) = from {
                    Door::hang_up(link, step);
                }
            }
            Receive::Greeted(pairing) => {
                step.pairing(PairingProgress::HelloSeen);
                let mut talk = Talk::start(pairing.channel_keys(), self.relay.as_ref(), outbox);
                talk.open(pairing.request(), ME_WAIT_S, step);
                talk.begin(from, step);
                self.stage = Stage::Greeted {
                    pairing: Box::new(pairing),
                    talk: Box::new(talk),
                    until_ms: step.now_ms().saturating_add(ACK_MS),
                };
            }
        }
        None
    }

    fn take_heard(&mut self, heard: Heard, step: &mut Step<'_, '_>) -> Going {
        for hello in &heard.hellos {
            if self.judge(hello) == OtherHello::Race {
                return self.fail(Protocol::Race.into(), step);
            }
        }
        for ack in heard.acks {
            let going = self.take_ack(ack, step);
            if going.is_some() {
                return going;
            }
        }
        for answer in heard.answers {
            let going = self.take_answer(answer, step);
            if going.is_some() {
                return going;
            }
        }
        if let Some(what) = heard.misbehaved {
            return self.fail(PairError::PeerMisbehaved { what }, step);
        }
        if heard.is_aborted {
            return self.fail(PairError::Aborted, step);
        }
        None
    }

    fn take_ack(&mut self, ack: AckResponse, step: &mut Step<'_, '_>) -> Going {
        let (pairing, talk) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Greeted { pairing, talk, .. } => (pairing, talk),
            // Acked anew: the code stands.
            other => {
                self.stage = other;
                return None;
            }
        };
        let compared = match ack.pairing {
            Some((nonce_s, name)) => pairing
                .receive_ack(step.now_ms(), &nonce_s, name)
                .map_err(PairError::from),
            None => Err(misbehaved("its ack has no nonce")),
        };
        let compared = match compared {
            Ok(compared) => compared,
            Err(error) => {
                return self.fail_talking(*talk, error, step);
            }
        };
        step.pairing(PairingProgress::Code {
            code: compared.code(),
            authenticator: compared.authenticator().clone(),
            expires_in_ms: compared.expires_ms().saturating_sub(step.now_ms()),
        });
        self.stage = Stage::Compared {
            pairing: Box::new(compared),
            talk,
        };
        None
    }

    fn take_answer(&mut self, response: Response, step: &mut Step<'_, '_>) -> Going {
        match response.outcome {
            Outcome::Approve => {}
            Outcome::Refuse => return self.fail(PairError::Refused, step),
            outcome => return self.fail(PairError::Outcome { outcome }, step),
        }
        match (&mut self.stage, &response.body) {
            (Stage::Compared { pairing, talk }, Some(ResponseBody::Me(me))) => {
                if let Err(what) = talk.take_receipt(&response, &me.receipt_key, step) {
                    return self.fail(PairError::PeerMisbehaved { what }, step);
                }
                pairing.confirm_there(me.clone());
                self.go_on(step)
            }
            (Stage::Confirming { talk, .. }, Some(ResponseBody::Empty)) => {
                match talk.take_own_receipt(&response, step) {
                    Ok(()) => self.finish(step),
                    Err(what) => self.fail(PairError::PeerMisbehaved { what }, step),
                }
            }
            _ => {
                let what = "it answered out of turn".to_owned();
                self.fail(PairError::PeerMisbehaved { what }, step)
            }
        }
    }

    /// Goes on once both persons have said yes.
    fn go_on(&mut self, step: &mut Step<'_, '_>) -> Going {
        let (pairing, mut talk) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Compared { pairing, talk } => (pairing, talk),
            other => {
                self.stage = other;
                return None;
            }
        };
        match pairing.step(step.now_ms(), step.io.rng) {
            Ok(Ok(confirming)) => {
                talk.open(confirming.request(), CONFIRM_WAIT_S, step);
                talk.pump(step);
                self.stage = Stage::Confirming {
                    pairing: Box::new(confirming),
                    talk,
                };
                None
            }
            Ok(Err(waiting)) => {
                self.stage = Stage::Compared {
                    pairing: Box::new(waiting),
                    talk,
                };
                None
            }
            Err(error) => self.fail_talking(*talk, error.into(), step),
        }
    }

    /// The authenticator has stored the pairing.
    fn finish(&mut self, step: &mut Step<'_, '_>) -> Going {
        let Stage::Confirming { pairing, mut talk } =
            std::mem::replace(&mut self.stage, Stage::Over)
        else {
            return None;
        };
        talk.close(CloseCode::Done, step);
        self.door.close(self.relay.as_ref(), step);
        let (paired, me) = pairing.store();
        let record = record_of(me, self.relay.as_ref(), &talk, step.now.unix_s);
        let secrets = Secrets {
            keys: paired.own,
            server: paired.peer,
            pair_key: std::sync::Arc::new(paired.pair_key),
        };
        Some(Ended::Paired(Box::new((record, secrets))))
    }

    fn fail(&mut self, error: PairError, step: &mut Step<'_, '_>) -> Going {
        if let Some(talk) = self.talk() {
            talk.close(CloseCode::PairingAborted, step);
        }
        self.stage = Stage::Over;
        self.door.close(self.relay.as_ref(), step);
        Some(Ended::Failed(error))
    }

    fn fail_talking(&mut self, mut talk: Talk, error: PairError, step: &mut Step<'_, '_>) -> Going {
        talk.close(CloseCode::PairingAborted, step);
        self.fail(error, step)
    }
}

impl HelloFrom {
    /// What the channel starts on.
    fn carriage(self, outbox: crate::channel::Outbox) -> Carriage {
        match self {
            Self::Conn(relay, conn) => Carriage::Items {
                relay,
                conn,
                outbox,
            },
            Self::Link(link) => Carriage::Tcp(link),
        }
    }
}

fn make_offer(
    own_name: &Name,
    relay: Option<&RelayUrl>,
    addresses: &[String],
    step: &mut Step<'_, '_>,
) -> Result<Offered, PairError> {
    let relay = relay.map(|it| OfferRelay::new(it.as_str())).transpose()?;
    let addresses: Result<Vec<LocalAddress>, _> =
        addresses.iter().map(|it| LocalAddress::new(it)).collect();
    let name = own_name.clone();
    let offered = Offered::make(step.now_ms(), name, relay, addresses?, step.io.rng)?;
    Ok(offered)
}

fn record_of(me: MeResponse, relay: Option<&RelayUrl>, talk: &Talk, unix_s: u64) -> Record {
    let (mut relays, addresses) = ways(&me.transports);
    if relays.is_empty() && addresses.is_empty() {
        relays.extend(relay.cloned());
    }
    Record {
        name: me.name.clone(),
        authenticator: me.name,
        keys: me.keys,
        relays,
        addresses,
        receipt_key: me.receipt_key,
        paired_unix_s: unix_s,
        me_unix_s: unix_s,
        is_used: false,
        unpaired_unix_s: None,
        receipts: talk.receipt_chain(),
    }
}

fn misbehaved(what: &str) -> PairError {
    PairError::PeerMisbehaved {
        what: what.to_owned(),
    }
}

/// Type of the pairing hello (`spec/pairing.md` section 1, step 2).
const HELLO_TYPE: u8 = 0x10;

/// How long the addresses may take. Why: to bind is a matter of milliseconds.
const LISTEN_MS: u64 = 2_000;

/// How long the authenticator's nonce may take. Why: as long as a handshake over a relay.
const ACK_MS: u64 = 60_000;

/// Wait of the me request. Why: both persons have 2 minutes, and the ack came before.
const ME_WAIT_S: u16 = 180;

/// Wait of the confirm request (`spec/pairing.md` section 1, step 5).
const CONFIRM_WAIT_S: u16 = 60;
