//! Rows changed behind the server's back: after each change a client logs in, reads its
//! whole log and verifies it. What it gets is what it got before, or an error.

#![expect(clippy::as_conversions, reason = "numbers of a test are small")]

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::place::{Entries, Holder, Place, Sign, asked, note, register, seen, sign};
use super::reading::opened;
use crate::ledger::{Action, Ledger, NO_KEY, NewEntry};
use keystead_keeper::server::seen::{Listed, Seen};

/// The tables that the log lies in, and the columns of their keys.
const TABLES: [(&str, &[&str]); 5] = [
    ("head", &["id"]),
    ("chain", &["account"]),
    ("leaf_index", &["account", "seq"]),
    ("block", &["first"]),
    ("tile", &["level", "idx"]),
];

/// What an error says is wrong: an entry, or the row without which nothing can be written.
const NAMED: [&str; 4] = ["entry ", "leaf ", "chain of account ", "a row of table "];

/// Changes a run tries; each starts from the same database.
const CHANGES: u64 = 600;

/// A database with some history, what one of its clients knows, and an older copy.
struct Before {
    place: Place,
    older: tempfile::TempDir,
    holder: Holder,
    seen: Seen,
    leaves: Vec<Vec<u8>>,
}

/// Over the end of a tile, so that there are merged blocks, single ones, and both tiles.
async fn before() -> Before {
    let place = Place::sqlite();
    let older = tempfile::tempdir().unwrap();
    let ledger = place.ledger().await;
    let (one, two) = (register(&ledger, 1).await, register(&ledger, 2).await);
    let mut client = seen(&ledger);
    for round in 0..20 {
        tokio::join!(sign(&ledger, one, 7), sign(&ledger, two, 8));
        ledger.commit(note("note")).await.unwrap();
        if round == 10 {
            let copy = older.path().join("older.db");
            let into = [copy.to_str().unwrap()];
            place.file().execute("VACUUM INTO ?1", into).unwrap();
        }
    }
    let leaves = read(&ledger, one, &mut client).await.unwrap();
    ledger.stop().await;
    drop(ledger);
    let checkpoint = |file: &Connection| file.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    checkpoint(&place.file()).unwrap();
    Before {
        place,
        older,
        holder: one,
        seen: client,
        leaves,
    }
}

/// Logs in, reads all and verifies it; the entries that were read.
async fn read(ledger: &Ledger, holder: Holder, seen: &mut Seen) -> Result<Vec<Vec<u8>>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    ledger
        .check_chain(holder.no)
        .await
        .map_err(|it| text(&it))?;
    let login = NewEntry {
        action: Action::Login,
        key: NO_KEY,
        ..Sign {
            holder,
            request: [8; 32],
        }
        .entry()
    };
    let entries = vec![login];
    let committed = ledger.commit(Entries { holder, entries }).await;
    let committed = committed.map_err(|it| text(&it))?;
    let told = ledger.opened(&committed, seen.known()).await;
    let told = opened(holder, told.map_err(|it| text(&it))?);
    seen.opened(&holder.user, &told).map_err(|it| text(&it))?;
    let (mut pages, mut cursor) = (Vec::new(), Some(0));
    while let Some(from) = cursor {
        let page = ledger.audit(holder.no, &holder.user, &asked(from)).await;
        let page = page.map_err(|it| format!("entry {from}: {it}"))?;
        cursor = page.next;
        pages.push(page);
    }
    let listed = Listed {
        entries: &[],
        request_hash: None,
    };
    seen.audit(&holder.user, &pages, listed)
        .map_err(|it| text(&it))?;
    let asked = seen.head_request();
    let head = ledger.head(&asked).await.map_err(|it| text(&it))?;
    seen.take_head(&asked, &head).map_err(|it| text(&it))?;
    Ok(pages
        .into_iter()
        .flat_map(|it| it.leaves.0)
        .map(|it| it.0)
        .collect())
}

/// One row of a table, all columns.
fn row(file: &Connection, table: &str, at: u64) -> Option<Vec<(String, Value)>> {
    let mut statement = file.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| {
        names
            .iter()
            .enumerate()
            .map(|(at, name)| Ok((name.clone(), row.get(at)?)))
            .collect()
    });
    let rows: Vec<Vec<(String, Value)>> = rows.unwrap().collect::<Result<_, _>>().unwrap();
    let count = rows.len() as u64;
    rows.into_iter()
        .nth(usize::try_from(at.checked_rem(count)?).unwrap())
}

fn key<'r>(columns: &'r [(String, Value)], keys: &[&str]) -> Vec<&'r Value> {
    let of = |name: &&str| {
        columns
            .iter()
            .find(|it| it.0 == **name)
            .map(|it| &it.1)
            .unwrap()
    };
    keys.iter().map(of).collect()
}

