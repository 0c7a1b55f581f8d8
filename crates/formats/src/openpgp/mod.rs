//! OpenPGP as GnuPG and trezor-agent write it (RFC 4880, RFC 6637, draft-koch-eddsa-for-openpgp),
//! and the forms in which gpg and its agent pass keys, signatures and session keys.
//!
//! **Invariant:** no private key is ever here. What is to be signed comes out as a digest
//! ([`Unsigned::digest`]); the signature that somebody else makes goes in
//! ([`Unsigned::finish`]), and is verified before it is taken.
//!
//! | module | holds |
//! |---|---|
//! | [`curve`], [`public`], [`keygrip`] | public keys; libgcrypt's names of them |
//! | [`digest`] | hash functions and what a keeper is given to sign |
//! | [`packet`], [`armor`] | framing |
//! | [`key`], [`fingerprint`] | key packets, and what names them |
//! | [`signature`], [`subpacket`], [`trailer`] | signatures, and what they hash beside the data |
//! | [`build`] | user ids, subkeys and revocations bound to a key |
//! | [`transferable`] | a whole public key, read and put together |
//! | [`kem`], [`point`] | session keys: points, key derivation and unwrap of RFC 6637 |
//! | [`values`] | S-expressions of the agent protocol |

pub mod armor;
pub mod build;
pub mod curve;
pub mod digest;
pub mod fingerprint;
pub mod kem;
pub mod key;
mod key_wrap;
pub mod keygrip;
pub mod packet;
pub mod point;
pub mod public;
pub mod signature;
pub mod subpacket;
pub mod trailer;
pub mod transfer;
pub mod transferable;
pub mod values;

pub use build::{Form, Revocation, Usage};
pub use curve::Curve;
pub use digest::HashAlgorithm;
pub use fingerprint::Fingerprint;
pub use key::KeyPacket;
pub use keygrip::Keygrip;
pub use public::PublicKey;
pub use signature::{Signature, Unsigned};
pub use trailer::Trailer;
pub use transfer::{Arrived, Protected, TransferError, Transferred};
pub use transferable::Transferable;
