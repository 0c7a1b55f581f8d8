//! What the operator does while the server runs.

use keystead_channel::session::InvitationLink;
use keystead_keeper::server::ServerError;

use crate::person::{Person, make_key, sign};
use crate::server::{Folder, Server};

#[tokio::test]
async fn users_are_invited_listed_locked_unlocked_and_deleted() {
    let server = Server::start();
    let folder = &server.folder;
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    let listed = folder.must(&["user", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["version"], 1);
    let user = &listed["users"][0];
    assert_eq!(
        (&user["name"], &user["state"]),
        (&"alex".into(), &"active".into())
    );
    assert_eq!(user["secrets"], 1);
    assert_eq!(user["user_id"], session.user().to_string());
    // The lock ends what is open, at once, and what would open.
    folder.must(&["user", "lock", "alex"]);
    assert!(sign(&session, key).await.is_err());
    let refused = alex.log_in(&server).await.err().unwrap();
    assert!(
        matches!(refused, ServerError::LockedByOperator),
        "{refused}"
    );
    assert!(refused.hint().contains("ask the operator"));
    assert!(folder.must(&["user", "list"]).contains("locked"));
    folder.must(&["user", "unlock", "alex"]);
    let session = alex.log_in(&server).await.unwrap();
    sign(&session, key).await.unwrap();
    let said = folder.fails(&["user", "delete", "alex"], 1);
    assert!(said.contains("--yes"), "{said}");
    folder.must(&["user", "delete", "alex", "--yes"]);
    assert!(alex.log_in(&server).await.is_err());
    assert_eq!(folder.must(&["user", "list"]), "");
    // The name is free again.
    Person::register(&server, "alex").await;
}

#[tokio::test]
async fn who_is_not_there_is_named_and_logged() {
    let server = Server::start();
    for verb in ["lock", "unlock"] {
        let said = server.folder.fails(&["user", verb, "nobody"], 1);
        assert!(said.contains("no account is called nobody"), "{said}");
    }
    let said = server.folder.fails(&["invite", "not a name"], 1);
    assert!(said.contains("is no account name"), "{said}");
}

#[tokio::test]
async fn an_invitation_is_for_one_name_once() {
    let server = Server::start();
    let folder = &server.folder;
    let text = folder.must(&["invite", "Alex"]);
    let parse = || InvitationLink::parse(text.trim()).unwrap();
    assert_eq!(parse().name.as_str(), "alex");
    let reached = format!("keys.example.org:{}", server.address.port());
    assert_eq!(parse().address.as_str(), reached);
    // The authority that the link pins is the one that the server shows.
    use rustls::pki_types::pem::PemObject;
    let authority =
        rustls::pki_types::CertificateDer::from_pem_file(folder.file("ca.pem")).unwrap();
    let pinned = keystead_channel::session::Authority::of(&authority);
    assert_eq!(parse().authority.unwrap().0, pinned.0);
    Person::register_with(&server, parse()).await.unwrap();
    assert!(Person::register_with(&server, parse()).await.is_err());
    let said = folder.fails(&["invite", "alex"], 1);
    assert!(said.contains("an account is called alex already"), "{said}");
    let json = folder.must(&["invite", "sam", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let other = InvitationLink::parse(json["link"].as_str().unwrap()).unwrap();
    let swapped = InvitationLink {
        name: keystead_channel::session::AccountName::parse("pat").unwrap(),
        ..other
    };
    assert!(Person::register_with(&server, swapped).await.is_err());
}

#[tokio::test]
async fn the_log_is_exported_whole_and_of_one_account() {
    let server = Server::start();
    let folder = &server.folder;
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    make_key(&session, 1).await.unwrap();
    let whole = folder.must(&["audit", "export"]);
    let own = folder.must(&["audit", "export", "--user", "alex"]);
    assert!(whole.lines().count() > own.lines().count() / 2);
    assert!(own.contains(&session.user().to_string()), "{own}");
    for text in [&whole, &own] {
        assert!(text.lines().next().unwrap().contains("keystead"), "{text}");
        assert!(text.lines().last().unwrap().starts_with("end"), "{text}");
    }
    let file = folder.file("log.txt");
    let output = file.to_str().unwrap();
    assert_eq!(folder.must(&["audit", "export", "--output", output]), "");
    assert!(folder.read("log.txt").lines().count() > whole.lines().count());
    let said = folder.fails(&["audit", "export", "--output", output], 1);
    assert!(said.contains("is there already"), "{said}");
}

#[test]
fn a_second_server_in_the_folder_is_refused() {
    let server = Server::start();
    let said = server.folder.fails(&["run", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("is in use by process"), "{said}");
}

#[test]
fn a_line_that_is_no_question_gets_one_answer() {
    use std::io::{Read, Write};
    let server = Server::start();
    for line in ["{\"ask\":\"stop\"}\n", "\n", "{}\n"] {
        let socket = server.folder.file("admin.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("{\"tell\":\"failed\""), "{answer}");
        assert_eq!(answer.lines().count(), 1);
    }
}

/// The socket is 0600 in a 0700 folder; this shows the second fence, the peer's uid.
#[test]
#[ignore = "needs root"]
fn another_user_gets_no_byte() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let server = Server::start();
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    open(server.folder.path(), 0o755);
    open(&server.folder.file("admin.sock"), 0o666);
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({:?})\n\
         s.sendall(b'{{\"ask\":\"users\"}}\\n')\nprint(len(s.recv(100)))",
        server.folder.file("admin.sock")
    );
    let output = std::process::Command::new("python3")
        .args(["-c", &script])
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let broke = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said == "0\n" || broke.contains("ConnectionReset") || broke.contains("BrokenPipe"),
        "{said}{broke}"
    );
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while !server.folder.read("trace").contains("another user, closed") {
        assert!(tokio::time::Instant::now() < until);
    }
}

#[tokio::test]
async fn a_database_that_went_back_is_refused() {
    let server = Server::start();
    Person::register(&server, "alex").await;
    let (folder, _) = server.stop();
    std::fs::copy(folder.file("keystead.db"), folder.file("old.db")).unwrap();
    let server = folder.run();
    Person::register(&server, "sam").await;
    // Nobody says good-bye: the next start remembers where the log stands.
    server.signal(rustix::process::Signal::KILL);
    let server = server.into_folder().run();
    server.signal(rustix::process::Signal::KILL);
    let folder = server.into_folder();
    let put_back = |folder: &Folder| {
        for ending in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.file(&format!("keystead.db{ending}")));
        }
    };
    put_back(&folder);
    std::fs::copy(folder.file("old.db"), folder.file("keystead.db")).unwrap();
    let said = folder.fails(&["run", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("the database went back"), "{said}");
    assert!(said.contains("restore"), "{said}");
    put_back(&folder);
    std::fs::remove_file(folder.file("keystead.db")).unwrap();
    let said = folder.fails(&["run", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("is not that of server"), "{said}");
}
