//! All that is wanted, in one round trip.
//!
//! **Invariant**: the head row comes first, so that in a transaction that locks it every
//! other row is read as the transaction before left it.

use std::collections::BTreeMap;

use crate::rows::{AccountNo, Cell, HEAD_ID, HeadRow, Key, LogIndex, LogTile, Row, Table};

use super::super::schema::Dialect;
use super::super::shared::{self, Memory};
use super::super::{Loaded, StoreError, Wanted};
use super::link::{Link, Query, Step};

/// What was read.
pub(super) struct Read {
    pub(super) head: Option<Row>,
    clock_ms: u64,
    rows: Vec<(Table, What, Vec<Row>)>,
}

/// Why rows were asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// As rows.
    Rows,
    /// For the ledger.
    Log,
    /// Where last entries are.
    Ends,
}

/// Begins a transaction by `begin` and reads; `lock` stands behind the head's statement.
pub(super) async fn whole(
    link: &mut Link,
    begin: &'static str,
    lock: &str,
    wanted: &Wanted,
    end: Option<&'static str>,
) -> Result<Read, StoreError> {
    let condition = format!("t.id = $1 {lock}");
    let statement = Dialect::select_where(Table::Head, &condition).replace(
        " FROM ",
        ", (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM ",
    );
    let head = Query::cells(statement, vec![Cell::Int(HEAD_ID)]);
    let mut steps = vec![Step::Run(begin), Step::Rows(Table::Head, head)];
    let mut whats = Vec::new();
    for (table, what, query) in queries(wanted) {
        whats.push((table, what));
        steps.push(Step::Rows(table, query));
    }
    steps.extend(end.map(Step::Run));
    let mut answers = link.together(steps).await?.into_iter();
    let mut head = answers.next().and_then(|rows| rows.into_iter().next());
    let clock = head.as_mut().and_then(|row| row.cells.pop());
    let rows = whats.into_iter().zip(answers);
    Ok(Read {
        head,
        clock_ms: clock.and_then(|clock| clock.as_number()).unwrap_or(0),
        rows: rows
            .map(|((table, what), rows)| (table, what, rows))
            .collect(),
    })
}

impl Read {
    /// The head, the rows, and what the database's clock said, ms. `seen` is of before it was
    /// read ([`Memory::head`]).
    pub(super) fn into_loaded(
        self,
        memory: &Memory,
        seen: (u32, u64),
    ) -> Result<(HeadRow, Loaded, u64), StoreError> {
        let head = memory.head(self.head.as_ref(), seen)?;
        let mut loaded = Loaded {
            head: head.head.clone(),
            next_account: head.next_account,
            ..Loaded::default()
        };
        for (table, what, rows) in self.rows {
            match (table, what) {
                (Table::Block, What::Log) => loaded.blocks.extend(shared::blocks(&rows)?),
                (Table::Tile, What::Log) => {
                    let tiles = rows.iter().map(LogTile::from_row);
                    let tiles: Option<Vec<_>> = tiles.collect();
                    loaded
                        .tiles
                        .extend(tiles.ok_or(StoreError::Corrupt(table))?);
                }
                (Table::LeafIndex, What::Log | What::Ends) => {
                    let indices = rows.iter().map(LogIndex::from_row);
                    let indices: Option<Vec<_>> = indices.collect();
                    let indices = indices.ok_or(StoreError::Corrupt(table))?;
                    match what {
                        What::Ends => loaded.ends.extend(indices),
                        What::Rows | What::Log => loaded.seqs.extend(indices),
                    }
                }
                (_, What::Rows | What::Log | What::Ends) => {
                    for row in rows {
                        shared::take(&mut loaded, table, row);
                    }
                }
            }
        }
        // A chain was looked for with each account, even where there is none.
        let accounts = loaded
            .rows
            .keys()
            .filter(|(table, _)| *table == Table::Account);
        let chains = accounts.map(|(_, key)| (Table::Chain, key.clone()));
        loaded.also = chains.collect();
        Ok((head, loaded, self.clock_ms))
    }
}

fn queries(wanted: &Wanted) -> Vec<(Table, What, Query)> {
    let mut out = Vec::new();
    for (table, keys) in shared::keys_by_table(wanted) {
        let statement = Dialect::Postgres.select(table).to_owned();
        let keys = keys.into_iter().map(|key: &Key| key.cells.clone());
        let query = Query::arrays(statement, table, table.shape().key, keys);
        out.push((table, What::Rows, query));
    }
    by_others(wanted, &mut out);
    log(wanted, &mut out);
    out
}

