//! Open sessions: what they ask about their account, and how they end.

use std::sync::Arc;

use keystead_channel::session::requests::{
    Complete, Head, LogOut, PasswordFinish, PasswordResponse, PasswordStart, RecoveryCode, Request,
    SessionList, Sessions, StorageKey,
};
use keystead_channel::session::{
    Binding, ClientSession, Event, Extras, Greeted, List, LoginSent, NewPassword, Notice, Profile,
    Status,
};
use keystead_daemon::SystemRng;
use keystead_server::server::Server;

use crate::common::{EXPORTER, Person, Place, Wire, ask, error, frame, open, resume, settings};

crate::on_both! {
    a_session_asks_about_its_account,
    many_sessions_share_a_connection,
    log_out_binds_every_process,
    a_session_is_closed_from_another_one,
    the_seventeenth_session_closes_the_longest_idle_one,
    a_login_serves_as_many_requests_as_are_set,
    an_idle_session_loses_its_keys_and_is_resumed,
    a_server_that_stops_says_so,
    a_new_password_ends_all_that_the_old_one_opened,
    what_needs_a_fresh_login_is_refused_to_a_resumed_one,
    an_account_that_is_deleted_leaves_its_name,
    what_comes_out_of_turn_ends_its_handle_alone,
    set_ups_that_were_broken_off_count_until_their_work_is_done,
}

async fn status(wire: &mut Wire, session: &mut ClientSession, request: Request) -> Status {
    ask(wire, session, &request).await.status
}

/// The notice that ends a session.
async fn ending(wire: &mut Wire, session: &mut ClientSession) -> Status {
    let bytes = wire.next().await.unwrap();
    match session.receive(&frame(&bytes)) {
        Ok(Event::Notice(notice)) => {
            assert!(session.is_closed());
            assert_eq!(notice, Notice::closed(notice.code.unwrap()));
            notice.code.unwrap()
        }
        _ => panic!("no notice"),
    }
}

async fn a_session_asks_about_its_account(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    let user = alex.register(&server).await.unwrap();
    let (mut wire, logged_in) = alex.log_in(&server).await.unwrap();
    let mut session = logged_in.session;
    assert_eq!(logged_in.opened.user, user);
    assert_eq!(logged_in.opened.failed_logins, Some(0));
    assert!(logged_in.opened.chain_head.is_some() && logged_in.opened.checkpoint.is_some());
    assert!(logged_in.opened.pass.is_none());

    assert_eq!(
        status(&mut wire, &mut session, Request::Ping).await,
        Status::Done
    );
    let answer = ask(&mut wire, &mut session, &Request::StorageKey).await;
    let result = answer.result.unwrap();
    let storage_key = StorageKey::decode(result.expose()).unwrap();
    assert_eq!(storage_key.storage_key, [6; 72]);

    let list = Request::Sessions(Sessions { close: None });
    let answer = ask(&mut wire, &mut session, &list).await;
    let listed = SessionList::decode(answer.result.unwrap().expose()).unwrap();
    let [entry] = listed.sessions.0.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!(
        (entry.session, entry.device.0.as_str()),
        (session.id(), "laptop")
    );
    // `complete` is not for it, though the client would not ask.
    let bytes = session.ask(
        &Request::Complete(complete(user)),
        keystead_channel::session::RequestId([1; 16]),
    );
    assert!(bytes.is_err());
}

fn complete(user: keystead_channel::session::UserId) -> Complete {
    Complete {
        storage_key: [6; 72],
        user,
        recovery_hash: [1; 32],
    }
}

async fn many_sessions_share_a_connection(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let handle = greeted.handle().unwrap();
        let logged_in = alex
            .log_in_at(&mut wire, &greeted, handle, Extras::default(), open())
            .await;
        sessions.push(logged_in.unwrap().session);
    }
    assert_eq!(wire.conversation.sessions(), 3);
    for session in sessions.iter_mut().rev() {
        assert_eq!(
            status(&mut wire, session, Request::Ping).await,
            Status::Done
        );
    }
    // One ends; the others do not.
    let log_out = Request::LogOut(LogOut { everywhere: false });
    assert_eq!(
        status(&mut wire, &mut sessions[1], log_out).await,
        Status::Done
    );
    assert_eq!(
        ending(&mut wire, &mut sessions[1]).await,
        Status::LoginRequired
    );
    assert_eq!(wire.conversation.sessions(), 2);
    assert_eq!(
        status(&mut wire, &mut sessions[2], Request::Ping).await,
        Status::Done
    );
    // A handle that was used is dead for ever.
    let again = alex
        .log_in_at(
            &mut wire,
            &greeted,
            sessions[1].handle(),
            Extras::default(),
            open(),
        )
        .await;
    assert_eq!(
        again.map(drop).map_err(|it| it.code),
        Err(Status::Malformed)
    );
    assert_eq!(
        status(&mut wire, &mut sessions[0], Request::Ping).await,
        Status::Done
    );
}

