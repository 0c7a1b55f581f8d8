//! What the agent tells its keepers, and what they want of it.
//!
//! Invariant: nothing here holds a secret except a [`RequestBody`]: of kind 6, which only the
//! keepers themselves make, and of kinds 10 and 12, where a person's key and passphrase pass by.

use std::net::SocketAddr;

use keystead_channel::pairing::Code;
use keystead_core::{
    KeyEntry, Kind, Name, Outcome, PairingId, RequestBody, RequestHash, RequestId, ResponseBody,
    SignedReceipt, WalletFingerprint,
};
use keystead_transport::{NetAction, NetEvent, RelayUrl};

use crate::error::{KeeperError, PairError};

/// One question of the agent; its own number, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// What happens to the keepers.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, moved once: a box would cost more"
)]
pub enum Event {
    /// Ask a keeper. Every ask ends with one [`Progress::Done`], unless it is withdrawn.
    Ask {
        /// The agent's number for it.
        ask: AskId,
        /// Whom.
        pairing: PairingId,
        /// What.
        body: RequestBody,
        /// How long, 1 to 300 s.
        wait_s: u16,
    },
    /// The agent does not want the answer any more; nothing is told of the ask after this.
    Withdraw {
        /// Which.
        ask: AskId,
    },
    /// Offer a pairing; a running one ends.
    PairStart {
        /// The name of this machine, for the authenticator's screen.
        own_name: Name,
        /// The relay to answer through.
        relay: Option<RelayUrl>,
        /// Addresses of this machine to listen on and to offer; port 0 takes a free one.
        addresses: Vec<SocketAddr>,
    },
    /// The person says that both codes are the same.
    PairConfirm,
    /// The person gives the pairing up.
    PairCancel,
    /// End a pairing.
    Unpair {
        /// Which.
        pairing: PairingId,
    },
    /// Give a keeper another name on this machine.
    Rename {
        /// Which.
        pairing: PairingId,
        /// The name; another keeper's name is refused.
        name: Name,
    },
    /// Somebody looks at the keys: keepers are asked for theirs anew.
    Refresh(Refresh),
    /// The network says something.
    Net(NetEvent),
    /// [`Keepers::next_wake_ms`](crate::Keepers::next_wake_ms) has come.
    Tick,
}

/// Who looks at the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// A person, who waits a moment for it: every keeper is asked, once in 10 s at the most.
    ForPerson,
    /// A program, which does not: a keeper that is connected is asked, once a minute at the most.
    ForProgram,
}

/// What the keepers want done.
#[derive(Debug)]
pub enum Action {
    /// For the network.
    Net(NetAction),
    /// News of an ask.
    Progress {
        /// Which.
        ask: AskId,
        /// What.
        progress: Progress,
    },
    /// News of the pairing under way.
    Pairing(PairingProgress),
    /// News of a keeper or relay, for the log and the person.
    Notice(Notice),
}

/// How an ask goes on.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, moved once: a box would cost more"
)]
pub enum Progress {
    /// It left this machine on a channel for the first time.
    Sent {
        /// Its id on the wire, for the log.
        request: RequestId,
        /// Hash of its bytes, for the log.
        hash: RequestHash,
    },
    /// A person is being asked.
    Asking {
        /// Whose screen shows it.
        authenticator: Name,
    },
    /// It is over.
    Done(Result<Answer, KeeperError>),
}

/// A keeper's answer, verified. A refusal is one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it went; never `Ack`.
    pub outcome: Outcome,
    /// What was asked for; only when approved.
    pub body: Option<ResponseBody>,
    /// The keeper's signed statement about this answer, for the log: checked here.
    pub receipt: Option<SignedReceipt>,
    /// Hash of the request that is answered.
    pub request_hash: RequestHash,
    /// Which authenticator answered.
    pub authenticator: Name,
}

