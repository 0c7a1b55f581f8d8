//! A session on another connection: the lost answer, the thief, the end.

use keystead_channel::session::requests::{Answer, Request};
use keystead_channel::session::{
    Binding, BindingKind, ClientSession, Limits, NotResumed, Place, RequestId, Resume, ResumeSent,
    ServerSession, SessionRow, SetUpError, Status, Ticket, Turned, Verdict,
};
use keystead_core::Secret;
use rand_chacha::ChaCha20Rng;

use crate::common::{EXPORTER, NOW, Server, frame, opened, rng, unknown};

const LIMITS: Limits = Limits::DEFAULT;

/// Frame 30 on a new connection.
struct Tried {
    client: ResumeSent,
    resume: Resume,
    place: Place,
}

fn try_resume(server: &Server, ticket: Ticket, rng: &mut ChaCha20Rng) -> Tried {
    let mut connection = server.connect(rng);
    let handle = connection.greeted.handle().unwrap();
    let binding = Binding::Exporter(EXPORTER);
    let sent = ticket.resume(&connection.greeted, handle, binding, unknown(), rng);
    let Ok((client, bytes)) = sent else {
        panic!("the server is the same");
    };
    Tried {
        client,
        resume: Resume::decode(frame(&bytes).body).unwrap(),
        place: connection.place(handle),
    }
}

/// The server's answer, if it gives one; `row` is as it is to be stored.
fn answer(
    row: &mut SessionRow,
    tried: &Tried,
    rng: &mut ChaCha20Rng,
) -> Result<(ServerSession, Vec<u8>), Status> {
    match row.judge(&tried.resume, &tried.place, NOW, &LIMITS) {
        Verdict::Resume(resumption) => {
            let (turn, unopened) = resumption.draw(rng).unwrap();
            assert_eq!(turn.apply(row, NOW, &LIMITS), Turned::On);
            Ok(unopened.opened(&opened()).unwrap())
        }
        Verdict::Theft => Err(Status::Conflict),
        Verdict::Refuse(status) => Err(status),
    }
}

fn finish(client: ResumeSent, bytes: &[u8]) -> ClientSession {
    match client.receive(&frame(bytes)) {
        Ok((session, opened)) => {
            assert_eq!(opened.user, crate::common::USER);
            session
        }
        Err(failed) => panic!("{}", failed.error),
    }
}

/// A request and its answer.
fn ping(client: &mut ClientSession, server: &mut ServerSession, row: &mut SessionRow) {
    assert!(server.is_of(row));
    let id = RequestId([1; 16]);
    let sent = client.ask(&Request::Ping, id).unwrap();
    let incoming = server.receive(&frame(&sent.frame)).unwrap();
    assert!(matches!(incoming.request, Ok((it, Request::Ping)) if it == id));
    if incoming.confirms {
        row.confirm();
    }
    let bytes = server.answer(sent.sub, &Answer::of(Status::Done)).unwrap();
    client.receive(&frame(&bytes)).unwrap();
}

fn logged_in(rng: &mut ChaCha20Rng) -> (Server, ClientSession, SessionRow) {
    let mut server = Server::new(rng);
    let _ = server.register(rng);
    let (client, _, row) = server.session(rng);
    (server, client.session, row)
}

/// Three resumptions, one of them with its answer lost; then the old secret is worth
/// nothing but the discovery of its thief.
#[test]
fn a_session_goes_on_until_an_old_secret_is_used() {
    let mut rng = rng(11);
    let (server, session, mut row) = logged_in(&mut rng);
    let id = session.id();

    let tried = try_resume(&server, session.into_ticket(), &mut rng);
    let (mut resumed, bytes) = answer(&mut row, &tried, &mut rng).unwrap();
    let mut client = finish(tried.client, &bytes);
    assert_eq!((row.generation, row.confirmed), (1, false));
    assert_eq!((client.id(), resumed.id()), (id, id));
    ping(&mut client, &mut resumed, &mut row);
    assert!(row.confirmed);

    // Frame 31 is lost: the same generation is tried again.
    let lost = try_resume(&server, client.into_ticket(), &mut rng);
    let (stale, _) = answer(&mut row, &lost, &mut rng).unwrap();
    assert_eq!((row.generation, row.confirmed), (2, false));
    let again = try_resume(&server, lost.client.into_ticket(), &mut rng);
    let (mut resumed, bytes) = answer(&mut row, &again, &mut rng).unwrap();
    assert_eq!((row.generation, row.confirmed), (2, false));
    assert!(!stale.is_of(&row), "what the lost answer opened is no more");
    let thiefs = again.resume.clone();
    let mut client = finish(again.client, &bytes);
    ping(&mut client, &mut resumed, &mut row);
    assert!(row.confirmed);

    // Now a valid proof for the last generation is theft.
    let verdict = row.judge(&thiefs, &again.place, NOW, &LIMITS);
    assert!(matches!(verdict, Verdict::Theft));
    // And one for this generation goes on.
    let tried = try_resume(&server, client.into_ticket(), &mut rng);
    assert!(answer(&mut row, &tried, &mut rng).is_ok());
    assert_eq!(row.generation, 3);
    // The generation before the last is only an invalid proof.
    let verdict = row.judge(&lost.resume, &lost.place, NOW, &LIMITS);
    assert!(matches!(verdict, Verdict::Refuse(Status::LoginRequired)));

    what_is_altered_changes_nothing(&server, &mut rng, row);
}