/// Two servers that share nothing but the database.
async fn two(place: &Place) -> [Arc<Server>; 2] {
    [
        place.server(settings()).await,
        place.server(settings()).await,
    ]
}

async fn log_out_binds_every_process(place: Place) {
    let [here, there] = two(&place).await;
    let alex = Person::new("alex", "secret");
    alex.register(&here).await.unwrap();
    let (mut at_here, mut first) = open_session(&alex, &here).await;
    let (mut at_there, mut second) = open_session(&alex, &there).await;
    let log_out = Request::LogOut(LogOut { everywhere: true });
    assert_eq!(
        status(&mut at_here, &mut first, log_out).await,
        Status::Done
    );
    // The other process was told nothing: the transaction of the next request knows.
    let answered = status(&mut at_there, &mut second, Request::StorageKey).await;
    assert_eq!(answered, Status::LoginRequired);
    assert_eq!(
        ending(&mut at_there, &mut second).await,
        Status::LoginRequired
    );
    // Nor is it resumed.
    let refused = resume(&there, second.into_ticket()).await.map(drop);
    assert_eq!(refused.map_err(|it| it.0), Err(Status::LoginRequired));
}

async fn open_session(person: &Person, server: &Arc<Server>) -> (Wire, ClientSession) {
    let (wire, logged_in) = person.log_in(server).await.unwrap();
    (wire, logged_in.session)
}

async fn a_session_is_closed_from_another_one(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    let kim = Person::new("kim", "other");
    alex.register(&server).await.unwrap();
    kim.register(&server).await.unwrap();
    let (mut one, mut first) = open_session(&alex, &server).await;
    let (mut two, mut second) = open_session(&alex, &server).await;
    let (mut three, mut third) = open_session(&kim, &server).await;
    let close = |session: &ClientSession| {
        Request::Sessions(Sessions {
            close: Some(session.id()),
        })
    };
    // Another's session is as one that is not there.
    let refused = status(&mut one, &mut first, close(&third)).await;
    assert_eq!(refused, Status::NotFound);
    let done = status(&mut one, &mut first, close(&second)).await;
    assert_eq!(done, Status::Done);
    // It is told at once, for it is open here.
    assert_eq!(ending(&mut two, &mut second).await, Status::LoginRequired);
    assert_eq!(
        status(&mut three, &mut third, Request::Ping).await,
        Status::Done
    );
}

async fn the_seventeenth_session_closes_the_longest_idle_one(place: Place) {
    let mut settings = settings();
    settings.sessions.per_user_max = 2;
    let server = place.server(settings).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let (mut one, mut first) = open_session(&alex, &server).await;
    let (mut two, mut second) = open_session(&alex, &server).await;
    // The clock counts milliseconds: until the first was used later than the second.
    let list = Request::Sessions(Sessions { close: None });
    loop {
        let answer = ask(&mut one, &mut first, &list).await;
        let listed = SessionList::decode(answer.result.unwrap().expose()).unwrap();
        let last = |id| {
            let mut found = listed.sessions.0.iter().filter(|it| it.session == id);
            found.next().unwrap().last_unix_ms
        };
        if last(first.id()) > last(second.id()) {
            break;
        }
    }
    let (_three, _third) = open_session(&alex, &server).await;
    assert_eq!(ending(&mut two, &mut second).await, Status::LoginRequired);
    assert_eq!(
        status(&mut one, &mut first, Request::Ping).await,
        Status::Done
    );
}

