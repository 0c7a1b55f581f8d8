//! Registration, login and requests as they should go, and what a liar gets.

use keystead_channel::session::requests::{Answer, Complete, Method, Request, Show};
use keystead_channel::session::{
    Account, AnswerError, AwaitFinish, AwaitUpload, Binding, BindingKind, ClientSession, Closed,
    ErrorBody, Event, Extras, HANDSHAKE_MS_MAX, KeyId, LoginSent, LoginStart, Notice,
    OUTSTANDING_MAX, PENDING_MS_MAX, Pin, Profile, RegisterSent, RegisterStart, RequestId,
    ServerId, ServerSession, SetUpError, Status, error_frame,
};
use keystead_channel::session::{Frame, FrameType, Greeting, Handle};

use keystead_core::SecretBytes;

use crate::common::{EXPORTER, NOW, Server, USER, credentials, frame, open, rng};

const ID: RequestId = RequestId([1; 16]);

fn show() -> Request {
    Request::Show(Show {
        key: KeyId([2; 16]),
    })
}

fn complete() -> Request {
    Request::Complete(Complete {
        storage_key: [6; 72],
        user: USER,
        recovery_hash: [7; 32],
    })
}

/// Asks, answers with `answer`, and gives what the client reads.
fn exchange(client: &mut ClientSession, server: &mut ServerSession, answer: &Answer) -> Event {
    let sent = client.ask(&show(), ID).unwrap();
    let incoming = server.receive(&frame(&sent.frame)).unwrap();
    assert_eq!(incoming.sub, sent.sub);
    assert_eq!(incoming.method, Method::Show.number());
    assert_eq!(incoming.request.unwrap().0, ID);
    let frame = server.answer(incoming.sub, answer).unwrap();
    client.receive(&self::frame(&frame)).unwrap()
}

/// One registration and three logins: what Argon2id costs is paid once for all of it.
#[test]
fn a_person_registers_and_comes_back() {
    let mut rng = rng(1);
    let mut server = Server::new(&mut rng);
    let (mut registered, mut session) = server.register(&mut rng);
    assert_eq!(registered.opened.user, USER);
    only_complete_is_done(&mut registered.session, &mut session);

    let (mut logged_in, mut session, _) = server.session(&mut rng);
    let exports = [&registered.export_key, &logged_in.export_key];
    assert!(
        exports[0].ct_eq(exports[1]),
        "it opens the same storage key"
    );
    assert_eq!(session.id(), logged_in.session.id());
    requests_are_answered(&mut logged_in.session, &mut session);
    at_most_32_wait(&mut logged_in.session, &mut session);
    a_notice_ends_it(&mut logged_in.session, &mut session);

    let wrong = server.log_in("Secret", &mut rng).map(drop);
    assert_eq!(wrong, Err(SetUpError::Refused));
    server.record = None;
    let nobody = server.log_in("secret", &mut rng).map(drop);
    assert_eq!(nobody, Err(SetUpError::Refused), "as with a wrong password");
}

fn only_complete_is_done(client: &mut ClientSession, server: &mut ServerSession) {
    let refused = client.ask(&show(), ID).map(drop);
    assert_eq!(refused, Err(AnswerError::Misplaced));
    let sent = client.ask(&complete(), ID).unwrap();
    let incoming = server.receive(&frame(&sent.frame)).unwrap();
    assert!(matches!(incoming.request, Ok((ID, Request::Complete(_)))));
    assert!(!incoming.confirms);
    let answer = Answer::of(Status::Done);
    let bytes = server.answer(incoming.sub, &answer).unwrap();
    let event = client.receive(&frame(&bytes)).unwrap();
    let is_done = matches!(
        event,
        Event::Answer { sub: 1, id: ID, answer } if answer.status == Status::Done
    );
    assert!(is_done);
    assert!(server.is_closed(), "a registration ends with its answer");
}

