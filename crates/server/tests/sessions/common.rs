//! Servers without sockets: a conversation at one side, the channel's client at the other.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use keystead_channel::session::requests::{Answer, Complete, Open, Request, recovery_hash};
use keystead_channel::session::{
    AccountName, Binding, ClientSession, Credentials, ErrorBody, Event, Extras, Frame, FrameType,
    Greeted, Greeting, Handle, LoggedIn, LoginSent, Nullable, Password, Pin, Profile, RegisterSent,
    RequestId, SetUpError, Status, Stretched, Text, Ticket, UserId,
};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use keystead_server::conversation::{Conversation, Done, Link, Step};
use keystead_server::sealing::MasterSource;
use keystead_server::server::Server;
use keystead_server::settings::{Bind, Register, Settings};
use keystead_server::store::Store;
use keystead_tests::Postgres;

pub(crate) const EXPORTER: [u8; 32] = [9; 32];

/// A database, and servers on it.
pub(crate) struct Place {
    address: String,
    /// One process has a database of SQLite; its servers share it.
    shared: Option<Store>,
    folder: tempfile::TempDir,
}

impl Place {
    /// SQLite in a folder of its own.
    pub(crate) async fn sqlite() -> Self {
        let mut place = Self::at("sqlite:test.db".to_owned());
        let store = Store::open(&place.address, place.folder.path()).await;
        place.shared = Some(store.unwrap());
        place
    }

    /// Changes the database under its servers.
    pub(crate) fn change(&self, statements: &str) {
        if self.shared.is_some() {
            let file = self.folder.path().join("test.db");
            let database = rusqlite::Connection::open(file).unwrap();
            database.busy_timeout(Duration::from_secs(5)).unwrap();
            return database.execute_batch(statements).unwrap();
        }
        // postgres://keystead@127.0.0.1:PORT/NAME?sslmode=disable
        let (_, place) = self.address.rsplit_once(':').unwrap();
        let (port, rest) = place.split_once('/').unwrap();
        let (name, _) = rest.split_once('?').unwrap();
        Postgres::sql_at(port.parse().unwrap(), name, statements).unwrap();
    }

    /// Bytes as the database's statements write them.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
        match &self.shared {
            Some(_) => format!("x'{hex}'"),
            None => format!("'\\x{hex}'"),
        }
    }

    /// PostgreSQL, where each server has connections of its own.
    pub(crate) fn at(address: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_master_key(folder.path());
        Self {
            address,
            shared: None,
            folder,
        }
    }

    /// Another process, as far as sessions go: nothing is shared but the database.
    pub(crate) async fn server(&self, settings: Settings) -> Arc<Server> {
        let folder = self.folder.path();
        let source = MasterSource::File(folder.join("master.key"));
        let store = match &self.shared {
            Some(store) => store.clone(),
            None => Store::open(&self.address, folder).await.unwrap(),
        };
        let server = Server::over(store, settings, source).await;
        Arc::new(server.unwrap())
    }
}

fn write_master_key(folder: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600);
    let mut file = file.open(folder.join("master.key")).unwrap();
    std::io::Write::write_all(&mut file, &[7; 32]).unwrap();
}

/// Open registration, no buckets, no limit of requests.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings {
        registration: Register::Open,
        binding: Bind::Optional,
        ..Settings::default()
    };
    settings.guesses.per_source_s = 0;
    settings.guesses.per_s = 0;
    settings.registrations.per_source_hour = 0;
    settings
}

/// A connection: the server's side, and what came out of it.
pub(crate) struct Wire {
    pub(crate) conversation: Conversation,
    works: FuturesUnordered<BoxFuture<'static, Done>>,
    sent: VecDeque<Vec<u8>>,
    pub(crate) is_closed: bool,
    pub(crate) now_ms: u64,
    pub(crate) binding: Binding,
}

impl Wire {
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        let link = Link {
            exporter: Some(EXPORTER),
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Self {
            conversation: Conversation::new(Arc::clone(server), link),
            works: FuturesUnordered::new(),
            sent: VecDeque::new(),
            is_closed: false,
            now_ms: 1_000,
            binding: Binding::Exporter(EXPORTER),
        }
    }

