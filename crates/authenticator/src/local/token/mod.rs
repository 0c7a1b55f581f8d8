//! PKCS#11 tokens, each library in a process of its own: what a foreign library does, it does
//! where no key is (as OpenSSH's `ssh-pkcs11-helper`).
//!
//! **Invariant**: the process that loads a library holds nothing but the token's PIN while it
//! logs in.
//!
//! It is this very program, as `local --token`, and speaks the local link: an import of form
//! `Token` opens the library and lists its keys; a sign request signs.

#[cfg(feature = "pkcs11")]
mod library;
mod parent;
#[cfg(feature = "pkcs11")]
mod public;
#[cfg(feature = "pkcs11")]
mod server;

use keystead_core::Name;
use keystead_formats::ssh::PublicKey;

pub(super) use parent::{Token, start};
#[cfg(feature = "pkcs11")]
pub(super) use server::serve;

/// A key that a token has.
#[derive(Clone, Debug)]
pub struct TokenKey {
    /// Its public half.
    pub public: PublicKey,
    /// The token's label for it, else its library's name.
    pub name: Name,
}

/// This program loads no library.
#[cfg(not(feature = "pkcs11"))]
pub(super) fn serve(
    _: std::os::unix::net::UnixStream,
    _: std::os::unix::net::UnixStream,
) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
