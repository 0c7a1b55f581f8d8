//! On SQLite.

use rusqlite::Connection;

use keystead_channel::session::KeyId;

use crate::store::{StoreError, Wanted};

use super::place::{act, count, counted, register, secret};
use super::{Place, cases};

macro_rules! on_sqlite {
    ($($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                cases::$case(&Place::sqlite()).await;
            }
        )*
    };
}

on_sqlite! {
    what_is_written_is_read,
    a_batch_sees_its_own_changes,
    pages_are_in_order_and_end,
    the_log_is_read_by_ranges,
    what_was_changed_does_not_open,
    an_older_account_does_not_pass,
    a_chain_ends_where_its_row_says,
    reads_at_once_are_each_its_own,
    the_oldest_unknown_names_are_dropped,
    a_sweep_takes_what_has_expired,
    keys_are_rotated,
    tombstones_are_settled,
}

#[tokio::test]
async fn a_backup_is_restored() {
    cases::a_backup_is_restored(&Place::sqlite(), &Place::sqlite()).await;
}

#[tokio::test]
async fn a_head_that_goes_back_stops_the_process() {
    let place = Place::sqlite();
    let file = place.path().join("server.db");
    let sql = |statement: &str| {
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch(statement).unwrap();
    };
    cases::a_head_that_goes_back_stops_the_process(&place, sql).await;
}

/// What goes is overwritten where it stood.
#[tokio::test]
async fn a_row_that_goes_leaves_no_bytes_in_the_file() {
    let place = Place::sqlite();
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    act(&store, &sealing, Wanted::new(), move |rows| {
        (1..=2).for_each(|byte| rows.put_secret(secret(no, byte)));
    })
    .await
    .unwrap();
    let file = place.path().join("server.db");
    let query = "SELECT sealed FROM secret ORDER BY key_id";
    let sealed: Vec<Vec<u8>> = {
        let connection = Connection::open(&file).unwrap();
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut wanted = Wanted::new();
    wanted.account(no).secret(no, KeyId([1; 16]));
    let key = KeyId([1; 16]);
    act(&store, &sealing, wanted, move |rows| {
        rows.delete_secret(no, key)
    })
    .await
    .unwrap();
    drop((store, sealing));
    let bytes = std::fs::read(&file).unwrap();
    let is_there = |row: &Vec<u8>| bytes.windows(32).any(|it| it == &row[row.len() - 32..]);
    assert_eq!(
        sealed.iter().map(is_there).collect::<Vec<_>>(),
        [false, true]
    );
}

#[tokio::test]
async fn a_second_process_is_kept_away() {
    let place = Place::sqlite();
    let (store, ..) = place.open().await;
    assert!(matches!(place.store().await, Err(StoreError::Locked(_))));
    drop(store);
    place.open().await;
}

/// What still has a handle of a closed database keeps no other process away, and writes
/// nothing beside it.
#[tokio::test]
async fn a_closed_one_is_free() {
    let place = Place::sqlite();
    let (store, sealing, _) = place.open().await;
    assert_eq!(count(&store, &sealing).await, Ok(1));
    store.close().await.unwrap();
    let (next, next_sealing, _) = place.open().await;
    let refused = count(&store, &sealing).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(count(&next, &next_sealing).await, Ok(2));
}

#[tokio::test]
async fn a_later_version_is_refused() {
    let place = Place::sqlite();
    drop(place.open().await);
    let connection = Connection::open(place.path().join("server.db")).unwrap();
    connection
        .execute_batch("INSERT INTO schema (version) VALUES (99)")
        .unwrap();
    let error = place.store().await.err().unwrap();
    assert_eq!(
        error,
        StoreError::Newer {
            found: 99,
            known: 2
        }
    );
}

/// Another program has the file's lock: batches are refused, and go on afterwards.
#[tokio::test]
async fn a_lock_that_is_held_is_waited_for_and_given_up() {
    let place = Place::sqlite();
    let (store, sealing, _) = place.open().await;
    assert_eq!(count(&store, &sealing).await, Ok(1));
    let other = Connection::open(place.path().join("server.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = count(&store, &sealing).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(count(&store, &sealing).await, Ok(2));
    assert_eq!(counted(&store, &sealing).await, Ok(2));
}

#[tokio::test]
async fn files_are_for_their_owner() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::sqlite();
    let (store, sealing, _) = place.open().await;
    count(&store, &sealing).await.unwrap();
    store.backup(&place.path().join("backup.db")).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(place.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

/// On a full disk batches are refused; when there is room they go on, without a new start.
#[tokio::test]
#[ignore = "needs root"]
async fn a_full_disk_is_survived() {
    let place = Place::sqlite();
    let disk = place.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let status = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&disk)
        .status();
    assert!(status.unwrap().success());
    let _mounted = Mounted(disk.clone());
    let place = Place {
        address: format!("sqlite:{}", disk.join("server.db").display()),
        ..place
    };
    let (store, sealing, _) = place.open().await;
    assert_eq!(count(&store, &sealing).await, Ok(1));
    let ballast = disk.join("ballast");
    for round in 0..3 {
        let mut done = counted(&store, &sealing).await.unwrap();
        fill(&ballast);
        let mut refused = 0;
        for _ in 0..600 {
            match count(&store, &sealing).await {
                Ok(counted) => done = counted,
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refused > 0, "round {round}");
        // What was acknowledged is there, and nothing else.
        assert_eq!(counted(&store, &sealing).await, Ok(done));
        std::fs::remove_file(&ballast).unwrap();
        assert_eq!(count(&store, &sealing).await, Ok(done + 1));
    }
}

/// Writes until nothing fits.
fn fill(file: &std::path::Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(file).unwrap();
    while file.write_all(&[1; 4_096]).is_ok() {}
}

/// Unmounted with the value.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[tokio::test]
async fn every_earlier_version_is_opened() {
    for text in [include_str!("versions/1.sqlite.sql")] {
        let place = Place::sqlite();
        let file = place.path().join("server.db");
        let connection = Connection::open(file).unwrap();
        connection.execute_batch(text).unwrap();
        drop(connection);
        cases::an_earlier_version_is_opened(&place).await;
    }
}
