//! What lies between client and server changes, cuts, repeats or mixes frames: nothing is
//! opened by it, and nobody else's session ends.

use std::sync::Arc;

use keystead_channel::session::requests::Request;
use keystead_channel::session::{
    Extras, FrameType, Greeted, Greeting, Handle, LoginSent, Pin, RegisterSent, RequestId, Status,
};
use keystead_daemon::SystemRng;
use keystead_server::conversation::{Conversation, Link};
use keystead_server::server::Server;
use keystead_server::settings::Bind;

use crate::common::{EXPORTER, Person, Place, Wire, ask, error, frame, open, settings};

crate::on_both! {
    altered_logins_open_nothing,
    a_client_that_stops_anywhere_leaves_nothing,
    frames_of_another_session_end_only_their_own,
    five_set_ups_are_one_too_many,
    a_login_that_is_not_bound_is_refused,
}

/// The last frame of a login, whole and not yet sent.
async fn almost(person: &Person, server: &Arc<Server>) -> (Wire, Vec<u8>) {
    let (mut wire, mut greeted) = Wire::greeted(server).await;
    let handle = greeted.handle().unwrap();
    let (credentials, binding) = (person.credentials(), wire.binding);
    let extras = Extras::default();
    let started = LoginSent::start(handle, credentials, binding, extras, &mut SystemRng);
    let (sent, bytes) = started.unwrap();
    let sent = sent.keeping(Arc::clone(&person.kept));
    let answer = wire.exchange(&bytes).await;
    let received = sent.receive(&frame(&answer), &greeted, open(), &mut SystemRng);
    (wire, received.unwrap().1)
}

/// A frame whose length says what it has.
fn cut(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut out = bytes[..len].to_vec();
    let rest = u32::try_from(len - 4).unwrap();
    out[..4].copy_from_slice(&rest.to_be_bytes());
    out
}

async fn altered_logins_open_nothing(place: Place) {
    let mut settings = settings();
    settings.guesses.free = 1_000;
    settings.guesses.lock_after = 2_000;
    let server = place.server(settings).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    // Behind the head: KE3's ends, the number, the sub, the method, the sealed part.
    for at in [9, 72, 73, 80, 81, 88, 90, 91, 100] {
        let (mut wire, mut finish) = almost(&alex, &server).await;
        finish[at] ^= 1;
        let answer = wire.exchange(&finish).await;
        assert_eq!(error(&answer).code, Status::Refused, "byte {at}");
        // And the right one has nothing left to be received by.
        finish[at] ^= 1;
        let answer = wire.exchange(&finish).await;
        assert_eq!(error(&answer).code, Status::Malformed, "byte {at}");
    }
    for len in [9, 40, 73, 91] {
        let (mut wire, finish) = almost(&alex, &server).await;
        let answer = wire.exchange(&cut(&finish, len)).await;
        assert_eq!(error(&answer).code, Status::Refused, "{len} bytes");
    }
    // One of another connection.
    let (mut wire, _) = almost(&alex, &server).await;
    let (_, finish) = almost(&alex, &server).await;
    let answer = wire.exchange(&finish).await;
    assert_eq!(error(&answer).code, Status::Refused);
    // What is right opens, once.
    let (mut wire, finish) = almost(&alex, &server).await;
    let answer = wire.exchange(&finish).await;
    assert_eq!(frame(&answer).kind, FrameType::Sealed);
    wire.give(&finish);
    assert!(wire.already().is_none());
    assert_eq!(wire.conversation.sessions(), 0, "a second one ends it");
}

async fn a_client_that_stops_anywhere_leaves_nothing(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    // After hello, after frame 11, after 21, after `opened` of a registration.
    drop(Wire::greeted(&server).await);
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let handle = greeted.handle().unwrap();
    let mine = alex.credentials();
    let started = RegisterSent::start(handle, mine, EXPORTER, None, &mut SystemRng);
    wire.exchange(&started.unwrap().1).await;
    assert_eq!(server.half_open.len(), 1);
    // Ten minutes, and not a millisecond less.
    let until_ms = wire.now_ms + 600_000;
    assert_eq!(wire.conversation.deadline_ms(), Some(until_ms));
    wire.now_ms = until_ms - 1;
    wire.tick();
    assert_eq!(server.half_open.len(), 1);
    wire.now_ms = until_ms;
    wire.tick();
    assert_eq!(error(&wire.next().await.unwrap()).code, Status::Refused);
    assert!(server.half_open.is_empty());

    let (wire, _) = alex.confirm(&server, None).await.unwrap();
    wire.end().await;
    alex.register(&server).await.unwrap();
    // A login, after 21: its minute is over, or its connection.
    let (mut wire, finish) = almost(&alex, &server).await;
    wire.now_ms += 60_000;
    wire.tick();
    assert_eq!(error(&wire.next().await.unwrap()).code, Status::Refused);
    let answer = wire.exchange(&finish).await;
    assert_eq!(error(&answer).code, Status::Malformed);
    let (wire, _) = almost(&alex, &server).await;
    assert_eq!(server.half_open.len(), 1);
    wire.end().await;
    assert!(server.half_open.is_empty());
    assert!(alex.log_in(&server).await.is_ok());
}

