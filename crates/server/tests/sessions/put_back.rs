//! Rows that somebody changes in the database under a running server.

use keystead_channel::session::Status;
use keystead_channel::session::requests::{LogOut, Request};

use crate::common::{Person, Place, ask, resume, settings};

crate::on_both! {
    a_chain_that_was_put_back_lets_nobody_in,
    a_row_that_does_not_open_keeps_no_session_alive,
}

/// An account's chain as it was two entries ago: its next login is refused, and so is the
/// next resumption, for what was built on it would hide the entries that it forgot.
async fn a_chain_that_was_put_back_lets_nobody_in(place: Place) {
    let server = place.server(settings()).await;
    let person = Person::new("alex", "secret");
    person.register(&server).await.unwrap();
    let (_open, resumable) = person.log_in(&server).await.unwrap();
    place.change("CREATE TABLE old AS SELECT * FROM chain WHERE account > 0");
    person.log_in(&server).await.unwrap();
    person.log_in(&server).await.unwrap();
    let old = "(SELECT sealed FROM old WHERE old.account = chain.account)";
    place.change(&format!(
        "UPDATE chain SET sealed = {old} WHERE account > 0"
    ));
    let refused = person.log_in(&server).await.map(drop);
    assert_eq!(refused.map_err(|it| it.code), Err(Status::Corrupt));
    let refused = resume(&server, resumable.session.into_ticket()).await;
    assert_eq!(refused.map(drop).map_err(|it| it.0), Err(Status::Corrupt));
}

/// A session whose row was damaged is ended with the others: it stands in the way of nothing.
async fn a_row_that_does_not_open_keeps_no_session_alive(place: Place) {
    let server = place.server(settings()).await;
    let person = Person::new("alex", "secret");
    person.register(&server).await.unwrap();
    let (_damaged, other) = person.log_in(&server).await.unwrap();
    let (_third, third) = person.log_in(&server).await.unwrap();
    let (mut wire, mut own) = person
        .log_in(&server)
        .await
        .map(|(wire, it)| (wire, it.session))
        .unwrap();
    let id = place.bytes(&other.session.id().0);
    place.change(&format!(
        "UPDATE session SET requests = requests + 1 WHERE id = {id}"
    ));
    let everywhere = Request::LogOut(LogOut { everywhere: true });
    let answer = ask(&mut wire, &mut own, &everywhere).await;
    assert_eq!(answer.status, Status::Done);
    let refused = resume(&server, third.session.into_ticket()).await;
    assert_eq!(
        refused.map(drop).map_err(|it| it.0),
        Err(Status::LoginRequired)
    );
}
