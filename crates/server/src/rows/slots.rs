//! The rows of one table within a transaction.
//!
//! **Invariant**: a row is opened once and sealed once, however often acts of a batch look
//! at it and change it; one that did not open stays an error for all of them. What an act
//! changed can be undone until it is kept.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::sealing::Sealing;
use crate::store::Writes;

use super::{Key, PlainReader, Record, Row, RowFault};

/// Rows of one table, by their keys.
pub(super) struct Slots<R: Record> {
    slots: BTreeMap<R::Key, Slot<R>>,
    /// What the act that is being decided changed, as it was; none: nobody asks for it.
    before: Option<Vec<(R::Key, Before<R>)>>,
}

struct Slot<R> {
    value: Result<Option<R>, RowFault>,
    /// Whether the database has the row.
    was_there: bool,
    is_changed: bool,
}

/// A slot before a change.
enum Before<R> {
    /// There was none.
    None,
    /// Its value gave place to another.
    Moved(Slot<R>),
    /// Its value is changed where it stands. Secrets have no copies, so what it was is kept
    /// as it would be sealed.
    Noted {
        row: Row,
        plain: Zeroizing<Vec<u8>>,
        is_changed: bool,
    },
}

impl<R: Record> Slots<R> {
    pub(super) fn new() -> Self {
        Self {
            slots: BTreeMap::new(),
            before: None,
        }
    }

    /// From now on changes can be undone.
    pub(super) fn begin(&mut self) {
        self.before = Some(Vec::new());
    }

    /// What was changed since stays so.
    pub(super) fn keep(&mut self) {
        self.before = None;
    }

    /// Undoes what was changed since [`Slots::begin`].
    pub(super) fn undo(&mut self) {
        for (key, before) in self.before.take().into_iter().flatten().rev() {
            match before {
                Before::None => {
                    self.slots.remove(&key);
                }
                Before::Moved(slot) => {
                    self.slots.insert(key, slot);
                }
                Before::Noted {
                    row,
                    plain,
                    is_changed,
                } => {
                    if let Some(slot) = self.slots.get_mut(&key) {
                        let value = R::read(&row, &mut PlainReader::new(&plain));
                        slot.value = value.map(Some).ok_or(RowFault::Corrupt(R::TABLE));
                        slot.is_changed = is_changed;
                    }
                }
            }
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

    /// The row is not what was stored, though it opened.
    pub(super) fn spoil(&mut self, key: &R::Key) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.value = Err(RowFault::Corrupt(R::TABLE));
        }
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
                if let Some(before) = &mut self.before {
                    let cells = value.open_cells();
                    let noted = Before::Noted {
                        row: Row { cells },
                        plain: value.plain(),
                        is_changed: slot.is_changed,
                    };
                    before.push((key.clone(), noted));
                }
                slot.is_changed = true;
                Ok(Some(value))
            }
            Ok(None) => Ok(None),
            Err(fault) => Err(*fault),
        }
    }

    /// Puts a row in the place of what was there.
    pub(super) fn put(&mut self, value: R) {
        // One that was not asked for is not known to be there.
        self.set(value.key(), Some(value), false);
    }

    /// Deletes a row, also one that was not asked for.
    pub(super) fn delete(&mut self, key: R::Key) {
        self.set(key, None, true);
    }

    fn set(&mut self, key: R::Key, value: Option<R>, is_there: bool) {
        let found = self.slots.get(&key);
        let slot = Slot {
            value: Ok(value),
            was_there: found.map_or(is_there, |it| it.was_there),
            is_changed: true,
        };
        let noted = self.before.is_some().then(|| key.clone());
        let found = self.slots.insert(key, slot);
        if let (Some(before), Some(key)) = (&mut self.before, noted) {
            before.push((key, found.map_or(Before::None, Before::Moved)));
        }
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
