//! The first frame of each side, and the numbers that both then know.
//!
//! **Invariant**: everything derived on a connection is bound to the bytes of both
//! hellos by [`Hellos`], so neither version, suite nor nonce can be changed unseen.

use aws_lc_rs::digest::{SHA256, digest};
use rand_core::CryptoRngCore;

use super::fields::{List, message, numbers};
use super::frame::{Frame, FrameType, Handle};
use super::ids::ServerId;
use super::status::{SetUpError, Status};
use super::{SUITE, VERSION};

message! {
    /// What the client says first.
    #[derive(Clone, Debug, PartialEq, Eq)]
    ClientHello {
        /// 1.
        0 version: u64,
        /// Suites that it knows, the best first.
        1 suites: List<u64, SUITES_MAX>,
        /// Drawn for this connection.
        2 nonce: [u8; 16],
    }
}

message! {
    /// What the server answers.
    #[derive(Clone, Debug, PartialEq, Eq)]
    ServerHello {
        /// 1.
        0 version: u64,
        /// The one that it chose.
        1 suite: u64,
        /// Drawn for this connection.
        2 nonce: [u8; 16],
        /// The server's OPAQUE public key; its id is made of it.
        3 opaque_key: [u8; 32],
        /// The Ed25519 key that signs checkpoints.
        4 log_key: [u8; 32],
        /// The lowest binding that it takes.
        5 lowest_binding: BindingKind,
        /// Who may register.
        6 registration: Registration,
        /// What it keeps to.
        7 limits: Limits,
    }
}

numbers! {
    /// Whether a session is bound to its TLS connection.
    BindingKind {
        /// Not: a browser, or TLS that ends at a proxy.
        Unbound = 0,
        /// By `EXPORTER-Channel-Binding` (RFC 9266).
        Exporter = 1,
    }
}

numbers! {
    /// Who may register.
    Registration {
        /// Nobody.
        Closed = 0,
        /// Who has an invitation.
        Invitation = 1,
        /// Everyone.
        Open = 2,
    }
}

message! {
    /// What the server keeps to; 0 requests means no limit.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Limits {
        /// Requests a login.
        0 requests_max: u32,
        /// Without a frame for so long, the traffic keys are dropped.
        1 idle_s: u32,
        /// Resumable for so long after the last frame.
        2 resumable_s: u32,
        /// And at most for so long after login.
        3 life_s: u32,
        /// Sessions a user.
        4 sessions_max: u32,
        /// Bytes of a value, before it is sealed.
        5 value_bytes_max: u32,
        /// Bytes of a label, before it is sealed.
        6 label_bytes_max: u32,
        /// Secrets a user.
        7 secrets_max: u32,
    }
}

impl Limits {
    /// What a server keeps to that was not told otherwise (`spec/session.md` section 5.3).
    pub const DEFAULT: Self = Self {
        requests_max: 10_000,
        idle_s: 15 * 60,
        resumable_s: 60 * 60,
        life_s: 12 * 60 * 60,
        sessions_max: 16,
        value_bytes_max: 64 * 1_024,
        label_bytes_max: 256,
        secrets_max: 100_000,
    };
}

/// A client that has said hello.
///
/// Handles may be taken and logins started before the answer: both fit one flight.
pub struct Greeting {
    sent: Vec<u8>,
    next: u32,
}

impl Greeting {
    /// The state, and the frame to send first.
    pub fn start(rng: &mut dyn CryptoRngCore) -> (Self, Vec<u8>) {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let suites = List(vec![u64::from(SUITE)]);
        let hello = ClientHello {
            version: VERSION,
            suites,
            nonce,
        };
        let sent = hello.encode();
        let frame = frame(&sent);
        (Self { sent, next: 0 }, frame)
    }

    /// A handle that this connection has not had; none is left after 2³² − 1.
    pub fn handle(&mut self) -> Option<Handle> {
        self.next = self.next.checked_add(1)?;
        Some(Handle(self.next))
    }

