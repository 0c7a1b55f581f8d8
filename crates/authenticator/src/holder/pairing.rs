//! An offer that is being answered: from the link to the stored pairing.
//!
//! **Invariant**: nothing is stored before the holder said yes and the
//! workstation confirmed; in every other outcome the keys made for it, its
//! one-time secret and its mailbox are gone (`spec/pairing.md` section 1).

use std::sync::Arc;

use keystead_channel::curve::{CloseCode, KeyPair};
use keystead_channel::mailbox::{ConnId, Mailbox, MailboxDirection};
use keystead_channel::pairing::{Answered, Approved, Offer, PairError, Scanned};
use keystead_core::{AckResponse, Name, Outcome, PairingId, RequestId, ResponseBody, Secret};
use keystead_transport::{LinkId, NetAction, RelayUrl};
use keystead_vault::ReceiptKey;

use super::channels::Mailboxes;
use super::event::Caller;
use super::peer::Peer;
use super::pending::Ticket;
use super::{Holder, Step};
use crate::control::Reply;
use crate::entry::Entry;
use crate::pairing_file::StoredPairing;

/// The offer that is being answered.
pub(super) struct Attempt {
    pub(super) peer: PairingId,
    pub(super) caller: Caller,
    /// The holder takes the code as compared.
    yes: bool,
    pub(super) state: State,
    /// The offer's: from which its mailboxes are derived.
    secret: Secret<16>,
    hello: Vec<u8>,
    /// The hello as an item: the same bytes each time.
    hello_item: Option<Vec<u8>>,
    dials: Vec<Dial>,
    /// What the me request was acked with: its repeats are, until the attempt ends.
    acked: Option<(RequestId, AckResponse)>,
}

/// One of the offer's addresses.
struct Dial {
    address: String,
    link: Option<LinkId>,
}

pub(super) enum State {
    /// Hellos go out.
    Scanned(Scanned),
    /// The code is being compared.
    Answered {
        answered: Answered,
        nonce_c: [u8; 16],
        ticket: Ticket,
    },
    /// The workstation is to confirm.
    Approved(Approved),
    /// Stored; the offer's mailbox is read a little longer.
    Stored { until_ms: u64 },
    /// Between two states, and after the last.
    Over,
}

impl Attempt {
    pub(super) fn wake_ms(&self) -> u64 {
        match &self.state {
            State::Scanned(scanned) => scanned.wake_ms(),
            State::Answered { answered, .. } => answered.expires_ms(),
            State::Approved(approved) => approved.gives_up_ms(),
            State::Stored { until_ms } => *until_ms,
            State::Over => 0,
        }
    }

    /// The mailbox that we read.
    pub(super) fn inbox(&self) -> Option<Mailbox> {
        let is_over = matches!(self.state, State::Over);
        (!is_over).then(|| Mailbox::of_offer(&self.secret, MailboxDirection::ClientToServer))
    }

    /// The mailbox that the workstation reads.
    pub(super) fn outbox(&self) -> Option<Mailbox> {
        Some(Mailbox::of_offer(
            &self.secret,
            MailboxDirection::ServerToClient,
        ))
    }

    /// What an ack says while the code is being compared.
    pub(super) fn ack(&self, own_name: &Name) -> Option<AckResponse> {
        match &self.state {
            State::Answered {
                answered, nonce_c, ..
            } => answered.ack(nonce_c, own_name.clone()).ok(),
            State::Scanned(_) | State::Approved(_) | State::Stored { .. } | State::Over => None,
        }
    }

    /// What a request was acked with.
    pub(super) fn acked(&self, id: &RequestId) -> Option<&AckResponse> {
        let (acked, ack) = self.acked.as_ref()?;
        (acked == id).then_some(ack)
    }

    /// The me request that waits for the holder.
    pub(super) fn ticket_mut(&mut self) -> Option<&mut Ticket> {
        match &mut self.state {
            State::Answered { ticket, .. } => Some(ticket),
            State::Scanned(_) | State::Approved(_) | State::Stored { .. } | State::Over => None,
        }
    }

    /// Whether another offer must wait.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, State::Stored { .. } | State::Over)
    }
}

