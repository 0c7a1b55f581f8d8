//! What is counted, and what is let in: guesses, device passes, invitations.
//!
//! **Invariant**: a count is never open without its seal: who has the database can neither
//! read a name in these rows nor lower a number.

use keystead_channel::session::AccountName;
use zeroize::Zeroizing;

use super::record::{account_no, flag};
use super::{AccountNo, Cell, NameTag, PlainReader, PlainWriter, Record, Row, Table};

/// Guesses at one name's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// Of the name.
    pub tag: NameTag,
    /// Whether an account has the name.
    pub is_known: bool,
    /// The last try.
    pub last_ms: u64,
    /// Guesses since the last success or unlocking.
    pub count: u32,
    /// Failed logins since the last success, for the person.
    pub failed: u32,
    /// Logins that were not looked at since the last entry that counted them.
    pub refused: u32,
    /// When that was.
    pub waits_logged_ms: u64,
    /// The time that the last approver's unlocking was signed for: each lifts one lock.
    pub lifted_unix_s: u64,
    /// Of an account's name: the one that its chain names ([`super::Rows`] sets it).
    pub version: u32,
}

/// A device pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Of its 32 bytes.
    pub hash: [u8; 32],
    /// Whose.
    pub account: AccountNo,
    /// When it was given.
    pub made_ms: u64,
    /// Wrong passwords with it.
    pub count: u32,
    /// Of the account's name.
    pub tag: NameTag,
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Of its token.
    pub hash: [u8; 32],
    /// When it was made.
    pub made_ms: u64,
    /// Whether somebody came by it.
    pub used: bool,
    /// For whom.
    pub name: AccountName,
}

impl Record for Guess {
    const TABLE: Table = Table::Guess;
    type Key = NameTag;

    fn key(&self) -> NameTag {
        self.tag
    }

    fn key_cells(key: &NameTag) -> Vec<Cell> {
        vec![Cell::bytes(&key.0)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![
            Cell::bytes(&self.tag.0),
            Cell::number(self.is_known.into()),
            Cell::number(self.last_ms),
        ]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let mut out = PlainWriter::with_room(0);
        out.number(self.count.into());
        out.number(self.failed.into());
        out.number(self.refused.into());
        out.number(self.waits_logged_ms);
        out.number(self.lifted_unix_s);
        out.number(self.version.into());
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        Some(Self {
            tag: NameTag(row.array(0)?),
            is_known: flag(row, 1)?,
            last_ms: row.number(2)?,
            count: plain.narrow()?,
            failed: plain.narrow()?,
            refused: plain.narrow()?,
            waits_logged_ms: plain.number()?,
            lifted_unix_s: plain.number()?,
            version: plain.narrow()?,
        })
    }
}

impl Record for Pass {
    const TABLE: Table = Table::Pass;
    type Key = [u8; 32];

    fn key(&self) -> Self::Key {
        self.hash
    }

    fn key_cells(key: &Self::Key) -> Vec<Cell> {
        vec![Cell::bytes(key)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![
            Cell::bytes(&self.hash),
            Cell::Int(self.account.0),
            Cell::number(self.made_ms),
        ]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let mut out = PlainWriter::with_room(0);
        out.number(self.count.into());
        out.bytes(&self.tag.0);
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        Some(Self {
            hash: row.array(0)?,
            account: account_no(row, 1)?,
            made_ms: row.number(2)?,
            count: plain.narrow()?,
            tag: NameTag(plain.array()?),
        })
    }
}

impl Record for Invitation {
    const TABLE: Table = Table::Invitation;
    type Key = [u8; 32];

    fn key(&self) -> Self::Key {
        self.hash
    }

    fn key_cells(key: &Self::Key) -> Vec<Cell> {
        vec![Cell::bytes(key)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![
            Cell::bytes(&self.hash),
            Cell::number(self.made_ms),
            Cell::number(self.used.into()),
        ]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let mut out = PlainWriter::with_room(self.name.as_str().len());
        out.text(self.name.as_str());
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        Some(Self {
            hash: row.array(0)?,
            made_ms: row.number(1)?,
            used: flag(row, 2)?,
            name: AccountName::parse(plain.text()?).ok()?,
        })
    }
}
