//! A file system that fills up: of 1 MiB under SQLite, and PostgreSQL's own.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use keystead_channel::session::Status;
use keystead_keeper::server::ServerError;
use keystead_tests::Postgres;

use crate::acknowledged::Acknowledged;
use crate::commit::entries;
use crate::person::{Person, make_key, sign};
use crate::postgres::configured;
use crate::server::{Folder, get};

/// A tmpfs, unmounted in the end.
struct Small(PathBuf);

impl Small {
    fn mount(folder: &Folder) -> Self {
        let path = folder.file("small");
        std::fs::create_dir(&path).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]);
        assert!(command.arg(&path).status().unwrap().success());
        Self(path)
    }
}

/// Takes all the room there is.
fn fill(folder: &Path, block: &[u8]) -> PathBuf {
    let path = folder.join("filler");
    let mut file = File::create(&path).unwrap();
    while file.write_all(block).is_ok() {}
    path
}

fn is_unavailable(error: &ServerError) -> bool {
    matches!(error, ServerError::Answered(Status::Unavailable))
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn signatures_are_refused_while_there_is_no_room_and_made_again_after() {
    let folder = Folder::new();
    let small = Small::mount(&folder);
    let database = format!("sqlite:{}", small.0.join("keys.db").display());
    let server = folder.run_with(&["--database", &database]);
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1_000_000).await.unwrap();
    let filler = fill(&small.0, &[7; 512]);
    let mut done = Acknowledged::default();
    // What the database had in reserve is used up first.
    let refused = done.go_on(&session).await;
    assert!(is_unavailable(&refused), "{refused}");
    let refused = sign(&session, key).await.err().unwrap();
    assert!(is_unavailable(&refused), "{refused}");
    let refused = done.check_retrieve(&session, key).await.err().unwrap();
    assert!(is_unavailable(&refused), "{refused}");
    assert_eq!(get(server.metrics, "/health").1, "ok\n");
    std::fs::remove_file(filler).unwrap();
    sign(&session, key).await.unwrap();
    done.check(&session).await;
    assert!(server.metric("commits_failed_total").unwrap() >= 3.0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn signatures_are_refused_while_postgres_has_no_room_and_made_again_after() {
    let mut database = Postgres::start_small(POSTGRES_MIB).unwrap();
    let server = configured(&database.address()).run();
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1_000_000).await.unwrap();
    let filler = fill(database.folder(), &[7; 4_096]);
    let mut done = Acknowledged::default();
    // What the database had in reserve is used up first.
    let refused = done.go_on(&session).await;
    assert!(is_unavailable(&refused), "{refused}");
    let refused = sign(&session, key).await.err().unwrap();
    assert!(is_unavailable(&refused), "{refused}");
    let refused = done.check_retrieve(&session, key).await.err().unwrap();
    assert!(is_unavailable(&refused), "{refused}");
    assert_eq!(get(server.metrics, "/health").1, "ok\n");
    std::fs::remove_file(filler).unwrap();
    // One that could not write its own log has ended, and is started by who looks after it.
    database.start_if_ended().unwrap();
    while let Err(error) = sign(&session, key).await {
        assert!(error.is_passing(), "{error}");
    }
    done.check(&session).await;
    entries(&database);
    assert!(server.metric("commits_failed_total").unwrap() >= 3.0);
}

/// Room for a new cluster, its log of 16 MiB and a little more.
const POSTGRES_MIB: u32 = 96;
