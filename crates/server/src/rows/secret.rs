//! Secrets and keys of the users.
//!
//! **Invariant**: a row is found by (account, key id) and changes by its primary key alone;
//! the value never changes, what it is for and under which label may.

use keystead_channel::session::KeyId;
use keystead_core::SecretBytes;
use zeroize::Zeroizing;

use super::record::{account_no, narrow};
use super::{AccountNo, Cell, PlainReader, PlainWriter, Record, Row, Table};

/// A secret or key: what the client sealed, or what the server holds.
pub struct HeldSecret {
    /// Whose.
    pub account: AccountNo,
    /// Which.
    pub key: KeyId,
    /// Its type (section 8): 1 arbitrary, 2 Ed25519, 3 P-256, 4 secp256k1, 5 RSA.
    pub kind: u8,
    /// What the client sealed it as (0 to 2), or [`SERVER_HELD`].
    pub context: u8,
    /// Of the label, from 0.
    pub revision: u32,
    /// Counted up by each change of the row ([`super::Rows`] does): what an act prepared
    /// outside the lock compares.
    pub version: u32,
    /// When it was made.
    pub made_ms: u64,
    /// The client's ciphertext, or the key's encoding.
    pub value: SecretBytes,
    /// Of a key that the server holds; else empty.
    pub public_key: Vec<u8>,
    /// As the client gave it, sealed if it was.
    pub label: Vec<u8>,
    /// What it may sign, a bit each; 0: nothing.
    pub purposes: u32,
    /// Its policy, CBOR; none: no conditions.
    pub policy: Option<Vec<u8>>,
    /// The one that it took the place of.
    pub replaces: Option<KeyId>,
    /// With which intents it was retrieved, a bit each.
    pub retrieved: u8,
    /// Of the request that made it, so that its repetition is known.
    pub made: [u8; 16],
}

impl Record for HeldSecret {
    const TABLE: Table = Table::Secret;
    type Key = (AccountNo, KeyId);

    fn key(&self) -> Self::Key {
        (self.account, self.key)
    }

    fn key_cells(key: &Self::Key) -> Vec<Cell> {
        vec![Cell::Int(key.0.0), Cell::bytes(&key.1.0)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![
            Cell::Int(self.account.0),
            Cell::bytes(&self.key.0),
            Cell::number(self.kind.into()),
            Cell::number(self.context.into()),
            Cell::number(self.revision.into()),
            Cell::number(self.version.into()),
            Cell::number(self.made_ms),
        ]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let lengths = [self.value.len(), self.public_key.len(), self.label.len()];
        let policy = self.policy.as_ref().map_or(0, Vec::len);
        let mut out = PlainWriter::with_room(lengths.iter().sum::<usize>().saturating_add(policy));
        out.bytes(self.value.expose());
        out.bytes(&self.public_key);
        out.bytes(&self.label);
        out.number(self.purposes.into());
        out.maybe_bytes(self.policy.as_deref());
        out.maybe_bytes(self.replaces.as_ref().map(|key| key.0.as_slice()));
        out.number(self.retrieved.into());
        out.bytes(&self.made);
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        Some(Self {
            account: account_no(row, 0)?,
            key: KeyId(row.array(1)?),
            kind: narrow(row, 2)?,
            context: narrow(row, 3)?,
            revision: narrow(row, 4)?,
            version: narrow(row, 5)?,
            made_ms: row.number(6)?,
            value: plain.secret_bytes()?,
            public_key: plain.bytes()?.to_vec(),
            label: plain.bytes()?.to_vec(),
            purposes: plain.narrow()?,
            policy: plain.maybe(|it| it.bytes().map(<[u8]>::to_vec))?,
            replaces: plain.maybe(|it| it.array().map(KeyId))?,
            retrieved: plain.narrow()?,
            made: plain.array()?,
        })
    }
}

/// [`HeldSecret::context`] of what the server itself holds.
pub const SERVER_HELD: u8 = 255;
