//! A file system of 1 MiB that fills up.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use keystead_channel::session::Status;
use keystead_keeper::server::ServerError;

use crate::acknowledged::Acknowledged;
use crate::person::{Person, make_key, sign};
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

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[7; 512]).is_ok() {}
        path
    }
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
    let filler = small.fill();
    let mut done = Acknowledged::default();
    // What the database had in reserve is used up first.
    let refused = done.go_on(&session).await;
    let unavailable =
        |error: &ServerError| matches!(error, ServerError::Answered(Status::Unavailable));
    assert!(unavailable(&refused), "{refused}");
    let refused = sign(&session, key).await.err().unwrap();
    assert!(unavailable(&refused), "{refused}");
    assert!(
        done.check_retrieve(&session, key)
            .await
            .is_err_and(|it| unavailable(&it))
    );
    assert_eq!(get(server.metrics, "/health").1, "ok\n");
    std::fs::remove_file(filler).unwrap();
    sign(&session, key).await.unwrap();
    done.check(&session).await;
    assert!(server.metric("commits_failed_total").unwrap() >= 3.0);
}
