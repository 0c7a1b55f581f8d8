//! Clocks that are ten years off: the machine's for SQLite, the database's for PostgreSQL.
//!
//! What had expired stays so when the clock is put right again, nobody gets a free guess,
//! and waits are whole from the jump on.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use keystead_channel::session::{
    AccountName, Binding, Credentials, ErrorBody, Extras, Frame, FrameType, Greeting,
    InvitationLink, LoginSent, Password, Pin, Stretched, Text, Ticket,
};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use keystead_keeper::server::seen::Seen;
use keystead_keeper::server::{LoggedIn, Login, ServerError, Session, Watch};
use keystead_tests::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::person::{Person, make_key, remote, sign};
use crate::postgres::configured;
use crate::server::{Folder, Server, program};

/// The wall clock of programs, set by libfaketime; their steady clocks go on as they are.
struct Clock {
    folder: Folder,
    library: String,
}

impl Clock {
    fn new() -> Self {
        // faketime(1) knows where its library lies.
        let mut command = Command::new("faketime");
        let said = command.args(["-f", "+0", "env"]).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let library = said.lines().find_map(|it| it.strip_prefix("LD_PRELOAD="));
        let clock = Self {
            folder: Folder::empty(),
            library: library.unwrap().to_owned(),
        };
        // PostgreSQL runs as another user.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(clock.folder.path(), open).unwrap();
        clock.set("+0");
        clock
    }

