//! Registration, login, resumption and what an account asks about itself, against real
//! databases, without sockets.

#![cfg(test)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it waits for; everything else fails it"
)]

mod altered;
mod common;
mod guesses;
mod lifts;
mod put_back;
mod registration;
mod resumption;
mod sessions;

use keystead_tests::Postgres;

/// Declares scenarios: each is a test on SQLite, and all run on one PostgreSQL.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod sqlite {
            use crate::common::Place;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(Place::sqlite().await).await;
                }
            )*
        }

        /// All of them, each on a database of its own.
        pub(crate) async fn on_postgres(postgres: &keystead_tests::Postgres) {
            $(
                // Names of databases have 63 bytes at most.
                let name = stringify!($name);
                let name = &name[..name.len().min(60)];
                let address = postgres.database(name).unwrap();
                $name(crate::common::Place::at(address)).await;
            )*
        }
    };
}

pub(crate) use on_both;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_on_postgres() {
    let postgres = Postgres::start().unwrap();
    altered::on_postgres(&postgres).await;
    sessions::on_postgres(&postgres).await;
    registration::on_postgres(&postgres).await;
    resumption::on_postgres(&postgres).await;
    guesses::on_postgres(&postgres).await;
    lifts::on_postgres(&postgres).await;
}
