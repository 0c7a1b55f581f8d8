//! Why keys stay locked, are not made, do not come in, or do not sign.

use std::io;

use keystead_core::{Name, WalletFingerprint};
use keystead_vault::{AgreementError, SealedKeyError, SigningError, StoreError};

use super::KEYS_MAX;

/// Why the keys stay locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The store does not open.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The store opens, a key in it does not.
    #[error("the key {name} cannot be opened: {source}")]
    Key {
        /// Which key.
        name: Name,
        /// Why.
        source: SealedKeyError,
    },
    /// The store opens, a wallet in it does not.
    #[error("the wallet {fingerprint} cannot be opened: {source}")]
    Wallet {
        /// Which wallet.
        fingerprint: WalletFingerprint,
        /// Why.
        source: SealedKeyError,
    },
}

impl UnlockError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Store(error) => error.hint(),
            Self::Key { source, .. } | Self::Wallet { source, .. } => source.hint(),
        }
    }
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeKeyError {
    /// Two keys of one name could not be told apart.
    #[error("there is a key {name} already")]
    Taken {
        /// The name.
        name: Name,
    },
    /// [`KEYS_MAX`] are there.
    #[error("there are {KEYS_MAX} keys already, and no more fit one answer")]
    Full,
    /// No such key is for that, or for all of that.
    #[error("no key of this type is for that")]
    Purposes,
    /// The store is locked.
    #[error("the authenticator is locked")]
    Locked,
    /// The library gave none.
    #[error("no key could be made")]
    Broken(#[from] SigningError),
    /// It could not be written.
    #[error("the key could not be written")]
    Disk(#[source] io::Error),
}

impl MakeKeyError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "choose another name; keystead-authenticator key list shows them",
            Self::Full => "use one of the keys there are, or remove one",
            Self::Purposes => {
                "one key is for one of ssh, openpgp, openpgp-decrypt, age and signify; x25519 \
                 decrypts, ed25519 signs"
            }
            Self::Locked => "keystead-authenticator unlock",
            Self::Broken(_) => "the system's randomness or the signing library is broken",
            Self::Disk(_) => DISK_HINT,
        }
    }
}

/// Why a key is not taken into custody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportKeyError {
    /// It is here already, made here or brought another way.
    #[error("this key is here already, as {name}")]
    Known {
        /// Its name here.
        name: Name,
    },
    /// [`KEYS_MAX`] are there.
    #[error("there are {KEYS_MAX} keys already, and no more fit one answer")]
    Full,
    /// The store is locked.
    #[error("the authenticator is locked")]
    Locked,
    /// It could not be sealed.
    #[error("the key could not be kept")]
    Broken(#[from] SigningError),
    /// It could not be written.
    #[error("the key could not be written")]
    Disk(#[source] io::Error),
}

impl ImportKeyError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Known { .. } => "use it; or remove it first, to bring it with other limits",
            Self::Full => "remove a key that is no longer needed",
            Self::Locked => "keystead-authenticator unlock",
            Self::Broken(_) => "the signing library is broken",
            Self::Disk(_) => DISK_HINT,
        }
    }
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The store is locked.
    #[error("the authenticator is locked")]
    Locked,
    /// No such key.
    #[error("there is no such key")]
    Unknown,
    /// The key does not sign like that: [`SigningError::NoHash`].
    #[error("{0}")]
    Signing(#[from] SigningError),
    /// There is no shared secret.
    #[error("{0}")]
    Agreement(#[from] AgreementError),
    /// The number that a signature with presence states could not be written.
    #[error("the counter of signatures could not be written")]
    Disk(#[source] io::Error),
}

const DISK_HINT: &str = "check the state folder's free space and permissions";
