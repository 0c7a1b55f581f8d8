//! A client with an account of its own: real OPAQUE, and every answer checked as
//! `keeper::server` checks it. What Argon2id made of the password is kept, so that not it
//! is measured.

use std::sync::{Arc, OnceLock};

use keystead_channel::session::requests::{
    Complete, Context, Generate, Intent, KeyPurpose, KeyType, Label, Put, Request, Retrieve, Sign,
    SignFields, SshSig,
};
use keystead_channel::session::{
    AccountName, Extras, KeyId, List, Octets, Password, Profile, Stretched, Text, UserId,
};
use keystead_keeper::server::seen::Seen;
use keystead_keeper::server::{Login, Register, Remote, Session, Watch};
use keystead_tests::{About, Failure, Result};
use tokio::sync::{Barrier, Semaphore};

use crate::server::Server;
use crate::times::{seconds, since_ms};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Frames 10 to 22, and `complete`; timed from frame 12 on.
    Register,
    Login,
    Retrieve,
    Sign,
    /// On the connection that the session has already.
    Resume,
}

impl Operation {
    /// Those that an account can do again and again.
    pub(crate) const ALL: [Self; 4] = [Self::Retrieve, Self::Sign, Self::Resume, Self::Login];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Register => "registration",
            Self::Login => "login",
            Self::Retrieve => "retrieval",
            Self::Sign => "signature",
            Self::Resume => "resumption",
        }
    }
}

/// Where new accounts wait until all have stretched their passwords, which takes the
/// generator a hundred times as long as the server's part; then so many go on at once.
pub(crate) struct Gate {
    all: Barrier,
    places: Semaphore,
}

impl Gate {
    pub(crate) fn new(all: usize, at_once: usize) -> Self {
        Self {
            all: Barrier::new(all),
            places: Semaphore::new(at_once),
        }
    }
}

/// What outlives a connection.
pub(crate) struct Account {
    name: AccountName,
    kept: Arc<Stretched>,
    watch: Arc<Watch>,
    keys: OnceLock<Keys>,
}

struct Keys {
    signing: KeyId,
    secret: KeyId,
}

/// A connection, with the account's session once it is open.
pub(crate) struct Client {
    remote: Remote,
    account: Arc<Account>,
    session: Option<Session>,
}

impl Client {
    /// A connection for an account that nobody has yet.
    pub(crate) async fn new(server: &Server, name: &str) -> Result<Self> {
        let remote = connect(server).await?;
        let seen = Seen::new(remote.server(), remote.hello().log_key);
        let account = Account {
            name: AccountName::parse(name).about("a name")?,
            kept: Arc::default(),
            watch: Arc::new(Watch::new(seen)),
            keys: OnceLock::new(),
        };
        Ok(Self {
            remote,
            account: Arc::new(account),
            session: None,
        })
    }

    /// A connection and a login.
    pub(crate) async fn log_in(server: &Server, account: Arc<Account>) -> Result<Self> {
        let mut client = Self {
            remote: connect(server).await?,
            account,
            session: None,
        };
        client.once(Operation::Login).await?;
        Ok(client)
    }

    /// Does it once.
    pub(crate) async fn once(&mut self, operation: Operation) -> Result<()> {
        match operation {
            Operation::Register => self.register(&Gate::new(1, 1)).await.map(drop),
            Operation::Login => self.login().await,
            Operation::Retrieve => self.ask(&self.retrieve()?).await,
            Operation::Sign => self.ask(&self.sign()?).await,
            Operation::Resume => self.resume().await,
        }
    }

    /// A key to sign with, a secret to retrieve.
    pub(crate) async fn prepare(&mut self) -> Result<()> {
        self.login().await?;
        let user = self.session()?.user();
        self.ask(&make()).await?;
        self.ask(&put()).await?;
        let keys = Keys {
            signing: KeyId::of(&user, &SIGNING),
            secret: KeyId::of(&user, &SECRET),
        };
        let _ = self.account.keys.set(keys);
        Ok(())
    }

    /// How long the log was at the last login.
    pub(crate) fn log_size(&self) -> i64 {
        let watch = &self.account.watch;
        let size = watch.with(|seen| seen.head().map(|head| head.checkpoint.size));
        size.and_then(|it| i64::try_from(it).ok())
            .unwrap_or(i64::MAX)
    }

