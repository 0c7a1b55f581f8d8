//! Rows in and out of SQLite.
//!
//! **Invariant**: statements are made once a connection; what comes has the columns of its
//! table in their order, or it is corrupt.

use std::ops::Range;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use crate::rows::{
    AccountNo, Cell, CellKind, HEAD_ID, HeadRow, Key, LogIndex, LogTile, NameTag, Row, Table,
};

use super::super::schema::Dialect;
use super::super::shared::{self, Memory};
use super::super::{Loaded, Scan, StoreError, Sweep, Wanted, Writes};
use super::fault::Doing;
use super::statements;

/// A cell as a parameter.
pub(super) fn value(cell: &Cell) -> ToSqlOutput<'_> {
    match cell {
        Cell::Int(number) => ToSqlOutput::Owned(Value::Integer(*number)),
        Cell::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
    }
}

/// Rows of `table` that `statement` says, which names its columns in order.
pub(super) fn select(
    connection: &Connection,
    table: Table,
    statement: &str,
    values: &[ToSqlOutput<'_>],
) -> Result<Vec<Row>, StoreError> {
    let mut prepared = connection.prepare_cached(statement).doing("reading")?;
    let mut rows = prepared.query(params_from_iter(values)).doing("reading")?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().doing("reading")? {
        let columns = table.shape().columns;
        let mut cells = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            cells.push(match (row.get_ref(index).doing("reading")?, column.kind) {
                (ValueRef::Integer(number), CellKind::Int) => Cell::Int(number),
                (ValueRef::Blob(bytes), CellKind::Bytes) => Cell::bytes(bytes),
                _ => return Err(StoreError::Corrupt(table)),
            });
        }
        out.push(Row { cells });
    }
    Ok(out)
}

/// Rows in the order of their keys.
pub(super) fn scan(connection: &Connection, scan: &Scan) -> Result<Vec<Row>, StoreError> {
    let after = scan.after.iter().flat_map(|after| &after.cells);
    let limit = Cell::number(u64::try_from(scan.limit).unwrap_or(u64::MAX));
    let cells = scan.prefix.cells.iter().chain(after).chain([&limit]);
    let values: Vec<_> = cells.map(value).collect();
    select(connection, scan.table, &Dialect::Sqlite.scan(scan), &values)
}

/// Reads the data keys again when some came or went.
pub(super) fn renew(
    connection: &Connection,
    memory: &Memory,
    head: Option<&Row>,
) -> Result<(), StoreError> {
    let Some(counted) = memory.wants_keys(head)? else {
        return Ok(());
    };
    let statement = Dialect::select_where(Table::DataKey, "true ORDER BY 1");
    let rows = select(connection, Table::DataKey, &statement, &[])?;
    memory.sealing()?.renew(&rows, counted)
}

/// The head row.
pub(super) fn head(connection: &Connection) -> Result<Option<Row>, StoreError> {
    let statement = Dialect::Sqlite.select(Table::Head);
    let rows = select(
        connection,
        Table::Head,
        statement,
        &[value(&Cell::Int(HEAD_ID))],
    )?;
    Ok(rows.into_iter().next())
}

/// All that is wanted.
pub(super) fn load(
    connection: &Connection,
    wanted: &Wanted,
    head: &HeadRow,
) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded {
        head: head.head.clone(),
        next_account: head.next_account,
        ..Loaded::default()
    };
    for (table, keys) in shared::keys_by_table(wanted) {
        let statement = Dialect::Sqlite.select(table);
        for key in keys {
            let values: Vec<_> = key.cells.iter().map(value).collect();
            for row in select(connection, table, statement, &values)? {
                shared::take(&mut loaded, table, row);
            }
        }
    }
    by_others(connection, wanted, head.next_account, &mut loaded)?;
    log(connection, wanted, head.head.size, &mut loaded)?;
    Ok(loaded)
}