async fn a_login_serves_as_many_requests_as_are_set(place: Place) {
    let mut settings = settings();
    settings.sessions.requests_max = 1;
    let server = place.server(settings).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let (mut wire, mut session) = open_session(&alex, &server).await;
    // What proves the log is the client's own need, and not its one request.
    let head = || {
        Request::Head(Head {
            from_size: None,
            indices: List(vec![]),
        })
    };
    for _ in 0..2 {
        let proved = status(&mut wire, &mut session, head()).await;
        assert_eq!(proved, Status::Done);
    }
    let first = status(&mut wire, &mut session, Request::StorageKey).await;
    assert_eq!(first, Status::Done);
    let over = status(&mut wire, &mut session, head()).await;
    assert_eq!(over, Status::LoginRequired);
    assert_eq!(ending(&mut wire, &mut session).await, Status::LoginRequired);
    let (mut wire, mut session) = open_session(&alex, &server).await;
    let first = status(&mut wire, &mut session, Request::StorageKey).await;
    assert_eq!(first, Status::Done);
    let second = status(&mut wire, &mut session, Request::StorageKey).await;
    assert_eq!(second, Status::LoginRequired);
    assert_eq!(ending(&mut wire, &mut session).await, Status::LoginRequired);
}

async fn an_idle_session_loses_its_keys_and_is_resumed(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let (mut wire, mut session) = open_session(&alex, &server).await;
    let idle_ms = 15 * 60 * 1_000;
    assert_eq!(wire.conversation.deadline_ms(), Some(wire.now_ms + idle_ms));
    wire.now_ms += idle_ms - 1;
    wire.tick();
    assert!(wire.already().is_none());
    wire.now_ms += 1;
    wire.tick();
    assert_eq!(ending(&mut wire, &mut session).await, Status::LoginRequired);
    assert_eq!(wire.conversation.sessions(), 0);
    assert!(resume(&server, session.into_ticket()).await.is_ok());
}

async fn a_server_that_stops_says_so(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let (mut wire, mut session) = open_session(&alex, &server).await;
    wire.stop();
    assert_eq!(ending(&mut wire, &mut session).await, Status::Unavailable);
    assert!(wire.is_closed);
    let (mut wire, mut session) = open_session(&alex, &server).await;
    let id = keystead_channel::session::RequestId([1; 16]);
    let sent = session.ask(&Request::Ping, id).unwrap();
    wire.give(&sent.frame);
    wire.stop();
    assert!(!wire.is_closed, "a request is being served");
    let bytes = wire.next().await.unwrap();
    assert!(matches!(
        session.receive(&frame(&bytes)),
        Ok(Event::Answer { .. })
    ));
    assert_eq!(ending(&mut wire, &mut session).await, Status::Unavailable);
    assert!(wire.is_closed);
}

async fn a_new_password_ends_all_that_the_old_one_opened(place: Place) {
    let [server, there] = two(&place).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let mut wants_pass = open();
    wants_pass.pass_wanted = true;
    let with_pass = alex
        .log_in_with(&there, Extras::default(), wants_pass)
        .await;
    let (mut other, logged_in) = with_pass.unwrap();
    let (mut old_session, pass) = (logged_in.session, logged_in.opened.pass.unwrap());

    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let handle = greeted.handle().unwrap();
    let logged_in = alex
        .log_in_at(&mut wire, &greeted, handle, Extras::default(), open())
        .await;
    let mut session = logged_in.unwrap().session;
    let changed = Person::new("alex", "better");
    change(&mut wire, &greeted, &mut session, &changed).await;

    let refused = status(&mut other, &mut old_session, Request::StorageKey).await;
    assert_eq!(refused, Status::LoginRequired);
    // The session that changed it goes on; the sealed storage key is the new one.
    let answer = ask(&mut wire, &mut session, &Request::StorageKey).await;
    let result = answer.result.unwrap();
    assert_eq!(
        StorageKey::decode(result.expose()).unwrap().storage_key,
        [8; 72]
    );
    let wrong = alex.log_in(&server).await.map(drop);
    assert_eq!(wrong.map_err(|it| it.code), Err(Status::Refused));
    assert!(changed.log_in(&there).await.is_ok());
    // The pass is void: with it the name's own counter counts.
    let extras = Extras {
        pass: Some(pass),
        ..Extras::default()
    };
    assert!(changed.log_in_with(&server, extras, open()).await.is_ok());
}

async fn change(wire: &mut Wire, greeted: &Greeted, session: &mut ClientSession, person: &Person) {
    let finish = |record| {
        Request::PasswordFinish(PasswordFinish {
            record,
            profile: Profile::Standard,
            storage_key: [8; 72],
        })
    };
    // Nothing was begun.
    let refused = status(wire, session, finish([0; 192])).await;
    assert_eq!(refused, Status::Conflict);
    let (state, request) = NewPassword::start(person.credentials(), &mut SystemRng).unwrap();
    let start = Request::PasswordStart(PasswordStart { request });
    let answer = ask(wire, session, &start).await;
    let result = answer.result.unwrap();
    let response = PasswordResponse::decode(result.expose()).unwrap().response;
    let profile = Profile::Standard;
    let made = state.finish(&response, greeted, profile, &mut SystemRng);
    let (record, _) = made.unwrap();
    let answer = ask(wire, session, &finish(record)).await;
    assert_eq!(answer.status, Status::Done);
    assert!(answer.receipt.is_some());
}

