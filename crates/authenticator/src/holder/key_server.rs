//! What a key server wants approved, the keys that approve, and local copies: kinds 13 to 15.
//!
//! **Invariant**: a text is approved at most once, by a person's yes alone, with the key that was
//! made for the server that it names; its nonce is spent before the signature leaves.

use keystead_channel::session::{ApproverId, ServerId, UnlockText};
use keystead_core::{
    ApproveServerRequest, LocalKey, MakeApprovalKeyRequest, OpenLocalRequest, Outcome, PairingId,
    ResponseBody, ServerApproval, hex,
};

use super::pending::{Ticket, Work};
use super::spent::ToApprove;
use super::{Holder, Step};
use crate::judge::{
    Judged, No, ServerRules, judge_approval, judge_unlock, read_approval, read_unlock,
};
use crate::words::{Asked, MakeApproval, OpenLocal};

impl Holder {
    /// Kind 13.
    pub(super) fn on_approve_server(
        &mut self,
        ticket: Ticket,
        request: ApproveServerRequest,
        step: &mut Step<'_, '_>,
    ) {
        let text = request.text;
        if UnlockText::is_meant(&text) {
            return self.on_unlock(ticket, text, step);
        }
        let (approval, read) = match read_approval(&text) {
            Ok(read) => read,
            Err(no) => return self.say_and_refuse(&ticket, &no, step),
        };
        let Some(own) = self.keys.approval(&approval.server.0) else {
            return self.no_approval_key(&ticket, approval.server, step);
        };
        let rules = ServerRules { pins: &self.pins };
        let judged = match judge_approval(&approval, &read, &own, rules) {
            Ok(judged) => judged,
            Err(no) => return self.say_and_refuse(&ticket, &no, step),
        };
        self.ask_to_approve(ticket, (own.server_id, text), judged, step);
    }

    /// Kind 13, of a lock that is to be lifted.
    fn on_unlock(&mut self, ticket: Ticket, text: Vec<u8>, step: &mut Step<'_, '_>) {
        let unlock = match read_unlock(&text, step.now.unix_s) {
            Ok(unlock) => unlock,
            Err(no) => return self.say_and_refuse(&ticket, &no, step),
        };
        let Some(own) = self.keys.approval(&unlock.server.0) else {
            return self.no_approval_key(&ticket, unlock.server, step);
        };
        let judged = judge_unlock(&unlock, &own);
        self.ask_to_approve(ticket, (own.server_id, text), judged, step);
    }

    /// Puts a text to the holder, unless it was approved before.
    fn ask_to_approve(
        &mut self,
        ticket: Ticket,
        (server_id, text): ([u8; 16], Vec<u8>),
        judged: Judged,
        step: &mut Step<'_, '_>,
    ) {
        let to_approve = ToApprove {
            server_id,
            nonce: judged.nonce,
            text,
        };
        if self.spent.contains(&to_approve.mark()) {
            return self.refuse(&ticket, Outcome::Refuse, SPENT, step);
        }
        self.question(ticket, judged.asked, Work::Approve(to_approve), step);
    }

    fn no_approval_key(&mut self, ticket: &Ticket, server: ServerId, step: &mut Step<'_, '_>) {
        let reason = format!("no key here approves for the server {server}");
        self.refuse(ticket, Outcome::UnknownKey, &reason, step);
    }

    /// Kind 14.
    pub(super) fn on_make_approval(
        &mut self,
        ticket: Ticket,
        request: MakeApprovalKeyRequest,
        step: &mut Step<'_, '_>,
    ) {
        let known = self.keys.approval(&request.server_id);
        let server = match &known {
            Some(known) => known.server.clone(),
            None => self.keys.name_of_server(&request.server),
        };
        let asked = Asked::MakeApproval(MakeApproval {
            server,
            server_id: hex::encode(&request.server_id),
            is_known: known.is_some(),
        });
        let work = Work::MakeApproval {
            server_id: request.server_id,
            server: request.server,
        };
        self.question(ticket, asked, work, step);
    }

    /// Kind 15.
    pub(super) fn on_open_local(
        &mut self,
        ticket: Ticket,
        request: OpenLocalRequest,
        step: &mut Step<'_, '_>,
    ) {
        let asked = Asked::OpenLocal(OpenLocal { what: request.what });
        let salt = request.salt;
        self.question(ticket, asked, Work::OpenLocal { salt }, step);
    }

    /// Signs a text that the holder approved; none as the reason is `busy`.
    pub(super) fn approve_text(
        &mut self,
        to_approve: &ToApprove,
        step: &mut Step<'_, '_>,
    ) -> Result<ResponseBody, Option<No>> {
        let refused = |reason: &str| {
            Some(No {
                outcome: Outcome::Refuse,
                reason: reason.to_owned(),
                hint: None,
            })
        };
        // Two questions may have been about one nonce.
        if self.spent.contains(&to_approve.mark()) {
            return Err(refused(SPENT));
        }
        let Some(own) = self.keys.approval(&to_approve.server_id) else {
            return Err(refused("the approval key is no longer here"));
        };
        match self.keys.approve(&own.server_id, &to_approve.text) {
            Ok(Some(signature)) => {
                // Spent even where the answer cannot be logged: reuse is worse than a gap.
                self.spent.add(to_approve.mark());
                Ok(ResponseBody::ServerApproval(ServerApproval {
                    approver: ApproverId::of(&own.public).0,
                    signature,
                }))
            }
            Ok(None) => Err(None),
            Err(error) => {
                step.say(format!("no approval: {error}"));
                Err(None)
            }
        }
    }

    /// The key of a workstation's local copies.
    pub(super) fn local_key(&self, peer: &PairingId, salt: &[u8; 32]) -> Option<ResponseBody> {
        let stored = &self.peers.get(peer)?.stored;
        let server = stored.keys.public();
        let key = self
            .keys
            .local_key(stored.client.as_bytes(), server.as_bytes(), salt)?;
        Some(ResponseBody::LocalKey(LocalKey::new(key)))
    }

    /// Refuses what nobody can be asked about, and says why.
    fn say_and_refuse(&mut self, ticket: &Ticket, no: &No, step: &mut Step<'_, '_>) {
        self.say_no_to(ticket, no, step);
        self.refuse(ticket, no.outcome, &no.reason, step);
    }
}

const SPENT: &str = "this approval was given already";