/// Rows that are found by something else than their key.
fn by_others(
    connection: &Connection,
    wanted: &Wanted,
    next_account: i64,
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    for tag in &wanted.tags {
        by_tag(connection, *tag, next_account, loaded)?;
    }
    let mut found: Vec<(Table, &str, Cell)> = Vec::new();
    for user in &wanted.users {
        found.push((Table::Account, &statements::BY_USER, Cell::bytes(&user.0)));
    }
    let of: [(Table, &str, _); 2] = [
        (
            Table::Session,
            &statements::SESSIONS_OF,
            &wanted.sessions_of,
        ),
        (Table::Pass, &statements::PASSES_OF, &wanted.passes_of),
    ];
    for (table, statement, accounts) in of {
        let cells = accounts
            .iter()
            .map(|no| (table, statement, Cell::Int(no.0)));
        found.extend(cells);
    }
    for (table, statement, by) in found {
        for row in select(connection, table, statement, &[value(&by)])? {
            if table == Table::Account {
                chain_of(connection, &row, loaded)?;
            }
            shared::take(loaded, table, row);
        }
    }
    Ok(())
}

/// The account in use that has a name, with its chain. A name without one costs what one with
/// an account does, so that the time tells nothing: some other account's rows, at a place that
/// hangs on the name, which nobody opens.
fn by_tag(
    connection: &Connection,
    tag: NameTag,
    next_account: i64,
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let place = tag.0.first_chunk().map_or(0, |it| i64::from_be_bytes(*it));
    let place = place.checked_rem_euclid(next_account).unwrap_or_default();
    let (tag, mut nobodys) = (Cell::bytes(&tag.0), Loaded::default());
    let place = Cell::Int(place);
    let values = [value(&tag), value(&place)];
    for row in select(connection, Table::Account, &statements::BY_TAG, &values)? {
        let is_its_own = row.cells.get(NAME_TAG_COLUMN) == Some(&tag);
        let into = if is_its_own {
            &mut *loaded
        } else {
            &mut nobodys
        };
        chain_of(connection, &row, into)?;
        shared::take(into, Table::Account, row);
    }
    Ok(())
}

fn chain_of(connection: &Connection, account: &Row, loaded: &mut Loaded) -> Result<(), StoreError> {
    let Some(no) = account.cells.first() else {
        return Ok(());
    };
    let statement = Dialect::Sqlite.select(Table::Chain);
    for row in select(connection, Table::Chain, statement, &[value(no)])? {
        shared::take(loaded, Table::Chain, row);
    }
    // It was looked for, even where there is none.
    let key = Key {
        cells: vec![no.clone()],
    };
    loaded.also.insert((Table::Chain, key));
    Ok(())
}

/// What the ledger wants.
fn log(
    connection: &Connection,
    wanted: &Wanted,
    size: u64,
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let mut tiles = wanted.tiles.clone();
    if let Some(held) = wanted.log_tail {
        let (first, above) = shared::tail(held, size);
        tiles.extend(above);
        blocks(connection, first..size, loaded)?;
    }
    for range in &wanted.blocks {
        blocks(connection, range.clone(), loaded)?;
    }
    let statement = Dialect::Sqlite.select(Table::Tile);
    for (level, index) in tiles {
        let key = [Cell::number(level.into()), Cell::number(index)];
        let values = key.each_ref().map(value);
        for row in select(connection, Table::Tile, statement, &values)? {
            let tile = LogTile::from_row(&row).ok_or(StoreError::Corrupt(Table::Tile))?;
            loaded.tiles.push(tile);
        }
    }
    for (no, range) in &wanted.seqs {
        let found = indices(connection, &statements::SEQS, &seqs(*no, range))?;
        loaded.seqs.extend(found);
    }
    for no in &wanted.ends {
        let found = indices(connection, &statements::END, &[Cell::Int(no.0)])?;
        loaded.ends.extend(found);
    }
    Ok(())
}