/// How a pairing goes on.
#[derive(Debug)]
pub enum PairingProgress {
    /// The offer is out: show it.
    Offer {
        /// The whole offer as a link.
        link: String,
        /// Text of the QR code, or why there can be none.
        qr_text: Option<String>,
        /// The relay in it.
        relay: Option<RelayUrl>,
        /// The addresses in it, `host:port`.
        addresses: Vec<String>,
        /// Until when it can be answered.
        expires_in_ms: u64,
    },
    /// An authenticator has answered; the code follows.
    HelloSeen,
    /// Compare the codes, and confirm.
    Code {
        /// The six digits.
        code: Code,
        /// Who the authenticator says it is.
        authenticator: Name,
        /// Until when both persons must have said yes.
        expires_in_ms: u64,
    },
    /// The person here said yes; the holder has not yet.
    WaitingForHolder,
    /// It is stored on both sides.
    Stored {
        /// The new pairing.
        pairing: PairingId,
        /// Its name here.
        name: Name,
        /// The keys that it brings.
        keys: Vec<KeyEntry>,
    },
    /// It came to nothing; nothing is stored.
    Ended(PairError),
}

/// What a person or the log should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A pairing's file cannot be read. It stays as it is; its keeper is not there.
    Damaged {
        /// The file, within the state folder.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A relay is away; it is tried again with growing pauses.
    RelayAway {
        /// Which.
        relay: RelayUrl,
        /// Why.
        reason: String,
    },
    /// A relay that was away is back.
    RelayBack {
        /// Which.
        relay: RelayUrl,
    },
    /// The holder ended the pairing.
    Unpaired {
        /// Which.
        pairing: PairingId,
        /// Its name here.
        name: Name,
    },
    /// The keeper's keys are others than before.
    KeysChanged {
        /// Which.
        pairing: PairingId,
        /// All its keys now.
        keys: Vec<KeyEntry>,
    },
    /// The keeper's clock and ours differ by more than 90 s.
    ClockDiffers {
        /// Which.
        pairing: PairingId,
        /// By how much theirs is ahead.
        ahead_s: i64,
    },
    /// Answers that the keeper says it gave did not arrive here.
    ReceiptGap {
        /// Which.
        pairing: PairingId,
        /// The first that is missing.
        first: u64,
        /// The last that is missing.
        last: u64,
    },
    /// A verified receipt that no [`Progress::Done`] brings: of the keepers' own requests, and of
    /// answers that came after nobody waited for them. For the log.
    Answered {
        /// Which.
        pairing: PairingId,
        /// Its name here.
        keeper: Name,
        /// What was asked.
        kind: Kind,
        /// How it went.
        outcome: Outcome,
        /// Hash of the request.
        request_hash: RequestHash,
        /// The keeper's signed statement.
        receipt: SignedReceipt,
    },
    /// Something that a keeper sent breaks the rules.
    Misbehaved {
        /// Which.
        pairing: PairingId,
        /// What.
        what: String,
    },
    /// A change could not be written.
    NotSaved {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

/// One keeper, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingView {
    /// Its id on this machine.
    pub pairing: PairingId,
    /// Its name on this machine.
    pub name: Name,
    /// What the authenticator calls itself.
    pub authenticator: Name,
    /// Its keys.
    pub keys: Vec<KeyEntry>,
    /// Wallets that it holds.
    pub wallets: Vec<WalletFingerprint>,
    /// The relay that it is reached through.
    pub relays: Vec<RelayUrl>,
    /// Addresses that it gave, `host:port` or `unix:PATH`.
    pub addresses: Vec<String>,
    /// When it was paired, seconds since 1970.
    pub paired_unix_s: u64,
    /// Whether any channel was opened since; a pairing that none has used is listed as such.
    pub is_used: bool,
    /// Whether it was ended here and only has to be told so.
    pub is_unpairing: bool,
    /// Whether a channel to it is open now.
    pub is_connected: bool,
    /// Since when, by the monotonic clock, it was asked for its keys without an answer.
    pub unanswered_ms: Option<u64>,
    /// Receipts of this keeper are checked with this Ed25519 key.
    pub receipt_key: [u8; 32],
}
