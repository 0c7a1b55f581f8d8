//! A proxy that ends TLS between a client and the real key server, with a certificate that
//! the client trusts: what it can do to bound sessions, and to those that are not. Each case
//! on both databases.

#![cfg(test)]

mod bound;
mod proxy;
mod unbound;
mod world;

/// Declares cases: each is a test on SQLite, and those of a file share one PostgreSQL, each on
/// a database of its own.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod sqlite {
            use crate::world::On;

            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(On::Sqlite).await;
                }
            )*
        }

        #[tokio::test]
        async fn on_postgres() {
            let postgres = keystead_tests::Postgres::start().unwrap();
            $(
                // Names of databases have 63 bytes at most.
                let name = stringify!($name);
                let name = &name[..name.len().min(60)];
                let address = postgres.database(name).unwrap();
                $name(crate::world::On::Postgres(address)).await;
            )*
        }
    };
}

pub(crate) use on_both;
