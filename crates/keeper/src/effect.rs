//! What an approval changes of the keys that are held elsewhere.

use keystead_core::{KeyId, RequestBody};

/// What a request does there, if it is approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// A key comes.
    MakeKey,
    /// Keys come.
    Import {
        /// And go after so long.
        lifetime_s: Option<u32>,
    },
    /// These go; all that this machine brought, if none is named.
    Remove {
        keys: Vec<KeyId>,
    },
    Lock {
        lock: bool,
    },
}

impl Effect {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other request leaves the keys as they are"
    )]
    pub(crate) fn of(body: &RequestBody) -> Self {
        match body {
            RequestBody::MakeKey(_) => Self::MakeKey,
            RequestBody::Import(import) => Self::Import {
                lifetime_s: import.constraints.lifetime_s,
            },
            RequestBody::Remove { keys } => Self::Remove { keys: keys.clone() },
            RequestBody::Lock(lock) => Self::Lock { lock: lock.lock },
            _ => Self::Nothing,
        }
    }
}

/// When what comes now with this lifetime goes.
pub(crate) fn ends_ms(now_ms: u64, lifetime_s: Option<u32>) -> Option<u64> {
    let lifetime_ms = u64::from(lifetime_s?).saturating_mul(1_000);
    Some(now_ms.saturating_add(lifetime_ms))
}
