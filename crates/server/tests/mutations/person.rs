//! Somebody with an account, by the client library: what it keeps and checks is what a
//! real client does. Only the sockets are pipes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use keystead_channel::session::requests::{Complete, Request, recovery_hash};
use keystead_channel::session::{
    AccountName, Extras, Frame, Password, Pin, Profile, Stretched, Text, UserId,
};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use keystead_keeper::server::seen::Seen;
use keystead_keeper::server::{
    Binds, LoggedIn, Login, Register, Remote, ServerError, Session, Watch,
};
use keystead_server::conversation::{Conversation, Done, Link, Step};
use keystead_server::server::Server;
use keystead_vault::client::{MasterKey, StorageKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

/// An account, as its owner knows it.
pub(crate) struct Person {
    name: AccountName,
    password: &'static str,
    pin: Pin,
    stretched: Arc<Stretched>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) user: UserId,
    pub(crate) storage: StorageKey,
}

impl Person {
    pub(crate) async fn register(server: &Arc<Server>, name: &str, password: &'static str) -> Self {
        let remote = connect(server, Pin::Nothing).await.unwrap();
        let (id, log_key) = (remote.server(), remote.hello().log_key);
        let (stretched, name) = (Arc::default(), AccountName::parse(name).unwrap());
        let watch = Arc::new(Watch::new(Seen::new(id, log_key)));
        let who = Register {
            account: name.clone(),
            password: Password::new(password).unwrap(),
            invitation: None,
            profile: Profile::Standard,
            keeping: Some(Arc::clone(&stretched)),
        };
        let registered = remote.register(who, Arc::clone(&watch)).await.unwrap();
        let user = registered.user;
        let storage = StorageKey::draw(&mut SystemRng);
        let master = MasterKey::derive(registered.export_key);
        let complete = Complete {
            storage_key: master.seal_storage_key(&user.0, &storage, &mut SystemRng),
            user,
            recovery_hash: recovery_hash(&Secret::fill(|code| *code = RECOVERY_CODE)),
        };
        let complete = Request::Complete(complete);
        registered.session.done(&complete).await.unwrap();
        Self {
            name,
            password,
            pin: Pin::Both(id, log_key),
            stretched,
            watch,
            user,
            storage,
        }
    }

    /// With a watch of its own, which goes on from what was seen.
    pub(crate) fn seen(&self) -> Arc<Watch> {
        Arc::new(Watch::new(self.watch.with(|seen| seen.clone())))
    }

    pub(crate) async fn connect(&self, server: &Arc<Server>) -> Result<Remote, ServerError> {
        connect(server, self.pin).await
    }

    pub(crate) async fn log_in(
        &self,
        server: &Arc<Server>,
        watch: &Arc<Watch>,
    ) -> Result<LoggedIn, ServerError> {
        self.log_in_by(server, watch, self.password).await
    }

    pub(crate) async fn log_in_by(
        &self,
        server: &Arc<Server>,
        watch: &Arc<Watch>,
        password: &str,
    ) -> Result<LoggedIn, ServerError> {
        let who = Login {
            account: self.name.clone(),
            password: Password::new(password).unwrap(),
            extras: Extras::default(),
            device: Text(MACHINE.to_owned()),
            wants_pass: true,
            keeping: Some(Arc::clone(&self.stretched)),
        };
        let remote = self.connect(server).await?;
        remote.login(who, Arc::clone(watch)).await
    }

    /// As somebody who knows the name alone, on a machine of their own.
    pub(crate) async fn guess(
        &self,
        server: &Arc<Server>,
        password: &str,
    ) -> Result<LoggedIn, ServerError> {
        let who = Login {
            account: self.name.clone(),
            password: Password::new(password).unwrap(),
            extras: Extras::default(),
            device: Text(MACHINE.to_owned()),
            wants_pass: false,
            keeping: None,
        };
        let remote = self.connect(server).await?;
        remote.login(who, self.seen()).await
    }

    /// Tries a name that is not theirs.
    pub(crate) async fn log_in_as(
        &self,
        server: &Arc<Server>,
        account: AccountName,
    ) -> Result<LoggedIn, ServerError> {
        let who = Login {
            account,
            password: Password::new("guessed").unwrap(),
            extras: Extras::default(),
            device: Text(MACHINE.to_owned()),
            wants_pass: false,
            keeping: None,
        };
        let remote = self.connect(server).await?;
        remote.login(who, self.seen()).await
    }

    /// The same session on another connection.
    pub(crate) async fn move_on(
        &self,
        server: &Arc<Server>,
        session: Session,
    ) -> Result<Session, ServerError> {
        let watch = Arc::clone(session.watch());
        let ticket = session.into_ticket().unwrap();
        let remote = self.connect(server).await?;
        match remote.resume(ticket, watch).await {
            Ok((session, _)) => Ok(session),
            Err(not) => Err(not.error),
        }
    }
}

async fn connect(server: &Arc<Server>, pin: Pin) -> Result<Remote, ServerError> {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(carry(Arc::clone(server), theirs));
    Remote::over(ours, EXPORTER, pin, Binds::Always).await
}

/// The server's side of a connection.
async fn carry(server: Arc<Server>, stream: DuplexStream) {
    let (mut input, mut output) = tokio::io::split(stream);
    let (sender, mut frames) = mpsc::channel::<Vec<u8>>(64);
    tokio::spawn(async move {
        while let Ok(len) = input.read_u32().await {
            let mut rest = vec![0; usize::try_from(len).unwrap()];
            if input.read_exact(&mut rest).await.is_err() || sender.send(rest).await.is_err() {
                return;
            }
        }
    });
    let link = Link {
        exporter: Some(EXPORTER),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let mut talk = Conversation::new(server, link);
    let mut works: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
    loop {
        let steps = tokio::select! {
            frame = frames.recv() => match frame {
                Some(rest) => talk.receive(&Frame::decode(&rest).unwrap(), NOW_MS),
                None => break,
            },
            Some(done) = works.next(), if !works.is_empty() => talk.done(done, NOW_MS),
        };
        for step in steps {
            match step {
                Step::Send(frame) => drop(output.write_all(&frame).await),
                Step::Work(work) => works.push(work),
                Step::Close => return,
            }
        }
    }
    let last = talk.end();
    drop(talk);
    for step in last {
        if let Step::Work(work) = step {
            works.push(work);
        }
    }
    while works.next().await.is_some() {}
}

pub(crate) const RECOVERY_CODE: [u8; 16] = *b"recovery canary!";

pub(crate) const MACHINE: &str = "machine canary";

const EXPORTER: [u8; 32] = [5; 32];

const NOW_MS: u64 = 1_000;

const PIPE_BYTES: usize = 1 << 18;
