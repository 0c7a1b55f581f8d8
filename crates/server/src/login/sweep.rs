//! What is over is forgotten.
//!
//! **Invariant**: nothing depends on a sweep: every act that looks at a row looks at its
//! age too.

use keystead_channel::session::PENDING_MS_MAX;

use crate::server::Server;
use crate::store::{StoreError, Sweep, Wanted};

/// Deletes sessions, pending accounts, passes and invitations whose time is over, and the
/// leaves of accounts that were deleted a year ago.
///
/// # Errors
/// [`StoreError`]; the next sweep does it.
pub async fn sweep(server: &Server) -> Result<(), StoreError> {
    let now_ms = server.store.read(Wanted::new()).await?.now.ms;
    server.store.sweep(due(server, now_ms)).await?;
    server
        .ledger
        .erase_gone(now_ms.saturating_sub(GONE_MS))
        .await
}

fn due(server: &Server, now_ms: u64) -> Sweep {
    let settings = &server.settings;
    let before = |life_ms: u64| now_ms.saturating_sub(life_ms);
    let s = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
    let days = |days: u32| u64::from(days).saturating_mul(DAY_MS);
    Sweep {
        sessions_login_ms: before(s(settings.sessions.life_s)),
        pending_ms: before(PENDING_MS_MAX),
        passes_ms: before(days(settings.guesses.pass_days)),
        invitations_ms: before(days(settings.registrations.invitation_days)),
        writers_ms: before(DAY_MS),
    }
}

/// 365 days: so long who deleted an account can have its log looked at (`spec/audit.md`).
const GONE_MS: u64 = 365 * DAY_MS;

const DAY_MS: u64 = 86_400_000;
