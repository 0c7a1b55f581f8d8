//! `kill -9` at random under load: 200 times on SQLite, 50 times on PostgreSQL;
//! `KEYSTEAD_KILLS=200` kills as often on each.

use std::time::Duration;

use keystead_daemon::SystemRng;
use keystead_tests::Postgres;
use rand_core::RngCore;

use crate::acknowledged::Acknowledged;
use crate::person::Person;
use crate::server::Folder;

/// After each, all that was acknowledged is there and the log goes on where its client
/// saw it: the client's own checks refuse anything else.
async fn it_is_killed(folder: Folder, cycles: u32) {
    let server = folder.run();
    let alex = Person::register(&server, "alex").await;
    let mut done = Acknowledged::default();
    let mut server = Some(server);
    for _ in 0..cycles {
        let mut running = server.take().unwrap();
        let session = alex.log_in(&running).await.unwrap();
        done.check_last(&session).await;
        let after_ms = u64::from(SystemRng.next_u32() % LOAD_MS_MAX);
        tokio::select! {
            error = done.go_on(&session) => panic!("before it was killed: {error}"),
            () = tokio::time::sleep(Duration::from_millis(after_ms)) => {}
        }
        // The key that was being made when it died was acknowledged or not; its number is
        // not used again.
        running.child.kill().unwrap();
        server = Some(running.into_folder().run());
    }
    let server = server.unwrap();
    let session = alex.log_in(&server).await.unwrap();
    done.check(&session).await;
    assert!(done.count() > 0);
}

/// Long enough for some commits, short enough to die in the first one too.
const LOAD_MS_MAX: u32 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_killed_on_sqlite() {
    it_is_killed(Folder::new(), cycles(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_killed_on_postgres() {
    let database = Postgres::start().unwrap();
    let folder = Folder::new();
    folder.configure(&format!("database = \"{}\"", database.address()));
    it_is_killed(folder, cycles(50)).await;
}

fn cycles(or: u32) -> u32 {
    let cycles = std::env::var("KEYSTEAD_KILLS").ok();
    cycles.map_or(or, |it| it.parse().unwrap())
}