/// Rows that are found by something else than their key.
fn by_others(wanted: &Wanted, out: &mut Vec<(Table, What, Query)>) {
    let mut accounts = |condition: &str, by: Vec<Vec<u8>>| {
        if by.is_empty() {
            return;
        }
        let statement = Dialect::select_where(Table::Account, condition);
        out.push((
            Table::Account,
            What::Rows,
            Query::bytes(statement, by.clone()),
        ));
        let condition = format!("t.account IN (SELECT no FROM account t WHERE {condition})");
        let statement = Dialect::select_where(Table::Chain, &condition);
        out.push((Table::Chain, What::Rows, Query::bytes(statement, by)));
    };
    accounts(
        "t.name_tag = ANY($1) AND t.state > 0",
        wanted.tags.iter().map(|tag| tag.0.to_vec()).collect(),
    );
    accounts(
        "t.user_id = ANY($1) AND substring(t.user_id FROM 1 FOR 8) = ANY \
         (SELECT substring(u FROM 1 FOR 8) FROM unnest($1) AS u)",
        wanted.users.iter().map(|user| user.0.to_vec()).collect(),
    );
    let of: [(Table, &std::collections::BTreeSet<AccountNo>); 2] = [
        (Table::Session, &wanted.sessions_of),
        (Table::Pass, &wanted.passes_of),
    ];
    for (table, accounts) in of {
        if !accounts.is_empty() {
            let statement = Dialect::select_where(table, "t.account = ANY($1)");
            let numbers = accounts.iter().map(|no| no.0).collect();
            out.push((table, What::Rows, Query::numbers(statement, numbers)));
        }
    }
}

/// What the ledger wants. In a transaction that has locked it, the head row is of the same
/// size in each statement.
fn log(wanted: &Wanted, out: &mut Vec<(Table, What, Query)>) {
    let mut push = |table, condition: &str, cells: Vec<Cell>| {
        let statement = Dialect::select_where(table, condition);
        out.push((table, What::Log, Query::cells(statement, cells)));
    };
    if let Some(held) = wanted.log_tail {
        let held = vec![Cell::number(held)];
        push(Table::Block, TAIL_BLOCKS, held.clone());
        push(Table::Tile, TAIL_TILES, held);
    }
    for range in &wanted.blocks {
        let ends = vec![Cell::number(range.start), Cell::number(range.end)];
        push(Table::Block, BLOCKS, ends);
    }
    let mut levels: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
    for (level, index) in &wanted.tiles {
        let index = i64::try_from(*index).unwrap_or(i64::MAX);
        levels.entry(*level).or_default().push(index);
    }
    for (no, range) in &wanted.seqs {
        let ends = vec![
            Cell::Int(no.0),
            Cell::number(range.start),
            Cell::number(range.end),
        ];
        push(Table::LeafIndex, SEQS, ends);
    }
    if !wanted.ends.is_empty() {
        let accounts = wanted.ends.iter().map(|no| no.0).collect();
        let query = Query::numbers(ENDS.to_owned(), accounts);
        out.push((Table::LeafIndex, What::Ends, query));
    }
    for (level, indices) in levels {
        let condition = format!("t.level = {level} AND t.idx = ANY($1)");
        let statement = Dialect::select_where(Table::Tile, &condition);
        out.push((Table::Tile, What::Log, Query::numbers(statement, indices)));
    }
}

const TAIL_BLOCKS: &str = "t.first >= greatest($1, (SELECT size & ~255::bigint FROM head)) \
                           ORDER BY t.first";

/// The growing tile of each level above the leaves: none of a higher level is there than
/// the log is large.
const TAIL_TILES: &str = "(t.level, t.idx) IN \
    (SELECT l, h.size >> (8 * (l + 1))::int FROM head h, generate_series(1::bigint, 6) AS l \
     WHERE h.size >> 8 <> $1::bigint >> 8)";

/// Blocks that overlap a range: the last one that begins at or before it, and those in it.
const BLOCKS: &str = "t.first >= coalesce((SELECT max(first) FROM block WHERE first <= $1), $1) \
                      AND t.first < $2 AND t.first + t.leaves > $1 ORDER BY t.first";

/// Where the last entry of each account is.
const ENDS: &str = "SELECT l.account, l.seq, l.leaf FROM unnest($1::bigint[]) AS k (account) \
                    CROSS JOIN LATERAL (SELECT * FROM leaf_index t WHERE t.account = k.account \
                    ORDER BY t.seq DESC LIMIT 1) AS l";

const SEQS: &str = "t.account = $1 AND t.seq >= $2 AND t.seq < $3 ORDER BY t.seq";
