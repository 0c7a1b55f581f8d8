//! A pairing under way (`spec/pairing.md` section 2).
//!
//! Invariant: nothing is stored before the authenticator has answered the
//! confirm request, and whatever the outcome, the one-time secret, the nonces
//! and the offer's mailbox end with the attempt.

mod door;
mod stages;
mod talk;

use std::net::SocketAddr;

use keystead_channel::mailbox::{Item, ItemConn};
use keystead_channel::pairing::{Compared, Confirming, Greeted, Offered, PairError as Protocol};
use keystead_core::Name;
use keystead_transport::{Address, LinkId, RelayUrl};

use crate::channel::{Carriage, Outbox};
use crate::record::{Record, Secrets};
use crate::step::Step;
use crate::{PairError, PairingProgress};

use door::Door;
use talk::{Answered, Talk};

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
    Paired(Box<NewPairing>),
    /// Nothing came of it.
    Failed(PairError),
}

/// A pairing that the authenticator has stored.
pub(crate) struct NewPairing {
    pub(crate) record: Record,
    pub(crate) secrets: Secrets,
    /// What it answered meanwhile, for the log.
    pub(crate) answered: Vec<Answered>,
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
        asked: &Address<SocketAddr>,
        address: Result<Address<SocketAddr>, String>,
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

    pub(crate) fn relay_is_back(&mut self, step: &mut Step<'_, '_>) {
        if let Some(talk) = self.talk() {
            talk.relay_is_back(step);
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
            Stage::Offered(_)
            | Stage::Greeted { .. }
            | Stage::Compared { .. }
            | Stage::Confirming { .. }
            | Stage::Over => {}
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

    pub(super) fn talk(&mut self) -> Option<&mut Talk> {
        match &mut self.stage {
            Stage::Greeted { talk, .. }
            | Stage::Compared { talk, .. }
            | Stage::Confirming { talk, .. } => Some(talk),
            Stage::Listening { .. } | Stage::Offered(_) | Stage::Over => None,
        }
    }
}

impl HelloFrom {
    /// What the channel starts on.
    fn carriage(self, outbox: Outbox) -> Carriage {
        match self {
            Self::Conn(relay, conn) => Carriage::Items {
                relay,
                conn,
                outbox,
            },
            Self::Link(link) => Carriage::Stream(link),
        }
    }
}

/// Type of the pairing hello (`spec/pairing.md` section 2.2).
const HELLO_TYPE: u8 = 0x10;

/// How long the addresses may take. Why: to bind is a matter of milliseconds.
const LISTEN_MS: u64 = 2_000;