impl Holder {
    /// Answers an offer: says hello on every way it names.
    pub(super) fn begin_pairing(
        &mut self,
        caller: Caller,
        offer: Offer,
        yes: bool,
        step: &mut Step<'_, '_>,
    ) -> Result<(), String> {
        let relay = match offer.relay().map(|it| it.as_str().parse::<RelayUrl>()) {
            None => None,
            Some(Ok(relay)) => Some(relay),
            Some(Err(error)) => return Err(error.to_string()),
        };
        let dials = offer.addresses().iter();
        let dials = dials
            .map(|it| Dial {
                address: it.to_string(),
                link: None,
            })
            .collect();
        let secret = Secret::fill(|to| to.copy_from_slice(offer.secret().expose()));
        let workstation = offer.name().numbered(|name| {
            let mut others = self.peers.values().map(|it| &it.stored);
            !others.any(|it| it.revoked_unix_s.is_none() && it.workstation == *name)
        });
        let scanned = Scanned::answer(offer, step.now.mono_ms, step.io.rng);
        let scanned = scanned.map_err(|error| error.to_string())?;
        let receipt_key = ReceiptKey::generate(step.io.rng).map_err(|error| error.to_string())?;
        let (own, client) = scanned.channel_keys();
        let own_secret = Secret::fill(|to| to.copy_from_slice(own.secret().expose()));
        let stored = StoredPairing {
            workstation,
            client,
            keys: Arc::new(KeyPair::from_secret(own_secret)),
            pair_key: None,
            receipt_key,
            relay,
            made_unix_s: step.now.unix_s,
            revoked_unix_s: None,
            used: false,
        };
        let peer = stored.id();
        let hello = scanned.hello().to_vec();
        self.peers.insert(peer, Peer::new(stored));
        let state = State::Scanned(scanned);
        let hello_item = None;
        self.attempt = Some(Attempt {
            peer,
            caller,
            yes,
            state,
            secret,
            hello,
            hello_item,
            dials,
            acked: None,
        });
        self.renew_listener(step);
        self.read_mailboxes(step);
        self.say_hello(step);
        Ok(())
    }

