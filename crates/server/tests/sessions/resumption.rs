//! Sessions that go on: elsewhere, after a restart, with the answer lost; and thieves.

use keystead_channel::session::requests::Request;
use keystead_channel::session::{FrameType, Nullable, Status, Ticket};
use keystead_daemon::SystemRng;

use crate::common::{Person, Place, Wire, ask, error, frame, resume, settings};

crate::on_both! {
    a_session_goes_on_at_another_process,
    a_lost_answer_is_asked_for_again,
    an_old_secret_that_is_used_again_is_theft,
    a_proof_that_is_none_changes_nothing,
    a_session_that_nobody_knows_is_as_a_bad_proof,
    of_two_resumptions_at_once_one_lives,
    a_replay_on_its_own_connection_ends_nothing,
}

/// A ticket twice: what a thief has.
fn copy(ticket: &Ticket) -> Ticket {
    Ticket::decode(ticket.encode().expose()).unwrap()
}

async fn ticket(place: &Place, person: &Person) -> Ticket {
    let server = place.server(settings()).await;
    person.register(&server).await.unwrap();
    let (_, logged_in) = person.log_in(&server).await.unwrap();
    logged_in.session.into_ticket()
}

async fn a_session_goes_on_at_another_process(place: Place) {
    let mut ticket = ticket(&place, &Person::new("alex", "secret")).await;
    // Each time a server that knows nothing but the database: as after a restart.
    for generation in 1..4 {
        let server = place.server(settings()).await;
        let resumed = resume(&server, ticket).await.map_err(|it| it.0);
        let (mut wire, mut session) = resumed.unwrap();
        let answer = ask(&mut wire, &mut session, &Request::StorageKey).await;
        assert_eq!(answer.status, Status::Done);
        ticket = session.into_ticket();
        assert_eq!(ticket.generation(), generation);
    }
}

async fn a_lost_answer_is_asked_for_again(place: Place) {
    let mut ticket = ticket(&place, &Person::new("alex", "secret")).await;
    let server = place.server(settings()).await;
    for _ in 0..3 {
        let again = copy(&ticket);
        let resumed = resume(&server, ticket).await.map_err(|it| it.0);
        let (mut lost, mut stale) = resumed.unwrap();
        // Frame 31 was lost: the client knows of nothing and tries again.
        let resumed = resume(&server, again).await.map_err(|it| it.0);
        let (mut wire, mut session) = resumed.unwrap();
        let answer = ask(&mut wire, &mut session, &Request::StorageKey).await;
        assert_eq!(answer.status, Status::Done);
        // What the lost one opened is no more; it was told so at once.
        let bytes = lost.next().await.unwrap();
        assert!(stale.receive(&frame(&bytes)).is_ok() && stale.is_closed());
        ticket = session.into_ticket();
    }
}

async fn an_old_secret_that_is_used_again_is_theft(place: Place) {
    let ticket = ticket(&place, &Person::new("alex", "secret")).await;
    let server = place.server(settings()).await;
    let stolen = copy(&ticket);
    let resumed = resume(&server, ticket).await.map_err(|it| it.0);
    let (mut wire, mut session) = resumed.unwrap();
    let answer = ask(&mut wire, &mut session, &Request::Ping).await;
    assert_eq!(answer.status, Status::Done);
    let there = place.server(settings()).await;
    let thief = resume(&there, stolen).await.map(drop);
    assert_eq!(thief.map_err(|it| it.0), Err(Status::LoginRequired));
    // The session is over for its owner too, who finds out and changes the password.
    let answer = ask(&mut wire, &mut session, &Request::Ping).await;
    assert_eq!(answer.status, Status::LoginRequired);
    let refused = resume(&server, session.into_ticket()).await.map(drop);
    assert_eq!(refused.map_err(|it| it.0), Err(Status::LoginRequired));
}

