//! A server without a port and clients that are real ones: their frames go to it by hand.

use std::collections::{BTreeMap, VecDeque};
use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use keystead_channel::log::{Action, Detail, Leaf};
use keystead_channel::session::requests::{
    Answer, Complete, Open, Receipt, Request, recovery_hash,
};
use keystead_channel::session::{
    AccountName, Binding, ClientSession, Credentials, Event, Extras, Frame, Greeted, Greeting,
    LoginSent, NoticeKind, Nullable, Password, Pin, Profile, RegisterSent, RequestId, SetUpError,
    Status, Stretched, Text, UserId,
};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use keystead_server::conversation::{Conversation, Done, Link, Step};
use keystead_server::sealing::MasterSource;
use keystead_server::server::Server;
use keystead_server::settings::{Register, Settings};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use tempfile::TempDir;

/// A server and where it keeps things.
pub(crate) struct World {
    pub(crate) server: Arc<Server>,
    folder: TempDir,
    postgres: Option<keystead_tests::Postgres>,
}

/// Which database it has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

impl World {
    pub(crate) async fn new(database: Database) -> Self {
        Self::with(database, |_| ()).await
    }

    pub(crate) async fn with(database: Database, set: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            registration: Register::Open,
            ..Settings::default()
        };
        settings.registrations.per_source_hour = 0;
        settings.guesses.per_source_s = 0;
        settings.guesses.per_s = 0;
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(keystead_tests::Postgres::start().unwrap()),
        };
        settings.database = match &postgres {
            None => "sqlite:server.db".to_owned(),
            Some(postgres) => postgres.address(),
        };
        set(&mut settings);
        let mut key = [0; 32];
        SystemRng.fill_bytes(&mut key);
        let path = folder.path().join("master.key");
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let source = MasterSource::File(path);
        let server = Server::open(folder.path(), settings, source).await.unwrap();
        Self {
            server: Arc::new(server),
            folder,
            postgres,
        }
    }

    /// Changes the database under the server.
    pub(crate) fn change(&mut self, statements: &str) {
        match &mut self.postgres {
            None => {
                let file = self.folder.path().join("server.db");
                let database = rusqlite::Connection::open(file).unwrap();
                database.busy_timeout(Duration::from_secs(5)).unwrap();
                database.execute_batch(statements).unwrap();
            }
            Some(postgres) => drop(postgres.sql("keys", statements).unwrap()),
        }
    }

    /// The PostgreSQL under it.
    pub(crate) fn database(&mut self) -> &mut keystead_tests::Postgres {
        self.postgres.as_mut().expect("on PostgreSQL")
    }

    /// Somebody with an account and an open session, a moment after login.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let mut person = Person::new(&self.server, name);
        person.register().await;
        person.log_in().await;
        person
    }
}

/// A connection, and what the server still does for it.
struct Wire {
    conversation: Conversation,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    frames: VecDeque<Vec<u8>>,
}

impl Wire {
    fn new(server: &Arc<Server>) -> Self {
        let link = Link {
            exporter: Some(EXPORTER),
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Self {
            conversation: Conversation::new(Arc::clone(server), link),
            work: FuturesUnordered::new(),
            frames: VecDeque::new(),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let steps = self.conversation.receive(&frame(bytes), NOW_MS);
        self.take(steps);
    }

    async fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            let done = self.work.next().await.expect("nothing more comes");
            let steps = self.conversation.done(done, NOW_MS);
            self.take(steps);
        }
    }

    fn take(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Send(frame) => self.frames.push_back(frame),
                Step::Work(work) => self.work.push(work),
                Step::Close => {}
            }
        }
    }
}

/// A client.
pub(crate) struct Person {
    server: Arc<Server>,
    name: String,
    wire: Wire,
    greeted: Option<Greeted>,
    session: Option<ClientSession>,
    pub(crate) user: UserId,
    stretched: Arc<Stretched>,
    rng: ChaCha20Rng,
    answers: BTreeMap<u64, VecDeque<Answer>>,
}

