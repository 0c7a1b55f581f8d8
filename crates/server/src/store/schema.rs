//! The versions of the database, and the statements that both kinds share.
//!
//! **Invariant**: a version's text never changes once it was released; a database goes
//! forward through all of them in order, each in a transaction of its own, and never back.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::rows::{CellKind, Table};

use super::{Scan, StoreError};

/// What brings a database from one version to the next.
pub(super) struct Migration {
    /// To this version.
    pub(super) version: i64,
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// All of them, the oldest first.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sqlite: include_str!("schema/1.sqlite.sql"),
        postgres: include_str!("schema/1.postgres.sql"),
    },
    Migration {
        version: 2,
        sqlite: include_str!("schema/2.sqlite.sql"),
        postgres: include_str!("schema/2.postgres.sql"),
    },
];

/// The version of a database that this program has opened.
pub(super) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// What is still to be done to a database of version `found` (0: an empty one).
pub(super) fn pending(found: i64) -> Result<impl Iterator<Item = &'static Migration>, StoreError> {
    let known = newest();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    Ok(MIGRATIONS
        .iter()
        .filter(move |migration| migration.version > found))
}

/// How a database writes its statements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `?1`; one row a statement.
    Sqlite,
    /// `$1`; an array a column.
    Postgres,
}

impl Dialect {
    /// Rows by their keys: one key, or arrays of keys.
    pub(super) fn select(self, table: Table) -> &'static str {
        &self.of(table).select
    }

    /// Puts rows in the place of what is there.
    pub(super) fn put(self, table: Table) -> &'static str {
        &self.of(table).put
    }

    /// Deletes rows by their keys.
    pub(super) fn delete(self, table: Table) -> &'static str {
        &self.of(table).delete
    }

    fn of(self, table: Table) -> &'static Statements {
        let all = match self {
            Self::Sqlite => &SQLITE,
            Self::Postgres => &POSTGRES,
        };
        match all.get(&table) {
            Some(statements) => statements,
            None => unreachable!("they are made of all tables"),
        }
    }

    fn make(self) -> BTreeMap<Table, Statements> {
        let statements = |table| Statements {
            select: self.make_select(table),
            put: self.make_put(table),
            delete: self.make_delete(table),
        };
        Table::ALL
            .into_iter()
            .map(|table| (table, statements(table)))
            .collect()
    }

    fn make_select(self, table: Table) -> String {
        let shape = table.shape();
        let columns = columns(table, "t.");
        let name = shape.name;
        match self {
            Self::Sqlite => {
                let is_key = key_equals(table);
                format!("SELECT {columns} FROM {name} t WHERE {is_key}")
            }
            Self::Postgres => {
                let (keys, is_key) = unnested_keys(table);
                format!("SELECT {columns} FROM {name} t JOIN {keys} ON {is_key}")
            }
        }
    }

    fn make_put(self, table: Table) -> String {
        let shape = table.shape();
        let names = columns(table, "");
        let values: Vec<String> = (1..=shape.columns.len())
            .zip(shape.columns)
            .map(|(number, column)| match self {
                Self::Sqlite => format!("?{number}"),
                Self::Postgres => format!("${number}::{}[]", type_name(column.kind)),
            })
            .collect();
        let values = match self {
            Self::Sqlite => format!("VALUES ({})", values.join(", ")),
            Self::Postgres => format!("SELECT * FROM unnest({})", values.join(", ")),
        };
        let key: Vec<&str> = key_names(table).collect();
        let others = shape.columns.iter().skip(shape.key);
        let others = others.filter(|column| !table.is_fixed(column.name));
        let changes: Vec<String> = others
            .map(|column| format!("{0} = excluded.{0}", column.name))
            .collect();
        format!(
            "INSERT INTO {} ({names}) {values} ON CONFLICT ({}) DO UPDATE SET {}",
            shape.name,
            key.join(", "),
            changes.join(", ")
        )
    }

    fn make_delete(self, table: Table) -> String {
        let name = table.name();
        match self {
            Self::Sqlite => {
                let is_key = key_equals(table);
                format!("DELETE FROM {name} AS t WHERE {is_key}")
            }
            Self::Postgres => {
                let (keys, is_key) = unnested_keys(table);
                format!("DELETE FROM {name} t USING {keys} WHERE {is_key}")
            }
        }
    }

    /// Rows in the order of their keys; the parameters are the prefix, then the key before,
    /// then the limit.
    pub(super) fn scan(self, scan: &Scan) -> String {
        let table = scan.table;
        let prefixes = scan.prefix.cells.len();
        let mut conditions: Vec<String> = (1..=prefixes)
            .zip(key_names(table))
            .map(|(number, name)| format!("t.{name} = {}", self.parameter(number)))
            .collect();
        let keys: Vec<String> = key_names(table).map(|name| format!("t.{name}")).collect();
        let mut last = prefixes;
        if let Some(after) = &scan.after {
            let places: Vec<String> = (1..=after.cells.len())
                .map(|number| self.parameter(prefixes.saturating_add(number)))
                .collect();
            last = last.saturating_add(after.cells.len());
            conditions.push(format!("({}) > ({})", keys.join(", "), places.join(", ")));
        }
        let conditions = if conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", conditions.join(" AND "))
        };
        format!(
            "SELECT {} FROM {} t {conditions} ORDER BY {} LIMIT {}",
            columns(table, "t."),
            table.name(),
            keys.join(", "),
            self.parameter(last.saturating_add(1))
        )
    }

    /// The first secrets of an account go; the parameters are which, and how many.
    pub(super) fn delete_secrets(self) -> String {
        let (no, count) = (self.parameter(1), self.parameter(2));
        format!(
            "DELETE FROM secret WHERE account = {no} AND key_id IN (SELECT key_id FROM secret \
             WHERE account = {no} ORDER BY key_id LIMIT {count})"
        )
    }

    /// Accounts that were deleted and whose secrets are there still; the parameter is how
    /// many at the most.
    pub(super) fn unfinished(self) -> String {
        let limit = self.parameter(1);
        let has_secrets = "EXISTS (SELECT 1 FROM secret s WHERE s.account = t.account)";
        let condition = format!("{has_secrets} ORDER BY t.account LIMIT {limit}");
        Self::select_where(Table::Gone, &condition)
    }

    /// Rows that `condition` says, with the parameters that it names.
    pub(super) fn select_where(table: Table, condition: &str) -> String {
        let columns = columns(table, "t.");
        format!("SELECT {columns} FROM {} t WHERE {condition}", table.name())
    }

    fn parameter(self, number: usize) -> String {
        match self {
            Self::Sqlite => format!("?{number}"),
            Self::Postgres => format!("${number}"),
        }
    }
}

