//! On SQLite.

use super::{Place, cases};

#[tokio::test]
async fn what_is_written_is_read() {
    cases::what_is_written_is_read(&Place::sqlite()).await;
}
