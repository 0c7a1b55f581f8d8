//! A secret's copy on this machine, and a secret that is nowhere else.
//!
//! **Invariant:** a copy opens for the server, the user, the key, the context and the type that
//! it was made for, or not at all; one of this machine alone has zeros for server and user.
//!
//! `"keystead-copy-1" ‖ server_id 16 ‖ user_id 32 ‖ key_id 16 ‖ string c ‖ type u8 ‖
//! seal(local key, all before it, len u32 ‖ secret ‖ type u8)`, strings as in RFC 4251.

use rand_core::CryptoRngCore;

use super::seal::{self, NotOpened, length};
use super::{LocalKey, Value};
use crate::held::Kind;
use crate::wire::{Malformed, Reader};

/// A copy in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCopy {
    copied: Copied,
    /// All that stands before the box.
    head: Vec<u8>,
    sealed: Vec<u8>,
}

/// What a copy is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Zeros where it is of no server.
    pub server: [u8; 16],
    /// Zeros where it is of no server.
    pub user: [u8; 32],
    /// As the server names it.
    pub key: [u8; 16],
    /// "client-generated", "imported key", "stored"; of a secret that the server made, empty.
    pub context: String,
    /// What it is.
    pub kind: Kind,
}

impl LocalCopy {
    /// Seals a copy.
    #[must_use]
    pub fn seal(
        key: &LocalKey,
        copied: Copied,
        value: &Value,
        rng: &mut dyn CryptoRngCore,
    ) -> Self {
        let head = copied.head();
        let sealed = seal::seal(key.secret(), &[&head], value.to_plain().expose(), rng);
        Self {
            copied,
            head,
            sealed,
        }
    }

    /// What it says that it is of; proved by opening it.
    #[must_use]
    pub const fn copied(&self) -> &Copied {
        &self.copied
    }

    /// Opens it, if it is of what was asked for.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, key: &LocalKey, wanted: &Copied) -> Result<Value, NotOpened> {
        let plain = seal::open(key.secret(), &[&wanted.head()], &self.sealed)?;
        let value = Value::from_plain(plain.expose()).ok_or(NotOpened)?;
        if value.kind() != wanted.kind {
            return Err(NotOpened);
        }
        Ok(value)
    }

    /// For its file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.head.as_slice(), &self.sealed].concat()
    }

    /// Takes a file apart; `None` for anything else.
    #[must_use]
    pub fn decode(file: &[u8]) -> Option<Self> {
        Self::parse(file).ok()
    }

    fn parse(file: &[u8]) -> Result<Self, Malformed> {
        let rest = file.strip_prefix(LABEL).ok_or(Malformed)?;
        let mut reader = Reader::new(rest);
        let copied = Copied {
            server: reader.array()?,
            user: reader.array()?,
            key: reader.array()?,
            context: reader.text()?.to_owned(),
            kind: Kind::from_number(u16::from(reader.u8()?)).ok_or(Malformed)?,
        };
        let sealed = reader.rest().to_vec();
        if sealed.len() < SEALED_BYTES_MIN {
            return Err(Malformed);
        }
        Ok(Self {
            head: copied.head(),
            copied,
            sealed,
        })
    }
}

impl Copied {
    fn head(&self) -> Vec<u8> {
        let context = self.context.as_bytes();
        [
            LABEL,
            &self.server,
            &self.user,
            &self.key,
            &length(context),
            context,
            &[self.kind.number()],
        ]
        .concat()
    }
}

const LABEL: &[u8] = b"keystead-copy-1";

/// Nonce, tag, a length and a type: below that nothing is sealed.
const SEALED_BYTES_MIN: usize = 24 + 16 + 4 + 1;
