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

/// Declares scenarios: each is a test on SQLite, and those of a file share one PostgreSQL.
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
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_postgres() {
            let postgres = keystead_tests::Postgres::start().unwrap();
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
