//! What other programs' files and messages hold, decoded and encoded whole or not at all;
//! signatures verified.
//!
//! **Invariant:** a value of this crate stands for every byte it was read from. What cannot be
//! read whole is refused, never read in part, so what a holder is shown is all that is signed.
//! Nothing here holds a private key, and no reader allocates more than it was given.
//!
//! | module | speaks to |
//! |---|---|
//! | [`ssh`] | OpenSSH, and git with `gpg.format=ssh` |
//! | [`assuan`], [`sexp`], [`openpgp`] | GnuPG |
//! | [`age`] | age, rage |
//! | [`minisign`] | minisign, signify |
//! | [`git`] | git |
//! | [`trezor_agent`] | who had identities before |
//! | [`key_use`] | whoever asked a key that is held elsewhere |

pub mod age;
pub mod assuan;
mod cbor;
pub mod git;
pub mod key_use;
pub mod minisign;
pub mod openpgp;
pub mod sexp;
pub mod ssh;
pub mod trezor_agent;

pub use ssh::ParseError;
