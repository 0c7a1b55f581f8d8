//! Restorations that are cut off, and those of a database that several servers share.

use std::path::Path;
use std::process::{Output, Stdio};

use keystead_channel::session::KeyId;
use keystead_channel::session::requests::{Request, Show};
use keystead_keeper::server::{ServerError, Session};
use keystead_tests::Postgres;

use crate::person::{Person, make_key, sign};
use crate::postgres::{beside, configured};
use crate::server::{Folder, program, stderr};
use crate::syncs::Library;

/// A server with a backup, and what came after it.
struct Backed {
    folder: Folder,
    alex: Person,
    /// In the backup.
    key: KeyId,
    /// Not in the backup, and seen by its client.
    later: KeyId,
    backup: String,
}

impl Backed {
    async fn new(folder: Folder) -> Self {
        let server = folder.run();
        let alex = Person::register(&server, "alex").await;
        let session = alex.log_in(&server).await.unwrap();
        let key = make_key(&session, 1).await.unwrap();
        let file = server.folder.file("the.backup");
        let backup = file.to_str().unwrap().to_owned();
        server.folder.must(&["backup", &backup]);
        let later = make_key(&session, 2).await.unwrap();
        sign(&session, later).await.unwrap();
        Self {
            folder: server.stop().0,
            alex,
            key,
            later,
            backup,
        }
    }

    /// Killed at its sync of this number; false: it came to its end before.
    fn is_killed(&self, library: &Library, number: u32) -> bool {
        let mut command = program();
        command.env("LD_PRELOAD", &library.0);
        command.env("KILLING_SYNC", number.to_string());
        command.args(["restore", &self.backup, "--yes", "--dir"]);
        let output = command.arg(self.folder.path()).output().unwrap();
        let died = output.status.code().is_none();
        assert!(died || output.status.success(), "{}", stderr(&output));
        died
    }

    /// A server that starts now serves the database before or the restored one, or says
    /// that it is neither.
    fn starts(self) -> (Self, Option<u32>) {
        let Self {
            folder,
            alex,
            key,
            later,
            backup,
        } = self;
        let (folder, epoch) = match folder.run_as(program(), &[]) {
            Ok(server) => {
                let exported = server.folder.must(&["audit", "export"]);
                (server.stop().0, Some(epoch(&exported)))
            }
            Err((folder, mut child, line)) => {
                assert_eq!((line.as_str(), child.wait().unwrap().code()), ("", Some(1)));
                let said = folder.read("trace");
                let is_said = ["is not that of server", "the database went back"];
                assert!(is_said.iter().any(|it| said.contains(it)), "{said}");
                (folder, None)
            }
        };
        let backed = Self {
            folder,
            alex,
            key,
            later,
            backup,
        };
        (backed, epoch)
    }

    /// Its clients are told, and what the backup held is there.
    async fn check_restored(self) {
        let server = self.folder.run();
        let refused = self.alex.log_in_patiently(&server).await.err().unwrap();
        assert!(matches!(refused, ServerError::Log(_)), "{refused}");
        self.alex.accept();
        let session = self.alex.log_in_patiently(&server).await.unwrap();
        sign(&session, self.key).await.unwrap();
        assert!(sign(&session, self.later).await.is_err());
    }
}

/// The epoch that the log's export names in its checkpoint.
fn epoch(exported: &str) -> u32 {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD;
    let lines = exported.lines();
    let note = lines.filter_map(|it| it.strip_prefix("checkpoint ")).next();
    let note = String::from_utf8(base64.decode(note.unwrap()).unwrap()).unwrap();
    let epoch = note.lines().find_map(|it| it.strip_prefix("epoch "));
    epoch.unwrap().parse().unwrap()
}

fn restore(folder: &Folder, backup: &str, more: &[&str]) -> Output {
    let mut command = program();
    command.args(["restore", backup, "--yes"]).args(more);
    command.arg("--dir").arg(folder.path()).stdin(Stdio::null());
    command.output().unwrap()
}

/// Whatever is on the disk then, no server takes a backup for the newest there was.
#[tokio::test(flavor = "multi_thread")]
async fn a_restoration_is_killed_at_each_of_its_syncs() {
    let library = Library::compile();
    let mut backed = Backed::new(Folder::new()).await;
    let database = backed.folder.file("keystead.db");
    let before = std::fs::read(&database).unwrap();
    let known = backed.folder.read("known.json");
    let (mut number, mut untouched, mut refused) = (1, 0, 0);
    while backed.is_killed(&library, number) {
        let (after, epoch) = backed.starts();
        backed = after;
        match epoch {
            Some(0) => untouched += 1,
            Some(1) => {}
            Some(other) => panic!("epoch {other}"),
            None => refused += 1,
        }
        // As if this one had not been.
        std::fs::write(&database, &before).unwrap();
        std::fs::write(backed.folder.file("known.json"), &known).unwrap();
        number += 1;
    }
    assert!(
        number > 10 && untouched > 5 && refused > 0,
        "{number} {untouched} {refused}"
    );
    backed.check_restored().await;
}

/// After each, another restoration comes to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_restoration_that_was_killed_is_done_again() {
    let library = Library::compile();
    let backed = Backed::new(Folder::new()).await;
    for number in (1..).step_by(4) {
        if !backed.is_killed(&library, number) {
            break;
        }
        // One that could not have ended is not said to be another epoch.
        let again = restore(&backed.folder, &backed.backup, &[]);
        assert!(again.status.success(), "{number}: {}", stderr(&again));
    }
    backed.check_restored().await;
}

