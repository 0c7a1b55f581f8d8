//! Pairing: two machines that share nothing but a QR code come to know each other's keys.
//!
//! ```text
//! workstation                                    authenticator
//! Offered ───────────── QR code or link ───────▶ Scanned
//! Greeted ◀───────────── pairing hello ───────── │
//! │ ─────────── me request, nonce_c ───────────▶ Answered
//! Compared ◀──────── ack, nonce_s ────────────── │
//! │ ◀─── me response, once the holder said yes ─ Approved
//! Confirming ─────────── confirm, pair_key ────▶ Paired
//! Paired ◀────────────────── done ────────────── │
//! ```
//!
//! **Invariant**: each state is consumed by the step out of it, so an offer is
//! taken once, a nonce is shown for one question only, and nothing is stored
//! before both persons have said yes. The offer never holds a secret key; the
//! one-time secret dies with the last state (`spec/pairing.md` section 2).

mod authenticator;
mod code;
mod hello;
mod offer;
mod workstation;

pub use authenticator::{Answered, Approved, Scanned};
pub use code::Code;
pub use hello::{
    HELLO_FRAME_BYTES, HELLO_TYPE, Hello, HelloError, HelloReader, hello_accepts, open_hello,
    seal_hello,
};
pub(crate) use offer::is_wrapping;
pub use offer::{LocalAddress, Offer, OfferError, RelayUrl};
pub use workstation::{Compared, Confirming, Greeted, Offered, OtherHello, Receive};

use std::sync::Arc;

use keystead_core::{PairingId, Secret};

use crate::curve::{KeyPair, PublicKey};

/// What both sides store: their own keys of this pairing, the other's, and
/// the key that its mailboxes come from.
pub struct Paired {
    /// (C, Cs) at the workstation, (S, Ss) at the authenticator.
    pub own: Arc<KeyPair>,
    /// S at the workstation, C at the authenticator.
    pub peer: PublicKey,
    /// Drawn by the workstation.
    pub pair_key: Secret<32>,
    /// What this pairing is called on this machine.
    pub id: PairingId,
}

/// Why a pairing came to nothing; nothing is stored then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// Nobody took the offer in time.
    #[error("the offer has expired")]
    OfferExpired,
    /// A second authenticator has the one-time secret too.
    #[error("two authenticators answered the same offer")]
    Race,
    /// The authenticator's nonce is not the one that it had committed to.
    #[error("the authenticator broke its commitment")]
    Commitment,
    /// The workstation did not speak to this authenticator after its hello.
    #[error("the workstation did not answer")]
    NoMeRequest,
    /// A second me request with another nonce: an attempt to choose the code.
    #[error("the workstation changed its nonce")]
    NonceChanged,
    /// The persons did not confirm in time.
    #[error("the code was not confirmed in time")]
    CodeExpired,
    /// The last message of the pairing was not answered in time.
    #[error("the pairing was not confirmed by the other side")]
    ConfirmExpired,
}

/// An offer lives 2 minutes: long enough to unlock a phone and scan.
pub const OFFER_MS: u64 = 120_000;

/// The authenticator repeats its hello every 5 s until it is answered.
pub const HELLO_REPEAT_MS: u64 = 5_000;

/// Without a me request 30 s after its hello the authenticator gives up.
pub const ME_REQUEST_MS: u64 = 30_000;

/// Both persons compare and confirm within 2 minutes.
pub const CODE_MS: u64 = 120_000;

/// The workstation repeats its confirm request for 60 s.
pub const CONFIRM_MS: u64 = 60_000;
