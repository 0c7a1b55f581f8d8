//! How it ends.

use std::time::Duration;

use rustix::process::Signal;

use crate::person::{Person, make_key, sign};
use crate::server::{Server, get};

/// Every signature that was asked for before the end is answered, and the session is told.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_all_that_was_asked_is_answered() {
    let server = Server::start();
    let alex = Person::register(&server, "alex").await;
    let mut asking = tokio::task::JoinSet::new();
    let mut sessions = Vec::new();
    for number in 0..8 {
        let session = alex.log_in(&server).await.unwrap();
        let key = make_key(&session, number).await.unwrap();
        sessions.push(std::sync::Arc::new((session, key)));
    }
    let (told, mut begun) = tokio::sync::mpsc::unbounded_channel();
    for session in &sessions {
        let (session, told) = (session.clone(), told.clone());
        asking.spawn(async move {
            let (session, key) = &*session;
            let mut answered = 0_u32;
            loop {
                match sign(session, *key).await {
                    Ok(_) => answered += 1,
                    Err(error) => return (answered, error),
                }
                let _ = told.send(());
            }
        });
    }
    for _ in 0..100 {
        begun.recv().await.unwrap();
    }
    let folder = tokio::task::spawn_blocking(move || server.stop().0)
        .await
        .unwrap();
    let mut answered = 0;
    while let Some(ended) = asking.join_next().await {
        let (count, error) = ended.unwrap();
        answered += count;
        // By the notice, or by the end of the connection behind it: never by silence.
        assert!(error.is_passing(), "{error}");
    }
    assert!(answered >= 100);
    // It starts again, and the account is there.
    let server = folder.run();
    let session = alex.log_in(&server).await.unwrap();
    sign(&session, sessions[0].1).await.unwrap();
}

#[tokio::test]
async fn a_server_without_connections_stops_at_once_and_one_with_silent_ones_too() {
    for silent in [0, 3] {
        let server = Server::start();
        let mut connections = Vec::new();
        for _ in 0..silent {
            connections.push(server.connect(&["keystead/1"]).await.unwrap());
        }
        let began = tokio::time::Instant::now();
        let (_, said) = server.stop();
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(said, "");
    }
}

#[test]
fn each_signal_that_ends_a_program_ends_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start();
        server.signal(signal);
        assert!(server.child.wait().unwrap().success());
        assert!(!server.folder.file("admin.sock").exists());
    }
}

#[tokio::test]
async fn hang_up_reads_certificates_and_ends_nothing() {
    let server = Server::start();
    server.signal(Signal::HUP);
    server.connect(&["keystead/1"]).await.unwrap();
    assert_eq!(get(server.metrics, "/health").1, "ok\n");
}

#[test]
fn the_service_manager_is_told() {
    let folder = crate::server::Folder::new();
    let path = folder.file("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut command = crate::server::program();
    command.args(["run", "--listen", "127.0.0.1:0", "--dir"]);
    command.arg(folder.path()).env("NOTIFY_SOCKET", &path);
    command.stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let heard = || {
        let mut text = [0; 64];
        let read = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..read]).into_owned()
    };
    assert_eq!(heard(), "READY=1");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(heard(), "STOPPING=1");
    assert!(child.wait().unwrap().success());
}
