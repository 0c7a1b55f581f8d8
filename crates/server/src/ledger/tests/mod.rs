//! The ledger on real databases, checked with the client's own checks.

/// Runs each case on SQLite, and all on one PostgreSQL, a database each.
macro_rules! on_both_databases {
    ($($case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(&super::Place::sqlite()).await;
            })*
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn on_postgres() {
            let postgres = keystead_tests::Postgres::start().unwrap();
            $(let address = postgres.database(&stringify!($case)[..NAME_BYTES_MAX.min(stringify!($case).len())]).unwrap();
            $case(&Place::at(address)).await;)*
        }
    };
}

mod exports;
mod mutations;
mod place;
mod reading;
mod writing;

/// 63 bytes: the longest name of a database (PostgreSQL's NAMEDATALEN).
const NAME_BYTES_MAX: usize = 63;