fn requests_are_answered(client: &mut ClientSession, server: &mut ServerSession) {
    let refused = client.ask(&complete(), ID).map(drop);
    assert_eq!(refused, Err(AnswerError::Misplaced));
    let waiting = Answer {
        result: Some(SecretBytes::take(&mut [0x41, 7])),
        ..Answer::of(Status::Waiting)
    };
    let Event::Answer { sub, answer, .. } = exchange(client, server, &waiting) else {
        panic!("no answer");
    };
    assert_eq!(answer.encode(), waiting.encode());
    // The result follows under the same sub-session, and then nothing does.
    let refused = Answer::of(Status::NotFound);
    let bytes = server.answer(sub, &refused).unwrap();
    let event = client.receive(&frame(&bytes)).unwrap();
    assert!(matches!(event, Event::Answer { sub: again, .. } if again == sub));
    let again = server.answer(sub, &refused);
    assert_eq!(again, Err(AnswerError::Misplaced));
}

/// Answers come in any order; the 33rd is held back by the client.
fn at_most_32_wait(client: &mut ClientSession, server: &mut ServerSession) {
    let mut subs = Vec::new();
    for _ in 0..OUTSTANDING_MAX {
        let sent = client.ask(&show(), ID).unwrap();
        subs.push(server.receive(&frame(&sent.frame)).unwrap().sub);
    }
    assert_eq!(client.ask(&show(), ID).map(drop), Err(AnswerError::Full));
    for sub in subs.into_iter().rev() {
        let bytes = server.answer(sub, &Answer::of(Status::NotFound)).unwrap();
        let event = client.receive(&frame(&bytes)).unwrap();
        assert!(matches!(event, Event::Answer { sub: it, .. } if it == sub));
    }
}

fn a_notice_ends_it(client: &mut ClientSession, server: &mut ServerSession) {
    let notice = Notice::closed(Status::LoginRequired);
    let bytes = server.notice(&notice).unwrap();
    let event = client.receive(&frame(&bytes)).unwrap();
    assert!(matches!(event, Event::Notice(it) if it == notice));
    assert!(client.is_closed() && server.is_closed());
    assert_eq!(client.ask(&show(), ID).map(drop), Err(AnswerError::Closed));
    let closed = server.receive(&frame(&bytes)).map(drop);
    assert_eq!(closed, Err(Closed));
}

/// What lies between the ends changes one thing; each costs one Argon2id evaluation.
#[test]
fn altered_logins_are_refused() {
    let mut rng = rng(8);
    let mut server = Server::new(&mut rng);
    let _ = server.register(&mut rng);
    // Behind the length, the head and the profile: KE2's first and last byte; KE3's
    // first byte and the last of `open`; a connection that ends elsewhere.
    let cases = [
        ("KE2", Some(10), None, EXPORTER),
        ("KE2's MAC", Some(4 + 5 + 1 + 319), None, EXPORTER),
        ("KE3", None, Some(9), EXPORTER),
        ("open", None, Some(usize::MAX), EXPORTER),
        ("the exporter", None, None, [8; 32]),
    ];
    for (name, in_response, in_finish, exporter) in cases {
        let mut connection = server.connect(&mut rng);
        let handle = connection.greeted.handle().unwrap();
        let binding = Binding::Exporter(exporter);
        let extras = Extras::default();
        let sent = LoginSent::start(handle, credentials("secret"), binding, extras, &mut rng);
        let (client, sent) = sent.unwrap();
        let start = LoginStart::decode(frame(&sent).body).unwrap();
        let account = server.account(&start.name);
        let place = connection.place(handle);
        let (state, mut response) =
            AwaitFinish::start(&server.keys, place, &start, &account, NOW, &mut rng).unwrap();
        if let Some(at) = in_response {
            response[at] ^= 1;
        }
        let received = client.receive(&frame(&response), &connection.greeted, open(), &mut rng);
        let Some(at) = in_finish else {
            assert_eq!(received.map(drop), Err(SetUpError::Refused), "{name}");
            continue;
        };
        let (_, mut finish) = received.unwrap();
        let at = at.min(finish.len() - 1);
        finish[at] ^= 1;
        let received = state.receive(&frame(&finish), NOW).map(drop);
        assert_eq!(received, Err(SetUpError::Refused), "{name}");
    }
}

