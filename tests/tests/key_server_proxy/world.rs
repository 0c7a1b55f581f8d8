//! The real server, an account there, and ways to it.

use std::sync::Arc;
use std::time::Duration;

use keystead_channel::session::requests::{
    Answer, Complete, Entries, Generate, KeyPurpose, KeyType, Label, List, NewKey, Request,
};
use keystead_channel::session::{
    Extras, InvitationLink, List as Items, Password, Pin, Profile, Status, Text,
};
use keystead_keeper::server::seen::Seen;
use keystead_keeper::server::{
    Authorities, Binds, Endpoint, LoggedIn, Login, Register, Remote, ServerError, Session, Trust,
    Watch,
};
use keystead_tests::Play;

use crate::proxy::Proxy;

pub(crate) struct World {
    // The server ends with it.
    _play: Play,
    link: InvitationLink,
    address: String,
    pub(crate) pin: Pin,
}

/// Which database the server has.
pub(crate) enum On {
    Sqlite,
    /// `postgres://…`
    Postgres(String),
}

/// Whether an account is registered at once, directly.
pub(crate) enum Account {
    Registered,
    Invited,
}

impl World {
    pub(crate) async fn new(on: On, binding: &str, account: Account) -> Self {
        // The server ends with the thread that starts it: the test's own.
        let (play, link, address) = start(&on, binding);
        let pin = Pin::Server(link.server);
        let mut world = Self {
            _play: play,
            link,
            address,
            pin,
        };
        let Account::Registered = account else {
            return world;
        };
        let remote = Remote::connect(&world.direct(Binds::Always)).await.unwrap();
        world.pin = remote.pin();
        let registered = world.register(&remote).await.unwrap();
        let complete = Request::Complete(Complete {
            storage_key: [7; 72],
            user: registered.0,
            recovery_hash: [8; 32],
        });
        registered.1.done(&complete).await.unwrap();
        world
    }

    pub(crate) async fn register(
        &self,
        remote: &Remote,
    ) -> Result<(keystead_channel::session::UserId, Session), ServerError> {
        let invitation = &self.link.token;
        let token = keystead_core::Secret::fill(|place| *place = *invitation.expose());
        let register = Register {
            account: self.link.name.clone(),
            password: password(),
            invitation: Some(token),
            profile: Profile::Standard,
            keeping: None,
        };
        let registered = remote.register(register, self.watch(remote)).await?;
        Ok((registered.user, registered.session))
    }

    pub(crate) fn watch(&self, remote: &Remote) -> Arc<Watch> {
        let seen = Seen::new(remote.server(), remote.hello().log_key);
        Arc::new(Watch::new(seen))
    }

    /// The way without a proxy.
    pub(crate) fn direct(&self, binds: Binds) -> Endpoint {
        let authority = self.link.authority.as_ref().unwrap();
        let trust = Trust::Pinned(authority.0);
        Endpoint::new(&self.address, &trust, self.pin, binds).unwrap()
    }

    /// A proxy before the server, and the way through it.
    pub(crate) async fn proxy(&self, binds: Binds) -> (Proxy, Endpoint) {
        let authority = self.link.authority.as_ref().unwrap();
        let proxy = Proxy::start(&self.address, authority.0).await;
        let these = Authorities::these(vec![proxy.authority.clone()]);
        let trust = Trust::These(these);
        let endpoint = Endpoint::new(&proxy.address, &trust, self.pin, binds).unwrap();
        (proxy, endpoint.waiting(ANSWER_WAIT))
    }

    pub(crate) async fn login(&self, to: &Endpoint) -> Result<LoggedIn, ServerError> {
        let remote = Remote::connect(to).await?;
        let watch = self.watch(&remote);
        let login = Login {
            account: self.link.name.clone(),
            password: password(),
            extras: Extras::default(),
            device: Text("here".to_owned()),
            wants_pass: false,
            keeping: None,
        };
        remote.login(login, watch).await
    }
}

fn start(on: &On, binding: &str) -> (Play, InvitationLink, String) {
    let mut play = Play::new().unwrap();
    let mut settings = vec![format!("binding = \"{binding}\"")];
    if let On::Postgres(address) = on {
        settings.push(format!("database = \"{address}\""));
    }
    let settings = settings.iter();
    let settings = settings.map(|it| format!("sed -i '1i {it}' $PLACE/srv/config.toml\n"));
    let settings: String = settings.collect();
    let up = format!(
        "keystead-server init --dir $PLACE/srv --host 127.0.0.1\n\
         {settings}\
         keystead-server run --dir $PLACE/srv --listen 127.0.0.1:0 &server\n\
         wait-for server stdout '^ready (https://\\S+)' SERVER\n\
         keystead-server invite alex --dir $PLACE/srv\n\
         keep LINK stdout '(\\S+)'"
    );
    play.lines("up", &up).unwrap();
    let link = InvitationLink::parse(play.variable("LINK").unwrap()).unwrap();
    let address = play.variable("SERVER").unwrap().to_owned();
    (play, link, address)
}

fn password() -> Password {
    Password::new("correct horse, a long one").unwrap()
}

/// 2 s for an answer that a closed session never gives; Argon2id has no part in it.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Makes a key of this name.
pub(crate) fn make(name: &str, nonce: u8) -> Request {
    Request::Make(Generate {
        nonce: [nonce; 32],
        kind: KeyType::Ed25519,
        label: Label::Open(Text(name.to_owned())),
        replaces: None,
        size: None,
        purposes: Items(vec![KeyPurpose::SshSig]),
        policy: None,
    })
}

pub(crate) fn made(answer: &Answer) -> NewKey {
    assert_eq!(answer.status, Status::Done);
    NewKey::decode(answer.result.as_ref().unwrap().expose()).unwrap()
}

/// The labels of all keys.
pub(crate) async fn labels(session: &Session) -> Vec<String> {
    let list = Request::List(List {
        after: None,
        limit: 100,
    });
    let answer = session.done(&list).await.unwrap();
    let entries = Entries::decode(answer.result.unwrap().expose()).unwrap();
    let labels = entries
        .entries
        .0
        .into_iter()
        .map(|entry| match entry.label {
            Label::Open(text) => text.0,
            Label::Sealed(_) => panic!("nobody sealed it"),
        });
    let mut labels: Vec<String> = labels.collect();
    labels.sort();
    labels
}
