//! All that is to be written, and COMMIT, in one round trip.
//!
//! **Invariant**: deletions go before what is put, and the process's row, which settles a
//! COMMIT without an answer, is of the same transaction.

use crate::rows::{Cell, Row, Table};

use super::super::schema::Dialect;
use super::super::shared;
use super::super::{Now, StoreError, Sweep, Writes};
use super::link::{Link, Query, Step};

/// Writes and commits.
pub(super) async fn whole(
    link: &mut Link,
    mut writes: Writes,
    batch: [u8; 16],
    now: Now,
) -> Result<(), StoreError> {
    let process = [
        Cell::bytes(&link.id),
        Cell::bytes(&batch),
        Cell::number(now.ms),
    ];
    writes.put(
        Table::Writer,
        Row {
            cells: process.to_vec(),
        },
    );
    let mut steps = deletions(&writes);
    shared::log_rows(&mut writes);
    for (table, rows) in writes.puts {
        steps.push(Step::Execute(put(table, rows)));
    }
    steps.extend(writes.sweep.iter().flat_map(sweep));
    if let Some((no, count)) = writes.secrets_delete {
        let of = vec![Cell::Int(no.0), Cell::number(count.into())];
        let statement = Dialect::Postgres.delete_secrets();
        steps.push(Step::Execute(Query::cells(statement, of)));
    }
    if let Some(kept) = writes.unknown_guesses_kept {
        let kept = vec![Cell::number(u64::try_from(kept).unwrap_or(u64::MAX))];
        steps.push(Step::Execute(Query::cells(DROP_GUESSES.to_owned(), kept)));
    }
    link.commit(steps).await
}

/// Rows in the place of what is there.
pub(super) fn put(table: Table, rows: Vec<Row>) -> Query {
    let columns = table.shape().columns.len();
    let rows = rows.into_iter().map(|row| row.cells);
    Query::arrays(
        Dialect::Postgres.put(table).to_owned(),
        table,
        columns,
        rows,
    )
}

/// What deletes all that has expired.
pub(super) fn sweep(sweep: &Sweep) -> Vec<Step> {
    let statements = sweep.statements("$1").into_iter();
    let step =
        |(statement, before)| Step::Execute(Query::cells(statement, vec![Cell::number(before)]));
    statements.map(step).collect()
}

fn deletions(writes: &Writes) -> Vec<Step> {
    let mut steps = Vec::new();
    for range in &writes.blocks_delete {
        let statement = "DELETE FROM block WHERE first >= $1 AND first < $2".to_owned();
        let ends = vec![Cell::number(range.start), Cell::number(range.end)];
        steps.push(Step::Execute(Query::cells(statement, ends)));
    }
    for (no, range) in &writes.index_delete {
        let statement = "DELETE FROM leaf_index WHERE account = $1 AND seq >= $2 AND seq < $3";
        let ends = vec![
            Cell::Int(no.0),
            Cell::number(range.start),
            Cell::number(range.end),
        ];
        steps.push(Step::Execute(Query::cells(statement.to_owned(), ends)));
    }
    for (table, keys) in &writes.deletes {
        let statement = Dialect::Postgres.delete(*table).to_owned();
        let keys = keys.iter().map(|key| key.cells.clone());
        let query = Query::arrays(statement, *table, table.shape().key, keys);
        steps.push(Step::Execute(query));
    }
    steps
}

/// The oldest rows of unknown names go, down to what is kept.
const DROP_GUESSES: &str = "DELETE FROM guess WHERE tag IN (SELECT tag FROM guess \
    WHERE known = 0 ORDER BY last_ms \
    LIMIT greatest(0, (SELECT count(*) FROM guess WHERE known = 0) - $1))";
