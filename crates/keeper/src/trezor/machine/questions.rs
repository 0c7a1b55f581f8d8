//! What the person is asked here: PIN and passphrase.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{Machine, Step};
use crate::trezor::event::{Action, Answer, Question, QuestionId};
use crate::trezor::messages::{self, Features};
use crate::trezor::words::Fault;
use keystead_core::SecretBytes;

impl Machine {
    pub(super) fn pin_wanted(&mut self, step: &mut Step, kind: Option<u32>) {
        if !matches!(kind, None | Some(PIN_CURRENT)) {
            // Nothing that is asked here sets a new one.
            let what = "it asks for a new PIN".to_owned();
            self.say_last(step, &messages::cancel());
            return self.fail(step, Fault::Misbehaved { what });
        }
        let is_again = self.running.as_ref().is_some_and(|it| it.wrong_pins > 0);
        self.question(step, Question::Pin { is_again });
    }

    pub(super) fn passphrase_wanted(&mut self, step: &mut Step, is_on_device: bool) {
        if let Some(running) = &mut self.running {
            running.took_passphrase = true;
        }
        if is_on_device {
            self.say(step, &messages::passphrase_ack_of_old());
            self.say_passphrase_on_device(step);
            return self.wait_for_person();
        }
        let can_be_on_device = self
            .running
            .as_ref()
            .is_some_and(|it| it.features.can_enter_passphrase);
        if can_be_on_device && self.setup.is_passphrase_on_device {
            return self.say(step, &messages::passphrase_ack(None));
        }
        match &self.passphrase {
            Some(passphrase) => {
                let message = messages::passphrase_ack(Some(passphrase));
                self.say(step, &message);
            }
            None => self.question(step, Question::Passphrase { can_be_on_device }),
        }
    }

    fn say_passphrase_on_device(&self, step: &mut Step) {
        if let Some(running) = &self.running {
            let text = format!("look at {}: type the passphrase on it", self.setup.name);
            step.say(&running.open, text);
        }
    }

    fn question(&mut self, step: &mut Step, what: Question) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Some(ask) = running.open.ask else {
            // The passphrase's time is over: nobody is asked to open what is to be closed.
            self.say_last(step, &messages::cancel());
            return self.fail(step, Fault::PassphraseCancelled);
        };
        self.last_question += 1;
        let question = QuestionId(self.last_question);
        running.question = Some(question);
        running.answer_by_ms = None;
        running.asked_for = Some(what);
        step.act(Action::Ask {
            ask,
            question,
            what,
        });
    }

    /// The person has answered.
    pub(super) fn answer(&mut self, step: &mut Step, question: QuestionId, answer: Answer) {
        let Some(running) = &mut self.running else {
            return;
        };
        if running.question != Some(question) {
            return;
        }
        running.question = None;
        match (running.asked_for.take(), answer) {
            (Some(Question::Pin { .. }), Answer::Text(pin)) if is_pin(&pin) => {
                self.say(step, &messages::pin_matrix_ack(&pin));
                // After wrong ones a device lets time pass, twice as much each time.
                self.wait_for_person();
            }
            (Some(what @ Question::Pin { .. }), Answer::Text(_)) => {
                step.say(&running.open, NOT_A_PIN.to_owned());
                self.question(step, what);
            }
            (Some(what @ Question::Passphrase { .. }), Answer::Text(text)) => {
                let bytes_max = passphrase_bytes_max(&running.features);
                match normalised(&text).filter(|it| it.len() <= bytes_max) {
                    Some(passphrase) => {
                        let message = messages::passphrase_ack(Some(&passphrase));
                        self.passphrase = Some(passphrase);
                        self.used_ms = step.now_ms;
                        self.say(step, &message);
                    }
                    None => {
                        let text = format!("{NOT_A_PASSPHRASE} {bytes_max} bytes of text");
                        step.say(&running.open, text);
                        self.question(step, what);
                    }
                }
            }
            (
                Some(Question::Passphrase {
                    can_be_on_device: true,
                }),
                Answer::OnDevice,
            ) => self.say(step, &messages::passphrase_ack(None)),
            (what, Answer::Cancel | Answer::OnDevice | Answer::Text(_)) => {
                let fault = match what {
                    Some(Question::Pin { .. }) => Fault::PinCancelled,
                    Some(Question::Passphrase { .. }) | None => Fault::PassphraseCancelled,
                };
                self.say_last(step, &messages::cancel());
                self.fail(step, fault);
            }
        }
    }
}

/// Digits of places on the matrix.
fn is_pin(pin: &SecretBytes) -> bool {
    let length = pin.len();
    (1..=PIN_BYTES_MAX).contains(&length)
        && pin.expose().iter().all(|it| (b'1'..=b'9').contains(it))
}

/// The first model's field holds 50 bytes, and a longer one leaves it waiting.
fn passphrase_bytes_max(features: &Features) -> usize {
    if features.is_first_model() {
        PASSPHRASE_BYTES_FIRST
    } else {
        PASSPHRASE_BYTES_MAX
    }
}

/// As the device hashes it (BIP-39: NFKD); none if it is no text.
fn normalised(text: &SecretBytes) -> Option<SecretBytes> {
    let plain = std::str::from_utf8(text.expose()).ok()?;
    // Never moved, so that no copy stays behind.
    let mut normal = Zeroizing::new(String::with_capacity(
        plain.len().saturating_mul(GROWTH_MAX),
    ));
    normal.extend(plain.nfkd());
    let bytes = normal.as_bytes();
    Some(SecretBytes::fill(bytes.len(), |to| {
        to.copy_from_slice(bytes)
    }))
}

/// `PinMatrixRequestType_Current`.
const PIN_CURRENT: u32 = 1;

/// 50 digits, as the newer devices take; the first takes 9.
const PIN_BYTES_MAX: usize = 50;

/// 50 bytes (trezor-firmware, `legacy/firmware/protob/messages-common.options`).
const PASSPHRASE_BYTES_FIRST: usize = 50;

/// 128 bytes: room for firmwares to come; those of today say themselves that 50 are most.
const PASSPHRASE_BYTES_MAX: usize = 128;

/// A character of three bytes becomes at most eighteen of them, of 33 bytes (UAX #15, table 8).
const GROWTH_MAX: usize = 11;

const NOT_A_PIN: &str =
    "a PIN is typed as the places of its digits on the device: 1 to 9, 1 is below on the left";

const NOT_A_PASSPHRASE: &str = "this Trezor's passphrase has at most";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins() {
        let check = |pin: &[u8], expected| {
            assert_eq!(is_pin(&SecretBytes::take(&mut pin.to_vec())), expected);
        };
        check(b"1", true);
        check(b"123456789", true);
        check(&[b'9'; 50], true);
        check(&[b'9'; 51], false);
        check(b"", false);
        check(b"1203", false);
        check(b"12a", false);
        check(b"1 2", false);
    }

    #[test]
    fn passphrases_are_what_bip_39_hashes() {
        let check = |text: &[u8], expected: Option<&str>| {
            let normal = normalised(&SecretBytes::take(&mut text.to_vec()));
            let normal = normal.map(|it| it.expose().to_vec());
            assert_eq!(normal.as_deref(), expected.map(str::as_bytes));
        };
        check(b"", Some(""));
        check(b"secret", Some("secret"));
        check("\u{e9}\u{fb01}".as_bytes(), Some("e\u{301}fi"));
        check(&[b'a'; 128], Some(&"a".repeat(128)));
        check(b"\xff", None);
    }
}
