//! Identities: what is remembered of them, and where they are offered.

mod patterns;
mod records;

use keystead_core::WalletFingerprint;

use crate::kept::WalletView;

pub use crate::kept::comment;
pub use patterns::{FILE_NAME, Login, Offer, Patterns, PatternsError};
pub(crate) use records::{Record, Records};

/// Is the record of a wallet that is there now? One that was not told before its keeper said
/// which wallets it has may be.
pub(crate) fn is_of(record: &Record, whose: &WalletView) -> bool {
    let fits = |wallet: WalletFingerprint| whose.fingerprint.is_none_or(|it| it == wallet);
    record.pairing == whose.pairing && record.wallet.is_none_or(fits)
}
