//! From one stage of a pairing to the next.
//!
//! Invariant: each stage consumes the one before; what fails on the way ends
//! the attempt with Close 4.

use std::sync::Arc;

use keystead_channel::curve::CloseCode;
use keystead_channel::mailbox::MailboxDirection;
use keystead_channel::pairing::{
    LocalAddress, Offered, OtherHello, PairError as Protocol, Receive, RelayUrl as OfferRelay,
};
use keystead_channel::wire::Received;
use keystead_core::{AckResponse, Kind, MeResponse, Name, Outcome, ResponseBody};
use keystead_transport::RelayUrl;

use super::door::Door;
use super::talk::{Heard, Talk};
use super::{Attempt, Ended, Going, HelloFrom, NewPairing, Stage};
use crate::me::ways;
use crate::record::{Record, Secrets};
use crate::step::Step;
use crate::{PairError, PairingProgress};

impl Attempt {
    /// Makes the offer once it is known where we listen.
    pub(super) fn offer_when_ready(&mut self, step: &mut Step<'_, '_>) -> Going {
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
    pub(super) fn take_hello(
        &mut self,
        frame: &[u8],
        from: HelloFrom,
        step: &mut Step<'_, '_>,
    ) -> Going {
        let verdict = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Offered(offered) => return self.greet(*offered, frame, from, step),
            other @ (Stage::Listening { .. }
            | Stage::Greeted { .. }
            | Stage::Compared { .. }
            | Stage::Confirming { .. }
            | Stage::Over) => {
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

    pub(super) fn judge(&self, frame: &[u8]) -> OtherHello {
        match &self.stage {
            Stage::Greeted { pairing, .. } => pairing.other_hello(frame),
            Stage::Compared { pairing, .. } => pairing.other_hello(frame),
            Stage::Confirming { pairing, .. } => pairing.other_hello(frame),
            Stage::Listening { .. } | Stage::Offered(_) | Stage::Over => OtherHello::Invalid,
        }
    }

    /// The first valid hello takes the offer; the channel starts at once.
    pub(super) fn greet(
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

    pub(super) fn take_heard(&mut self, heard: Heard, step: &mut Step<'_, '_>) -> Going {
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

    pub(super) fn take_ack(&mut self, ack: AckResponse, step: &mut Step<'_, '_>) -> Going {
        let (pairing, talk) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Greeted { pairing, talk, .. } => (pairing, talk),
            // Acked anew: the code stands.
            other @ (Stage::Listening { .. }
            | Stage::Offered(_)
            | Stage::Compared { .. }
            | Stage::Confirming { .. }
            | Stage::Over) => {
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

    pub(super) fn take_answer(&mut self, received: Received, step: &mut Step<'_, '_>) -> Going {
        let outcome = received.response.outcome;
        if outcome == Outcome::Refuse {
            return self.fail(PairError::Refused, step);
        }
        if outcome != Outcome::Approve {
            return self.fail(PairError::Outcome { outcome }, step);
        }
        match (&mut self.stage, &received.response.body) {
            (Stage::Compared { pairing, talk }, Some(ResponseBody::Me(me))) => {
                if let Err(what) = talk.take_me_receipt(&received, &me.receipt_key, step) {
                    return self.fail(PairError::PeerMisbehaved { what }, step);
                }
                pairing.confirm_there(me.clone());
                self.go_on(step)
            }
            (Stage::Confirming { talk, .. }, Some(ResponseBody::Empty)) => {
                match talk.take_receipt(Kind::Confirm, &received, step) {
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
    pub(super) fn go_on(&mut self, step: &mut Step<'_, '_>) -> Going {
        let (pairing, mut talk) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Compared { pairing, talk } => (pairing, talk),
            other @ (Stage::Listening { .. }
            | Stage::Offered(_)
            | Stage::Greeted { .. }
            | Stage::Confirming { .. }
            | Stage::Over) => {
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
    pub(super) fn finish(&mut self, step: &mut Step<'_, '_>) -> Going {
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
            pair_key: Arc::new(paired.pair_key),
        };
        let answered = talk.take_answered();
        Some(Ended::Paired(Box::new(NewPairing {
            record,
            secrets,
            answered,
        })))
    }

    pub(super) fn fail(&mut self, error: PairError, step: &mut Step<'_, '_>) -> Going {
        if let Some(talk) = self.talk() {
            talk.close(CloseCode::PairingAborted, step);
        }
        self.stage = Stage::Over;
        self.door.close(self.relay.as_ref(), step);
        Some(Ended::Failed(error))
    }

    pub(super) fn fail_talking(
        &mut self,
        mut talk: Talk,
        error: PairError,
        step: &mut Step<'_, '_>,
    ) -> Going {
        talk.close(CloseCode::PairingAborted, step);
        self.fail(error, step)
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
        wallets: me.wallets,
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

/// How long the authenticator's nonce may take. Why: as long as a handshake over a relay.
const ACK_MS: u64 = 60_000;

/// Wait of the me request. Why: both persons have 2 minutes, and the ack came before.
const ME_WAIT_S: u16 = 180;

/// Wait of the confirm request (`spec/pairing.md` section 2.5).
const CONFIRM_WAIT_S: u16 = 60;
