//! Methods 8 to 11, and what a key or secret looks like from outside.
//!
//! **Invariant**: what the client sealed stands here as it came, and is opened by the client alone.

use super::label::Label;
use super::policy::Policy;
use super::secrets::{Context, KeyPurpose, KeyType, PURPOSES_MAX, SEALED_VALUE_BYTES_MAX};
use crate::session::fields::{self, Octets, SecretOctets, message};
use crate::session::ids::KeyId;

message! {
    /// Method 8.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    List {
        /// Behind this one; from the first without it.
        1 after: Option<KeyId>,
        /// At most so many.
        2 limit: u32,
    }
}

message! {
    /// Methods 9 and 11.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Show {
        /// Which.
        1 key: KeyId,
    }
}

message! {
    /// Method 10.
    #[derive(Clone, Debug, PartialEq, Eq)]
    LabelChange {
        /// Whose.
        1 key: KeyId,
        /// The first is 0; a change has the number behind the one before.
        2 revision: u32,
        /// In the form that the first had.
        3 label: Label,
    }
}

message! {
    /// The result of methods 4 to 6.
    #[derive(Clone, Debug, PartialEq, Eq)]
    NewKey {
        /// Its id, as both compute it.
        0 key: KeyId,
        /// The public half of a server-held signing key.
        1 public_key: Option<Octets<PUBLIC_KEY_BYTES_MAX>>,
    }
}

message! {
    /// The result of method 7; nothing of it is there for the intent null.
    Retrieved {
        /// Where it comes from, where the client sealed it.
        0 context: Option<Context>,
        /// The value: the client's ciphertext, or the server-held secret.
        1 value: Option<SecretOctets<SEALED_VALUE_BYTES_MAX>>,
    }
}

message! {
    /// The result of method 9, and an element of that of method 8.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Entry {
        /// Its id.
        0 key: KeyId,
        /// What it is.
        1 kind: KeyType,
        /// Where it comes from; absent where the server holds it.
        2 context: Option<Context>,
        /// The label.
        3 label: Label,
        /// How often the label changed.
        4 revision: u32,
        /// When it was made, by the server's clock.
        5 created_unix_ms: u64,
        /// Which older one it rotates.
        6 replaces: Option<KeyId>,
        /// The public half of a signing key.
        7 public_key: Option<Octets<PUBLIC_KEY_BYTES_MAX>>,
        /// What it may sign.
        8 purposes: fields::List<KeyPurpose, PURPOSES_MAX>,
        /// When.
        9 policy: Option<Policy>,
    }
}

message! {
    /// The result of method 8.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Entries {
        /// In the order of their ids.
        0 entries: fields::List<Entry, PAGE_MAX>,
        /// There are more behind the last one.
        1 more: bool,
    }
}

message! {
    /// The result of method 8 with status *corrupt*: the one behind the page before.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Unread {
        /// Which entry the server cannot open.
        0 key: KeyId,
    }
}

/// 100 entries a page: with policies and labels, what one frame holds.
pub const PAGE_MAX: usize = 100;

/// 2,048 bytes: an RSA public key of 8,192 bits in PKCS#1 has 1,036.
pub const PUBLIC_KEY_BYTES_MAX: usize = 2_048;
