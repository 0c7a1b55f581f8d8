//! What is over is forgotten.
//!
//! **Invariant**: nothing depends on a sweep: every act that looks at a row looks at its
//! age too.

use crate::server::{Server, lives};
use crate::store::{StoreError, Wanted};

/// Deletes sessions, pending accounts, passes and invitations whose time is over, and the
/// leaves of accounts that were deleted a year ago.
///
/// # Errors
/// [`StoreError`]; the next sweep does it.
pub async fn sweep(server: &Server) -> Result<(), StoreError> {
    let now_ms = server.store.read(Wanted::new()).await?.now.ms;
    let due = lives(&server.settings).due(now_ms);
    server.store.sweep(due).await?;
    server
        .ledger
        .erase_gone(now_ms.saturating_sub(GONE_MS))
        .await
}

/// 365 days: so long who deleted an account can have its log looked at (`spec/audit.md`).
const GONE_MS: u64 = 365 * DAY_MS;

const DAY_MS: u64 = 86_400_000;
