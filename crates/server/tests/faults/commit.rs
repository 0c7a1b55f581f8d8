//! PostgreSQL's own process for a connection, frozen or killed in the middle of a COMMIT.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_channel::session::{KeyId, Status};
use keystead_keeper::server::{ServerError, Session};
use keystead_tests::Postgres;
use rustix::process::{Pid, Signal, kill_process};

use crate::person::{Person, make_key, sign};
use crate::postgres::configured;

/// Between a server and its database; it sees each COMMIT go by.
struct Passage {
    port: u16,
    next: Arc<Mutex<Option<Stop>>>,
}

/// What happens to the database's process at the next COMMIT.
struct Stop {
    signal: Signal,
    when: When,
    /// Told the process.
    told: SyncSender<Pid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// It has not read the COMMIT.
    Before,
    /// It reads it at the same time.
    Meanwhile,
}

impl Passage {
    fn to(database: &Postgres) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let passage = Self {
            port: listener.local_addr().unwrap().port(),
            next: Arc::default(),
        };
        let (next, port) = (Arc::clone(&passage.next), database.port());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // The database may be down: then the connection ends at once.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let next = Arc::clone(&next);
                std::thread::spawn(move || forward(client, server, &next, port));
                std::thread::spawn(move || carry(from, to));
            }
        });
        passage
    }

    /// Who is told the process that was stopped.
    fn stop_next(&self, signal: Signal, when: When) -> Receiver<Pid> {
        let (told, tells) = sync_channel(1);
        let stop = Stop { signal, when, told };
        *self.next.lock().unwrap() = Some(stop);
        tells
    }
}

fn forward(mut client: TcpStream, mut server: TcpStream, next: &Mutex<Option<Stop>>, port: u16) {
    let own = server.local_addr().unwrap().port();
    let mut bytes = [0; 65_536];
    while let Ok(len @ 1..) = client.read(&mut bytes) {
        let has = |word: &[u8]| bytes[..len].windows(word.len()).any(|it| it == word);
        // What only reads ends with one too.
        let is_commit = has(b"COMMIT\0") && !has(b"READ ONLY");
        let stop = is_commit.then(|| next.lock().unwrap().take()).flatten();
        let found = stop.map(|stop| (process_of(port, own), stop));
        if let Some((pid, stop)) = &found
            && stop.when == When::Before
        {
            kill_process(*pid, stop.signal).unwrap();
        }
        let is_over = server.write_all(&bytes[..len]).is_err();
        if let Some((pid, stop)) = found {
            if stop.when == When::Meanwhile {
                kill_process(pid, stop.signal).unwrap();
            }
            stop.told.send(pid).unwrap();
        }
        if is_over {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

/// The database's process for the connection that comes from `from`.
fn process_of(port: u16, from: u16) -> Pid {
    let query = format!("SELECT pid FROM pg_stat_activity WHERE client_port = {from}");
    let said = Postgres::sql_at(port, "keys", &query).unwrap();
    Pid::from_raw(said.trim().parse().unwrap()).unwrap()
}

/// Entries of the log, which has no gap: the number of the last one says the same.
pub(crate) fn entries(database: &Postgres) -> u64 {
    let query = "SELECT count(*), count(DISTINCT leaf), max(leaf) + 1, (SELECT size FROM head) \
                 FROM leaf_index";
    let mut said = database.sql("keys", query);
    while said.is_err() {
        // It recovers from a process that was killed.
        said = database.sql("keys", query);
    }
    let said = said.unwrap();
    let numbers: Vec<u64> = said
        .trim()
        .split('|')
        .map(|it| it.parse().unwrap())
        .collect();
    assert!(numbers.iter().all(|it| *it == numbers[0]), "{numbers:?}");
    numbers[0]
}

/// Whether it was done, as the client is told within its own wait.
async fn signed_in_time(session: &Session, key: KeyId) -> bool {
    let signed = tokio::time::timeout(CLIENTS_WAIT, sign(session, key)).await;
    match signed.unwrap() {
        Ok(_) => true,
        Err(ServerError::Answered(Status::Unavailable)) => false,
        Err(other) => panic!("{other}"),
    }
}

/// The outcome that a client is told is the one that there is.
async fn goes_on(database: &Postgres, session: &Session, key: KeyId, done: u64) {
    assert_eq!(entries(database), done);
    let mut done = done;
    while !signed_in_time(session, key).await {
        assert_eq!(entries(database), done);
    }
    done += 1;
    assert_eq!(entries(database), done);
    session.look_at_log().await.unwrap();
}

struct World {
    database: Postgres,
    passage: Passage,
    server: crate::server::Server,
    alex: Person,
}

impl World {
    async fn new() -> Self {
        let database = Postgres::start().unwrap();
        let passage = Passage::to(&database);
        let port = database.port().to_string();
        let address = database.address().replace(&port, &passage.port.to_string());
        let server = configured(&address).run();
        let alex = Person::register(&server, "alex").await;
        Self {
            database,
            passage,
            server,
            alex,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_frozen_is_settled_when_it_thaws() {
    let world = World::new().await;
    let session = world.alex.log_in(&world.server).await.unwrap();
    let other = world.alex.log_in(&world.server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    let before = entries(&world.database);
    let frozen = world.passage.stop_next(Signal::STOP, When::Before);
    let (signed, refused) = tokio::join!(signed_in_time(&session, key), async {
        let pid = tokio::task::spawn_blocking(move || frozen.recv().unwrap());
        let pid = pid.await.unwrap();
        // Nothing can be decided before that is: who comes now is told so in time.
        let refused = !signed_in_time(&other, key).await;
        kill_process(pid, Signal::CONT).unwrap();
        refused
    });
    assert!(refused);
    let done = before + u64::from(signed);
    goes_on(&world.database, &session, key, done).await;
    goes_on(&world.database, &other, key, done + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_process_is_killed_is_settled() {
    let world = World::new().await;
    let session = world.alex.log_in(&world.server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    for when in [When::Before, When::Meanwhile, When::Meanwhile] {
        let before = entries(&world.database);
        let killed = world.passage.stop_next(Signal::KILL, when);
        let signed = signed_in_time(&session, key).await;
        // Who was answered may be ahead of who kills.
        killed.recv_timeout(CLIENTS_WAIT).unwrap();
        assert!(!signed || when == When::Meanwhile, "it cannot have been");
        goes_on(&world.database, &session, key, before + u64::from(signed)).await;
    }
}

/// 30 s, the wait of our own client.
const CLIENTS_WAIT: Duration = Duration::from_secs(30);