impl Person {
    pub(crate) fn new(server: &Arc<Server>, name: &str) -> Self {
        Self {
            server: Arc::clone(server),
            name: name.to_owned(),
            wire: Wire::new(server),
            greeted: None,
            session: None,
            user: UserId([0; 32]),
            stretched: Arc::default(),
            rng: ChaCha20Rng::from_rng(SystemRng).unwrap(),
            answers: BTreeMap::new(),
        }
    }

    /// The same person at another machine, before login.
    pub(crate) fn again(other: &Self) -> Self {
        Self {
            stretched: Arc::clone(&other.stretched),
            ..Self::new(&other.server, &other.name)
        }
    }

    pub(crate) fn nonce(&mut self) -> [u8; 32] {
        let mut nonce = [0; 32];
        self.rng.fill_bytes(&mut nonce);
        nonce
    }

    pub(crate) async fn register(&mut self) {
        let mut greeted = self.greet().await;
        let handle = greeted.handle().unwrap();
        let rng = &mut self.rng;
        let started = RegisterSent::start(handle, credentials(&self.name), EXPORTER, None, rng);
        let (client, sent) = started.unwrap();
        let client = client.keeping(Arc::clone(&self.stretched));
        self.wire.send(&sent);
        let came = self.wire.receive().await;
        let profile = Profile::Standard;
        let received = client.receive(&frame(&came), &greeted, profile, &mut self.rng);
        let (client, sent) = received.unwrap();
        self.wire.send(&sent);
        let came = self.wire.receive().await;
        let received = client.receive(&frame(&came), &greeted, hello(), &mut self.rng);
        let (client, sent) = received.unwrap();
        self.wire.send(&sent);
        let came = self.wire.receive().await;
        let logged_in = client.receive(&frame(&came)).unwrap();
        self.user = logged_in.opened.user;
        self.session = Some(logged_in.session);
        let complete = Request::Complete(Complete {
            storage_key: [7; 72],
            user: self.user,
            recovery_hash: recovery_hash(&code()),
        });
        assert_eq!(self.ask(&complete).await.status, Status::Done);
    }

    /// On a new connection.
    pub(crate) async fn log_in(&mut self) {
        self.try_log_in().await.unwrap();
    }

    /// The same, which may be refused.
    pub(crate) async fn try_log_in(&mut self) -> Result<(), SetUpError> {
        self.wire = Wire::new(&self.server);
        let mut greeted = self.greet().await;
        let handle = greeted.handle().unwrap();
        let binding = Binding::Exporter(EXPORTER);
        let extras = Extras::default();
        let rng = &mut self.rng;
        let started = LoginSent::start(handle, credentials(&self.name), binding, extras, rng);
        let (client, sent) = started.unwrap();
        let client = client.keeping(Arc::clone(&self.stretched));
        self.wire.send(&sent);
        let came = self.wire.receive().await;
        let (client, sent) = client.receive(&frame(&came), &greeted, hello(), &mut self.rng)?;
        self.wire.send(&sent);
        let came = self.wire.receive().await;
        let logged_in = client.receive(&frame(&came))?;
        self.user = logged_in.opened.user;
        self.session = Some(logged_in.session);
        self.greeted = Some(greeted);
        Ok(())
    }

    /// The same session on a new connection: not a fresh login any more.
    pub(crate) async fn resume(&mut self) {
        self.try_resume().await.unwrap();
    }

