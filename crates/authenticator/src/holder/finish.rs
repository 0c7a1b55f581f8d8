//! The one answer to a request: its entry, its receipt, and the way back.
//!
//! **Invariant**: an answer leaves in the step that made its entry durable; where that cannot be
//! written, it is `busy`.

use keystead_channel::wire::{encode_receipt, encode_response, next_receipt};
use keystead_core::{
    Outcome, ReceiptChain, RequestHash, Response, ResponseBody, SecretBytes, SignedReceipt, hex,
};

use super::pending::Ticket;
use super::{Holder, Step};
use crate::entry::Entry;

impl Holder {
    /// Answers without asking, with a reason for the log.
    pub(super) fn refuse(
        &mut self,
        ticket: &Ticket,
        outcome: Outcome,
        reason: &str,
        step: &mut Step<'_, '_>,
    ) {
        let mut entry = Entry {
            unix_s: step.now.unix_s,
            ..Entry::default()
        };
        entry.reason = Some(reason.to_owned()).filter(|it| !it.is_empty());
        self.finish(ticket, outcome, None, entry, step);
    }

    /// Answers `busy`: nothing was done, nothing is logged.
    pub(super) fn busy(&mut self, ticket: &Ticket, step: &mut Step<'_, '_>) {
        self.respond(ticket, Outcome::Busy, None, None, step);
    }

    /// Done, with nothing to bring: the answer to cancel, unpair and confirm.
    pub(super) fn finish_empty(&mut self, ticket: &Ticket, step: &mut Step<'_, '_>) -> Outcome {
        let entry = Entry {
            unix_s: step.now.unix_s,
            ..Entry::default()
        };
        let body = Some(ResponseBody::Empty);
        self.finish(ticket, Outcome::Approve, body, entry, step)
    }

    /// Writes the entry and sends the answer; where the entry cannot be
    /// written, the answer is `busy`. Says which it was.
    pub(super) fn finish(
        &mut self,
        ticket: &Ticket,
        outcome: Outcome,
        body: Option<ResponseBody>,
        mut entry: Entry,
        step: &mut Step<'_, '_>,
    ) -> Outcome {
        let Some(peer) = self.peers.get(&ticket.peer) else {
            return Outcome::Busy;
        };
        let mut receipt = None;
        if outcome.has_receipt() {
            let next = next_receipt(
                &peer.receipts,
                ticket.hash,
                outcome,
                body.as_ref(),
                step.now.unix_s,
            );
            let bytes = encode_receipt(&next);
            let Ok(signature) = peer.stored.receipt_key.sign(&bytes) else {
                self.busy(ticket, step);
                return Outcome::Busy;
            };
            entry.receipt_seq = Some(next.seq);
            entry.receipt = Some(hex::encode(&bytes));
            entry.receipt_signature = Some(hex::encode(&signature));
            receipt = Some((next.seq, SignedReceipt { bytes, signature }));
        }
        entry.kind = ticket.kind.to_owned();
        entry.decision = outcome.as_str().to_owned();
        entry.pairing = Some(ticket.peer.to_string());
        entry.workstation = Some(peer.stored.workstation.to_string());
        entry.request_id = Some(ticket.id.to_string());
        entry.request_hash = Some(ticket.hash.to_string());
        entry.wait_s = Some(ticket.wait_s);
        if self.log_own(&entry, step).is_err() {
            self.busy(ticket, step);
            return Outcome::Busy;
        }
        if let (Some((seq, receipt)), Some(peer)) = (&receipt, self.peers.get_mut(&ticket.peer)) {
            peer.receipts = ReceiptChain::after(*seq, &receipt.bytes);
        }
        self.respond(ticket, outcome, body, receipt.map(|(_, it)| it), step);
        outcome
    }

    /// Sends a response to every channel that waits for it, and keeps a final one.
    pub(super) fn respond(
        &mut self,
        ticket: &Ticket,
        outcome: Outcome,
        body: Option<ResponseBody>,
        receipt: Option<SignedReceipt>,
        step: &mut Step<'_, '_>,
    ) {
        let response = Response {
            id: ticket.id,
            unix_s: step.now.unix_s,
            request_hash: ticket.hash,
            outcome,
            body,
            receipt,
        };
        // It may hold what was decrypted.
        let response = SecretBytes::take(&mut encode_response(&response));
        let is_own = |it: &RequestHash| *it == ticket.hash;
        if outcome != Outcome::Ack
            && let Some(peer) = self.peers.get_mut(&ticket.peer)
            && peer.answers.hash(&ticket.id).as_ref().is_some_and(is_own)
        {
            peer.answers
                .answer(step.now.mono_ms, ticket.id, response.expose());
        }
        for channel in &ticket.channels {
            self.send(*channel, response.expose(), step);
        }
    }
}
