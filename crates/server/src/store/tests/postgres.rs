//! On a PostgreSQL of our own.

use keystead_tests::Postgres;

use super::{Place, cases};

#[tokio::test]
async fn what_is_written_is_read() {
    let postgres = Postgres::start().unwrap();
    cases::what_is_written_is_read(&Place::at(postgres.address())).await;
}
