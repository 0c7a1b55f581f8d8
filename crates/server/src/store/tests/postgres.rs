//! On a PostgreSQL of our own.

use keystead_tests::Postgres;

use crate::store::StoreError;

use super::place::{count, counted};
use super::proxy::{Cut, Proxy};
use super::{Place, cases};

/// One server for all of them, a database each.
#[tokio::test]
async fn the_cases_of_every_database() {
    let postgres = Postgres::start().unwrap();
    let place = |name: &str| Place::at(postgres.database(name).unwrap());
    cases::what_is_written_is_read(&place("a")).await;
    cases::a_batch_sees_its_own_changes(&place("b")).await;
    cases::pages_are_in_order_and_end(&place("c")).await;
    cases::the_log_is_read_by_ranges(&place("d")).await;
    cases::what_was_changed_does_not_open(&place("e")).await;
    cases::an_older_account_does_not_pass(&place("f")).await;
    cases::the_oldest_unknown_names_are_dropped(&place("g")).await;
    cases::a_sweep_takes_what_has_expired(&place("h")).await;
    cases::keys_are_rotated(&place("i")).await;
    cases::tombstones_are_settled(&place("j")).await;
    let sql = |statement: &str| drop(postgres.sql("k", statement).unwrap());
    cases::a_head_that_goes_back_stops_the_process(&place("k"), sql).await;
    cases::a_chain_ends_where_its_row_says(&place("p")).await;
    cases::reads_at_once_are_each_its_own(&place("q")).await;
    cases::a_backup_is_restored(&place("l"), &place("m")).await;
    cases::a_backup_is_restored(&place("n"), &Place::sqlite()).await;
    cases::a_backup_is_restored(&Place::sqlite(), &place("o")).await;
}

#[tokio::test]
async fn every_earlier_version_is_opened() {
    let postgres = Postgres::start().unwrap();
    for (name, text) in [("one", include_str!("versions/1.postgres.sql"))] {
        let place = Place::at(postgres.database(name).unwrap());
        postgres.sql(name, text).unwrap();
        cases::an_earlier_version_is_opened(&place).await;
    }
}

/// Who writes no `sslmode` over the network wants TLS, and is told what to write without it.
#[tokio::test]
async fn a_database_without_tls_is_told() {
    let postgres = Postgres::start().unwrap();
    let port = postgres.port();
    let place = Place::at(format!("postgres://postgres@127.0.0.1:{port}/keys"));
    let error = place.store().await.err().unwrap();
    assert!(matches!(error, StoreError::NoTls(_)), "{error:?}");
    for option in ["?sslrootcert=FILE", "?sslmode=disable"] {
        assert!(error.hint().contains(option), "{}", error.hint());
    }
}

#[tokio::test]
async fn a_later_version_is_refused() {
    let postgres = Postgres::start().unwrap();
    let place = Place::at(postgres.address());
    drop(place.open().await);
    postgres
        .sql("keys", "INSERT INTO schema VALUES (99)")
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

/// Processes that start at once draw one server, and what they count is counted once each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_in_one_order() {
    let postgres = Postgres::start().unwrap();
    let places: Vec<Place> = (0..3).map(|_| Place::at(postgres.address())).collect();
    let opened = places.iter().map(Place::open);
    let opened = futures_util::future::join_all(opened).await;
    let ids: Vec<_> = opened.iter().map(|it| it.2.server_id()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    let counting = opened.iter().map(|(store, sealing, _)| async move {
        for _ in 0..40 {
            count(store, sealing).await.unwrap();
        }
    });
    futures_util::future::join_all(counting).await;
    let (store, sealing, _) = &opened[0];
    assert_eq!(counted(store, sealing).await, Ok(120));
}

/// Keys that one process rotates are known to the others.
#[tokio::test]
async fn other_processes_follow_a_rotation() {
    let postgres = Postgres::start().unwrap();
    let (one, other) = (Place::at(postgres.address()), Place::at(postgres.address()));
    let (store, sealing, _) = one.open().await;
    let (second, second_sealing, _) = other.open().await;
    count(&second, &second_sealing).await.unwrap();
    for place in [&one, &other] {
        place.write_master(&[[8; 32], [7; 32]].concat());
    }
    store.rotate(&sealing, |_| ()).await.unwrap();
    assert_eq!(counted(&second, &second_sealing).await, Ok(1));
    assert_eq!(count(&second, &second_sealing).await, Ok(2));
    assert_eq!(counted(&store, &sealing).await, Ok(2));
}

#[tokio::test]
async fn a_restart_is_survived() {
    let mut postgres = Postgres::start().unwrap();
    let place = Place::at(postgres.address());
    let (store, sealing, _) = place.open().await;
    assert_eq!(count(&store, &sealing).await, Ok(1));
    postgres.stop().unwrap();
    for _ in 0..2 {
        let refused = count(&store, &sealing).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{refused:?}"
        );
    }
    postgres.start_again().unwrap();
    assert_eq!(count(&store, &sealing).await, Ok(2));
    postgres.kill().unwrap();
    postgres.start_again().unwrap();
    let after = count(&store, &sealing).await;
    // A connection that was idle is found to be dead, at the latest by this.
    let after = if after.is_err() {
        count(&store, &sealing).await
    } else {
        after
    };
    assert_eq!(after, Ok(3));
}

#[tokio::test]
async fn a_lock_that_is_held_is_waited_for_and_given_up() {
    let postgres = Postgres::start().unwrap();
    let place = Place::at(postgres.address());
    let (store, sealing, _) = place.open().await;
    assert_eq!(count(&store, &sealing).await, Ok(1));
    let held = postgres
        .sql_held("keys", "BEGIN; SELECT 1 FROM head FOR UPDATE;")
        .unwrap();
    let refused = count(&store, &sealing).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(counted(&store, &sealing).await, Ok(1), "reads go on");
    drop(held);
    assert_eq!(count(&store, &sealing).await, Ok(2));
}

/// The answer to COMMIT is lost, or COMMIT itself: it is found out which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_settled() {
    let postgres = Postgres::start().unwrap();
    let proxy = Proxy::to(postgres.port());
    let address = postgres.address();
    let address = address.replace(&postgres.port().to_string(), &proxy.port().to_string());
    let place = Place::at(address);
    let (store, sealing, _) = place.open().await;
    assert_eq!(count(&store, &sealing).await, Ok(1));
    for (cut, expected) in [
        (Cut::Answer, Ok(2)),
        (Cut::Commit, Err(())),
        (Cut::Answer, Ok(3)),
        (Cut::Commit, Err(())),
    ] {
        proxy.cut_next(cut);
        let counted = count(&store, &sealing).await;
        assert_eq!(
            counted.clone().map_err(drop),
            expected,
            "{cut:?} {counted:?}"
        );
        assert!(proxy.has_cut());
    }
    assert_eq!(counted(&store, &sealing).await, Ok(3));
    assert_eq!(count(&store, &sealing).await, Ok(4));
}
