//! What a keeper answers (`spec/pairing.md` sections 3 and 6).

use std::fmt;
use std::sync::Arc;

use crate::{
    KeyEntry, LocalKey, Name, RequestHash, RequestId, SecretBytes, ServerApproval,
    WalletFingerprint,
};

/// A holder's decision; a refusal is an answer, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<T> {
    /// Yes, with what was asked for.
    Approve(T),
    /// No.
    Refuse,
}

/// One response.
pub struct Response {
    /// The request's id.
    pub id: RequestId,
    /// The answerer's clock, seconds since 1970.
    pub unix_s: u64,
    /// The hash of the request that is answered.
    pub request_hash: RequestHash,
    /// How it went.
    pub outcome: Outcome,
    /// Stands with [`Outcome::Ack`] and [`Outcome::Approve`] only.
    pub body: Option<ResponseBody>,
    /// Stands with the outcomes that have one ([`Outcome::has_receipt`]).
    pub receipt: Option<SignedReceipt>,
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// 0: a person is being asked.
    Ack,
    /// 1: done.
    Approve,
    /// 2: the holder, or a rule of the holder, said no.
    Refuse,
    /// 3: nobody answered in time, or it came too late.
    Expire,
    /// 4: the pairing has ended.
    Unpair,
    /// 5: no such key there.
    UnknownKey,
    /// 6: this version of the keeper cannot do that.
    Unsupported,
    /// 7: the request could not be read.
    Malformed,
    /// 8: a changed host key.
    Block,
    /// 9: the asker took it back.
    Withdraw,
    /// 10: locked, overloaded, or not able to write its log.
    Busy,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Ack,
        Self::Approve,
        Self::Refuse,
        Self::Expire,
        Self::Unpair,
        Self::UnknownKey,
        Self::Unsupported,
        Self::Malformed,
        Self::Block,
        Self::Withdraw,
        Self::Busy,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ack => 0,
            Self::Approve => 1,
            Self::Refuse => 2,
            Self::Expire => 3,
            Self::Unpair => 4,
            Self::UnknownKey => 5,
            Self::Unsupported => 6,
            Self::Malformed => 7,
            Self::Block => 8,
            Self::Withdraw => 9,
            Self::Busy => 10,
        }
    }

    /// The outcome of a number on the wire.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }

    /// The word in logs and in the commands' JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Approve => "approve",
            Self::Refuse => "refuse",
            Self::Expire => "expired",
            Self::Unpair => "unpaired",
            Self::UnknownKey => "unknown-key",
            Self::Unsupported => "unsupported",
            Self::Malformed => "malformed",
            Self::Block => "blocked",
            Self::Withdraw => "withdrawn",
            Self::Busy => "busy",
        }
    }

    /// Whether a response with this outcome carries a signed receipt (section 6).
    #[must_use]
    pub const fn has_receipt(self) -> bool {
        matches!(
            self,
            Self::Approve
                | Self::Refuse
                | Self::Expire
                | Self::Unpair
                | Self::Block
                | Self::Withdraw
        )
    }

    /// Whether a response with this outcome may carry a body.
    #[must_use]
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Ack | Self::Approve)
    }
}

/// What a response brings, by the kind of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseBody {
    /// `ack_response`, for any kind that asks a person.
    Ack(AckResponse),
    /// To `me_request`.
    Me(MeResponse),
    /// To `sign_request`: the signature, in the form's own encoding.
    Signature(Vec<u8>),
    /// To `decrypt_request`.
    Plaintext(Plaintext),
    /// To `hosts_request`.
    Hosts(Vec<Host>),
    /// To `unpair_request`, `confirm_request`, `cancel_request` and kinds 11 and 12: an empty map.
    Empty,
    /// To kinds 8 and 9.
    Key(KeyEntry),
    /// To kind 10: one key, or all of a token.
    Keys(Vec<KeyEntry>),
    /// To kind 13.
    ServerApproval(ServerApproval),
    /// To kind 14: the Ed25519 public key.
    ApprovalKey([u8; 32]),
    /// To kind 15.
    LocalKey(LocalKey),
}

