//! How a request ends, and who is told.
//!
//! **Invariant:** a *no* on the device is an answer, another wallet is an unknown key, and all else
//! is an error.

use super::{Given, Machine, Open, Running, Step, Task};
use crate::trezor::event::{Action, Opened};
use crate::trezor::messages::Features;
use crate::trezor::words::Fault;
use crate::{Answer, KeeperError};
use keystead_core::{Name, Outcome, ResponseBody, WalletFingerprint};

impl Machine {
    /// A running request ends with a fault. What follows is [`Machine::next`]'s.
    pub(super) fn end_with(&mut self, step: &mut Step, running: Running, fault: Fault) {
        if let Some(question) = running.question {
            step.act(Action::QuestionOver(question));
        }
        let open = running.open;
        if let Task::Lock | Task::End = open.task {
            self.session = None;
        }
        let name = self.setup.name.clone();
        let is_job = matches!(open.task, Task::Job(_));
        let end = if is_job && fault == Fault::Refused {
            Ok(answer(&open, &name, Outcome::Refuse, None))
        } else if is_job && matches!(fault, Fault::OtherWallet { .. }) {
            step.say(&open, format!("{}; {}", fault.words(), fault.hint()));
            Ok(answer(&open, &name, Outcome::UnknownKey, None))
        } else {
            Err(fault.into_error(name))
        };
        finish(step, &open, end);
    }

    /// A running request ends with what came of it.
    pub(super) fn end_given(&mut self, step: &mut Step, running: Running, given: Given) {
        let name = self.setup.name.clone();
        let open = running.open;
        self.used_ms = step.now_ms;
        let (outcome, body) = match given {
            Given::Body(body) => (Outcome::Approve, Some(body)),
            Given::UnknownKey => {
                let wallet = self.session.as_ref().map(|it| it.wallet.to_string());
                let wallet = wallet.unwrap_or_default();
                step.say(
                    &open,
                    format!("{name} has wallet {wallet} open, {ANOTHER_KEY}"),
                );
                (Outcome::UnknownKey, None)
            }
            Given::Wallet(wallet) => {
                let session = self.session.as_ref();
                let has_passphrase = session.is_some_and(|it| it.has_passphrase);
                let opened = opened(&running.features, wallet, has_passphrase);
                if let Some(ask) = open.ask {
                    let end = Ok(Some(opened));
                    step.act(Action::Finished { ask, end });
                }
                return;
            }
        };
        let end = Ok(answer(&open, &name, outcome, body));
        finish(step, &open, end);
    }
}

/// Tells who waits, if anybody does.
pub(super) fn finish(step: &mut Step, open: &Open, end: Result<Answer, KeeperError>) {
    let Some(ask) = open.ask else {
        return;
    };
    match open.task {
        Task::Job(_) => step.done(ask, end),
        Task::Open | Task::Lock | Task::End => {
            let end = end.map(|_| None);
            step.act(Action::Finished { ask, end });
        }
    }
}

pub(super) fn answer(
    open: &Open,
    name: &Name,
    outcome: Outcome,
    body: Option<ResponseBody>,
) -> Answer {
    Answer {
        outcome,
        body,
        receipt: None,
        request_hash: open.hash,
        authenticator: name.clone(),
    }
}

fn opened(features: &Features, wallet: WalletFingerprint, has_passphrase: bool) -> Opened {
    Opened {
        wallet,
        device: features.device.clone(),
        label: features.label.clone(),
        model: features.model.clone(),
        version: features.version,
        has_passphrase,
    }
}

/// Behind a wallet's fingerprint.
const ANOTHER_KEY: &str = "which has another key for this: it has other words, or was opened with \
                           another passphrase";
