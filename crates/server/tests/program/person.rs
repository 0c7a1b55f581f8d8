//! Somebody who registers, logs in and asks, by the client library.

use std::sync::Arc;
use std::time::Duration;

use keystead_channel::session::requests::{
    Answer, Bytes, Complete, DigestName, Generate, KeyPurpose, KeyType, Label, Request, Sign,
    SignFields, recovery_hash,
};
use keystead_channel::session::{
    AccountName, Extras, InvitationLink, KeyId, List, Octets, Password, Pin, Profile, Stretched,
    Text,
};
use keystead_core::Secret;
use keystead_keeper::server::seen::Seen;
use keystead_keeper::server::{Binds, Login, Register, Remote, ServerError, Session, Watch};

use crate::server::Server;

/// An account, as its owner knows it.
pub(crate) struct Person {
    name: AccountName,
    password: String,
    watch: Arc<Watch>,
    pin: Pin,
    stretched: Arc<Stretched>,
}

impl Person {
    /// By an invitation of the operator's.
    pub(crate) async fn register(server: &Server, name: &str) -> Self {
        Self::try_register(server, name).await.unwrap()
    }

    /// The same, at a server that may end meanwhile.
    pub(crate) async fn try_register(server: &Server, name: &str) -> Result<Self, ServerError> {
        let invited = server.folder.call(&["invite", name]);
        if !invited.status.success() {
            return Err(ServerError::Broken);
        }
        let link = String::from_utf8(invited.stdout).unwrap();
        Self::register_with(server, InvitationLink::parse(link.trim()).unwrap()).await
    }

    pub(crate) async fn register_with(
        server: &Server,
        link: InvitationLink,
    ) -> Result<Self, ServerError> {
        let remote = remote(server, Pin::Server(link.server)).await?;
        let (id, log_key) = (remote.server(), remote.hello().log_key);
        let person = Self {
            name: link.name,
            password: "correct horse".to_owned(),
            watch: Arc::new(Watch::new(Seen::new(id, log_key))),
            pin: Pin::Both(id, log_key),
            stretched: Arc::default(),
        };
        let who = Register {
            account: person.name.clone(),
            password: Password::new(&person.password).unwrap(),
            invitation: Some(link.token),
            profile: Profile::Standard,
            keeping: Some(person.stretched.clone()),
        };
        let registered = remote.register(who, person.watch.clone()).await?;
        let complete = Complete {
            storage_key: [6; 72],
            user: registered.user,
            recovery_hash: recovery_hash(&Secret::fill(|code| *code = [3; 16])),
        };
        registered
            .session
            .done(&Request::Complete(complete))
            .await?;
        Ok(person)
    }

    /// Waits as long as the server says.
    pub(crate) async fn log_in_patiently(&self, server: &Server) -> Result<Session, ServerError> {
        loop {
            match self.log_in(server).await {
                Err(ServerError::Wait { wait_s }) => {
                    tokio::time::sleep(Duration::from_secs(wait_s.into())).await;
                }
                other => return other,
            }
        }
    }

    pub(crate) async fn log_in(&self, server: &Server) -> Result<Session, ServerError> {
        let remote = remote(server, self.pin).await?;
        let who = Login {
            account: self.name.clone(),
            password: Password::new(&self.password).unwrap(),
            extras: Extras::default(),
            device: Text("test".to_owned()),
            wants_pass: false,
            keeping: Some(self.stretched.clone()),
        };
        Ok(remote.login(who, self.watch.clone()).await?.session)
    }
}

impl Person {
    /// Goes on with a log that went back, as a person may say.
    pub(crate) fn accept(&self) {
        self.watch.with(|seen| seen.accept());
    }
}

pub(crate) async fn remote(server: &Server, pin: Pin) -> Result<Remote, ServerError> {
    let stream = server.connect(&["keystead/1"]).await;
    let stream = stream.map_err(|_| ServerError::Broken)?;
    let (_, connection) = stream.get_ref();
    let exporter = connection
        .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
        .unwrap();
    Remote::over(stream, exporter, pin, Binds::Always).await
}

/// Makes an Ed25519 key that signs messages.
pub(crate) async fn make_key(session: &Session, number: u32) -> Result<KeyId, ServerError> {
    let mut nonce = [7; 32];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    let make = Request::Make(Generate {
        nonce,
        kind: KeyType::Ed25519,
        label: Label::Open(Text(format!("key {number}"))),
        replaces: None,
        size: None,
        purposes: List(vec![KeyPurpose::Message]),
        policy: None,
    });
    session.done(&make).await?;
    Ok(KeyId::of(&session.user(), &nonce))
}

/// Signs with it.
pub(crate) async fn sign(session: &Session, key: KeyId) -> Result<Answer, ServerError> {
    let bytes = Bytes {
        bytes: Octets(b"a message".to_vec()),
    };
    let fields = SignFields::Message(bytes, DigestName::None);
    session.done(&Request::Sign(Sign { key, fields })).await
}