    /// Says hello wherever nobody has been reached: the same bytes, conn and number each time.
    fn say_hello(&mut self, step: &mut Step<'_, '_>) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&attempt.peer) else {
            return;
        };
        if let (Some(relay), Some(inbox), Some(outbox)) =
            (&peer.stored.relay, attempt.inbox(), attempt.outbox())
        {
            if attempt.hello_item.is_none() {
                let conn: ConnId = peer.conns.open(inbox.id(), step.io.rng);
                attempt.hello_item = peer.conns.send(conn, &attempt.hello);
            }
            if let Some(item) = &attempt.hello_item {
                step.net(NetAction::Post {
                    relay: relay.clone(),
                    mailbox: outbox.id().0,
                    write_token: *outbox.write_token(),
                    item: item.clone(),
                });
            }
        }
        for dial in attempt.dials.iter_mut().filter(|it| it.link.is_none()) {
            let link = LinkId(self.link_next);
            self.link_next = self.link_next.saturating_add(1);
            dial.link = Some(link);
            step.net(NetAction::Dial {
                link,
                address: dial.address.clone().into(),
            });
        }
    }

    pub(super) fn on_dialled(&mut self, link: LinkId, step: &mut Step<'_, '_>) {
        let attempt = self
            .attempt
            .as_ref()
            .filter(|it| matches!(it.state, State::Scanned(_)));
        let Some(attempt) = attempt else {
            return step.net(NetAction::Close { link });
        };
        let bytes = attempt.hello.clone();
        self.start_tcp(link, None, step);
        step.net(NetAction::Send { link, bytes });
    }

    pub(super) fn on_dial_failed(&mut self, link: LinkId) {
        let dials = self.attempt.iter_mut().flat_map(|it| it.dials.iter_mut());
        // Dialled again with the next hello.
        dials
            .filter(|it| it.link == Some(link))
            .for_each(|it| it.link = None);
    }

    /// The first me request of an offer, or another one.
    pub(super) fn on_pairing_me(
        &mut self,
        ticket: Ticket,
        nonce_c: [u8; 16],
        step: &mut Step<'_, '_>,
    ) {
        let attempt = self.attempt.as_mut().filter(|it| it.peer == ticket.peer);
        let Some(attempt) = attempt else {
            return self.refuse(&ticket, Outcome::Refuse, "no offer is being answered", step);
        };
        match std::mem::replace(&mut attempt.state, State::Over) {
            State::Scanned(scanned) => {
                let answered = scanned.receive_me(step.now.mono_ms, nonce_c);
                self.ask_for_code(answered, nonce_c, ticket, step);
            }
            State::Answered {
                nonce_c: first,
                answered,
                ticket: waiting,
            } => {
                let is_same = first == nonce_c;
                attempt.state = State::Answered {
                    nonce_c: first,
                    answered,
                    ticket: waiting,
                };
                self.refuse(&ticket, Outcome::Refuse, "one me request a pairing", step);
                if !is_same {
                    self.fail_attempt(&PairError::NonceChanged.to_string(), step);
                }
            }
            unchanged @ (State::Approved(_) | State::Stored { .. } | State::Over) => {
                attempt.state = unchanged;
                self.refuse(&ticket, Outcome::Refuse, "one me request a pairing", step);
            }
        }
    }

    fn ask_for_code(
        &mut self,
        answered: Answered,
        nonce_c: [u8; 16],
        ticket: Ticket,
        step: &mut Step<'_, '_>,
    ) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        let code = answered.code().to_string();
        let workstation = answered.workstation().to_string();
        let left_ms = answered.expires_ms().saturating_sub(step.now.mono_ms);
        let (caller, yes) = (attempt.caller, attempt.yes);
        attempt.state = State::Answered {
            answered,
            nonce_c,
            ticket: ticket.clone(),
        };
        attempt.acked = attempt.ack(self.keys.name()).map(|ack| (ticket.id, ack));
        self.ack(&ticket, step);
        if yes {
            let line = format!("code {code}, not compared: --yes was given");
            step.reply(caller, Reply::Say { line });
            return self.on_code_compared(caller, true, step);
        }
        step.reply(
            caller,
            Reply::Code {
                code,
                workstation,
                expires_in_s: left_ms / 1_000,
            },
        );
    }

    /// The holder compared the codes.
    pub(super) fn on_code_compared(&mut self, caller: Caller, same: bool, step: &mut Step<'_, '_>) {
        let attempt = self.attempt.as_mut().filter(|it| it.caller == caller);
        let Some(attempt) = attempt else {
            return step.reply(caller, no_attempt());
        };
        let state = std::mem::replace(&mut attempt.state, State::Over);
        let State::Answered {
            answered, ticket, ..
        } = state
        else {
            attempt.state = state;
            return;
        };
        let code = answered.code().to_string();
        let workstation = answered.workstation().clone();
        let mut entry = Entry {
            unix_s: step.now.unix_s,
            code: Some(code),
            ..Entry::default()
        };
        if !same {
            entry.reason = Some("the holder saw another code".to_owned());
            self.finish(&ticket, Outcome::Refuse, None, entry, step);
            return self.fail_attempt("the codes were not the same", step);
        }
        let approved = match answered.approve(step.now.mono_ms) {
            Ok(approved) => approved,
            Err(error) => return self.fail_attempt(&error.to_string(), step),
        };
        attempt.state = State::Approved(approved);
        let body = self.me_response(&ticket.peer).map(ResponseBody::Me);
        if self.finish(&ticket, Outcome::Approve, body, entry, step) != Outcome::Approve {
            return self.fail_attempt("the log cannot be written", step);
        }
        let line = format!("waiting for the yes at {workstation}");
        step.reply(caller, Reply::Say { line });
    }

    /// The workstation took its me request back.
    pub(super) fn withdraw_pairing(
        &mut self,
        peer: &PairingId,
        target: &RequestId,
        step: &mut Step<'_, '_>,
    ) {
        let attempt = self.attempt.as_mut().filter(|it| it.peer == *peer);
        let ticket = attempt
            .and_then(|it| it.ticket_mut())
            .filter(|it| it.id == *target);
        let Some(ticket) = ticket.cloned() else {
            return;
        };
        self.refuse(&ticket, Outcome::Withdraw, "", step);
        self.fail_attempt("the workstation took it back", step);
    }

    /// The workstation closed a channel of the pairing that is being made.
    pub(super) fn on_pairing_channel_closed(
        &mut self,
        peer: &PairingId,
        code: CloseCode,
        step: &mut Step<'_, '_>,
    ) {
        let attempt = self.attempt.as_ref().filter(|it| it.peer == *peer);
        let Some(attempt) = attempt else { return };
        match (&attempt.state, code) {
            (State::Stored { .. }, CloseCode::Done) => self.end_attempt(step),
            // It aborts before it has stored anything: nothing stays here either.
            (State::Stored { .. }, CloseCode::PairingAborted) => self.take_back(step),
            (State::Stored { .. }, _) | (_, CloseCode::Done | CloseCode::GoingAway) => {}
            (_, CloseCode::PairingAborted | CloseCode::BrokenRules | CloseCode::Unpaired) => {
                self.fail_attempt("the workstation ended it: refused there, or another authenticator answered the same offer", step);
            }
        }
    }

    pub(super) fn tick_attempt(&mut self, step: &mut Step<'_, '_>) {
        let now_ms = step.now.mono_ms;
        let Some(attempt) = self.attempt.as_mut().filter(|it| now_ms >= it.wake_ms()) else {
            return;
        };
        match &mut attempt.state {
            State::Scanned(scanned) => match scanned.repeat(now_ms).map(|it| it.is_some()) {
                Ok(true) => self.say_hello(step),
                Ok(false) => {}
                Err(error) => self.fail_attempt(&error.to_string(), step),
            },
            State::Answered { ticket, .. } => {
                let ticket = ticket.clone();
                self.refuse(
                    &ticket,
                    Outcome::Expire,
                    "nobody compared the code in time",
                    step,
                );
                self.fail_attempt(&PairError::CodeExpired.to_string(), step);
            }
            State::Approved(_) => self.fail_attempt(&PairError::ConfirmExpired.to_string(), step),
            State::Stored { .. } | State::Over => self.end_attempt(step),
        }
    }

    /// The command that began it is gone.
    pub(super) fn on_gone(&mut self, caller: Caller, step: &mut Step<'_, '_>) {
        if self
            .attempt
            .as_ref()
            .is_some_and(|it| it.caller == caller && it.is_open())
        {
            self.fail_attempt("it was given up here", step);
        }
    }

    /// It comes to nothing: nothing of it stays.
    pub(super) fn fail_attempt(&mut self, why: &str, step: &mut Step<'_, '_>) {
        let Some(attempt) = &self.attempt else { return };
        if matches!(attempt.state, State::Stored { .. }) {
            return self.end_attempt(step);
        }
        let (peer, caller) = (attempt.peer, attempt.caller);
        let reply = Reply::failed(
            format!("pairing failed: {why}"),
            "run keystead pair again and use its new code",
        );
        step.reply(caller, reply);
        self.drop_channels_of(&peer, CloseCode::PairingAborted, step);
        self.end_attempt(step);
        self.peers.remove(&peer);
        self.renew_listener(step);
        self.read_mailboxes(step);
    }

    /// The offer's secret and mailbox die; a stored pairing lives on.
    pub(super) fn end_attempt(&mut self, step: &mut Step<'_, '_>) {
        let Some(mut attempt) = self.attempt.take() else {
            return;
        };
        // Said now, not when it was stored: until its Close the workstation may still abort.
        if matches!(attempt.state, State::Stored { .. }) {
            let line = format!("paired with {}", self.name_of(&attempt.peer));
            step.reply(attempt.caller, Reply::done(line));
        }
        attempt.state = State::Over;
        self.delete_mailboxes(&attempt.peer, Mailboxes::Offer, step);
        for link in attempt.dials.iter().filter_map(|it| it.link) {
            if !self.has_channel(link) {
                step.net(NetAction::Close { link });
            }
        }
        self.read_mailboxes(step);
    }
}

fn no_attempt() -> Reply {
    Reply::failed(
        "no pairing is under way here",
        "keystead-authenticator pair LINK",
    )
}