/// The frames that answer a known and an unknown name, without the password.
#[test]
fn unknown_names_look_like_known_ones() {
    let mut rng = rng(2);
    let server = Server::new(&mut rng);
    let mut connection = server.connect(&mut rng);
    let handle = connection.greeted.handle().unwrap();
    let binding = Binding::Exporter(EXPORTER);
    let login = LoginSent::start(
        handle,
        credentials("x"),
        binding,
        Extras::default(),
        &mut rng,
    );
    let start = LoginStart::decode(frame(&login.unwrap().1).body).unwrap();
    // Any public key will do for a record.
    let mut record = [8; 192];
    record[..32].copy_from_slice(&server.keys.public());
    let known = Account::Known {
        record: &record,
        seed: &[1; 32],
        profile: Profile::Standard,
    };
    let mut lengths = Vec::new();
    for account in [known, server.account(&start.name)] {
        let place = connection.place(handle);
        let (_, bytes) =
            AwaitFinish::start(&server.keys, place, &start, &account, NOW, &mut rng).unwrap();
        assert_eq!(frame(&bytes).kind, FrameType::LoginResponse);
        assert_eq!(frame(&bytes).body[0], 1);
        lengths.push(bytes.len());
    }
    assert_eq!(lengths, [4 + 5 + 1 + 320; 2]);
}

#[test]
fn waits_end() {
    let mut rng = rng(3);
    let server = Server::new(&mut rng);
    let mut connection = server.connect(&mut rng);
    let handle = connection.greeted.handle().unwrap();
    let place = connection.place(handle);
    let register = RegisterSent::start(handle, credentials("x"), EXPORTER, None, &mut rng);
    let start = RegisterStart::decode(frame(&register.unwrap().1).body).unwrap();
    let upload = Frame {
        kind: FrameType::RegisterUpload,
        handle,
        body: &[],
    };
    for (late_ms, is_late) in [(PENDING_MS_MAX - 1, false), (PENDING_MS_MAX, true)] {
        let (state, _) = AwaitUpload::start(&server.keys, place, &start, NOW, &mut rng).unwrap();
        let received = state.receive(&upload, NOW + late_ms).map(drop);
        assert_eq!(received == Err(SetUpError::Late), is_late);
    }
    let binding = Binding::Exporter(EXPORTER);
    let login = LoginSent::start(
        handle,
        credentials("x"),
        binding,
        Extras::default(),
        &mut rng,
    );
    let start = LoginStart::decode(frame(&login.unwrap().1).body).unwrap();
    let finish = Frame {
        kind: FrameType::LoginFinish,
        handle,
        body: &[0; 200],
    };
    for (late_ms, expected) in [
        (HANDSHAKE_MS_MAX - 1, SetUpError::Refused),
        (HANDSHAKE_MS_MAX, SetUpError::Late),
    ] {
        let account = server.account(&start.name);
        let (state, _) =
            AwaitFinish::start(&server.keys, place, &start, &account, NOW, &mut rng).unwrap();
        let received = state.receive(&finish, NOW + late_ms).map(drop);
        assert_eq!(received, Err(expected));
    }
}

