//! The only crate that can hold a private key.
//!
//! **Invariant:** the bytes of a private key leave this crate sealed or not at
//! all. They lie in locked memory, are handed to the signing library for the
//! moment of one signature, and nothing that holds them can be copied or
//! shown. Bytes come in, bytes go out: no I/O, and randomness is an argument.
//!
//! | type | holds | at rest |
//! |---|---|---|
//! | [`SigningKey`] | a private key | [`SealedKey`], under the store key |
//! | [`AgreementKey`] | a private key that decrypts | as one that signs |
//! | [`wallet::Wallet`] | a seed, of which keys are derived | [`wallet::SealedSeed`], under the store key |
//! | [`StoreKey`] | what opens the keys of a store | header, under the passphrase |
//! | [`ApprovalKey`] | a key that approves for one key server | [`SealedApprovalKey`], under the store key |
//! | [`ReceiptKey`] | a channel key: signs a pairing's receipts | as its owner's other channel keys |
//! | [`LogKey`] | a channel key: signs the head of a key server's log | as the server's other rows |

mod agreement;
mod approval;
pub mod client;
mod generate;
pub mod held;
mod import;
mod log_key;
mod passphrase;
mod receipt;
mod sealed;
mod signing;
mod store;
pub mod wallet;
mod wire;

pub use agreement::{AgreementError, AgreementKey};
pub use approval::{ApprovalKey, SealedApprovalKey};
pub use import::{ImportError, Imported};
pub use log_key::LogKey;
pub use passphrase::{Cost, CostRefused};
pub use receipt::ReceiptKey;
pub use sealed::{Custody, Facts, SealedKey, SealedKeyError, StoredKey};
pub use signing::{
    DigestHash, Presence, PublicKey, RawSignature, RsaHash, SignOptions, SigningError, SigningKey,
};
pub use store::{StoreError, StoreKey};
