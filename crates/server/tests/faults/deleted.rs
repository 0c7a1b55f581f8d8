//! An account with many secrets is deleted, and the server is killed in the midst of it.

use std::path::PathBuf;

use futures_util::future::join_all;
use keystead_channel::log::{Leaf, LogId};
use keystead_channel::session::requests::{Method, Request};
use keystead_keeper::server::{ServerError, Session};
use keystead_tests::Postgres;
use rusqlite::Connection;
use tokio::time::Instant;

use crate::acknowledged::Acknowledged;
use crate::person::{Person, make_key, sign};
use crate::postgres::configured;
use crate::server::{Folder, Server, program};
use crate::syncs::Library;

/// Looks into the database from outside.
enum Rows<'a> {
    Sqlite(PathBuf),
    Postgres(&'a Postgres),
}

impl Rows<'_> {
    fn number(&self, query: &str) -> i64 {
        match self {
            Self::Sqlite(file) => {
                let database = Connection::open(file).unwrap();
                database.query_row(query, [], |row| row.get(0)).unwrap()
            }
            Self::Postgres(postgres) => {
                let said = postgres.sql("keys", query).unwrap();
                said.trim().parse().unwrap()
            }
        }
    }

    /// Of all accounts.
    fn secrets(&self) -> i64 {
        self.number("SELECT count(*) FROM secret")
    }
}

/// Somebody with many secrets, and somebody else with one.
struct World {
    alex: Person,
    kim: Person,
    kept: Acknowledged,
}

impl World {
    async fn new(server: &Server) -> Self {
        let alex = Person::register(server, "alex").await;
        let kim = Person::register(server, "kim").await;
        let mut kept = Acknowledged::default();
        kept.step(&kim.log_in(server).await.unwrap()).await.unwrap();
        let session = alex.log_in(server).await.unwrap();
        let secrets = secrets();
        for first in (0..secrets).step_by(AT_ONCE) {
            let numbers = (first..secrets).take(AT_ONCE);
            let made = join_all(numbers.map(|number| make_key(&session, number))).await;
            for key in made {
                key.unwrap();
            }
        }
        Self { alex, kim, kept }
    }

    /// Nobody has the account any more, whatever is left of it.
    async fn is_gone(&self, server: &Server) {
        let refused = self.alex.log_in(server).await.err().unwrap();
        assert!(matches!(refused, ServerError::WrongPassword), "{refused}");
    }

    /// After the start that follows: what was left goes, the log has the deletion once and
    /// nothing behind it, the name is free, and others have what they had.
    async fn check(&self, server: &Server, rows: &Rows<'_>, log: LogId) {
        self.is_gone(server).await;
        let until = Instant::now() + std::time::Duration::from_secs(60);
        while rows.secrets() > 1 {
            assert!(Instant::now() < until, "{} are left", rows.secrets());
            tokio::task::yield_now().await;
        }
        assert_eq!(rows.number("SELECT count(*) FROM account"), 1);
        let leaves = leaves(server, log);
        let deleted = |leaf: &Leaf| leaf.action == Method::DeleteAccount.number();
        assert_eq!(leaves.iter().filter(|it| deleted(it)).count(), 1);
        let last = leaves.last().unwrap();
        assert!(deleted(last) && last.outcome == 0, "{last:?}");
        self.kept
            .check(&self.kim.log_in(server).await.unwrap())
            .await;
        let again = Person::register(server, "alex").await;
        let session = again.log_in(server).await.unwrap();
        sign(&session, make_key(&session, 0).await.unwrap())
            .await
            .unwrap();
        assert_eq!(rows.secrets(), 2);
    }
}

/// The entries of a log, by the operator's export of all of them.
fn leaves(server: &Server, log: LogId) -> Vec<Leaf> {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD;
    let exported = server.folder.must(&["audit", "export"]);
    let leaves = exported.lines().filter_map(|it| it.strip_prefix("leaf "));
    let leaves = leaves.map(|it| base64.decode(it.split_once(' ').unwrap().1).unwrap());
    let leaves = leaves.map(|it| Leaf::decode(&it).unwrap());
    leaves.filter(|it| it.log == log).collect()
}

async fn delete(session: &Session) -> Result<(), ServerError> {
    session.done(&Request::DeleteAccount).await.map(drop)
}