#[test]
fn bindings_and_versions_are_agreed_on() {
    let mut rng = rng(4);
    let server = Server::new(&mut rng);
    let mut connection = server.connect(&mut rng);
    let handle = connection.greeted.handle().unwrap();
    let mut place = connection.place(handle);
    let cases = [
        (
            BindingKind::Exporter,
            Some(EXPORTER),
            BindingKind::Exporter,
            true,
        ),
        (BindingKind::Exporter, None, BindingKind::Unbound, false),
        (
            BindingKind::Unbound,
            Some(EXPORTER),
            BindingKind::Exporter,
            false,
        ),
        (BindingKind::Unbound, None, BindingKind::Unbound, true),
    ];
    for (wanted, exporter, lowest, is_agreed) in cases {
        place.exporter = exporter;
        place.lowest_binding = lowest;
        assert_eq!(
            place.binding(wanted).is_ok(),
            is_agreed,
            "{wanted:?} {lowest:?}"
        );
    }

    let hello = |body: &[u8]| {
        let frame = Frame {
            kind: FrameType::Hello,
            handle: Handle::CONNECTION,
            body,
        };
        frame.encode()
    };
    let (_, sent) = Greeting::start(&mut rng);
    let body = frame(&sent).body.to_vec();
    // {0: 1, 1: [1], 2: nonce}: the version stands third, the suite sixth.
    for (at, expected) in [
        (2, Status::Version),
        (5, Status::Version),
        (0, Status::Malformed),
    ] {
        let mut other = body.clone();
        other[at] += 1;
        let answer = server.introduction.answer(&frame(&hello(&other)), &mut rng);
        assert_eq!(answer.map(drop), Err(expected), "{at}");
    }
}

#[test]
fn another_server_is_not_taken_for_the_pinned_one() {
    let mut rng = rng(5);
    let server = Server::new(&mut rng);
    let id = ServerId::of(&server.keys.public());
    for (pin, is_same) in [
        (Pin::Nothing, true),
        (Pin::Server(id), true),
        (Pin::Server(ServerId([0; 16])), false),
        (Pin::Both(id, [3; 32]), true),
        (Pin::Both(id, [4; 32]), false),
    ] {
        let (greeting, sent) = Greeting::start(&mut rng);
        let (_, answer) = server.introduction.answer(&frame(&sent), &mut rng).unwrap();
        let greeted = greeting.receive(&frame(&answer), pin).map(drop);
        let changed = SetUpError::ServerChanged {
            found: id,
            log_key: [3; 32],
        };
        let expected = if is_same { Ok(()) } else { Err(changed) };
        assert_eq!(greeted, expected, "{pin:?}");
    }
}

#[test]
fn profiles_that_are_not_listed_are_refused() {
    let mut rng = rng(6);
    let server = Server::new(&mut rng);
    let mut connection = server.connect(&mut rng);
    for byte in [0, 4, 255] {
        let handle = connection.greeted.handle().unwrap();
        let binding = Binding::Exporter(EXPORTER);
        let extras = Extras::default();
        let login = LoginSent::start(handle, credentials("x"), binding, extras, &mut rng);
        let mut body = vec![byte];
        body.resize(321, 1);
        let response = Frame {
            kind: FrameType::LoginResponse,
            handle,
            body: &body,
        };
        let received = login
            .unwrap()
            .0
            .receive(&response, &connection.greeted, open(), &mut rng);
        assert_eq!(received.map(drop), Err(SetUpError::Profile(byte)));
    }
}

#[test]
fn an_error_frame_says_what_and_for_how_long() {
    let mut rng = rng(7);
    let server = Server::new(&mut rng);
    let mut connection = server.connect(&mut rng);
    let body = ErrorBody {
        code: Status::Wait,
        wait_s: Some(3_600),
    };
    let handle = connection.greeted.handle().unwrap();
    for (of, expected) in [
        (handle, SetUpError::Server(body)),
        (Handle::CONNECTION, SetUpError::Server(body)),
        (Handle(handle.0 + 1), SetUpError::OutOfTurn),
    ] {
        let binding = Binding::Exporter(EXPORTER);
        let extras = Extras::default();
        let login = LoginSent::start(handle, credentials("x"), binding, extras, &mut rng);
        let bytes = error_frame(of, body);
        let error = frame(&bytes);
        let received = login
            .unwrap()
            .0
            .receive(&error, &connection.greeted, open(), &mut rng);
        assert_eq!(received.map(drop), Err(expected));
    }
}