    /// Stretches, waits for the others at the gate, and then stores its record, confirms it
    /// and completes: milliseconds from there.
    pub(crate) async fn register(&mut self, gate: &Gate) -> Result<f64> {
        let register = Register {
            account: self.account.name.clone(),
            password: password()?,
            invitation: None,
            profile: Profile::Standard,
            keeping: Some(self.account.kept.clone()),
        };
        let begun = self.remote.begin_registration(register).await;
        let begun = begun.about("a registration");
        gate.all.wait().await;
        let begun = begun?;
        let _place = gate.places.acquire().await.about("a place")?;
        let from = seconds();
        let registered = begun.finish(self.account.watch.clone()).await;
        let registered = registered.about("a registration")?;
        let done = registered.session.done(&complete(registered.user)).await;
        done.about("complete")?;
        Ok(since_ms(from))
    }

    async fn login(&mut self) -> Result<()> {
        let login = Login {
            account: self.account.name.clone(),
            password: password()?,
            extras: Extras::default(),
            device: Text("load".to_owned()),
            wants_pass: false,
            keeping: Some(self.account.kept.clone()),
        };
        let logged_in = self.remote.login(login, self.account.watch.clone()).await;
        self.session = Some(logged_in.about("a login")?.session);
        Ok(())
    }

    async fn resume(&mut self) -> Result<()> {
        let ticket = self.session.take().and_then(Session::into_ticket);
        let ticket = ticket.ok_or_else(no_session)?;
        let resumed = self.remote.resume(ticket, self.account.watch.clone()).await;
        let resumed = resumed.map_err(|not| Failure::new(format!("resuming: {}", not.error)))?;
        self.session = Some(resumed.0);
        Ok(())
    }

    async fn ask(&self, request: &Request) -> Result<()> {
        let done = self.session()?.done(request).await;
        done.about("a request").map(drop)
    }

    fn session(&self) -> Result<&Session> {
        self.session.as_ref().ok_or_else(no_session)
    }

    fn keys(&self) -> Result<&Keys> {
        self.account.keys.get().ok_or_else(no_session)
    }

    fn retrieve(&self) -> Result<Request> {
        Ok(Request::Retrieve(Retrieve {
            key: self.keys()?.secret,
            intent: Intent::LocalOnly,
            kind: KeyType::Arbitrary,
        }))
    }

    fn sign(&self) -> Result<Request> {
        Ok(Request::Sign(Sign {
            key: self.keys()?.signing,
            fields: SignFields::SshSig(SshSig {
                namespace: Text("git".to_owned()),
                hash_name: Text("sha512".to_owned()),
                hash: Octets(vec![9; 64]),
            }),
        }))
    }
}

/// All of them log in, and get what they need.
pub(crate) async fn prepare(clients: &mut [Client]) -> Result<()> {
    for client in clients {
        client.prepare().await?;
    }
    Ok(())
}

/// The connections end.
pub(crate) fn leave(clients: Vec<Client>) -> Vec<Arc<Account>> {
    clients.into_iter().map(|client| client.account).collect()
}

/// Every account logs in on a new connection.
pub(crate) async fn come_back(server: &Server, accounts: &[Arc<Account>]) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for account in accounts {
        clients.push(Client::log_in(server, account.clone()).await?);
    }
    Ok(clients)
}

async fn connect(server: &Server) -> Result<Remote> {
    let remote = Remote::connect(server.endpoint()?).await;
    remote.about("a connection")
}

fn password() -> Result<Password> {
    Password::new("correct horse, a long one").about("a password")
}

fn no_session() -> Failure {
    Failure::new("there is no session")
}

fn complete(user: UserId) -> Request {
    Request::Complete(Complete {
        storage_key: [7; 72],
        user,
        recovery_hash: [8; 32],
    })
}

fn make() -> Request {
    Request::Make(Generate {
        nonce: SIGNING,
        kind: KeyType::Ed25519,
        label: Label::Open(Text("key".to_owned())),
        replaces: None,
        size: None,
        purposes: List(vec![KeyPurpose::SshSig]),
        policy: None,
    })
}

fn put() -> Request {
    Request::Put(Put {
        nonce: SECRET,
        context: Context::Stored,
        kind: KeyType::Arbitrary,
        // As long as 32 bytes are when they are sealed.
        value: Octets(vec![6; 77]),
        label: Octets(vec![5; 60]),
        replaces: None,
    })
}

const SIGNING: [u8; 32] = [1; 32];
const SECRET: [u8; 32] = [2; 32];
