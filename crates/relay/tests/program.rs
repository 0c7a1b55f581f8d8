//! The program itself: what it prints, how it stops, what its trace holds.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the switches for tests do not reach their helpers"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use keystead_relay::machine::ReadToken;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_keystead-relay"))
}

/// A relay in a process of its own, and its address.
fn start(home: &Path, change: impl Fn(&mut Command)) -> (Child, String) {
    start_by(program(), home, change)
}

fn start_by(mut command: Command, home: &Path, change: impl Fn(&mut Command)) -> (Child, String) {
    command.args(["run", "--listen", "127.0.0.1:0"]);
    command.env("KEYSTEAD_HOME", home);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    change(&mut command);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let Some(address) = line.trim_end().strip_prefix("ready http://") else {
        panic!("{line:?}")
    };
    let address = address.to_owned();
    (child, address)
}

fn terminate(mut child: Child) -> (bool, String) {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut trace = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut trace)
        .unwrap();
    (child.wait().unwrap().success(), trace)
}

/// One request, its answer's first line.
fn call(address: &str, request: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "{request}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(&[request.as_bytes(), body].concat())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.lines().next().unwrap().to_owned()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn it_says_ready_serves_and_stops_when_asked() {
    let home = tempfile::tempdir().unwrap();
    let (child, address) = start(home.path(), |_| ());
    assert_eq!(
        call(&address, "GET /health HTTP/1.1\r\nHost: x", b""),
        "HTTP/1.1 200 OK"
    );
    let state = home.path().join("relay/state");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("deleted"))), (0o700, 0o600));
    let (stopped, trace) = terminate(child);
    assert!(stopped && trace.is_empty(), "{trace}");
}

/// As nohup(1) starts it: its terminal may go.
#[test]
fn a_hang_up_that_is_ignored_stays_so() {
    let home = tempfile::tempdir().unwrap();
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    nohup.arg(program().get_program());
    let (child, _) = start_by(nohup, home.path(), |_| ());
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let set = |name: &str| {
        let hex = status.lines().find_map(|it| it.strip_prefix(name)).unwrap();
        u64::from_str_radix(hex.trim(), 16).unwrap()
    };
    // The lowest bit is signal 1, SIGHUP; the second one is SIGINT.
    assert_eq!((set("SigIgn:") & 1, set("SigCgt:") & 3), (1, 2), "{status}");
    let (stopped, trace) = terminate(child);
    assert!(stopped, "{trace}");
}

#[test]
fn its_fullest_trace_holds_no_mailbox_token_or_item() {
    let home = tempfile::tempdir().unwrap();
    let (child, address) = start(home.path(), |command| {
        command.env("KEYSTEAD_TRACE", "trace");
    });
    let write = ReadToken::new(*b"canary-canary-canary-canary-read").write_token();
    let hex = |byte: &u8| format!("{byte:02x}");
    let id: String = write.mailbox().as_bytes().iter().map(hex).collect();
    let token = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        write.as_bytes(),
    );
    let post = format!("POST /v1/m/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}");
    let item = b"canary-item";
    assert_eq!(call(&address, &post, item), "HTTP/1.1 204 No Content");
    let (stopped, trace) = terminate(child);
    assert!(stopped);
    assert!(trace.contains("answered"), "the trace was on: {trace}");
    for canary in [id.as_str(), token.as_str(), "canary"] {
        assert!(!trace.contains(canary), "{canary} in {trace}");
    }
}

#[test]
fn what_stops_it_is_said_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let (child, address) = start(home.path(), |_| ());
    let mut second = program();
    second
        .args(["run", "--listen", "127.0.0.1:0"])
        .env("KEYSTEAD_HOME", home.path());
    let said = refused(&second.output().unwrap());
    assert!(said.contains("is in use by process"), "{said}");
    assert!(
        said.contains("keystead-relay: hint: stop process"),
        "{said}"
    );
    let elsewhere = home.path().join("elsewhere");
    let mut taken = program();
    taken
        .args(["run", "--listen", &address, "--state"])
        .arg(&elsewhere);
    let said = refused(&taken.output().unwrap());
    assert!(
        said.contains(&format!("nothing can listen at {address}")),
        "{said}"
    );
    let open = home.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut exposed = program();
    exposed
        .args(["run", "--listen", "127.0.0.1:0", "--state"])
        .arg(&open);
    let said = refused(&exposed.output().unwrap());
    assert!(
        said.contains(&format!("hint: chmod 700 {}", open.display())),
        "{said}"
    );
    assert!(terminate(child).0);
}

#[test]
fn completions_and_manual_pages_name_the_options() {
    let completions = program().args(["completions", "bash"]).output().unwrap();
    assert!(completions.status.success());
    let text = String::from_utf8(completions.stdout).unwrap();
    assert!(text.contains("--behind-proxy"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let man = program().arg("man").arg(dir.path()).status().unwrap();
    assert!(man.success());
    let page = std::fs::read_to_string(dir.path().join("keystead-relay-run.1")).unwrap();
    assert!(page.contains("X\\-Forwarded\\-For"), "{page}");
}