async fn what_needs_a_fresh_login_is_refused_to_a_resumed_one(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let (_wire, session) = open_session(&alex, &server).await;
    let resumed = resume(&server, session.into_ticket()).await;
    let (mut wire, mut session) = resumed.map_err(|it| it.0).unwrap();
    let recovery_hash = [3; 32];
    for request in [
        Request::PasswordStart(PasswordStart { request: [2; 32] }),
        Request::RecoveryCode(RecoveryCode { recovery_hash }),
        Request::DeleteAccount,
    ] {
        assert_eq!(
            status(&mut wire, &mut session, request).await,
            Status::FreshLogin
        );
    }
    assert_eq!(
        status(&mut wire, &mut session, Request::StorageKey).await,
        Status::Done
    );
}

async fn an_account_that_is_deleted_leaves_its_name(place: Place) {
    let [server, there] = two(&place).await;
    let alex = Person::new("alex", "secret");
    let user = alex.register(&server).await.unwrap();
    let (mut wire, mut session) = open_session(&alex, &server).await;
    let (mut other, mut second) = open_session(&alex, &there).await;
    let answer = ask(&mut wire, &mut session, &Request::DeleteAccount).await;
    assert_eq!(answer.status, Status::Done);
    assert!(answer.receipt.is_some());
    assert_eq!(ending(&mut wire, &mut session).await, Status::LoginRequired);
    let refused = status(&mut other, &mut second, Request::StorageKey).await;
    assert_eq!(refused, Status::LoginRequired);
    let gone = alex.log_in(&server).await.map(drop);
    assert_eq!(gone.map_err(|it| it.code), Err(Status::Refused));
    let again = Person::new("alex", "another");
    assert_ne!(again.register(&there).await.unwrap(), user);
}

async fn what_comes_out_of_turn_ends_its_handle_alone(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let (mut wire, mut session) = open_session(&alex, &server).await;
    // A sealed frame of no session; a finish that nobody waits for.
    for kind in [0x40, 0x22, 0x12] {
        let answer = wire.exchange(&[0, 0, 0, 5, kind, 0, 0, 0, 77]).await;
        assert_eq!(error(&answer).code, Status::Malformed);
    }
    let id = keystead_channel::session::RequestId([1; 16]);
    let sent = session.ask(&Request::Ping, id).unwrap();
    let bytes = wire.exchange(&sent.frame).await;
    assert!(session.receive(&frame(&bytes)).is_ok());
    // The same once more: the session ends without a word.
    wire.give(&sent.frame);
    assert!(wire.already().is_none());
    assert_eq!(wire.conversation.sessions(), 0);
    assert!(!wire.is_closed);
    // A second hello ends the connection.
    let answer = wire.exchange(&[0, 0, 0, 5, 1, 0, 0, 0, 0]).await;
    assert_eq!(error(&answer).code, Status::Malformed);
    assert!(wire.is_closed);
}

/// A handle dies by a frame out of turn; what was begun for it goes on, and there is no more of
/// it at once than of others.
async fn set_ups_that_were_broken_off_count_until_their_work_is_done(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let mut start = || {
        let (handle, binding) = (greeted.handle().unwrap(), Binding::Exporter(EXPORTER));
        let extras = Extras::default();
        let credentials = alex.credentials();
        let started = LoginSent::start(handle, credentials, binding, extras, &mut SystemRng);
        started.unwrap().1
    };
    for _ in 0..256 {
        let bytes = start();
        wire.give(&bytes);
        assert!(wire.already().is_none());
        wire.give(&bytes);
        let answer = wire.already().unwrap();
        assert_eq!(error(&answer).code, Status::Malformed);
    }
    let bytes = start();
    wire.give(&bytes);
    assert_eq!(error(&wire.already().unwrap()).code, Status::Busy);
    // One of them is done, and nobody is told.
    wire.finish_one().await.unwrap();
    assert!(wire.already().is_none());
    let bytes = start();
    wire.give(&bytes);
    assert!(wire.already().is_none());
    wire.end().await;
}
