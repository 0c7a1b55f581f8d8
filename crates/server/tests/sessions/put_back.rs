//! Rows that somebody changes in the database under a running server.

use keystead_channel::session::Status;
use keystead_channel::session::requests::{LogOut, Request};
use rusqlite::{Connection, params};

use crate::common::{Person, Place, ask, resume, settings};

/// An account's chain as it was two entries ago: its next login is refused, for what was
/// built on it would hide the entries that it forgot.
#[tokio::test]
async fn a_chain_that_was_put_back_lets_nobody_in() {
    let place = Place::sqlite().await;
    let server = place.server(settings()).await;
    let person = Person::new("alex", "secret");
    person.register(&server).await.unwrap();
    person.log_in(&server).await.unwrap();
    let database = database(&place);
    let newest = "account = (SELECT max(account) FROM chain)";
    let read = format!("SELECT sealed FROM chain WHERE {newest}");
    let before: Vec<u8> = database.query_row(&read, [], |row| row.get(0)).unwrap();
    person.log_in(&server).await.unwrap();
    person.log_in(&server).await.unwrap();
    let put = format!("UPDATE chain SET sealed = ?1 WHERE {newest}");
    assert_eq!(database.execute(&put, params![before]), Ok(1));
    let refused = person.log_in(&server).await.map(drop);
    assert_eq!(refused.map_err(|it| it.code), Err(Status::Corrupt));
}

/// A session whose row was damaged is ended with the others: it stands in the way of nothing.
#[tokio::test]
async fn a_row_that_does_not_open_keeps_no_session_alive() {
    let place = Place::sqlite().await;
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
    let damage = "UPDATE session SET requests = requests + 1 WHERE id = ?1";
    let id = other.session.id().0.to_vec();
    assert_eq!(database(&place).execute(damage, params![id]), Ok(1));
    let everywhere = Request::LogOut(LogOut { everywhere: true });
    let answer = ask(&mut wire, &mut own, &everywhere).await;
    assert_eq!(answer.status, Status::Done);
    let refused = resume(&server, third.session.into_ticket()).await;
    assert_eq!(
        refused.map(drop).map_err(|it| it.0),
        Err(Status::LoginRequired)
    );
}

fn database(place: &Place) -> Connection {
    let database = Connection::open(place.file()).unwrap();
    database
        .busy_timeout(std::time::Duration::from_secs(5))
        .unwrap();
    database
}
