//! PostgreSQL away, back, and with its lock held by somebody else.

use std::time::Duration;

use keystead_channel::session::requests::{List, Request};
use keystead_channel::session::{KeyId, Status};
use keystead_keeper::server::{ServerError, Session};
use keystead_tests::Postgres;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

use crate::acknowledged::Acknowledged;
use crate::person::{Person, make_key, sign};
use crate::server::{Folder, get};

pub(crate) fn configured(address: &str) -> Folder {
    let folder = Folder::new();
    folder.configure(&format!("database = \"{address}\""));
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_all_is_refused_and_then_goes_on() {
    let mut database = Postgres::start().unwrap();
    let server = configured(&database.address()).run();
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    let mut done = Acknowledged::default();
    for is_killed in [false, true] {
        done.step_from(2, &session).await;
        if is_killed {
            database.kill().unwrap();
        } else {
            database.stop().unwrap();
        }
        let refused = sign(&session, key).await.err().unwrap();
        let unavailable = matches!(refused, ServerError::Answered(Status::Unavailable));
        assert!(unavailable, "{refused}");
        assert_eq!(
            get(server.metrics, "/ready").0,
            "HTTP/1.1 503 Service Unavailable"
        );
        assert_eq!(get(server.metrics, "/health").1, "ok\n");
        database.start_again().unwrap();
        // The first try may still meet a connection that is gone.
        while let Err(error) = sign(&session, key).await {
            assert!(error.is_passing(), "{error}");
        }
        assert_eq!(get(server.metrics, "/ready").1, "ready\n");
        done.check(&session).await;
    }
}

#[test]
fn a_database_that_is_not_there_is_said() {
    let folder = configured("postgres://keystead@127.0.0.1:9/keys?sslmode=disable");
    let said = folder.fails(&["run", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("the database is not available"), "{said}");
    assert!(said.contains("hint: see that the database runs"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_serve_one_database() {
    let database = Postgres::start().unwrap();
    let first = configured(&database.address());
    let second = beside(&first);
    let (first, second) = (first.run(), second.run());
    let alex = Person::register(&first, "alex").await;
    let at_first = alex.log_in(&first).await.unwrap();
    let key = make_key(&at_first, 1).await.unwrap();
    let at_second = alex.log_in(&second).await.unwrap();
    sign(&at_second, key).await.unwrap();
    // What one process's operator ends is over at the other with its next request.
    first.folder.must(&["user", "lock", "alex"]);
    let refused = sign(&at_second, key).await.err().unwrap();
    let is_over = matches!(refused, ServerError::Answered(Status::LoginRequired));
    assert!(is_over, "{refused}");
    let refused = alex.log_in(&second).await.err().unwrap();
    assert!(
        matches!(refused, ServerError::LockedByOperator),
        "{refused}"
    );
}

/// What only reads is refused in time as well.
async fn list_is_refused_in_time(session: &Session) {
    let list = Request::List(List {
        after: None,
        limit: 100,
    });
    let refused = tokio::time::timeout(LIMIT, session.done(&list)).await;
    let refused = refused.expect("it waits for ever").err().unwrap();
    let unavailable = matches!(refused, ServerError::Answered(Status::Unavailable));
    assert!(unavailable, "{refused}");
}

/// Refused as it must be, and soon enough.
async fn is_refused_in_time(session: &Session, key: KeyId) {
    let refused = tokio::time::timeout(LIMIT, sign(session, key)).await;
    let refused = refused.unwrap().err().unwrap();
    let unavailable = matches!(refused, ServerError::Answered(Status::Unavailable));
    assert!(unavailable, "{refused}");
}

/// What somebody else holds, or who does not run, is waited for as long as a client waits;
/// then the server goes on as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_slow_is_given_up_and_taken_up_again() {
    let database = Postgres::start().unwrap();
    let server = configured(&database.address()).run();
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    for lock in [
        "SELECT 1 FROM head FOR UPDATE",
        "LOCK TABLE secret IN ACCESS EXCLUSIVE MODE",
    ] {
        let held = database.sql_held("keys", &format!("BEGIN; {lock};"));
        is_refused_in_time(&session, key).await;
        list_is_refused_in_time(&session).await;
        drop(held);
        sign(&session, key).await.unwrap();
    }
    let frozen = Frozen::freeze(&database);
    list_is_refused_in_time(&session).await;
    is_refused_in_time(&session, key).await;
    drop(frozen);
    // What was given up may still hold the head row for a moment.
    while let Err(error) = sign(&session, key).await {
        assert!(error.is_passing(), "{error}");
    }
    Acknowledged::default().check(&session).await;
    assert_eq!(get(server.metrics, "/ready").1, "ready\n");
}

/// Who connects and says nothing costs the database nothing.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_half_open_connections_keep_nobody_from_postgres() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let database = Postgres::start().unwrap();
    let folder = configured(&database.address());
    folder.configure_tables("[connections]\nhello_s = 600\nhalf_open_max = 5000");
    let server = folder.run();
    let alex = Person::register(&server, "alex").await;
    let mut silent = Vec::new();
    for _ in 0..10_000 {
        silent.push(std::net::TcpStream::connect(server.address).unwrap());
    }
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    sign(&session, key).await.unwrap();
    let links = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'keys'";
    let links = database.sql("keys", links).unwrap();
    assert!(links.trim().parse::<u32>().unwrap() < 12, "{links}");
}

/// All processes of a database server, stopped until this is dropped.
struct Frozen(Vec<Pid>);

impl Frozen {
    fn freeze(database: &Postgres) -> Self {
        let parent = database.pid().unwrap();
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let pids = children.split_whitespace().map(|it| it.parse().unwrap());
        let pids = std::iter::once(i32::try_from(parent).unwrap()).chain(pids);
        let frozen = Self(pids.map(|it| Pid::from_raw(it).unwrap()).collect());
        frozen.signal(Signal::STOP);
        frozen
    }

    fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            // One that ended meanwhile needs none.
            let _ = kill_process(*pid, signal);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
    }
}

/// The folder of another process on the same database.
pub(crate) fn beside(first: &Folder) -> Folder {
    let second = Folder::new();
    for name in [
        "config.toml",
        "master.key",
        "ca.pem",
        "ca.key",
        "server.pem",
        "server.key",
    ] {
        std::fs::copy(first.file(name), second.file(name)).unwrap();
    }
    second
}

/// 30 s: as long as a client waits for an answer.
const LIMIT: Duration = Duration::from_secs(30);
