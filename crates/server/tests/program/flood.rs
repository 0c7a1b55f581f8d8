//! Half-open connections by the thousand.

use std::net::TcpStream;
use std::time::Duration;

use tokio::time::Instant;

use crate::server::{Folder, Server};

/// Memory that the process has, in KiB.
fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[tokio::test]
async fn ten_thousand_silent_connections_keep_nobody_out() {
    raise_descriptor_limit();
    let folder = Folder::new();
    folder.configure_tables("[connections]\nhello_s = 600\nhalf_open_max = 5000");
    let server = folder.run();
    let before_kib = resident_kib(&server);
    let mut silent = Vec::new();
    for _ in 0..10_000 {
        silent.push(TcpStream::connect(server.address).unwrap());
    }
    // Who answers at once is served in the midst of them.
    let began = Instant::now();
    server.connect(&["keystead/1"]).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    server.wait_for_metric("connections", |it| it <= 5_001.0);
    let each = (resident_kib(&server) - before_kib) / 5;
    assert!(each < 40_000, "a thousand silent ones hold {each} KiB");
    drop(silent);
    server.wait_for_metric("connections", |it| it == 0.0);
}

#[test]
fn who_says_no_hello_is_hung_up_on() {
    use std::io::Read;
    let folder = Folder::new();
    folder.configure_tables("[connections]\nhello_s = 1");
    let server = folder.run();
    let began = Instant::now();
    let mut silent = TcpStream::connect(server.address).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(1) && waited < Duration::from_secs(10),
        "{waited:?}"
    );
}

#[tokio::test]
async fn who_speaks_tls_and_then_nothing_is_hung_up_on() {
    use tokio::io::AsyncReadExt;
    let folder = Folder::new();
    folder.configure_tables("[connections]\nhello_s = 1");
    let server = folder.run();
    let mut stream = server.connect(&["keystead/1"]).await.unwrap();
    let mut byte = [0];
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut byte));
    assert_eq!(end.await.unwrap().unwrap_or(0), 0);
}

/// Who says that it will speak HTTP, and then nothing, makes room like everyone else.
#[tokio::test]
async fn a_silent_visitor_makes_room() {
    use tokio::io::AsyncReadExt;
    let folder = Folder::new();
    folder.configure_tables("[connections]\nhello_s = 600\nhalf_open_max = 2");
    let server = folder.run();
    let mut visitor = server.connect(&["http/1.1"]).await.unwrap();
    let _others = (
        server.connect(&["keystead/1"]).await.unwrap(),
        server.connect(&["keystead/1"]).await.unwrap(),
    );
    let mut byte = [0];
    let end = tokio::time::timeout(Duration::from_secs(10), visitor.read(&mut byte));
    assert_eq!(end.await.unwrap().unwrap_or(0), 0);
}

/// The two ends of ten thousand connections are one process each.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    assert!(limit.maximum.is_none_or(|it| it > 12_000), "{limit:?}");
}
