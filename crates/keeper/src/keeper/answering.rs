//! What a keeper answers, and what it changes here.
//!
//! Invariant: an answer is told only after its receipt was verified.

use keystead_channel::link::asks::Arrival;
use keystead_channel::wire::{Fault, Received, check_receipt};
use keystead_core::{KeyEntry, MeResponse, Outcome, Response, ResponseBody};

use super::{Keeper, Purpose, Question};
use crate::effect::{Effect, ends_ms};
use crate::me::{self, MeChange};
use crate::receipts::Place;
use crate::step::Step;
use crate::{Answer, Notice, Progress};

impl Keeper {
    pub(super) fn take_message(&mut self, message: &[u8], step: &mut Step<'_, '_>) {
        match self.asks.receive(message) {
            Arrival::NotAsked => {}
            Arrival::Ack(response) => {
                if let Some(question) = self.questions.get_mut(&response.id)
                    && !question.is_over
                    && let Purpose::Agent(ask) = question.purpose
                    && !std::mem::replace(&mut question.asking_is_told, true)
                {
                    let authenticator = self.record.authenticator.clone();
                    step.progress(ask, Progress::Asking { authenticator });
                }
            }
            Arrival::Final(received) => self.take_answer(received, step),
            Arrival::Misbehaved(error) => {
                let what = format!("its answer is no answer: {error}");
                if let Some(id) = error.id
                    && self.asks.kind(&id).is_some()
                    && error.fault != Fault::NotAsked
                {
                    self.asks.close(&id);
                    self.fail(id, &what, step);
                }
                let pairing = self.id;
                step.notice(Notice::Misbehaved { pairing, what });
            }
        }
    }

    pub(super) fn take_answer(&mut self, received: Received, step: &mut Step<'_, '_>) {
        let checked = match received.response.outcome.has_receipt() {
            true => self.take_receipt(&received, step),
            false => Ok(()),
        };
        let response = received.response;
        self.tell_clock(response.unix_s, step);
        if let Err(what) = checked {
            self.fail(response.id, &what, step);
            let pairing = self.id;
            step.notice(Notice::Misbehaved { pairing, what });
            return;
        }
        let id = response.id;
        let is_unpaired = response.outcome == Outcome::Unpair;
        self.forget(id);
        if let Some(question) = self.questions.remove(&id) {
            self.settle(&question, response, step);
        }
        if is_unpaired && !self.is_ended {
            self.unpaired(step);
        }
    }

    pub(super) fn settle(
        &mut self,
        question: &Question,
        response: Response,
        step: &mut Step<'_, '_>,
    ) {
        if response.outcome == Outcome::Approve {
            self.change_keys(&question.effect, response.body.as_ref(), step);
        } else if response.outcome == Outcome::UnknownKey {
            // What is listed here is not there any more.
            self.refresh(step);
        }
        if question.purpose == Purpose::Refresh {
            self.unanswered_ms = None;
        }
        match question.purpose {
            Purpose::Agent(ask) if !question.is_over => {
                let answer = Answer {
                    outcome: response.outcome,
                    body: response.body,
                    receipt: response.receipt,
                    request_hash: response.request_hash,
                    authenticator: self.record.authenticator.clone(),
                };
                step.progress(ask, Progress::Done(Ok(answer)));
                return;
            }
            Purpose::Agent(_) | Purpose::Refresh | Purpose::Unpair | Purpose::Cancel => {}
        }
        if let Some(receipt) = response.receipt {
            step.notice(Notice::Answered {
                pairing: self.id,
                keeper: self.record.name.clone(),
                kind: question.kind,
                outcome: response.outcome,
                request_hash: response.request_hash,
                receipt,
            });
        }
        match (question.purpose, response.outcome, response.body) {
            (Purpose::Refresh, Outcome::Approve, Some(ResponseBody::Me(me))) => {
                self.take_me(me, step);
            }
            (Purpose::Unpair, Outcome::Approve, _) => self.end(step),
            _ => {}
        }
    }