async fn frames_of_another_session_end_only_their_own(place: Place) {
    let server = place.server(settings()).await;
    let (alex, kim) = (Person::new("alex", "secret"), Person::new("kim", "other"));
    alex.register(&server).await.unwrap();
    kim.register(&server).await.unwrap();
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let mut sessions = Vec::new();
    for person in [&alex, &kim] {
        let handle = greeted.handle().unwrap();
        let extras = Extras::default();
        let logged_in = person
            .log_in_at(&mut wire, &greeted, handle, extras, open())
            .await;
        sessions.push(logged_in.unwrap().session);
    }
    let sent = sessions[0]
        .ask(&Request::StorageKey, RequestId([1; 16]))
        .unwrap();
    // Alex's frame under Kim's handle.
    let mut moved = sent.frame.clone();
    let Handle(theirs) = sessions[1].handle();
    moved[5..9].copy_from_slice(&theirs.to_be_bytes());
    wire.give(&moved);
    assert!(wire.already().is_none(), "inside a session nothing is said");
    assert_eq!(wire.conversation.sessions(), 1);
    // Alex's own goes on.
    let bytes = wire.exchange(&sent.frame).await;
    assert!(sessions[0].receive(&frame(&bytes)).is_ok());
    // Two in the wrong order end it.
    let first = sessions[0].ask(&Request::Ping, RequestId([2; 16])).unwrap();
    let second = sessions[0].ask(&Request::Ping, RequestId([3; 16])).unwrap();
    wire.give(&second.frame);
    wire.give(&first.frame);
    assert_eq!(wire.conversation.sessions(), 0);
    // Both accounts are as they were.
    for person in [alex, kim] {
        let (mut wire, logged_in) = person.log_in(&server).await.unwrap();
        let mut session = logged_in.session;
        let answer = ask(&mut wire, &mut session, &Request::Ping).await;
        assert_eq!(answer.status, Status::Done);
    }
}

/// Four of a connection wait; the fifth takes the oldest one's place.
async fn five_set_ups_are_one_too_many(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    for number in 1..=5 {
        let handle = greeted.handle().unwrap();
        let (credentials, extras) = (alex.credentials(), Extras::default());
        let binding = wire.binding;
        let started = LoginSent::start(handle, credentials, binding, extras, &mut SystemRng);
        let answer = wire.exchange(&started.unwrap().1).await;
        if number == 5 {
            assert_eq!(error(&answer).code, Status::Busy);
            assert_eq!(frame(&answer).handle, Handle(1));
        } else {
            assert_eq!(frame(&answer).kind, FrameType::LoginResponse);
        }
    }
    assert_eq!(server.half_open.len(), 4);
}

/// By the server itself: whoever says so is not our own client, which asks for nothing less
/// than what hello says.
async fn a_login_that_is_not_bound_is_refused(place: Place) {
    let mut settings = settings();
    settings.binding = Bind::Required;
    let server = place.server(settings).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let started = |greeted: &mut Greeted, binding| {
        let handle = greeted.handle().unwrap();
        let (credentials, extras) = (alex.credentials(), Extras::default());
        let started = LoginSent::start(handle, credentials, binding, extras, &mut SystemRng);
        started.unwrap().1
    };
    // Key 2 of frame 20 is its last byte: 0 is unbound.
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let mut unbound = started(&mut greeted, wire.binding);
    let last = unbound.last_mut().unwrap();
    assert_eq!(std::mem::replace(last, 0), 1);
    let answer = wire.exchange(&unbound).await;
    assert_eq!(error(&answer).code, Status::Binding);
    // Bound, it says, by a connection that has nothing to be bound to.
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let bound = started(&mut greeted, wire.binding);
    let link = Link {
        exporter: None,
        source: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    };
    wire.conversation = Conversation::new(Arc::clone(&server), link);
    let (greeting, hello) = Greeting::start(&mut SystemRng);
    let answer = wire.exchange(&hello).await;
    let _ = greeting.receive(&frame(&answer), Pin::Nothing).unwrap();
    let answer = wire.exchange(&bound).await;
    assert_eq!(error(&answer).code, Status::Binding);
    // And what is bound to this very connection opens.
    assert!(alex.log_in(&server).await.is_ok());
}
