//! Registration: who may, when a name is taken, and what is left of one that stops.

use keystead_channel::session::requests::Request;
use keystead_channel::session::{
    AccountName, Credentials, ErrorBody, Extras, FrameType, LoginSent, Password, RegisterSent,
    RequestId, Status,
};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use keystead_server::ledger::{Act, Decided};
use keystead_server::login::invitation_hash;
use keystead_server::rows::{Invitation, Rows};
use keystead_server::settings::Register;
use keystead_server::store::{Now, Wanted};

use crate::common::{EXPORTER, Person, Place, Wire, complete, error, frame, open, settings};

crate::on_both! {
    a_name_belongs_to_who_completes_first,
    a_registration_that_stops_leaves_nothing,
    a_registration_session_completes_and_nothing_else,
    a_name_in_another_form_is_refused,
    a_taken_name_tells_nothing_about_its_password,
    an_invitation_is_for_one_name_and_once,
    nobody_registers_where_it_is_closed_or_unbound,
    ten_open_registrations_an_hour_from_one_source,
}

async fn a_name_belongs_to_who_completes_first(place: Place) {
    let here = place.server(settings()).await;
    let there = place.server(settings()).await;
    let one = Person::new("alex", "first");
    let other = Person::new("alex", "second");
    let (mut at_here, first) = one.confirm(&here, None).await.unwrap();
    let (mut at_there, second) = other.confirm(&there, None).await.unwrap();
    let (user, rival) = (first.opened.user, second.opened.user);
    let (first, second) = tokio::join!(
        complete(&mut at_here, first.session, user),
        complete(&mut at_there, second.session, rival),
    );
    let mut statuses = [first.status, second.status];
    let winner = if statuses[0] == Status::Done {
        &one
    } else {
        &other
    };
    statuses.sort();
    assert_eq!(statuses, [Status::Done, Status::NameTaken]);
    assert!(winner.log_in(&there).await.is_ok());
    assert!(first.receipt.is_some() != second.receipt.is_some());
}

/// A pending account cannot be logged in to, and reserves nothing.
async fn a_registration_that_stops_leaves_nothing(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    let (wire, _) = alex.confirm(&server, None).await.unwrap();
    let before = alex.log_in(&server).await.map(drop);
    assert_eq!(before.map_err(|it| it.code), Err(Status::Refused));
    let (mut second, logged_in) = alex.confirm(&server, None).await.unwrap();
    let user = logged_in.opened.user;
    wire.end().await;
    let answer = complete(&mut second, logged_in.session, user).await;
    assert_eq!(answer.status, Status::Done);
    assert!(alex.log_in(&server).await.is_ok());
}

async fn a_registration_session_completes_and_nothing_else(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    // Another's user_id.
    let (mut wire, logged_in) = alex.confirm(&server, None).await.unwrap();
    let wrong = keystead_channel::session::UserId([1; 32]);
    let answer = complete(&mut wire, logged_in.session, wrong).await;
    assert_eq!(answer.status, Status::Refused);
    // It is over with its answer, whatever that said.
    assert_eq!(wire.conversation.sessions(), 0);
    assert!(alex.register(&server).await.is_ok());
    // The client asks nothing else; the channel's own tests ask it of the server.
    let kim = Person::new("kim", "secret");
    let (_, mut logged_in) = kim.confirm(&server, None).await.unwrap();
    assert!(
        logged_in
            .session
            .ask(&Request::Ping, RequestId([1; 16]))
            .is_err()
    );
}

/// The server looks at the form of a name itself, at registration and login.
async fn a_name_in_another_form_is_refused(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    for name in ["Alex", "al x", "al\u{1}x", "al\u{0}x"] {
        let (mut wire, mut greeted) = Wire::greeted(&server).await;
        let handle = greeted.handle().unwrap();
        let rng = &mut SystemRng;
        let register = RegisterSent::start(handle, alex.credentials(), EXPORTER, None, rng);
        let handle = greeted.handle().unwrap();
        let extras = Extras::default();
        let login = LoginSent::start(handle, alex.credentials(), wire.binding, extras, rng);
        for mut frame in [register.unwrap().1, login.unwrap().1] {
            let at = frame.windows(4).position(|it| it == b"alex").unwrap();
            frame[at..at + 4].copy_from_slice(name.as_bytes());
            let answer = wire.exchange(&frame).await;
            assert_eq!(error(&answer).code, Status::Malformed, "{name:?}");
        }
    }
}

/// The element that a taken name's registration evaluates is not the account's: nothing of
/// it helps to guess.
async fn a_taken_name_tells_nothing_about_its_password(place: Place) {
    let server = place.server(settings()).await;
    Person::new("alex", "secret")
        .register(&server)
        .await
        .unwrap();
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let mut evaluated = Vec::new();
    for _ in 0..2 {
        let handle = greeted.handle().unwrap();
        // One blinded element, three times.
        let mut rng = Fixed;
        let credentials = credentials("alex", "secret");
        let started = RegisterSent::start(handle, credentials, EXPORTER, None, &mut rng);
        let answer = wire.exchange(&started.unwrap().1).await;
        assert_eq!(frame(&answer).kind, FrameType::RegisterResponse);
        evaluated.push(frame(&answer).body[..32].to_vec());
    }
    let handle = greeted.handle().unwrap();
    let extras = Extras::default();
    let credentials = credentials("alex", "secret");
    let started = LoginSent::start(handle, credentials, wire.binding, extras, &mut Fixed);
    let answer = wire.exchange(&started.unwrap().1).await;
    evaluated.push(frame(&answer).body[1..33].to_vec());
    evaluated.sort();
    evaluated.dedup();
    assert_eq!(evaluated.len(), 3);
}

