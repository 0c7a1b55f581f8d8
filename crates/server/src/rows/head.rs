//! Where the log stands: one row, locked first by every transaction, so that all processes
//! on one database are in one order.
//!
//! **Invariant**: epoch and size never go back; who sees them do so stops serving.

use zeroize::Zeroizing;

use super::record::narrow;
use super::{Cell, PlainReader, PlainWriter, Record, Row, Table};

/// The head, as the ledger sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Counted up by each restoration.
    pub epoch: u32,
    /// Leaves.
    pub size: u64,
    /// Roots of the full subtrees, the largest first.
    pub frontier: Vec<[u8; 32]>,
    /// The last one, signed.
    pub checkpoint: Vec<u8>,
    /// Which log key signed it.
    pub key_no: u32,
    /// Of the last batch; the store sets it.
    pub batch: [u8; 16],
    /// When a backup was last restored; 0: never. A guess row older than that has used up
    /// its free guesses.
    pub restored_ms: u64,
}

/// The whole row: with what the store keeps there for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub(crate) head: Head,
    /// The database's clock at the last commit.
    pub(crate) time_ms: u64,
    /// The number that the next account gets.
    pub(crate) next_account: i64,
    /// Counted up when data keys come or go, so that each process looks again.
    pub(crate) data_keys: u32,
}

impl Record for HeadRow {
    const TABLE: Table = Table::Head;
    type Key = ();

    fn key(&self) {}

    fn key_cells((): &()) -> Vec<Cell> {
        vec![Cell::Int(HEAD_ID)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![
            Cell::Int(HEAD_ID),
            Cell::bytes(&self.head.batch),
            Cell::number(self.head.epoch.into()),
            Cell::number(self.head.size),
            Cell::number(self.time_ms),
            Cell::Int(self.next_account),
            Cell::number(self.data_keys.into()),
        ]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let hashes = self.head.frontier.len().saturating_mul(34);
        let mut out = PlainWriter::with_room(self.head.checkpoint.len().saturating_add(hashes));
        out.number(self.head.key_no.into());
        out.number(self.head.restored_ms);
        out.bytes(&self.head.checkpoint);
        self.head.frontier.iter().for_each(|hash| out.bytes(hash));
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        let mut head = Head {
            batch: row.array(1)?,
            epoch: narrow(row, 2)?,
            size: row.number(3)?,
            key_no: plain.narrow()?,
            restored_ms: plain.number()?,
            checkpoint: plain.bytes()?.to_vec(),
            frontier: Vec::new(),
        };
        while !plain.is_done() {
            head.frontier.push(plain.array()?);
        }
        Some(Self {
            head,
            time_ms: row.number(4)?,
            next_account: narrow(row, 5)?,
            data_keys: narrow(row, 6)?,
        })
    }
}

/// The only row's id.
pub(crate) const HEAD_ID: i64 = 1;
