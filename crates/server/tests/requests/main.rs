//! Requests of real clients to a real server, on both databases: what is kept, signed,
//! governed and logged (`spec/session.md` section 8).

#![cfg(test)]

mod approvals;
mod cost;
mod keys;
mod log;
mod policies;
mod secrets;
mod unread;
mod wants;
mod world;

/// One case on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $($(#[$doc])*
        mod $name {
            use crate::world::Database;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::cases::$name(Database::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::cases::$name(Database::Postgres).await;
            }
        })*
    };
}

pub(crate) use on_both;