/// Whoever else signs while they go is served between the transactions: nobody is refused, as
/// one who waits too long is.
async fn others_are_served(server: Server, rows: Rows<'_>) {
    let world = World::new(&server).await;
    let kim = world.kim.log_in(&server).await.unwrap();
    let key = make_key(&kim, 1_000_000).await.unwrap();
    let most_kib = |when| {
        let status = format!("/proc/{}/status", server.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|it| it.starts_with("VmHWM")).unwrap();
        eprintln!("{when}: {line}");
    };
    most_kib("before");
    let session = world.alex.log_in(&server).await.unwrap();
    let began = Instant::now();
    let deleting = tokio::spawn(async move { delete(&session).await });
    let (mut signed, mut longest) = (0, std::time::Duration::ZERO);
    loop {
        for _ in 0..8 {
            let since = Instant::now();
            sign(&kim, key).await.unwrap();
            longest = longest.max(since.elapsed());
            signed += 1;
        }
        if rows.secrets() <= 2 {
            break;
        }
    }
    deleting.await.unwrap().unwrap();
    let took = began.elapsed();
    eprintln!(
        "{} secrets in {took:?}, {signed} signatures, the longest {longest:?}",
        secrets()
    );
    most_kib("after");
    world.is_gone(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_while_a_large_account_goes_on_sqlite() {
    let server = Folder::new().run();
    let rows = Rows::Sqlite(server.folder.file("keystead.db"));
    others_are_served(server, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_while_a_large_account_goes_on_postgres() {
    let database = Postgres::start().unwrap();
    let server = configured(&database.address()).run();
    others_are_served(server, Rows::Postgres(&database)).await;
}

/// Each commit takes a while, so that it dies between two of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_killed_on_sqlite_is_finished() {
    let server = Folder::new().run();
    let world = World::new(&server).await;
    let folder = server.stop().0;
    let library = Library::compile();
    let mut command = program();
    command.env("LD_PRELOAD", &library.0);
    command.env("SLOW_SYNC_MS", "300");
    let Ok(mut server) = folder.run_as(command, &[]) else {
        panic!("not ready")
    };
    let rows = Rows::Sqlite(server.folder.file("keystead.db"));
    let session = world.alex.log_in(&server).await.unwrap();
    let log = LogId::of(&session.user());
    let whole = rows.secrets();
    let deleting = tokio::spawn(async move { delete(&session).await });
    while rows.secrets() == whole {
        assert!(!deleting.is_finished());
        tokio::task::yield_now().await;
    }
    // From the first commit on: who logs in meanwhile.
    world.is_gone(&server).await;
    let left = rows.secrets();
    server.child.kill().unwrap();
    assert!(deleting.await.unwrap().is_err(), "it was killed too late");
    let folder = server.into_folder();
    assert!(left > 1 && rows.secrets() > 1, "{left}");
    let server = folder.run();
    world.check(&server, &rows, log).await;
}

/// Somebody holds a row in the midst of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_killed_on_postgres_is_finished() {
    let database = Postgres::start().unwrap();
    let mut server = configured(&database.address()).run();
    let world = World::new(&server).await;
    let rows = Rows::Postgres(&database);
    let session = world.alex.log_in(&server).await.unwrap();
    let log = LogId::of(&session.user());
    let whole = rows.secrets();
    let hold = "BEGIN; SELECT 1 FROM secret WHERE key_id = (SELECT key_id FROM secret \
                WHERE account = (SELECT min(no) FROM account) \
                ORDER BY key_id OFFSET 300 LIMIT 1) FOR UPDATE;";
    let held = database.sql_held("keys", hold);
    let deleting = tokio::spawn(async move { delete(&session).await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'keys' \
                 AND wait_event_type = 'Lock'";
    while rows.number(waits) == 0 {
        assert!(!deleting.is_finished());
    }
    let left = rows.secrets();
    server.child.kill().unwrap();
    assert!(deleting.await.unwrap().is_err(), "it was killed too late");
    drop(held);
    let folder = server.into_folder();
    assert!(left < whole && rows.secrets() > 1, "{left} of {whole}");
    let server = folder.run();
    world.check(&server, &rows, log).await;
}

/// Six transactions of 256, or as many secrets as `KEYSTEAD_SECRETS` says.
fn secrets() -> u32 {
    let said = std::env::var("KEYSTEAD_SECRETS").ok();
    said.map_or(1_500, |it| it.parse().unwrap())
}

/// As many as may wait in one session.
const AT_ONCE: usize = 32;
