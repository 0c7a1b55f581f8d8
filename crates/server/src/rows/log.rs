//! The log's rows: leaves by block, where an account's are, the tree by tile.
//!
//! **Invariant**: nothing here is trusted as it stands: whoever reads leaves or hashes
//! checks them against the head, and a block's leaves open only under its place.

use super::record::{account_no, narrow};
use super::{AccountNo, Cell, Row};

/// Leaves of one commit, or of a full tile; sealed by the ledger under table `block`,
/// bound to `first` and `count` ([`LogBlock::bound`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogBlock {
    /// The first leaf's index.
    pub first: u64,
    /// How many leaves.
    pub count: u16,
    /// 32 bytes each; empty once they are in a tile.
    pub hashes: Vec<u8>,
    /// The leaves, sealed.
    pub sealed: Vec<u8>,
}

impl LogBlock {
    /// What the seal of a block is bound to.
    #[must_use]
    pub fn bound(first: u64, count: u16) -> [Cell; 2] {
        [Cell::number(first), Cell::number(count.into())]
    }

    /// As the database has it.
    #[must_use]
    pub fn to_row(&self) -> Row {
        Row {
            cells: vec![
                Cell::number(self.first),
                Cell::number(self.count.into()),
                Cell::bytes(&self.hashes),
                Cell::bytes(&self.sealed),
            ],
        }
    }

    /// Of a row; none if it is of another form.
    #[must_use]
    pub fn from_row(row: &Row) -> Option<Self> {
        Some(Self {
            first: row.number(0)?,
            count: narrow(row, 1)?,
            hashes: row.bytes(2)?.to_vec(),
            sealed: row.bytes(3)?.to_vec(),
        })
    }
}

/// Up to 256 nodes of one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTile {
    /// 0: leaves.
    pub level: u8,
    /// Which.
    pub index: u64,
    /// 32 bytes each.
    pub hashes: Vec<u8>,
}

impl LogTile {
    /// As the database has it.
    #[must_use]
    pub fn to_row(&self) -> Row {
        Row {
            cells: vec![
                Cell::number(self.level.into()),
                Cell::number(self.index),
                Cell::bytes(&self.hashes),
            ],
        }
    }

    /// Of a row; none if it is of another form.
    #[must_use]
    pub fn from_row(row: &Row) -> Option<Self> {
        Some(Self {
            level: narrow(row, 0)?,
            index: row.number(1)?,
            hashes: row.bytes(2)?.to_vec(),
        })
    }
}

/// Where an account's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogIndex {
    /// Whose.
    pub account: AccountNo,
    /// The entry's `user_seq`.
    pub seq: u64,
    /// The leaf's index in the tree.
    pub index: u64,
}

impl LogIndex {
    /// As the database has it.
    #[must_use]
    pub fn to_row(&self) -> Row {
        Row {
            cells: vec![
                Cell::Int(self.account.0),
                Cell::number(self.seq),
                Cell::number(self.index),
            ],
        }
    }

    /// Of a row; none if it is of another form.
    #[must_use]
    pub fn from_row(row: &Row) -> Option<Self> {
        Some(Self {
            account: account_no(row, 0)?,
            seq: row.number(1)?,
            index: row.number(2)?,
        })
    }
}