/// Draws sevens, so that two blindings are one.
struct Fixed;

impl rand_core::RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        0x0707_0707
    }

    fn next_u64(&mut self) -> u64 {
        0x0707_0707_0707_0707
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.fill(7);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        out.fill(7);
        Ok(())
    }
}

impl rand_core::CryptoRng for Fixed {}

fn credentials(name: &str, password: &str) -> Credentials {
    Credentials {
        name: AccountName::parse(name).unwrap(),
        password: Password::new(password).unwrap(),
    }
}

/// Puts an invitation as the operator does.
struct Invite(Invitation);

impl Act for Invite {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.invitation(self.0.hash);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<()> {
        rows.put_invitation(Invitation {
            made_ms: now.ms,
            ..self.0
        });
        Decided {
            entries: Vec::new(),
            answer: (),
        }
    }
}

fn token(byte: u8) -> Secret<16> {
    Secret::fill(|bytes| bytes.fill(byte))
}

async fn code(
    person: &Person,
    server: &std::sync::Arc<keystead_server::server::Server>,
    invitation: Option<Secret<16>>,
) -> Result<(), Status> {
    let begun = person.confirm(server, invitation).await;
    begun.map(drop).map_err(|body: ErrorBody| body.code)
}

async fn an_invitation_is_for_one_name_and_once(place: Place) {
    let mut by_invitation = settings();
    by_invitation.registration = Register::Invitation;
    let server = place.server(by_invitation).await;
    for (byte, name) in [(1, "alex"), (2, "alex"), (3, "kim")] {
        let invite = Invite(Invitation {
            hash: invitation_hash(&token(byte)),
            made_ms: 0,
            used: false,
            name: AccountName::parse(name).unwrap(),
        });
        server.ledger.commit(invite).await.unwrap();
    }
    let alex = Person::new("alex", "secret");
    let kim = Person::new("kim", "secret");
    assert_eq!(code(&alex, &server, None).await, Err(Status::Refused));
    assert_eq!(
        code(&alex, &server, Some(token(9))).await,
        Err(Status::Refused)
    );
    assert_eq!(
        code(&alex, &server, Some(token(3))).await,
        Err(Status::Refused)
    );

    let (mut wire, logged_in) = alex.confirm(&server, Some(token(1))).await.unwrap();
    let user = logged_in.opened.user;
    let answer = complete(&mut wire, logged_in.session, user).await;
    assert_eq!(answer.status, Status::Done);
    // Used up: whatever the name, the answer is the same.
    assert_eq!(
        code(&alex, &server, Some(token(1))).await,
        Err(Status::Refused)
    );
    // With a good one a taken name is said at once; without, nothing is.
    assert_eq!(
        code(&alex, &server, Some(token(2))).await,
        Err(Status::NameTaken)
    );
    assert_eq!(code(&alex, &server, None).await, Err(Status::Refused));
    // Two come by one invitation: the second completes nothing.
    let (mut one, first) = kim.confirm(&server, Some(token(3))).await.unwrap();
    let (mut two, second) = kim.confirm(&server, Some(token(3))).await.unwrap();
    let (user, rival) = (first.opened.user, second.opened.user);
    assert_eq!(
        complete(&mut one, first.session, user).await.status,
        Status::Done
    );
    assert_eq!(
        complete(&mut two, second.session, rival).await.status,
        Status::Refused
    );
}

async fn nobody_registers_where_it_is_closed_or_unbound(place: Place) {
    let mut closed = settings();
    closed.registration = Register::Closed;
    let server = place.server(closed).await;
    let alex = Person::new("alex", "secret");
    assert_eq!(code(&alex, &server, None).await, Err(Status::Refused));
    assert_eq!(
        code(&alex, &server, Some(token(1))).await,
        Err(Status::Refused)
    );

    // A proxy ends TLS: this connection has nothing to bind to.
    let server = place.server(settings()).await;
    let link = keystead_server::conversation::Link {
        exporter: None,
        source: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    };
    let mut wire = Wire::new(&server);
    wire.conversation = keystead_server::conversation::Conversation::new(server.clone(), link);
    let (greeting, hello) = keystead_channel::session::Greeting::start(&mut SystemRng);
    let answer = wire.exchange(&hello).await;
    let pin = keystead_channel::session::Pin::Nothing;
    let mut greeted = greeting.receive(&frame(&answer), pin).unwrap();
    let handle = greeted.handle().unwrap();
    let started = RegisterSent::start(handle, alex.credentials(), EXPORTER, None, &mut SystemRng);
    let answer = wire.exchange(&started.unwrap().1).await;
    assert_eq!(error(&answer).code, Status::Binding);
}

async fn ten_open_registrations_an_hour_from_one_source(place: Place) {
    let mut few = settings();
    few.registrations.per_source_hour = 10;
    let server = place.server(few).await;
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    for number in 0..11 {
        let handle = greeted.handle().unwrap();
        let credentials = credentials("alex", "secret");
        let started = RegisterSent::start(handle, credentials, EXPORTER, None, &mut SystemRng);
        wire.give(&started.unwrap().1);
        let mut answer = wire.next().await.unwrap();
        // Of four that wait the oldest makes room.
        if frame(&answer).handle != handle {
            assert_eq!(error(&answer).code, Status::Busy);
            answer = wire.next().await.unwrap();
        }
        match number {
            10 => {
                let body = error(&answer);
                assert_eq!(body.code, Status::Wait);
                assert!(body.wait_s.unwrap() <= 360);
            }
            _ => assert_eq!(frame(&answer).kind, FrameType::RegisterResponse),
        }
    }
    let _ = open();
}
