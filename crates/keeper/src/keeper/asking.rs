//! The requests open at a keeper: asked over every way, given up in time.
//!
//! Invariant: an ask of the agent ends with one `Done`, or was withdrawn.

use keystead_channel::wire::{encode_request, fit_evidence, request_hash};
use keystead_core::{DecryptRequest, Name, Request, RequestBody, RequestId, SignRequest};

use super::stamp::Earlier;
use super::{Keeper, OWN_WAIT_S, Purpose, Question};
use crate::effect::Effect;
use crate::route::{Open, Route};
use crate::step::Step;
use crate::{AskId, KeeperError, Progress};

impl Keeper {
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

    pub(super) fn open(
        &mut self,
        purpose: Purpose,
        mut body: RequestBody,
        wait_s: u16,
        step: &mut Step<'_, '_>,
    ) -> Result<(), KeeperError> {
        if let RequestBody::Sign(SignRequest { evidence, .. })
        | RequestBody::Decrypt(DecryptRequest { evidence, .. }) = &mut body
        {
            fit_evidence(evidence);
        }
        let mut id = [0; 16];
        step.io.rng.fill_bytes(&mut id);
        let id = RequestId(id);
        let kind = body.kind();
        let effect = Effect::of(&body);
        let wait_s = wait_s.clamp(1, Request::WAIT_S_MAX);
        let is_first = self.questions.is_empty() && !self.routes.iter().any(Route::is_in_use);
        let earlier = if is_first {
            Earlier::None
        } else {
            Earlier::Some
        };
        let bytes = encode_request(&Request {
            id,
            unix_s: self.stamp.take(step.now, earlier),
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
            kind,
            effect,
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
    pub(super) fn has_open(&self) -> bool {
        self.questions.values().any(|question| !question.is_over)
    }

    /// Sends what is open over every way that is there, and opens the ways that are not.
    pub(super) fn pump(&mut self, step: &mut Step<'_, '_>) {
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

    /// Ends the waits whose time is up.
    pub(super) fn end_waits(&mut self, step: &mut Step<'_, '_>) {
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

    pub(super) fn no_answer(&self, question: &Question) -> KeeperError {
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

    /// Nobody waits for it any more. Where a person was asked it is withdrawn.
    pub(super) fn give_up(&mut self, id: RequestId, step: &mut Step<'_, '_>) {
        let Some(question) = self.questions.get_mut(&id) else {
            return;
        };
        question.is_over = true;
        let (purpose, is_sent) = (question.purpose, question.is_sent);
        let has_receipt = matches!(purpose, Purpose::Agent(_) | Purpose::Refresh);
        if !(is_sent && has_receipt) {
            self.asks.close(&id);
            self.questions.remove(&id);
        }
        self.forget(id);
        // What went out once may be on a screen, even if its channel is gone.
        if is_sent && matches!(purpose, Purpose::Agent(_)) && !self.is_ended {
            let body = RequestBody::Cancel { target: id };
            // It has 16 bytes of payload, so it is never too long.
            let _ = self.open(Purpose::Cancel, body, OWN_WAIT_S, step);
        }
    }

    /// Takes the request off the ways: it is not repeated there.
    pub(super) fn forget(&mut self, id: RequestId) {
        for route in &mut self.routes {
            route.forget(&id);
        }
    }

    pub(super) fn fail(&mut self, id: RequestId, what: &str, step: &mut Step<'_, '_>) {
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
    pub(super) fn fail_all(
        &mut self,
        step: &mut Step<'_, '_>,
        error: impl Fn(Name) -> KeeperError,
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
}

/// Requests open at one keeper. Why: an authenticator takes 64 at once
/// (`spec/pairing.md` section 5.5); a few more are only waiting for their receipts.
const QUESTIONS_MAX: usize = 80;

/// How much longer than wait_s we wait. Why: the authenticator counts from the request's
/// arrival, and its signed `expired` is worth more than our own guess.
const ANSWER_ON_ITS_WAY_MS: u64 = 1_000;

/// How long an answer that nobody waits for is still taken. Why: its receipt closes the chain.
const LATE_ANSWER_MS: u64 = 15_000;
