//! Backup, restoration, and a new master key, on both databases.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use keystead_channel::session::requests::{Audit, AuditPage, Entries, List, Request, Scope, Show};
use keystead_channel::session::{KeyId, Status};
use keystead_keeper::server::seen::Listed;
use keystead_keeper::server::{ServerError, Session};
use keystead_tests::Postgres;
use tokio::time::Instant;

use crate::person::{Person, make_key, sign};
use crate::server::Folder;

/// A server's folder with its database.
fn sqlite() -> Folder {
    Folder::new()
}

fn postgres(postgres: &Postgres, name: &str) -> Folder {
    let folder = Folder::new();
    let address = postgres.database(name).unwrap();
    folder.configure(&format!("database = \"{address}\""));
    folder
}

/// What came after the backup is gone, and clients that saw it stop; what was deleted
/// stays deleted; the log goes on in a new epoch.
async fn a_backup_is_restored(folder: Folder, empty: Option<String>) {
    let server = folder.run();
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    let file = server.folder.file("the.backup");
    let path = file.to_str().unwrap().to_owned();
    server.folder.must(&["backup", &path]);
    server.folder.fails(&["backup", &path], 1);
    let backup = std::fs::read(&file).unwrap();
    let master = std::fs::read(server.folder.file("master.key")).unwrap();
    assert!(
        !backup.windows(32).any(|bytes| bytes == master),
        "the master key is in it"
    );
    // Seen by its client, by the receipt of a signature, and not in the backup.
    let later = make_key(&session, 2).await.unwrap();
    sign(&session, later).await.unwrap();
    let said = server.folder.fails(&["restore", &path, "--yes"], 1);
    assert!(said.contains("is in use by process"), "{said}");
    assert!(said.contains("or name another folder with --dir"), "{said}");
    let (folder, _) = server.stop();
    if let Some(empty) = empty {
        // PostgreSQL's own folder is not ours to put aside.
        let text = folder.read("config.toml");
        let rest = text.split_once('\n').unwrap().1;
        std::fs::write(
            folder.file("config.toml"),
            format!("database = \"{empty}\"\n{rest}"),
        )
        .unwrap();
    }
    // Whoever carried the backup about may have opened it to others.
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    folder.must(&["restore", &path, "--yes"]);
    if let Ok(database) = folder.file("keystead.db").metadata() {
        assert_eq!(database.permissions().mode() & 0o777, 0o600);
    }
    let server = folder.run();
    // Everyone's free guesses are used up: the first try waits.
    let waits = alex.log_in(&server).await.err().unwrap();
    assert!(matches!(waits, ServerError::Wait { wait_s: 1 }), "{waits}");
    let refused = alex.log_in_patiently(&server).await.err().unwrap();
    assert!(matches!(refused, ServerError::Log(_)), "{refused}");
    alex.accept();
    let session = alex.log_in_patiently(&server).await.unwrap();
    sign(&session, key).await.unwrap();
    assert!(sign(&session, later).await.is_err());
}

#[tokio::test]
async fn a_backup_is_restored_on_sqlite() {
    a_backup_is_restored(sqlite(), None).await;
}

#[tokio::test]
async fn a_backup_is_restored_on_postgres() {
    let database = Postgres::start().unwrap();
    let empty = database.database("empty").unwrap();
    a_backup_is_restored(postgres(&database, "first"), Some(empty)).await;
}

/// What was deleted after the backup is gone again, its account's log says so, and whoever
/// compares the log with the list finds nothing wrong.
#[tokio::test]
async fn a_deletion_that_is_repeated_is_logged() {
    let server = sqlite().run();
    let alex = Person::register(&server, "alex").await;
    Person::register(&server, "beth").await;
    let session = alex.log_in(&server).await.unwrap();
    let kept = make_key(&session, 1).await.unwrap();
    let gone = make_key(&session, 2).await.unwrap();
    let file = server.folder.file("the.backup");
    let path = file.to_str().unwrap().to_owned();
    server.folder.must(&["backup", &path]);
    let delete = Request::Delete(Show { key: gone });
    session.done(&delete).await.unwrap();
    server.folder.must(&["user", "delete", "beth", "--yes"]);
    let (folder, _) = server.stop();
    let said = folder.call(&["restore", &path, "--yes"]);
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("2 deletions"), "{said}");
    let server = folder.run();
    assert!(alex.log_in_patiently(&server).await.is_err());
    alex.accept();
    let session = alex.log_in_patiently(&server).await.unwrap();
    assert_eq!(audited(&session).await, [kept]);
    assert!(sign(&session, gone).await.is_err());
    // The number of each entry and the hash before it are right for what comes next, too.
    session
        .done(&Request::Delete(Show { key: kept }))
        .await
        .unwrap();
    assert!(audited(&session).await.is_empty());
}

