//! A random change of one row or two.

use keystead_server::rows::{Cell, Table};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use crate::database::{Content, Database, Row, hex};

/// What was changed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) kind: Kind,
    /// The rows as they were; of one that was not there any more, as it was put.
    pub(crate) rows: Vec<Row>,
    /// Which column, of a byte.
    pub(crate) column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Byte,
    Removed,
    Older,
    Swapped,
}

impl Change {
    /// Makes the change of this seed; none where there is nothing to change.
    pub(crate) fn make(
        database: &Database,
        now: &Content,
        older: &[Content],
        seed: u64,
    ) -> Option<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let table = Table::ALL[below(&mut rng, Table::ALL.len())];
        let rows = &now[&table];
        let kind = [Kind::Byte, Kind::Removed, Kind::Older, Kind::Swapped][below(&mut rng, 4)];
        let mut change = Self {
            table,
            kind,
            rows: Vec::new(),
            column: 0,
        };
        let (out, into) = match kind {
            Kind::Byte => {
                let row = pick(&mut rng, rows)?.clone();
                let mut other = row.clone();
                change.column = below(&mut rng, row.len());
                alter(&mut rng, &mut other[change.column])?;
                (vec![row], vec![other])
            }
            Kind::Removed => (vec![pick(&mut rng, rows)?.clone()], vec![]),
            Kind::Older => {
                let before = &pick(&mut rng, older)?[&table];
                let others: Vec<&Row> = before.iter().filter(|it| !rows.contains(it)).collect();
                let row = (*pick(&mut rng, &others)?).clone();
                (vec![], vec![row])
            }
            Kind::Swapped => {
                let (one, two) = (pick(&mut rng, rows)?.clone(), pick(&mut rng, rows)?.clone());
                if one == two {
                    return None;
                }
                let key = table.shape().key;
                let swapped = |key_of: &Row, rest: &Row| [&key_of[..key], &rest[key..]].concat();
                let into = vec![swapped(&one, &two), swapped(&two, &one)];
                (vec![one, two], into)
            }
        };
        change.rows = if out.is_empty() {
            into.clone()
        } else {
            out.clone()
        };
        database.replace(table, &out, &into).then_some(change)
    }

    /// In words.
    pub(crate) fn said(&self) -> String {
        let shape = self.table.shape();
        let key = |row: &Row| {
            row[..shape.key]
                .iter()
                .map(cell)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let keys: Vec<String> = self.rows.iter().map(key).collect();
        let keys = keys.join(" and ");
        match self.kind {
            Kind::Byte => {
                let column = shape.columns[self.column].name;
                format!("a byte of {column} in {} {keys}", shape.name)
            }
            Kind::Removed => format!("{} {keys} removed", shape.name),
            Kind::Older => format!("{} {keys} in an older form", shape.name),
            Kind::Swapped => format!("{} {keys} swapped", shape.name),
        }
    }
}

/// Another value; none of an empty one.
fn alter(rng: &mut ChaCha8Rng, cell: &mut Cell) -> Option<()> {
    match cell {
        Cell::Int(number) => *number ^= 1 << below(rng, 16),
        Cell::Bytes(bytes) => {
            let at = below(rng, Some(bytes.len()).filter(|it| *it > 0)?);
            bytes[at] ^= 1 << below(rng, 8);
        }
    }
    Some(())
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Int(number) => number.to_string(),
        Cell::Bytes(bytes) => hex(bytes),
    }
}

fn pick<'t, T>(rng: &mut ChaCha8Rng, of: &'t [T]) -> Option<&'t T> {
    if of.is_empty() {
        return None;
    }
    of.get(below(rng, of.len()))
}

fn below(rng: &mut ChaCha8Rng, count: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap() % count
}
