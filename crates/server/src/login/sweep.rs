//! What is over is forgotten.
//!
//! **Invariant**: nothing depends on a sweep: every act that looks at a row looks at its
//! age too.

use keystead_channel::session::PENDING_MS_MAX;

use crate::server::Server;
use crate::settings::Settings;
use crate::store::{Lives, StoreError, Wanted};

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

/// How long each kind of row lets somebody in.
#[must_use]
pub fn lives(settings: &Settings) -> Lives {
    let s = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
    let days = |days: u32| u64::from(days).saturating_mul(DAY_MS);
    Lives {
        session_ms: s(settings.sessions.life_s),
        resumable_ms: s(settings.sessions.resumable_s),
        pending_ms: PENDING_MS_MAX,
        pass_ms: days(settings.guesses.pass_days),
        invitation_ms: days(settings.registrations.invitation_days),
        writer_ms: DAY_MS,
    }
}

/// 365 days: so long who deleted an account can have its log looked at (`spec/audit.md`).
const GONE_MS: u64 = 365 * DAY_MS;

const DAY_MS: u64 = 86_400_000;