    /// Keys that were made or brought there are listed from now on, those that were taken
    /// away no more.
    fn change_keys(
        &mut self,
        effect: &Effect,
        body: Option<&ResponseBody>,
        step: &mut Step<'_, '_>,
    ) {
        let before = self.record.keys.len();
        match (effect, body) {
            (Effect::MakeKey, Some(ResponseBody::Key(key))) => self.list(key),
            (Effect::Import { lifetime_s }, Some(ResponseBody::Keys(keys))) => {
                keys.iter().for_each(|key| self.list(key));
                let gone_ms = ends_ms(step.now_ms().saturating_add(GONE_MS), *lifetime_s);
                self.refresh_ms = self.refresh_ms.into_iter().chain(gone_ms).min();
            }
            (Effect::Remove { keys }, _) if keys.is_empty() => {
                self.refresh(step);
            }
            (Effect::Remove { keys }, _) => {
                self.record.keys.retain(|known| !keys.contains(&known.id));
            }
            (
                Effect::Nothing | Effect::MakeKey | Effect::Import { .. } | Effect::Lock { .. },
                _,
            ) => {}
        }
        if self.record.keys.len() != before {
            self.save(step);
            step.notice(Notice::KeysChanged {
                pairing: self.id,
                keys: self.record.keys.clone(),
            });
        }
    }

    fn list(&mut self, key: &KeyEntry) {
        if !self.record.keys.iter().any(|known| known.id == key.id) {
            self.record.keys.push(key.clone());
        }
    }

    /// Checks the receipt and notes its place; gives what is wrong with it.
    pub(super) fn take_receipt(
        &mut self,
        received: &Received,
        step: &mut Step<'_, '_>,
    ) -> Result<(), String> {
        let receipt =
            check_receipt(received, &self.record.receipt_key).map_err(|fault| fault.to_string())?;
        let bytes = received
            .response
            .receipt
            .as_ref()
            .map(|it| it.bytes.as_slice());
        let place = self
            .receipts
            .take(&receipt, bytes.unwrap_or_default(), step.now_ms());
        self.save_later(step);
        let what = match place {
            Place::Fits => return Ok(()),
            Place::OtherChain => "its receipts do not follow one another",
            Place::Twice => "it numbered two receipts alike",
        };
        // The answer itself is signed and to this request; the person is told of the rest.
        step.notice(Notice::Misbehaved {
            pairing: self.id,
            what: what.to_owned(),
        });
        Ok(())
    }

    pub(super) fn take_me(&mut self, me: MeResponse, step: &mut Step<'_, '_>) {
        self.record.me_unix_s = step.now.unix_s;
        match me::apply(&mut self.record, me) {
            MeChange::Nothing => {}
            MeChange::Ways => self.make_routes(),
            MeChange::Keys => {
                self.make_routes();
                step.notice(Notice::KeysChanged {
                    pairing: self.id,
                    keys: self.record.keys.clone(),
                });
            }
            MeChange::OtherReceiptKey => step.notice(Notice::Misbehaved {
                pairing: self.id,
                what: "it names another receipt key than before".to_owned(),
            }),
        }
        self.save(step);
    }

    pub(super) fn tell_clock(&mut self, unix_s: u64, step: &mut Step<'_, '_>) {
        let ahead = i128::from(unix_s) - i128::from(step.now.unix_s);
        let Ok(ahead_s) = i64::try_from(ahead) else {
            return;
        };
        let is_off = ahead_s.unsigned_abs() > CLOCK_S;
        if is_off && !self.clock_is_told {
            let pairing = self.id;
            step.notice(Notice::ClockDiffers { pairing, ahead_s });
        }
        self.clock_is_told = is_off;
    }
}

/// How long after its end a key with a lifetime is looked for. Why: the clocks of both ends
/// count alike, from moments that lie a round trip apart.
const GONE_MS: u64 = 2_000;

/// Clocks that differ by more are reported (`spec/pairing.md` section 5.4).
const CLOCK_S: u64 = 90;