/// PostgreSQL takes a backup whole or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_restoration_that_is_killed_leaves_postgres_empty() {
    let database = Postgres::start().unwrap();
    let backed = Backed::new(configured(&database.address())).await;
    let empty = database.database("empty").unwrap();
    points_to(&backed.folder, &empty);
    // Brings the tables, and nothing into them.
    let garbage = backed.folder.file("garbage");
    std::fs::write(&garbage, "no backup").unwrap();
    let failed = restore(&backed.folder, garbage.to_str().unwrap(), &[]);
    assert!(!failed.status.success());
    let library = Library::compile();
    let mut number = 1;
    // The head is the last row but one kind: all else was sent by then.
    while backed.is_killed(&library, number) {
        let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'account'";
        if database.sql("empty", tables).unwrap().trim() == "1" {
            let rows = "SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM head)";
            let rows = database.sql("empty", rows).unwrap();
            if rows.trim() != "0" {
                break;
            }
        }
        number += 1;
    }
    assert!(number > 8, "{number}");
    backed.check_restored().await;
}

/// While somebody holds a table, and then dies at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restoration_that_waits_for_postgres_and_is_killed_left_nothing() {
    let database = Postgres::start().unwrap();
    let backed = Backed::new(configured(&database.address())).await;
    let empty = database.database("empty").unwrap();
    points_to(&backed.folder, &empty);
    // Its tables are made by a server that then is another one: only they are kept.
    let other = configured(&empty);
    drop(other.run().stop());
    let tables = "TRUNCATE head, system, data_key, account, chain, block, tile, leaf_index, writer";
    database.sql("empty", tables).unwrap();
    let held = database.sql_held("empty", "BEGIN; LOCK TABLE head IN EXCLUSIVE MODE;");
    let mut command = program();
    command.args(["restore", &backed.backup, "--yes", "--dir"]);
    command.arg(backed.folder.path()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'empty' \
                 AND wait_event_type = 'Lock'";
    while database.sql("postgres", waits).unwrap().trim() != "1" {
        assert_eq!(child.try_wait().unwrap(), None, "it did not wait");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(held);
    let again = restore(&backed.folder, &backed.backup, &[]);
    assert!(again.status.success(), "{}", stderr(&again));
    backed.check_restored().await;
}

fn points_to(folder: &Folder, address: &str) {
    let text = folder.read("config.toml");
    let rest = text.split_once('\n').unwrap().1;
    let text = format!("database = \"{address}\"\n{rest}");
    std::fs::write(folder.file("config.toml"), text).unwrap();
}

async fn delete(session: &Session, key: KeyId) {
    session.done(&Request::Delete(Show { key })).await.unwrap();
}

/// What one server deleted the other does not know, but by its file.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_deleted_is_deleted_again() {
    let database = Postgres::start().unwrap();
    let first = configured(&database.address());
    let second = beside(&first);
    let (first, second) = (first.run(), second.run());
    let alex = Person::register(&first, "alex").await;
    let (here, there) = (alex.log_in(&first).await, alex.log_in(&second).await);
    let (here, there) = (here.unwrap(), there.unwrap());
    let mut keys = Vec::new();
    for number in 1..=3 {
        keys.push(make_key(&here, number).await.unwrap());
    }
    let file = first.folder.file("the.backup");
    let backup = file.to_str().unwrap().to_owned();
    first.folder.must(&["backup", &backup]);
    delete(&here, keys[0]).await;
    delete(&there, keys[1]).await;
    let (folder, others) = (first.stop().0, second.stop().0);
    let tombstones = others.file("tombstones");
    let tombstones = tombstones.to_str().unwrap();
    points_to(&folder, &database.database("alone").unwrap());
    let said = restored(&folder, &backup, &[], "1 deletions since the");
    assert!(said.contains("name those with --deleted"), "{said}");
    points_to(&folder, &database.database("together").unwrap());
    // No file of tombstones, or one that was changed.
    let mut changed = std::fs::read(tombstones).unwrap();
    changed[9] ^= 1;
    let broken = folder.file("broken");
    for bytes in [b"something else".as_slice(), &changed] {
        std::fs::write(&broken, bytes).unwrap();
        let failed = restore(&folder, &backup, &["--deleted", broken.to_str().unwrap()]);
        let said = stderr(&failed);
        assert!(said.contains("it is no file of tombstones"), "{said}");
    }
    let more = ["--deleted", tombstones];
    let said = restored(&folder, &backup, &more, "2 deletions since the");
    assert!(!said.contains("name those with --deleted"), "{said}");
    let server = folder.run();
    alex.log_in_patiently(&server).await.err().unwrap();
    alex.accept();
    let session = alex.log_in_patiently(&server).await.unwrap();
    assert!(sign(&session, keys[0]).await.is_err());
    assert!(sign(&session, keys[1]).await.is_err());
    sign(&session, keys[2]).await.unwrap();
    // It knows them now.
    let folder = server.stop().0;
    points_to(&folder, &database.database("again").unwrap());
    restored(&folder, &backup, &[], "2 deletions since the");
    assert!(Path::new(tombstones).exists());
}

fn restored(folder: &Folder, backup: &str, more: &[&str], expected: &str) -> String {
    let output = restore(folder, backup, more);
    let said = stderr(&output);
    assert!(output.status.success() && said.contains(expected), "{said}");
    said
}
