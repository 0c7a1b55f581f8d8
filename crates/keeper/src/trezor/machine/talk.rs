//! The conversation with the device, from the first message to what came of it.

use super::ends::{answer, finish};
use super::{
    ANSWER_WAIT_MS, BEGIN_WAIT_MS, Given, Link, Machine, OPEN_WAIT_MS, Running, Session, Stage,
    Step, Task,
};
use crate::Progress;
use crate::trezor::event::Action;
use crate::trezor::job::{Job, Next};
use crate::trezor::messages::{self, Features, Said};
use crate::trezor::report::Message;
use crate::trezor::words::{Fault, check_device};
use keystead_core::{Outcome, SecretBytes, WalletFingerprint};

impl Machine {
    /// Begins with the device: the session that it may remember.
    pub(super) fn initialize(&mut self, step: &mut Step) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.is_begun_again = matches!(running.stage, Stage::Features);
        let wait_ms = if running.is_begun_again {
            OPEN_WAIT_MS - BEGIN_WAIT_MS
        } else {
            BEGIN_WAIT_MS
        };
        running.stage = Stage::Features;
        running.answer_by_ms = Some(step.now_ms.saturating_add(wait_ms));
        let session = self.session.as_ref().and_then(|it| it.id.as_deref());
        step.act(Action::Send(messages::initialize(session).reports()));
    }

    pub(super) fn report(&mut self, step: &mut Step, report: &SecretBytes) {
        let Link::Up(assembler) = &mut self.link else {
            return;
        };
        let message = match assembler.take(report.expose()) {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(error) => return self.broken(step, error.to_string()),
        };
        if self.running.is_none() {
            // What was given up has ended on the device as well.
            if self.ending_ms.take().is_some() {
                self.next(step);
            }
            return;
        }
        match Said::read(&message) {
            Ok(said) => self.said(step, said),
            Err(error) => self.broken(step, format!("message {}: {error}", message.number)),
        }
    }

    /// What is left of another program's conversation stands before ours; else a device that
    /// breaks the rules is asked nothing more.
    fn broken(&mut self, step: &mut Step, what: String) {
        let is_begun = self
            .running
            .as_ref()
            .is_some_and(|it| !matches!(it.stage, Stage::Opening | Stage::Features));
        if is_begun {
            self.hang_up(step, what);
        }
    }

    fn hang_up(&mut self, step: &mut Step, what: String) {
        self.close(step);
        self.session = None;
        if let Some(running) = self.running.take() {
            let what = format!("it sends {what}");
            self.end_with(step, running, Fault::Misbehaved { what });
        }
        self.next(step);
    }

    fn said(&mut self, step: &mut Step, said: Said) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.heard += 1;
        if running.heard > HEARD_MAX {
            return self.hang_up(step, "messages without end".to_owned());
        }
        // It goes on without the person's answer: that is wanted no more.
        if let Some(question) = running.question.take() {
            running.asked_for = None;
            step.act(Action::QuestionOver(question));
        }
        match (&running.stage, said) {
            (Stage::Opening, _) => {}
            (Stage::Features, Said::Features(features)) => self.features(step, *features),
            (Stage::Features, Said::Failure { code, message }) => {
                // Any other is the end of what somebody asked before.
                if code.is_some_and(|it| FINAL_FAILURES.contains(&it)) {
                    self.fail(step, Fault::of_failure(code, message));
                }
            }
            (Stage::Features, _) => {}
            // It was only slow: what it said last is how it is.
            (Stage::Wallet(_) | Stage::Asked, Said::Features(features))
                if std::mem::take(&mut running.is_begun_again) =>
            {
                running.features = *features;
            }
            (_, Said::ButtonRequest { code }) => self.button(step, code),
            (_, Said::PinMatrixRequest { kind }) => self.pin_wanted(step, kind),
            (_, Said::PassphraseRequest { is_on_device }) => {
                self.passphrase_wanted(step, is_on_device);
            }
            (_, Said::PassphraseStateRequest) => {
                self.say(step, &messages::passphrase_state_ack());
            }
            (Stage::Ending, _) => self.ended(step),
            (Stage::Locking, _) => self.locked(step),
            (_, Said::Failure { code, message }) => {
                let fault = Fault::of_failure(code, message);
                if fault == Fault::WrongPin && running.wrong_pins < PINS_MAX {
                    return self.again(step);
                }
                if matches!(running.stage, Stage::Wallet(_)) {
                    // One that it does not take is not said to it again unasked.
                    self.passphrase = None;
                }
                self.fail(step, fault);
            }
            (Stage::Wallet(_) | Stage::Asked, said) => self.answered(step, said),
        }
    }

    /// The device says what it is.
    fn features(&mut self, step: &mut Step, features: Features) {
        if let Err(fault) = check_device(&features) {
            return self.fail(step, fault);
        }
        let is_same = self
            .session
            .as_ref()
            .is_some_and(|it| it.id.is_some() && it.id == features.session);
        let Some(running) = &mut self.running else {
            return;
        };
        // A session that goes on asks nothing, and a locked device tells nothing.
        let had_passphrase = self.session.as_ref().is_some_and(|it| it.has_passphrase);
        running.took_passphrase = features.has_passphrase || (is_same && had_passphrase);
        running.features = features;
        if let Task::Lock | Task::End = running.open.task {
            self.session = None;
            running.stage = Stage::Ending;
            return self.say(step, &messages::end_session());
        }
        // A person who looks which wallet is open is not told what it was the last time.
        if is_same && !matches!(running.open.task, Task::Open) {
            return self.begin(step);
        }
        self.session = None;
        let job = Job::wallet();
        let first = job.begin();
        running.stage = Stage::Wallet(Box::new(job));
        self.say(step, &first);
    }

    /// The right wallet is open: the request itself.
    fn begin(&mut self, step: &mut Step) {
        let wallet = self.session.as_ref().map(|it| it.wallet);
        let Some(running) = &mut self.running else {
            return;
        };
        let job = match &running.open.task {
            Task::Job(job) => job,
            Task::Open | Task::Lock | Task::End => {
                if let Some(wallet) = wallet {
                    self.give(step, Given::Wallet(wallet));
                }
                return;
            }
        };
        match job.check(&running.features, wallet) {
            Ok(None) => {
                let first = job.begin();
                running.stage = Stage::Asked;
                self.say(step, &first);
            }
            Ok(Some(given)) => self.give(step, given),
            Err(fault) => self.fail(step, fault),
        }
    }

    /// The device answers what it was asked.
    fn answered(&mut self, step: &mut Step, said: Said) {
        let Some(running) = &mut self.running else {
            return;
        };
        let next = match (&mut running.stage, &mut running.open.task) {
            (Stage::Wallet(job), _) => job.take(said),
            (Stage::Asked, Task::Job(job)) => job.take(said),
            _ => return,
        };
        match next {
            Ok(Next::Say(message)) => self.say(step, &message),
            Ok(Next::Done(Given::Wallet(wallet))) => self.wallet(step, wallet),
            Ok(Next::Done(given)) => self.give(step, given),
            Err(fault) => self.fail(step, fault),
        }
    }

    /// The device has this wallet open.
    fn wallet(&mut self, step: &mut Step, found: WalletFingerprint) {
        if let Some(expected) = self.setup.wallet.filter(|it| *it != found) {
            self.passphrase = None;
            if let Some(running) = self.running.take() {
                // So that it asks for the passphrase again.
                self.say_last(step, &messages::end_session());
                self.end_with(step, running, Fault::OtherWallet { found, expected });
            }
            return;
        }
        let Some(running) = &self.running else {
            return;
        };
        self.session = Some(Session {
            id: running.features.session.clone(),
            wallet: found,
            has_passphrase: running.took_passphrase,
        });
        self.used_ms = step.now_ms;
        self.begin(step);
    }

    /// From the beginning of the request: the PIN was wrong.
    fn again(&mut self, step: &mut Step) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.wrong_pins += 1;
        let first = match (&running.stage, &running.open.task) {
            (Stage::Wallet(job), _) => job.begin(),
            (_, Task::Job(job)) => job.begin(),
            _ => return,
        };
        self.say(step, &first);
    }

    /// The person is to look at the device.
    fn button(&mut self, step: &mut Step, code: Option<u32>) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.took_passphrase |= code == Some(BUTTON_PASSPHRASE);
        let text = match (&running.open.task, code) {
            (_, Some(BUTTON_PASSPHRASE)) => Some("type the passphrase on it".to_owned()),
            (_, Some(BUTTON_PIN)) => Some("type the PIN on it".to_owned()),
            (Task::Job(job), _) if matches!(running.stage, Stage::Asked) => job.screen(),
            // Newer models show what was typed here.
            _ if running.took_passphrase => Some("confirm the passphrase on it".to_owned()),
            _ => Some("it asks something".to_owned()),
        };
        let ask = running.open.ask;
        if let Some(ask) = ask.filter(|_| !std::mem::replace(&mut running.is_asking, true)) {
            let authenticator = self.setup.name.clone();
            let progress = Progress::Asking { authenticator };
            step.act(Action::Progress { ask, progress });
        }
        // Each page of a long text asks anew.
        let text = text.map(|text| format!("look at {}: {text}", self.setup.name));
        if text.is_some() && text != running.told {
            running.told.clone_from(&text);
            if let (Some(ask), Some(text)) = (ask, text) {
                step.act(Action::Say { ask, text });
            }
        }
        self.say(step, &messages::button_ack());
        self.wait_for_person();
    }

    /// Says something that the device answers by itself.
    pub(super) fn say(&mut self, step: &mut Step, message: &Message) {
        if let Some(running) = &mut self.running {
            running.answer_by_ms = Some(step.now_ms.saturating_add(ANSWER_WAIT_MS));
        }
        step.act(Action::Send(message.reports()));
    }

    pub(super) fn wait_for_person(&mut self) {
        if let Some(running) = &mut self.running {
            running.answer_by_ms = None;
        }
    }

    fn give(&mut self, step: &mut Step, given: Given) {
        if let Some(running) = self.running.take() {
            self.end_given(step, running, given);
        }
        self.next(step);
    }

    pub(super) fn fail(&mut self, step: &mut Step, fault: Fault) {
        if let Some(running) = self.running.take() {
            self.end_with(step, running, fault);
        }
        self.next(step);
    }

    /// The session is forgotten on the device; where that was not all, it is locked too.
    fn ended(&mut self, step: &mut Step) {
        let Some(running) = &mut self.running else {
            return;
        };
        if let Task::Lock = running.open.task {
            running.stage = Stage::Locking;
            return self.say(step, &messages::lock_device());
        }
        self.locked(step);
    }

    fn locked(&mut self, step: &mut Step) {
        if let Some(Running { open, .. }) = self.running.take() {
            let done = answer(&open, &self.setup.name, Outcome::Approve, None);
            finish(step, &open, Ok(done));
        }
        self.next(step);
    }
}

/// `Failure_NotInitialized`, `Failure_Busy`, `Failure_InvalidProtocol`, `Failure_InProgress`,
/// `Failure_FirmwareError`: what answers `Initialize` itself.
const FINAL_FAILURES: [u32; 5] = [11, 15, 17, 19, 99];

/// `ButtonRequest_PassphraseEntry`.
const BUTTON_PASSPHRASE: u32 = 19;
/// `ButtonRequest_PinEntry`.
const BUTTON_PIN: u32 = 20;

/// 256 messages to one request: an identity of 1,024 characters is some dozens of pages, each with
/// its own.
const HEARD_MAX: u16 = 256;

/// Two wrong PINs are asked for again: more of them belong to a person who looks them up first.
const PINS_MAX: u8 = 2;
