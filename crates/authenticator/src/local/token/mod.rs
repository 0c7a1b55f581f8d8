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

use keystead_core::{KeyId, Name, SecretBytes};
use keystead_formats::ssh::PublicKey;

pub(super) use parent::Token;
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

/// What a token does.
pub enum TokenWork {
    /// Load the library, open the token, list its keys; [`super::Done::Opened`].
    Open {
        /// What opens the token.
        pin: Option<SecretBytes>,
    },
    /// A signature; [`super::Done::Signed`].
    Sign {
        /// By which of its keys.
        key: KeyId,
        /// What is signed.
        content: Vec<u8>,
        /// As in the request.
        flags: u32,
    },
}

/// This program loads no library.
#[cfg(not(feature = "pkcs11"))]
pub(super) fn serve(
    _: std::os::unix::net::UnixStream,
    _: std::os::unix::net::UnixStream,
) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
