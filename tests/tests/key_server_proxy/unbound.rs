//! Sessions without a binding, by a server that takes them: the proxy carries them, and can
//! do no more than cut.

use keystead_channel::session::{ErrorBody, FrameType, Handle, Status};
use keystead_keeper::server::{Binds, Lasting, ServerError};
use tokio::io::AsyncWriteExt;

use crate::proxy::{Lie, answer_to};
use crate::world::{Account, On, World, labels, made, make};

crate::on_both! {
    through_an_honest_proxy_all_is_as_without,
    an_altered_request_does_nothing,
    an_altered_answer_is_not_believed,
    a_repeated_request_is_done_once,
    an_invented_request_does_nothing,
    a_request_that_comes_back_is_no_answer,
    a_resumption_that_is_replayed_ends_no_session,
}

async fn through_an_honest_proxy_all_is_as_without(on: On) {
    let world = World::new(on, "optional", Account::Registered).await;
    let (_proxy, through) = world.proxy(Binds::Never).await;
    let session = world.login(&through).await.unwrap().session;
    made(&session.ask(&make("one", 1)).await.unwrap());
    assert_eq!(labels(&session).await, ["one"]);
}

/// One lie while a key is made: the session survives it by a resumption, the key is there
/// once, and nothing else is.
async fn check(on: On, lie: Lie) {
    let world = World::new(on, "optional", Account::Registered).await;
    let (proxy, through) = world.proxy(Binds::Never).await;
    let session = world.login(&through).await.unwrap().session;
    let id = session.id();
    let lasting = Lasting::open(through, session);
    made(&lasting.ask(&make("before", 1)).await.unwrap());
    proxy.tell(lie);
    let answer = lasting.ask(&make("meanwhile", 2)).await;
    assert_eq!(proxy.lies(), 1, "{lie:?} was told");
    match answer {
        Ok(answer) => drop(made(&answer)),
        // A frame that no server sends is said to the person, and nothing goes on by itself.
        Err(ServerError::Misbehaved(_)) => {
            assert!(matches!(lie, Lie::AlterAnswer | Lie::Reflect), "{lie:?}");
        }
        Err(error) => panic!("{lie:?}: {error}"),
    }
    // By another way: what there is now.
    let direct = world.direct(Binds::Never);
    let now = world.login(&direct).await.unwrap().session;
    let labels = labels(&now).await;
    assert_eq!(labels, ["before", "meanwhile"], "{lie:?}");
    if let Ok(session) = lasting.session().await {
        assert_eq!(session.id(), id, "{lie:?}");
    }
}

async fn an_altered_request_does_nothing(on: On) {
    check(on, Lie::AlterRequest).await;
}

async fn an_altered_answer_is_not_believed(on: On) {
    check(on, Lie::AlterAnswer).await;
}

async fn a_repeated_request_is_done_once(on: On) {
    check(on, Lie::Repeat).await;
}

async fn an_invented_request_does_nothing(on: On) {
    check(on, Lie::Inject).await;
}

async fn a_request_that_comes_back_is_no_answer(on: On) {
    check(on, Lie::Reflect).await;
}

async fn a_resumption_that_is_replayed_ends_no_session(on: On) {
    let world = World::new(on, "optional", Account::Registered).await;
    let (proxy, through) = world.proxy(Binds::Never).await;
    let session = world.login(&through).await.unwrap().session;
    let watch = session.watch().clone();
    let ticket = session.into_ticket().unwrap();
    let lasting = Lasting::resting(through, ticket, watch);
    let session = lasting.session().await.unwrap();
    made(&session.ask(&make("one", 1)).await.unwrap());
    // The same hello and the same frame 30 on a connection of the proxy's own: the server's
    // hello is another, so the proof is none.
    let hello = proxy.recorded(FrameType::Hello).pop().unwrap();
    let resume = proxy.recorded(FrameType::Resume).pop().unwrap();
    let handle = Handle(u32::from_be_bytes(resume[5..9].try_into().unwrap()));
    for _ in 0..3 {
        let mut stream = proxy.dial().await;
        stream.write_all(&hello).await.unwrap();
        stream.write_all(&resume).await.unwrap();
        stream.flush().await.unwrap();
        let (kind, body) = answer_to(&mut stream, handle).await;
        assert_eq!(kind, FrameType::Error);
        let code = ErrorBody::decode(&body).unwrap().code;
        assert_eq!(code, Status::LoginRequired);
    }
    // The session does not notice: on this connection, and by its next resumption.
    assert_eq!(labels(&session).await, ["one"]);
    let ticket = lasting.lend().await.unwrap();
    let lasting = lasting.given_back(ticket);
    let session = lasting.session().await.unwrap();
    made(&session.ask(&make("two", 2)).await.unwrap());
    assert_eq!(labels(&session).await, ["one", "two"]);
}