    /// After hello.
    pub(crate) async fn greeted(server: &Arc<Server>) -> (Self, Greeted) {
        let mut wire = Self::new(server);
        let (greeting, hello) = Greeting::start(&mut SystemRng);
        wire.give(&hello);
        let answer = wire.next().await.unwrap();
        let greeted = greeting.receive(&frame(&answer), Pin::Nothing).unwrap();
        (wire, greeted)
    }

    /// A frame comes.
    pub(crate) fn give(&mut self, bytes: &[u8]) {
        let steps = self.conversation.receive(&frame(bytes), self.now_ms);
        self.take(steps);
    }

    pub(crate) fn tick(&mut self) {
        let steps = self.conversation.tick(self.now_ms);
        self.take(steps);
    }

    pub(crate) fn stop(&mut self) {
        let steps = self.conversation.stop();
        self.take(steps);
    }

    /// The connection is gone; what is left to be done is done.
    pub(crate) async fn end(mut self) {
        let steps = self.conversation.end();
        self.take(steps);
        drop(self.conversation);
        while self.works.next().await.is_some() {}
    }

    fn take(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Send(bytes) => self.sent.push_back(bytes),
                Step::Work(work) => self.works.push(work),
                Step::Close => self.is_closed = true,
            }
        }
    }

    /// What is sent next; nothing when the connection is over.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(bytes) = self.sent.pop_front() {
                return Some(bytes);
            }
            if self.is_closed {
                return None;
            }
            self.finish_one().await?;
        }
    }

    /// Runs what is done first to its end, if anything is to be done.
    pub(crate) async fn finish_one(&mut self) -> Option<()> {
        let done = self.works.next().await?;
        let steps = self.conversation.done(done, self.now_ms);
        self.take(steps);
        Some(())
    }

    /// What was sent already, if anything was.
    pub(crate) fn already(&mut self) -> Option<Vec<u8>> {
        self.sent.pop_front()
    }

    /// Gives a frame, and takes the next one that comes.
    pub(crate) async fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.give(bytes);
        self.next().await.unwrap()
    }
}

/// A person with a password, and what their machine keeps.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
    pub(crate) kept: Arc<Stretched>,
}

impl Person {
    pub(crate) fn new(name: &'static str, password: &'static str) -> Self {
        Self {
            name,
            password,
            kept: Arc::default(),
        }
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials {
            name: AccountName::parse(self.name).unwrap(),
            password: Password::new(self.password).unwrap(),
        }
    }

    /// Registers whole; the recovery code is made of sixteen fours.
    pub(crate) async fn register(&self, server: &Arc<Server>) -> Result<UserId, Status> {
        let (mut wire, logged_in) = self.confirm(server, None).await.map_err(|it| it.code)?;
        let user = logged_in.opened.user;
        let answer = complete(&mut wire, logged_in.session, user).await;
        match answer.status {
            Status::Done => Ok(user),
            status => Err(status),
        }
    }

    /// Registers up to `complete`.
    pub(crate) async fn confirm(
        &self,
        server: &Arc<Server>,
        invitation: Option<Secret<16>>,
    ) -> Result<(Wire, LoggedIn), ErrorBody> {
        let (mut wire, mut greeted) = Wire::greeted(server).await;
        let handle = greeted.handle().unwrap();
        let credentials = self.credentials();
        let started =
            RegisterSent::start(handle, credentials, EXPORTER, invitation, &mut SystemRng);
        let (sent, bytes) = started.unwrap();
        let sent = sent.keeping(Arc::clone(&self.kept));
        let answer = wire.exchange(&bytes).await;
        let profile = Profile::Standard;
        let received = sent.receive(&frame(&answer), &greeted, profile, &mut SystemRng);
        let (sent, bytes) = received.map_err(said)?;
        let answer = wire.exchange(&bytes).await;
        let received = sent.receive(&frame(&answer), &greeted, open(), &mut SystemRng);
        let (sent, bytes) = received.map_err(said)?;
        let answer = wire.exchange(&bytes).await;
        let logged_in = sent.receive(&frame(&answer)).map_err(said)?;
        Ok((wire, logged_in))
    }

    /// Logs in on a connection of its own.
    pub(crate) async fn log_in(&self, server: &Arc<Server>) -> Result<(Wire, LoggedIn), ErrorBody> {
        self.log_in_with(server, Extras::default(), open()).await
    }

