//! Methods 2 to 7: secrets and keys come, are made, and are read.
//!
//! **Invariant**: what only the client may open travels sealed and is opaque here;
//! what the server may know (methods 6 and 7 of server-held keys) is a secret here too.

use super::label::{Label, SEAL_BYTES, SEALED_LABEL_BYTES_MAX};
use super::policy::Policy;
use crate::session::fields::{List, Octets, SecretOctets, message, numbers};
use crate::session::ids::{KeyId, UserId};

message! {
    /// Method 2.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Complete {
        /// seal(master_key, user_id ‖ "storage key", storage_key).
        1 storage_key: [u8; SEALED_STORAGE_KEY_BYTES],
        /// Whose.
        2 user: UserId,
        /// H(recovery code).
        3 recovery_hash: [u8; 32],
    }
}

message! {
    /// The result of method 3.
    #[derive(Clone, Debug, PartialEq, Eq)]
    StorageKey {
        /// As it came with `complete`.
        0 storage_key: [u8; SEALED_STORAGE_KEY_BYTES],
    }
}

message! {
    /// Method 4.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Put {
        /// The key id is made of it.
        1 nonce: [u8; 32],
        /// Where it comes from.
        2 context: Context,
        /// What it is.
        3 kind: KeyType,
        /// Sealed under the storage key.
        4 value: Octets<SEALED_VALUE_BYTES_MAX>,
        /// Sealed too.
        5 label: Octets<SEALED_LABEL_BYTES_MAX>,
        /// Which older one it rotates.
        6 replaces: Option<KeyId>,
    }
}

message! {
    /// Method 5.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Generate {
        /// The key id is made of it.
        1 nonce: [u8; 32],
        /// What it is to be.
        3 kind: KeyType,
        /// Open: the server holds the key, too.
        5 label: Label,
        /// Which older one it rotates.
        6 replaces: Option<KeyId>,
        /// Bytes of an arbitrary secret, bits of an RSA key.
        7 size: Option<u32>,
        /// What it may sign.
        8 purposes: List<KeyPurpose, PURPOSES_MAX>,
        /// When.
        9 policy: Option<Policy>,
    }
}

message! {
    /// Method 6.
    Import {
        /// The key id is made of it.
        1 nonce: [u8; 32],
        /// What it is.
        3 kind: KeyType,
        /// Open, as in method 5.
        5 label: Label,
        /// Which older one it rotates.
        6 replaces: Option<KeyId>,
        /// The key itself, in its type's encoding.
        7 value: SecretOctets<VALUE_BYTES_MAX>,
        /// What it may sign.
        8 purposes: List<KeyPurpose, PURPOSES_MAX>,
        /// When.
        9 policy: Option<Policy>,
    }
}

message! {
    /// Method 7.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Retrieve {
        /// Which.
        1 key: KeyId,
        /// What for.
        2 intent: Intent,
        /// What the client takes it for.
        3 kind: KeyType,
    }
}

numbers! {
    /// Where a value comes from; the last part of its associated data.
    Context {
        /// "client-generated".
        Generated = 0,
        /// "imported key".
        Imported = 1,
        /// "stored".
        Stored = 2,
    }
}

impl Context {
    /// As it stands in the associated data.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Generated => "client-generated",
            Self::Imported => "imported key",
            Self::Stored => "stored",
        }
    }
}

numbers! {
    /// What a secret is.
    KeyType {
        /// Any bytes.
        Arbitrary = 1,
        /// An Ed25519 seed.
        Ed25519 = 2,
        /// A P-256 scalar.
        P256 = 3,
        /// A secp256k1 scalar.
        Secp256k1 = 4,
        /// An RSA key, PKCS#1 DER.
        Rsa = 5,
    }
}

numbers! {
    /// What a server-held key may sign; only SSH login and SSHSIG may share a key.
    KeyPurpose {
        /// SSH logins.
        SshLogin = 1,
        /// SSHSIG.
        SshSig = 2,
        /// OpenPGP.
        OpenPgp = 3,
        /// Messages.
        Message = 4,
        /// Digests.
        Digest = 5,
    }
}

numbers! {
    /// What a retrieval is for.
    Intent {
        /// Nothing: it is audited and returns nothing.
        Null = 0,
        /// Use on this machine.
        LocalOnly = 1,
        /// To leave it.
        Export = 2,
    }
}

/// 72 bytes: nonce, 32 bytes, tag.
pub const SEALED_STORAGE_KEY_BYTES: usize = SEAL_BYTES + 32;

/// 65,536 bytes: a value before it is sealed (section 8).
pub const VALUE_BYTES_MAX: usize = 65_536;

/// A value as the client seals it: with its length and its type.
pub const SEALED_VALUE_BYTES_MAX: usize = SEAL_BYTES + 4 + VALUE_BYTES_MAX + 1;

/// Of all purposes there are five.
pub(super) const PURPOSES_MAX: usize = 5;
