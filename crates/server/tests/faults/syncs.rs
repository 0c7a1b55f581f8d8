//! Syncs that fail, and that no answer leaves before one.

use std::process::Command;

use rustix::process::Signal;

use crate::acknowledged::Acknowledged;
use crate::person::{Person, make_key, sign};
use crate::server::{Folder, program};

/// The program under strace(1), with these words more.
fn traced(words: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "--seccomp-bpf"]).args(words);
    command.arg("--").arg(program().get_program());
    command
        .env_remove("KEYSTEAD_HOME")
        .env_remove("XDG_STATE_HOME");
    command
}

/// The first syncs of each thread, one after the other, fail. Nothing that was acknowledged
/// is missing; and where it was a commit's, the process ends and says why. (A checkpoint's
/// or a note's loses nothing: what it was for is done again.)
#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_first_50_syncs_fails() {
    let server = Folder::new().run();
    let alex = Person::register(&server, "alex").await;
    let mut done = Acknowledged::default();
    let mut folder = server.stop().0;
    let mut ended = 0;
    for number in 1..=SYNCS {
        let fails = format!("inject=fsync,fdatasync:error=EIO:when={number}");
        let command = traced(&[
            "-o",
            "/dev/null",
            "-e",
            "trace=fsync,fdatasync",
            "-e",
            &fails,
        ]);
        let status = match folder.run_as(command, &[]) {
            Ok(mut server) => {
                let broke = match alex.log_in(&server).await {
                    Ok(session) => done.go_on_for(STEPS, &session).await.is_err(),
                    Err(_) => true,
                };
                if !broke {
                    end(&server);
                }
                let status = server.child.wait().unwrap();
                folder = server.into_folder();
                status
            }
            Err((stopped, mut child, line)) => {
                assert_eq!(line, "");
                folder = stopped;
                child.wait().unwrap()
            }
        };
        let said = folder.read("trace");
        if status.code() == Some(1) {
            ended += 1;
            assert!(
                said.contains("keystead-server: error: "),
                "sync {number}: {said}"
            );
        } else {
            assert_eq!(status.code(), Some(0), "sync {number}: {said}");
        }
        let server = folder.run();
        let session = alex.log_in(&server).await.unwrap();
        done.check_last(&session).await;
        folder = server.stop().0;
    }
    assert!(ended >= SYNCS / 2, "{ended} of {SYNCS} ended it");
    let server = folder.run();
    done.check(&alex.log_in(&server).await.unwrap()).await;
}

/// strace is the child and hands no signal on, so the program is named.
fn end(server: &crate::server::Server) {
    let pid = std::fs::read_to_string(server.folder.file("lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
}

/// Each is two commits: the 50th sync of the writer is among them.
const STEPS: u32 = 40;

/// Of each thread: strace counts so.
const SYNCS: u32 = 50;

/// What a trace of the calls shows, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Synced,
    Sent,
}

/// A sync of the database's log, or bytes to the client.
fn seen(line: &str) -> Option<Seen> {
    if line.contains("fdatasync(") || line.contains("fsync(") || line.contains("sync resumed") {
        return line.ends_with("= 0").then_some(Seen::Synced);
    }
    let is_to_client = line.contains("TCP:[127.0.0.1:");
    let is_sent = line.contains("sendto(") || line.contains("write(") || line.contains("writev(");
    (is_to_client && is_sent).then_some(Seen::Sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_before_its_sync() {
    let server = Folder::new().run();
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    drop(session);
    let folder = server.stop().0;
    let calls = folder.file("calls");
    let out = calls.to_str().unwrap();
    let what = "trace=fsync,fdatasync,sendto,sendmsg,write,writev";
    let command = traced(&["-yy", "-o", out, "-e", what]);
    let Ok(server) = folder.run_as(command, &[]) else {
        panic!("not ready")
    };
    let session = alex.log_in(&server).await.unwrap();
    let before = std::fs::read_to_string(&calls).unwrap().lines().count();
    const SIGNATURES: usize = 20;
    for _ in 0..SIGNATURES {
        sign(&session, key).await.unwrap();
    }
    end(&server);
    let folder = server.into_folder();
    let text = std::fs::read_to_string(folder.file("calls")).unwrap();
    let order: Vec<Seen> = text.lines().skip(before).filter_map(seen).collect();
    let mut is_synced = false;
    let mut answers = 0;
    for what in order {
        match what {
            Seen::Synced => is_synced = true,
            Seen::Sent if answers < SIGNATURES => {
                assert!(is_synced, "an answer left before a sync:\n{text}");
                is_synced = false;
                answers += 1;
            }
            Seen::Sent => {}
        }
    }
    assert_eq!(answers, SIGNATURES, "{text}");
}
