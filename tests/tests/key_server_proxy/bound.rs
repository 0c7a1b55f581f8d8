//! Sessions that are bound to their TLS connection: nothing goes through the proxy.

use keystead_channel::session::Ticket;
use keystead_keeper::server::{Binds, Lasting, Remote, ServerError};

use crate::world::{Account, On, World, labels};

crate::on_both! {
    no_login_comes_through_and_the_account_stays_usable,
    who_says_unbound_is_refused_by_a_server_that_wants_it_bound,
    no_registration_comes_through_even_where_sessions_need_no_binding,
    no_resumption_comes_through_and_the_session_goes_on_elsewhere,
}

async fn no_login_comes_through_and_the_account_stays_usable(on: On) {
    let world = World::new(on, "required", Account::Registered).await;
    let (_proxy, through) = world.proxy(Binds::Always).await;
    let end = world.login(&through).await;
    assert!(matches!(end, Err(ServerError::WrongPassword)));
    let logged_in = world.login(&world.direct(Binds::Always)).await.unwrap();
    assert_eq!(logged_in.opened.failed_logins, Some(1), "it is told of");
}

async fn who_says_unbound_is_refused_by_a_server_that_wants_it_bound(on: On) {
    let world = World::new(on, "required", Account::Registered).await;
    let (_proxy, through) = world.proxy(Binds::Never).await;
    let end = world.login(&through).await.err().unwrap();
    assert!(end.to_string().contains("bound"), "{end}");
}

async fn no_registration_comes_through_even_where_sessions_need_no_binding(on: On) {
    let world = World::new(on, "optional", Account::Invited).await;
    let (_proxy, through) = world.proxy(Binds::Never).await;
    let remote = Remote::connect(&through).await.unwrap();
    let end = world.register(&remote).await;
    assert!(matches!(end, Err(ServerError::RegistrationUnbound)));
    let (_proxy, through) = world.proxy(Binds::Always).await;
    let remote = Remote::connect(&through).await.unwrap();
    assert!(world.register(&remote).await.is_err());
    // The invitation is not used up.
    let remote = Remote::connect(&world.direct(Binds::Always)).await.unwrap();
    world.register(&remote).await.unwrap();
}

async fn no_resumption_comes_through_and_the_session_goes_on_elsewhere(on: On) {
    let world = World::new(on, "required", Account::Registered).await;
    let direct = world.direct(Binds::Always);
    let session = world.login(&direct).await.unwrap().session;
    let watch = session.watch().clone();
    let ticket = session.into_ticket().unwrap();
    let copy = Ticket::decode(ticket.encode().expose()).unwrap();
    let (_proxy, through) = world.proxy(Binds::Always).await;
    let lasting = Lasting::resting(through, copy, watch.clone());
    assert!(matches!(
        lasting.session().await,
        Err(ServerError::LoginRequired)
    ));
    let lasting = Lasting::resting(direct, ticket, watch);
    let session = lasting.session().await.unwrap();
    assert_eq!(labels(&session).await, [""; 0]);
}
