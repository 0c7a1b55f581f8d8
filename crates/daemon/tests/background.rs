//! Programs that a service manager or a command starts.
#![expect(
    clippy::unwrap_used,
    reason = "the switch for tests does not reach their helpers"
)]

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use keystead_daemon::process;
use keystead_daemon::socket::Listener;
use tokio::io::AsyncWriteExt;

/// This test program, running one of its ignored tests in a process of its own.
fn part(name: &str) -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap().to_owned();
    let rest = ["--exact", name, "--ignored", "--nocapture"];
    std::iter::once(program)
        .chain(rest.map(str::to_owned))
        .collect()
}

#[test]
#[ignore = "a part of a_detached_program_leaves_its_parents_session"]
fn part_a_detached_program() {
    process::detach();
    let (own, session) = (
        rustix::process::getpid(),
        rustix::process::getsid(None).unwrap(),
    );
    println!("\nown session: {}", own == session);
    process::close_stdout().unwrap();
    println!("into nothing");
}

#[test]
fn a_detached_program_leaves_its_parents_session() {
    let command = part("part_a_detached_program");
    let output = Command::new(&command[0])
        .args(&command[1..])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("own session: true"), "{said}");
    assert!(!said.contains("into nothing"), "{said}");
}

#[tokio::test]
#[ignore = "a part of a_socket_of_the_service_manager_is_served"]
async fn part_an_activated_service() {
    let listener = Listener::from_service_manager().unwrap().unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"served").await.unwrap();
}

#[test]
fn a_socket_of_the_service_manager_is_served() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // sd_listen_fds(3): descriptor 3, and the number of the process it is for.
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&0 0</dev/null";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh"])
        .args(part("part_an_activated_service"))
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut came = String::new();
    UnixStream::connect(&path)
        .unwrap()
        .read_to_string(&mut came)
        .unwrap();
    assert_eq!(came, "served");
    assert!(child.wait().unwrap().success());
    assert!(path.exists(), "the service manager's socket stays");
}

#[tokio::test]
async fn without_a_service_manager_there_is_no_such_socket() {
    assert!(Listener::from_service_manager().unwrap().is_none());
}