/// Who replays a recorded frame 30, or changes one, ends nothing.
async fn a_proof_that_is_none_changes_nothing(place: Place) {
    let ticket = ticket(&place, &Person::new("alex", "secret")).await;
    let server = place.server(settings()).await;
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let handle = greeted.handle().unwrap();
    let spare = copy(&ticket);
    let known = Nullable(None);
    let tried = copy(&ticket).resume(&greeted, handle, wire.binding, known, &mut SystemRng);
    let Ok((_, recorded)) = tried else {
        panic!("another server");
    };
    // On another connection.
    let (mut elsewhere, _) = Wire::greeted(&server).await;
    let answer = elsewhere.exchange(&recorded).await;
    assert_eq!(error(&answer).code, Status::LoginRequired);
    // Altered, each bit of the proof and of the rest.
    for at in (9..recorded.len()).step_by(7) {
        let (mut elsewhere, _) = Wire::greeted(&server).await;
        let mut altered = recorded.clone();
        altered[at] ^= 1;
        let answer = elsewhere.exchange(&altered).await;
        let code = error(&answer).code;
        let is_refused = matches!(
            code,
            Status::LoginRequired | Status::Malformed | Status::Binding
        );
        assert!(is_refused, "byte {at}: {code:?}");
    }
    // It goes on as if nothing had been.
    let answer = wire.exchange(&recorded).await;
    assert_eq!(frame(&answer).kind, FrameType::Resumed);
    assert!(
        resume(&server, spare).await.is_ok(),
        "frame 31 may have been lost"
    );
}

async fn a_session_that_nobody_knows_is_as_a_bad_proof(place: Place) {
    let server = place.server(settings()).await;
    let mut bytes = [5; 68];
    bytes[20..36].copy_from_slice(&server.server_id.0);
    bytes[16..20].copy_from_slice(&[0; 4]);
    let refused = resume(&server, Ticket::decode(&bytes).unwrap()).await;
    assert_eq!(
        refused.map(drop).map_err(|it| it.0),
        Err(Status::LoginRequired)
    );
}

/// Two that resume at once with one secret: at the end one session is alive.
async fn of_two_resumptions_at_once_one_lives(place: Place) {
    let ticket = ticket(&place, &Person::new("alex", "secret")).await;
    let here = place.server(settings()).await;
    let there = place.server(settings()).await;
    let again = copy(&ticket);
    let (first, second) = tokio::join!(resume(&here, ticket), resume(&there, again));
    let mut alive = 0;
    for resumed in [first, second] {
        let (mut wire, mut session) = resumed.map_err(|it| it.0).unwrap();
        let answer = ask(&mut wire, &mut session, &Request::Ping).await;
        alive += u32::from(answer.status == Status::Done);
    }
    assert_eq!(alive, 1);
}

/// Who ends the TLS of a session that is not bound to it has frame 30 on the very connection
/// that its proof is for, and sends it again under other handles: at once, and when the
/// session has gone on. It neither closes the session nor makes it look stolen.
async fn a_replay_on_its_own_connection_ends_nothing(place: Place) {
    let ticket = ticket(&place, &Person::new("alex", "secret")).await;
    let server = place.server(settings()).await;
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let handle = greeted.handle().unwrap();
    let known = Nullable(None);
    let tried = ticket.resume(&greeted, handle, wire.binding, known, &mut SystemRng);
    let Ok((sent, recorded)) = tried else {
        panic!("another server");
    };
    let replayed = |number: u32| {
        let mut bytes = recorded.clone();
        bytes[5..9].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    wire.give(&recorded);
    wire.give(&replayed(1_000));
    assert_eq!(
        error(&wire.next().await.unwrap()).code,
        Status::LoginRequired
    );
    let answer = wire.next().await.unwrap();
    let (mut session, _) = sent
        .receive(&frame(&answer))
        .map_err(|it| it.error)
        .unwrap();
    for number in 1_001..1_003 {
        let answer = wire.exchange(&replayed(number)).await;
        assert_eq!(error(&answer).code, Status::LoginRequired);
        let answer = ask(&mut wire, &mut session, &Request::StorageKey).await;
        assert_eq!(answer.status, Status::Done, "replay {number}");
    }
    assert!(resume(&server, session.into_ticket()).await.is_ok());
}