    /// The same, which may be refused.
    pub(crate) async fn try_resume(&mut self) -> Result<(), SetUpError> {
        let ticket = self.session.take().unwrap().into_ticket();
        self.wire = Wire::new(&self.server);
        let mut greeted = self.greet().await;
        let handle = greeted.handle().unwrap();
        let binding = Binding::Exporter(EXPORTER);
        let rng = &mut self.rng;
        let started = ticket.resume(&greeted, handle, binding, Nullable(None), rng);
        let (client, sent) = started.ok().unwrap();
        self.wire.send(&sent);
        let came = self.wire.receive().await;
        let (session, _) = client.receive(&frame(&came)).map_err(|not| not.error)?;
        self.session = Some(session);
        self.greeted = Some(greeted);
        Ok(())
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Answer {
        let sub = self.begin(request);
        self.answer(sub).await
    }

    /// What comes is checked to be done, and is its result.
    pub(crate) async fn done(&mut self, request: &Request) -> Vec<u8> {
        let answer = self.ask(request).await;
        assert_eq!(answer.status, Status::Done);
        let result = answer.result.map(|it| it.expose().to_vec());
        result.unwrap_or_default()
    }

    /// What comes is checked to be this refusal.
    pub(crate) async fn refused(&mut self, request: &Request, status: Status) {
        let answer = self.ask(request).await;
        assert_eq!(answer.status, status);
        assert!(answer.result.is_none());
    }

    /// Who acts, as entries name a session.
    pub(crate) fn actor(&self) -> [u8; 8] {
        let id = self.session.as_ref().unwrap().id();
        *id.0.first_chunk().unwrap()
    }

    pub(crate) fn begin(&mut self, request: &Request) -> u64 {
        let id = RequestId::draw(&mut self.rng);
        self.begin_as(request, id)
    }

    pub(crate) fn begin_as(&mut self, request: &Request, id: RequestId) -> u64 {
        let session = self.session.as_mut().unwrap();
        let sent = session.ask(request, id).unwrap();
        self.wire.send(&sent.frame);
        sent.sub
    }

    pub(crate) async fn answer(&mut self, sub: u64) -> Answer {
        loop {
            let waiting = self.answers.get_mut(&sub);
            if let Some(answer) = waiting.and_then(VecDeque::pop_front) {
                return answer;
            }
            let came = self.wire.receive().await;
            let session = self.session.as_mut().unwrap();
            match session.receive(&frame(&came)).map_err(drop).unwrap() {
                Event::Answer { sub, answer, .. } => {
                    self.answers.entry(sub).or_default().push_back(answer);
                }
                Event::Notice(notice) if notice.kind == NoticeKind::Closed => {
                    return Answer::of(Status::LoginRequired);
                }
                Event::Notice(_) => {}
            }
        }
    }

    async fn greet(&mut self) -> Greeted {
        let (greeting, sent) = Greeting::start(&mut self.rng);
        self.wire.send(&sent);
        let came = self.wire.receive().await;
        greeting.receive(&frame(&came), Pin::Nothing).unwrap()
    }
}

/// An entry, read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) action: Action,
    pub(crate) outcome: Status,
    pub(crate) actor: [u8; 8],
    pub(crate) key: [u8; 16],
    pub(crate) request_hash: [u8; 32],
    pub(crate) detail: Detail,
    pub(crate) time_unix_ms: u64,
}

/// The entry of a receipt.
pub(crate) fn leaf(receipt: &Receipt) -> Seen {
    seen(&receipt.leaf.0)
}

/// The entry of a leaf.
pub(crate) fn seen(leaf: &[u8]) -> Seen {
    let leaf = Leaf::decode(leaf).unwrap();
    Seen {
        action: Action::from_number(leaf.action).unwrap(),
        outcome: Status::from_number(leaf.outcome.into()).unwrap(),
        actor: leaf.actor,
        key: leaf.key,
        request_hash: leaf.request_hash,
        detail: Detail::decode(&leaf.detail).unwrap(),
        time_unix_ms: leaf.time_unix_ms,
    }
}

/// The frame in bytes for the stream.
fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame::decode(&bytes[4..]).unwrap()
}

fn credentials(name: &str) -> Credentials {
    Credentials {
        name: AccountName::parse(name).unwrap(),
        password: Password::new("correct horse battery").unwrap(),
    }
}

fn hello() -> Open {
    Open {
        known: Nullable(None),
        device: Text("laptop".to_owned()),
        pass_wanted: false,
    }
}

/// Everybody's recovery code.
pub(crate) fn code() -> Secret<16> {
    Secret::fill(|bytes| bytes.fill(9))
}

const EXPORTER: [u8; 32] = [5; 32];

const NOW_MS: u64 = 1_000;
