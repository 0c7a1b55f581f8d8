//! The key of a question: one that lies here by its name, one that is derived by its identity.

use std::fmt;

use keystead_core::{Identity, Name, WalletFingerprint};

use super::{Row, plain, warn};
use crate::entry::Entry;
use crate::show::Safe;

/// The key that signs or decrypts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyWords {
    /// One that lies here.
    Stored(Name),
    /// One that a wallet derives.
    Derived {
        /// From what, as it is hashed.
        identity: Identity,
        /// Which wallet.
        wallet: WalletFingerprint,
        /// In what the request differs from the identity: shown, not refused, since one
        /// identity may be for many hosts.
        differs: Vec<String>,
    },
}

impl KeyWords {
    /// With `behind` the name of a key that lies here. An identity is shown whole: it is ASCII
    /// that can be printed.
    pub(super) fn rows(&self, behind: &str) -> Vec<Row> {
        match self {
            Self::Stored(name) => vec![plain("With key", format!("{name}{behind}"))],
            Self::Derived {
                identity,
                wallet,
                differs,
            } => {
                let mut rows = vec![
                    plain("Identity", identity.uri()),
                    plain("", format!("{}, of wallet {wallet}", details(identity))),
                ];
                rows.extend(differs.iter().map(|it| warn("", it.as_str())));
                rows
            }
        }
    }

    pub(crate) fn describe(&self, entry: &mut Entry) {
        match self {
            Self::Stored(name) => entry.key = Some(name.to_string()),
            Self::Derived {
                identity, wallet, ..
            } => {
                entry.identity = Some(identity.to_string());
                entry.wallet = Some(wallet.to_string());
            }
        }
    }

    /// The text behind `proto://` of an identity.
    #[must_use]
    pub fn identity_text(&self) -> Option<&str> {
        match self {
            Self::Stored(_) => None,
            Self::Derived { identity, .. } => Some(identity.rest()),
        }
    }
}

impl fmt::Display for KeyWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(name) => write!(f, "{}", Safe(name.as_str())),
            Self::Derived { identity, .. } => write!(f, "{identity}"),
        }
    }
}

impl From<Name> for KeyWords {
    fn from(name: Name) -> Self {
        Self::Stored(name)
    }
}

fn details(identity: &Identity) -> String {
    match identity.index() {
        0 => identity.curve().to_string(),
        index => format!("{}, index {index}", identity.curve()),
    }
}
