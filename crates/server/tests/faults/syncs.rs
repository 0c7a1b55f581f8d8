//! Syncs that fail, and that no answer leaves before one.

use std::path::PathBuf;
use std::process::Command;

use keystead_keeper::server::ServerError;
use rustix::process::Signal;

use crate::acknowledged::Acknowledged;
use crate::person::{Person, make_key, sign};
use crate::server::{Folder, Server, program};

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

/// The first syncs of a server, whichever thread makes them, fail, one in each run: of a
/// server that begins, and of one that has served. It ends and says why, and all that it
/// acknowledged is there in the next run.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_first_50_syncs_fails() {
    let library = Library::compile();
    let mut served = Served::new(Folder::new());
    let mut others = (Vec::new(), Vec::new());
    for number in 1..=SYNCS {
        let mut begun = Served::new(Folder::new());
        if !begun.fails(&library, number).await {
            others.0.push(number);
        }
        begun.check().await;
        if !served.fails(&library, number).await {
            others.1.push(number);
        }
        served.check().await;
    }
    let others = (others.0.as_slice(), others.1.as_slice());
    assert_eq!(others, (NOT_TOLD_AT_THE_BEGINNING, NOT_TOLD_LATER));
}

/// A server's folder, who is registered there, and what they were told.
struct Served {
    folder: Option<Folder>,
    people: Vec<Person>,
    done: Vec<Acknowledged>,
}

impl Served {
    fn new(folder: Folder) -> Self {
        Self {
            folder: Some(folder),
            people: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Runs it with one sync that fails: whether that ended it.
    async fn fails(&mut self, library: &Library, number: u32) -> bool {
        let folder = self.folder.take().unwrap();
        let mut command = program();
        command.env("LD_PRELOAD", &library.0);
        command.env("FAILING_SYNC", number.to_string());
        let status = match folder.run_as(command, &[]) {
            Ok(mut server) => {
                let went = self.go_on(&server, number).await;
                if went.is_ok() {
                    server.signal(Signal::TERM);
                }
                let status = server.child.wait().unwrap();
                self.folder = Some(server.into_folder());
                status
            }
            Err((folder, mut child, line)) => {
                assert_eq!(line, "");
                self.folder = Some(folder);
                child.wait().unwrap()
            }
        };
        let said = self.folder.as_ref().unwrap().read("trace");
        let failed = said.lines().find(|line| line.starts_with("sync "));
        assert!(failed.is_some(), "sync {number} did not come: {said}");
        if status.success() {
            return false;
        }
        assert_eq!(status.code(), Some(1), "{said}");
        let errors = said
            .lines()
            .filter(|it| it.starts_with("keystead-server: error: "));
        let errors: Vec<&str> = errors.collect();
        assert_eq!(errors.len(), 1, "{said}");
        let whys = [
            "the disk did not keep",
            "where the log stands cannot be remembered",
        ];
        let says_why = whys.iter().any(|why| errors.concat().contains(why));
        assert!(says_why, "{said}");
        true
    }

    /// Somebody registers, makes keys and signs.
    async fn go_on(&mut self, server: &Server, number: u32) -> Result<(), ServerError> {
        if self.people.is_empty() {
            let name = format!("alex{number}");
            self.people.push(Person::try_register(server, &name).await?);
            self.done.push(Acknowledged::default());
        }
        for (person, done) in self.people.iter().zip(&mut self.done) {
            let session = person.log_in(server).await?;
            done.go_on_for(STEPS, &session).await?;
        }
        Ok(())
    }

    /// All that was acknowledged is there.
    async fn check(&mut self) {
        let server = self.folder.take().unwrap().run();
        for (person, done) in self.people.iter().zip(&self.done) {
            done.check(&person.log_in(&server).await.unwrap()).await;
        }
        self.folder = Some(server.stop().0);
    }
}

/// What has a sync fail, or kill.
pub(crate) struct Library(
    pub(crate) PathBuf,
    #[expect(dead_code, reason = "its folder is deleted with it")] Folder,
);

impl Library {
    pub(crate) fn compile() -> Self {
        let folder = Folder::empty();
        let library = folder.file("failing_sync.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/failing_sync.c");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o"]);
        assert!(
            command
                .arg(&library)
                .arg(source)
                .status()
                .unwrap()
                .success()
        );
        Self(library, folder)
    }
}

/// strace is the child and hands no signal on, so the program is named.
fn end(server: &Server) {
    let pid = std::fs::read_to_string(server.folder.file("lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
}

/// Each is two commits: with registration and login there are more than 50 syncs.
const STEPS: u32 = 30;

const SYNCS: u32 = 50;

/// SQLite's own of the folder, whose failure it does not tell: when the journal is made by
/// which an empty database becomes one with a write-ahead log, and when that log is made.
/// The store syncs the folder itself before it serves.
const NOT_TOLD_AT_THE_BEGINNING: &[u32] = &[3, 7];
const NOT_TOLD_LATER: &[u32] = &[4];

/// What a trace of the calls shows, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Synced,
    Sent,
}

/// A sync of the database's log, or bytes to the client at this descriptor.
fn seen(line: &str, client: u32) -> Option<Seen> {
    if line.contains("fdatasync(") || line.contains("fsync(") || line.contains("sync resumed") {
        return line.ends_with("= 0").then_some(Seen::Synced);
    }
    let calls = ["sendto", "sendmsg", "write", "writev"];
    let is_sent = |call| line.contains(&format!(" {call}({client}, "));
    calls.into_iter().any(is_sent).then_some(Seen::Sent)
}

/// The descriptor of the last connection that was taken. A tracer that is not root cannot ask
/// what a descriptor is, for the server keeps its memory to itself.
fn accepted(text: &str) -> u32 {
    let taken = text.lines().rev().filter(|it| it.contains("accept4"));
    let mut numbers = taken.filter_map(|it| it.rsplit_once(" = ")?.1.trim().parse().ok());
    numbers.next().unwrap()
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
    let what = "trace=accept4,fsync,fdatasync,sendto,sendmsg,write,writev";
    let command = traced(&["-o", out, "-e", what]);
    let Ok(server) = folder.run_as(command, &[]) else {
        panic!("not ready")
    };
    let session = alex.log_in(&server).await.unwrap();
    let before = std::fs::read_to_string(&calls).unwrap();
    let (client, before) = (accepted(&before), before.lines().count());
    const SIGNATURES: usize = 20;
    for _ in 0..SIGNATURES {
        sign(&session, key).await.unwrap();
    }
    end(&server);
    let folder = server.into_folder();
    let text = std::fs::read_to_string(folder.file("calls")).unwrap();
    let order: Vec<Seen> = text
        .lines()
        .skip(before)
        .filter_map(|it| seen(it, client))
        .collect();
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