fn what_is_altered_changes_nothing(server: &Server, rng: &mut ChaCha20Rng, row: SessionRow) {
    let copy = || SessionRow {
        id: row.id,
        generation: 0,
        confirmed: true,
        secret: Secret::fill(|bytes| *bytes = *row.secret.expose()),
        former: None,
        login_ms: NOW,
        last_ms: NOW,
        requests: 0,
    };
    let (client, _, _) = server.session(rng);
    let ticket = client.session.into_ticket();
    let mut tried = try_resume(server, ticket, rng);
    let mut stored = copy();
    // Another session's secret.
    assert_eq!(
        answer(&mut stored, &tried, rng).map(drop),
        Err(Status::LoginRequired)
    );
    assert!(stored.secret.ct_eq(&copy().secret) && stored.former.is_none());
    // Another connection's hellos.
    tried.place = try_resume(server, tried.client.into_ticket(), rng).place;
    let verdict = stored.judge(&tried.resume, &tried.place, NOW, &LIMITS);
    assert!(matches!(verdict, Verdict::Refuse(Status::LoginRequired)));
}

/// One login for all that may not be resumed.
#[test]
fn no_bit_of_a_resumption_can_be_changed() {
    let mut rng = rng(12);
    let (server, session, mut row) = logged_in(&mut rng);
    let tried = try_resume(&server, session.into_ticket(), &mut rng);
    let bytes = tried.resume.encode();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << bit;
            let Ok(resume) = Resume::decode(&altered) else {
                continue;
            };
            let verdict = row.judge(&resume, &tried.place, NOW, &LIMITS);
            let is_refused = matches!(
                verdict,
                Verdict::Refuse(Status::LoginRequired | Status::Binding)
            );
            assert!(is_refused, "byte {at}, bit {bit}");
        }
    }
    let ends = [
        (NOW + 3_599_999, true),
        (NOW + 3_600_000, false),
        (NOW - 1_000, true),
    ];
    for (now_ms, is_good) in ends {
        let verdict = row.judge(&tried.resume, &tried.place, now_ms, &LIMITS);
        assert_eq!(matches!(verdict, Verdict::Resume(_)), is_good, "{now_ms}");
    }
    row.last_ms = NOW + 43_199_999;
    let verdict = row.judge(&tried.resume, &tried.place, NOW + 43_200_000, &LIMITS);
    assert!(matches!(verdict, Verdict::Refuse(Status::LoginRequired)));
    row.last_ms = NOW;

    let mut unbound = tried.place;
    unbound.exporter = None;
    let verdict = row.judge(&tried.resume, &unbound, NOW, &LIMITS);
    assert!(matches!(verdict, Verdict::Refuse(Status::Binding)));

    // Frame 31, altered: the client keeps its ticket.
    let (_, bytes) = answer(&mut row, &tried, &mut rng).unwrap();
    let mut altered = bytes.clone();
    altered[4 + 5 + 70] ^= 1;
    let Err(failed) = tried.client.receive(&frame(&altered)) else {
        panic!("opened");
    };
    let NotResumed { error, ticket } = *failed;
    assert_eq!(error, SetUpError::Refused);
    assert_eq!((ticket.session(), ticket.generation()), (row.id, 0));

    // Another server never sees a proof.
    let other = Server::new(&mut rng);
    let mut connection = other.connect(&mut rng);
    let handle = connection.greeted.handle().unwrap();
    let binding = Binding::Exporter(EXPORTER);
    let sent = ticket.resume(&connection.greeted, handle, binding, unknown(), &mut rng);
    let Err(failed) = sent else {
        panic!("sent");
    };
    assert!(matches!(failed.error, SetUpError::ServerChanged { .. }));
    // Nor does one that wants a binding which is not there.
    let mut connection = server.connect(&mut rng);
    assert_eq!(
        connection.greeted.hello.lowest_binding,
        BindingKind::Exporter
    );
    let handle = connection.greeted.handle().unwrap();
    let ticket = failed.ticket;
    let sent = ticket.resume(
        &connection.greeted,
        handle,
        Binding::Unbound,
        unknown(),
        &mut rng,
    );
    assert!(matches!(sent, Err(failed) if failed.error == SetUpError::Binding));
}

#[test]
fn rows_admit_within_their_limits() {
    let row = || SessionRow {
        id: keystead_channel::session::SessionId([1; 16]),
        generation: 0,
        confirmed: true,
        secret: Secret::fill(|_| ()),
        former: None,
        login_ms: NOW,
        last_ms: NOW,
        requests: 0,
    };
    let check = |change: fn(&mut SessionRow), now_ms, expected: Result<(), Status>| {
        let mut row = row();
        change(&mut row);
        let requests = row.requests;
        assert_eq!(row.admit(now_ms, &LIMITS), expected, "{now_ms}");
        assert_eq!(row.requests, requests + u32::from(expected.is_ok()));
    };
    let refused = Err(Status::LoginRequired);
    check(|_| (), NOW, Ok(()));
    check(|_| (), NOW + 899_999, Ok(()));
    check(|_| (), NOW + 900_000, refused);
    check(
        |row| row.last_ms = NOW + 43_000_000,
        NOW + 43_199_999,
        Ok(()),
    );
    check(
        |row| row.last_ms = NOW + 43_000_000,
        NOW + 43_200_000,
        refused,
    );
    check(|row| row.requests = 9_999, NOW, Ok(()));
    check(|row| row.requests = 10_000, NOW, refused);
    // A clock that went back by more than 60 s gives no row a longer life.
    check(|_| (), NOW - 60_000, Ok(()));
    check(|_| (), NOW - 60_001, refused);
    check(|row| row.last_ms = NOW - 60_001, NOW - 60_001, refused);
    check(|_| (), 0, refused);
}
