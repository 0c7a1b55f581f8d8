//! From a message to its one answer.
//!
//! **Invariant**: every request with a readable id is answered, once; the
//! answer leaves in the step that made its log entry durable, or it is `busy`
//! and nothing was signed, made or stored.

use keystead_channel::curve::CloseCode;
use keystead_channel::link::Lateness;
use keystead_channel::link::answers::{IDS_MAX, Verdict};
use keystead_channel::wire::{WireError, decode_request, request_hash};
use keystead_core::{
    AckResponse, Kind, MeResponse, Name, Outcome, PairingId, Request, RequestBody, RequestId,
    ResponseBody, SecretBytes, TransportAddress,
};
use keystead_transport::Address;

use super::channels::ChannelId;
use super::peer::Stage;
use super::pending::{Pending, Ticket, Work};
use super::{Holder, Step};
use crate::entry::Entry;
use crate::words::Asked;

impl Holder {
    pub(super) fn on_message(
        &mut self,
        channel: ChannelId,
        message: &[u8],
        step: &mut Step<'_, '_>,
    ) {
        let Some(peer_id) = self.channels.peer_of(channel) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&peer_id) else {
            return;
        };
        let request = decode_request(message);
        let hash = request_hash(message);
        let (id, wait_s) = match &request {
            Ok(request) => (request.id, request.wait_s),
            Err(WireError { id: Some(id), .. }) => (*id, Request::WAIT_S_MAX),
            Err(WireError { id: None, .. }) => {
                return self.close(channel, CloseCode::BrokenRules, step);
            }
        };
        let ticket = Ticket {
            peer: peer_id,
            id,
            hash,
            kind: request
                .as_ref()
                .map_or("unknown", |it| it.body.kind().as_str()),
            wait_s,
            want_ack: request.as_ref().is_ok_and(|it| it.want_ack),
            channels: vec![channel],
        };
        let now_ms = step.now.mono_ms;
        let verdict = match request.as_ref().map(|it| it.body.kind()) {
            Ok(Kind::Cancel) => peer.answers.arrive_to_cancel(now_ms, id, hash, wait_s),
            _ => peer.answers.arrive(now_ms, id, hash, wait_s),
        };
        match verdict {
            Verdict::Again(mut response) => {
                self.ack_again(&ticket, step);
                let response = SecretBytes::take(&mut response);
                self.send(channel, response.expose(), step);
            }
            Verdict::Join => self.join(&ticket, step),
            Verdict::Expired => {
                self.refuse(
                    &ticket,
                    Outcome::Expire,
                    "answered before; the answer is not kept",
                    step,
                );
            }
            Verdict::Malformed => self.respond(&ticket, Outcome::Malformed, None, None, step),
            Verdict::Busy => {
                self.say_if_full(peer_id, step);
                self.busy(&ticket, step);
            }
            Verdict::New => match request {
                Ok(request) => self.on_request(ticket, request, step),
                Err(error) => self.refuse(&ticket, error.outcome(), &error.to_string(), step),
            },
        }
    }

    fn on_request(&mut self, ticket: Ticket, request: Request, step: &mut Step<'_, '_>) {
        let Some(peer) = self.peers.get_mut(&ticket.peer) else {
            return;
        };
        if peer.is_withdrawn_ahead(&ticket.id) {
            return self.refuse(&ticket, Outcome::Withdraw, "withdrawn before it came", step);
        }
        if self.is_late(&ticket, &request, step) {
            return self.refuse(
                &ticket,
                Outcome::Expire,
                "it was on its way for too long",
                step,
            );
        }
        let stage = self
            .peers
            .get(&ticket.peer)
            .map_or(Stage::Revoked, |it| it.stage());
        if stage == Stage::Paired {
            self.note_use(&ticket.peer, &request.body, step);
        }
        match (stage, request.body) {
            (_, RequestBody::Cancel { target }) => self.on_cancel(&ticket, target, step),
            (
                Stage::Forming,
                RequestBody::Me {
                    nonce_c: Some(nonce_c),
                },
            ) => {
                self.on_pairing_me(ticket, nonce_c, step);
            }
            (Stage::Forming, RequestBody::Confirm { pair_key }) => {
                self.on_confirm(&ticket, pair_key, step);
            }
            (Stage::Forming, _) => {
                self.refuse(
                    &ticket,
                    Outcome::Refuse,
                    "the pairing is not made yet",
                    step,
                );
            }
            (Stage::Paired, body) => self.on_paired(ticket, body, step),
            (Stage::Revoked, _) => self.refuse(&ticket, Outcome::Unpair, "", step),
        }
    }

    /// What a paired workstation asks.
    fn on_paired(&mut self, ticket: Ticket, body: RequestBody, step: &mut Step<'_, '_>) {
        match body {
            RequestBody::Me { nonce_c: None } => self.on_me(&ticket, step),
            RequestBody::Sign(sign) => self.on_sign(ticket, sign, step),
            RequestBody::Decrypt(decrypt) => self.on_decrypt(ticket, decrypt, step),
            RequestBody::PublicKey(asked) => self.on_public_key(&ticket, &asked, step),
            RequestBody::MakeKey(make) => self.on_make_key(ticket, make, step),
            RequestBody::Hosts => {
                let asked = Asked::Hosts(self.seen.count());
                self.question(ticket, asked, Work::Hosts, step);
            }
            RequestBody::Import(import) => self.on_import(ticket, import, step),
            RequestBody::Remove { keys } => self.on_remove(ticket, keys, step),
            RequestBody::ApproveServer(asked) => {
                self.on_approve_server(ticket, asked, step);
            }
            RequestBody::MakeApprovalKey(asked) => {
                self.on_make_approval(ticket, asked, step);
            }
            RequestBody::OpenLocal(asked) => {
                self.on_open_local(ticket, asked, step);
            }
            RequestBody::Unpair => self.on_unpair(&ticket, step),
            RequestBody::Me { .. } | RequestBody::Confirm { .. } => {
                self.refuse(
                    &ticket,
                    Outcome::Refuse,
                    "the pairing is made already",
                    step,
                );
            }
            RequestBody::Cancel { .. } | RequestBody::Lock(_) | _ => {
                self.refuse(&ticket, Outcome::Unsupported, "unknown kind", step);
            }
        }
    }

    /// A workstation that asks for something has stored its pairing; one that ends it,
    /// or still makes it, may not have.
    fn note_use(&mut self, peer: &PairingId, body: &RequestBody, step: &mut Step<'_, '_>) {
        let is_use = matches!(
            body,
            RequestBody::Me { nonce_c: None }
                | RequestBody::Sign(_)
                | RequestBody::Decrypt(_)
                | RequestBody::PublicKey(_)
                | RequestBody::MakeKey(_)
                | RequestBody::Import(_)
                | RequestBody::Remove { .. }
                | RequestBody::Hosts
                | RequestBody::ApproveServer(_)
                | RequestBody::MakeApprovalKey(_)
                | RequestBody::OpenLocal(_)
        );
        let unused = self.peers.get_mut(peer).filter(|it| !it.stored.used);
        if let Some(peer) = unused.filter(|_| is_use) {
            peer.stored.used = true;
            // Only a mark for `status`: the next request tries again.
            peer.stored.used = peer.stored.save(step.io.disk).is_ok();
        }
    }

    /// Whether it came too late; says once a pairing that the clocks differ.
    fn is_late(&mut self, ticket: &Ticket, request: &Request, step: &mut Step<'_, '_>) -> bool {
        let skew = ticket
            .channels
            .first()
            .and_then(|it| self.channels.skew(*it));
        let Some(skew) = skew else { return false };
        let lateness = skew.judge(step.now.mono_ms, request.unix_s, request.wait_s);
        let off_s = skew.to_report_s();
        if let (Some(off_s), Some(peer)) = (off_s, self.peers.get_mut(&ticket.peer))
            && !peer.skew_is_told
        {
            peer.skew_is_told = true;
            let side = if off_s > 0 { "behind" } else { "ahead of" };
            let name = peer.stored.workstation.clone();
            step.say(format!(
                "the clock of {name} is {} s {side} this one",
                off_s.unsigned_abs()
            ));
        }
        lateness == Lateness::Late
    }

    /// Says once an hour that a workstation has asked as often as ids are kept: nothing else shows
    /// why all that it asks is answered busy.
    fn say_if_full(&mut self, peer: PairingId, step: &mut Step<'_, '_>) {
        let now_ms = step.now.mono_ms;
        let Some(peer) = self.peers.get_mut(&peer) else {
            return;
        };
        if let Some(left_ms) = peer.answers.full_for_ms(now_ms)
            && peer.full_is_told_until_ms <= now_ms
        {
            peer.full_is_told_until_ms = now_ms.saturating_add(FULL_TOLD_MS);
            let name = peer.stored.workstation.clone();
            let minutes = left_ms.div_ceil(60_000);
            step.say(format!(
                "{name} has asked {IDS_MAX} times in 24 hours, as often as it may: it is answered \
                 busy for {minutes} minutes more"
            ));
        }
    }

    fn on_me(&mut self, ticket: &Ticket, step: &mut Step<'_, '_>) {
        let Some(body) = self.me_response(&ticket.peer) else {
            return;
        };
        let entry = Entry {
            unix_s: step.now.unix_s,
            ..Entry::default()
        };
        self.finish(
            ticket,
            Outcome::Approve,
            Some(ResponseBody::Me(body)),
            entry,
            step,
        );
    }

    /// Who this is, which keys it has, how it is reached.
    pub(super) fn me_response(&self, peer: &PairingId) -> Option<MeResponse> {
        let peer = self.peers.get(peer)?;
        let relay = peer
            .stored
            .relay
            .iter()
            .map(|it| TransportAddress::Relay(it.to_string()));
        let local = self.addresses().into_iter().filter_map(|it| match it {
            Address::Tcp(address) => Some(TransportAddress::Local(address.to_string())),
            // A path that is no text cannot be told.
            Address::Unix(path) => path
                .to_str()
                .map(|it| TransportAddress::Unix(it.to_owned())),
        });
        Some(MeResponse {
            name: self.keys.name().clone(),
            keys: self.keys.entries().to_vec(),
            transports: relay.chain(local).collect(),
            push_url: None,
            receipt_key: *peer.stored.receipt_key.public(),
            wallets: self.keys.wallets().collect(),
        })
    }

    fn on_cancel(&mut self, ticket: &Ticket, target: RequestId, step: &mut Step<'_, '_>) {
        let Some(peer) = self.peers.get_mut(&ticket.peer) else {
            return;
        };
        if peer.answers.hash(&target).is_none() {
            peer.withdraw_ahead(target);
        }
        let peer_id = ticket.peer;
        let is_target = |it: &Pending| it.ticket.peer == peer_id && it.ticket.id == target;
        self.end_questions(is_target, Outcome::Withdraw, "", step);
        self.withdraw_pairing(&peer_id, &target, step);
        self.finish_empty(ticket, step);
    }

    fn on_unpair(&mut self, ticket: &Ticket, step: &mut Step<'_, '_>) {
        if let Err(error) = self.revoke(&ticket.peer, step) {
            step.say(format!(
                "the end of a pairing could not be written: {error}"
            ));
            return self.busy(ticket, step);
        }
        self.finish_empty(ticket, step);
        let name = self.name_of(&ticket.peer);
        step.say(format!("{name} ended its pairing"));
        self.drop_channels_of(&ticket.peer, CloseCode::Unpaired, step);
    }

    /// Marks a pairing revoked, durably, and ends what waits.
    pub(super) fn revoke(
        &mut self,
        id: &PairingId,
        step: &mut Step<'_, '_>,
    ) -> std::io::Result<()> {
        let Some(peer) = self.peers.get_mut(id) else {
            return Ok(());
        };
        // 0 in the file means "not revoked"; a clock at 1970 must not undo it.
        peer.stored.revoked_unix_s = Some(step.now.unix_s.max(1));
        if let Err(error) = peer.stored.save(step.io.disk) {
            peer.stored.revoked_unix_s = None;
            return Err(error);
        }
        if let Err(error) = self.grants.revoke(|_, pairing| pairing == id, step.io.disk) {
            step.say(format!(
                "the grants of an ended pairing stay in the file: {error}"
            ));
        }
        let of_peer = |it: &Pending| it.ticket.peer == *id;
        self.end_questions(of_peer, Outcome::Unpair, "", step);
        self.renew_listener(step);
        Ok(())
    }

    /// The same request came over another channel.
    fn join(&mut self, ticket: &Ticket, step: &mut Step<'_, '_>) {
        let own = self.questions.values_mut().flat_map(|it| it.tickets_mut());
        let of_pairing = self.attempt.as_mut().and_then(|it| it.ticket_mut());
        let pending = own
            .chain(of_pairing)
            .find(|it| it.peer == ticket.peer && it.id == ticket.id);
        let Some(pending) = pending else { return };
        let is_new = ticket
            .channels
            .iter()
            .any(|it| !pending.channels.contains(it));
        if is_new {
            pending.channels.extend_from_slice(&ticket.channels);
        }
        self.ack(ticket, step);
    }

    /// Tells the workstation that a person is being asked.
    pub(super) fn ack(&mut self, ticket: &Ticket, step: &mut Step<'_, '_>) {
        if !ticket.want_ack {
            return;
        }
        let pairing = self.attempt.as_ref().filter(|it| it.peer == ticket.peer);
        let ack: AckResponse = pairing
            .and_then(|it| it.ack(self.keys.name()))
            .unwrap_or_default();
        self.respond(
            ticket,
            Outcome::Ack,
            Some(ResponseBody::Ack(ack)),
            None,
            step,
        );
    }

    /// A workstation that asks again while pairing may have lost the ack, and has
    /// no code without its nonce.
    fn ack_again(&mut self, ticket: &Ticket, step: &mut Step<'_, '_>) {
        let pairing = self.attempt.as_ref().filter(|it| it.peer == ticket.peer);
        let acked = pairing.and_then(|it| it.acked(&ticket.id)).cloned();
        if let Some(ack) = acked.filter(|_| ticket.want_ack) {
            let body = Some(ResponseBody::Ack(ack));
            self.respond(ticket, Outcome::Ack, body, None, step);
        }
    }

    pub(super) fn name_of(&self, peer: &PairingId) -> Name {
        let known = self.peers.get(peer).map(|it| it.stored.workstation.clone());
        known.unwrap_or_else(|| self.keys.name().clone())
    }
}

/// An hour: whoever asks in a loop would fill the screen.
const FULL_TOLD_MS: u64 = 3_600_000;
