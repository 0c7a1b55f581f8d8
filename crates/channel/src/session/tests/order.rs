//! Every type of frame in every state: one goes on, all others end it.

use keystead_core::Secret;

use super::Script;
use crate::session::binding::{Binding, SessionKind};
use crate::session::client::{Credentials, Extras, LoginSent, OpenSent, RegisterSent};
use crate::session::client_session::ClientSession;
use crate::session::frame::{Frame, FrameType, Handle};
use crate::session::hello::{
    BindingKind, Greeted, Greeting, Hellos, Introduction, Limits, Pin, Registration,
};
use crate::session::ids::{ServerId, SessionId};
use crate::session::keys::SessionKeys;
use crate::session::name::{AccountName, Password};
use crate::session::opaque::{Profile, ServerKeys};
use crate::session::requests::Open;
use crate::session::resume::Ticket;
use crate::session::sealed::Epoch;
use crate::session::server::{Account, AwaitFinish, AwaitUpload, Place};
use crate::session::server_session::ServerSession;
use crate::session::set_up::{LoginStart, RegisterStart};
use crate::session::status::{ErrorBody, SetUpError, Status};
use crate::session::{Nullable, Text};

const HANDLE: Handle = Handle(1);
const BOUND: Binding = Binding::Exporter([2; 32]);

fn rng() -> Script {
    Script((0..=255).cycle().take(4_096).collect())
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was the one that comes next; its content may still be wrong.
    Next,
    /// It was out of turn: the state is gone.
    Ended,
    /// The other side says so: the state is gone.
    Told,
}

fn fate<T>(result: Result<T, SetUpError>) -> Fate {
    match result {
        Err(SetUpError::Server(_)) => Fate::Told,
        Err(SetUpError::OutOfTurn) => Fate::Ended,
        _ => Fate::Next,
    }
}