    pub(crate) async fn log_in_with(
        &self,
        server: &Arc<Server>,
        extras: Extras,
        open: Open,
    ) -> Result<(Wire, LoggedIn), ErrorBody> {
        let (mut wire, mut greeted) = Wire::greeted(server).await;
        let handle = greeted.handle().unwrap();
        let logged_in = self
            .log_in_at(&mut wire, &greeted, handle, extras, open)
            .await?;
        Ok((wire, logged_in))
    }

    pub(crate) async fn log_in_at(
        &self,
        wire: &mut Wire,
        greeted: &Greeted,
        handle: Handle,
        extras: Extras,
        open: Open,
    ) -> Result<LoggedIn, ErrorBody> {
        let credentials = self.credentials();
        let started = LoginSent::start(handle, credentials, wire.binding, extras, &mut SystemRng);
        let (sent, bytes) = started.unwrap();
        let sent = sent.keeping(Arc::clone(&self.kept));
        let answer = wire.exchange(&bytes).await;
        let received = sent.receive(&frame(&answer), greeted, open, &mut SystemRng);
        let (sent, bytes) = received.map_err(said)?;
        let answer = wire.exchange(&bytes).await;
        sent.receive(&frame(&answer)).map_err(said)
    }

    /// Begins a login and leaves it there: a guess. Its code, 0 where it was evaluated.
    pub(crate) async fn guess(&self, server: &Arc<Server>) -> Status {
        let (mut wire, mut greeted) = Wire::greeted(server).await;
        let handle = greeted.handle().unwrap();
        let extras = Extras::default();
        let binding = wire.binding;
        let credentials = self.credentials();
        let started = LoginSent::start(handle, credentials, binding, extras, &mut SystemRng);
        let answer = wire.exchange(&started.unwrap().1).await;
        match frame(&answer).kind {
            FrameType::LoginResponse => Status::Done,
            _ => error(&answer).code,
        }
    }
}

/// `complete`, with a recovery code of sixteen fours.
pub(crate) async fn complete(wire: &mut Wire, mut session: ClientSession, user: UserId) -> Answer {
    let complete = Request::Complete(Complete {
        storage_key: [6; 72],
        user,
        recovery_hash: recovery_hash(&recovery_code()),
    });
    ask(wire, &mut session, &complete).await
}

pub(crate) fn recovery_code() -> Secret<16> {
    Secret::fill(|bytes| bytes.fill(4))
}

/// Asks, and takes the answer.
pub(crate) async fn ask(wire: &mut Wire, session: &mut ClientSession, request: &Request) -> Answer {
    let id = RequestId::draw(&mut SystemRng);
    let sent = session.ask(request, id).unwrap();
    let bytes = wire.exchange(&sent.frame).await;
    match session.receive(&frame(&bytes)) {
        Ok(Event::Answer { sub, answer, .. }) => {
            assert_eq!(sub, sent.sub);
            answer
        }
        Ok(Event::Notice(notice)) => panic!("{notice:?}"),
        Err(closed) => panic!("{closed:?}"),
    }
}

/// Goes on elsewhere.
pub(crate) async fn resume(
    server: &Arc<Server>,
    ticket: Ticket,
) -> Result<(Wire, ClientSession), (Status, Ticket)> {
    let (mut wire, mut greeted) = Wire::greeted(server).await;
    let handle = greeted.handle().unwrap();
    let known = Nullable(None);
    let binding = wire.binding;
    let Ok((sent, bytes)) = ticket.resume(&greeted, handle, binding, known, &mut SystemRng) else {
        panic!("another server");
    };
    let answer = wire.exchange(&bytes).await;
    match sent.receive(&frame(&answer)) {
        Ok((session, _)) => Ok((wire, session)),
        Err(failed) => Err((failed.error.status(), failed.ticket)),
    }
}

pub(crate) fn open() -> Open {
    Open {
        known: Nullable(None),
        device: Text("laptop".to_owned()),
        pass_wanted: false,
    }
}

/// What the server said; a password that the client finds wrong is `refused`.
pub(crate) fn said(error: SetUpError) -> ErrorBody {
    match error {
        SetUpError::Server(body) => body,
        other => other.status().into(),
    }
}

/// The frame in bytes for the stream.
pub(crate) fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame::decode(&bytes[4..]).unwrap()
}

/// The body of an error frame.
pub(crate) fn error(bytes: &[u8]) -> ErrorBody {
    let frame = frame(bytes);
    assert_eq!(frame.kind, FrameType::Error);
    ErrorBody::decode(frame.body).unwrap()
}
