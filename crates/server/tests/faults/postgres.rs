//! PostgreSQL away, back, and with its lock held by somebody else.

use keystead_channel::session::Status;
use keystead_keeper::server::ServerError;
use keystead_tests::Postgres;

use crate::acknowledged::Acknowledged;
use crate::person::{Person, make_key, sign};
use crate::server::{Folder, get};

fn configured(address: &str) -> Folder {
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
    let (first, second) = (first.run(), second.run());
    let alex = Person::register(&first, "alex").await;
    let at_first = alex.log_in(&first).await.unwrap();
    let key = make_key(&at_first, 1).await.unwrap();
    let at_second = alex.log_in(&second).await.unwrap();
    sign(&at_second, key).await.unwrap();
    // What one process's operator ends is over at the other with its next request.
    first.folder.must(&["user", "lock", "alex"]);
    let refused = sign(&at_second, key).await.err().unwrap();
    assert!(
        matches!(
            refused,
            ServerError::LoginRequired | ServerError::Answered(_)
        ),
        "{refused}"
    );
}