/// Where entries are.
fn indices(
    connection: &Connection,
    statement: &str,
    cells: &[Cell],
) -> Result<Vec<LogIndex>, StoreError> {
    let values: Vec<_> = cells.iter().map(value).collect();
    let rows = select(connection, Table::LeafIndex, statement, &values)?;
    let indices = rows.iter().map(LogIndex::from_row);
    let corrupt = StoreError::Corrupt(Table::LeafIndex);
    indices.collect::<Option<Vec<_>>>().ok_or(corrupt)
}

/// Blocks that overlap a range: the last one that begins at or before it, and those in it.
fn blocks(
    connection: &Connection,
    range: Range<u64>,
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let key = [Cell::number(range.start), Cell::number(range.end)];
    let values = key.each_ref().map(value);
    let rows = select(connection, Table::Block, &statements::BLOCKS, &values)?;
    loaded.blocks.extend(shared::blocks(&rows)?);
    Ok(())
}

/// Writes all of it.
pub(super) fn write(connection: &Connection, mut writes: Writes) -> Result<(), StoreError> {
    for range in &writes.blocks_delete {
        let key = [Cell::number(range.start), Cell::number(range.end)];
        run(
            connection,
            "DELETE FROM block WHERE first >= ?1 AND first < ?2",
            &key,
        )?;
    }
    for (no, range) in &writes.index_delete {
        let statement = "DELETE FROM leaf_index WHERE account = ?1 AND seq >= ?2 AND seq < ?3";
        run(connection, statement, &seqs(*no, range))?;
    }
    shared::log_rows(&mut writes);
    for (table, keys) in &writes.deletes {
        let statement = Dialect::Sqlite.delete(*table);
        for key in keys {
            run(connection, statement, &key.cells)?;
        }
    }
    for (table, rows) in &writes.puts {
        let statement = Dialect::Sqlite.put(*table);
        for row in rows {
            run(connection, statement, &row.cells)?;
        }
    }
    if let Some(kept) = writes.unknown_guesses_kept {
        drop_guesses(connection, kept)?;
    }
    if let Some(sweep) = &writes.sweep {
        self::sweep(connection, sweep)?;
    }
    if let Some((no, count)) = writes.secrets_delete {
        let of = [Cell::Int(no.0), Cell::number(count.into())];
        run(connection, &statements::DELETE_SECRETS, &of)?;
    }
    Ok(())
}

/// Drops the oldest rows of unknown names, down to what is kept.
fn drop_guesses(connection: &Connection, kept: usize) -> Result<(), StoreError> {
    let kept = u64::try_from(kept).unwrap_or(u64::MAX);
    let statement = "DELETE FROM guess WHERE tag IN (SELECT tag FROM guess WHERE known = 0 \
                     ORDER BY last_ms LIMIT max(0, (SELECT count(*) FROM guess WHERE known = 0) \
                     - ?1))";
    run(connection, statement, &[Cell::number(kept)])
}

pub(super) fn sweep(connection: &Connection, sweep: &Sweep) -> Result<(), StoreError> {
    for (statement, before) in sweep.statements("?1") {
        run(connection, &statement, &[Cell::number(before)])?;
    }
    Ok(())
}

/// A statement without parameters or rows; parsed once a connection.
pub(super) fn step(connection: &Connection, statement: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

pub(super) fn run(
    connection: &Connection,
    statement: &str,
    cells: &[Cell],
) -> Result<(), StoreError> {
    let mut prepared = connection.prepare_cached(statement).doing("writing")?;
    prepared
        .execute(params_from_iter(cells.iter().map(value)))
        .doing("writing")?;
    Ok(())
}

fn seqs(no: AccountNo, range: &Range<u64>) -> [Cell; 3] {
    [
        Cell::Int(no.0),
        Cell::number(range.start),
        Cell::number(range.end),
    ]
}

/// Where `name_tag` is in an account's row.
const NAME_TAG_COLUMN: usize = 2;