/// What is listed, which the whole log agrees with.
async fn audited(session: &Session) -> Vec<KeyId> {
    let list = Request::List(List {
        after: None,
        limit: 100,
    });
    let told = session.done(&list).await.unwrap();
    let entries = Entries::decode(told.result.unwrap().expose())
        .unwrap()
        .entries
        .0;
    let (mut pages, mut cursor) = (Vec::new(), Some(0));
    while cursor.is_some() {
        let audit = Request::Audit(Audit {
            scope: Scope::All,
            keys: None,
            after_unix_ms: None,
            before_unix_ms: None,
            cursor,
            proofs: true,
        });
        let told = session.done(&audit).await.unwrap();
        let page = AuditPage::decode(told.result.unwrap().expose()).unwrap();
        cursor = page.next;
        pages.push(page);
    }
    let listed = Listed {
        entries: &entries,
        request_hash: None,
    };
    let verdict = session
        .watch()
        .with(|seen| seen.audit(&session.user(), &pages, listed));
    verdict.unwrap();
    session.look_at_log().await.unwrap();
    entries.into_iter().map(|it| it.key).collect()
}

async fn a_new_master_key_opens_everything(folder: Folder) {
    let server = folder.run();
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    let before = std::fs::read(server.folder.file("master.key")).unwrap();
    server.folder.must(&["rotate-master-key"]);
    let after = std::fs::read(server.folder.file("master.key")).unwrap();
    assert_eq!((before.len(), after.len()), (32, 32));
    assert_ne!(before, after);
    // The open session goes on, and so does a server that starts anew.
    sign(&session, key).await.unwrap();
    let (folder, _) = server.stop();
    let server = folder.run();
    let session = alex.log_in(&server).await.unwrap();
    sign(&session, key).await.unwrap();
    // The old key opens nothing any more.
    let (folder, _) = server.stop();
    std::fs::write(folder.file("master.key"), before).unwrap();
    let said = folder.fails(&["run", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("master key is not the one"), "{said}");
}

#[tokio::test]
async fn a_new_master_key_opens_everything_on_sqlite() {
    a_new_master_key_opens_everything(sqlite()).await;
}

#[tokio::test]
async fn a_new_master_key_opens_everything_on_postgres() {
    let database = Postgres::start().unwrap();
    a_new_master_key_opens_everything(postgres(&database, "first")).await;
}

/// Also an empty file, which SQLite takes for a database, and a backup that was damaged.
#[tokio::test]
async fn a_file_that_is_no_backup_leaves_all_as_it_was() {
    let server = sqlite().run();
    Person::register(&server, "alex").await;
    let file = server.folder.file("the.backup");
    server.folder.must(&["backup", file.to_str().unwrap()]);
    let (folder, _) = server.stop();
    let mut damaged = std::fs::read(&file).unwrap();
    damaged[28..].iter_mut().step_by(7).for_each(|it| *it ^= 1);
    let before = std::fs::read(folder.file("keystead.db")).unwrap();
    for bytes in [&b"no backup"[..], &[], &damaged] {
        let other = folder.file("other");
        std::fs::write(&other, bytes).unwrap();
        let said = folder.fails(&["restore", other.to_str().unwrap(), "--yes"], 1);
        assert!(
            said.contains("other is no backup of a key server, or is damaged"),
            "{said}"
        );
        assert!(said.contains("name a file that `backup` made"), "{said}");
        assert_eq!(std::fs::read(folder.file("keystead.db")).unwrap(), before);
    }
    folder.run().stop();
}

/// The other server of a database refuses until it has the new master key, and says what it
/// wants; then it goes on as it is.
#[tokio::test]
async fn another_server_wants_the_new_master_key() {
    let database = Postgres::start().unwrap();
    let first = postgres(&database, "first");
    let second = Folder::new();
    for name in [
        "config.toml",
        "master.key",
        "ca.pem",
        "server.pem",
        "server.key",
    ] {
        std::fs::copy(first.file(name), second.file(name)).unwrap();
    }
    let (first, second) = (first.run(), second.run());
    let alex = Person::register(&first, "alex").await;
    let session = alex.log_in(&second).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    let said = first.folder.call(&["rotate-master-key"]);
    assert!(said.status.success());
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(
        said.contains("copy master.key into the folder of each"),
        "{said}"
    );
    let refused = sign(&session, key).await.err().unwrap();
    let is_away = matches!(refused, ServerError::Answered(Status::Unavailable));
    assert!(is_away, "{refused}");
    let until = Instant::now() + Duration::from_secs(10);
    let says = "newer master key than this server has";
    while !second.folder.read("trace").contains(says) {
        assert!(Instant::now() < until, "nothing was said");
        tokio::task::yield_now().await;
    }
    let newest = first.folder.file("master.key");
    std::fs::copy(newest, second.folder.file("master.key")).unwrap();
    sign(&session, key).await.unwrap();
}