    /// Takes the server's hello, and checks it against what was pinned.
    ///
    /// # Errors
    /// No hello, another version or suite, or another server than the one that is pinned.
    pub fn receive(self, frame: &Frame<'_>, pinned: Pin) -> Result<Greeted, SetUpError> {
        super::expect(frame, FrameType::Hello, Handle::CONNECTION)?;
        let hello = ServerHello::decode(frame.body)?;
        if hello.version != VERSION {
            return Err(SetUpError::Version(hello.version));
        }
        if hello.suite != u64::from(SUITE) {
            return Err(SetUpError::Suite(hello.suite));
        }
        let server_id = ServerId::of(&hello.opaque_key);
        let is_same = match pinned {
            Pin::Nothing => true,
            Pin::Server(id) => id == server_id,
            Pin::Both(id, log_key) => id == server_id && log_key == hello.log_key,
        };
        if !is_same {
            return Err(SetUpError::ServerChanged {
                found: server_id,
                log_key: hello.log_key,
            });
        }
        Ok(Greeted {
            hellos: Hellos::of(&self.sent, frame.body),
            server_id,
            hello,
            next: self.next,
        })
    }
}

/// What the client knew of the server before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Nothing: registration by address alone.
    Nothing,
    /// The id, from an invitation link.
    Server(ServerId),
    /// Id and log key, from registration.
    Both(ServerId, [u8; 32]),
}

/// A client that knows whom it talks to.
pub struct Greeted {
    /// What both said.
    pub hellos: Hellos,
    /// Made of the server's OPAQUE key.
    pub server_id: ServerId,
    /// What the server said.
    pub hello: ServerHello,
    pub(super) next: u32,
}

impl Greeted {
    /// As [`Greeting::handle`].
    pub fn handle(&mut self) -> Option<Handle> {
        self.next = self.next.checked_add(1)?;
        Some(Handle(self.next))
    }
}

/// What a server says of itself on every connection.
#[derive(Clone, Copy, Debug)]
pub struct Introduction {
    /// Its OPAQUE public key.
    pub opaque_key: [u8; 32],
    /// The key of its log.
    pub log_key: [u8; 32],
    /// The lowest binding that it takes.
    pub lowest_binding: BindingKind,
    /// Who may register.
    pub registration: Registration,
    /// What it keeps to.
    pub limits: Limits,
}

impl Introduction {
    /// Answers the client's hello.
    ///
    /// # Errors
    /// The code for the error frame that ends the connection.
    pub fn answer(
        &self,
        frame: &Frame<'_>,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Hellos, Vec<u8>), Status> {
        super::turn(frame, FrameType::Hello, Handle::CONNECTION).map_err(|_| Status::Malformed)?;
        let theirs = ClientHello::decode(frame.body).map_err(|_| Status::Malformed)?;
        let knows_suite = theirs.suites.0.contains(&u64::from(SUITE));
        if theirs.version != VERSION || !knows_suite {
            return Err(Status::Version);
        }
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let ours = ServerHello {
            version: VERSION,
            suite: u64::from(SUITE),
            nonce,
            opaque_key: self.opaque_key,
            log_key: self.log_key,
            lowest_binding: self.lowest_binding,
            registration: self.registration,
            limits: self.limits,
        };
        let body = ours.encode();
        Ok((Hellos::of(frame.body, &body), self::frame(&body)))
    }
}

/// The hashes of both hellos' bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hellos {
    pub(super) client: [u8; 32],
    pub(super) server: [u8; 32],
}

impl Hellos {
    /// Of the bodies as they were sent.
    #[must_use]
    pub fn of(client: &[u8], server: &[u8]) -> Self {
        let hash = |body| {
            let hash = digest(&SHA256, body);
            hash.as_ref().first_chunk().copied().unwrap_or_default()
        };
        Self {
            client: hash(client),
            server: hash(server),
        }
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    let frame = Frame {
        kind: FrameType::Hello,
        handle: Handle::CONNECTION,
        body,
    };
    frame.encode()
}

/// 16 suites that a client may know; there is one.
const SUITES_MAX: usize = 16;
