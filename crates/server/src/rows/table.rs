//! The tables, once for all databases: their columns, and what is sealed in them.
//!
//! **Invariant**: the first columns of a table are its key, and a sealed part is its last
//! one. Every open column that decides something is bound to the sealed part
//! ([`Shape::bound`]), so that who changes the database makes an error, not a difference.

/// A table of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The server itself: OPAQUE's keys, the log's, those of names.
    System,
    /// Keys that rows are sealed under.
    DataKey,
    /// One row: where the log stands.
    Head,
    /// One row a process: its last batch.
    Writer,
    /// Accounts.
    Account,
    /// Where each account's chain stands.
    Chain,
    /// Secrets and keys.
    Secret,
    /// Sessions.
    Session,
    /// Guesses, by the tag of a name.
    Guess,
    /// Device passes, by their hash.
    Pass,
    /// Invitations, by the hash of their token.
    Invitation,
    /// Accounts that were deleted, whose leaves are to be erased.
    Gone,
    /// Where an account's entries are in the log.
    LeafIndex,
    /// Leaves, by block.
    Block,
    /// The tree's nodes, by tile.
    Tile,
}

impl Table {
    /// All of them, in the order in which a copy is made.
    pub const ALL: [Self; 15] = [
        Self::System,
        Self::DataKey,
        Self::Head,
        Self::Writer,
        Self::Account,
        Self::Chain,
        Self::Secret,
        Self::Session,
        Self::Guess,
        Self::Pass,
        Self::Invitation,
        Self::Gone,
        Self::LeafIndex,
        Self::Block,
        Self::Tile,
    ];

    /// Its name and columns.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Self::System => shape("system", SYSTEM, 1),
            Self::DataKey => shape("data_key", ROW_KEY, 1),
            Self::Head => shape("head", HEAD, 1),
            Self::Writer => shape("writer", WRITER, 1),
            Self::Account => shape("account", ACCOUNT, 1),
            Self::Chain => shape("chain", CHAIN, 1),
            Self::Secret => shape("secret", SECRET, 2),
            Self::Session => shape("session", SESSION, 1),
            Self::Guess => shape("guess", GUESS, 1),
            Self::Pass => shape("pass", PASS, 1),
            Self::Invitation => shape("invitation", INVITATION, 1),
            Self::Gone => shape("gone", GONE, 1),
            Self::LeafIndex => shape("leaf_index", LEAF_INDEX, 2),
            Self::Block => Shape {
                // The hashes move to a tile when one is full; the leaves stay as they are.
                bound: 2,
                ..shape("block", BLOCK, 1)
            },
            Self::Tile => shape("tile", TILE, 2),
        }
    }

    /// Whether its rows have a sealed part.
    #[must_use]
    pub fn is_sealed(self) -> bool {
        !matches!(self, Self::Writer | Self::LeafIndex | Self::Tile)
    }

    /// Whether a column stays as it is for as long as its row is there. Who changes the row
    /// leaves it alone, and with it the indexes over it.
    #[must_use]
    pub(crate) fn is_fixed(self, column: &str) -> bool {
        match self {
            Self::Session => matches!(column, "account" | "login_ms"),
            Self::Account => matches!(column, "user_id" | "made_ms"),
            Self::Pass => matches!(column, "account" | "made_ms"),
            Self::Invitation => column == "made_ms",
            Self::System
            | Self::DataKey
            | Self::Head
            | Self::Writer
            | Self::Chain
            | Self::Secret
            | Self::Guess
            | Self::Gone
            | Self::LeafIndex
            | Self::Block
            | Self::Tile => false,
        }
    }

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.shape().name
    }
}

/// What a table looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// In the database.
    pub name: &'static str,
    /// Key first, sealed part last.
    pub columns: &'static [Column],
    /// How many columns are the key.
    pub key: usize,
    /// How many of the first columns the sealed part is bound to.
    pub bound: usize,
}

