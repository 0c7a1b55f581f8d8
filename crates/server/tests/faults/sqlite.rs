//! SQLite's file with its lock held by another program, and on a disk that takes its time.

use std::time::Duration;

use keystead_channel::session::Status;
use keystead_keeper::server::ServerError;
use rusqlite::Connection;
use tokio::time::Instant;

use crate::acknowledged::Acknowledged;
use crate::person::{Person, make_key, sign};
use crate::server::{Folder, get, program};
use crate::syncs::Library;

fn is_unavailable(error: &ServerError) -> bool {
    matches!(error, ServerError::Answered(Status::Unavailable))
}

/// It is waited for, then given up, and taken up again without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_another_program_holds_is_waited_for_and_given_up() {
    let server = Folder::new().run();
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1_000_000).await.unwrap();
    let mut done = Acknowledged::default();
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        done.step(&session).await.unwrap();
        let other = Connection::open(server.folder.file("keystead.db")).unwrap();
        other.execute_batch(lock).unwrap();
        let refused = sign(&session, key).await.err().unwrap();
        assert!(is_unavailable(&refused), "{refused}");
        let refused = done.check_retrieve(&session, key).await.err().unwrap();
        assert!(is_unavailable(&refused), "{refused}");
        assert_eq!(get(server.metrics, "/health").1, "ok\n");
        other.execute_batch("ROLLBACK").unwrap();
        sign(&session, key).await.unwrap();
        done.check(&session).await;
    }
}

/// Nobody is answered before the disk has it, however long that takes; who comes meanwhile
/// waits for the next commit, and all of them for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_its_time_is_waited_for() {
    let library = Library::compile();
    let mut command = program();
    command.env("LD_PRELOAD", &library.0);
    command.env("SLOW_SYNC_MS", SYNC_MS.to_string());
    let Ok(server) = Folder::new().run_as(command, &[]) else {
        panic!("not ready")
    };
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    let began = Instant::now();
    let signed = (0..SIGNATURES).map(|_| sign(&session, key));
    for signed in futures_util::future::join_all(signed).await {
        signed.unwrap();
    }
    let took = began.elapsed();
    let sync = Duration::from_millis(SYNC_MS);
    assert!(took >= sync && took < sync * SIGNATURES / 2, "{took:?}");
    Acknowledged::default().check(&session).await;
}

/// A disk in trouble, or one across a network.
const SYNC_MS: u64 = 200;

/// As many as may wait in one session.
const SIGNATURES: u32 = 32;