fn put(file: &Connection, table: &str, columns: &[(String, Value)]) {
    let names: Vec<&str> = columns.iter().map(|it| it.0.as_str()).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let statement = format!(
        "INSERT OR REPLACE INTO {table} ({}) VALUES ({marks})",
        names.join(", ")
    );
    file.execute(&statement, params_from_iter(columns.iter().map(|it| &it.1)))
        .unwrap();
}

fn delete(file: &Connection, table: &str, keys: &[&str], columns: &[(String, Value)]) {
    let wheres: Vec<String> = keys.iter().map(|it| format!("{it} = ?")).collect();
    let statement = format!("DELETE FROM {table} WHERE {}", wheres.join(" AND "));
    file.execute(&statement, params_from_iter(key(columns, keys)))
        .unwrap();
}

/// One change, in words; none where it would change nothing.
fn change(file: &Connection, older: &Connection, rng: &mut ChaCha8Rng) -> Option<String> {
    let (table, keys) = TABLES[rng.next_u32() as usize % TABLES.len()];
    let columns = row(file, table, rng.next_u64())?;
    let said = format!("{table} {:?}", key(&columns, keys));
    match rng.next_u32() % 5 {
        0 => {
            let mut changed = columns.clone();
            let at = rng.next_u32() as usize % changed.len();
            match &mut changed[at].1 {
                Value::Blob(bytes) if !bytes.is_empty() => {
                    let bit = rng.next_u32() as usize % (bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                Value::Integer(number) => *number ^= 1 << (rng.next_u32() % 8),
                Value::Blob(_) | Value::Null | Value::Real(_) | Value::Text(_) => return None,
            }
            delete(file, table, keys, &columns);
            put(file, table, &changed);
            Some(format!("{said}: {} changed", changed[at].0))
        }
        1 => {
            delete(file, table, keys, &columns);
            Some(format!("{said}: removed"))
        }
        2 => {
            let old = row(older, table, rng.next_u64())?;
            let old_key: Vec<Value> = key(&old, keys).into_iter().cloned().collect();
            put(file, table, &old);
            Some(format!("{table} {old_key:?}: put back in an older form"))
        }
        3 => {
            let other = row(file, table, rng.next_u64())?;
            let mix = |from: &[(String, Value)], into: &[(String, Value)]| {
                let pairs = from.iter().zip(into);
                pairs
                    .map(|(from, into)| {
                        if keys.contains(&from.0.as_str()) {
                            into.clone()
                        } else {
                            from.clone()
                        }
                    })
                    .collect::<Vec<_>>()
            };
            put(file, table, &mix(&columns, &other));
            put(file, table, &mix(&other, &columns));
            Some(format!("{said}: swapped with {:?}", key(&other, keys)))
        }
        _ => {
            let mut cut = columns.clone();
            let at = rng.next_u32() as usize % cut.len();
            let Value::Blob(bytes) = &mut cut[at].1 else {
                return None;
            };
            bytes.truncate(bytes.len() / 2);
            put(file, table, &cut);
            Some(format!("{said}: {} cut", cut[at].0))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_the_one_before_or_an_error() {
    let before = before().await;
    let older = Connection::open(before.older.path().join("older.db")).unwrap();
    let original = std::fs::read(before.place.folder.path().join("server.db")).unwrap();
    let (mut same, mut errors) = (0, 0);
    for seed in 0..CHANGES {
        let place = Place::sqlite();
        std::fs::write(place.folder.path().join("server.db"), &original).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let Some(said) = change(&place.file(), &older, &mut rng) else {
            continue;
        };
        match after(&place, &before).await {
            Ok(leaves) => {
                let is_same = leaves.starts_with(&before.leaves);
                assert!(is_same, "seed {seed}, {said}: other entries");
                same += 1;
            }
            Err(error) => {
                let is_named = NAMED.iter().any(|it| error.contains(it));
                assert!(is_named, "seed {seed}, {said}: {error}");
                errors += 1;
            }
        }
    }
    // Most changes are of rows that this account never reads; both must have been tried.
    assert!(
        same > 50 && errors > 100,
        "{same} the same, {errors} errors"
    );
}

/// What the client gets of a changed database.
async fn after(place: &Place, before: &Before) -> Result<Vec<Vec<u8>>, String> {
    let store = crate::store::Store::open(&place.address, place.folder.path()).await;
    let store = store.map_err(|it| it.to_string())?;
    let source = crate::sealing::MasterSource::File(place.folder.path().join("master.key"));
    let begun = crate::sealing::Sealing::begin(&store, source).await;
    let (sealing, _) = begun.map_err(|it| it.to_string())?;
    let ledger = Ledger::start(store, sealing)
        .await
        .map_err(|it| it.to_string())?;
    let mut seen = before.seen.clone();
    let read = read(&ledger, before.holder, &mut seen).await;
    ledger.stop().await;
    read
}