/// `ack_response`: a person is being asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckResponse {
    /// Only while pairing: the authenticator's share of the compare code and its name.
    pub pairing: Option<([u8; 32], Name)>,
}

/// The me response: who the authenticator is, which keys it holds, how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeResponse {
    /// The holder's name for it.
    pub name: Name,
    /// Public keys.
    pub keys: Vec<KeyEntry>,
    /// How it is reached.
    pub transports: Vec<TransportAddress>,
    /// Where Web Push reaches it.
    pub push_url: Option<String>,
    /// Ed25519 public key that checks this pairing's receipts.
    pub receipt_key: [u8; 32],
    /// The wallets that it holds, at most [`MeResponse::WALLETS_MAX`].
    pub wallets: Vec<WalletFingerprint>,
}

impl MeResponse {
    /// 8 wallets of one authenticator.
    pub const WALLETS_MAX: usize = 8;
}

/// What came of a decryption: a shared point, a file key.
///
/// A handle on one [`SecretBytes`]: handles are passed on with the answer, its bytes are not
/// copied.
#[derive(Clone)]
pub struct Plaintext(Arc<SecretBytes>);

impl Plaintext {
    /// A handle on these bytes.
    #[must_use]
    pub fn new(bytes: SecretBytes) -> Self {
        Self(Arc::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn secret(&self) -> &SecretBytes {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(..)")
    }
}

impl PartialEq for Plaintext {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0)
    }
}

impl Eq for Plaintext {}

/// A way to an authenticator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportAddress {
    /// 0: a relay's URL.
    Relay(String),
    /// 1: `host:port` for TCP.
    Local(String),
    /// 2: the path of a Unix socket on the same machine.
    Unix(String),
}

/// Where a key was used, for `hosts_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The account.
    pub user: String,
    /// The name by which the host is pinned.
    pub host: String,
    /// SHA-256 of the host key's blob.
    pub host_key: [u8; 32],
    /// When last, seconds since 1970.
    pub unix_s: u64,
}

/// What an authenticator states about an answer it gave (section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Counts from 0 within a pairing.
    pub seq: u64,
    /// `H("keystead-log-1", last receipt)`, or 32 zero bytes.
    pub prev: [u8; 32],
    /// Which request.
    pub request_hash: RequestHash,
    /// How it went.
    pub outcome: Outcome,
    /// The authenticator's clock.
    pub unix_s: u64,
    /// `H("keystead-body-1", body bytes, or nothing)`.
    pub body_hash: [u8; 32],
}

/// A receipt as it travels: its exact bytes and the signature over
/// `"keystead-receipt-1" ‖ bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// The receipt, encoded.
    pub bytes: Vec<u8>,
    /// Ed25519, by the pairing's receipt key.
    pub signature: [u8; 64],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plaintext_is_never_printed() {
        let plaintext = |byte| Plaintext::new(SecretBytes::fill(16, |bytes| bytes.fill(byte)));
        assert_eq!(format!("{:?}", plaintext(7)), "Plaintext(..)");
        assert_eq!(plaintext(7), plaintext(7).clone());
        assert_ne!(plaintext(7), plaintext(8));
    }

    #[test]
    fn outcomes_are_numbered_without_a_gap() {
        for (i, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(outcome.number()), i);
            assert_eq!(Outcome::from_number(outcome.number()), Some(outcome));
        }
        assert_eq!(Outcome::from_number(11), None);
    }

    #[test]
    fn receipts_stand_with_the_outcomes_of_section_6() {
        let with: Vec<u8> = Outcome::ALL
            .into_iter()
            .filter(|it| it.has_receipt())
            .map(Outcome::number)
            .collect();
        assert_eq!(with, [1, 2, 3, 4, 8, 9]);
    }
}