/// Gives every type to `state`, with its own handle and with another one.
fn check(
    state: &str,
    next: FrameType,
    of: Handle,
    told: Fate,
    mut give: impl FnMut(&Frame<'_>) -> Fate,
) {
    let error = ErrorBody {
        code: Status::Refused,
        wait_s: None,
    };
    let error = error.encode();
    for kind in FrameType::ALL.iter().copied() {
        for handle in [of, Handle(of.0 + 1)] {
            // No body fits a type that has one; only an error's is read before that.
            let body = if kind == FrameType::Error {
                error.as_slice()
            } else {
                &[0xff; 70]
            };
            let frame = Frame { kind, handle, body };
            let expected = match (kind, handle == of) {
                (kind, true) if kind == next => Fate::Next,
                (FrameType::Error, true) => told,
                _ => Fate::Ended,
            };
            assert_eq!(give(&frame), expected, "{state}: {kind:?} of {handle:?}");
        }
    }
}

fn introduction(keys: &ServerKeys) -> Introduction {
    Introduction {
        opaque_key: keys.public(),
        log_key: [3; 32],
        lowest_binding: BindingKind::Unbound,
        registration: Registration::Open,
        limits: Limits::DEFAULT,
    }
}

fn greeted(keys: &ServerKeys) -> Greeted {
    let (greeting, sent) = Greeting::start(&mut rng());
    let sent = Frame::decode(&sent[4..]).unwrap();
    let (_, answer) = introduction(keys).answer(&sent, &mut rng()).unwrap();
    let answer = Frame::decode(&answer[4..]).unwrap();
    greeting.receive(&answer, Pin::Nothing).unwrap()
}

fn credentials() -> Credentials {
    Credentials {
        name: AccountName::parse("alex").unwrap(),
        password: Password::new("secret").unwrap(),
    }
}

fn open() -> Open {
    Open {
        known: Nullable(None),
        device: Text("laptop".to_owned()),
        pass_wanted: false,
    }
}

fn session_keys() -> (SessionId, SessionKeys) {
    SessionKeys::of_login(Secret::fill(|bytes| bytes.fill(1)))
}

fn client_session() -> ClientSession {
    let (session, keys) = session_keys();
    let epoch = Epoch {
        session,
        generation: 0,
    };
    let server = ServerId([4; 16]);
    ClientSession::new(HANDLE, SessionKind::Request, server, epoch, keys, 0)
}

#[test]
fn hellos_come_first_and_once() {
    let keys = ServerKeys::generate(&mut rng());
    let on = Handle::CONNECTION;
    check(
        "client, greeting",
        FrameType::Hello,
        on,
        Fate::Told,
        |frame| fate(Greeting::start(&mut rng()).0.receive(frame, Pin::Nothing)),
    );
    let introduction = introduction(&keys);
    let (_, sent) = Greeting::start(&mut rng());
    for kind in FrameType::ALL.iter().copied() {
        let frame = Frame {
            kind,
            ..Frame::decode(&sent[4..]).unwrap()
        };
        let is_answered = introduction.answer(&frame, &mut rng()).is_ok();
        assert_eq!(is_answered, kind == FrameType::Hello, "{kind:?}");
    }
}

#[test]
fn a_client_takes_its_next_frame_alone() {
    let keys = ServerKeys::generate(&mut rng());
    let greeted = greeted(&keys);
    check(
        "client, 10",
        FrameType::RegisterResponse,
        HANDLE,
        Fate::Told,
        |frame| {
            // 64 bytes that are no point end it before any stretching.
            let body = frame.body.get(..64).unwrap_or(frame.body);
            let frame = Frame { body, ..*frame };
            let started = RegisterSent::start(HANDLE, credentials(), [2; 32], None, &mut rng());
            let (state, _) = started.unwrap();
            fate(state.receive(&frame, &greeted, Profile::Standard, &mut rng()))
        },
    );
    check(
        "client, 20",
        FrameType::LoginResponse,
        HANDLE,
        Fate::Told,
        |frame| {
            let mut body = vec![1];
            body.resize(321, 0xff);
            let body = if frame.kind == FrameType::Error {
                frame.body
            } else {
                &body
            };
            let frame = Frame { body, ..*frame };
            let extras = Extras::default();
            let started = LoginSent::start(HANDLE, credentials(), BOUND, extras, &mut rng());
            let (state, _) = started.unwrap();
            fate(state.receive(&frame, &greeted, open(), &mut rng()))
        },
    );
    check(
        "client, 22",
        FrameType::Sealed,
        HANDLE,
        Fate::Told,
        |frame| {
            let state = OpenSent {
                session: client_session(),
                export_key: Secret::fill(|_| ()),
            };
            fate(state.receive(frame))
        },
    );
    check(
        "client, 30",
        FrameType::Resumed,
        HANDLE,
        Fate::Told,
        |frame| {
            let ticket = Ticket {
                session: SessionId([5; 16]),
                generation: 0,
                server: greeted.server_id,
                secret: Secret::fill(|_| ()),
            };
            let known = Nullable(None);
            let Ok((state, _)) = ticket.resume(&greeted, HANDLE, BOUND, known, &mut rng()) else {
                panic!("the server is the same");
            };
            fate(state.receive(frame).map_err(|failed| failed.error))
        },
    );
}

#[test]
fn a_server_takes_its_next_frame_alone() {
    let keys = ServerKeys::generate(&mut rng());
    let place = Place {
        server: ServerId::of(&keys.public()),
        hellos: Hellos::of(b"", b""),
        handle: HANDLE,
        exporter: Some([2; 32]),
        lowest_binding: BindingKind::Exporter,
    };
    let started = RegisterSent::start(HANDLE, credentials(), [2; 32], None, &mut rng());
    let (_, sent) = started.unwrap();
    let register = RegisterStart::decode(Frame::decode(&sent[4..]).unwrap().body).unwrap();
    check(
        "server, 11",
        FrameType::RegisterUpload,
        HANDLE,
        Fate::Ended,
        |frame| {
            let (state, _) = AwaitUpload::start(&keys, place, &register, 0, &mut rng()).unwrap();
            fate(state.receive(frame, 0))
        },
    );
    let extras = Extras::default();
    let started = LoginSent::start(HANDLE, credentials(), BOUND, extras, &mut rng());
    let (_, sent) = started.unwrap();
    let login = LoginStart::decode(Frame::decode(&sent[4..]).unwrap().body).unwrap();
    let account = Account::Unknown {
        seed: [6; 32],
        profile: Profile::Standard,
    };
    check(
        "server, 21",
        FrameType::LoginFinish,
        HANDLE,
        Fate::Ended,
        |frame| {
            let started = AwaitFinish::start(&keys, place, &login, &account, 0, &mut rng());
            let (state, _) = started.unwrap();
            fate(state.receive(frame, 0))
        },
    );
}

/// In an open session every frame but a sealed one of its own ends it, and so does a
/// sealed one that does not open.
#[test]
fn open_sessions_take_sealed_frames_alone() {
    for kind in FrameType::ALL.iter().copied() {
        for handle in [HANDLE, Handle(2)] {
            let frame = Frame {
                kind,
                handle,
                body: &[0; 40],
            };
            let mut client = client_session();
            assert!(
                client.receive(&frame).is_err() && client.is_closed(),
                "{kind:?}"
            );
            let (session, keys) = session_keys();
            let epoch = Epoch {
                session,
                generation: 0,
            };
            let mut server = ServerSession::new(HANDLE, SessionKind::Request, epoch, &keys, 0);
            assert!(
                server.receive(&frame).is_err() && server.is_closed(),
                "{kind:?}"
            );
        }
    }
}
