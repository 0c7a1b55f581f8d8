//! The last step of a pairing: stored, then answered, or neither.
//!
//! **Invariant**: there is no half pairing: when the file or the log entry
//! cannot be written, neither is there.

use keystead_channel::pairing::CONFIRM_MS;
use keystead_core::{Outcome, Secret};

use super::pairing::State;
use super::pending::Ticket;
use super::{Holder, Step};
use crate::control::Reply;
use crate::entry::Entry;

impl Holder {
    /// The workstation's person said yes too: the pairing is stored, then answered.
    pub(super) fn on_confirm(
        &mut self,
        ticket: &Ticket,
        pair_key: Secret<32>,
        step: &mut Step<'_, '_>,
    ) {
        let attempt = self.attempt.as_mut().filter(|it| it.peer == ticket.peer);
        let Some(attempt) = attempt else {
            return self.refuse(ticket, Outcome::Refuse, "no offer is being answered", step);
        };
        let state = std::mem::replace(&mut attempt.state, State::Over);
        let State::Approved(approved) = state else {
            attempt.state = state;
            return self.refuse(ticket, Outcome::Refuse, "the holder has not said yes", step);
        };
        let paired = match approved.confirm(step.now.mono_ms, pair_key) {
            Ok(paired) => paired,
            Err(error) => {
                self.refuse(ticket, Outcome::Expire, &error.to_string(), step);
                return self.fail_attempt(&error.to_string(), step);
            }
        };
        if let Err(error) = self.store_pairing(ticket, paired.pair_key, step) {
            return self.fail_attempt(&error, step);
        }
        let until_ms = step.now.mono_ms.saturating_add(CONFIRM_MS);
        if let Some(attempt) = &mut self.attempt {
            attempt.state = State::Stored { until_ms };
        }
        self.renew_listener(step);
        self.read_mailboxes(step);
    }

    /// The workstation stored nothing after all: another authenticator answered
    /// the offer, or its disk is full (`spec/pairing.md`, section 1, step 2).
    pub(super) fn take_back(&mut self, step: &mut Step<'_, '_>) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        attempt.state = State::Over;
        let (id, caller) = (attempt.peer, attempt.caller);
        let name = self.name_of(&id);
        let mut entry = Entry::own(step.now.unix_s, "unpair", Outcome::Unpair);
        entry.pairing = Some(id.to_string());
        entry.workstation = Some(name.to_string());
        entry.reason = Some(TAKEN_BACK.to_owned());
        // A log that cannot be written is said by `log_own`; the pairing is of no use anyway.
        let _ = self.log_own(&entry, step);
        self.end_attempt(step);
        self.forget(&id, step);
        let message = format!("pairing failed: {TAKEN_BACK}");
        step.reply(caller, Reply::failed(message, "run keystead pair again"));
    }

    /// Stores and answers, or neither: there is no half pairing.
    fn store_pairing(
        &mut self,
        ticket: &Ticket,
        pair_key: Secret<32>,
        step: &mut Step<'_, '_>,
    ) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&ticket.peer) else {
            return Err("the pairing is gone".to_owned());
        };
        peer.stored.pair_key = Some(pair_key);
        if let Err(error) = peer.stored.save(step.io.disk) {
            peer.stored.pair_key = None;
            self.busy(ticket, step);
            return Err(format!("the pairing cannot be written: {error}"));
        }
        let outcome = self.finish_empty(ticket, step);
        if outcome == Outcome::Approve {
            return Ok(());
        }
        if let Some(peer) = self.peers.get_mut(&ticket.peer) {
            let removed = peer.stored.remove(step.now.unix_s, step.io.disk);
            peer.stored.pair_key = None;
            if let Err(error) = removed {
                return Err(format!(
                    "the log cannot be written, and the pairing's file stays: {error}"
                ));
            }
        }
        Err("the log cannot be written".to_owned())
    }
}

/// Why a pairing that was stored here is not there.
const TAKEN_BACK: &str =
    "the workstation did not store it: perhaps another authenticator answered the same offer";
