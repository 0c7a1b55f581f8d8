//! A type that lies in a table, on its way into a row and out of it.
//!
//! **Invariant:** nothing is read of a row whose seal does not open under all of its open columns.

use zeroize::Zeroizing;

use super::{Cell, PlainReader, Row, RowFault, Table};
use crate::sealing::Sealing;

/// An account's number: internal, never told to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNo(pub i64);

impl AccountNo {
    /// Whose chain the system log is.
    pub const SYSTEM: Self = Self(0);
}

/// H(k_name, name), cut: what an account is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameTag(pub [u8; 16]);

/// A type that lies in a table.
pub trait Record: Sized {
    /// Which.
    const TABLE: Table;

    /// What it is found by.
    type Key: Ord + Clone;

    /// Its own.
    fn key(&self) -> Self::Key;

    /// As the database has it.
    fn key_cells(key: &Self::Key) -> Vec<Cell>;

    /// All columns but the sealed one.
    fn open_cells(&self) -> Vec<Cell>;

    /// The sealed part, in clear.
    fn plain(&self) -> Zeroizing<Vec<u8>>;

    /// Of a row whose sealed part is `plain`.
    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self>;

    /// Seals it.
    fn to_row(&self, sealing: &Sealing) -> Row {
        let mut cells = self.open_cells();
        if Self::TABLE.is_sealed() {
            let sealed = sealing.seal(Self::TABLE, &cells, &self.plain());
            cells.push(Cell::Bytes(sealed));
        }
        Row { cells }
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`RowFault::Corrupt`].
    fn from_row(row: &Row, sealing: &Sealing) -> Result<Self, RowFault> {
        let corrupt = RowFault::Corrupt(Self::TABLE);
        if row.cells.len() != Self::TABLE.shape().columns.len() {
            return Err(corrupt);
        }
        if !Self::TABLE.is_sealed() {
            return Self::read(row, &mut PlainReader::new(&[])).ok_or(corrupt);
        }
        let (sealed, open) = row.cells.split_last().ok_or(corrupt)?;
        let sealed = sealed.as_bytes().ok_or(corrupt)?;
        let plain = sealing.open(Self::TABLE, open, sealed)?;
        let mut reader = PlainReader::new(plain.as_slice());
        let read = Self::read(row, &mut reader).ok_or(corrupt)?;
        if reader.is_done() {
            Ok(read)
        } else {
            Err(corrupt)
        }
    }
}

/// A number of a column in a narrower type.
pub(super) fn narrow<T: TryFrom<u64>>(row: &Row, column: usize) -> Option<T> {
    T::try_from(row.number(column)?).ok()
}

pub(super) fn account_no(row: &Row, column: usize) -> Option<AccountNo> {
    narrow::<i64>(row, column).map(AccountNo)
}

pub(super) fn flag(row: &Row, column: usize) -> Option<bool> {
    match row.number(column)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