    /// From now on, for whoever runs by it.
    fn set(&self, offset: &str) {
        let new = self.folder.file("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.file("offset")
    }

    fn variables(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn run(&self, folder: Folder) -> Server {
        let mut command = program();
        command.envs(self.variables());
        folder
            .run_as(command, &[])
            .unwrap_or_else(|(folder, _, line)| panic!("{line:?}: {}", folder.read("trace")))
    }
}

/// What is good for a while: an invitation, a device pass, a session's ticket, a wait.
struct Passing {
    /// A link that nobody used.
    beth: String,
    pin: Pin,
    watch: Arc<Watch>,
    stretched: Arc<Stretched>,
    pass: [u8; 32],
    tickets: Vec<Ticket>,
    /// When the last guess was evaluated.
    guessed: Instant,
}

impl Passing {
    /// All of it is good, and alex's name has to wait.
    async fn new(server: &Server) -> Self {
        Person::register(server, "alex").await;
        let link = server.folder.must(&["invite", "beth"]);
        let hello = remote(server, Pin::Nothing).await.unwrap();
        let (id, log_key) = (hello.server(), hello.hello().log_key);
        let mut passing = Self {
            beth: link,
            pin: Pin::Both(id, log_key),
            watch: Arc::new(Watch::new(Seen::new(id, log_key))),
            stretched: Arc::default(),
            pass: [0; 32],
            tickets: Vec::new(),
            guessed: Instant::now(),
        };
        let logged_in = passing.log_in(server, None).await.unwrap();
        let pass = logged_in.opened.pass.as_ref().unwrap();
        passing.pass.copy_from_slice(pass.expose());
        passing.tickets.extend(logged_in.session.into_ticket());
        let mut evaluated = 0;
        while evaluated < GUESSES {
            match passing.meets(server, None).await {
                Ok(()) => {
                    evaluated += 1;
                    passing.guessed = Instant::now();
                }
                Err(wait_s) => tokio::time::sleep(Duration::from_secs(wait_s.into())).await,
            }
        }
        passing.is_good(server).await;
        passing
    }

    async fn log_in(
        &self,
        server: &Server,
        pass: Option<[u8; 32]>,
    ) -> Result<LoggedIn, ServerError> {
        let who = Login {
            account: AccountName::parse("alex").unwrap(),
            password: Password::new("correct horse").unwrap(),
            extras: extras(pass),
            device: Text("test".to_owned()),
            wants_pass: pass.is_none(),
            keeping: Some(self.stretched.clone()),
        };
        let remote = remote(server, self.pin).await?;
        remote.login(who, self.watch.clone()).await
    }

    /// What a guess at alex's password meets: it is evaluated, or has to wait so long.
    async fn meets(&self, server: &Server, pass: Option<[u8; 32]>) -> Result<(), u32> {
        let mut stream = server.connect(&["keystead/1"]).await.unwrap();
        let (_, connection) = stream.get_ref();
        let exporter = connection
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
            .unwrap();
        let (greeting, hello) = Greeting::start(&mut SystemRng);
        stream.write_all(&hello).await.unwrap();
        let answer = frame(&mut stream).await;
        let answer = Frame::decode(&answer).unwrap();
        let mut greeted = greeting.receive(&answer, self.pin).unwrap();
        let handle = greeted.handle().unwrap();
        let credentials = Credentials {
            name: AccountName::parse("alex").unwrap(),
            password: Password::new("wrong").unwrap(),
        };
        let binding = Binding::Exporter(exporter);
        let started = LoginSent::start(handle, credentials, binding, extras(pass), &mut SystemRng);
        stream.write_all(&started.unwrap().1).await.unwrap();
        stream.flush().await.unwrap();
        let answer = frame(&mut stream).await;
        let answer = Frame::decode(&answer).unwrap();
        match answer.kind {
            FrameType::LoginResponse => Ok(()),
            FrameType::Error => {
                let body = ErrorBody::decode(answer.body).unwrap();
                Err(body.wait_s.unwrap_or_else(|| panic!("{:?}", body.code)))
            }
            other => panic!("{other:?}"),
        }
    }

    async fn resumed(&self, server: &Server, ticket: &Ticket) -> Result<Session, ServerError> {
        let again = Ticket::decode(ticket.encode().expose()).unwrap();
        let remote = remote(server, self.pin).await.unwrap();
        let resumed = remote.resume(again, self.watch.clone()).await;
        resumed.map(|it| it.0).map_err(|not| not.error)
    }

    /// A guess waits for as long as is left of a wait that began at `since`.
    async fn waits(&self, server: &Server, pass: Option<[u8; 32]>, since: Instant) {
        let wait_s = self.meets(server, pass).await.err().unwrap_or(0);
        let waited_s = since.elapsed().as_secs_f64();
        let is_whole = f64::from(wait_s) + waited_s >= f64::from(WAIT_S);
        assert!(
            is_whole && wait_s <= WAIT_S,
            "{wait_s} s after {waited_s} s"
        );
    }

    async fn invited(&self, server: &Server) -> Result<Person, ServerError> {
        let link = InvitationLink::parse(self.beth.trim()).unwrap();
        Person::register_with(server, link).await
    }

    /// Everything is as before the clock went wrong.
    async fn is_good(&mut self, server: &Server) {
        self.waits(server, None, self.guessed).await;
        assert_eq!(self.meets(server, Some(self.pass)).await, Ok(()));
        for ticket in std::mem::take(&mut self.tickets) {
            let session = self.resumed(server, &ticket).await.unwrap();
            self.tickets.extend(session.into_ticket());
        }
    }

    /// Everything is over, and the wait is whole.
    async fn is_over(&self, server: &Server, since: Instant) {
        // With a pass that is good there would be none.
        for pass in [None, Some(self.pass)] {
            self.waits(server, pass, since).await;
        }
        for ticket in &self.tickets {
            let refused = self.resumed(server, ticket).await.err().unwrap();
            assert!(matches!(refused, ServerError::LoginRequired), "{refused}");
        }
        let refused = self.invited(server).await.err().unwrap();
        assert!(matches!(refused, ServerError::NotInvited), "{refused}");
    }
}

fn extras(pass: Option<[u8; 32]>) -> Extras {
    Extras {
        pass: pass.map(|it| Secret::fill(|bytes| bytes.copy_from_slice(&it))),
        ..Extras::default()
    }
}

/// The next frame, without its length.
async fn frame(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let len = stream.read_u32().await.unwrap();
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// Entries that say that the clock jumped.
fn jumps(server: &Server) -> usize {
    let exported = server.folder.must(&["audit", "export"]);
    let leaves = exported.lines().filter_map(|it| it.strip_prefix("leaf "));
    let leaves = leaves.map(|it| BASE64.decode(it.split_once(' ').unwrap().1).unwrap());
    // Behind version, log, number, hash and time (spec/audit.md section 2).
    leaves.filter(|leaf| leaf[65..67] == [0x01, 0x0a]).count()
}

/// A running server's own time goes on, whatever becomes of the machine's clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_under_a_server_on_sqlite_changes_nothing() {
    let clock = Clock::new();
    let server = clock.run(Folder::new());
    let mut passing = Passing::new(&server).await;
    let carl = Person::register(&server, "carl").await;
    let session = carl.log_in(&server).await.unwrap();
    let key = make_key(&session, 1).await.unwrap();
    for (number, offset) in ["+10y", "-10y", "+0"].into_iter().enumerate() {
        clock.set(offset);
        passing.is_good(&server).await;
        sign(&session, key).await.unwrap();
        assert_eq!(jumps(&server), number + 1, "{offset}");
    }
    passing.invited(&server).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_when_a_server_on_sqlite_starts_revives_nothing() {
    let clock = Clock::new();
    let mut server = clock.run(Folder::new());
    let passing = Passing::new(&server).await;
    let carl = Person::register(&server, "carl").await;
    let mut carls = carl.log_in(&server).await.unwrap().into_ticket().unwrap();
    for offset in ["+10y", "+0", "-10y", "+0"] {
        clock.set(offset);
        let folder = server.stop().0;
        let since = Instant::now();
        server = clock.run(folder);
        passing.is_over(&server, since).await;
        // Also what was made under the clock before; and whoever logs in is served.
        let refused = passing.resumed(&server, &carls).await.err().unwrap();
        assert!(
            matches!(refused, ServerError::LoginRequired),
            "{offset}: {refused}"
        );
        let session = carl.log_in(&server).await.unwrap();
        make_key(&session, 1).await.unwrap();
        carls = session.into_ticket().unwrap();
    }
}

/// Two hours are too long after a session's last frame and not after its login, so that no
/// ordinary sweep takes it: what the clock's way back would revive goes by that alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_clock_put_forward_ended_stays_so_on_sqlite() {
    let clock = Clock::new();
    let mut server = clock.run(Folder::new());
    let passing = Passing::new(&server).await;
    for offset in ["+2h", "+0"] {
        clock.set(offset);
        server = clock.run(server.stop().0);
        for ticket in &passing.tickets {
            let refused = passing.resumed(&server, ticket).await.err();
            assert!(
                matches!(refused, Some(ServerError::LoginRequired)),
                "{offset}"
            );
        }
        // The database knows then when it was last written to.
        server.folder.must(&["invite", "zoe"]);
    }
}

/// The database's clock decides, for all its servers.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_under_postgres_revives_nothing() {
    let clock = Clock::new();
    let database = Postgres::start_with(&clock.variables()).unwrap();
    let first = configured(&database.address());
    let second = crate::postgres::beside(&first);
    let (first, second) = (first.run(), second.run());
    let passing = Passing::new(&first).await;
    let carl = Person::register(&first, "carl").await;
    let mut carls = carl.log_in(&first).await.unwrap();
    for offset in ["+10y", "+0", "-10y", "+0"] {
        clock.set(offset);
        for server in [&first, &second] {
            // Each sees the jump when it next asks.
            passing.is_over(server, Instant::now()).await;
        }
        let refused = make_key(&carls, 7).await.err().unwrap();
        assert!(refused_as_over(&refused), "{offset}: {refused}");
        carls = carl.log_in(&second).await.unwrap();
        make_key(&carls, 7).await.unwrap();
    }
}

fn refused_as_over(error: &ServerError) -> bool {
    matches!(
        error,
        ServerError::LoginRequired
            | ServerError::Answered(keystead_channel::session::Status::LoginRequired)
    )
}

/// A leaf that was signed under a wrong clock is replaced under a right one; ten years off
/// none is signed, for its authority is not valid then.
#[tokio::test]
async fn a_certificate_outlives_a_clock_that_was_wrong() {
    let clock = Clock::new();
    let mut server = clock.run(Folder::new());
    let leaf = server.folder.read("server.pem");
    for (offset, is_kept) in [("+10y", true), ("-10y", true), ("+1y", false)] {
        clock.set(offset);
        server = clock.run(server.stop().0);
        assert_eq!(
            server.folder.read("server.pem") == leaf,
            is_kept,
            "{offset}"
        );
        assert_eq!(
            server.connect(&["keystead/1"]).await.is_ok(),
            is_kept,
            "{offset}"
        );
        let said = server.folder.read("trace");
        assert_eq!(
            said.contains("the private authority is valid from"),
            is_kept,
            "{said}"
        );
    }
    clock.set("+0");
    server = clock.run(server.stop().0);
    server.connect(&["keystead/1"]).await.unwrap();
}

#[tokio::test]
async fn clients_refuse_an_expired_certificate() {
    clients_refuse_what_has_expired(None).await;
}

#[tokio::test]
async fn clients_refuse_an_expired_certificate_of_a_server_on_postgres() {
    let database = Postgres::start().unwrap();
    clients_refuse_what_has_expired(Some(&database)).await;
}

/// A server whose certificate expired while it could not be renewed.
async fn clients_refuse_what_has_expired(database: Option<&Postgres>) {
    let clock = Clock::new();
    clock.set("-1y");
    let folder = Folder::empty();
    let mut init = program();
    init.envs(clock.variables()).arg("init");
    init.args(["--host", "keys.example.org", "--dir"])
        .arg(folder.path());
    assert!(init.status().unwrap().success());
    if let Some(database) = database {
        folder.configure(&format!("database = \"{}\"", database.address()));
    }
    let server = clock.run(folder);
    let said = server
        .connect(&["keystead/1"])
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("certificate expired"), "{said}");
}

/// Five are free; the next are evaluated after 1, 2 and 4 s.
const GUESSES: u32 = 8;

/// Of the one after those.
const WAIT_S: u32 = 8;