/// A column; none is ever NULL.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// In the database.
    pub name: &'static str,
    /// What it holds.
    pub kind: CellKind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// A number of 64 bits.
    Int,
    /// Bytes.
    Bytes,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// A number.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Cell {
    /// A number that fits, which all of ours do.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }

    /// The number, if it is one that is not negative.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        match self {
            Self::Int(number) => u64::try_from(*number).ok(),
            Self::Bytes(_) => None,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Int(_) => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }

    /// So many bytes.
    #[must_use]
    pub fn as_array<const N: usize>(&self) -> Option<[u8; N]> {
        self.as_bytes()?.try_into().ok()
    }
}

/// A row as the database has it, in the order of its table's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// One a column.
    pub cells: Vec<Cell>,
}

impl Row {
    /// The row's key.
    #[must_use]
    pub fn key(&self, table: Table) -> Key {
        let cells = self.cells.iter().take(table.shape().key).cloned();
        Key {
            cells: cells.collect(),
        }
    }

    /// The number in a column.
    #[must_use]
    pub fn number(&self, column: usize) -> Option<u64> {
        self.cells.get(column)?.as_number()
    }

    /// The bytes in a column.
    #[must_use]
    pub fn bytes(&self, column: usize) -> Option<&[u8]> {
        self.cells.get(column)?.as_bytes()
    }

    /// So many bytes in a column.
    #[must_use]
    pub fn array<const N: usize>(&self, column: usize) -> Option<[u8; N]> {
        self.cells.get(column)?.as_array()
    }
}

/// What a row is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The first cells of the row.
    pub cells: Vec<Cell>,
}

/// What went wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// It is not what was stored: changed, put elsewhere, or under a key that is gone.
    #[error("a row of table {} does not open", .0.name())]
    Corrupt(Table),
    /// A mistake of ours: it was looked up, and not asked for.
    #[error("a row of table {} was not asked for", .0.name())]
    NotWanted(Table),
}

const fn shape(name: &'static str, columns: &'static [Column], key: usize) -> Shape {
    Shape {
        name,
        columns,
        key,
        bound: columns.len() - 1,
    }
}

const fn int(name: &'static str) -> Column {
    Column {
        name,
        kind: CellKind::Int,
    }
}

const fn blob(name: &'static str) -> Column {
    Column {
        name,
        kind: CellKind::Bytes,
    }
}

const SEALED: Column = blob("sealed");

const SYSTEM: &[Column] = &[int("id"), blob("server"), SEALED];
const ROW_KEY: &[Column] = &[int("id"), int("purpose"), blob("master"), SEALED];
const WRITER: &[Column] = &[blob("id"), blob("batch"), int("at_ms")];
const CHAIN: &[Column] = &[int("account"), SEALED];
const GUESS: &[Column] = &[blob("tag"), int("known"), int("last_ms"), SEALED];
const PASS: &[Column] = &[blob("hash"), int("account"), int("made_ms"), SEALED];
const INVITATION: &[Column] = &[blob("hash"), int("made_ms"), int("used"), SEALED];
const GONE: &[Column] = &[int("account"), int("at_ms"), SEALED];
const LEAF_INDEX: &[Column] = &[int("account"), int("seq"), int("leaf")];
const BLOCK: &[Column] = &[int("first"), int("leaves"), blob("hashes"), SEALED];
const TILE: &[Column] = &[int("level"), int("idx"), blob("hashes")];

const HEAD: &[Column] = &[
    int("id"),
    blob("batch"),
    int("epoch"),
    int("size"),
    int("time_ms"),
    int("next_account"),
    int("data_keys"),
    SEALED,
];

const ACCOUNT: &[Column] = &[
    int("no"),
    blob("user_id"),
    blob("name_tag"),
    int("state"),
    int("made_ms"),
    int("version"),
    SEALED,
];

const SECRET: &[Column] = &[
    int("account"),
    blob("key_id"),
    int("kind"),
    int("context"),
    int("revision"),
    int("version"),
    int("made_ms"),
    SEALED,
];

const SESSION: &[Column] = &[
    blob("id"),
    int("account"),
    int("generation"),
    int("confirmed"),
    int("epoch"),
    int("login_ms"),
    int("last_ms"),
    int("requests"),
    SEALED,
];
