//! What happens to a device's machine, and what it wants done.
//!
//! **Invariant:** nothing here decides, and nothing secret in it can be shown.

use keystead_core::{RequestBody, SecretBytes, WalletFingerprint};

use super::report::Reports;
use crate::{AskId, KeeperError, Progress};

/// What happens.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, moved once: a box would cost more"
)]
pub enum Event {
    /// A key, a signature or a decryption is wanted.
    Ask {
        /// The agent's number for it.
        ask: AskId,
        /// What.
        body: RequestBody,
        /// How long, 1 to 300 s.
        wait_s: u16,
    },
    /// Which device and wallet is it? Ends with [`Action::Finished`]. Has the device ask for PIN
    /// and passphrase, where it wants them.
    Open {
        /// The agent's number for it.
        ask: AskId,
        /// How long, 1 to 300 s.
        wait_s: u16,
    },
    /// PIN and passphrase are to be forgotten, here and on the device. Ends with
    /// [`Action::Finished`].
    Lock {
        /// The agent's number for it.
        ask: AskId,
    },
    /// Nobody waits for it any more.
    Withdraw {
        /// Which.
        ask: AskId,
    },
    /// The cable says something.
    Link(LinkEvent),
    /// The person's answer.
    Answer {
        /// To which question.
        question: QuestionId,
        /// What.
        answer: Answer,
    },
    /// [`Machine::next_wake_ms`](super::Machine::next_wake_ms) has come.
    Tick,
}

/// What the cable says.
#[derive(Debug)]
pub enum LinkEvent {
    /// It is open.
    Up,
    /// A report came; its bytes are wiped by who takes it.
    Report(SecretReport),
    /// It is closed, or could not be opened.
    Down(LinkFault),
}

/// Bytes of a report, which may be a shared secret's.
pub struct SecretReport(pub SecretBytes);

impl std::fmt::Debug for SecretReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretReport({} bytes)", self.0.len())
    }
}

/// Why there is no cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// Nothing is there, or not any more.
    Away(String),
    /// Another program has it.
    Busy,
    /// This account may not open it.
    Forbidden(String),
}

/// Names a question; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

/// What the person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Where on the device's matrix the PIN's digits stand.
    Pin {
        /// The one before was wrong.
        is_again: bool,
    },
    /// The passphrase.
    Passphrase {
        /// It can be typed on the device instead.
        can_be_on_device: bool,
    },
}

/// What the person answers.
pub enum Answer {
    /// The PIN's places, or the passphrase.
    Text(SecretBytes),
    /// The passphrase is typed on the device.
    OnDevice,
    /// Nothing: the request is given up.
    Cancel,
}

/// What is to be done.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, moved once: a box would cost more"
)]
pub enum Action {
    /// Open the cable; [`LinkEvent::Up`] or [`LinkEvent::Down`] follows.
    OpenLink,
    /// Send these.
    Send(Reports),
    /// Close it; nothing follows.
    CloseLink,
    /// News of an ask.
    Progress {
        /// Which.
        ask: AskId,
        /// What.
        progress: Progress,
    },
    /// [`Event::Open`] or [`Event::Lock`] is over.
    Finished {
        /// Which.
        ask: AskId,
        /// The device and its wallet; none after a lock.
        end: Result<Option<Opened>, KeeperError>,
    },
    /// A line for the person who waits.
    Say {
        /// For which ask.
        ask: AskId,
        /// The line.
        text: String,
    },
    /// The person is to be asked.
    Ask {
        /// For which ask.
        ask: AskId,
        /// By which the answer is known.
        question: QuestionId,
        /// What.
        what: Question,
    },
    /// The answer is not wanted any more.
    QuestionOver(QuestionId),
}

/// A device and the wallet that it has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which wallet.
    pub wallet: WalletFingerprint,
    /// The device's own name.
    pub device: String,
    /// What the person calls it.
    pub label: String,
    /// `1`, `T`, …
    pub model: String,
    /// Major, minor, patch.
    pub version: (u32, u32, u32),
    /// The wallet hangs on a passphrase.
    pub has_passphrase: bool,
}
