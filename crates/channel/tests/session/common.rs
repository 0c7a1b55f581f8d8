//! A server's and a client's side of one connection.

use keystead_channel::session::requests::{Known, Open, OpenedResult};
use keystead_channel::session::{
    Account, AccountName, AwaitFinish, AwaitUpload, Binding, BindingKind, Credentials, Extras,
    Frame, Greeted, Greeting, Handle, Hellos, Introduction, Limits, LoggedIn, LoginSent,
    LoginStart, Nullable, Opening, Password, Pin, Place, Profile, RECORD_BYTES, RegisterSent,
    RegisterStart, Registration, ServerId, ServerKeys, ServerSession, SessionRow, SetUpError, Text,
    UserId,
};
use keystead_core::Secret;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub(crate) const EXPORTER: [u8; 32] = [9; 32];
pub(crate) const NOW: u64 = 1_000_000;
pub(crate) const USER: UserId = UserId([0x21; 32]);

/// A server with one account at the most.
pub(crate) struct Server {
    pub(crate) keys: ServerKeys,
    pub(crate) introduction: Introduction,
    pub(crate) record: Option<([u8; RECORD_BYTES], [u8; 32], Profile)>,
}

/// Both ends of a connection after hello.
pub(crate) struct Connection {
    pub(crate) greeted: Greeted,
    hellos: Hellos,
    server: ServerId,
}

impl Server {
    pub(crate) fn new(rng: &mut ChaCha20Rng) -> Self {
        let keys = ServerKeys::generate(rng);
        let introduction = Introduction {
            opaque_key: keys.public(),
            log_key: [3; 32],
            lowest_binding: BindingKind::Exporter,
            registration: Registration::Invitation,
            limits: Limits::DEFAULT,
        };
        Self {
            keys,
            introduction,
            record: None,
        }
    }

    pub(crate) fn connect(&self, rng: &mut ChaCha20Rng) -> Connection {
        let (greeting, sent) = Greeting::start(rng);
        let (hellos, answer) = self.introduction.answer(&frame(&sent), rng).unwrap();
        let greeted = greeting.receive(&frame(&answer), Pin::Nothing).unwrap();
        let server = ServerId::of(&self.keys.public());
        assert_eq!(greeted.server_id, server);
        Connection {
            greeted,
            hellos,
            server,
        }
    }

    /// A whole registration; the record stays. Two Argon2id evaluations.
    pub(crate) fn register(&mut self, rng: &mut ChaCha20Rng) -> (LoggedIn, ServerSession) {
        let mut connection = self.connect(rng);
        let handle = connection.greeted.handle().unwrap();
        let place = connection.place(handle);
        let invitation = Some(Secret::fill(|bytes| bytes.fill(4)));
        let started = RegisterSent::start(handle, credentials("secret"), EXPORTER, invitation, rng);
        let (client, sent) = started.unwrap();
        let start = RegisterStart::decode(frame(&sent).body).unwrap();
        assert_eq!(start.invitation.as_ref().unwrap().expose(), &[4; 16]);
        let (server, sent) = AwaitUpload::start(&self.keys, place, &start, NOW, rng).unwrap();
        let profile = Profile::Standard;
        let received = client.receive(&frame(&sent), &connection.greeted, profile, rng);
        let (client, sent) = received.unwrap();
        let uploaded = server.receive(&frame(&sent), NOW).unwrap();
        assert_eq!(uploaded.name.as_str(), "alex");
        self.record = Some((uploaded.record, uploaded.seed, uploaded.profile));
        let (server, sent) = uploaded.answer(&self.keys, NOW, rng).unwrap();
        let received = client.receive(&frame(&sent), &connection.greeted, open(), rng);
        let (client, sent) = received.unwrap();
        let opening = server.receive(&frame(&sent), NOW).unwrap();
        let (server, _, sent) = opening.opened(&opened(), NOW).unwrap();
        (client.receive(&frame(&sent)).unwrap(), server)
    }

    /// KE1 to `open`. One Argon2id evaluation, with a known name or not.
    pub(crate) fn log_in(
        &self,
        password: &str,
        rng: &mut ChaCha20Rng,
    ) -> Result<(keystead_channel::session::OpenSent, Opening), SetUpError> {
        let mut connection = self.connect(rng);
        let handle = connection.greeted.handle().unwrap();
        let (client, sent) = LoginSent::start(
            handle,
            credentials(password),
            Binding::Exporter(EXPORTER),
            Extras::default(),
            rng,
        )?;
        let start = LoginStart::decode(frame(&sent).body)?;
        let account = self.account(&start.name);
        let place = connection.place(handle);
        let (server, sent) = AwaitFinish::start(&self.keys, place, &start, &account, NOW, rng)?;
        let (client, sent) = client.receive(&frame(&sent), &connection.greeted, open(), rng)?;
        Ok((client, server.receive(&frame(&sent), NOW)?))
    }

    pub(crate) fn session(&self, rng: &mut ChaCha20Rng) -> (LoggedIn, ServerSession, SessionRow) {
        let (client, opening) = self.log_in("secret", rng).unwrap();
        let (server, row, sent) = opening.opened(&opened(), NOW).unwrap();
        (client.receive(&frame(&sent)).unwrap(), server, row)
    }

    pub(crate) fn account(&self, name: &AccountName) -> Account<'_> {
        match &self.record {
            Some((record, seed, profile)) => Account::Known {
                record,
                seed,
                profile: *profile,
            },
            None => Account::Unknown {
                seed: name.decoy_seed(&Secret::fill(|bytes| bytes.fill(5))),
                profile: Profile::Standard,
            },
        }
    }
}

impl Connection {
    pub(crate) fn place(&self, handle: Handle) -> Place {
        Place {
            server: self.server,
            hellos: self.hellos,
            handle,
            exporter: Some(EXPORTER),
            lowest_binding: BindingKind::Exporter,
        }
    }
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The frame in bytes for the stream.
pub(crate) fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame::decode(&bytes[4..]).unwrap()
}

pub(crate) fn credentials(password: &str) -> Credentials {
    Credentials {
        name: AccountName::parse("alex").unwrap(),
        password: Password::new(password).unwrap(),
    }
}

pub(crate) fn open() -> Open {
    Open {
        known: unknown(),
        device: Text("laptop".to_owned()),
        pass_wanted: false,
    }
}

pub(crate) fn unknown() -> Known {
    Nullable(None)
}

pub(crate) fn opened() -> OpenedResult {
    OpenedResult {
        user: USER,
        checkpoint: None,
        consistency: None,
        chain_head: None,
        limits: Limits::DEFAULT,
        pass: None,
        failed_logins: None,
    }
}
