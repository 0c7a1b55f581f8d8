//! Data keys: one or more for each purpose, the newest of which seals.
//!
//! **Invariant**: a set in memory has at least one key of every purpose, and belongs to one
//! count of the head row: when that goes up, the set is read again.

use std::collections::BTreeMap;

use keystead_core::Secret;
use keystead_daemon::rng::SystemRng;
use keystead_sodium::xchacha::{self, NONCE_BYTES};
use rand_core::RngCore;

use crate::rows::{Cell, Row, Table};

use super::master::MasterKey;

/// What a data key seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The server's own keys and the head.
    System,
    /// Accounts and what is counted of them.
    Accounts,
    /// Secrets.
    Secrets,
    /// Sessions.
    Sessions,
    /// Leaves of the log.
    Log,
}

impl Purpose {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::System,
        Self::Accounts,
        Self::Secrets,
        Self::Sessions,
        Self::Log,
    ];

    /// What seals the rows of `table`.
    #[must_use]
    pub fn of(table: Table) -> Self {
        match table {
            Table::System | Table::DataKey | Table::Head | Table::Writer => Self::System,
            Table::Account
            | Table::Chain
            | Table::Guess
            | Table::Pass
            | Table::Invitation
            | Table::Gone => Self::Accounts,
            Table::Secret => Self::Secrets,
            Table::Session => Self::Sessions,
            Table::LeafIndex | Table::Block | Table::Tile => Self::Log,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::System => 1,
            Self::Accounts => 2,
            Self::Secrets => 3,
            Self::Sessions => 4,
            Self::Log => 5,
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|purpose| u64::try_from(purpose.number()).is_ok_and(|it| it == number))
    }
}

/// The keys in memory.
pub(crate) struct Keys {
    /// The head row's count.
    pub(crate) counted: u32,
    by_id: BTreeMap<u32, (Purpose, Secret<32>)>,
    newest: [u32; 5],
}

impl Keys {
    /// One new key of each purpose, with ids behind `last`, and their rows.
    pub(crate) fn draw(last: u32, counted: u32, master: &MasterKey) -> Option<(Self, Vec<Row>)> {
        let mut keys = BTreeMap::new();
        let mut rows = Vec::new();
        for (id, purpose) in (last.checked_add(1)?..).zip(Purpose::ALL) {
            let key = Secret::fill(|bytes| SystemRng.fill_bytes(bytes));
            rows.push(row(id, purpose, &key, master));
            keys.insert(id, (purpose, key));
        }
        Some((Self::of(keys, counted)?, rows))
    }

    /// Of the rows of a database; none if one is not sealed by any of `masters`, or a
    /// purpose has no key.
    pub(crate) fn open(rows: &[Row], counted: u32, masters: &[MasterKey]) -> Option<Self> {
        let opened = rows.iter().map(|row| open_row(row, masters));
        Self::of(opened.collect::<Option<BTreeMap<_, _>>>()?, counted)
    }

    /// The same keys sealed under another master key.
    pub(crate) fn rows_under(&self, master: &MasterKey) -> Vec<Row> {
        let keys = self.by_id.iter();
        keys.map(|(id, (purpose, key))| row(*id, *purpose, key, master))
            .collect()
    }

    /// The highest id.
    pub(crate) fn last(&self) -> u32 {
        self.by_id.keys().next_back().copied().unwrap_or(0)
    }

    /// Ids of keys that seal no more.
    pub(crate) fn stale(&self) -> Vec<u32> {
        let ids = self.by_id.keys().copied();
        ids.filter(|id| !self.newest.contains(id)).collect()
    }

    pub(crate) fn newest(&self, purpose: Purpose) -> (u32, &Secret<32>) {
        let id = Purpose::ALL
            .iter()
            .zip(&self.newest)
            .find_map(|(it, id)| (*it == purpose).then_some(*id))
            .unwrap_or_default();
        match self.by_id.get(&id) {
            Some((_, key)) => (id, key),
            None => unreachable!("every set has a key of each purpose"),
        }
    }

    pub(crate) fn find(&self, id: u32, purpose: Purpose) -> Option<&Secret<32>> {
        let (of, key) = self.by_id.get(&id)?;
        (*of == purpose).then_some(key)
    }

    fn of(by_id: BTreeMap<u32, (Purpose, Secret<32>)>, counted: u32) -> Option<Self> {
        let mut newest = [0; 5];
        for (place, purpose) in newest.iter_mut().zip(Purpose::ALL) {
            let mut ids = by_id.iter().rev();
            *place = *ids.find(|(_, (it, _))| *it == purpose)?.0;
        }
        Some(Self {
            counted,
            by_id,
            newest,
        })
    }
}

fn row(id: u32, purpose: Purpose, key: &Secret<32>, master: &MasterKey) -> Row {
    let mut nonce = [0; NONCE_BYTES];
    SystemRng.fill_bytes(&mut nonce);
    let bound = associated(id, purpose);
    let sealed = xchacha::seal(master.key().expose(), &nonce, &bound, key.expose());
    Row {
        cells: vec![
            Cell::number(id.into()),
            Cell::Int(purpose.number()),
            Cell::bytes(&master.id()),
            Cell::Bytes([nonce.as_slice(), &sealed].concat()),
        ],
    }
}

fn open_row(row: &Row, masters: &[MasterKey]) -> Option<(u32, (Purpose, Secret<32>))> {
    let id = u32::try_from(row.number(0)?).ok()?;
    let purpose = Purpose::from_number(row.number(1)?)?;
    let master = masters
        .iter()
        .find(|master| row.bytes(2) == Some(&master.id()))?;
    let (nonce, sealed) = row.bytes(3)?.split_first_chunk()?;
    let bound = associated(id, purpose);
    let opened = xchacha::open(master.key().expose(), nonce, &bound, sealed).ok()?;
    let bytes: &[u8; 32] = opened.as_slice().try_into().ok()?;
    let key = Secret::fill(|place| place.copy_from_slice(bytes));
    Some((id, (purpose, key)))
}

/// "keystead/1 data key" ‖ id u32 ‖ purpose u64.
fn associated(id: u32, purpose: Purpose) -> Vec<u8> {
    let purpose = purpose.number().to_be_bytes();
    [
        b"keystead/1 data key".as_slice(),
        &id.to_be_bytes(),
        &purpose,
    ]
    .concat()
}