/// The statements of one table.
struct Statements {
    select: String,
    put: String,
    delete: String,
}

static SQLITE: LazyLock<BTreeMap<Table, Statements>> = LazyLock::new(|| Dialect::Sqlite.make());
static POSTGRES: LazyLock<BTreeMap<Table, Statements>> = LazyLock::new(|| Dialect::Postgres.make());

fn columns(table: Table, prefix: &str) -> String {
    let names = table.shape().columns.iter();
    let names: Vec<String> = names
        .map(|column| format!("{prefix}{}", column.name))
        .collect();
    names.join(", ")
}

fn key_names(table: Table) -> impl Iterator<Item = &'static str> {
    let shape = table.shape();
    let columns = shape.columns.iter().take(shape.key);
    columns.map(|column| column.name)
}

fn key_equals(table: Table) -> String {
    let terms: Vec<String> = (1..)
        .zip(key_names(table))
        .map(|(number, name): (usize, _)| format!("t.{name} = ?{number}"))
        .collect();
    terms.join(" AND ")
}

/// `unnest($1::bigint[], …) AS k (account, …)`, and that `t` has one of these keys.
fn unnested_keys(table: Table) -> (String, String) {
    let shape = table.shape();
    let keys = shape.columns.iter().take(shape.key);
    let arrays: Vec<String> = (1..)
        .zip(keys)
        .map(|(number, column): (usize, _)| format!("${number}::{}[]", type_name(column.kind)))
        .collect();
    let names: Vec<&str> = key_names(table).collect();
    let terms: Vec<String> = names
        .iter()
        .map(|name| format!("t.{name} = k.{name}"))
        .collect();
    let keys = format!("unnest({}) AS k ({})", arrays.join(", "), names.join(", "));
    (keys, terms.join(" AND "))
}

fn type_name(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Int => "bigint",
        CellKind::Bytes => "bytea",
    }
}
