//! The rows of one table within a transaction.
//!
//! **Invariant**: a row is opened once and sealed once, however often acts of a batch look
//! at it and change it; one that did not open stays an error for all of them.

use std::collections::BTreeMap;

use crate::sealing::Sealing;
use crate::store::Writes;

use super::{Key, Record, Row, RowFault};

/// Rows of one table, by their keys.
pub(super) struct Slots<R: Record> {
    slots: BTreeMap<R::Key, Slot<R>>,
}

struct Slot<R> {
    value: Result<Option<R>, RowFault>,
    /// Whether the database has the row.
    was_there: bool,
    is_changed: bool,
}

impl<R: Record> Slots<R> {
    pub(super) fn new() -> Self {
        Self {
            slots: BTreeMap::new(),
        }
    }

    /// A row that was asked for: opened, or absent.
    pub(super) fn load(&mut self, key: R::Key, row: Option<&Row>, sealing: &Sealing) {
        let value = row.map(|row| R::from_row(row, sealing)).transpose();
        // A row that lies under another's key is not that one, even if it opens.
        let value = value.and_then(|value| match value {
            Some(value) if value.key() != key => Err(RowFault::Corrupt(R::TABLE)),
            Some(_) | None => Ok(value),
        });
        let slot = Slot {
            value,
            was_there: row.is_some(),
            is_changed: false,
        };
        self.slots.insert(key, slot);
    }

    /// A row; none if there is none.
    pub(super) fn find(&self, key: &R::Key) -> Result<Option<&R>, RowFault> {
        match self.slots.get(key) {
            Some(slot) => slot.value.as_ref().map(Option::as_ref).map_err(|it| *it),
            None => Err(RowFault::NotWanted(R::TABLE)),
        }
    }

    /// A row, to be changed.
    pub(super) fn find_mut(&mut self, key: &R::Key) -> Result<Option<&mut R>, RowFault> {
        let not_wanted = RowFault::NotWanted(R::TABLE);
        let slot = self.slots.get_mut(key).ok_or(not_wanted)?;
        match &mut slot.value {
            Ok(Some(value)) => {
                slot.is_changed = true;
                Ok(Some(value))
            }
            Ok(None) => Ok(None),
            Err(fault) => Err(*fault),
        }
    }

    /// Puts a row in the place of what was there.
    pub(super) fn put(&mut self, value: R) {
        let slot = self.slots.entry(value.key()).or_insert(Slot {
            value: Ok(None),
            was_there: false,
            is_changed: false,
        });
        slot.value = Ok(Some(value));
        slot.is_changed = true;
    }

    /// Deletes a row, also one that was not asked for.
    pub(super) fn delete(&mut self, key: R::Key) {
        let slot = self.slots.entry(key).or_insert(Slot {
            value: Ok(None),
            was_there: true,
            is_changed: false,
        });
        slot.value = Ok(None);
        slot.is_changed = true;
    }

    /// Those that are there, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = Result<&R, RowFault>> {
        self.slots.values().filter_map(|slot| match &slot.value {
            Ok(Some(value)) => Some(Ok(value)),
            Ok(None) => None,
            Err(fault) => Some(Err(*fault)),
        })
    }

    /// How many rows were put that the database does not have and `is` takes.
    pub(super) fn new_ones(&self, is: impl Fn(&R) -> bool) -> usize {
        let new = self.slots.values().filter(|slot| !slot.was_there);
        new.filter(|slot| matches!(&slot.value, Ok(Some(value)) if is(value)))
            .count()
    }

    /// Seals what was changed.
    pub(super) fn write(self, sealing: &Sealing, writes: &mut Writes) {
        for (key, slot) in self.slots {
            if !slot.is_changed {
                continue;
            }
            match slot.value {
                Ok(Some(value)) => {
                    let rows = writes.puts.entry(R::TABLE).or_default();
                    rows.push(value.to_row(sealing));
                }
                Ok(None) if slot.was_there => {
                    let cells = R::key_cells(&key);
                    let keys = writes.deletes.entry(R::TABLE).or_default();
                    keys.push(Key { cells });
                }
                // Made and deleted within the batch.
                Ok(None) | Err(_) => {}
            }
        }
    }
}
