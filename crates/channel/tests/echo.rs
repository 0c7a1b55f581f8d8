//! The two examples, as a person runs them.

#![cfg(test)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use keystead_channel::curve::KeyPair;
use keystead_core::Secret;

/// Beside this test's own binary, where cargo puts examples.
fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let folder = this.ancestors().nth(2).unwrap().join("examples");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is built first: cargo build --examples",
        path.display()
    );
    path
}

/// A folder with key files, removed at the end.
struct Keys(PathBuf);

impl Keys {
    fn new(test: &str) -> Self {
        let name = format!("keystead-echo-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let keys = Self(folder);
        for (name, byte) in [("client", 1), ("server", 2), ("stranger", 3)] {
            let secret = [byte; 32];
            let public = KeyPair::from_secret(Secret::fill(|key| *key = secret)).public();
            keys.write(&format!("{name}.secret"), &hex(&secret));
            keys.write(
                &format!("{name}.public"),
                &format!("{}\n", hex(public.as_bytes())),
            );
        }
        keys
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn options(&self, own: &str, peer: &str) -> Vec<PathBuf> {
        vec![
            "--secret-key-file".into(),
            self.0.join(format!("{own}.secret")),
            "--peer-key-file".into(),
            self.0.join(format!("{peer}.public")),
        ]
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct EchoServer {
    process: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
}

impl EchoServer {
    fn start(keys: &Keys, more: &[&str]) -> Self {
        let mut process = Command::new(example("echo_server"))
            .args(["--listen", "127.0.0.1:0"])
            .args(keys.options("server", "client"))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.strip_prefix("ready ").unwrap().trim_end().to_owned();
        Self {
            stderr: BufReader::new(process.stderr.take().unwrap()),
            process,
            address,
        }
    }

    /// The next line about a refused connection, without the peer's address.
    fn reason(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line.trim_end().rsplit(": ").next().unwrap().to_owned()
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn client(address: &str, options: &[PathBuf], more: &[&str], input: &[u8]) -> Output {
    let mut process = Command::new(example("echo_client"))
        .args(["--connect", address])
        .args(options)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A client that refuses its options never reads.
        let _written = stdin.write_all(&input);
    });
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[track_caller]
fn check_refused(output: &Output, status: i32, words: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(words), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn each_line_comes_back() {
    let keys = Keys::new("lines");
    let longest = "x".repeat(60_000);
    let input = format!("one\ntwo\n{longest}\nlast, without an end");
    for more in [&[][..], &["--strict"]] {
        let server = EchoServer::start(&keys, more);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let options = keys.options("client", "server");
                    let output = client(&server.address, &options, more, input.as_bytes());
                    assert!(output.status.success());
                    assert_eq!(output.stdout, format!("{input}\n").as_bytes());
                });
            }
        });
    }
}

#[test]
fn strangers_and_other_profiles_are_refused() {
    let keys = Keys::new("strangers");
    for (ours, others) in [(&[][..], &["--strict"][..]), (&["--strict"], &[])] {
        let mut server = EchoServer::start(&keys, ours);
        let mut refused = |own: &str, peer: &str, more: &[&str], reason: &str| {
            let options = keys.options(own, peer);
            let output = client(&server.address, &options, more, b"x\n");
            check_refused(&output, 1, "dropped the connection");
            assert_eq!(server.reason(), reason);
        };
        refused("stranger", "server", ours, "client is not allowed");
        refused(
            "client",
            "stranger",
            ours,
            "hello is not for this server, or was altered",
        );
        let other = if ours.is_empty() {
            "peer offers less protection than agreed before"
        } else {
            "frame has a length that is not allowed here"
        };
        refused("client", "server", others, other);
    }
}

#[test]
fn lines_that_are_no_message_are_refused() {
    let keys = Keys::new("no-message");
    let server = EchoServer::start(&keys, &[]);
    let options = keys.options("client", "server");
    for input in ["\n".to_owned(), format!("{}\n", "x".repeat(60_001))] {
        let output = client(&server.address, &options, &[], input.as_bytes());
        check_refused(&output, 1, "line 1 has not 1 to 60000 bytes");
    }
}

#[test]
fn bad_key_files_and_arguments_are_one_line() {
    let keys = Keys::new("key-files");
    let options = keys.options("client", "server");
    let good = hex(&[1; 32]);
    for bad in [
        String::new(),
        good[1..].to_owned(),
        format!("{good}0"),
        format!("{good}\n\n"),
        format!("{good} "),
        format!("g{}", &good[1..]),
        "x".repeat(10_000),
    ] {
        keys.write("client.secret", &bad);
        let output = client("127.0.0.1:1", &options, &[], b"");
        check_refused(&output, 1, "a key file holds 64 hexadecimal digits");
        if bad.len() >= 63 {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!stderr.contains(&good[1..9]), "no part of a key is shown");
        }
    }
    std::fs::remove_file(Path::new(&keys.0.join("client.secret"))).unwrap();
    let output = client("127.0.0.1:1", &options, &[], b"");
    check_refused(&output, 1, "client.secret");

    for arguments in [
        &[][..],
        &["--wrong"],
        &["--connect"],
        &["--connect", "a", "--connect", "b"],
    ] {
        let output = Command::new(example("echo_client"))
            .args(arguments)
            .output();
        check_refused(&output.unwrap(), 2, "usage: echo_client --connect");
    }
    let output = Command::new(example("echo_server")).output();
    check_refused(&output.unwrap(), 2, "usage: echo_server --listen");
}
